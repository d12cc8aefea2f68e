//! Peers meet through a server that knows both (RFC 7016 §3.5.1.4 to §3.5.1.6).

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use rtmfp::OpenFailure;

use crate::network::{Introduction, Link, NodeId, Sim, for_seeds};

/// The server's link to one of the peers is slow, so that its packets arrive there later than those of the other peer.
fn vary_delays(sim: &mut Sim, server: NodeId, a: NodeId, b: NodeId) {
    let delays = [(20, 20), (400, 20), (20, 400), (3000, 20), (20, 3000)];
    let (to_a, to_b) = delays[sim.dice.below(5) as usize];
    sim.one_way(server, a, Link::default().delay(to_a));
    sim.one_way(server, b, Link::default().delay(to_b));
}

/// Lets `a` open a session to `b`, which only the server knows, and checks that they can talk.
fn introduce(sim: &mut Sim, server: NodeId, a: NodeId, b: NodeId) {
    sim.connect(a, server);
    sim.connect(b, server);
    vary_delays(sim, server, a, b);
    let by = sim.address(server);
    sim.open_by(a, b, &[by]);
    sim.run_until(|sim| sim.is_connected(a, b));
    let flow = sim.open_flow(b, a, b"met");
    sim.send(b, a, flow, b"pleased");
    sim.run_until(|sim| sim.messages(a) == [b"pleased"]);
    assert_eq!((sim.session_count(a), sim.session_count(b)), (2, 2));
}

#[test]
fn peers_with_public_addresses_meet() {
    for_seeds(20, |sim| {
        let (server, a, b) = (sim.server(), sim.peer(), sim.peer());
        introduce(sim, server, a, b);
    });
}

#[test]
fn peers_behind_nats_meet_whichever_word_comes_first() {
    for_seeds(40, |sim| {
        let (server, a, b) = (sim.server(), sim.peer_behind_nat(), sim.peer_behind_nat());
        introduce(sim, server, a, b);
    });
}

#[test]
fn peers_behind_nats_meet_over_lossy_paths() {
    for_seeds(60, |sim| {
        sim.all_links(Link::default().loss(0.15).jitter(40).duplicate(0.05));
        let (server, a, b) = (sim.server(), sim.peer_behind_nat(), sim.peer_behind_nat());
        introduce(sim, server, a, b);
    });
}

#[test]
fn a_redirect_alone_suffices_without_nats() {
    for_seeds(5, |sim| {
        let (server, a, b) = (sim.server(), sim.peer(), sim.peer());
        sim.get_mut(server).introduction = Introduction { redirects: true, forwards: false };
        introduce(sim, server, a, b);
    });
}

#[test]
fn a_forwarded_hello_alone_suffices_without_nats() {
    for_seeds(5, |sim| {
        let (server, a, b) = (sim.server(), sim.peer(), sim.peer());
        sim.get_mut(server).introduction = Introduction { redirects: false, forwards: true };
        introduce(sim, server, a, b);
    });
}

#[test]
fn a_redirect_alone_does_not_pass_a_nat() {
    for_seeds(3, |sim| {
        let (server, a, b) = (sim.server(), sim.peer_behind_nat(), sim.peer_behind_nat());
        sim.get_mut(server).introduction = Introduction { redirects: true, forwards: false };
        sim.connect(a, server);
        sim.connect(b, server);
        let by = sim.address(server);
        let id = sim.open_by(a, b, &[by]);
        sim.run_for(Duration::from_secs(96));
        assert_eq!(sim.failure(a, id), Some(OpenFailure::NoAnswer));
    });
}

#[test]
fn addresses_that_lead_nowhere_do_no_harm() {
    for_seeds(10, |sim| {
        let (server, a, b) = (sim.server(), sim.peer_behind_nat(), sim.peer_behind_nat());
        let unreachable =
            ["0.0.0.0:1935", "255.255.255.255:1", "203.0.113.9:0", "[::]:9", "239.1.2.3:4", "[ff02::1]:7"];
        let nowhere = (0..40).map(|host| format!("192.0.2.{host}:{}", 1000 + host)).collect::<Vec<_>>();
        let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let nowhere = addresses(&nowhere.iter().map(String::as_str).collect::<Vec<_>>());
        let unreachable = addresses(&unreachable);
        sim.get_mut(server).extra_addresses = [&unreachable[..], &nowhere[..]].concat();
        sim.recorded = Some(Vec::new());
        introduce(sim, server, a, b);
        let sent: BTreeSet<SocketAddr> = sim.recorded.iter().flatten().map(|packet| packet.to).collect();
        assert!(unreachable.iter().all(|address| !sent.contains(address)), "{sent:?}");
        // 24 candidates: the server, where it sees the peer, and the first that it reports and that can be sent to.
        let tried = nowhere.iter().filter(|address| sent.contains(address)).count();
        assert_eq!(tried, 22);
        assert!(nowhere[..22].iter().all(|address| sent.contains(address)));
    });
}

#[test]
fn for_an_unknown_peer_there_is_silence_for_95_seconds() {
    for_seeds(1, |sim| {
        let (server, a, b) = (sim.server(), sim.peer(), sim.peer());
        sim.connect(a, server);
        let begun = sim.elapsed();
        let by = sim.address(server);
        let id = sim.open_by(a, b, &[by]);
        sim.run_until(|sim| sim.failure(a, id).is_some());
        assert_eq!(sim.failure(a, id), Some(OpenFailure::NoAnswer));
        assert_eq!(sim.elapsed() - begun, Duration::from_secs(95));
        assert_eq!((sim.session_count(a), sim.session_count(server)), (1, 1));
        // RFC 7016 §3.5.1.1.1: each wait is at least 1.5 s longer than the one before it.
        assert!((8..=12).contains(&sim.lookups(server)), "{}", sim.lookups(server));
    });
}
