//! Packets that go out: what waits for them, and how they are filled.

use std::time::Instant;

use super::context::Context;
use super::open::Session;
use crate::config::Config;
use crate::event::Deny;
use crate::transmit::Transmit;
use crate::wire::chunk::ForwardedIHello;
use crate::wire::{PacketHeader, packet};

/// The most bytes of control chunks that wait for a packet. Chunks beyond it are dropped, as the network might drop them.
const MAX_CONTROL: usize = 8192;

impl Session {
    /// Appends a control chunk to what waits for a packet, if there is room.
    pub(super) fn put_control(&mut self, write: impl FnOnce(&mut Vec<u8>) -> bool) -> bool {
        let before = self.control.len();
        let fits = write(&mut self.control) && self.control.len() <= MAX_CONTROL;
        if !fits {
            self.control.truncate(before);
        }
        fits
    }

    /// Forwards a hello to the far end (RFC 7016 §3.5.1.5), if neither the asker's share nor the session's own limit is used up.
    pub(crate) fn forward(
        &mut self,
        context: &Context<'_>,
        hello: &ForwardedIHello<'_>,
        has_share: bool,
    ) -> Result<(), Deny> {
        if !self.is_open() {
            return Err(Deny::NoSession);
        }
        let at = context.now.saturating_duration_since(self.opened());
        if !has_share || context.config.max_forwards.is_some_and(|rate| !self.forwards.take(at, rate, 1)) {
            return Err(Deny::TooOften);
        }
        if self.put_control(|out| hello.put(out)) { Ok(()) } else { Err(Deny::QueueFull) }
    }

    /// Is there something to send?
    pub(crate) fn wants_transmit(&self, now: Instant) -> bool {
        !self.control.is_empty() || (self.is_open() && self.flows.wants_transmit(&self.timing(now)))
    }

    /// Appends a datagram to `out`, if there is something to send.
    pub(crate) fn fill(
        &mut self,
        now: Instant,
        config: &Config,
        time_critical_reverse: bool,
        out: &mut Vec<u8>,
    ) -> Option<Transmit> {
        if !self.wants_transmit(now) {
            return None;
        }
        let start = out.len();
        self.sealer.begin(out);
        let mut header = PacketHeader::new(self.role);
        self.rtt.on_send(now, &mut header);
        header.time_critical_reverse = time_critical_reverse;
        let header_at = out.len();
        header.put(out);
        let first_chunk = out.len();
        let limit = header_at + self.sealer.max_plain(config.max_datagram);
        self.fill_control(limit, out);
        if self.is_open() {
            let filled = self.flows.fill(&self.timing(now), out, limit);
            if filled.time_critical {
                // The flags byte comes first; the rest of the header stays what it is.
                header.time_critical = true;
                let mut again = Vec::with_capacity(packet::MAX_HEADER_LEN);
                header.put(&mut again);
                out[header_at..first_chunk].copy_from_slice(&again);
            }
        }
        if out.len() == first_chunk {
            out.truncate(start);
            return None;
        }
        self.sealer.finish(self.far_id, start, out);
        Some(self.transmit)
    }

    /// Moves as many waiting control chunks into the packet as fit; one that fits into no packet is dropped.
    pub(super) fn fill_control(&mut self, limit: usize, out: &mut Vec<u8>) {
        let (first_chunk, mut passed) = (out.len(), 0);
        for raw in packet::chunks(&self.control) {
            let next = passed + packet::CHUNK_HEADER_LEN + raw.payload.len();
            if out.len() + (next - passed) <= limit {
                out.extend_from_slice(&self.control[passed..next]);
            } else if out.len() > first_chunk {
                break;
            }
            passed = next;
        }
        if passed == self.control.len() {
            self.control = Vec::new();
        } else {
            self.control.drain(..passed);
        }
    }
}
