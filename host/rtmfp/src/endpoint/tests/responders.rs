//! What a responder takes from an initiator's keying, and what it remembers of it (RFC 7016 §3.5.1.1.2).

use std::time::Duration;

use super::bench::*;
use crate::config::Config;
use crate::event::{CloseReason, Event, OpenFailure};
use crate::wire::chunk::{CookieChange, IIKeying, RIKeying, kind};

fn payload(keying: &[u8]) -> Vec<u8> {
    read(&Datagram { from: stranger(1), to: stranger(1), data: keying.to_vec() }).1
}

/// The keying of this payload, with something about it changed.
fn changed<'a>(payload: &'a [u8], change: impl FnOnce(&mut IIKeying<'a>)) -> Vec<u8> {
    let mut keying = IIKeying::parse(payload).unwrap();
    change(&mut keying);
    startup(0, |out| keying.put(out))
}

#[test]
fn a_keying_that_can_lead_to_no_session_makes_no_work_and_is_not_remembered() {
    let mut bench = Bench::new();
    let node = bench.add(server(1));
    bench.nodes[node].keeps_jobs = true;
    let good = bench.keying_from(node, stranger(1), 7);
    let sent = payload(&good);
    for (what, bad) in [
        ("session id 0", changed(&sent, |keying| keying.session_id = 0)),
        ("no certificate", changed(&sent, |keying| keying.certificate = &[0xff])),
        ("no component", changed(&sent, |keying| keying.component = &[])),
        ("a forged cookie", changed(&sent, |keying| keying.cookie_echo = &[7; 64])),
        ("no cookie", changed(&sent, |keying| keying.cookie_echo = &[])),
    ] {
        assert!(bench.deliver(node, stranger(1), &bad).is_empty(), "{what}");
        let endpoint = bench.endpoint(node);
        assert_eq!((bench.nodes[node].jobs.len(), endpoint.used_cookies(), endpoint.keying_jobs), (0, 0, 0), "{what}");
    }
    bench.deliver(node, stranger(1), &good);
    assert_eq!((bench.nodes[node].jobs.len(), bench.endpoint(node).used_cookies()), (1, 1));
}

#[test]
fn a_keying_is_answered_once_and_its_answer_repeated_until_the_initiator_speaks() {
    let mut bench = Bench::new();
    let node = bench.add(server(1));
    let other = identity(98);
    let good = bench.keying_from(node, stranger(1), 7);
    let sent = payload(&good);
    let answer = bench.deliver(node, stranger(1), &good);
    assert_eq!(kinds(&answer), [(stranger(1), kind::RIKEYING)]);
    // The same keying earns the same answer, to the initiator's session id.
    let again = bench.deliver(node, stranger(1), &good);
    assert_eq!((again.len(), &again[0].data), (1, &answer[0].data));
    assert_eq!(crate::crypto::cipher::session_id(&again[0].data), Some(7));
    // Another one with the cookie earns nothing, whatever is different.
    for bad in [
        changed(&sent, |keying| keying.session_id = 8),
        changed(&sent, |keying| keying.certificate = other.certificate().as_bytes()),
    ] {
        assert!(bench.deliver(node, stranger(1), &bad).is_empty());
    }
    let endpoint = bench.endpoint(node);
    assert_eq!((endpoint.session_count(), endpoint.counters().repeated_keyings), (1, 3));
}

#[test]
fn the_answer_to_a_keying_is_not_repeated_once_the_initiator_has_spoken() {
    let mut bench = Bench::new();
    let (server, client) = (bench.add(server(1)), bench.add(peer(2)));
    bench.connect(client, server);
    let keying =
        bench.sent.iter().find(|sent| sent.to == address(0) && is_startup(sent) && read(sent).0 == kind::IIKEYING);
    let keying = keying.unwrap().clone();
    assert!(bench.deliver(server, keying.from, &keying.data).is_empty());
}

