//! Whom an initiator takes for the endpoint that it looks for, and what of all that anybody may send it changes anything
//! (RFC 7016 §3.5.1.1.1, §3.5.1.2).

use std::time::Duration;

use super::bench::*;
use crate::config::Config;
use crate::endpoint::driving::MAX_DUE;
use crate::event::{Event, OpenFailure};
use crate::session_id::SessionId;
use crate::wire::chunk::{CookieChange, IHello, IIKeying, RHello, RIKeying, Redirect, kind};
use crate::wire::{Origin, TaggedAddress};

fn tag(hello: &Datagram) -> Vec<u8> {
    let (kind, payload) = read(hello);
    assert_eq!(kind, kind::IHELLO);
    IHello::parse(&payload).unwrap().tag.to_vec()
}

fn rhello(tag: &[u8], certificate: &[u8]) -> Vec<u8> {
    startup(0, |out| RHello { tag_echo: tag, cookie: &[7; 64], certificate }.put(out))
}

fn failure(bench: &Bench, node: usize, id: SessionId) -> Option<OpenFailure> {
    bench.nodes[node].events.iter().find_map(|event| match event {
        Event::OpenFailed { session, reason } if *session == id => Some(reason.clone()),
        _ => None,
    })
}

#[test]
fn no_certificate_but_the_one_looked_for_is_keyed_to_and_no_tag_but_the_hellos_is_answered() {
    let mut bench = Bench::new();
    let (node, far) = (bench.add(peer(1)), bench.add(server(2)));
    let (_, sent) = bench.open(node, far, &[address(1)]);
    let tag = tag(&sent[0]);
    let (right, wrong) = (identity(2), identity(3));
    let (right, wrong) = (right.certificate().as_bytes(), wrong.certificate().as_bytes());
    let longer = [&tag[..], &[0]].concat();
    for (what, tag, certificate) in [
        ("another certificate", &tag[..], wrong),
        ("no certificate", &tag[..], &[0xff][..]),
        ("another tag", &[9; 16][..], right),
        ("a shorter tag", &tag[..15], right),
        ("a longer tag", &longer[..], right),
        ("no tag", &[][..], right),
    ] {
        let answers = bench.deliver(node, address(1), &rhello(tag, certificate));
        assert!(answers.is_empty(), "{what}");
        assert_eq!(bench.endpoint(node).keying_jobs, 0, "{what}");
    }
    let counters = bench.endpoint(node).counters();
    assert_eq!((counters.ignored, counters.malformed), (5, 1));
    // The right one still comes through, once.
    let keying = bench.deliver(node, address(1), &rhello(&tag, right));
    assert_eq!(kinds(&keying), [(address(1), kind::IIKEYING)]);
    assert!(bench.deliver(node, stranger(1), &rhello(&tag, right)).is_empty(), "the first to answer is keyed to");
    // A redirect has to have the tag, too, and comes too late then.
    let elsewhere = [TaggedAddress::new(stranger(2), Origin::Observed)];
    for tag in [&tag[..], &[9; 16], &[]] {
        let redirect = startup(0, |out| Redirect::put(tag, &elsewhere, out));
        assert!(bench.deliver(node, address(1), &redirect).is_empty());
    }
}

#[test]
fn redirects_lead_to_where_they_say_or_else_to_where_they_come_from() {
    for (destinations, to) in
        [(vec![TaggedAddress::new(stranger(2), Origin::Observed)], stranger(2)), (vec![], stranger(1))]
    {
        let mut bench = Bench::new();
        let (node, far) = (bench.add(peer(1)), bench.add(server(2)));
        let (_, sent) = bench.open(node, far, &[address(1)]);
        let tag = tag(&sent[0]);
        let other = startup(0, |out| Redirect::put(&[9; 16], &destinations, out));
        assert!(bench.deliver(node, stranger(1), &other).is_empty());
        assert_eq!(bench.endpoint(node).counters().ignored, 1);
        let redirect = startup(0, |out| Redirect::put(&tag, &destinations, out));
        let hellos = bench.deliver(node, stranger(1), &redirect);
        assert_eq!(kinds(&hellos), [(to, kind::IHELLO)]);
        assert!(bench.deliver(node, stranger(1), &redirect).is_empty(), "it is known already");
    }
}

/// A node that has sent its keying to an address without a node, and what it sent.
fn keyed(bench: &mut Bench) -> (usize, SessionId, Datagram) {
    let (node, far) = (bench.add(peer(1)), bench.add(server(2)));
    let (id, sent) = bench.open(node, far, &[address(1)]);
    let tag = tag(&sent[0]);
    let keying = bench.deliver(node, address(1), &rhello(&tag, identity(2).certificate().as_bytes()));
    (node, id, keying[0].clone())
}

fn cookie_of(keying: &Datagram) -> Vec<u8> {
    let (kind, payload) = read(keying);
    assert_eq!(kind, kind::IIKEYING);
    IIKeying::parse(&payload).unwrap().cookie_echo.to_vec()
}

