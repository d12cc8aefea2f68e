//! Relays for peers that do not meet.

use std::net::SocketAddr;
use std::sync::Arc;

use introd_config::{Config, Listen, RelayMode};
use introd_policy::registry::{InMemory, Registry};
use introd_relay::{Client, End, Refusal};
use rtmfp::crypto::Epd;
use rtmfp::{InterfaceId, Lookup, PeerId, SessionId};
use smallvec::SmallVec;

use crate::introducer::Counter;
use crate::serve::mail::Mail;
use crate::serve::testing::{Setup, World, with_application};

/// Others reach the ports of the relay there.
const RELAY: [u8; 4] = [192, 0, 2, 1];

/// The applications `app` and `other` relay in these modes.
fn world(app: RelayMode, other: RelayMode, shared: Option<Arc<dyn Registry>>) -> World {
    let mut config = Config::built_in();
    with_application(&mut config, "app", |settings| settings.relay_mode = app);
    with_application(&mut config, "other", |settings| settings.relay_mode = other);
    let port = |number: u16| {
        let public = Some((RELAY, 19_400 + number).into());
        vec![Listen { local: ([127, 0, 0, 1], 0).into(), public, is_optional: false }]
    };
    let relay = &mut config.default_adaptor.relay;
    (relay.is_named, relay.ports) = (true, (0..4).map(port).collect());
    World::new(Setup { config, shared, ..Setup::default() })
}

/// A hello that asks for a peer, from an address at which nobody gets the answer.
fn hello(asker: Option<SessionId>, initiator: SocketAddr, wanted: PeerId) -> Lookup {
    Lookup {
        target: Some(wanted),
        epd: SmallVec::from_slice(&Epd::fingerprint(wanted)),
        initiator,
        tag: SmallVec::from_slice(&[7; 16]),
        interface: InterfaceId(0),
        asker,
        received: 420,
    }
}

/// Asks so many times, some seconds apart. Returns how many pairs there are after each time.
fn ask(world: &mut World, lookup: &Lookup, times: usize) -> Vec<usize> {
    let ask = |_| {
        let (mut turn, clients, lookups) = world.worker.turn(world.now);
        lookups.begin(&mut turn, clients, lookup.clone());
        world.exchange();
        world.seconds(2);
        world.services.relay.as_ref().unwrap().figures().pairs
    };
    (0..times).map(ask).collect()
}

fn lookup_of(world: &World, asker: usize, target: usize) -> Lookup {
    hello(Some(world.session(asker)), world.ends[asker].address, world.ends[target].id)
}

#[test]
fn peers_that_have_not_met_at_the_third_hello_get_a_pair_and_the_target_answers_to_its_port() {
    let mut world = world(RelayMode::Fallback, RelayMode::None, None);
    let [asker, target] = [(); 2].map(|()| world.accepted());
    let lookup = lookup_of(&world, asker, target);
    assert_eq!(ask(&mut world, &lookup, 2), [0, 0]);
    let is_relay = |to: &SocketAddr| to.ip() == std::net::IpAddr::from(RELAY) && to.port() != 1935;
    assert!(!world.lost_by_ends.iter().any(is_relay), "direct ways come first");
    assert_eq!(ask(&mut world, &lookup, 3), [1, 1, 1], "a repeated hello gets the same pair");
    assert!(world.lost_by_ends.iter().any(is_relay), "{:?}", world.lost_by_ends);
    let views = world.services.relay.as_ref().unwrap().views(world.now, 0, 9);
    let ids = [asker, target].map(|end| Client::Peer(world.ends[end].id));
    assert_eq!([views[0].1.asker, views[0].1.target], ids);
}

#[test]
fn both_applications_must_permit_a_relay() {
    use RelayMode::{All, Fallback, None};
    for (app, other, expected) in [
        (None, None, [0, 0, 0]),
        (Fallback, None, [0, 0, 0]),
        (None, Fallback, [0, 0, 0]),
        (None, All, [0, 0, 0]),
        (Fallback, Fallback, [0, 0, 1]),
        (All, Fallback, [0, 0, 1]),
        (Fallback, All, [0, 0, 1]),
        (All, All, [1, 1, 1]),
    ] {
        let mut world = world(app, other, Option::None);
        let [asker, target] = ["app", "other"].map(|name| world.accepted_by(&format!("rtmfp://host/{name}")));
        let lookup = lookup_of(&world, asker, target);
        assert_eq!(ask(&mut world, &lookup, 3), expected, "{app:?} asks {other:?}");
    }
}

