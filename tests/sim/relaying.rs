//! Peers that cannot meet directly meet by the relay of their server, and meet again when the NAT of one of them restarts.

use std::time::Duration;

use introd_relay::End;
use rtmfp::flow::SendFlowId;

use crate::network::{Link, NodeId, Sim, for_seeds};

/// Lossy paths of any delay, on which packets overtake each other and come twice.
fn rough(sim: &mut Sim) {
    let delay = 5 + sim.dice.below(150);
    sim.all_links(Link::default().delay(delay).loss(0.05).jitter(30).reorder(0.05).duplicate(0.05));
}

/// A server with a relay and two peers that are connected to it, neither of which the other can reach.
fn scene(sim: &mut Sim) -> (NodeId, NodeId, NodeId) {
    rough(sim);
    sim.with_relay();
    let server = sim.server();
    let asker = sim.peer_behind_symmetric_nat();
    let target = if sim.dice.below(2) == 0 { sim.peer_behind_nat() } else { sim.peer_behind_symmetric_nat() };
    let (asker, target) = if sim.dice.below(2) == 0 { (asker, target) } else { (target, asker) };
    sim.connect(asker, server);
    sim.connect(target, server);
    (server, asker, target)
}

fn look_up(sim: &mut Sim, server: NodeId, asker: NodeId, target: NodeId) {
    let by = sim.address(server);
    sim.open_by(asker, target, &[by]);
}

fn relayed(sim: &Sim) -> u64 {
    sim.relay.as_ref().expect("a relay").pairs.counts().datagrams
}

/// The flows of both ends to each other.
fn flows(sim: &mut Sim, a: NodeId, b: NodeId) -> [(NodeId, NodeId, SendFlowId); 2] {
    [(a, b), (b, a)].map(|(from, to)| (from, to, sim.open_flow(from, to, b"talk")))
}

#[test]
fn peers_that_cannot_reach_each_other_meet_by_the_relay_and_lose_nothing() {
    for_seeds(500, |sim| {
        let (server, asker, target) = scene(sim);
        look_up(sim, server, asker, target);
        sim.run_until(|sim| sim.is_connected(asker, target));
        let flows = flows(sim, asker, target);
        for number in 0..40_u8 {
            flows.iter().for_each(|(from, to, flow)| sim.send(*from, *to, *flow, &[number; 900]));
            sim.run_for(Duration::from_millis(20));
        }
        sim.run_until(|sim| [asker, target].iter().all(|end| sim.messages(*end).len() == 40));
        let sent: Vec<Vec<u8>> = (0..40_u8).map(|number| vec![number; 900]).collect();
        assert_eq!([sim.messages(asker), sim.messages(target)], [&sent[..]; 2], "once, in order, intact");
        assert!(relayed(sim) >= 80);
    });
}

#[test]
fn without_a_relay_they_do_not_meet() {
    for_seeds(3, |sim| {
        let (server, asker, target) = scene(sim);
        sim.relay = None;
        look_up(sim, server, asker, target);
        sim.run_for(Duration::from_secs(96));
        assert!(!sim.is_connected(asker, target));
    });
}

#[test]
fn peers_that_meet_directly_are_not_relayed() {
    for_seeds(40, |sim| {
        sim.all_links(Link::default().delay(40));
        sim.with_relay();
        let (server, asker, target) = (sim.server(), sim.peer_behind_nat(), sim.peer_behind_nat());
        sim.connect(asker, server);
        sim.connect(target, server);
        look_up(sim, server, asker, target);
        sim.run_until(|sim| sim.is_connected(asker, target));
        let flows = flows(sim, asker, target);
        flows.iter().for_each(|(from, to, flow)| sim.send(*from, *to, *flow, b"direct"));
        sim.run_until(|sim| [asker, target].iter().all(|end| sim.messages(*end).len() == 1));
        assert_eq!((relayed(sim), sim.relay.as_ref().expect("a relay").pairs.counts().made), (0, 0));
    });
}

/// A program that talks to a peer all the time. When it has heard nothing for three seconds, it gives up its session and looks for the peer again.
const PATIENCE: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(200);

#[test]
fn a_session_whose_side_gets_another_address_is_replaced_within_seconds() {
    for_seeds(500, |sim| {
        let (server, asker, target) = scene(sim);
        look_up(sim, server, asker, target);
        sim.run_until(|sim| sim.is_connected(asker, target));
        let talk = |sim: &mut Sim| {
            for (from, to, flow) in flows(sim, asker, target) {
                sim.send(from, to, flow, b"here");
            }
        };
        talk(sim);
        sim.run_until(|sim| !sim.messages(asker).is_empty() && !sim.messages(target).is_empty());
        let moved = if sim.dice.below(2) == 0 { asker } else { target };
        sim.rebind(moved);
        let rebound = sim.elapsed();
        let (mut heard, mut at) = ([sim.messages(asker).len(), sim.messages(target).len()], sim.elapsed());
        while sim.elapsed() - at < PATIENCE {
            talk(sim);
            sim.run_for(PAUSE);
            let now = [sim.messages(asker).len(), sim.messages(target).len()];
            if now[0] > heard[0] && now[1] > heard[1] {
                (heard, at) = (now, sim.elapsed());
            }
            assert!(sim.elapsed() - rebound < Duration::from_secs(60), "a pinned side moves by a new attempt alone");
        }
        for (end, other) in [(asker, target), (target, asker)] {
            if let Some(session) = sim.session_of(end, other) {
                sim.with(end, |endpoint, now| endpoint.abort(now, session));
            }
            // What it says to the server shows the server where it is now.
            let flow = sim.open_flow(end, server, b"away");
            sim.send(end, server, flow, b"lost my peer");
        }
        look_up(sim, server, asker, target);
        sim.run_until(|sim| sim.is_connected(asker, target));
        let before = [sim.messages(asker).len(), sim.messages(target).len()];
        talk(sim);
        sim.run_until(|sim| sim.messages(asker).len() > before[0] && sim.messages(target).len() > before[1]);
        let took = sim.elapsed() - rebound;
        assert!(took < Duration::from_secs(45), "{took:?}");
    });
}

#[test]
fn nothing_is_left_of_pairs_whose_peers_have_parted() {
    for_seeds(10, |sim| {
        let (server, asker, target) = scene(sim);
        look_up(sim, server, asker, target);
        sim.run_until(|sim| sim.is_connected(asker, target));
        for end in [asker, target] {
            sim.with(end, |endpoint, now| endpoint.abort_all(now));
        }
        sim.run_for(Duration::from_secs(120));
        let relay = sim.relay.as_mut().expect("a relay");
        // The pair is looked at when it could be over.
        while let Some(at) = relay.pairs.next_timeout() {
            relay.pairs.handle_timeout(at);
        }
        let ended = [End::Idle, End::Unopened].map(|cause| relay.pairs.counts().ended(cause));
        assert_eq!((relay.pairs.len(), ended.iter().sum::<u64>()), (0, 1));
    });
}
