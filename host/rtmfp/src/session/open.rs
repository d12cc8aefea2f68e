//! A session from S_OPEN to its end (RFC 7016 §3.5): what is kept of it.

mod handover;

use std::sync::Arc;
use std::time::Instant;

use super::budget::Budget;
use super::context::Context;
use super::control::ControlChunks;
use super::mobility::Mobility;
use super::path_mtu::PathMtu;
use super::rtt::Rtt;
use super::state::State;
use crate::config::Config;
use crate::crypto::{Certificate, Opener, PeerId, Sealer, SessionKeys};
use crate::event::Event;
use crate::flow::{Flows, Timing};
use crate::moment::Moment;
use crate::startup::initiator_keying::CookieKey;
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
    pub(super) path: PathMtu,
    /// Chunks that wait for a packet.
    pub(super) control: ControlChunks,
    pub(super) identity: FarIdentity,
    pub(super) mobility: Option<Box<Mobility>>,
    /// What answered the initiator's keying, until the initiator has shown that it got it.
    pub(super) rikeying: Option<Box<Answer>>,
    /// The far end has shown that the session is open there: to a responder with any packet, to an initiator with one that answers
    /// something it has sent.
    pub(super) is_confirmed: bool,
    /// When the last packet came.
    pub(super) heard: Moment,
    /// When the last keepalive ping went out, if nothing came since.
    pub(super) pinged: Option<Moment>,
    /// Another endpoint sends from the session's address: if the far end is silent until then, it is given up.
    pub(super) suspect_until: Option<Moment>,
    /// What [`Self::bytes_buffered`] was when the endpoint asked last.
    pub(crate) buffered: usize,
    /// The session's earliest entry among the endpoint's timers.
    pub(crate) armed: Option<Moment>,
    /// The work that it may make.
    pub(super) budget: Budget,
    /// Limits the hellos that are forwarded to it.
    pub(super) forwards: TokenBucket,
    /// The session stands in the endpoint's queue of those that may have something to send.
    pub(crate) is_queued: bool,
}

/// The answer to an initiator's keying.
pub(super) struct Answer {
    /// The RIKeying datagram.
    pub(super) datagram: Box<[u8]>,
    /// The cookie that the keying came with.
    pub(super) cookie: CookieKey,
}

/// The longest hostname that a session keeps, in bytes: that of the domain name system (RFC 1035 §2.3.4).
const MAX_HOSTNAME: usize = 255;

/// The identity of the far end, and what proves it.
pub(crate) struct FarIdentity {
    pub(crate) peer_id: PeerId,
    /// What the certificates of nearly all clients do not have.
    unusual: Option<Box<Unusual>>,
    /// The certificate has static keys: the far end has opened the session with one of them.
    pub(super) has_static_keys: bool,
    /// `None` once they are forgotten.
    nonces: Option<Box<Nonces>>,
}

/// The nonces of both ends (RFC 7425 §4.6.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Nonces {
    pub(crate) near: [u8; 32],
    pub(crate) far: [u8; 32],
}

/// What a certificate has besides a canonical section without a hostname.
struct Unusual {
    /// SHA-256 of the whole certificate. `None`: it has nothing beyond its canonical section, so that the peer id is the hash.
    other_hash: Option<[u8; 32]>,
    /// The hostname (RFC 7425 §4.3.3.1).
    hostname: Option<Box<[u8]>>,
}

impl FarIdentity {
    fn new(certificate: &Certificate, keys: &SessionKeys) -> Self {
        let (peer_id, hash) = (certificate.fingerprint(), certificate.hash());
        let other_hash = (hash != peer_id.0).then_some(hash);
        let hostname: Option<Box<[u8]>> =
            certificate.hostname().filter(|name| name.len() <= MAX_HOSTNAME).map(Into::into);
        let is_unusual = other_hash.is_some() || hostname.is_some();
        Self {
            peer_id,
            unusual: is_unusual.then(|| Box::new(Unusual { other_hash, hostname })),
            has_static_keys: certificate.has_static_keys(),
            nonces: Some(Box::new(Nonces { near: keys.near_nonce, far: keys.far_nonce })),
        }
    }

