//! Packets of session startup: sealed with the Default Session Key (RFC 7016 §2.2.3, RFC 7425 §4.1).

use super::outbox::{Outbox, Transmit};
use crate::crypto::Sealer;
use crate::wire::{Mode, PacketHeader};

/// Seals startup packets.
pub(crate) struct StartupSeal(Sealer);

impl StartupSeal {
    pub(crate) fn new() -> Self {
        Self(Sealer::startup())
    }

    /// Seals a packet with the one chunk that `write` writes, for the session id that the receiver knows, 0 for none. False when
    /// the chunk has no encoding or the outbox no room.
    pub(crate) fn push(
        &mut self,
        outbox: &mut Outbox,
        transmit: Transmit,
        session_id: u32,
        write: impl FnOnce(&mut Vec<u8>) -> bool,
    ) -> bool {
        let mut is_written = false;
        let is_queued = outbox.push(transmit, |out| is_written = self.seal(session_id, write, out));
        is_queued && is_written
    }

    /// Appends the datagram to `out`; nothing when the chunk has no encoding.
    pub(crate) fn seal(
        &mut self,
        session_id: u32,
        write: impl FnOnce(&mut Vec<u8>) -> bool,
        out: &mut Vec<u8>,
    ) -> bool {
        let start = out.len();
        self.0.begin(out);
        PacketHeader::new(Mode::Startup).put(out);
        if !write(out) {
            out.truncate(start);
            return false;
        }
        self.0.finish(session_id, start, out);
        true
    }
}
