//! How an endpoint drives its sessions: what they take in, what goes out, and in which order.

use std::num::NonZeroU32;
use std::time::Duration;

use super::bench::*;
use super::pair::*;
use crate::config::Config;
use crate::crypto::{HmacPreference, Preferences};
use crate::event::{CloseReason, Event};
use crate::network_prefix::NetworkPrefix;
use crate::session_id::SessionId;
use crate::wire::chunk::kind;
use crate::wire::{Mode, PacketHeader};

#[test]
fn a_session_that_is_closing_takes_nothing_but_what_ends_it() {
    for far_closes in [false, true] {
        let mut pair = pair();
        if far_closes {
            let answer = pair.client_says(&[(kind::CLOSE, b"")]);
            assert_eq!(pair.chunks(&answer), [(kind::CLOSE_ACK, vec![])]);
        } else {
            let at_server = pair.at_server;
            let (_, sent) = pair.bench.ask(pair.server, |endpoint, now| endpoint.close(now, at_server));
            assert_eq!(pair.chunks(&sent), [(kind::CLOSE, vec![])]);
        }
        let events = pair.bench.nodes[pair.server].events.len();
        let reply_address = crate::wire::TaggedAddress::new(stranger(1), crate::wire::Origin::Observed);
        let mut forwarded = Vec::new();
        crate::wire::chunk::ForwardedIHello { epd: &pair.bench.epd(pair.server), reply_address, tag: &[1; 16] }
            .put(&mut forwarded);
        for chunk in [
            (kind::PING, &b"?"[..]),
            (kind::PING_REPLY, b"Apong"),
            // A whole message: flags, flow 2, number 1, offset 1, and no metadata.
            (kind::USER_DATA, &[0, 2, 1, 1, b'x']),
            (kind::BUFFER_PROBE, &[2]),
            (kind::FORWARDED_IHELLO, &forwarded[3..]),
        ] {
            assert!(pair.client_says(&[chunk]).is_empty(), "{chunk:?}");
        }
        assert_eq!(pair.bench.nodes[pair.server].events.len(), events);
        // A request is answered each time; an acknowledgement ends it at once.
        for _ in 0..2 {
            let answer = pair.client_says(&[(kind::CLOSE, b"")]);
            assert_eq!(pair.chunks(&answer), [(kind::CLOSE_ACK, vec![])]);
        }
        assert_eq!(pair.bench.endpoint(pair.server).session_count(), 1);
        // Each chunk after the end is ignored.
        assert!(pair.client_says(&[(kind::CLOSE_ACK, b""), (kind::CLOSE, b"")]).is_empty());
        assert_eq!(pair.bench.endpoint(pair.server).session_count(), 0);
        assert_eq!(pair.bench.nodes[pair.server].events.len(), events);
    }
}

#[test]
fn a_session_that_is_over_sends_what_it_still_has_to_say() {
    let mut pair = pair();
    let answer = pair.client_says(&[(kind::CLOSE, b""), (kind::CLOSE_ACK, b"")]);
    assert_eq!(pair.chunks(&answer), [(kind::CLOSE_ACK, vec![])]);
    assert_eq!(pair.bench.closed(pair.server), [CloseReason::Far]);
    let endpoint = pair.bench.endpoint(pair.server);
    assert_eq!((endpoint.session_count(), endpoint.queue.len()), (0, 0));
}

#[test]
fn control_chunks_fill_packets_and_overrun_none() {
    let mut pair = pair();
    let at_server = pair.at_server;
    for len in 220..280 {
        let (sent, datagrams) = pair.bench.ask(pair.server, |endpoint, now| {
            [0, 1, 2].map(|number| endpoint.ping(now, at_server, &vec![number; len]))
        });
        assert_eq!(sent, [true; 3]);
        assert!(datagrams.iter().all(|datagram| datagram.data.len() <= 548), "{len}");
        let messages: Vec<_> = pair.chunks(&datagrams).into_iter().map(|(_, message)| message[1..].to_vec()).collect();
        assert_eq!(messages, [0, 1, 2].map(|number| vec![number; len]), "{len}");
        // Two fit into a packet up to 544 bytes of cipher blocks, 2 of them for the checksum, and 3 or 5 for its header.
        assert!(datagrams.len() == 2 || len >= 265, "{len}");
        assert!(datagrams.len() == 3 || len <= 265, "{len}");
    }
}

/// No part of a chunk can be sent: a longer one is not held back until longer packets are known to arrive.
#[test]
fn a_control_chunk_longer_than_the_packets_that_are_known_to_arrive_goes_alone() {
    let mut pair = pair();
    let at_server = pair.at_server;
    let (_, sent) = pair.bench.ask(pair.server, |endpoint, now| {
        for len in [100, 1100, 100] {
            assert!(endpoint.ping(now, at_server, &vec![7; len]));
        }
    });
    let lengths: Vec<_> = sent.iter().map(|datagram| datagram.data.len()).collect();
    assert!(
        lengths.len() == 3 && lengths[0] < 200 && (1100..=1192).contains(&lengths[1]) && lengths[2] < 200,
        "{lengths:?}"
    );
}

