use proptest::prelude::*;

use super::*;
use crate::wire::address::{Origin, TaggedAddress};
use crate::wire::packet::{CHUNK_HEADER_LEN, chunks};

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

#[test]
fn startup_chunks_both_ways_and_truncated() {
    let address = TaggedAddress::new("[fd00::2]:1935".parse().unwrap(), Origin::Observed);
    let mut redirect = Vec::new();
    Redirect::put(b"tag", &[address, address], &mut redirect);
    let (cookie, certificate, component) = (&[7u8; 64][..], &b"certificate"[..], &b"component"[..]);
    let samples = [
        Chunk::IHello(IHello { epd: b"epd", tag: &[1; 16] }),
        Chunk::ForwardedIHello(ForwardedIHello { epd: b"epd", reply_address: address, tag: &[1; 16] }),
        Chunk::RHello(RHello { tag_echo: &[1; 16], cookie, certificate }),
        only_chunk(&redirect),
        Chunk::CookieChange(CookieChange { old_cookie: cookie, new_cookie: &[8; 64] }),
        Chunk::PacketFragment(PacketFragment { more_fragments: true, packet_id: 300, fragment_num: 2, fragment: b"x" }),
        Chunk::BufferProbe(BufferProbe { flow_id: 300 }),
        Chunk::FlowException(FlowException { flow_id: 300, exception: 1 }),
    ];
    for sample in samples {
        let mut bytes = Vec::new();
        assert!(put(&sample, &mut bytes));
        assert_eq!(only_chunk(&bytes), sample);
        for end in CHUNK_HEADER_LEN..bytes.len() {
            let raw = crate::wire::packet::RawChunk { kind: bytes[0], payload: &bytes[CHUNK_HEADER_LEN..end] };
            // Any prefix is either malformed or a shorter chunk of the same kind; it never panics.
            let _ = Chunk::parse(raw);
        }
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
    let keying = RIKeying { session_id: 9, component, signature: b"X", signed_portion: b"" };
    let mut bytes = Vec::new();
    assert!(keying.put(&mut bytes));
    let Chunk::RIKeying(read) = only_chunk(&bytes) else { panic!() };
    assert_eq!(read.signed_portion, &bytes[CHUNK_HEADER_LEN..bytes.len() - 1]);
    assert_eq!(RIKeying { signed_portion: b"", ..read }, keying);
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
