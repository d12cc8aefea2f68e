//! Peers of every kind meet peers of every kind: directly wherever that is possible at all, by the server's relay elsewhere. Packet
//! counters on the hosts tell which. The table in `docs/nats.md` is what this finds.

mod cell;
mod kinds;
mod table;
mod world;

use std::collections::BTreeMap;
use std::sync::Mutex;

use introd_tests::program::Peer;

use self::cell::Cell;
use self::kinds::{Kind, Path, at_best};
use self::world::{Place, World};
use crate::hosts::Received;

/// So many pairs that can meet directly are tried at a time. An asker that has no answer for some seconds is given the relay: a test on a
/// slow machine must not come to that.
const DIRECT_AT_A_TIME: usize = 3;
/// So many clients connect at a time.
const CONNECTING_AT_A_TIME: usize = 4;
/// Pairs that need the relay wait most of the time.
const RELAYED_AT_A_TIME: usize = 32;

/// Calls `work` with each pair, with so many at a time.
fn each(pairs: &[(Kind, Kind)], at_a_time: usize, work: impl Fn(Kind, Kind) + Sync) {
    let left = Mutex::new(pairs.iter());
    std::thread::scope(|scope| {
        for _ in 0..at_a_time {
            scope.spawn(|| {
                loop {
                    let next = left.lock().unwrap().next();
                    let Some((asker, target)) = next else { return };
                    work(*asker, *target);
                }
            });
        }
    });
}

/// All pairs are tried, each once.
fn try_all(world: &World, pairs: &[(Kind, Kind)]) -> Vec<Cell> {
    // A target is a client of the server in the open, and another one of the server at home, for those beside that one.
    let is_at_home = |asker, target| asker == Kind::BesideServer || target == Kind::BesideServer;
    let open = Kind::ALL.iter().filter(|kind| **kind != Kind::BesideServer).map(|kind| (*kind, Kind::Open));
    let clients: Vec<_> = open.chain(Kind::ALL.map(|kind| (kind, Kind::BesideServer))).collect();
    let targets: Mutex<BTreeMap<(Kind, bool), Peer>> = Mutex::default();
    each(&clients, CONNECTING_AT_A_TIME, |kind, asker| {
        let peer = world.target(kind, asker);
        targets.lock().unwrap().insert((kind, is_at_home(asker, kind)), peer);
    });
    let targets = targets.into_inner().unwrap();

    let cells = Mutex::new(Vec::new());
    let try_pair = |asker, target| {
        let id = &targets[&(target, is_at_home(asker, target))].id;
        let cell = Cell::try_pair(world, asker, target, id);
        cells.lock().unwrap().push(cell);
    };
    let (direct, relayed): (Vec<_>, Vec<_>) =
        pairs.iter().partition(|(asker, target)| at_best(*asker, *target) == Path::Direct);
    each(&direct, DIRECT_AT_A_TIME, try_pair);
    each(&relayed, RELAYED_AT_A_TIME, try_pair);
    for (_, peer) in targets {
        assert_eq!(peer.leave().code, Some(0));
    }
    cells.into_inner().unwrap()
}

/// What has come in at each host.
fn received(places: &BTreeMap<Kind, Place>) -> BTreeMap<Kind, Vec<Received>> {
    places.iter().map(|(kind, place)| (*kind, place.host.all_received())).collect()
}

#[test]
fn peers_of_all_kinds_meet_directly_where_it_is_possible_and_by_the_relay_elsewhere() {
    let world = World::new();
    let pairs: Vec<_> = Kind::ALL.iter().flat_map(|asker| Kind::ALL.map(|target| (*asker, target))).collect();
    let cells = try_all(&world, &pairs);
    let (at_askers, at_targets) = (received(&world.askers), received(&world.targets));
    let mut found = BTreeMap::new();
    let mut wrong = Vec::new();
    for cell in &cells {
        let (asker, target) = (cell.asker, cell.target);
        match cell.path(&world, &at_askers[&asker], &at_targets[&target]) {
            Ok(path) if path == at_best(asker, target) => {
                found.insert((asker, target), path);
            }
            Ok(path) => wrong.push(format!("{asker:?} asks for {target:?}: {path:?}, but it should not be")),
            Err(error) => wrong.push(format!("{asker:?} asks for {target:?}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{} of {} pairs:\n{}", wrong.len(), pairs.len(), wrong.join("\n"));
    table::is_on_the_page(&table::render(|asker, target| found[&(asker, target)]));
    world.stop();
}
