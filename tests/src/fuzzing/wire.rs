//! Packets and their parts (RFC 7016 §2): what is read is written again with the same meaning.

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use rtmfp::wire::chunk::{Ack, Redirect, UserDataOptions, kind};
use rtmfp::wire::option::{self, Element};
use rtmfp::wire::packet::{self, RawChunk};
use rtmfp::wire::{Chunk, PacketHeader, TaggedAddress, vlu};

use super::input::Input;

/// Takes the bytes for a plain packet, or, if their first bit is set, for the content of an acknowledgement.
pub fn run(bytes: &[u8]) {
    match bytes.split_first() {
        Some((0x80.., rest)) => acknowledgement(&mut Input::new(rest)),
        Some((_, rest)) => {
            plain_packet(rest);
            pieces(rest);
        }
        None => (),
    }
}

fn plain_packet(bytes: &[u8]) {
    let mut rest = bytes;
    let Ok(header) = PacketHeader::take(&mut rest) else { return };
    let mut again = Vec::new();
    header.put(&mut again);
    assert_eq!(PacketHeader::take(&mut &again[..]), Ok(header));
    assert_eq!(again.len() + rest.len(), bytes.len());
    let mut iteration = packet::chunks(rest);
    let mut taken = 0;
    for raw in &mut iteration {
        taken += packet::CHUNK_HEADER_LEN + raw.payload.len();
        if let Ok(chunk) = Chunk::parse(raw) {
            check(raw, &chunk);
        }
    }
    assert_eq!(taken + iteration.remainder().len(), rest.len());
}

/// A chunk is written and read again.
fn check(raw: RawChunk<'_>, chunk: &Chunk<'_>) {
    look_inside(chunk);
    let Some(bytes) = write(chunk) else { return };
    assert!(bytes.len() <= packet::CHUNK_HEADER_LEN + raw.payload.len(), "longer than it came: {chunk:?}");
    let mut chunks = packet::chunks(&bytes);
    let raw_again = chunks.next().unwrap();
    assert!(chunks.next().is_none() && chunks.remainder().is_empty());
    let again = Chunk::parse(raw_again).unwrap();
    assert_same(chunk, &again);
    assert_eq!(write(&again), Some(bytes), "written in two ways");
}

/// Writes what a chunk says; `None` for one of an unknown type.
pub fn write(chunk: &Chunk<'_>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let message = |kind, message: &[u8], out: &mut Vec<u8>| {
        packet::put_chunk(kind, out, |out| out.extend_from_slice(message)) //
    };
    let is_written = match chunk {
        Chunk::PacketFragment(chunk) => chunk.put(&mut out),
        Chunk::IHello(chunk) => chunk.put(&mut out),
        Chunk::ForwardedIHello(chunk) => chunk.put(&mut out),
        Chunk::RHello(chunk) => chunk.put(&mut out),
        Chunk::Redirect(chunk) => Redirect::put(chunk.tag_echo, &chunk.destinations().collect::<Vec<_>>(), &mut out),
        Chunk::CookieChange(chunk) => chunk.put(&mut out),
        Chunk::IIKeying(chunk) => chunk.put(&mut out),
        Chunk::RIKeying(chunk) => chunk.put(&mut out),
        Chunk::Ping(text) => message(kind::PING, text, &mut out),
        Chunk::PingReply(text) => message(kind::PING_REPLY, text, &mut out),
        Chunk::UserData(chunk) => chunk.put(&mut out),
        Chunk::NextUserData(chunk) => chunk.put(&mut out),
        Chunk::Ack(ack) => Ack::put(ack.flow_id, ack.buffer_blocks, ack.cumulative, ack.ranges(), &mut out),
        Chunk::BufferProbe(chunk) => chunk.put(&mut out),
        Chunk::FlowException(chunk) => chunk.put(&mut out),
        Chunk::Close => message(kind::CLOSE, &[], &mut out),
        Chunk::CloseAck => message(kind::CLOSE_ACK, &[], &mut out),
        Chunk::Unknown(_) => return None,
    };
    assert!(is_written, "no encoding for what was read: {chunk:?}");
    Some(out)
}

