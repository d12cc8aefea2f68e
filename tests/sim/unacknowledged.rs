//! A server does not keep messages for ever for clients that do not acknowledge them, nor more in all than it may.

use std::time::Duration;

use rtmfp::flow::{FlowConfig, FlowOptions};
use rtmfp::{CloseReason, Config};

use crate::network::{NodeId, Sim, for_seeds};

/// From now on the client takes in nothing but pings: it acknowledges no message, and stays.
fn stop_reading(sim: &mut Sim, client: NodeId) {
    let to = sim.address(client);
    // Packets with messages are long here, pings short.
    sim.filter(move |packet| packet.to != to || packet.data.len() < 200);
}

#[test]
fn a_client_that_answers_pings_and_acknowledges_nothing_is_closed_after_two_minutes() {
    for_seeds(3, |sim| {
        let (server, client) = (sim.server(), sim.peer());
        let (_, at_server) = sim.connect(client, server);
        stop_reading(sim, client);
        let flow = sim.open_flow(server, client, b"answers");
        for _ in 0..10 {
            sim.send(server, client, flow, &[7; 100_000]);
        }
        assert!(sim.get(server).endpoint.bytes_buffered() >= 1_000_000);
        sim.run_for(Duration::from_secs(110));
        assert!(sim.is_connected(server, client), "its pings come through");
        sim.run_for(Duration::from_secs(20));
        assert_eq!(sim.closed(server, at_server), Some(CloseReason::Unacknowledged));
        assert_eq!(sim.get(server).endpoint.bytes_buffered(), 0);
    });
}

#[test]
fn a_client_that_acknowledges_now_and_then_stays() {
    for_seeds(3, |sim| {
        let (server, client) = (sim.server(), sim.peer());
        sim.connect(client, server);
        let flow = sim.open_flow(server, client, b"answers");
        for _ in 0..5 {
            stop_reading(sim, client);
            sim.send(server, client, flow, &[7; 5000]);
            sim.run_for(Duration::from_secs(60));
            sim.filter(|_| true);
            sim.run_for(Duration::from_secs(30));
        }
        sim.run_for(Duration::from_secs(300));
        assert!(sim.is_connected(server, client));
        assert_eq!(sim.messages(client).len(), 5);
    });
}

#[test]
fn when_all_hold_too_much_the_sessions_that_hold_most_are_closed_and_the_others_stay() {
    for_seeds(3, |sim| {
        let identity = sim.new_identity();
        let server = sim.node(Config { max_buffered: 2_000_000, ..Config::server(vec![identity]) });
        let clients: Vec<NodeId> = (0..6).map(|_| sim.peer()).collect();
        let mut closed = 0;
        for (number, &client) in clients.iter().enumerate() {
            let (_, at_server) = sim.connect(client, server);
            let to = sim.address(client);
            if number > 0 {
                continue;
            }
            // The first client holds little, and its messages wait too.
            sim.filter(move |packet| packet.to != to || packet.data.len() < 200);
            let flow = sim.open_flow(server, client, b"modest");
            sim.send(server, client, flow, &[7; 50_000]);
            assert!(sim.closed(server, at_server).is_none());
        }
        sim.filter(|packet| packet.data.len() < 200);
        for &client in &clients[1..] {
            let flow = sim.open_flow(server, client, b"greedy");
            let session = sim.session(server, client);
            for _ in 0..9 {
                let _ = sim.with(server, |endpoint, now| {
                    endpoint.send(now, session, flow, vec![7; 100_000], rtmfp::flow::Delivery::default())
                });
            }
        }
        assert!(sim.get(server).endpoint.bytes_buffered() <= 2_000_000);
        for &client in &clients[1..] {
            closed += usize::from(sim.session_of(server, client).is_none());
        }
        assert!((1..5).contains(&closed), "{closed}");
        assert_eq!(sim.get(server).endpoint.counters().cut, closed as u64);
        assert!(sim.session_of(server, clients[0]).is_some(), "the modest one stays");
    });
}

/// All together may hold 1,000,000 bytes; when they hold more, sessions are closed until they hold 875,000 or less. Each case: kilobytes
/// held by sessions of one network and by sessions of networks of their own, the last of which goes beyond; and those closed.
#[test]
fn room_is_made_by_the_heaviest_session_of_the_heaviest_network_again_and_again() {
    let cases: [(&[usize], &[usize], &[usize]); 3] = [
        // No session of the network holds as much as the one alone.
        (&[200, 250, 150], &[330, 100], &[250]),
        // Twice from the same network, for an eighth is to be free.
        (&[110, 130, 100, 120], &[201, 202, 160], &[130, 120]),
        // Without its heaviest session the network is not the heaviest any more.
        (&[150, 130, 140], &[330, 200, 101], &[150, 330]),
    ];
    for (of_one, alone, expected) in cases {
        for_seeds(1, |sim| {
            let identity = sim.new_identity();
            let server = sim.node(Config { max_buffered: 1_000_000, ..Config::server(vec![identity]) });
            let mut clients = Vec::new();
            for (port, &held) in (40_000..).zip(of_one) {
                clients.push((sim.peer_at(([192, 0, 2, 200], port).into()), held));
            }
            alone.iter().for_each(|&held| clients.push((sim.peer(), held)));
            let ids: Vec<_> = clients.iter().map(|(client, _)| sim.connect(*client, server).1).collect();
            sim.filter(|packet| packet.data.len() < 200);
            for &(client, held) in &clients {
                let flow = sim.open_flow(server, client, b"waiting");
                sim.send(server, client, flow, &vec![7; held * 1000]);
            }
            for ((_, held), id) in clients.iter().zip(ids) {
                let reason = expected.contains(held).then_some(CloseReason::Buffers);
                assert_eq!(sim.closed(server, id), reason, "{held} of {of_one:?} {alone:?}");
            }
        });
    }
}

#[test]
fn all_flows_of_a_session_together_queue_no_more_than_it_may() {
    for_seeds(1, |sim| {
        let identity = sim.new_identity();
        let flow = FlowConfig { session_send_buffer: 300_000, send_buffer: 100_000, ..FlowConfig::default() };
        let server = sim.node(Config { flow: flow.into(), ..Config::server(vec![identity]) });
        let client = sim.peer();
        let (_, session) = sim.connect(client, server);
        let mut queued = 0;
        for _ in 0..20 {
            queued += sim.with(server, |endpoint, now| {
                let flow = endpoint.open_flow(now, session, b"one of many", FlowOptions::default()).expect("room");
                let message = vec![7; 40_000];
                usize::from(endpoint.send(now, session, flow, message, rtmfp::flow::Delivery::default()).is_ok())
            });
        }
        assert_eq!(queued, 7);
        sim.run_for(Duration::from_secs(30));
        assert_eq!(sim.messages(client).len(), 7);
    });
}