#[test]
fn what_fits_into_no_packet_or_exceeds_what_may_wait_is_dropped_and_the_rest_is_sent() {
    let mut pair = pair();
    let at_server = pair.at_server;
    let (_, sent) = pair.bench.ask(pair.server, |endpoint, now| {
        assert!(endpoint.ping(now, at_server, &[1; 3000]));
        assert!(endpoint.ping(now, at_server, b"short"));
        assert!(!endpoint.ping(now, at_server, &[2; 6000]), "8192 bytes may wait");
        assert!(endpoint.ping(now, at_server, b"after"));
    });
    assert_eq!(pair.chunks(&sent), [(kind::PING, b"Ashort".to_vec()), (kind::PING, b"Aafter".to_vec())]);
    let at_client = pair.at_client;
    pair.bench.exchange(sent);
    let pongs = pair.bench.nodes[pair.server].events.iter().filter(|event| matches!(event, Event::Pong { .. })).count();
    assert_eq!(pongs, 2);
    assert!(!pair.bench.with(pair.client, |endpoint, now| {
        endpoint.close(now, at_client);
        endpoint.ping(now, at_client, b"closed")
    }));
}

/// Deadlines move to and fro. What is outdated goes when its time comes, and brings nothing back.
#[test]
fn a_session_that_goes_on_for_long_leaves_few_entries_among_the_timers() {
    let mut pair = pair();
    let at_client = pair.at_client;
    let flow = pair.bench.with(pair.client, |endpoint, now| {
        endpoint.open_flow(now, at_client, b"", crate::flow::FlowOptions::default()).unwrap()
    });
    for _ in 0..200 {
        pair.bench.with(pair.client, |endpoint, now| {
            endpoint.send(now, at_client, flow, b"x", crate::flow::Delivery::default()).unwrap();
        });
        pair.bench.pass(Duration::from_millis(700));
    }
    let left = [pair.client, pair.server].map(|node| pair.bench.endpoint(node).timers.len());
    // One for each message of the last 15 and 60 seconds: when those are over, a ping would have been due.
    assert!(left[0] <= 40 && left[1] <= 120, "{left:?}");
}

#[test]
fn sessions_take_turns() {
    let mut bench = Bench::new();
    let server = bench.add(server(1));
    let sessions = [2, 3].map(|seed| {
        let client = bench.add(peer(seed));
        bench.connect(client, server).1
    });
    let (_, sent) = bench.ask(server, |endpoint, now| {
        for session in sessions {
            (0..3).for_each(|_| assert!(endpoint.ping(now, session, &[1; 1000])));
        }
    });
    let to: Vec<_> = sent.iter().map(|sent| sent.to).collect();
    assert_eq!(to, [1, 2, 1, 2, 1, 2].map(address));
}

#[test]
fn time_critical_data_in_one_session_holds_the_others_back_for_800_milliseconds() {
    let mut bench = Bench::new();
    let node = bench.add(server(1));
    let [a, b, c] = [1, 2, 3].map(|id| SessionId(1 << 22 | id));
    let endpoint = &mut bench.nodes[node].endpoint;
    let now = bench.now;
    let held = |endpoint: &crate::endpoint::Endpoint, millis| {
        [a, b, c].map(|id| endpoint.others_are_time_critical(now + Duration::from_millis(millis), id))
    };
    assert_eq!(held(endpoint, 0), [false; 3]);
    endpoint.note_time_critical(now, a);
    assert_eq!(
        [held(endpoint, 0), held(endpoint, 799), held(endpoint, 800)],
        [[false, true, true], [false, true, true], [false; 3]]
    );
    endpoint.note_time_critical(now + Duration::from_millis(100), b);
    assert_eq!(held(endpoint, 100), [true; 3], "two sessions hold each other back");
    // One that goes on does not make the other forgotten.
    endpoint.note_time_critical(now + Duration::from_millis(700), b);
    assert_eq!([held(endpoint, 799), held(endpoint, 800)], [[true; 3], [true, false, true]]);
}

#[test]
fn a_session_that_moves_is_found_and_counted_at_its_new_address_only() {
    let mut pair = pair();
    let counts = pair.bench.endpoint(pair.server).config.sessions_by_prefix.clone();
    let count = |of: std::net::SocketAddr| counts.get(NetworkPrefix::of(of.ip()));
    assert_eq!((count(address(1)), count(stranger(5))), (1, 0));
    pair.bench.nodes[pair.client].address = stranger(5);
    let at_client = pair.at_client;
    pair.bench.with(pair.client, |endpoint, now| endpoint.ping(now, at_client, &[1; 100]));
    let moved = pair.bench.nodes[pair.server].events.iter().any(|event| {
        matches!(event, Event::AddressChanged { session, from, to } if (*session, *from, *to) == (pair.at_server, address(1), stranger(5)))
    });
    assert!(moved);
    let endpoint = pair.bench.endpoint(pair.server);
    assert_eq!(endpoint.session(pair.at_server).unwrap().far_address, stranger(5));
    assert_eq!((count(address(1)), count(stranger(5))), (0, 1));
    let found = [address(1), stranger(5)].map(|at| endpoint.by_address.get(&at, &endpoint.slots));
    assert_eq!((found, endpoint.by_address.len()), ([None, Some(pair.at_server)], 1));
}

