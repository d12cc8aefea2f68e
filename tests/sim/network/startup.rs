//! Startup packets from outside of an endpoint: everybody knows the key (RFC 7425 §4.1).

use rtmfp::crypto::{Opener, Sealer};
use rtmfp::wire::packet::{RawChunk, chunks};
use rtmfp::wire::{Mode, PacketHeader};

/// The first chunk of a startup packet: its type and its payload.
pub(crate) fn open_startup(datagram: &[u8]) -> Option<(u8, Vec<u8>)> {
    let mut copy = datagram.to_vec();
    let mut plain = Opener::startup().open(&mut copy).ok()?;
    let header = PacketHeader::take(&mut plain).ok()?;
    let RawChunk { kind, payload } = chunks(plain).next().filter(|_| header.mode == Mode::Startup)?;
    Some((kind, payload.to_vec()))
}

/// The type of the first chunk, if the datagram is a startup packet.
pub(crate) fn startup_kind(datagram: &[u8]) -> Option<u8> {
    open_startup(datagram).map(|(kind, _)| kind)
}

/// A startup packet with the chunks that `write` writes, for a session id.
pub(crate) fn seal_startup(session_id: u32, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut sealer = Sealer::startup();
    let mut out = Vec::new();
    sealer.begin(&mut out);
    PacketHeader::new(Mode::Startup).put(&mut out);
    write(&mut out);
    sealer.finish(session_id, 0, &mut out);
    out
}
