use proptest::prelude::*;

use super::*;
use crate::wire::address::{Origin, TaggedAddress};
use crate::wire::packet::{CHUNK_HEADER_LEN, RawChunk, chunks};

fn only_chunk(bytes: &[u8]) -> Chunk<'_> {
    let mut read = chunks(bytes);
    let chunk = Chunk::parse(read.next().expect("a chunk")).expect("well formed");
    assert!(read.remainder().is_empty());
    chunk
}

fn acknowledged(chunk: Chunk<'_>) -> Vec<u64> {
    match chunk {
        Chunk::Ack(ack) => ack.ranges().flatten().collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn acknowledgement_examples_of_the_rfc() {
    // RFC 7016 Figures 4, 5 and 6; the length of the last is that of the bytes shown.
    let bitmap = [0x50, 0, 5, 5, 0x7f, 0x10, 0x79, 0x06];
    assert_eq!(acknowledged(only_chunk(&bitmap)), [18, 21, 22, 23, 24, 27, 28]);
    let ranges = [0x51, 0, 7, 5, 0x7f, 0x10, 0, 0, 1, 3];
    assert_eq!(acknowledged(only_chunk(&ranges)), [18, 21, 22, 23, 24]);
    let truncated = [0x51, 0, 7, 5, 0x7f, 0x10, 0, 0, 1, 0x83];
    assert_eq!(acknowledged(only_chunk(&truncated)), [18]);
}

/// §2.3.13: whichever form is shorter for what is acknowledged; the first case is RFC 7016 Figure 4.
#[test]
fn acknowledgements_are_written_in_the_shorter_form() {
    type Case<'a> = (&'a [(u64, u64)], &'a [u8]);
    let cases: [Case<'_>; 5] = [
        (&[(18, 18), (21, 24), (27, 28)], &[0x50, 0, 5, 5, 0x7f, 0x10, 0x79, 0x06]),
        (&[], &[0x50, 0, 3, 5, 0x7f, 0x10]),
        (&[(18, 33)], &[0x50, 0, 5, 5, 0x7f, 0x10, 0xff, 0xff]),
        (&[(18, 34)], &[0x51, 0, 5, 5, 0x7f, 0x10, 0, 16]),
        (&[(40, 40)], &[0x51, 0, 5, 5, 0x7f, 0x10, 22, 0]),
    ];
    for (ranges, expected) in cases {
        let mut bytes = Vec::new();
        assert!(Ack::put(5, 0x7f, 16, ranges.iter().map(|&(first, last)| first..=last), &mut bytes));
        assert_eq!(bytes, expected, "{ranges:?}");
        let numbers: Vec<u64> = ranges.iter().flat_map(|&(first, last)| first..=last).collect();
        assert_eq!(acknowledged(only_chunk(&bytes)), numbers);
    }
}

#[test]
fn next_user_data_example_of_the_rfc() {
    // RFC 7016 Figure 3.
    let bytes = [0x10, 0, 7, 0, 2, 5, 3, 0, 1, 2, 0x11, 0, 4, 0, 3, 4, 5, 0x11, 0, 4, 0, 6, 7, 8];
    let read: Vec<Chunk<'_>> = chunks(&bytes).map(|raw| Chunk::parse(raw).unwrap()).collect();
    let Chunk::UserData(first) = read[0] else { panic!("{read:?}") };
    assert_eq!((first.flow_id, first.sequence_number, first.forward_sequence_number()), (2, 5, 2));
    assert_eq!(first.fragment.data, [0, 1, 2]);
    let mut written = Vec::new();
    first.put(&mut written);
    for (chunk, data) in read[1..].iter().zip([[3, 4, 5], [6, 7, 8]]) {
        let Chunk::NextUserData(next) = chunk else { panic!("{chunk:?}") };
        assert_eq!(next.data, data);
        next.put(&mut written);
    }
    assert_eq!(written, bytes);
}

#[test]
fn impossible_forward_sequence_numbers_are_malformed() {
    for (payload, ok) in [
        (&[0u8, 2, 5, 6, 9][..], false),
        (&[0, 2, 5, 0, 9], false),
        (&[2, 2, 5, 0, 9], true),
        (&[0, 2, 0, 0, 9], false),
        (&[2, 2, 0, 0, 9], false),
        (&[0, 2, 5, 5, 9], true),
    ] {
        assert_eq!(UserData::parse(payload).is_ok(), ok, "{payload:?}");
    }
}

#[test]
fn unknown_flow_options_reject_below_8192_only() {
    let mut list = Vec::new();
    metadata_option(b"TC", &mut list);
    return_association_option(300, &mut list);
    crate::wire::option::put(0x2000, b"later", &mut list);
    let read = UserDataOptions::parse(&list).unwrap();
    assert_eq!((read.metadata, read.return_association, read.unsupported), (Some(&b"TC"[..]), Some(300), None));
    crate::wire::option::put(0x1fff, b"", &mut list);
    assert_eq!(UserDataOptions::parse(&list).unwrap().unsupported, Some(0x1fff));
}

#[test]
fn huge_acknowledgement_numbers_end_the_list() {
    let mut bytes = Vec::new();
    for value in [5, 1, u64::MAX - 3, 0, 0] {
        crate::wire::vlu::put(value, &mut bytes);
    }
    assert_eq!(Ack::parse(AckForm::Ranges, &bytes).unwrap().ranges().count(), 1);
    let mut bytes = Vec::new();
    for value in [5, 1, u64::MAX - 3] {
        crate::wire::vlu::put(value, &mut bytes);
    }
    bytes.extend_from_slice(&[0xff; 4]);
    assert_eq!(Ack::parse(AckForm::Bitmap, &bytes).unwrap().ranges().count(), 0);
}

/// Writes what `chunk` says.
fn put(chunk: &Chunk<'_>, out: &mut Vec<u8>) -> bool {
    match chunk {
        Chunk::PacketFragment(chunk) => chunk.put(out),
        Chunk::IHello(chunk) => chunk.put(out),
        Chunk::ForwardedIHello(chunk) => chunk.put(out),
        Chunk::RHello(chunk) => chunk.put(out),
        Chunk::Redirect(chunk) => Redirect::put(chunk.tag_echo, &chunk.destinations().collect::<Vec<_>>(), out),
        Chunk::CookieChange(chunk) => chunk.put(out),
        Chunk::IIKeying(chunk) => chunk.put(out),
        Chunk::RIKeying(chunk) => chunk.put(out),
        Chunk::UserData(chunk) => chunk.put(out),
        Chunk::NextUserData(chunk) => chunk.put(out),
        Chunk::Ack(ack) => Ack::put(ack.flow_id, ack.buffer_blocks, ack.cumulative, ack.ranges(), out),
        Chunk::BufferProbe(chunk) => chunk.put(out),
        Chunk::FlowException(chunk) => chunk.put(out),
        other => panic!("{other:?} has no body"),
    }
}

/// Where the payload of this chunk may be cut. What is left must be read as a chunk of the same kind that says what is there; a cut
/// anywhere else must make it malformed.
fn ends_of(chunk: &[u8]) -> Vec<usize> {
    let payload = &chunk[CHUNK_HEADER_LEN..];
    let is_whole = |end: &usize| {
        let raw = RawChunk { kind: chunk[0], payload: &payload[..*end] };
        let Ok(shorter) = Chunk::parse(raw) else { return false };
        let mut again = Vec::new();
        assert!(put(&shorter, &mut again));
        assert_eq!(chunks(&again).next(), Some(raw), "cut at {end}");
        true
    };
    (0..payload.len()).filter(is_whole).collect()
}

#[test]
fn startup_chunks_both_ways_and_truncated() {
    let address = TaggedAddress::new("[fd00::2]:1935".parse().unwrap(), Origin::Observed);
    let mut redirect = Vec::new();
    Redirect::put(b"tag", &[address, address], &mut redirect);
    let (cookie, certificate, component) = (&[7u8; 64][..], &b"certificate"[..], &b"component"[..]);
    let fragment = PacketFragment { more_fragments: true, packet_id: 300, fragment_num: 2, fragment: b"x" };
    // With each sample, the lengths at which its payload may end earlier: in or before the field that takes the rest.
    let samples: [(Chunk<'_>, &[usize]); 8] = [
        (Chunk::IHello(IHello { epd: b"epd", tag: &[1; 3] }), &[4, 5, 6]),
        (Chunk::ForwardedIHello(ForwardedIHello { epd: b"epd", reply_address: address, tag: &[1; 2] }), &[23, 24]),
        (Chunk::RHello(RHello { tag_echo: &[1; 16], cookie, certificate: b"c" }), &[82]),
        (only_chunk(&redirect), &[4, 23]),
        (Chunk::CookieChange(CookieChange { old_cookie: cookie, new_cookie: &[8; 2] }), &[65, 66]),
        (Chunk::PacketFragment(fragment), &[]),
        (Chunk::BufferProbe(BufferProbe { flow_id: 300 }), &[]),
        (Chunk::FlowException(FlowException { flow_id: 300, exception: 1 }), &[]),
    ];
    for (sample, shorter) in samples {
        let mut bytes = Vec::new();
        assert!(put(&sample, &mut bytes));
        assert_eq!(only_chunk(&bytes), sample);
        assert_eq!(ends_of(&bytes), shorter, "{sample:?}");
    }
    let keying = IIKeying {
        session_id: 9,
        cookie_echo: cookie,
        certificate,
        component,
        signature: b"X",
        signed_parameters: b"",
    };
    let mut bytes = Vec::new();
    assert!(keying.put(&mut bytes));
    let Chunk::IIKeying(read) = only_chunk(&bytes) else { panic!() };
    assert_eq!(read.signed_parameters, &bytes[CHUNK_HEADER_LEN..bytes.len() - 1]);
    assert_eq!(IIKeying { signed_parameters: b"", ..read }, keying);
    assert_eq!(ends_of(&bytes), [91], "before the signature");
    let keying = RIKeying { session_id: 9, component, signature: b"X", signed_portion: b"" };
    let mut bytes = Vec::new();
    assert!(keying.put(&mut bytes));
    let Chunk::RIKeying(read) = only_chunk(&bytes) else { panic!() };
    assert_eq!(read.signed_portion, &bytes[CHUNK_HEADER_LEN..bytes.len() - 1]);
    assert_eq!(RIKeying { signed_portion: b"", ..read }, keying);
    assert_eq!(ends_of(&bytes), [14], "before the signature");
}

/// RFC 7016 §2.3. Both ends of a test have these numbers from one place, so only a table of its own shows that they are right.
#[test]
fn chunk_types_have_the_numbers_of_the_rfc() {
    let known: [(u8, &[u8], &str); 18] = [
        (0x7f, &[0, 1, 0, 9], "PacketFragment"),
        (0x30, &[1, 7], "IHello"),
        (0x0f, &[1, 7, 2, 192, 0, 2, 1, 7, 143], "ForwardedIHello"),
        (0x70, &[1, 7, 1, 8], "RHello"),
        (0x71, &[1, 7], "Redirect"),
        (0x79, &[1, 7, 8], "CookieChange"),
        (0x38, &[0, 0, 0, 9, 1, 7, 1, 8, 1, 9], "IIKeying"),
        (0x78, &[0, 0, 0, 9, 1, 8], "RIKeying"),
        (0x01, &[], "Ping"),
        (0x41, &[], "PingReply"),
        (0x10, &[0, 2, 5, 3], "UserData"),
        (0x11, &[0], "NextUserData"),
        (0x50, &[2, 1, 5], "Ack"),
        (0x51, &[2, 1, 5], "Ack"),
        (0x18, &[2], "BufferProbe"),
        (0x5e, &[2, 0], "FlowException"),
        (0x0c, &[], "Close"),
        (0x4c, &[], "CloseAck"),
    ];
    for kind in 0..=255 {
        let (_, payload, name) =
            known.iter().find(|(known, ..)| *known == kind).copied().unwrap_or((kind, &[], "Unknown"));
        let chunk = Chunk::parse(RawChunk { kind, payload }).unwrap();
        let read = format!("{chunk:?}");
        assert_eq!(read.split('(').next(), Some(name), "{kind:#x}");
        if let Chunk::Ack(ack) = chunk {
            assert_eq!(ack.form == AckForm::Bitmap, kind == 0x50);
        }
    }
}

/// RFC 7016 §2, §2.3.1, §2.3.11.
#[test]
fn reserved_bits_of_chunks_are_ignored_and_not_sent() {
    for flags in 0..=255u8 {
        let fragment = [flags, 5, 2, 9];
        let read = PacketFragment::parse(&fragment).unwrap();
        assert_eq!(read.more_fragments, flags & 0x80 != 0, "{flags:#x}");
        let mut written = Vec::new();
        read.put(&mut written);
        assert_eq!(written[CHUNK_HEADER_LEN..], [flags & 0x80, 5, 2, 9]);

        let options: &[u8] = if flags & 0x80 != 0 { &[2, 0x0a, 9, 0] } else { &[] };
        let data = [&[flags, 2, 5, 3][..], options, &[7]].concat();
        let read = UserData::parse(&data).unwrap();
        let next = [&[flags][..], options, &[7]].concat();
        assert_eq!(NextUserData::parse(&next), Ok(read.fragment), "{flags:#x}");
        let NextUserData { fragment_control, abandon, is_final, options, data: rest } = read.fragment;
        assert_eq!(fragment_control as u8, flags >> 4 & 3);
        assert_eq!((abandon, is_final), (flags & 2 != 0, flags & 1 != 0));
        assert_eq!((options.is_some(), rest), (flags & 0x80 != 0, &[7][..]));
        let mut written = Vec::new();
        read.put(&mut written);
        assert_eq!(written[CHUNK_HEADER_LEN], flags & 0xb3, "no reserved bit is sent");
        assert_eq!(written[CHUNK_HEADER_LEN + 1..], data[1..]);
        let overhead = UserData::overhead(read.flow_id, read.sequence_number, read.fsn_offset);
        assert_eq!(written.len(), overhead + options.map_or(0, |list| list.len() + 1) + rest.len());
    }
}

#[test]
fn lengths_of_startup_chunks_are_known_before() {
    for (text, tag) in [("[fd00::2]:1935", 16), ("192.0.2.1:1", 200)] {
        let (epd, tag, cookie, certificate) = (&[1; 34][..], &vec![2; tag][..], &[3; 64][..], &[4; 130][..]);
        let reply_address = TaggedAddress::new(text.parse().unwrap(), Origin::Observed);
        let forwarded = ForwardedIHello { epd, reply_address, tag };
        let mut redirect = Vec::new();
        Redirect::put(tag, &[], &mut redirect);
        for (chunk, len) in [
            (Chunk::IHello(IHello { epd, tag }), IHello::payload_len(epd.len(), tag.len())),
            (Chunk::ForwardedIHello(forwarded), forwarded.payload_len()),
            (
                Chunk::RHello(RHello { tag_echo: tag, cookie, certificate }),
                RHello::payload_len(tag.len(), cookie.len(), certificate.len()),
            ),
            (only_chunk(&redirect), Redirect::payload_len(tag.len())),
            (
                Chunk::CookieChange(CookieChange { old_cookie: tag, new_cookie: cookie }),
                CookieChange::payload_len(tag.len(), cookie.len()),
            ),
        ] {
            let mut bytes = Vec::new();
            assert!(put(&chunk, &mut bytes));
            assert_eq!(bytes.len(), CHUNK_HEADER_LEN + len, "{chunk:?}");
        }
    }
}

/// RFC 7016 §2.3.1, §3.4.
#[test]
fn an_empty_packet_fragment_is_malformed() {
    let mut bytes = Vec::new();
    let fragment = PacketFragment { more_fragments: false, packet_id: 1, fragment_num: 0, fragment: b"x" };
    assert!(fragment.put(&mut bytes));
    let payload = &bytes[CHUNK_HEADER_LEN..];
    assert_eq!(PacketFragment::parse(payload), Ok(fragment));
    assert!(PacketFragment::parse(&payload[..payload.len() - 1]).is_err());
}

proptest! {
    #[test]
    fn acknowledgements_round_trip(
        flow_id: u64,
        buffer_blocks: u64,
        cumulative in 0u64..1 << 40,
        gaps in prop::collection::vec((2u64..400, 0u64..300), 0..40),
    ) {
        let mut at = cumulative;
        let ranges: Vec<_> = gaps.iter().map(|(gap, more)| {
            let range = at + gap..=at + gap + more;
            at = *range.end();
            range
        }).collect();
        let mut bytes = Vec::new();
        prop_assert!(Ack::put(flow_id, buffer_blocks, cumulative, ranges.iter().cloned(), &mut bytes));
        let Chunk::Ack(ack) = only_chunk(&bytes) else { panic!() };
        prop_assert_eq!((ack.flow_id, ack.buffer_blocks, ack.cumulative), (flow_id, buffer_blocks, cumulative));
        prop_assert_eq!(ack.ranges().collect::<Vec<_>>(), ranges);
    }

    #[test]
    fn anything_parses_or_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for raw in chunks(&bytes) {
            match Chunk::parse(raw) {
                Ok(Chunk::Ack(ack)) => { ack.ranges().for_each(drop); }
                Ok(Chunk::Redirect(redirect)) => { redirect.destinations().for_each(drop); }
                Ok(Chunk::UserData(data)) => { let _ = data.fragment.options.map(UserDataOptions::parse); }
                _ => (),
            }
        }
    }
}
