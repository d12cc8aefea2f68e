//! Packets of session startup: sealed with the Default Session Key (RFC 7016 §2.2.3, RFC 7425 §4.1).

use super::outbox::{Outbox, Transmit};
use crate::crypto::Sealer;
use crate::wire::chunk::PacketFragment;
use crate::wire::{Mode, PacketHeader};

/// RFC 7016 §3.4: at startup an end sends no more packets than this at once to another.
const MAX_FRAGMENTS: usize = 4;
/// What a fragment takes besides its bytes: packet header, chunk header, flags, packet id and fragment number.
const FRAGMENT_OVERHEAD: usize = 1 + 3 + 1 + 2 + 1;
/// Packet ids are below this: two bytes on the wire.
const PACKET_IDS: u64 = 1 << 14;

/// Seals startup packets.
pub(crate) struct StartupSeal {
    sealer: Sealer,
    max_datagram: usize,
    /// The packet that is to be sent, while it is not known whether it needs fragments.
    plain: Vec<u8>,
    next_packet: u64,
}

impl StartupSeal {
    /// `max_datagram` bytes is the longest UDP payload that is sent unfragmented.
    pub(crate) fn new(max_datagram: usize) -> Self {
        Self { sealer: Sealer::startup(), max_datagram, plain: Vec::new(), next_packet: 0 }
    }

    /// Seals a packet with the one chunk that `write` writes, for the session id that the receiver knows, 0 for none. One that is
    /// too long is sent in fragments (RFC 7016 §3.4).
    ///
    /// False when the chunk has no encoding, is longer than a few fragments take, or the outbox has no room.
    pub(crate) fn push(
        &mut self,
        outbox: &mut Outbox,
        transmit: Transmit,
        session_id: u32,
        write: impl FnOnce(&mut Vec<u8>) -> bool,
    ) -> bool {
        self.plain.clear();
        PacketHeader::new(Mode::Startup).put(&mut self.plain);
        if !write(&mut self.plain) {
            return false;
        }
        let max_plain = self.sealer.max_plain(self.max_datagram);
        if self.plain.len() <= max_plain {
            return outbox.push(transmit, |out| {
                let start = out.len();
                self.sealer.begin(out);
                out.extend_from_slice(&self.plain);
                self.sealer.finish(session_id, start, out);
            });
        }
        self.push_fragments(outbox, transmit, session_id, max_plain.saturating_sub(FRAGMENT_OVERHEAD))
    }

    fn push_fragments(&mut self, outbox: &mut Outbox, transmit: Transmit, session_id: u32, room: usize) -> bool {
        let count = self.plain.len().checked_div(room).map_or(usize::MAX, |_| self.plain.len().div_ceil(room));
        if count > MAX_FRAGMENTS {
            return false;
        }
        let packet_id = self.next_packet;
        self.next_packet = (packet_id + 1) % PACKET_IDS;
        let sealer = &mut self.sealer;
        self.plain.chunks(room).enumerate().all(|(number, bytes)| {
            let fragment = PacketFragment {
                more_fragments: number + 1 < count,
                packet_id,
                fragment_num: number as u64,
                fragment: bytes,
            };
            outbox.push(transmit, |out| {
                let start = out.len();
                sealer.begin(out);
                PacketHeader::new(Mode::Startup).put(out);
                fragment.put(out);
                sealer.finish(session_id, start, out);
            })
        })
    }

    /// Appends the datagram to `out`; nothing when the chunk has no encoding.
    pub(crate) fn seal(
        &mut self,
        session_id: u32,
        write: impl FnOnce(&mut Vec<u8>) -> bool,
        out: &mut Vec<u8>,
    ) -> bool {
        let start = out.len();
        self.sealer.begin(out);
        PacketHeader::new(Mode::Startup).put(out);
        if !write(out) {
            out.truncate(start);
            return false;
        }
        self.sealer.finish(session_id, start, out);
        true
    }
}
