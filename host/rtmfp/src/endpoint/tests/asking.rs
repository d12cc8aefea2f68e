//! What the application asks of all sessions, and what it learns of one.

use std::time::Duration;

use super::bench::*;
use super::pair::*;
use crate::config::Config;
use crate::crypto::{Epd, Identity};
use crate::event::{CloseReason, Deny, Event, OpenFailure};
use crate::wire::chunk::{ForwardedIHello, RIKeying, kind};

#[test]
fn all_sessions_and_attempts_end_at_once_or_in_order() {
    for is_abrupt in [true, false] {
        let mut bench = Bench::new();
        let node = bench.add(server(1));
        let others = [2, 3].map(|seed| bench.add(peer(seed)));
        for other in others {
            bench.connect(other, node);
        }
        let (attempt, _) = bench.open(node, others[0], &[stranger(1)]);
        let end = |endpoint: &mut crate::Endpoint, now| {
            if is_abrupt { endpoint.abort_all(now) } else { endpoint.close_all(now) }
        };
        let (_, sent) = bench.ask(node, end);
        assert_eq!(bench.closed(node), [CloseReason::Near; 2]);
        let failed = bench.nodes[node].events.iter().any(
            |event| matches!(event, Event::OpenFailed { session, reason: OpenFailure::Aborted } if *session == attempt),
        );
        assert!(failed);
        assert_eq!(bench.endpoint(node).session_count(), if is_abrupt { 0 } else { 2 });
        bench.exchange(sent);
        assert_eq!(bench.endpoint(node).session_count(), 0);
        let reason = if is_abrupt { CloseReason::FarAbrupt } else { CloseReason::Far };
        assert!(others.iter().all(|other| bench.closed(*other) == [reason]), "{is_abrupt}");
    }
}

#[test]
fn when_a_session_was_heard_is_known_while_it_is_open() {
    let mut pair = pair();
    pair.bench.pass(Duration::from_secs(5));
    let now = pair.bench.now;
    pair.client_says(&[(kind::PING, b"?")]);
    pair.bench.pass(Duration::from_secs(5));
    let (server, at_server) = (pair.server, pair.at_server);
    let heard = |pair: &Pair| {
        let endpoint = pair.bench.endpoint(server);
        (endpoint.heard(at_server), endpoint.session(at_server).map(|session| session.heard))
    };
    assert_eq!(heard(&pair), (Some(now), Some(now)));
    // Its close is not answered, so that it keeps its place.
    pair.bench.ask(server, |endpoint, now| endpoint.close(now, at_server));
    assert_eq!(pair.bench.endpoint(server).session_count(), 1);
    assert_eq!(heard(&pair), (None, None));
}

#[test]
fn a_peer_id_is_proven_by_a_packet_under_keys_of_a_certificate_with_static_keys() {
    let mut rng = <rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::seed_from_u64(3);
    let fixed = std::sync::Arc::new(Identity::fixed(&[crate::crypto::Group::Modp2], &mut rng));
    for (client, is_provable) in [(fixed, true), (identity(2), false)] {
        let mut bench = Bench::new();
        let (server, client) = (bench.add(server(1)), bench.add(readable(Config::peer(client))));
        let (id, sent) = bench.open(client, server, &[address(0)]);
        bench.exchange(sent);
        let at_server = bench.session_with(server, client).expect("a session");
        let is_proven = |bench: &Bench| bench.endpoint(server).session(at_server).map(|session| session.is_proven);
        assert_eq!(is_proven(&bench), Some(false), "everybody can show a certificate");
        bench.with(client, |endpoint, now| endpoint.ping(now, id, b"?"));
        assert_eq!(is_proven(&bench), Some(is_provable));
    }
}

#[test]
fn a_lookup_is_forwarded_as_it_came_or_for_another_target() {
    let mut pair = pair();
    let target = identity(5).peer_id();
    let question = hello(&Epd::fingerprint(target), &[3; 16]);
    pair.bench.deliver(pair.server, stranger(1), &question);
    let Some(Event::Lookup(mut asked)) = pair.bench.nodes[pair.server].events.pop() else { panic!("a lookup") };
    let at_server = pair.at_server;
    for other in [target, identity(6).peer_id()] {
        asked.set_target(other);
        assert_eq!(asked.target, Some(other));
        let (forwarded, sent) = pair.bench.ask(pair.server, |endpoint, now| endpoint.forward(now, at_server, &asked));
        assert_eq!(forwarded, Ok(()));
        let [(kind::FORWARDED_IHELLO, payload)] = &pair.chunks(&sent)[..] else { panic!("a forwarded hello") };
        let forwarded = ForwardedIHello::parse(payload).expect("a hello");
        assert_eq!((forwarded.epd, forwarded.tag), (&Epd::fingerprint(other)[..], &[3; 16][..]));
        assert_eq!(forwarded.reply_address.address, stranger(1));
    }
    let (denied, _) = pair.bench.ask(pair.server, |endpoint, now| {
        endpoint.abort(now, at_server);
        endpoint.forward(now, at_server, &asked)
    });
    assert_eq!(denied, Err(Deny::NoSession));
}

/// The key of a session is as secret as the randomness that it is made of.
#[test]
fn no_two_keyings_of_an_endpoint_use_the_same_randomness() {
    let mut bench = Bench::new();
    let node = bench.add(server(1));
    let mut seen = std::collections::HashSet::new();
    for host in 1..=3 {
        let keying = bench.keying_from(node, stranger(host), u32::from(host));
        let answer = bench.deliver(node, stranger(host), &keying);
        let (_, payload) = read(&answer[0]);
        assert!(seen.insert(RIKeying::parse(&payload).expect("an answer").component.to_vec()));
    }
    // Nor do two endpoints of different seeds.
    let other = bench.add(server(1));
    let keying = bench.keying_from(other, stranger(1), 1);
    let answer = bench.deliver(other, stranger(1), &keying);
    assert!(seen.insert(RIKeying::parse(&read(&answer[0]).1).expect("an answer").component.to_vec()));
}