/// Under load all answers of a server may be lost for so long that it gives the session up before the initiator does.
#[test]
fn a_keying_whose_session_ended_without_a_word_from_the_initiator_opens_another() {
    let mut bench = Bench::new();
    let node = bench.add(server(1));
    let good = bench.keying_from(node, stranger(1), 7);
    let first = bench.deliver(node, stranger(1), &good);
    assert_eq!(kinds(&first), [(stranger(1), kind::RIKEYING)]);
    bench.pass(Duration::from_secs(21));
    assert_eq!(bench.endpoint(node).session_count(), 0);
    let second = bench.deliver(node, stranger(1), &good);
    assert_eq!(kinds(&second), [(stranger(1), kind::RIKEYING)]);
    assert_ne!(first[0].data, second[0].data, "the session and its keys are new");
    assert_eq!((bench.endpoint(node).session_count(), bench.endpoint(node).used_cookies()), (1, 1));
}

#[test]
fn a_keying_opens_no_second_session_after_one_in_which_the_initiator_spoke() {
    let mut bench = Bench::new();
    let (server, client) = (bench.add(server(1)), bench.add(peer(2)));
    let (_, id) = bench.connect(client, server);
    let keying = bench.sent.iter().find(|sent| is_startup(sent) && read(sent).0 == kind::IIKEYING).unwrap().clone();
    bench.with(server, |endpoint, now| endpoint.abort(now, id));
    assert_eq!(bench.endpoint(server).session_count(), 0);
    assert!(bench.deliver(server, keying.from, &keying.data).is_empty());
}

#[test]
fn a_cookie_of_another_address_earns_a_new_one_for_the_initiators_session_id() {
    let mut bench = Bench::new();
    let node = bench.add(server(1));
    let keying = bench.keying_from(node, stranger(1), 7);
    let answer = bench.deliver(node, stranger(2), &keying);
    assert_eq!(kinds(&answer), [(stranger(2), kind::COOKIE_CHANGE)]);
    assert_eq!(crate::crypto::cipher::session_id(&answer[0].data), Some(7));
    let (_, told) = read(&answer[0]);
    let change = CookieChange::parse(&told).unwrap();
    let sent = payload(&keying);
    let again = changed(&sent, |keying| {
        assert_eq!(keying.cookie_echo, change.old_cookie);
        keying.cookie_echo = change.new_cookie;
    });
    assert_eq!(kinds(&bench.deliver(node, stranger(2), &again)), [(stranger(2), kind::RIKEYING)]);
    assert_eq!(bench.endpoint(node).counters().cookie_changes, 1);
}

#[test]
fn a_keying_whose_address_is_taken_while_it_is_computed_may_come_again() {
    let mut bench = Bench::new();
    let (node, other) = (bench.add(server(1)), bench.add(peer(2)));
    bench.nodes[node].keeps_jobs = true;
    let [first, second] = [7, 8].map(|id| bench.keying_from(node, address(1), id));
    bench.deliver(node, address(1), &first);
    let late = bench.nodes[node].jobs.pop().unwrap();
    // Meanwhile another endpoint opens a session from there.
    bench.nodes[node].keeps_jobs = false;
    bench.connect(other, node);
    bench.nodes[node].endpoint.keying_done(bench.now, late.run());
    assert!(bench.drain(node).iter().all(|sent| !is_startup(sent)), "no answer");
    let endpoint = bench.endpoint(node);
    assert_eq!((endpoint.session_count(), endpoint.counters().address_taken), (1, 1));
    assert_eq!((endpoint.used_cookies(), endpoint.keying_jobs, endpoint.keying_jobs_by_prefix.len()), (1, 0, 0));
    // Nor is one taken at all that comes then.
    bench.deliver(node, address(1), &second);
    assert_eq!((bench.endpoint(node).counters().address_taken, bench.endpoint(node).used_cookies()), (2, 1));
}

#[test]
fn an_endpoint_takes_its_address_over_with_a_younger_cookie_only() {
    let mut bench = Bench::new();
    let (node, client) = (bench.add(server(1)), bench.add(peer(2)));
    let own = identity(2);
    let old = bench.cookie(node, address(1));
    bench.now += Duration::from_secs(5);
    let (_, at_node) = bench.connect(client, node);
    let stale = bench.keying(node, &own, &old, 7);
    assert!(bench.deliver(node, address(1), &stale).is_empty());
    assert_eq!(bench.endpoint(node).counters().address_taken, 1);
    assert!(bench.endpoint(node).session(at_node).is_some());
    bench.now += Duration::from_secs(5);
    let young = bench.cookie(node, address(1));
    let anew = bench.keying(node, &own, &young, 9);
    let answer = bench.deliver(node, address(1), &anew);
    assert_eq!(kinds(&answer), [(address(1), kind::RIKEYING)], "and the far end of the old one is told nothing");
    assert!(bench.endpoint(node).session(at_node).is_none());
    let events = &bench.nodes[node].events;
    assert!(events.iter().any(
        |event| matches!(event, Event::Closed { session, reason: CloseReason::Overridden } if *session == at_node)
    ));
    assert_eq!(bench.endpoint(node).session_count(), 1);
}

