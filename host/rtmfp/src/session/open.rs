//! A session from S_OPEN to its end (RFC 7016 §3.5): packets in and out, and the timers.

mod closing;
mod keepalive;
mod ping;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use smallvec::SmallVec;

use super::budget::{Admission, Budget};
use super::forwards::Forwards;
use super::mobility::Mobility;
use super::rtt::Rtt;
use super::state::State;
use crate::crypto::{Opener, PeerId, Rejected, Sealer, SessionKeys};
use crate::endpoint::{CloseReason, Config, Deny, Event, Forwarders, InterfaceId, Outbox, SessionId, Transmit};
use crate::flow::{Flows, Timing};
use crate::wire::chunk::{ForwardedIHello, kind};
use crate::wire::packet::{self, put_chunk};
use crate::wire::{Chunk, Mode, PacketHeader};

/// Control chunks waiting for a packet may take this many bytes; what is beyond is dropped, as the network might have done.
const MAX_CONTROL: usize = 8192;

/// What a datagram and each of its chunks count as, in units of work (see [`Endpoint::charge`](crate::Endpoint::charge)).
const WORK_OF_DATAGRAM: u32 = 2;
const WORK_OF_CHUNK: u32 = 1;

/// What a session lends from the endpoint while it works.
pub(crate) struct Context<'a> {
    pub(crate) now: Instant,
    pub(crate) id: SessionId,
    pub(crate) config: &'a Config,
    pub(crate) events: &'a mut VecDeque<Event>,
    /// Packets to elsewhere than the session's address.
    pub(crate) outbox: &'a mut Outbox,
    /// Hellos that the far end passes on, for the endpoint to answer.
    pub(crate) forwarded: &'a mut Vec<Forwarded>,
    pub(crate) random: &'a mut dyn FnMut(&mut [u8]),
}

/// A hello that a forwarder passed on (RFC 7016 §2.3.3).
pub(crate) struct Forwarded {
    pub(crate) interface: InterfaceId,
    pub(crate) epd: SmallVec<[u8; 64]>,
    pub(crate) reply_to: SocketAddr,
    pub(crate) tag: SmallVec<[u8; 16]>,
}

impl Forwarded {
    fn new(interface: InterfaceId, hello: &ForwardedIHello<'_>) -> Self {
        Self {
            interface,
            epd: SmallVec::from_slice(hello.epd),
            reply_to: hello.reply_address.address,
            tag: SmallVec::from_slice(hello.tag),
        }
    }
}

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

/// An established session.
pub(crate) struct Session {
    role: Mode,
    state: State,
    far_id: u32,
    transmit: Transmit,
    sealer: Sealer,
    opener: Opener,
    rtt: Rtt,
    flows: Flows,
    /// Encoded chunks that wait for a packet.
    control: Vec<u8>,
    identity: FarIdentity,
    mobility: Option<Box<Mobility>>,
    /// The RIKeying datagram, until the initiator has shown that it got it.
    rikeying: Option<Box<[u8]>>,
    /// The far end has shown that the session is open there: to a responder with any packet, to an initiator with one that answers
    /// something it has sent.
    is_confirmed: bool,
    /// When the last packet came.
    heard: Instant,
    /// When the last keepalive ping went out, if nothing came since.
    pinged: Option<Instant>,
    /// Someone else has the session's address: silence is taken for death sooner.
    suspect_until: Option<Instant>,
    /// What [`Self::bytes_buffered`] was when the endpoint looked last.
    pub(crate) buffered: usize,
    /// The session's earliest entry among the endpoint's timers.
    pub(crate) armed: Option<Instant>,
    /// What it may cost.
    budget: Budget,
    /// How many hellos it is sent.
    forwards: Forwards,
    /// The session stands in the endpoint's queue of those that may have something to send.
    pub(crate) is_queued: bool,
}

