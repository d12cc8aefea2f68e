//! Hellos, and what is told to those who ask for others (RFC 7016 §3.5.1.1.2, §3.5.1.4).

use std::time::Duration;

use super::bench::*;
use crate::config::Config;
use crate::crypto::Epd;
use crate::event::{Event, Lookup};
use crate::session_id::SessionId;
use crate::transmit::InterfaceId;
use crate::wire::chunk::{ForwardedIHello, Redirect, kind};
use crate::wire::{Origin, TaggedAddress, packet};

/// The last lookup that a node was asked.
fn lookup(bench: &mut Bench, node: usize, from: std::net::SocketAddr, data: &[u8]) -> Lookup {
    assert!(bench.deliver(node, from, data).is_empty());
    match bench.nodes[node].events.pop() {
        Some(Event::Lookup(lookup)) => lookup,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_hello_with_a_longer_discriminator_or_tag_than_the_bounds_is_not_answered() {
    // The option's length, which takes two bytes, and its type.
    let uri = |len: usize| Epd::ancillary(&"x".repeat(len - 3));
    assert_eq!(uri(1024).len(), 1024);
    for (epd, tag, is_answered) in [(1024, 16, true), (1025, 16, false), (500, 64, true), (500, 65, false)] {
        let mut bench = Bench::new();
        let node = bench.add(server(1));
        let answers = bench.deliver(node, stranger(1), &hello(&uri(epd), &vec![1; tag]));
        assert_eq!(answers.len(), usize::from(is_answered), "{epd} {tag}");
        let counters = bench.endpoint(node).counters();
        assert_eq!((counters.hellos, counters.malformed), (u64::from(is_answered), u64::from(!is_answered)));
        // The bounds hold for lookups, too.
        let server = bench.add(Config { identities: vec![identity(1)], ..server(1) });
        let unknown = [Epd::fingerprint(identity(5).peer_id()).to_vec(), uri(epd - 34)].concat();
        bench.deliver(server, stranger(1), &hello(&unknown, &vec![1; tag]));
        assert_eq!(bench.nodes[server].events.len(), usize::from(is_answered), "{epd} {tag}");
    }
}

#[test]
fn a_lookup_names_the_session_of_its_address_while_that_is_open() {
    let mut bench = Bench::new();
    let (server, client) = (bench.add(server(1)), bench.add(peer(2)));
    let (_, at_server) = bench.connect(client, server);
    let question = hello(&Epd::fingerprint(identity(5).peer_id()), &[3; 16]);
    let asked = lookup(&mut bench, server, address(1), &question);
    assert_eq!((asked.asker, asked.target), (Some(at_server), Some(identity(5).peer_id())));
    assert_eq!((asked.initiator, &asked.tag[..], asked.received), (address(1), &[3; 16][..], question.len()));
    assert_eq!(lookup(&mut bench, server, stranger(1), &question).asker, None);
    // Its request is not answered, so that it is in S_NEARCLOSE.
    bench.ask(server, |endpoint, now| endpoint.close(now, at_server));
    assert_eq!(bench.endpoint(server).session_count(), 1);
    assert_eq!(lookup(&mut bench, server, address(1), &question).asker, None);
    assert_eq!(bench.session_with(server, client), None);
}

#[test]
fn the_targets_of_waiting_lookups_are_told_in_their_order_and_reading_ahead_changes_nothing() {
    let mut bench = Bench::new();
    let (server, client) = (bench.add(server(1)), bench.add(peer(2)));
    let (_, at_server) = bench.connect(client, server);
    let mut is_changed = |session| {
        bench.nodes[server].endpoint.slots.changes(0..9).any(|(id, _, is_changed)| is_changed && id == session)
    };
    assert!(is_changed(at_server) && !is_changed(at_server));
    let wanted = [5, 2, 5].map(|number| identity(number).peer_id());
    let now = bench.now;
    let endpoint = &mut bench.nodes[server].endpoint;
    assert_eq!(endpoint.waiting_targets().count(), 0);
    for target in &wanted {
        let question = &mut hello(&Epd::fingerprint(*target), &[3; 16]);
        endpoint.handle_datagram(now, InterfaceId(0), stranger(1), question);
    }
    // This one selects by another thing than a fingerprint.
    endpoint.handle_datagram(now, InterfaceId(0), stranger(1), &mut hello(&Epd::ancillary("x"), &[3; 16]));
    assert!(endpoint.waiting_targets().eq(wanted));
    for session in [at_server, SessionId(at_server.get() + 1)] {
        endpoint.read_ahead(session);
    }
    assert!(endpoint.slots.changes(0..9).all(|(.., is_changed)| !is_changed));
    assert!(endpoint.waiting_targets().eq(wanted), "they wait still");
    assert!(bench.drain(server).is_empty());
    assert_eq!(bench.endpoint(server).waiting_targets().count(), 0);
}

#[test]
fn sessions_that_are_over_leave_no_entry_behind() {
    let mut bench = Bench::new();
    let (server, client) = (bench.add(server(1)), bench.add(peer(2)));
    for _ in 0..3 {
        let (id, _) = bench.connect(client, server);
        for node in [client, server] {
            let endpoint = bench.endpoint(node);
            assert_eq!([endpoint.by_address.len(), endpoint.by_peer.len(), endpoint.by_tag.len()], [1, 1, 0]);
        }
        bench.with(client, |endpoint, now| endpoint.close(now, id));
        bench.pass(Duration::from_secs(20));
        for node in [client, server] {
            let endpoint = bench.endpoint(node);
            assert_eq!([endpoint.by_address.len(), endpoint.by_peer.len(), endpoint.by_tag.len()], [0, 0, 0]);
            assert_eq!((endpoint.session_count(), endpoint.queue.len(), endpoint.bytes_buffered()), (0, 0, 0));
            assert_eq!((endpoint.keying_jobs, endpoint.forwarded.len()), (0, 0));
        }
    }
}

/// RFC 7016 sets no such bound: the redirect and the hello that is forwarded are less than three bytes for each of the asker's.
#[test]
fn a_redirect_tells_nobody_as_many_addresses_as_its_hello_has_earned() {
    let mut bench = Bench::new();
    let (server, client) = (bench.add(server(1)), bench.add(peer(2)));
    let (_, session) = bench.connect(client, server);
    let question = hello(&Epd::fingerprint(identity(5).peer_id()), &[3; 16]);
    let asked = lookup(&mut bench, server, stranger(1), &question);
    let places: Vec<_> = (1..=90).map(|host| TaggedAddress::new(stranger(host), Origin::Reported)).collect();
    let forwarded = ForwardedIHello {
        epd: &asked.epd,
        reply_address: TaggedAddress::new(asked.initiator, Origin::Observed),
        tag: &asked.tag,
    };
    // A session id, at most 5 bytes of a sequence number, a header and the chunk in blocks of a cipher, and the HMAC.
    let plain: usize = 5 + packet::MAX_HEADER_LEN + packet::CHUNK_HEADER_LEN + forwarded.payload_len();
    let hmac = usize::from(bench.endpoint(server).config.keying.hmac.length);
    let forward = 4 + plain.next_multiple_of(16) + hmac;
    let mut told = |asked: &Lookup, places: &[TaggedAddress]| {
        let (_, sent) = bench.ask(server, |endpoint, _| endpoint.redirect(asked, places));
        let count = sent.first().map_or(0, |sent| Redirect::parse(&read(sent).1).unwrap().destinations().count());
        (count, sent.iter().map(|sent| sent.data.len()).sum::<usize>())
    };
    for received in question.len()..400 {
        let (count, bytes) = told(&Lookup { received, ..asked.clone() }, &places);
        assert!(count == 0 || bytes + forward < 3 * received, "{count} for {received}");
        let (_, more) =
            told(&Lookup { asker: Some(session), ..asked.clone() }, places.get(..count + 1).unwrap_or(&places));
        assert!(count == places.len() || more + forward >= 3 * received, "only {count} for {received}");
    }
}

#[test]
fn a_redirect_tells_an_asker_with_a_session_everything_and_nobody_nothing() {
    let mut bench = Bench::new();
    let (server, client) = (bench.add(server(1)), bench.add(peer(2)));
    bench.connect(client, server);
    let question = hello(&Epd::fingerprint(identity(5).peer_id()), &[3; 16]);
    let places: Vec<_> = (1..=30).map(|host| TaggedAddress::new(stranger(host), Origin::Reported)).collect();
    for (from, least, most) in [(address(1), 30, 30), (stranger(1), 1, 10)] {
        let asked = lookup(&mut bench, server, from, &question);
        let (_, sent) = bench.ask(server, |endpoint, _| endpoint.redirect(&asked, &places));
        assert_eq!(kinds(&sent), [(from, kind::REDIRECT)]);
        let (_, payload) = read(&sent[0]);
        let redirect = Redirect::parse(&payload).unwrap();
        let told: Vec<_> = redirect.destinations().collect();
        assert_eq!((redirect.tag_echo, &told[..]), (&[3; 16][..], &places[..told.len()]));
        assert!((least..=most).contains(&told.len()), "{}", told.len());
        // RFC 7016 §2.3.5: no address would mean the one that the redirect comes from.
        let (_, sent) = bench.ask(server, |endpoint, _| endpoint.redirect(&asked, &[]));
        assert!(sent.is_empty());
    }
}