#[test]
fn a_cookie_is_changed_for_its_present_value_and_once() {
    let mut bench = Bench::new();
    let (node, id, keying) = keyed(&mut bench);
    assert_eq!(cookie_of(&keying), [7; 64]);
    let change = |old: u8, new: u8| {
        startup(id.get(), |out| CookieChange { old_cookie: &[old; 64], new_cookie: &[new; 64] }.put(out))
    };
    assert!(bench.deliver(node, address(1), &change(6, 8)).is_empty(), "not the cookie that was sent");
    let again = bench.deliver(node, address(1), &change(7, 8));
    assert_eq!((again.len(), cookie_of(&again[0])), (1, vec![8; 64]));
    for (old, new) in [(8, 9), (7, 9)] {
        assert!(bench.deliver(node, address(1), &change(old, new)).is_empty(), "it has changed once");
    }
    // The waits begin anew with the change.
    bench.sent.clear();
    bench.pass(Duration::from_secs(4));
    assert_eq!(bench.sent.iter().map(cookie_of).collect::<Vec<_>>(), [[8; 64]; 2]);
}

#[test]
fn a_forged_answer_to_the_keying_neither_opens_nor_stalls() {
    let mut bench = Bench::new();
    let (node, far) = (bench.add(peer(1)), bench.add(server(2)));
    let (id, hello) = bench.open(node, far, &[address(1)]);
    let answer = bench.deliver(far, hello[0].from, &hello[0].data);
    let keying = bench.deliver(node, answer[0].from, &answer[0].data);
    let genuine = bench.deliver(far, keying[0].from, &keying[0].data);
    let (_, payload) = read(&genuine[0]);
    let genuine_keying = RIKeying::parse(&payload).unwrap();
    let forged = |session_id, component| {
        startup(id.get(), |out| RIKeying { session_id, component, signature: &[], signed_portion: &[] }.put(out))
    };
    for (count, (what, bad)) in
        [("no component", forged(7, &[][..])), ("session id 0", forged(0, genuine_keying.component))]
            .into_iter()
            .enumerate()
    {
        bench.deliver(node, address(1), &bad);
        let counters = bench.endpoint(node).counters();
        assert_eq!((counters.failed_keyings, counters.sessions_opened), (count as u64 + 1, 0), "{what}");
        assert_eq!((bench.endpoint(node).keying_jobs, bench.endpoint(node).by_tag.len()), (0, 1));
    }
    // The keying is repeated still, and its answer opens the session.
    bench.sent.clear();
    bench.pass(Duration::from_millis(1100));
    assert!(bench.sent.iter().any(|sent| sent.to == address(1) && is_keying(sent)));
    bench.deliver(node, address(1), &genuine[0].data);
    assert!(bench.endpoint(node).session(id).is_some());
    assert_eq!((bench.endpoint(node).keying_jobs, bench.endpoint(node).by_tag.len()), (0, 0));
}

fn is_keying(datagram: &Datagram) -> bool {
    is_startup(datagram) && read(datagram).0 == kind::IIKEYING
}

#[test]
fn answers_that_come_while_one_is_computed_make_no_second_job() {
    let mut bench = Bench::new();
    let (node, far) = (bench.add(peer(1)), bench.add(server(2)));
    let (id, hello) = bench.open(node, far, &[address(1)]);
    let answer = bench.deliver(far, hello[0].from, &hello[0].data);
    let keying = bench.deliver(node, answer[0].from, &answer[0].data);
    let genuine = bench.deliver(far, keying[0].from, &keying[0].data);
    bench.nodes[node].keeps_jobs = true;
    for _ in 0..5 {
        bench.deliver(node, address(1), &genuine[0].data);
    }
    assert_eq!((bench.nodes[node].jobs.len(), bench.endpoint(node).counters().repeated_keyings), (1, 4));
    // Given up meanwhile, it opens nothing when the job is done.
    bench.ask(node, |endpoint, now| endpoint.close(now, id));
    assert_eq!(failure(&bench, node, id), Some(OpenFailure::Aborted));
    bench.run_jobs(node);
    let endpoint = bench.endpoint(node);
    assert_eq!((endpoint.session_count(), endpoint.keying_jobs, endpoint.by_address.len()), (0, 0, 0));
    assert_eq!(endpoint.counters().sessions_opened, 0);
}

