//! Chunks made up from the input: well formed more often than noise is, with numbers that meet each other.

use rtmfp::wire::chunk::{
    Ack, BufferProbe, FlowException, ForwardedIHello, FragmentControl, NextUserData, PacketFragment, UserData, kind,
    metadata_option, return_association_option,
};
use rtmfp::wire::packet::put_chunk;
use rtmfp::wire::{Origin, PacketHeader, TaggedAddress, option};

use super::super::input::Input;
use super::link::Link;
use super::world::ADDRESSES;

const KINDS: [u8; 18] = [
    kind::PACKET_FRAGMENT,
    kind::IHELLO,
    kind::FORWARDED_IHELLO,
    kind::RHELLO,
    kind::REDIRECT,
    kind::COOKIE_CHANGE,
    kind::IIKEYING,
    kind::RIKEYING,
    kind::PING,
    kind::PING_REPLY,
    kind::USER_DATA,
    kind::NEXT_USER_DATA,
    kind::ACK_BITMAP,
    kind::ACK_RANGES,
    kind::BUFFER_PROBE,
    kind::FLOW_EXCEPTION,
    kind::CLOSE,
    kind::CLOSE_ACK,
];

/// The length of the shortest fragments of packets, in bytes.
const SMALLEST_PIECE: usize = 16;

/// A plain packet of a session.
pub(super) fn session_packet(link: &Link, input: &mut Input<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let flags = input.u8();
    let header = PacketHeader {
        time_critical: flags & 1 != 0,
        time_critical_reverse: flags & 2 != 0,
        timestamp: (flags & 4 != 0).then(|| input.u16()),
        timestamp_echo: (flags & 8 != 0).then(|| input.u16()),
        mode: if flags & 0xf0 == 0xf0 { link.mode.opposite() } else { link.mode },
    };
    header.put(&mut out);
    for _ in 0..=input.below(8) {
        session_chunk(input, &mut out);
    }
    out
}

/// A plain packet of a session, cut into fragments (RFC 7016 §2.3.1): in packets of their own or in one, in order or the other way round, with
/// one of them left out or sent twice now and then.
pub(super) fn in_pieces(link: &Link, input: &mut Input<'_>) -> Vec<Vec<u8>> {
    let whole = session_packet(link, input);
    let (packet_id, size, fate) = (input.number(), SMALLEST_PIECE + input.below(256), input.u8());
    let count = whole.len().div_ceil(size);
    let carrier = || {
        let mut out = Vec::new();
        PacketHeader::new(link.mode).put(&mut out);
        out
    };
    let piece = |(number, fragment): (usize, &[u8])| {
        let (more_fragments, fragment_num) = (number + 1 < count, number as u64);
        let mut out = Vec::new();
        PacketFragment { more_fragments, packet_id, fragment_num, fragment }.put(&mut out);
        out
    };
    let mut pieces: Vec<Vec<u8>> = whole.chunks(size).enumerate().map(piece).collect();
    if fate & 1 != 0 {
        pieces.reverse();
    }
    let chosen = usize::from(fate >> 4) % pieces.len().max(1);
    match fate >> 2 & 3 {
        0 if !pieces.is_empty() => drop(pieces.remove(chosen)),
        1 => pieces.extend(pieces.get(chosen).cloned()),
        _ => (),
    }
    if fate & 2 != 0 {
        return vec![[carrier(), pieces.concat()].concat()];
    }
    pieces.into_iter().map(|piece| [carrier(), piece].concat()).collect()
}

fn session_chunk(input: &mut Input<'_>, out: &mut Vec<u8>) {
    match input.below(16) {
        0..=3 => {
            let sequence_number = input.number();
            let fsn_offset = input.number().min(sequence_number);
            let (flow_id, options) = (input.number(), options(input));
            let fragment = fragment(input, options.as_deref());
            UserData { flow_id, sequence_number, fsn_offset, fragment }.put(out);
        }
        4 | 5 => {
            let options = if input.below(8) == 0 { options(input) } else { None };
            fragment(input, options.as_deref()).put(out);
        }
        6 | 7 => acknowledgement(input, out),
        8 => {
            BufferProbe { flow_id: input.number() }.put(out);
        }
        9 => {
            FlowException { flow_id: input.number(), exception: input.number() }.put(out);
        }
        10 => {
            let kind = if input.flag() { kind::PING } else { kind::PING_REPLY };
            put_chunk(kind, out, |out| out.extend_from_slice(input.string()));
        }
        11 => {
            let reply_address = TaggedAddress::new(input.one_of(&ADDRESSES), Origin::Observed);
            ForwardedIHello { epd: input.string(), reply_address, tag: input.string() }.put(out);
        }
        12 if input.below(8) == 0 => {
            put_chunk(if input.flag() { kind::CLOSE } else { kind::CLOSE_ACK }, out, |_| ());
        }
        13 => {
            let fragment = PacketFragment {
                more_fragments: input.flag(),
                packet_id: input.number(),
                fragment_num: input.number(),
                fragment: input.string(),
            };
            fragment.put(out);
        }
        14 => {
            let kind = input.one_of(&KINDS);
            put_chunk(kind, out, |out| out.extend_from_slice(input.string()));
        }
        _ => out.extend_from_slice(input.string()),
    }
}

fn acknowledgement(input: &mut Input<'_>, out: &mut Vec<u8>) {
    let (flow_id, buffer_blocks, cumulative) = (input.number(), input.number(), input.number());
    let mut ranges = Vec::new();
    let mut above = cumulative;
    for _ in 0..input.below(6) {
        let first = above.checked_add(2).and_then(|next| next.checked_add(input.number()));
        let Some((first, last)) = first.and_then(|first| Some((first, first.checked_add(input.number())?))) else {
            break;
        };
        ranges.push(first..=last);
        above = last;
    }
    Ack::put(flow_id, buffer_blocks, cumulative, ranges.into_iter(), out);
}

fn fragment<'a, 'i: 'a>(input: &mut Input<'i>, options: Option<&'a [u8]>) -> NextUserData<'a> {
    let fragment_control =
        [FragmentControl::Whole, FragmentControl::Begin, FragmentControl::End, FragmentControl::Middle];
    let flags = input.u8();
    NextUserData {
        fragment_control: fragment_control[usize::from(flags & 3)],
        abandon: flags & 0x1c == 0x1c,
        is_final: flags & 0xe0 == 0xe0,
        options,
        // Long messages from short inputs.
        data: if input.below(4) == 0 { &[0x55; 1000] } else { input.string() },
    }
}

fn options(input: &mut Input<'_>) -> Option<Vec<u8>> {
    let choices = input.u8();
    let mut list = Vec::new();
    if choices & 3 != 0 {
        metadata_option(b"TC\x04\0", &mut list);
    }
    if choices & 0x0c == 0x0c {
        return_association_option(input.number(), &mut list);
    }
    if choices & 0xf0 == 0xf0 {
        option::put(input.number().max(1), input.string(), &mut list);
    }
    (choices & 0x1f != 0).then_some(list)
}
