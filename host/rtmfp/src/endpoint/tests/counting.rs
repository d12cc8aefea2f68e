//! What an endpoint drops is counted under the reason why.

use super::bench::*;
use super::pair::*;
use crate::config::{Config, ForwardedHello};
use crate::counters::Counters;
use crate::crypto::{Epd, Group, Identity, KeyingError, Preferences, SequencePreference};
use crate::endpoint::Endpoint;
use crate::event::{Event, Lookup};
use crate::startup::keying_job::{KeyingDone, Outcome};
use crate::transmit::InterfaceId;
use crate::wire::chunk::{IHello, PacketFragment, kind};
use crate::wire::packet::put_chunk;
use crate::wire::{Mode, Origin, PacketHeader, TaggedAddress};

fn counters(bench: &Bench, node: usize) -> Counters {
    *bench.endpoint(node).counters()
}

/// A chunk of a hello whose discriminator is longer than the chunk.
fn cut_hello(out: &mut Vec<u8>) -> bool {
    put_chunk(kind::IHELLO, out, |out| out.extend_from_slice(&[0x60, 1, 2]))
}

#[test]
fn a_startup_packet_that_is_not_under_the_default_key_or_malformed() {
    let mut bench = Bench::new();
    let node = bench.add(server(1));
    for datagram in [vec![0; 36], [vec![0; 4], vec![7; 32]].concat()] {
        bench.deliver(node, stranger(1), &datagram);
    }
    assert_eq!(counters(&bench, node), Counters { datagrams: 2, unverified: 2, ..Counters::default() });

    bench.deliver(node, stranger(1), &startup(0, cut_hello));
    assert_eq!(counters(&bench, node).malformed, 1);
    // The same in a packet of fragments.
    let mut plain = Vec::new();
    PacketHeader::new(Mode::Startup).put(&mut plain);
    assert!(cut_hello(&mut plain));
    let (one, other) = plain.split_at(3);
    for (fragment_num, fragment) in [(0, one), (1, other)] {
        let fragment = PacketFragment { more_fragments: fragment_num == 0, packet_id: 5, fragment_num, fragment };
        bench.deliver(node, stranger(1), &startup(0, |out| fragment.put(out)));
    }
    assert_eq!(counters(&bench, node).malformed, 2);
    // A chunk that is whole, with a discriminator that is none.
    bench.deliver(node, stranger(1), &hello(&[9], &[1; 16]));
    assert_eq!(counters(&bench, node), Counters { datagrams: 6, unverified: 2, malformed: 3, ..Counters::default() });
}

#[test]
fn a_session_opens_once_at_each_end_and_a_forged_cookie_opens_none() {
    let mut pair = pair();
    assert_eq!([pair.client, pair.server].map(|node| counters(&pair.bench, node).sessions_opened), [1, 1]);
    let forged = pair.bench.keying(pair.server, &identity(9), &[7; 64], 7);
    pair.bench.deliver(pair.server, stranger(1), &forged);
    assert_eq!(counters(&pair.bench, pair.server).bad_cookies, 1);
    assert_eq!(counters(&pair.bench, pair.server).sessions_opened, 1);
}

#[test]
fn a_hello_too_short_for_its_answer_or_forwarded_to_an_end_that_ignores_those() {
    let mut bench = Bench::new();
    let mut rng = <rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::seed_from_u64(3);
    let fixed = std::sync::Arc::new(Identity::fixed(&[Group::Modp16], &mut rng));
    let node = bench.add(server(1));
    let long = bench.add(readable(Config::server(vec![fixed])));
    let question = hello(&bench.epd(long), &[1; 16]);
    assert!(bench.deliver(long, stranger(1), &question).is_empty());
    assert_eq!(counters(&bench, long), Counters { datagrams: 1, unearned: 1, ..Counters::default() });

    let target = bench.add(Config { forwarded_hello: ForwardedHello::Ignore, ..peer(2) });
    let (_, session) = bench.connect(target, node);
    let epd = bench.epd(target);
    let (_, sent) = bench.ask(node, |endpoint, now| endpoint.forward_for(now, session, &epd, stranger(9), &[7; 16]));
    assert!(bench.deliver(target, sent[0].from, &sent[0].data).is_empty());
    assert_eq!(counters(&bench, target).ignored, 1);
}

#[test]
fn every_hello_of_a_packet_but_the_first() {
    let mut bench = Bench::new();
    let node = bench.add(server(1));
    let epd = bench.epd(node);
    let datagram = startup(0, |out| (0..4).all(|_| IHello { epd: &epd, tag: &[1; 16] }.put(out)));
    assert_eq!(bench.deliver(node, stranger(1), &datagram).len(), 1);
    assert_eq!(counters(&bench, node), Counters { datagrams: 1, hellos: 1, ignored: 3, ..Counters::default() });
}

