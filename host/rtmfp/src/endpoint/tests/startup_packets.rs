//! What a packet under the default key may be and bring (RFC 7016 §2.2.4, §2.3, §3.4): everybody can make one.

use super::bench::*;
use crate::wire::chunk::{CookieChange, IHello, PacketFragment, RHello, RIKeying, kind};
use crate::wire::{Mode, PacketHeader};

/// Chunks of a hello behind a packet's header.
fn hello_packet(bench: &Bench, node: usize, mode: Mode) -> Vec<u8> {
    let mut plain = Vec::new();
    PacketHeader::new(mode).put(&mut plain);
    assert!(IHello { epd: &bench.epd(node), tag: &[1; 16] }.put(&mut plain));
    plain
}

#[test]
fn a_packet_and_the_packet_that_its_fragments_make_are_of_the_startup_mode_both() {
    use Mode::{Initiator, Responder, Startup};
    for (outside, inside, is_answered) in [
        (Startup, Startup, true),
        (Startup, Initiator, false),
        (Startup, Responder, false),
        (Initiator, Startup, false),
        (Initiator, Initiator, false),
    ] {
        let mut bench = Bench::new();
        let node = bench.add(server(1));
        let plain = hello_packet(&bench, node, inside);
        let (one, other) = plain.split_at(20);
        let mut answers = Vec::new();
        for (fragment_num, fragment) in [(0, one), (1, other)] {
            let fragment = PacketFragment { more_fragments: fragment_num == 0, packet_id: 5, fragment_num, fragment };
            let datagram = seal(0, outside, |out| assert!(fragment.put(out)));
            answers.extend(bench.deliver(node, stranger(1), &datagram));
        }
        assert_eq!(answers.len(), usize::from(is_answered), "{outside:?} {inside:?}");
        let malformed = bench.endpoint(node).counters().malformed;
        assert_eq!(malformed > 0, !is_answered);
    }
    for (mode, is_answered) in [(Startup, true), (Initiator, false), (Responder, false)] {
        let mut bench = Bench::new();
        let node = bench.add(server(1));
        let epd = bench.epd(node);
        let datagram = seal(0, mode, |out| assert!(IHello { epd: &epd, tag: &[1; 16] }.put(out)));
        assert_eq!(bench.deliver(node, stranger(1), &datagram).len(), usize::from(is_answered), "{mode:?}");
    }
}

#[test]
fn fragments_from_two_addresses_make_no_packet() {
    let mut bench = Bench::new();
    let node = bench.add(server(1));
    let plain = hello_packet(&bench, node, Mode::Startup);
    let (one, other) = plain.split_at(20);
    for (host, fragment_num, fragment) in [(1, 0, one), (2, 1, other)] {
        let fragment = PacketFragment { more_fragments: fragment_num == 0, packet_id: 5, fragment_num, fragment };
        assert!(bench.deliver(node, stranger(host), &startup(0, |out| fragment.put(out))).is_empty());
    }
}

#[test]
fn a_chunk_in_a_startup_packet_counts_only_where_it_belongs() {
    let mut bench = Bench::new();
    let (node, far) = (bench.add(peer(1)), bench.add(server(2)));
    let (id, _) = bench.open(node, far, &[stranger(1)]);
    let epd = bench.epd(node);
    type Write<'a> = Box<dyn Fn(&mut Vec<u8>) -> bool + 'a>;
    let chunks: [(&str, Write<'_>); 5] = [
        ("a hello", Box::new(|out| IHello { epd: &epd, tag: &[1; 16] }.put(out))),
        (
            "an answer to a hello",
            Box::new(|out| {
                let certificate = identity(2);
                let certificate = certificate.certificate().as_bytes();
                RHello { tag_echo: &[1; 16], cookie: &[2; 64], certificate }.put(out)
            }),
        ),
        (
            "a change of the cookie",
            Box::new(|out| CookieChange { old_cookie: &[1; 64], new_cookie: &[2; 64] }.put(out)),
        ),
        (
            "an answer to a keying",
            Box::new(|out| RIKeying { session_id: 7, component: &[], signature: &[], signed_portion: &[] }.put(out)),
        ),
        ("a ping", Box::new(|out| crate::wire::packet::put_chunk(kind::PING, out, |_| ()))),
    ];
    for (place, (what, chunk)) in chunks.iter().enumerate() {
        for session_id in [0, id.get()] {
            let before = bench.endpoint(node).counters().ignored;
            let answers = bench.deliver(node, stranger(2), &startup(session_id, |out| chunk(out)));
            assert_eq!(answers.len(), usize::from(place == 0 && session_id == 0), "{what} to {session_id}");
            let ignored = bench.endpoint(node).counters().ignored - before;
            // A cookie change or an answer to the keying finds the attempt, which awaits neither.
            let has_place = (place == 0 && session_id == 0) || ([2, 3].contains(&place) && session_id != 0);
            assert_eq!(ignored, u64::from(!has_place), "{what} to {session_id}");
        }
    }
}
