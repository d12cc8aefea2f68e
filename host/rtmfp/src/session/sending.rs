//! Packets that go out: what waits for them, and how they are filled.

use std::time::Instant;

use super::context::{Context, Sending};
use super::open::Session;
use crate::config::Config;
use crate::event::Deny;
use crate::flow::{Filled, Room};
use crate::transmit::Transmit;
use crate::wire::chunk::ForwardedIHello;
use crate::wire::{PacketHeader, packet};

/// The most bytes of control chunks that wait for a packet. Chunks beyond it are dropped, as the network might drop them.
const MAX_CONTROL: usize = 8192;

/// What came of an attempt to fill a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    /// There is something in it, and it is sealed.
    pub(super) is_put: bool,
    /// There is more user data to send than it had space for.
    pub(super) is_full: bool,
    /// There is nothing in it, because the next fragment needs a longer one.
    pub(super) is_oversized: bool,
}

impl Session {
    /// Appends a control chunk to what waits for a packet, if there is room.
    pub(super) fn put_control(&mut self, write: impl FnOnce(&mut Vec<u8>) -> bool) -> bool {
        self.control.append(MAX_CONTROL, write)
    }

    /// Forwards a hello to the far end (RFC 7016 §3.5.1.5), if neither the asker's share nor the session's own limit is used up.
    pub(crate) fn forward(
        &mut self,
        context: &mut Context<'_>,
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
        self.control.reuse(context.spare_buffers);
        if self.put_control(|out| hello.put(out)) { Ok(()) } else { Err(Deny::QueueFull) }
    }

    /// Reads a little of each part of the session that [`Self::forward`] and [`Self::fill`] need: of the cache lines that they stand in.
    pub(crate) fn read_ahead(&self) -> impl Sized + use<> {
        let times = (self.opened(), self.heard(), self.armed, self.pinged);
        let parts = (self.sealer.overhead(), self.path.size(), self.flows.read_ahead(), self.control.is_empty());
        (times, parts, self.is_open(), self.transmit, self.far_id, self.forwards)
    }

    /// Is there something to send?
    pub(crate) fn wants_transmit(&self, now: Instant) -> bool {
        !self.control.is_empty()
            || (self.is_open() && (self.path.is_probe_due() || self.flows.wants_transmit(&self.timing(now))))
    }

    /// Appends a datagram to `out`, if there is something to send.
    pub(crate) fn fill(&mut self, sending: &mut Sending<'_>, out: &mut Vec<u8>) -> Option<Transmit> {
        if !self.wants_transmit(sending.now) {
            return None;
        }
        if self.is_open()
            && let Some(transmit) = self.put_path_probe(sending, out)
        {
            return Some(transmit);
        }
        let packet = self.fill_packet(sending, self.path.size(), false, out);
        if packet.is_full {
            self.want_longer_packets(sending);
        }
        match packet {
            Packet { is_put: true, .. } => Some(self.transmit),
            // The present size may have become the largest one.
            Packet { is_oversized: true, .. } => self.fill_oversized(sending, out),
            Packet { .. } => None,
        }
    }

    /// Appends a packet of `size` bytes at most; `is_for_one` says that it is for one fragment alone.
    pub(super) fn fill_packet(
        &mut self,
        sending: &mut Sending<'_>,
        size: usize,
        is_for_one: bool,
        out: &mut Vec<u8>,
    ) -> Packet {
        let (now, config, start) = (sending.now, sending.config, out.len());
        self.sealer.begin(out);
        let mut header = PacketHeader::new(self.role);
        self.rtt.on_send(now, &mut header);
        header.time_critical_reverse = sending.time_critical_reverse;
        let header_at = out.len();
        header.put(out);
        let first_chunk = out.len();
        let limit = header_at + self.sealer.max_plain(size);
        let largest = header_at + self.sealer.max_plain(config.max_datagram);
        self.fill_control(sending, limit, largest, out);
        let mut filled = Filled::default();
        if self.is_open() {
            let room = Room { limit, payload: self.packet_payload(config, size), is_for_one };
            filled = self.flows.fill_room(&self.timing(now), out, &room);
            if filled.time_critical {
                // The flags byte comes first; the rest of the header stays what it is.
                header.time_critical = true;
                let mut again = Vec::with_capacity(packet::MAX_HEADER_LEN);
                header.put(&mut again);
                out[header_at..first_chunk].copy_from_slice(&again);
            }
        }
        let is_put = out.len() > first_chunk;
        if is_put {
            self.sealer.finish(self.far_id, start, out);
        } else {
            out.truncate(start);
        }
        Packet { is_put, is_full: filled.is_full, is_oversized: filled.is_oversized && !is_put }
    }

    /// Bytes for chunks that every packet of at most `size` bytes offers.
    pub(super) fn packet_payload(&self, config: &Config, size: usize) -> usize {
        self.sealer.max_plain_always(size).saturating_sub(packet::MAX_HEADER_LEN).min(config.flow.packet_payload)
    }

    /// Moves as many waiting control chunks into the packet as fit. One that is too long for any packet of the present size goes alone,
    /// up to `largest`; one that is longer is dropped.
    pub(super) fn fill_control(&mut self, sending: &mut Sending<'_>, limit: usize, largest: usize, out: &mut Vec<u8>) {
        let (chunks, first_chunk, mut passed) = (self.control.bytes(), out.len(), 0);
        for raw in packet::chunks(chunks) {
            let next = passed + packet::CHUNK_HEADER_LEN + raw.payload.len();
            let is_first = out.len() == first_chunk;
            if out.len() + (next - passed) <= if is_first { largest } else { limit } {
                out.extend_from_slice(&chunks[passed..next]);
            } else if !is_first {
                break;
            }
            passed = next;
        }
        self.control.drop_first(passed, sending.spare_buffers);
    }
}
