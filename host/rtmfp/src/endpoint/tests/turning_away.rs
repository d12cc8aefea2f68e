//! Hellos that are turned away: with addresses of other endpoints, or without an answer (RFC 7016 §2.3.5, §3.5.1.1.2).

use std::net::SocketAddr;

use super::bench::*;
use super::pair::*;
use crate::config::{Config, Forwarders};
use crate::crypto::Epd;
use crate::event::{CloseReason, Event};
use crate::greeting::Greeting;
use crate::wire::chunk::{Redirect, kind};
use crate::wire::{Origin, TaggedAddress};

fn elsewhere(addresses: &[SocketAddr]) -> Greeting {
    Greeting::TurnAway(addresses.iter().map(|address| TaggedAddress::new(*address, Origin::Relay)).collect())
}

fn turn_away(bench: &mut Bench, node: usize, greeting: Greeting) {
    bench.nodes[node].endpoint.set_greeting(greeting);
}

/// Where a datagram redirects to, if it is a redirect with that tag.
fn redirected(datagram: &Datagram, tag: &[u8]) -> Vec<TaggedAddress> {
    let (kind, payload) = read(datagram);
    assert_eq!(kind, kind::REDIRECT);
    let redirect = Redirect::parse(&payload).unwrap();
    assert_eq!(redirect.tag_echo, tag);
    redirect.destinations().collect()
}

#[test]
fn a_hello_is_redirected_to_the_other_endpoints_and_answered_again_when_that_is_over() {
    let mut bench = Bench::new();
    let node = bench.add(server(1));
    let to = [address(7), "[2001:db8::7]:1935".parse().unwrap()];
    turn_away(&mut bench, node, elsewhere(&to));
    for epd in [bench.epd(node), Epd::ancillary("rtmfp://a.server.example/an-application")] {
        let answers = bench.deliver(node, stranger(1), &hello(&epd, &[5; 16]));
        assert_eq!(answers.iter().map(|answer| answer.to).collect::<Vec<_>>(), [stranger(1)]);
        let told = redirected(&answers[0], &[5; 16]);
        assert_eq!(told, to.map(|address| TaggedAddress::new(address, Origin::Relay)));
    }
    let counters = bench.endpoint(node).counters();
    assert_eq!((counters.turned_away, counters.hellos, counters.lookups), (2, 0, 0));
    turn_away(&mut bench, node, Greeting::Respond);
    let epd = bench.epd(node);
    assert_eq!(kinds(&bench.deliver(node, stranger(1), &hello(&epd, &[5; 16]))), [(stranger(1), kind::RHELLO)]);
}

/// A redirect without addresses would name the endpoint itself (RFC 7016 §2.3.5).
#[test]
fn without_other_endpoints_there_is_no_answer_at_all() {
    let mut bench = Bench::new();
    let node = bench.add(server(1));
    turn_away(&mut bench, node, elsewhere(&[]));
    let epd = bench.epd(node);
    for _ in 0..5 {
        assert!(bench.deliver(node, stranger(1), &hello(&epd, &[5; 16])).is_empty());
    }
    assert_eq!(bench.endpoint(node).counters().turned_away, 5);
}

#[test]
fn a_hello_earns_as_many_addresses_as_keep_the_answer_below_three_times_its_length() {
    let many: Vec<SocketAddr> = (0..60).map(address).collect();
    let mut most = 0;
    for length in 0..400 {
        let mut bench = Bench::new();
        let node = bench.add(server(1));
        turn_away(&mut bench, node, elsewhere(&many));
        let sent = hello(&Epd::ancillary(&"x".repeat(length)), &[5; 64]);
        let answers = bench.deliver(node, stranger(1), &sent);
        assert!(answers.len() <= 1 && answers.iter().all(|answer| answer.data.len() < 3 * sent.len()), "{length}");
        let told = answers.first().map_or(0, |answer| redirected(answer, &[5; 64]).len());
        assert!(told >= most || told == many.len(), "{length}");
        most = told;
    }
    assert_eq!(most, many.len(), "a long hello earns all");
}

/// The shortest hello there is, with the longest tag: less than one address would fit, were it not repeated.
#[test]
fn whoever_repeats_a_short_hello_is_redirected_at_last() {
    let mut bench = Bench::new();
    let node = bench.add(server(1));
    let to: SocketAddr = "[2001:db8::7]:1935".parse().unwrap();
    turn_away(&mut bench, node, elsewhere(&[to]));
    let sent = hello(&Epd::ancillary("x"), &[]);
    let (mut received, mut answered, mut told) = (0, 0, 0);
    for _ in 0..20 {
        received += sent.len();
        for answer in bench.deliver(node, stranger(1), &sent) {
            assert_eq!(redirected(&answer, &[]), [TaggedAddress::new(to, Origin::Relay)]);
            (answered, told) = (answered + answer.data.len(), told + 1);
        }
        assert!(answered < 3 * received);
    }
    assert!(told >= 5, "{told}");
}

