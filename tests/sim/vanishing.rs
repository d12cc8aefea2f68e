//! Peers that vanish, at any moment: what is left comes to the end that RFC 7016 §3.5 names, when it is due.

use std::time::Duration;

use rtmfp::wire::chunk::kind;
use rtmfp::{CloseReason, OpenFailure};

use crate::network::{Link, NodeId, Sim, for_seeds, startup_kind};

/// `Config::silence_limit` of a peer.
const SILENCE: Duration = Duration::from_secs(60);
/// `Config::silence_limit` of a server.
const SERVER_SILENCE: Duration = Duration::from_secs(120);
/// How long a server waits for the first packet under the session keys.
const FIRST_PACKET_LIMIT: Duration = Duration::from_secs(20);

fn exchange_for(sim: &mut Sim, a: NodeId, b: NodeId, millis: u64) {
    let (there, back) = (sim.open_flow(a, b, b""), sim.open_flow(b, a, b""));
    sim.send(a, b, there, &[1; 500_000]);
    sim.send(b, a, back, &[2; 500_000]);
    sim.run_for(Duration::from_millis(millis));
}

fn assert_nothing_left(sim: &mut Sim, node: NodeId) {
    assert_eq!(sim.session_count(node), 0);
    // A timer of a session that is gone may still go off, once.
    sim.run_for(SERVER_SILENCE);
    assert_eq!(sim.get(node).wake, None, "nothing is left to wake up for");
}

#[test]
fn a_peer_that_vanishes_during_heavy_data_is_given_up_after_the_silence_limit() {
    for_seeds(20, |sim| {
        let (a, b) = (sim.peer(), sim.peer());
        let (at_a, _) = sim.connect(a, b);
        let until = sim.dice.below(3000);
        exchange_for(sim, a, b, until);
        sim.get_mut(b).is_dead = true;
        let vanished = sim.elapsed();
        sim.run_until(|sim| sim.closed(a, at_a).is_some());
        assert_eq!(sim.closed(a, at_a), Some(CloseReason::Silence));
        let waited = sim.elapsed() - vanished;
        assert!(waited > SILENCE - Duration::from_secs(16) && waited <= SILENCE + Duration::from_millis(100));
        assert_nothing_left(sim, a);
    });
}

#[test]
fn both_ends_of_a_path_that_is_cut_give_up_and_may_meet_again_later() {
    for_seeds(20, |sim| {
        let (server, client) = (sim.server(), sim.peer());
        let (at_client, at_server) = sim.connect(client, server);
        let until = sim.dice.below(1000);
        exchange_for(sim, client, server, until);
        sim.filter(|_| false);
        sim.run_for(SERVER_SILENCE + Duration::from_millis(100));
        assert_eq!(sim.closed(client, at_client), Some(CloseReason::Silence));
        assert_eq!(sim.closed(server, at_server), Some(CloseReason::Silence));
        assert_nothing_left(sim, client);
        assert_nothing_left(sim, server);
        sim.filter(|_| true);
        sim.connect(client, server);
        sim.run_for(Duration::from_secs(200));
        assert!(sim.is_connected(client, server));
    });
}

#[test]
fn a_path_that_is_cut_for_less_than_the_limit_costs_no_session_and_no_data() {
    for_seeds(10, |sim| {
        let (a, b) = (sim.peer(), sim.peer());
        sim.connect(a, b);
        exchange_for(sim, a, b, 100);
        sim.filter(|_| false);
        let cut = 1 + sim.dice.below(40);
        sim.run_for(Duration::from_secs(cut));
        sim.filter(|_| true);
        sim.run_until(|sim| sim.messages(b).len() == 1 && sim.messages(a).len() == 1);
        assert!(sim.messages(b)[0] == [1; 500_000] && sim.messages(a)[0] == [2; 500_000]);
        assert!(sim.is_connected(a, b));
        assert_eq!((sim.times_opened(a), sim.times_opened(b)), (1, 1));
    });
}