#[test]
fn an_attempt_ends_after_95_seconds_and_leaves_nothing_behind() {
    let mut bench = Bench::new();
    let (node, far) = (bench.add(peer(1)), bench.add(server(2)));
    let (unanswered, _) = bench.open(node, far, &[stranger(1)]);
    bench.pass(Duration::from_millis(94_999));
    assert_eq!((failure(&bench, node, unanswered), bench.endpoint(node).by_tag.len()), (None, 1));
    bench.pass(Duration::from_millis(1));
    assert_eq!(failure(&bench, node, unanswered), Some(OpenFailure::NoAnswer));
    let endpoint = bench.endpoint(node);
    assert_eq!((endpoint.session_count(), endpoint.by_tag.len(), endpoint.slots.len()), (0, 0, 0));

    let mut bench = Bench::new();
    let (node, id, _) = keyed(&mut bench);
    bench.nodes[1].address = stranger(200);
    bench.pass(Duration::from_secs(95));
    assert_eq!(failure(&bench, node, id), Some(OpenFailure::KeyingUnanswered(address(1))));
    assert_eq!((bench.endpoint(node).session_count(), bench.endpoint(node).by_tag.len()), (0, 0));
}

#[test]
fn a_second_attempt_at_the_same_endpoint_ends_at_its_hello_whether_the_first_is_open_or_keyed() {
    for is_open in [true, false] {
        let mut bench = Bench::new();
        let (node, far) = (bench.add(peer(1)), bench.add(server(2)));
        let first = if is_open {
            bench.connect(node, far).0
        } else {
            bench.nodes[node].keeps_jobs = true;
            let (id, sent) = bench.open(node, far, &[address(1)]);
            bench.exchange(sent);
            id
        };
        let (second, sent) = bench.open(node, far, &[address(1)]);
        bench.exchange(sent);
        assert_eq!(failure(&bench, node, second), Some(OpenFailure::Duplicate(first)), "{is_open}");
        assert_eq!((failure(&bench, node, first), bench.endpoint(node).session_count()), (None, 1));
        assert_eq!(bench.endpoint(node).by_tag.len(), usize::from(!is_open));
    }
}

#[test]
fn an_end_that_has_no_group_in_common_with_the_one_it_found_says_so_at_once() {
    let mut bench = Bench::new();
    let mut rng = <rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::seed_from_u64(3);
    let other = crate::crypto::Identity::ephemeral(&[crate::crypto::Group::Modp14], None, true, &mut rng);
    let (node, far) = (bench.add(peer(1)), bench.add(readable(Config::server(vec![std::sync::Arc::new(other)]))));
    let (id, sent) = bench.open(node, far, &[address(1)]);
    bench.exchange(sent);
    assert!(matches!(failure(&bench, node, id), Some(OpenFailure::Keying(_))));
    let endpoint = bench.endpoint(node);
    assert_eq!((endpoint.session_count(), endpoint.by_tag.len(), endpoint.keying_jobs), (0, 0, 0));
    assert_eq!(endpoint.counters().failed_keyings, 1);
}

#[test]
fn of_thousands_that_are_due_some_are_left_for_the_next_call_and_that_is_no_standstill() {
    let mut bench = Bench::new();
    let (node, wanted) = (bench.add(peer(1)), bench.add(server(2)));
    for _ in 0..2 * MAX_DUE + 7 {
        bench.open(node, wanted, &[stranger(1)]);
    }
    // Each has sent a hello, and is to repeat it at the same time.
    let due = bench.endpoint(node).poll_timeout().unwrap();
    bench.now = due + Duration::from_millis(800);
    for (repeated, is_more) in [(MAX_DUE, true), (MAX_DUE, true), (7, false)] {
        assert_eq!(bench.endpoint(node).standstill(bench.now), None);
        let ((), sent) = bench.ask(node, |endpoint, now| endpoint.handle_timeout(now));
        let next = bench.endpoint(node).poll_timeout().unwrap();
        assert_eq!((sent.len(), next <= bench.now), (repeated, is_more));
        if is_more {
            // A driver that is stopped now has stood still since this call, and not since these were due.
            let later = bench.now + Duration::from_secs(3600);
            assert_eq!(bench.endpoint(node).standstill(later), Some(Duration::from_secs(3600)));
        }
        bench.now += Duration::from_millis(300);
    }
}

#[test]
fn the_time_for_which_the_driver_stood_still_is_not_taken_from_an_attempt() {
    let mut bench = Bench::new();
    let (node, far) = (bench.add(peer(1)), bench.add(server(2)));
    let (id, _) = bench.open(node, far, &[stranger(1)]);
    bench.pass(Duration::from_secs(90));
    // Its next deadline is within the next seconds, and nobody comes for an hour.
    let due = bench.endpoint(node).poll_timeout().unwrap();
    bench.now = due + Duration::from_millis(999);
    assert_eq!(bench.endpoint(node).standstill(bench.now), None);
    bench.now = due + Duration::from_secs(3600);
    assert_eq!(bench.endpoint(node).standstill(bench.now), Some(Duration::from_secs(3600)));
    bench.ask(node, |endpoint, now| endpoint.handle_timeout(now));
    assert_eq!(failure(&bench, node, id), None);
    bench.pass(Duration::from_secs(6));
    assert_eq!(failure(&bench, node, id), Some(OpenFailure::NoAnswer));
}