#[test]
fn open_sessions_and_lookups_are_not_concerned() {
    let mut pair = pair();
    turn_away(&mut pair.bench, pair.server, elsewhere(&[address(7)]));
    // The client's ping is answered.
    let answers = pair.client_says(&[(kind::PING, b"hello")]);
    assert_eq!(pair.chunks(&answers), [(kind::PING_REPLY, b"hello".to_vec())]);
    let unknown = Epd::fingerprint(identity(5).peer_id());
    for from in [address(1), stranger(1)] {
        assert!(pair.bench.deliver(pair.server, from, &hello(&unknown, &[5; 16])).is_empty());
        let Some(Event::Lookup(lookup)) = pair.bench.nodes[pair.server].events.pop() else { panic!() };
        assert_eq!(lookup.target, Some(identity(5).peer_id()));
    }
    // Its own session goes on, though the same client asks for another one.
    let epd = pair.bench.epd(pair.server);
    let again = pair.bench.deliver(pair.server, address(1), &hello(&epd, &[5; 16]));
    assert_eq!(kinds(&again), [(address(1), kind::REDIRECT)]);
    assert!(pair.is_open());
    assert_eq!(pair.bench.closed(pair.server), Vec::<CloseReason>::new());
}

#[test]
fn a_handshake_whose_hello_was_answered_before_goes_on_and_gets_no_other_cookie() {
    let mut bench = Bench::new();
    let node = bench.add(server(1));
    let [good, moved] = [1, 2].map(|host| bench.keying_from(node, stranger(host), 7));
    turn_away(&mut bench, node, elsewhere(&[address(7)]));
    assert_eq!(kinds(&bench.deliver(node, stranger(1), &good)), [(stranger(1), kind::RIKEYING)]);
    assert!(bench.deliver(node, stranger(9), &moved).is_empty(), "its cookie is for another address");
    let endpoint = bench.endpoint(node);
    assert_eq!(
        (endpoint.session_count(), endpoint.counters().turned_away, endpoint.counters().cookie_changes),
        (1, 1, 0)
    );
    assert_eq!(kinds(&bench.deliver(node, stranger(2), &moved)), [(stranger(2), kind::RIKEYING)]);
}

#[test]
fn a_forwarded_hello_is_not_answered_meanwhile() {
    let mut bench = Bench::new();
    let (server, target) = (bench.add(server(1)), bench.add(Config { forwarders: Forwarders::Anybody, ..peer(2) }));
    bench.connect(target, server);
    let session = bench.session_with(server, target).unwrap();
    let epd = bench.epd(target);
    let forward = |bench: &mut Bench| {
        let (forwarded, sent) =
            bench.ask(server, |endpoint, now| endpoint.forward_for(now, session, &epd, stranger(9), &[7; 16]));
        assert_eq!(forwarded, Ok(()));
        let answers = bench.deliver(target, sent[0].from, &sent[0].data);
        kinds(&answers)
    };
    assert_eq!(forward(&mut bench), [(stranger(9), kind::RHELLO)]);
    turn_away(&mut bench, target, elsewhere(&[address(7)]));
    assert_eq!(forward(&mut bench), []);
    turn_away(&mut bench, target, Greeting::Respond);
    assert_eq!(forward(&mut bench), [(stranger(9), kind::RHELLO)]);
}

/// The whole way: an initiator that is redirected opens its session with the endpoint that it is sent to.
#[test]
fn an_initiator_that_is_turned_away_opens_its_session_elsewhere() {
    let mut bench = Bench::new();
    let (first, second, client) = (bench.add(server(1)), bench.add(server(2)), bench.add(peer(3)));
    let other = bench.nodes[second].address;
    turn_away(&mut bench, first, elsewhere(&[other]));
    let candidates = [(crate::transmit::InterfaceId(0), bench.nodes[first].address)];
    let epd = Epd::ancillary("rtmfp://a.server.example/an-application");
    bench.with(client, |endpoint, now| endpoint.open(now, epd, &candidates));
    bench.pass(std::time::Duration::from_secs(2));
    assert!(bench.session_with(client, second).is_some() && bench.session_with(client, first).is_none());
    assert_eq!(bench.endpoint(first).session_count(), 0);
    assert!(bench.endpoint(first).counters().turned_away >= 1);
}
