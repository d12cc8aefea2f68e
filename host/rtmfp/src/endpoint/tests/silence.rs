//! What counts as a sign of life, when an end asks for one, and when it gives the other up (RFC 7016 §3.5.4.1).

use std::time::Duration;

use super::bench::*;
use super::pair::*;
use crate::config::Config;
use crate::endpoint::occupant::Occupant;
use crate::event::CloseReason;
use crate::flow::{Delivery, FlowOptions};
use crate::wire::chunk::kind;
use crate::wire::{Mode, PacketHeader};

#[test]
fn keepalive_pings_are_empty_and_further_apart_while_none_is_answered() {
    let mut pair = pair_of(Config { keepalive: Duration::from_secs(10), unacknowledged_limit: None, ..server(1) });
    pair.bench.nodes[pair.client].is_dead = true;
    pair.bench.pass(Duration::from_secs(7));
    let pings = pair.pings(Duration::from_secs(80));
    let waits: Vec<_> = pings.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // The timeout begins at 3 s, as nothing is measured yet, and grows by the root of 2, up to 10 s.
    let expected = [3000, 4242, 6000, 8485, 10_000, 10_000];
    assert!(
        waits.len() >= expected.len()
            && waits.iter().zip(expected).all(|(wait, expected)| wait.abs_diff(expected) <= 3),
        "{waits:?}"
    );
}

#[test]
fn an_address_that_another_endpoint_speaks_from_is_pinged_once_until_it_answers() {
    let mut pair = pair();
    for round in 0..10 {
        let mut sent = Vec::new();
        for attempt in 0..3 {
            let keying = pair.bench.keying_from(pair.server, address(1), 100 + 3 * round + attempt);
            sent.extend(pair.bench.deliver(pair.server, address(1), &keying));
        }
        let to_client: Vec<_> = sent.iter().filter(|sent| sent.to == address(1)).cloned().collect();
        let pings = pair.chunks(&to_client).iter().filter(|(kind, _)| *kind == kind::PING).count();
        assert_eq!(pings, 1, "in round {round}");
        // The holder answers, so that it is above suspicion again.
        pair.bench.exchange(sent);
        pair.bench.pass(Duration::from_millis(100));
    }
    assert_eq!(pair.bench.endpoint(pair.server).counters().address_taken, 30);
    assert!(pair.is_open());
}

#[test]
fn a_silent_holder_of_an_address_is_given_up_10_seconds_after_another_spoke_from_there() {
    for is_dead in [true, false] {
        let mut pair = pair();
        pair.bench.nodes[pair.client].is_dead = is_dead;
        for round in 0..4 {
            let keying = pair.bench.keying_from(pair.server, address(1), 100 + round);
            let sent = pair.bench.deliver(pair.server, address(1), &keying);
            pair.bench.exchange(sent);
            assert!(pair.is_open());
            pair.bench.pass(Duration::from_millis(2475));
        }
        pair.bench.pass(Duration::from_millis(99));
        assert!(pair.is_open());
        pair.bench.pass(Duration::from_millis(2));
        assert_eq!(pair.is_open(), !is_dead, "each sign of life ends the suspicion");
        let reasons = pair.bench.closed(pair.server);
        assert_eq!(reasons, if is_dead { vec![CloseReason::Silence] } else { vec![] });
    }
}