#[test]
fn a_packet_of_a_session_that_comes_twice_or_is_marked_as_this_ends_own() {
    let sequence = SequencePreference { will_send_always: true, request: true, ..SequencePreference::default() };
    let keying = Preferences { sequence, log_keys: true, ..Preferences::default() };
    let mut pair = pair_of(Config { keying, ..server(1) });
    let at_client = pair.at_client;
    let (_, sent) = pair.bench.ask(pair.client, |endpoint, now| endpoint.ping(now, at_client, b"?"));
    for (count, answers) in [(0, 1), (1, 0), (2, 0)] {
        assert_eq!(pair.bench.deliver(pair.server, address(1), &sent[0].data).len(), answers);
        assert_eq!(counters(&pair.bench, pair.server).duplicates, count);
    }

    let mut pair = self::pair();
    for (count, mode) in [(1, Mode::Responder), (2, Mode::Startup)] {
        let mut sealer = pair.bench.far_sealer(pair.client);
        let data = packet(&mut sealer, pair.at_server, PacketHeader::new(mode), &[(kind::PING, b"?")]);
        assert!(pair.bench.deliver(pair.server, address(1), &data).is_empty());
        assert_eq!(counters(&pair.bench, pair.server).malformed, count);
    }
}

/// What is worth computing seldom fails then; the initiator may try again, with the same cookie.
#[test]
fn a_keying_whose_computation_fails() {
    let mut bench = Bench::new();
    let node = bench.add(server(1));
    bench.nodes[node].keeps_jobs = true;
    let keying = bench.keying_from(node, stranger(1), 7);
    for count in 1..=2 {
        bench.deliver(node, stranger(1), &keying);
        let job = bench.nodes[node].jobs.pop().expect("a job");
        let Outcome::Responded { keying, .. } = job.run().0 else { panic!("a responder's job") };
        let failed = KeyingDone(Outcome::Responded { keying, response: Err(KeyingError::UnacceptableKey) });
        let (_, sent) = bench.ask(node, |endpoint, now| endpoint.keying_done(now, failed));
        assert!(sent.is_empty());
        let endpoint = bench.endpoint(node);
        assert_eq!((endpoint.counters().failed_keyings, endpoint.keying_jobs), (count, 0));
        assert_eq!((endpoint.used_cookies(), endpoint.keying_jobs_by_prefix.len()), (0, 0));
    }
}

#[test]
fn a_keying_that_came_before_this_ends_own_attempt_and_gives_way_to_it() {
    let mut bench = Bench::new();
    let [near, far] = ordered().map(|identity| bench.add(readable(Config::peer(identity))));
    bench.nodes[near].keeps_jobs = true;
    let (_, hello) = bench.open(far, near, &[address(0)]);
    let rhello = bench.deliver(near, hello[0].from, &hello[0].data);
    let keying = bench.deliver(far, rhello[0].from, &rhello[0].data);
    bench.deliver(near, keying[0].from, &keying[0].data);
    assert_eq!(bench.nodes[near].jobs.len(), 1);
    bench.open(near, far, &[address(1)]);
    let before = counters(&bench, near).ignored;
    assert!(bench.run_jobs(near).is_empty());
    let endpoint = bench.endpoint(near);
    assert_eq!((endpoint.counters().ignored - before, endpoint.counters().sessions_opened), (1, 0));
    assert_eq!((endpoint.used_cookies(), endpoint.keying_jobs), (0, 0));
}

#[test]
fn what_finds_no_room_in_the_outbox() {
    let mut bench = Bench::new();
    let node = bench.add(server(1));
    let bad_cookie = bench.keying_from(node, stranger(2), 7);
    let answered = bench.keying_from(node, stranger(3), 8);
    assert_eq!(bench.deliver(node, stranger(3), &answered).len(), 1);
    bench.nodes[node].keeps_jobs = true;
    let waiting = bench.keying_from(node, stranger(4), 9);
    bench.deliver(node, stranger(4), &waiting);
    let job = bench.nodes[node].jobs.pop().expect("a job").run();
    bench.deliver(node, stranger(5), &hello(&Epd::fingerprint(identity(5).peer_id()), &[3; 16]));
    let Some(Event::Lookup(asked)) = bench.nodes[node].events.pop() else { panic!("a lookup") };
    let question = hello(&bench.epd(node), &[1; 16]);
    let (now, endpoint) = (bench.now, &mut bench.nodes[node].endpoint);
    let give = |endpoint: &mut Endpoint, host, data: &[u8]| {
        endpoint.handle_datagram(now, InterfaceId(0), stranger(host), &mut data.to_vec());
    };
    (0..8192).for_each(|_| give(endpoint, 1, &question));
    assert_eq!(endpoint.counters().outbox_full, 0);
    give(endpoint, 1, &question);
    assert_eq!(endpoint.counters().outbox_full, 1);
    // A change of the cookie.
    give(endpoint, 6, &bad_cookie);
    assert_eq!(endpoint.counters().outbox_full, 2);
    // The answer to a keying that is repeated.
    give(endpoint, 3, &answered);
    assert_eq!(endpoint.counters().outbox_full, 3);
    // The answer to a keying: the session is open, and the initiator asks again.
    endpoint.keying_done(now, job);
    assert_eq!((endpoint.counters().outbox_full, endpoint.session_count()), (4, 2));
    endpoint.redirect(&asked, &[TaggedAddress::new(stranger(9), Origin::Observed)]);
    assert_eq!(endpoint.counters().outbox_full, 5);
    // A forwarded hello waits in the session that it goes to.
    let target = endpoint.session_ids().next().expect("a session");
    assert_eq!(endpoint.forward(now, target, &Lookup { ..asked }), Ok(()));
    assert_eq!(endpoint.counters().outbox_full, 5);
}