#[test]
fn askers_without_a_session_are_relayed_to_where_servers_share_a_registry() {
    for shares in [false, true] {
        let shared = shares.then(|| Arc::new(InMemory::default()) as Arc<dyn Registry>);
        let mut world = world(RelayMode::Fallback, RelayMode::None, shared);
        let target = world.accepted();
        let initiator = ([203, 0, 113, 200], 5).into();
        let lookup = hello(None, initiator, world.ends[target].id);
        assert_eq!(ask(&mut world, &lookup, 3), [0, 0, usize::from(shares)]);
        let views = world.services.relay.as_ref().unwrap().views(world.now, 0, 9);
        assert_eq!(views.first().map(|(_, view)| view.asker), shares.then_some(Client::Stranger(initiator)));
    }
}

#[test]
fn a_client_is_not_relayed_to_itself() {
    let mut world = world(RelayMode::All, RelayMode::None, None);
    let asker = world.accepted();
    let lookup = lookup_of(&world, asker, asker);
    assert_eq!(ask(&mut world, &lookup, 2), [0, 0]);
    assert_eq!(world.services.relay.as_ref().unwrap().figures().counts.refused(Refusal::SameClient), 2);
}

#[test]
fn the_target_of_another_worker_is_told_its_port_there() {
    let mut world = world(RelayMode::All, RelayMode::None, None);
    let [asker, target] = [(); 2].map(|()| world.accepted());
    let (id, instance) = (PeerId([9; 32]), world.services.directory.lookup(&world.ends[target].id).unwrap().instance);
    let session = SessionId::from_wire(1 << 26 | 5);
    world.services.directory.connect(id, session, instance, ([203, 0, 113, 77], 7).into(), false);
    let lookup = hello(Some(world.session(asker)), world.ends[asker].address, id);
    assert_eq!(ask(&mut world, &lookup, 1), [1]);
    let Ok(Mail::Forward { session: of, epd, initiator, tag, is_proven: true, relay_port: Some(port) }) =
        world.elsewhere.try_recv()
    else {
        panic!()
    };
    assert_eq!((of, &*epd, &*tag), (session, &Epd::fingerprint(id)[..], &[7; 16][..]));
    assert!(initiator == lookup.initiator && port < 4);
    // That worker forwards the hello as one that came from the asker, and as one that came from the port: for one lookup.
    let own = world.session(target);
    let (before, forwards) = (world.ends[target].endpoint.counters().hellos, world.count(Counter::Forwards));
    let epd = Box::from(&Epd::fingerprint(world.ends[target].id)[..]);
    world.deliver(Mail::Forward { session: own, epd, initiator, tag, is_proven: true, relay_port: Some(port) });
    assert_eq!(world.ends[target].endpoint.counters().hellos, before + 2);
    assert_eq!(world.count(Counter::Forwards), forwards + 1);
    assert_eq!(world.lost_by_ends.last(), Some(&(RELAY, 19_400 + port).into()));
}

#[test]
fn the_target_must_be_a_client_when_the_pair_is_made() {
    let mut world = world(RelayMode::All, RelayMode::None, None);
    let asker = world.accepted();
    let lookup = hello(Some(world.session(asker)), world.ends[asker].address, PeerId([9; 32]));
    assert_eq!(ask(&mut world, &lookup, 3), [0, 0, 0]);
}

#[test]
fn a_client_that_is_disconnected_is_relayed_no_more() {
    for is_sent_away in [false, true] {
        let mut world = world(RelayMode::Fallback, RelayMode::None, None);
        let [asker, target] = [(); 2].map(|()| world.accepted());
        let lookup = lookup_of(&world, asker, target);
        assert_eq!(ask(&mut world, &lookup, 3), [0, 0, 1]);
        let (session, peer) = (world.session(target), world.ends[target].id);
        if is_sent_away {
            world.worker.take_mail(world.now, Some(Mail::Disconnect { session, peer, by: "an administrator" }));
        } else {
            let (turn, ..) = world.worker.turn(world.now);
            turn.endpoint.close(world.now, session);
        }
        world.exchange();
        world.seconds(5);
        assert!(world.services.directory.lookup(&peer).is_none(), "it is gone");
        let figures = world.services.relay.as_ref().unwrap().figures();
        let ended = figures.counts.ended(End::Disconnected);
        assert_eq!((figures.pairs, ended), if is_sent_away { (0, 1) } else { (1, 0) });
    }
}
