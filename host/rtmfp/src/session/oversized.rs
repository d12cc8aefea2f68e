//! Packets with a fragment that was cut when the path carried more (RFC 7016 §3.4).
//!
//! A fragment cannot be cut again: the numbers after its own are given out. It is sent in a packet of its own, by turns whole, in case
//! the path carries it, and in pieces. RFC 7016 §3.4 forbids pieces where a message could be cut instead, and asks to use them only at
//! startup; it leaves nothing else for a fragment that is unavoidably too long. Far ends that know no pieces of session packets ignore
//! them. Their flow stands still until the path carries more, and the limits for far ends that acknowledge nothing end the session.

use std::net::SocketAddr;

use super::context::{Context, Sending};
use super::open::Session;
use super::receiving::WORK_OF_CHUNK;
use crate::flow::{Filled, Room};
use crate::transmit::{InterfaceId, Transmit};
use crate::wire::chunk::PacketFragment;
use crate::wire::{Chunk, PacketHeader, packet};

/// What a piece takes besides its bytes: the header of the packet that it travels in, that of its chunk, flags, packet id and number.
const PIECE_OVERHEAD: usize = packet::MAX_HEADER_LEN + packet::CHUNK_HEADER_LEN + 1 + 3 + 1;

impl Session {
    /// Appends a packet with a fragment that is longer than the path is known to carry, or the first piece of one. The other pieces go
    /// into the outbox.
    pub(super) fn fill_oversized(&mut self, sending: &mut Sending<'_>, out: &mut Vec<u8>) -> Option<Transmit> {
        match self.path.next_oversized() {
            None => {
                let largest = sending.config.max_datagram;
                self.fill_packet(sending, largest, true, out).is_put.then_some(self.transmit)
            }
            Some(number) => self.fill_pieces(sending, number, out),
        }
    }

    fn fill_pieces(&mut self, sending: &mut Sending<'_>, number: u16, out: &mut Vec<u8>) -> Option<Transmit> {
        let size =
            self.sealer.max_plain_always(self.path.size()).checked_sub(PIECE_OVERHEAD).filter(|size| *size > 0)?;
        let mut plain = Vec::new();
        PacketHeader::new(self.role).put(&mut plain);
        let limit = self.sealer.max_plain_always(sending.config.max_datagram);
        let room =
            Room { limit, payload: self.packet_payload(sending.config, sending.config.max_datagram), is_for_one: true };
        let Filled { has_data, time_critical, .. } = self.flows.fill_room(&self.timing(sending.now), &mut plain, &room);
        if !has_data {
            return None;
        }
        sending.counters.oversized_packets += 1;
        let mut pieces = plain.chunks(size).enumerate().peekable();
        while let Some((place, fragment)) = pieces.next() {
            let piece = PacketFragment {
                more_fragments: pieces.peek().is_some(),
                packet_id: number.into(),
                fragment_num: place as u64,
                fragment,
            };
            if place == 0 {
                self.put_piece(sending, time_critical, &piece, out);
            } else {
                // The driver has drained the outbox before it asked for this packet.
                let mut rest = Vec::new();
                self.put_piece(sending, time_critical, &piece, &mut rest);
                if !sending.outbox.push(self.transmit, |out| out.extend_from_slice(&rest)) {
                    sending.counters.outbox_full += 1;
                }
            }
        }
        Some(self.transmit)
    }

    fn put_piece(&mut self, sending: &Sending<'_>, time_critical: bool, piece: &PacketFragment<'_>, out: &mut Vec<u8>) {
        let start = out.len();
        self.sealer.begin(out);
        let mut header = PacketHeader::new(self.role);
        self.rtt.on_send(sending.now, &mut header);
        header.time_critical = time_critical;
        header.time_critical_reverse = sending.time_critical_reverse;
        header.put(out);
        piece.put(out);
        self.sealer.finish(self.far_id, start, out);
    }

    /// A piece of a packet has come. Returns the work that the packet makes, if it is whole now.
    pub(super) fn piece(
        &mut self,
        context: &mut Context<'_>,
        interface: InterfaceId,
        from: SocketAddr,
        piece: &PacketFragment<'_>,
    ) -> u32 {
        if !self.is_open() {
            return 0;
        }
        let Some(whole) = context.fragments.add(context.now, from, context.id.get(), piece) else { return 0 };
        let mut plain = &whole[..];
        // The headers of the pieces have said the time.
        if PacketHeader::take(&mut plain).map(|header| header.mode) != Ok(self.role.opposite()) {
            return 0;
        }
        let mut work = 0;
        for raw in packet::chunks(plain) {
            work += WORK_OF_CHUNK;
            match Chunk::parse(raw) {
                // Pieces of pieces would be a way to make much of little.
                Ok(Chunk::PacketFragment(_)) | Err(_) => (),
                Ok(chunk) => self.chunk(context, interface, from, &chunk),
            }
            if !self.is_open() {
                break;
            }
        }
        work
    }
}