#[test]
fn a_packet_from_elsewhere_moves_nothing_until_a_ping_to_there_comes_back_from_there() {
    let mut pair = pair();
    // Long enough to earn a ping.
    let check = pair.client_says_at(stranger(5), &[(kind::PING, &[1; 60])]);
    let to: Vec<_> = check.iter().map(|sent| sent.to).collect();
    assert_eq!(to, [stranger(5), address(1)], "the reply goes to where the session is");
    let message = pair.chunks(&check[..1])[0].1.clone();
    assert!(
        pair.client_says_at(stranger(5), &[(kind::PING, &[1; 60])]).iter().all(|sent| sent.to == address(1)),
        "one check a second"
    );
    pair.client_says_at(stranger(6), &[(kind::PING_REPLY, &message)]);
    pair.client_says_at(address(1), &[(kind::PING_REPLY, &message)]);
    let is_moved =
        |pair: &Pair| pair.bench.endpoint(pair.server).session(pair.at_server).unwrap().far_address != address(1);
    assert!(!is_moved(&pair));
    pair.client_says_at(stranger(5), &[(kind::PING_REPLY, &message)]);
    assert!(is_moved(&pair));
}

#[test]
fn a_packet_from_elsewhere_earns_less_than_three_times_its_bytes() {
    // The longest ping there is answers the shortest packets there are: only the near end sends HMACs.
    let hmac = HmacPreference { will_send_always: true, length: 32, ..HmacPreference::default() };
    let keying = Preferences { hmac, log_keys: true, ..Preferences::default() };
    for len in 0..60 {
        let mut pair = pair_of(Config { keying, ..server(1) });
        let message = vec![b'X'; len];
        let mut sealer = pair.bench.far_sealer(pair.client);
        let chunk = (kind::PING_REPLY, &message[..]);
        let data = packet(&mut sealer, pair.at_server, PacketHeader::new(Mode::Initiator), &[chunk]);
        let sent = pair.bench.deliver(pair.server, stranger(5), &data);
        let bytes: usize = sent.iter().map(|sent| sent.data.len()).sum();
        assert!(bytes < 3 * data.len() && sent.len() <= 1, "{} bytes earn {bytes}", data.len());
        assert!(data.len() < 40 || !sent.is_empty(), "{} bytes earn nothing", data.len());
    }
}

#[test]
fn what_the_application_charges_counts_until_the_session_has_earned_it() {
    let mut pair = pair_of(Config { max_work: NonZeroU32::new(100), ..server(1) });
    pair.bench.pass(Duration::from_secs(3));
    let ping: &[(u8, &[u8])] = &[(kind::PING, b"?")];
    assert_eq!(pair.client_says(ping).len(), 1);
    let at_server = pair.at_server;
    pair.bench.ask(pair.server, |endpoint, _| endpoint.charge(at_server, 150));
    for _ in 0..3 {
        assert!(pair.client_says(ping).is_empty());
    }
    assert_eq!(pair.bench.endpoint(pair.server).counters().over_budget, 3);
    let told = pair.bench.nodes[pair.server]
        .events
        .iter()
        .filter(|event| matches!(event, Event::Overspent { is_persistent: false, .. }));
    assert_eq!(told.count(), 1);
    pair.bench.pass(Duration::from_secs(2));
    assert_eq!(pair.client_says(ping).len(), 1);
}

#[test]
fn a_packet_under_the_default_key_does_nothing_to_an_open_session() {
    let mut pair = pair();
    for kind in [kind::CLOSE, kind::CLOSE_ACK, kind::PING, kind::RIKEYING] {
        let forged = startup(pair.at_server.get(), |out| crate::wire::packet::put_chunk(kind, out, |_| ()));
        assert!(pair.bench.deliver(pair.server, address(1), &forged).is_empty());
    }
    assert_eq!(pair.bench.endpoint(pair.server).counters().unverified, 4);
    assert!(pair.is_open());
    let nobody = startup(0x7fff_0001, |out| crate::wire::packet::put_chunk(kind::PING, out, |_| ()));
    pair.bench.deliver(pair.server, address(1), &nobody);
    pair.bench.deliver(pair.server, address(1), &[1, 2, 3]);
    let counters = pair.bench.endpoint(pair.server).counters();
    assert_eq!((counters.unknown_session, counters.malformed), (1, 1));
}

#[test]
fn answers_that_nobody_takes_away_are_bounded_and_counted() {
    let mut bench = Bench::new();
    let node = bench.add(server(1));
    let question = hello(&bench.epd(node), &[1; 16]);
    for _ in 0..9000 {
        let (now, interface) = (bench.now, crate::transmit::InterfaceId(0));
        bench.nodes[node].endpoint.handle_datagram(now, interface, stranger(1), &mut question.clone());
    }
    assert_eq!((bench.drain(node).len(), bench.endpoint(node).counters().outbox_full), (8192, 808));
    assert_eq!(bench.deliver(node, stranger(1), &question).len(), 1);
}
