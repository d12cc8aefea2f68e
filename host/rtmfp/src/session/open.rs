//! A session from S_OPEN to its end (RFC 7016 §3.5): what is kept of it.

use std::sync::Arc;
use std::time::Instant;

use super::budget::Budget;
use super::context::Context;
use super::mobility::Mobility;
use super::rtt::Rtt;
use super::state::State;
use crate::config::Config;
use crate::crypto::{Opener, PeerId, Sealer, SessionKeys};
use crate::event::Event;
use crate::flow::{Flows, Timing};
use crate::token_bucket::TokenBucket;
use crate::transmit::Transmit;
use crate::wire::Mode;

/// An established session.
pub(crate) struct Session {
    pub(super) role: Mode,
    pub(super) state: State,
    pub(super) far_id: u32,
    pub(super) transmit: Transmit,
    pub(super) sealer: Sealer,
    pub(super) opener: Opener,
    pub(super) rtt: Rtt,
    pub(super) flows: Flows,
    /// Encoded chunks that wait for a packet.
    pub(super) control: Vec<u8>,
    pub(super) identity: FarIdentity,
    pub(super) mobility: Option<Box<Mobility>>,
    /// The RIKeying datagram, until the initiator has shown that it got it.
    pub(super) rikeying: Option<Box<[u8]>>,
    /// The far end has shown that the session is open there: to a responder with any packet, to an initiator with one that answers
    /// something it has sent.
    pub(super) is_confirmed: bool,
    /// When the last packet came.
    pub(super) heard: Instant,
    /// When the last keepalive ping went out, if nothing came since.
    pub(super) pinged: Option<Instant>,
    /// Someone else has the session's address: silence is taken for death sooner.
    pub(super) suspect_until: Option<Instant>,
    /// What [`Self::bytes_buffered`] was when the endpoint looked last.
    pub(crate) buffered: usize,
    /// The session's earliest entry among the endpoint's timers.
    pub(crate) armed: Option<Instant>,
    /// What it may cost.
    pub(super) budget: Budget,
    /// How many hellos it is sent.
    pub(super) forwards: TokenBucket,
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
            forwards: TokenBucket::default(),
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

    pub(crate) fn drain_flow_events(&mut self, context: &mut Context<'_>) {
        while let Some(event) = self.flows.poll_event() {
            context.events.push_back(Event::Flow { session: context.id, event });
        }
    }
}