#[test]
fn an_end_that_can_speak_and_cannot_hear_gives_up_and_tells_the_other() {
    for_seeds(10, |sim| {
        let (a, b) = (sim.peer(), sim.peer());
        let (at_a, at_b) = sim.connect(a, b);
        exchange_for(sim, a, b, 300);
        let from_b = sim.address(b);
        sim.filter(move |packet| packet.from != from_b);
        sim.run_for(SILENCE + Duration::from_secs(1));
        assert_eq!(sim.closed(a, at_a), Some(CloseReason::Silence));
        // RFC 7016 §3.5.5: an end that closes abruptly sends a Session Close Acknowledgement.
        assert_eq!(sim.closed(b, at_b), Some(CloseReason::FarAbrupt));
        assert_nothing_left(sim, a);
        assert_nothing_left(sim, b);
    });
}

#[test]
fn a_responder_that_vanishes_before_its_keying_leaves_a_failed_attempt() {
    for_seeds(5, |sim| {
        let (a, b) = (sim.peer(), sim.peer());
        sim.filter(|packet| startup_kind(&packet.data) != Some(kind::RIKEYING));
        let id = sim.open(a, b);
        sim.run_for(Duration::from_millis(50));
        sim.get_mut(b).is_dead = true;
        sim.run_until(|sim| sim.failure(a, id).is_some());
        assert!(matches!(sim.failure(a, id), Some(OpenFailure::KeyingUnanswered(_))), "{:?}", sim.failure(a, id));
        assert_nothing_left(sim, a);
    });
}

#[test]
fn an_initiator_that_vanishes_after_its_keying_leaves_a_session_that_soon_ends() {
    for_seeds(5, |sim| {
        let (client, server) = (sim.peer(), sim.server());
        sim.open(client, server);
        sim.run_until(|sim| sim.session_count(server) == 1);
        sim.get_mut(client).is_dead = true;
        let opened = sim.elapsed();
        let id = sim.session(server, client);
        sim.run_for(FIRST_PACKET_LIMIT - Duration::from_millis(100));
        assert_eq!(sim.closed(server, id), None);
        sim.run_for(Duration::from_millis(200));
        assert_eq!(sim.closed(server, id), Some(CloseReason::Silence));
        assert!(sim.elapsed() - opened < FIRST_PACKET_LIMIT + Duration::from_secs(1));
        assert_nothing_left(sim, server);
    });
}

#[test]
fn a_client_that_restarts_elsewhere_has_two_sessions_until_the_first_dies() {
    for_seeds(5, |sim| {
        let server = sim.server();
        let identity = sim.new_identity();
        let [first, second] = [0, 1].map(|_| sim.node(rtmfp::Config::peer(std::sync::Arc::clone(&identity))));
        let (_, old) = sim.connect(first, server);
        sim.get_mut(first).is_dead = true;
        sim.open(second, server);
        sim.run_until(|sim| sim.times_opened(second) == 1 && sim.is_connected(second, server));
        sim.run_for(SERVER_SILENCE + Duration::from_secs(1));
        assert!(matches!(sim.closed(server, old), Some(CloseReason::Silence | CloseReason::Overridden)));
        assert_eq!(sim.session_count(server), 1);
        assert!(sim.is_connected(second, server), "the old one's end does not touch the new one");
    });
}

#[test]
fn many_that_vanish_at_once_are_all_cleared_away() {
    for_seeds(2, |sim| {
        sim.all_links(Link::default().loss(0.05).jitter(30));
        let server = sim.server();
        let clients: Vec<_> = (0..100).map(|_| sim.peer()).collect();
        for client in &clients {
            sim.open(*client, server);
        }
        sim.run_until(|sim| clients.iter().all(|client| sim.is_connected(*client, server)));
        for client in &clients {
            let flow = sim.open_flow(server, *client, b"news");
            sim.send(server, *client, flow, &[4; 20_000]);
            sim.get_mut(*client).is_dead = true;
        }
        sim.run_for(SERVER_SILENCE + Duration::from_secs(1));
        assert_nothing_left(sim, server);
    });
}