/// Two chunks that say the same, though numbers may have been written in more digits than they need.
fn assert_same(chunk: &Chunk<'_>, again: &Chunk<'_>) {
    match (chunk, again) {
        (Chunk::Redirect(chunk), Chunk::Redirect(again)) => {
            assert_eq!(chunk.tag_echo, again.tag_echo);
            assert!(chunk.destinations().map(canonical).eq(again.destinations()));
        }
        (Chunk::ForwardedIHello(chunk), Chunk::ForwardedIHello(again)) => {
            assert_eq!((chunk.epd, chunk.tag), (again.epd, again.tag));
            assert_eq!(canonical(chunk.reply_address), again.reply_address);
        }
        (Chunk::IIKeying(chunk), Chunk::IIKeying(again)) => {
            let parts = |of: &rtmfp::wire::chunk::IIKeying<'_>| {
                (of.session_id, of.cookie_echo.to_vec(), of.certificate.to_vec(), of.component.to_vec())
            };
            assert_eq!((parts(chunk), chunk.signature), (parts(again), again.signature));
        }
        (Chunk::RIKeying(chunk), Chunk::RIKeying(again)) => {
            assert_eq!(
                (chunk.session_id, chunk.component, chunk.signature),
                (again.session_id, again.component, again.signature)
            );
        }
        (Chunk::Ack(chunk), Chunk::Ack(again)) => {
            assert_eq!(
                (chunk.flow_id, chunk.buffer_blocks, chunk.cumulative),
                (again.flow_id, again.buffer_blocks, again.cumulative)
            );
            assert!(chunk.ranges().eq(again.ranges()));
        }
        _ => assert_eq!(chunk, again),
    }
}

/// An IPv4 address mapped into IPv6 is written as what it is.
fn canonical(address: TaggedAddress) -> TaggedAddress {
    let ip = address.address.ip().to_canonical();
    TaggedAddress::new(SocketAddr::new(ip, address.address.port()), address.origin)
}

/// What holds of the parts of a chunk that are themselves encoded.
fn look_inside(chunk: &Chunk<'_>) {
    match chunk {
        Chunk::Ack(ack) => {
            let mut above = ack.cumulative;
            for range in ack.ranges() {
                assert!(range.start() <= range.end());
                assert!(*range.start() >= above && range.start() - above >= 2, "{ack:?}: {range:?}");
                above = *range.end();
            }
        }
        Chunk::UserData(data) => {
            assert!(data.forward_sequence_number() <= data.sequence_number);
            if let Some(options) = data.fragment.options {
                // The list is whole, but a value in it need not be.
                let _ = UserDataOptions::parse(options);
                assert!(option::elements(options).all(|element| matches!(element, Ok(Element::Option { .. }))));
            }
        }
        _ => (),
    }
}

/// Numbers, options, lists and addresses from the same bytes.
fn pieces(bytes: &[u8]) {
    let mut rest = bytes;
    if let Ok(number) = vlu::take(&mut rest) {
        let mut out = Vec::new();
        vlu::put(number, &mut out);
        assert!(out.len() == vlu::len(number) && out.len() <= vlu::MAX_LEN && out.len() <= bytes.len() - rest.len());
        assert_eq!(vlu::take(&mut &out[..]), Ok(number));
    }
    let mut out = Vec::new();
    let mut read = Vec::new();
    for element in option::elements(bytes).map_while(Result::ok) {
        match element {
            Element::Marker => option::put_marker(&mut out),
            Element::Option { kind, value } => option::put(kind, value, &mut out),
        }
        read.push(element);
    }
    let again: Vec<_> = option::elements(&out).collect::<Result<_, _>>().unwrap();
    assert_eq!(read, again);
    let mut rest = bytes;
    if let Ok(list) = option::take_list(&mut rest) {
        assert!(bytes.starts_with(list) && bytes.ends_with(rest) && list.len() + rest.len() < bytes.len());
    }
    let mut rest = bytes;
    while let Ok(address) = TaggedAddress::take(&mut rest) {
        let mut out = Vec::new();
        address.put(&mut out);
        assert_eq!(TaggedAddress::take(&mut &out[..]), Ok(canonical(address)));
    }
}

/// Ranges made up from the input are written in the shorter form and read back.
fn acknowledgement(input: &mut Input<'_>) {
    let (flow_id, buffer_blocks, cumulative) = (input.number(), input.number(), input.number());
    let mut ranges: Vec<RangeInclusive<u64>> = Vec::new();
    let mut above = cumulative;
    while !input.is_empty() {
        let first = above.checked_add(2).and_then(|next| next.checked_add(input.number()));
        let Some((first, last)) = first.and_then(|first| Some((first, first.checked_add(input.number())?))) else {
            break;
        };
        ranges.push(first..=last);
        above = last;
    }
    let mut out = Vec::new();
    let is_written = Ack::put(flow_id, buffer_blocks, cumulative, ranges.iter().cloned(), &mut out);
    assert!(is_written || ranges.len() > 3000);
    let Some(raw) = packet::chunks(&out).next() else { return };
    let Chunk::Ack(ack) = Chunk::parse(raw).unwrap() else { panic!("{raw:?}") };
    assert_eq!((ack.flow_id, ack.buffer_blocks, ack.cumulative), (flow_id, buffer_blocks, cumulative));
    assert!(ack.ranges().eq(ranges));
}
