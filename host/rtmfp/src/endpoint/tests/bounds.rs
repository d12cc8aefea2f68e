//! How many keyings are worked on at a time, how many sessions there may be, and that what is over leaves its place.

use std::net::SocketAddr;

use super::bench::*;
use crate::config::Config;
use crate::event::{Event, Refusal};
use crate::network_prefix::NetworkPrefix;

/// Lets a keying from there come, under a new cookie; gives why it was refused, if it was.
fn ask(bench: &mut Bench, node: usize, from: SocketAddr, id: u32) -> Option<Refusal> {
    let keying = bench.keying_from(node, from, id);
    bench.deliver(node, from, &keying);
    match bench.nodes[node].events.last() {
        Some(Event::Refused { from: told, reason }) => {
            assert_eq!(*told, from);
            let reason = *reason;
            bench.nodes[node].events.clear();
            Some(reason)
        }
        _ => None,
    }
}

fn at(host: u8, port: u16) -> SocketAddr {
    ([198, 51, 100, host], port).into()
}

#[test]
fn a_network_has_a_quarter_of_the_keyings_and_a_newcomer_one_until_there_are_twice_as_many() {
    let mut bench = Bench::new();
    let node = bench.add(Config { max_keying_jobs: 8, ..server(1) });
    bench.nodes[node].keeps_jobs = true;
    // Two of each network are a quarter.
    for host in 1..=3 {
        assert_eq!(
            [1, 2, 3].map(|port| ask(&mut bench, node, at(host, port), 7)),
            [None, None, Some(Refusal::KeyingsOfPrefix)]
        );
    }
    assert_eq!(ask(&mut bench, node, at(4, 1), 7), None);
    assert_eq!(ask(&mut bench, node, at(5, 1), 7), None, "the eighth");
    assert_eq!(ask(&mut bench, node, at(5, 2), 7), Some(Refusal::Keyings), "a network that has one");
    for host in 10..18 {
        assert_eq!(ask(&mut bench, node, at(host, 1), 7), None);
    }
    assert_eq!(ask(&mut bench, node, at(18, 1), 7), Some(Refusal::Keyings), "twice as many as there may be");
    let endpoint = bench.endpoint(node);
    assert_eq!((endpoint.counters().over_share, endpoint.counters().overload), (3, 2));
    assert_eq!((bench.nodes[node].jobs.len(), endpoint.used_cookies()), (16, 16), "what is refused is not remembered");
    // Each that is done, given up or failed makes room for one.
    let job = bench.nodes[node].jobs.remove(0);
    bench.nodes[node].endpoint.keying_done(bench.now, job.run());
    let job = bench.nodes[node].jobs.remove(0);
    let from = job.initiator().unwrap();
    bench.nodes[node].endpoint.refuse_keying(job);
    let job = bench.nodes[node].jobs.remove(0);
    bench.nodes[node].endpoint.keying_done(bench.now, job.refuse().unwrap());
    assert_eq!((bench.endpoint(node).keying_jobs, bench.endpoint(node).used_cookies()), (13, 14));
    assert_eq!(bench.endpoint(node).counters().overload, 4);
    bench.drain(node);
    bench.nodes[node].events.clear();
    for host in 20..23 {
        assert_eq!(ask(&mut bench, node, at(host, 1), 7), None);
    }
    assert_eq!(ask(&mut bench, node, at(23, 1), 7), Some(Refusal::Keyings));
    assert_eq!(bench.endpoint(node).keying_jobs_by_prefix.get(NetworkPrefix::of(from.ip())), 0);
    // When all are done nothing is counted any more.
    bench.run_jobs(node);
    assert_eq!((bench.endpoint(node).keying_jobs, bench.endpoint(node).keying_jobs_by_prefix.len()), (0, 0));
}

#[test]
fn when_as_many_networks_as_there_are_places_have_one_keying_each_the_next_one_waits() {
    let mut bench = Bench::new();
    let node = bench.add(Config { max_keying_jobs: 4, ..server(1) });
    bench.nodes[node].keeps_jobs = true;
    for host in 1..=4 {
        assert_eq!(ask(&mut bench, node, at(host, 1), 7), None);
    }
    assert_eq!(
        ask(&mut bench, node, at(5, 1), 7),
        Some(Refusal::Keyings),
        "no network has two, of which to give one up"
    );
    let endpoint = bench.endpoint(node);
    assert_eq!((endpoint.used_cookies(), endpoint.keying_jobs, endpoint.counters().overload), (4, 4, 1));
    let job = bench.nodes[node].jobs.remove(0);
    bench.nodes[node].endpoint.keying_done(bench.now, job.run());
    assert_eq!(ask(&mut bench, node, at(5, 1), 7), None, "a place is free");
}