/// Who is at the other end, and what proves it.
pub(crate) struct FarIdentity {
    pub(crate) peer_id: PeerId,
    /// SHA-256 of the whole certificate: an identical one overrides (RFC 7425 §4.3.7).
    pub(crate) certificate_hash: [u8; 32],
    /// The certificate has lasting keys: who has opened the session with it holds one of them.
    pub(crate) has_static_keys: bool,
    pub(crate) near_nonce: [u8; 32],
    pub(crate) far_nonce: [u8; 32],
}

/// What a session is made of.
pub(crate) struct Established {
    pub(crate) role: Mode,
    pub(crate) far_id: u32,
    pub(crate) transmit: Transmit,
    pub(crate) keys: SessionKeys,
    pub(crate) peer_id: PeerId,
    pub(crate) certificate_hash: [u8; 32],
    pub(crate) has_static_keys: bool,
}

impl Session {
    pub(crate) fn new(now: Instant, config: &Config, from: Established) -> Self {
        Self {
            role: from.role,
            state: State::Open,
            far_id: from.far_id,
            transmit: from.transmit,
            sealer: Sealer::new(&from.keys),
            opener: Opener::new(&from.keys),
            rtt: Rtt::new(now),
            flows: Flows::new(Arc::clone(&config.flow)),
            control: Vec::new(),
            identity: FarIdentity {
                peer_id: from.peer_id,
                certificate_hash: from.certificate_hash,
                has_static_keys: from.has_static_keys,
                near_nonce: from.keys.near_nonce,
                far_nonce: from.keys.far_nonce,
            },
            mobility: None,
            rikeying: None,
            is_confirmed: false,
            heard: now,
            pinged: None,
            suspect_until: None,
            buffered: 0,
            armed: None,
            budget: Budget::default(),
            forwards: Forwards::new(now),
            is_queued: false,
        }
    }