#[test]
fn in_glare_the_end_that_prevails_goes_on_and_the_other_answers() {
    for near_prevails in [true, false] {
        let mut order = ordered();
        if !near_prevails {
            order.reverse();
        }
        let mut bench = Bench::new();
        let [near, far] = order.map(|identity| bench.add(readable(Config::peer(identity))));
        let (at_near, _) = bench.open(near, far, &[address(1)]);
        // The far end's keying comes before the answer to the hello.
        let (_, hello) = bench.open(far, near, &[address(0)]);
        let rhello = bench.deliver(near, hello[0].from, &hello[0].data);
        let keying = bench.deliver(far, rhello[0].from, &rhello[0].data);
        let answers = bench.deliver(near, keying[0].from, &keying[0].data);
        assert_eq!(answers.len(), usize::from(!near_prevails), "{near_prevails}");
        let failed = bench.nodes[near].events.iter().find_map(|event| match event {
            Event::OpenFailed { session, reason } => Some((*session, reason.clone())),
            _ => None,
        });
        let opened = bench.session_with(near, far);
        assert_eq!(failed, opened.map(|opened| (at_near, OpenFailure::Duplicate(opened))));
        assert_eq!(bench.endpoint(near).by_tag.len(), usize::from(near_prevails));
    }
}

#[test]
fn a_keying_from_a_candidate_address_by_another_than_is_looked_for_is_no_glare() {
    let mut bench = Bench::new();
    let [near, _] = ordered();
    let node = bench.add(readable(Config::peer(near)));
    let sought = bench.add(peer(5));
    // One that the near end would prevail over.
    let other = (10..)
        .map(identity)
        .find(|other| bench.nodes[node].identity.certificate().prevails_in_glare(other.certificate()));
    let other = other.unwrap();
    let (id, _) = bench.open(node, sought, &[stranger(1)]);
    let cookie = bench.cookie(node, stranger(1));
    let keying = bench.keying(node, &other, &cookie, 7);
    assert_eq!(kinds(&bench.deliver(node, stranger(1), &keying)), [(stranger(1), kind::RIKEYING)]);
    let goes_on = !bench.nodes[node]
        .events
        .iter()
        .any(|event| matches!(event, Event::OpenFailed { session, .. } if *session == id));
    assert!(goes_on, "the attempt was for another endpoint");
}

#[test]
fn the_answer_to_a_keying_names_a_session_that_is_not_0() {
    let mut bench = Bench::new();
    let node = bench.add(server(1));
    let keying = bench.keying_from(node, stranger(1), 7);
    let answer = bench.deliver(node, stranger(1), &keying);
    let (_, payload) = read(&answer[0]);
    let id = RIKeying::parse(&payload).unwrap().session_id;
    assert!(id != 0 && bench.endpoint(node).session_ids().any(|session| session.get() == id));
}

#[test]
fn an_initiator_that_repeats_its_keying_is_waited_for_and_one_that_says_nothing_is_not() {
    let mut bench = Bench::new();
    let node = bench.add(server(1));
    let keying = bench.keying_from(node, stranger(1), 7);
    bench.deliver(node, stranger(1), &keying);
    bench.pass(Duration::from_secs(15));
    assert_eq!(bench.deliver(node, stranger(1), &keying).len(), 1);
    // `Config::first_packet_limit` is 20 s from the last keying on.
    bench.pass(Duration::from_millis(19_900));
    assert_eq!(bench.endpoint(node).session_count(), 1);
    bench.pass(Duration::from_millis(200));
    assert_eq!((bench.endpoint(node).session_count(), bench.endpoint(node).by_address.len()), (0, 0));
}
