//! Idle sessions stay, at little cost (RFC 7016 §3.5.4.1).

use std::time::Duration;

use crate::network::{Link, for_seeds};

#[test]
fn an_idle_session_lives_for_an_hour_on_few_pings() {
    for_seeds(3, |sim| {
        sim.all_links(Link::default().loss(0.1));
        let (server, client) = (sim.server(), sim.peer_behind_nat());
        sim.connect(client, server);
        sim.recorded = Some(Vec::new());
        sim.run_for(Duration::from_secs(3600));
        assert!(sim.is_connected(client, server));
        let packets = sim.recorded.as_ref().map_or(0, Vec::len);
        // A ping every 15 s and its reply; some are repeated because one was lost.
        assert!((2 * 230..2 * 330).contains(&packets), "{packets}");
    });
}

#[test]
fn a_busy_session_is_not_pinged() {
    for_seeds(1, |sim| {
        let (server, client) = (sim.server(), sim.peer());
        sim.connect(client, server);
        let flow = sim.open_flow(client, server, b"");
        sim.recorded = Some(Vec::new());
        for _ in 0..300 {
            sim.send(client, server, flow, b"x");
            sim.run_for(Duration::from_secs(1));
        }
        // Each message and its acknowledgement, nothing else.
        assert_eq!(sim.recorded.as_ref().map(Vec::len), Some(600));
    });
}

#[test]
fn the_applications_pings_come_back() {
    for_seeds(1, |sim| {
        let (server, client) = (sim.server(), sim.peer());
        let (_, id) = sim.connect(client, server);
        assert!(sim.with(server, |endpoint, now| endpoint.ping(now, id, b"are you there")));
        sim.run_until(|sim| {
            sim.get(server).events.iter().any(|(_, event)| {
                matches!(event, rtmfp::Event::Pong { session, message } if *session == id && message == b"are you there")
            })
        });
    });
}

#[test]
fn pings_without_an_answer_come_more_and_more_seldom() {
    for_seeds(1, |sim| {
        let (server, client) = (sim.server(), sim.peer());
        sim.connect(client, server);
        sim.run_for(Duration::from_secs(10));
        sim.get_mut(server).is_dead = true;
        sim.recorded = Some(Vec::new());
        sim.run_for(Duration::from_secs(60));
        // From 15 s on until 60 s: at first 2 s apart, at last 10 s; then the close.
        let packets = sim.recorded.as_ref().map_or(0, Vec::len);
        assert!((6..=13).contains(&packets), "{packets}");
        assert_eq!(sim.session_count(client), 0);
    });
}

#[test]
fn an_end_that_stood_still_longer_than_its_silence_limit_keeps_the_sessions_of_peers_that_are_there() {
    for_seeds(20, |sim| {
        let (server, client) = (sim.server(), sim.peer());
        sim.connect(client, server);
        let until = sim.dice.below(60_000);
        sim.run_for(Duration::from_millis(until));
        // Packets that come meanwhile are lost, as when the buffers of its sockets are full.
        sim.get_mut(client).is_dead = true;
        sim.run_for(Duration::from_secs(90));
        sim.get_mut(client).is_dead = false;
        sim.run_for(Duration::from_secs(300));
        assert!(sim.is_connected(client, server));
    });
}

#[test]
fn a_peer_that_vanished_while_this_end_stood_still_is_given_up_after_the_silence_limit() {
    for_seeds(20, |sim| {
        let (server, client) = (sim.server(), sim.peer());
        let (at_client, _) = sim.connect(client, server);
        sim.get_mut(client).is_dead = true;
        sim.run_for(Duration::from_secs(90));
        sim.get_mut(server).is_dead = true;
        sim.get_mut(client).is_dead = false;
        let resumed = sim.elapsed();
        sim.run_until(|sim| sim.closed(client, at_client).is_some());
        assert_eq!(sim.closed(client, at_client), Some(rtmfp::CloseReason::Silence));
        let waited = sim.elapsed() - resumed;
        // The time until the next ping was due counts; the rest, for which it was late, does not.
        assert!(waited >= Duration::from_secs(44) && waited <= Duration::from_secs(61), "{waited:?}");
    });
}

#[test]
fn an_end_that_stood_still_when_its_patience_was_almost_over_waits_for_another_10_seconds() {
    for_seeds(20, |sim| {
        let (server, client) = (sim.server(), sim.peer());
        let (at_client, _) = sim.connect(client, server);
        sim.get_mut(server).is_dead = true;
        sim.run_for(Duration::from_secs(57));
        sim.get_mut(client).is_dead = true;
        sim.run_for(Duration::from_secs(90));
        sim.get_mut(client).is_dead = false;
        let resumed = sim.elapsed();
        sim.run_until(|sim| sim.closed(client, at_client).is_some());
        let waited = sim.elapsed() - resumed;
        assert!(waited >= Duration::from_secs(10) && waited <= Duration::from_secs(11), "{waited:?}");
    });
}