#[test]
fn a_hello_is_not_answered_while_the_keying_that_would_follow_finds_no_room() {
    let mut bench = Bench::new();
    let node = bench.add(Config { max_keying_jobs: 8, ..server(1) });
    bench.nodes[node].keeps_jobs = true;
    let hello = hello(&bench.epd(node), &[1; 16]);
    for port in [1, 2] {
        assert_eq!(bench.deliver(node, at(1, port), &hello).len(), 1);
        assert_eq!(ask(&mut bench, node, at(1, port), 7), None);
    }
    // The network has its share; others are answered.
    assert!(bench.deliver(node, at(1, 3), &hello).is_empty());
    assert_eq!(bench.deliver(node, at(2, 1), &hello).len(), 1);
    assert_eq!(bench.endpoint(node).counters().deferred_hellos, 1);
    bench.run_jobs(node);
    assert_eq!(bench.deliver(node, at(1, 3), &hello).len(), 1);
    // Where sessions are what is short, the keying is refused, and the driver is told why.
    bench.nodes[node].endpoint.config.max_sessions = 2;
    assert_eq!(bench.deliver(node, at(2, 1), &hello).len(), 1);
    assert_eq!(ask(&mut bench, node, at(2, 1), 7), Some(Refusal::Sessions));
    assert_eq!(bench.endpoint(node).counters().deferred_hellos, 1);
}

#[test]
fn a_network_has_a_bounded_number_of_sessions_those_being_keyed_included() {
    let mut bench = Bench::new();
    let node = bench.add(Config { max_sessions_per_prefix: 2, ..server(1) });
    bench.nodes[node].keeps_jobs = true;
    let host = at(1, 0).ip();
    assert_eq!(
        [1, 2, 3].map(|port| ask(&mut bench, node, at(1, port), 7)),
        [None, None, Some(Refusal::SessionsOfPrefix)]
    );
    assert_eq!(ask(&mut bench, node, at(2, 1), 7), None, "another network");
    bench.run_jobs(node);
    let counts = bench.endpoint(node).config.sessions_by_prefix.clone();
    assert_eq!((bench.endpoint(node).session_count(), counts.get(NetworkPrefix::of(host))), (3, 2));
    assert_eq!(ask(&mut bench, node, at(1, 4), 7), Some(Refusal::SessionsOfPrefix));
    assert_eq!(bench.endpoint(node).counters().over_share, 2);
    // A session that is over leaves its place.
    let first = bench.endpoint(node).session_ids().next().unwrap();
    bench.ask(node, |endpoint, now| endpoint.abort(now, first));
    bench.nodes[node].events.clear();
    assert_eq!(counts.get(NetworkPrefix::of(host)), 1);
    assert_eq!(ask(&mut bench, node, at(1, 5), 7), None);
    assert_eq!(ask(&mut bench, node, at(1, 6), 7), Some(Refusal::SessionsOfPrefix));
}

#[test]
fn an_endpoint_has_a_bounded_number_of_sessions_whichever_end_begins_them() {
    let mut bench = Bench::new();
    let node = bench.add(Config { max_sessions: 2, ..server(1) });
    let far = bench.add(peer(2));
    bench.nodes[node].keeps_jobs = true;
    assert_eq!(ask(&mut bench, node, at(1, 1), 7), None);
    // Two attempts of its own take the room while the keys are computed.
    let epd = bench.epd(far);
    let attempts: Vec<_> =
        (0..3).map(|_| bench.ask(node, |endpoint, now| endpoint.open(now, epd.clone(), &[])).0).collect();
    assert!(attempts[0].is_some() && attempts[1].is_some() && attempts[2].is_none(), "{attempts:?}");
    assert_eq!((bench.endpoint(node).by_tag.len(), bench.endpoint(node).session_count()), (2, 2));
    assert_eq!(ask(&mut bench, node, at(2, 1), 7), Some(Refusal::Sessions));
    assert!(bench.run_jobs(node).is_empty());
    let refused = bench.nodes[node].events.pop();
    assert!(
        matches!(refused, Some(Event::Refused { from, reason: Refusal::Sessions }) if from == at(1, 1)),
        "{refused:?}"
    );
    let endpoint = bench.endpoint(node);
    assert_eq!((endpoint.used_cookies(), endpoint.keying_jobs, endpoint.counters().overload), (0, 0, 2));
    assert_eq!(endpoint.config.sessions_by_prefix.get(NetworkPrefix::of(at(1, 1).ip())), 0);
    bench.ask(node, |endpoint, now| endpoint.abort(now, attempts[0].unwrap()));
    bench.nodes[node].events.clear();
    assert_eq!(ask(&mut bench, node, at(3, 1), 7), None);
}

#[test]
fn a_keying_that_fails_may_come_again() {
    let mut bench = Bench::new();
    let node = bench.add(server(1));
    bench.nodes[node].keeps_jobs = true;
    let keying = bench.keying_from(node, at(1, 1), 7);
    for round in 1..=2 {
        bench.deliver(node, at(1, 1), &keying);
        let job = bench.nodes[node].jobs.pop().expect("a job again");
        assert!(bench.nodes[node].jobs.is_empty());
        bench.nodes[node].endpoint.refuse_keying(job);
        let endpoint = bench.endpoint(node);
        assert_eq!((endpoint.used_cookies(), endpoint.keying_jobs, endpoint.counters().overload), (0, 0, round));
    }
}