#[test]
fn an_initiator_is_sure_of_its_session_when_something_of_its_own_is_answered() {
    let echo = PacketHeader { timestamp_echo: Some(0), ..PacketHeader::new(Mode::Responder) };
    let plain = PacketHeader::new(Mode::Responder);
    let ack: (u8, &[u8]) = (kind::ACK_RANGES, &[2, 0x7f, 0]);
    for (header, chunk, is_sure) in [
        (plain, ack, true),
        (plain, (kind::PING_REPLY, &b""[..]), true),
        (plain, (kind::PING_REPLY, &b"X"[..]), true),
        (echo, (kind::PING, &b"?"[..]), true),
        (plain, (kind::PING, &b"?"[..]), false),
        (plain, (kind::CLOSE, &b""[..]), false),
    ] {
        let mut bench = Bench::new();
        let (server, client) = (bench.add(server(1)), bench.add(peer(2)));
        let (id, sent) = bench.open(client, server, &[address(0)]);
        bench.exchange(sent);
        bench.nodes[server].is_dead = true;
        let mut sealer = bench.far_sealer(server);
        let data = packet(&mut sealer, id, header, &[chunk]);
        bench.deliver(client, address(0), &data);
        bench.sent.clear();
        bench.pass(Duration::from_millis(1100));
        let sent = std::mem::take(&mut bench.sent);
        let pings =
            sent.iter().flat_map(|sent| bench.opened(server, sent)).filter(|(kind, _)| *kind == kind::PING).count();
        let is_closed = chunk.0 == kind::CLOSE;
        assert_eq!(pings, usize::from(!is_sure && !is_closed), "{chunk:?}");
    }
}

#[test]
fn a_timeout_without_an_acknowledgement_makes_the_next_one_longer() {
    let mut pair = pair();
    pair.bench.nodes[pair.client].is_dead = true;
    let at_server = pair.at_server;
    let erto = |bench: &Bench, server: usize| match bench.endpoint(server).slots.get(at_server) {
        Some(Occupant::Session(session)) => session.rtt().timeout().as_millis(),
        _ => 0,
    };
    assert_eq!(erto(&pair.bench, pair.server), 3000);
    pair.bench.ask(pair.server, |endpoint, now| {
        let flow = endpoint.open_flow(now, at_server, b"", FlowOptions::default()).unwrap();
        endpoint.send(now, at_server, flow, b"lost", Delivery::default()).unwrap();
    });
    let mut seen = Vec::new();
    for _ in 0..230 {
        pair.bench.pass(Duration::from_millis(100));
        let now = erto(&pair.bench, pair.server);
        if seen.last() != Some(&now) {
            seen.push(now);
        }
    }
    assert_eq!(seen[..4], [3000, 4242, 5999, 8485], "{seen:?}");
}

/// The server of a pair, whose client is in doubt and does not answer, stands still for a minute.
fn in_doubt_after_a_standstill() -> Pair {
    let mut pair = pair();
    let keying = pair.bench.keying_from(pair.server, address(1), 100);
    let asked = pair.bench.deliver(pair.server, address(1), &keying);
    assert!(pair.chunks(&asked).contains(&(kind::PING, vec![])));
    // The ping or its reply is lost, and nobody comes when the next thing is due.
    pair.bench.now = pair.bench.endpoint(pair.server).poll_timeout().unwrap() + Duration::from_secs(60);
    pair
}

#[test]
fn a_holder_of_an_address_that_is_in_doubt_is_asked_again_after_a_standstill() {
    let mut pair = in_doubt_after_a_standstill();
    pair.bench.pass(Duration::from_secs(120));
    assert!(pair.is_open());
    assert_eq!(pair.bench.closed(pair.server), []);
}

#[test]
fn a_holder_of_an_address_that_is_in_doubt_is_given_up_if_it_answers_nothing_after_a_standstill() {
    let mut pair = in_doubt_after_a_standstill();
    pair.bench.nodes[pair.client].is_dead = true;
    // Nothing is measured yet, so a reply may take 3 s, and then longer.
    let resumed = pair.bench.now;
    let pings = pair.pings(Duration::from_millis(9999));
    assert!(pings.len() == 3 && pings[0] <= 2 && pings[1].abs_diff(3000) <= 4, "{pings:?}");
    pair.bench.pass(resumed + Duration::from_millis(9999) - pair.bench.now);
    assert!(pair.is_open());
    pair.bench.pass(Duration::from_millis(2));
    assert_eq!(pair.bench.closed(pair.server), [CloseReason::Silence]);
}