    /// Is this the certificate of the far end, byte by byte? Then the same endpoint begins anew (RFC 7425 §4.3.7).
    pub(crate) fn has_certificate(&self, certificate: &Certificate) -> bool {
        let other_hash = self.unusual.as_ref().and_then(|unusual| unusual.other_hash.as_ref());
        *other_hash.unwrap_or(&self.peer_id.0) == certificate.hash()
    }

    /// The nonces: zeros once they are forgotten.
    pub(crate) fn nonces(&self) -> Nonces {
        self.nonces.as_deref().copied().unwrap_or_default()
    }

    /// The certificate's hostname, if it has one that is not too long.
    pub(crate) fn hostname(&self) -> Option<&[u8]> {
        self.unusual.as_ref()?.hostname.as_deref()
    }
}

/// What keying has settled.
pub(crate) struct Established<'a> {
    pub(crate) role: Mode,
    pub(crate) far_id: u32,
    pub(crate) transmit: Transmit,
    pub(crate) keys: SessionKeys,
    pub(crate) certificate: &'a Certificate,
}

impl Session {
    pub(crate) fn new(now: Instant, config: &Config, from: Established<'_>) -> Self {
        Self {
            role: from.role,
            state: State::Open,
            far_id: from.far_id,
            transmit: from.transmit,
            sealer: Sealer::new(&from.keys),
            opener: Opener::new(&from.keys),
            rtt: Rtt::new(now),
            flows: Flows::new(Arc::clone(&config.flow)),
            path: PathMtu::new(config.max_datagram),
            control: ControlChunks::default(),
            identity: FarIdentity::new(from.certificate, &from.keys),
            mobility: None,
            rikeying: None,
            is_confirmed: false,
            heard: now.into(),
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

    pub(crate) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    pub(crate) fn transmit(&self) -> Transmit {
        self.transmit
    }

    pub(crate) fn identity(&self) -> &FarIdentity {
        &self.identity
    }

    /// Nobody will ask for the nonces any more.
    pub(crate) fn forget_nonces(&mut self) {
        self.identity.nonces = None;
    }

    pub(crate) fn rtt(&self) -> &Rtt {
        &self.rtt
    }

    pub(crate) fn opened(&self) -> Instant {
        self.rtt.epoch()
    }

    /// Whether the far end has proven that its peer id is its own: its certificate has static keys, and a packet has come, which only
    /// the holder of one of the private keys can have made (RFC 7425 §4.3.3.5, §4.6.1).
    pub(crate) fn is_proven(&self) -> bool {
        self.identity.has_static_keys && self.is_confirmed
    }

    pub(crate) fn heard(&self) -> Instant {
        self.heard.instant()
    }

    /// The initiator has repeated its keying: the datagram that answers it, unless the initiator has shown that it got it.
    pub(crate) fn repeat_rikeying(&mut self, now: Instant) -> Option<&[u8]> {
        if self.rikeying.is_some() {
            self.heard = now.into();
        }
        self.rikeying.as_deref().map(|answer| &*answer.datagram)
    }

    /// The datagram to send again if the initiator repeats its keying, which came with `cookie`.
    pub(crate) fn keep_rikeying(&mut self, datagram: Box<[u8]>, cookie: CookieKey) {
        self.rikeying = Some(Box::new(Answer { datagram, cookie }));
    }

    /// The cookie of the keying that opened the session, unless the initiator has shown that it got the answer.
    pub(crate) fn unproven_cookie(&self) -> Option<CookieKey> {
        self.rikeying.as_deref().map(|answer| answer.cookie)
    }

    /// The session's flows, while it is open.
    pub(crate) fn flows(&mut self) -> Option<&mut Flows> {
        (self.is_open()).then_some(&mut self.flows)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A server holds a hundred thousand of them.
    #[test]
    fn an_idle_session_stays_small() {
        assert!(size_of::<Session>() <= 912, "{}", size_of::<Session>());
    }
}