    pub(crate) fn role(&self) -> Mode {
        self.role
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn transmit(&self) -> Transmit {
        self.transmit
    }

    pub(crate) fn identity(&self) -> &FarIdentity {
        &self.identity
    }

    pub(crate) fn rtt(&self) -> &Rtt {
        &self.rtt
    }

    pub(crate) fn opened(&self) -> Instant {
        self.rtt.epoch()
    }

    /// Whether the far end has proven that its peer id is its own: its certificate has lasting keys, and a packet has come that only
    /// who holds one of them can have made (RFC 7425 §4.3.3.5, §4.6.1).
    pub(crate) fn is_proven(&self) -> bool {
        self.identity.has_static_keys && self.is_confirmed
    }

    pub(crate) fn heard(&self) -> Instant {
        self.heard
    }

    /// The initiator has repeated its keying: the datagram that answers it, unless the initiator has shown that it got it.
    pub(crate) fn repeat_rikeying(&mut self, now: Instant) -> Option<&[u8]> {
        if self.rikeying.is_some() {
            self.heard = now;
        }
        self.rikeying.as_deref()
    }

    /// The datagram to send again if the initiator repeats its keying.
    pub(crate) fn keep_rikeying(&mut self, datagram: Box<[u8]>) {
        self.rikeying = Some(datagram);
    }

    /// The session's flows, while it is open.
    pub(crate) fn flows(&mut self) -> Option<&mut Flows> {
        (self.state == State::Open).then_some(&mut self.flows)
    }

    /// Bytes of messages that its flows hold.
    pub(crate) fn bytes_buffered(&self) -> usize {
        self.flows.bytes_held()
    }

    pub(crate) fn timing(&self, now: Instant) -> Timing {
        Timing { now, erto: self.rtt.timeout(), smoothed_rtt: self.rtt.smoothed() }
    }

    /// Whether the session may have another datagram read, if it may make no more than `limit` units of work in a second.
    pub(crate) fn admit(&mut self, now: Instant, limit: u32) -> Admission {
        if self.state != State::Open {
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
            if let Ok(chunk) = Chunk::parse(raw) {
                self.chunk(context, interface, from, &chunk);
            }
            if self.state == State::Closed {
                break;
            }
        }
        if self.state == State::Open {
            let timing = self.timing(now);
            self.flows.on_packet_end(&timing, header.time_critical_reverse);
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

    fn chunk(&mut self, context: &mut Context<'_>, interface: InterfaceId, from: SocketAddr, chunk: &Chunk<'_>) {
        match chunk {
            Chunk::Close => self.close_requested(context),
            Chunk::CloseAck => self.close_acknowledged(context),
            _ if self.state != State::Open => (),
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

    /// Appends a control chunk to what waits for a packet, if there is room.
    fn put_control(&mut self, write: impl FnOnce(&mut Vec<u8>) -> bool) -> bool {
        let before = self.control.len();
        let fits = write(&mut self.control) && self.control.len() <= MAX_CONTROL;
        if !fits {
            self.control.truncate(before);
        }
        fits
    }

    /// Passes a hello on to the far end (RFC 7016 §3.5.1.5), if its asker has a share left of those that this may be sent.
    pub(crate) fn forward(
        &mut self,
        context: &Context<'_>,
        hello: &ForwardedIHello<'_>,
        has_share: bool,
    ) -> Result<(), Deny> {
        if self.state != State::Open {
            return Err(Deny::NoSession);
        }
        if !has_share || context.config.max_forwards.is_some_and(|rate| !self.forwards.permit(context.now, rate)) {
            return Err(Deny::TooOften);
        }
        if self.put_control(|out| hello.put(out)) { Ok(()) } else { Err(Deny::QueueFull) }
    }

    pub(crate) fn drain_flow_events(&mut self, context: &mut Context<'_>) {
        while let Some(event) = self.flows.poll_event() {
            context.events.push_back(Event::Flow { session: context.id, event });
        }
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, context: &mut Context<'_>) {
        let now = context.now;
        match self.state {
            State::Open => {
                let timing = self.timing(now);
                if self.flows.on_timeout(&timing) {
                    self.rtt.back_off();
                }
                self.drain_flow_events(context);
                if self.unacknowledged_until(context.config).is_some_and(|until| until <= now) {
                    self.close_because(context, CloseReason::Unacknowledged);
                    return;
                }
                self.check_life(context);
            }
            State::NearClose(_) | State::FarCloseLinger { .. } => self.closing_timeout(now),
            State::Closed => (),
        }
    }

    /// When a far end that speaks has had its time to acknowledge what was sent on a flow. One that is silent altogether is given
    /// up for its silence.
    fn unacknowledged_until(&self, config: &Config) -> Option<Instant> {
        let limit = config.unacknowledged_limit?;
        let until = self.flows.unacknowledged_since()?.checked_add(limit)?;
        (self.heard + limit / 2 > until).then_some(until)
    }

    /// When [`Self::handle_timeout`] is to be called next.
    pub(crate) fn deadline(&self, config: &Config) -> Option<Instant> {
        match &self.state {
            State::Open => {
                let at = self.ping_at(config).min(self.dead_at(config));
                let others = [self.flows.next_timeout(), self.unacknowledged_until(config)];
                Some(others.into_iter().flatten().fold(at, Instant::min))
            }
            State::NearClose(closing) => Some(closing.next_request.min(closing.until)),
            State::FarCloseLinger { until } => Some(*until),
            State::Closed => None,
        }
    }

    /// Is there something to send?
    pub(crate) fn wants_transmit(&self, now: Instant) -> bool {
        !self.control.is_empty() || (self.state == State::Open && self.flows.wants_transmit(&self.timing(now)))
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
        if self.state == State::Open {
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
    fn fill_control(&mut self, limit: usize, out: &mut Vec<u8>) {
        let room = limit.saturating_sub(out.len());
        let mut taken = 0;
        for raw in packet::chunks(&self.control) {
            let len = packet::CHUNK_HEADER_LEN + raw.payload.len();
            if taken + len > room {
                break;
            }
            taken += len;
        }
        out.extend_from_slice(&self.control[..taken]);
        if taken == self.control.len() {
            self.control = Vec::new();
        } else if taken == 0 {
            let first = packet::chunks(&self.control)
                .next()
                .map_or(self.control.len(), |raw| packet::CHUNK_HEADER_LEN + raw.payload.len());
            self.control.drain(..first);
        } else {
            self.control.drain(..taken);
        }
    }
}
