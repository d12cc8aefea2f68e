//! Packets that come in, and what their chunks do in a session (RFC 7016 §2.3, §3.5).

use std::net::SocketAddr;
use std::time::Instant;

use super::budget::Admission;
use super::context::{Context, Forwarded};
use super::open::Session;
use crate::config::Forwarders;
use crate::crypto::Rejected;
use crate::transmit::{InterfaceId, Transmit};
use crate::wire::chunk::kind;
use crate::wire::packet::put_chunk;
use crate::wire::{Chunk, Mode, PacketHeader, packet};

/// What a datagram and each of its chunks count as, in units of work (see [`Endpoint::charge`](crate::Endpoint::charge)).
const WORK_OF_DATAGRAM: u32 = 2;
pub(super) const WORK_OF_CHUNK: u32 = 1;

/// What became of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// Verified and processed; was it marked as real-time data?
    Processed { time_critical: bool },
    /// Not from the far end of this session, or seen before.
    Rejected(Rejected),
    /// Verified, but not a packet, or marked as if this end had sent it (RFC 7016 §2.2.4).
    Misfit,
}

impl Session {
    /// Whether the session may have another datagram read, if it may make no more than `limit` units of work in a second.
    pub(crate) fn admit(&mut self, now: Instant, limit: u32) -> Admission {
        if !self.is_open() {
            // All that is left to do is to close.
            return Admission::Take;
        }
        let second = now.saturating_duration_since(self.opened()).as_secs();
        self.budget.admit(u32::try_from(second).unwrap_or(u32::MAX), limit)
    }

    /// The session has made work.
    pub(crate) fn charge(&mut self, units: u32, limit: u32) {
        self.budget.charge(units, limit);
    }

    /// Processes a datagram that bears this session's id.
    pub(crate) fn receive(
        &mut self,
        context: &mut Context<'_>,
        interface: InterfaceId,
        from: SocketAddr,
        datagram: &mut [u8],
    ) -> Received {
        let received = datagram.len();
        let mut plain = match self.opener.open(datagram) {
            Ok(plain) => plain,
            Err(rejected) => return Received::Rejected(rejected),
        };
        let now = context.now;
        let Ok(header) = PacketHeader::take(&mut plain) else { return Received::Misfit };
        if header.mode != self.role.opposite() {
            return Received::Misfit;
        }
        self.rtt.on_receive(now, &header);
        self.heard_from(now);
        let mut work = WORK_OF_DATAGRAM;
        for raw in packet::chunks(plain) {
            work += WORK_OF_CHUNK;
            // RFC 7016 §2.3: a chunk with an error is ignored, and so is an unknown one; the next is processed.
            match Chunk::parse(raw) {
                Ok(Chunk::PacketFragment(fragment)) => work += self.piece(context, interface, from, &fragment),
                Ok(chunk) => self.chunk(context, interface, from, &chunk),
                Err(_) => (),
            }
            if self.is_closed() {
                break;
            }
        }
        if self.is_open() {
            let timing = self.timing(now);
            self.flows.on_packet_end(&timing, header.time_critical_reverse);
            self.observe_path(context);
            self.drain_flow_events(context);
            if from != self.transmit.to {
                self.check_address(context, Transmit { interface, to: from }, received);
            }
            if let Some(limit) = context.config.max_work {
                work += self.flows.take_work();
                self.budget.charge(work, limit.get());
            }
        }
        Received::Processed { time_critical: header.time_critical }
    }

    pub(super) fn chunk(
        &mut self,
        context: &mut Context<'_>,
        interface: InterfaceId,
        from: SocketAddr,
        chunk: &Chunk<'_>,
    ) {
        match chunk {
            Chunk::Close => self.close_requested(context),
            Chunk::CloseAck => self.close_acknowledged(context),
            _ if !self.is_open() => (),
            // RFC 7016 §3.5.4
            Chunk::Ping(message) => {
                self.put_control(|out| put_chunk(kind::PING_REPLY, out, |out| out.extend_from_slice(message)));
            }
            Chunk::PingReply(message) => self.ping_reply(context, interface, from, message),
            Chunk::UserData(data) => self.flows.on_user_data(&self.timing(context.now), data),
            Chunk::NextUserData(data) => self.flows.on_next_user_data(&self.timing(context.now), data),
            Chunk::Ack(ack) => {
                self.confirmed();
                self.flows.on_ack(&self.timing(context.now), ack);
            }
            Chunk::BufferProbe(probe) => self.flows.on_buffer_probe(&self.timing(context.now), probe),
            Chunk::FlowException(exception) => self.flows.on_exception(&self.timing(context.now), exception),
            Chunk::ForwardedIHello(hello)
                if context.config.forwarders == Forwarders::Anybody || self.role == Mode::Initiator =>
            {
                context.forwarded.push(Forwarded::new(interface, hello));
            }
            // Startup chunks have no place here (RFC 7016 §2.2.4), unknown ones are ignored (§2.3).
            _ => (),
        }
    }
}
