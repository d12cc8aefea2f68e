//! A session survives a change of its far end's address, and moves for no other endpoint (RFC 7016 §3.5.3, §3.5.4.2).

use std::net::SocketAddr;
use std::time::Duration;

use rtmfp::crypto::Preferences;
use rtmfp::{Config, Event};

use crate::network::{Link, NodeId, Sim, for_seeds};

fn moves(sim: &Sim, node: NodeId) -> Vec<SocketAddr> {
    let events = &sim.get(node).events;
    events
        .iter()
        .filter_map(|(_, event)| match event {
            Event::AddressChanged { to, .. } => Some(*to),
            _ => None,
        })
        .collect()
}

#[test]
fn a_client_whose_nat_restarts_keeps_its_session_and_loses_nothing() {
    for_seeds(40, |sim| {
        sim.all_links(Link::default().loss(0.02));
        let (server, client) = (sim.server(), sim.peer_behind_nat());
        let (_, at_server) = sim.connect(client, server);
        let (up, down) = (sim.open_flow(client, server, b"up"), sim.open_flow(server, client, b"down"));
        let messages: Vec<Vec<u8>> = (0..60u8).map(|number| vec![number; 2000]).collect();
        let moves_at = sim.dice.below(60) as usize;
        for (place, message) in messages.iter().enumerate() {
            if place == moves_at {
                sim.rebind(client);
            }
            sim.send(client, server, up, message);
            sim.send(server, client, down, message);
            sim.run_for(Duration::from_millis(40));
        }
        sim.run_until(|sim| sim.messages(server).len() == 60 && sim.messages(client).len() == 60);
        assert_eq!(sim.messages(server), messages);
        assert_eq!(sim.messages(client), messages);
        let new: SocketAddr = "198.51.100.1:40002".parse().unwrap();
        assert_eq!(moves(sim, server), [new]);
        assert_eq!(sim.get(server).endpoint.session(at_server).unwrap().far_address, new);
        assert_eq!((sim.session_count(client), sim.times_opened(server)), (1, 1));
    });
}

#[test]
fn an_idle_client_that_moved_is_found_by_its_keepalive() {
    for_seeds(1, |sim| {
        let (server, client) = (sim.server(), sim.peer_behind_nat());
        sim.connect(client, server);
        sim.rebind(client);
        sim.run_for(Duration::from_secs(40));
        assert_eq!(moves(sim, server).len(), 1);
        let flow = sim.open_flow(server, client, b"");
        sim.send(server, client, flow, b"found you");
        sim.run_until(|sim| sim.messages(client) == [b"found you"]);
    });
}

/// A client that talks, moves and talks on; then everything that it sent comes again from elsewhere. Gives the number of packets
/// that went there.
fn replay_from_elsewhere(sim: &mut Sim, keying: Preferences) -> usize {
    let server = sim.server();
    let identity = sim.new_identity();
    let client = sim.node(Config { keying, ..Config::peer(identity) });
    sim.connect(client, server);
    sim.recorded = Some(Vec::new());
    let flow = sim.open_flow(client, server, b"");
    let (to, new) = (sim.address(server), "203.0.99.1:1935".parse().expect("an address"));
    for number in 0..50u8 {
        if number == 25 {
            sim.readdress(client, new);
        }
        sim.send(client, server, flow, &[number; 500]);
        sim.run_for(Duration::from_millis(100));
    }
    assert_eq!(moves(sim, server), [new]);
    let recorded = sim.recorded.replace(Vec::new()).unwrap_or_default();
    let elsewhere: SocketAddr = "192.0.2.66:6666".parse().expect("an address");
    for packet in recorded.iter().filter(|packet| packet.to == to) {
        sim.inject(elsewhere, to, &packet.data);
        sim.run_for(Duration::from_millis(200));
    }
    sim.run_for(Duration::from_secs(2));
    assert_eq!(moves(sim, server), [new]);
    assert!(sim.is_connected(client, server));
    assert_eq!(sim.messages(server).len(), 50);
    let sent = sim.recorded.take().unwrap_or_default();
    sent.iter().filter(|packet| packet.to == elsewhere).count()
}

#[test]
fn packets_replayed_from_elsewhere_are_known_by_their_numbers() {
    for_seeds(5, |sim| {
        let identity = sim.new_identity();
        assert_eq!(replay_from_elsewhere(sim, Config::peer(identity).keying), 0);
    });
}

#[test]
fn packets_replayed_from_elsewhere_move_nothing_without_numbers_either() {
    for_seeds(5, |sim| {
        // Each of these packets may be genuine, so there is one check a second.
        let checks = replay_from_elsewhere(sim, Preferences::default());
        assert!((1..=20).contains(&checks), "{checks}");
    });
}
