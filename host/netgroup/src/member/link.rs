//! The link between a member and one peer.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rtmfp::{PeerId, TokenBucket};

/// What the driver knows of an open session.
#[allow(missing_docs, reason = "the names say it")]
#[derive(Clone, Copy, Debug)]
pub struct SessionFacts {
    /// The far end.
    pub peer: PeerId,
    /// This end's nonce (RFC 7425 §4.6.5).
    pub near_nonce: [u8; 32],
    /// The far end's nonce.
    pub far_nonce: [u8; 32],
    pub far_address: SocketAddr,
    /// The smoothed round trip time, if it is known.
    pub rtt: Option<Duration>,
}

/// The state of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The driver was asked for a session, which is not open yet.
    Opening,
    /// There is a session, which this group does not use.
    Idle,
    /// This end has asked for admission on the session.
    Asked,
    /// Both ends have proved that they know the groupspec.
    Neighbor,
    /// The peer was refused: its messages in this session are ignored.
    Refused,
}

#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) phase: Phase,
    /// When this phase began.
    pub(super) since: Instant,
    /// What the times of the rates count from.
    pub(super) epoch: Instant,
    /// Limits the peer's control messages.
    pub(super) control: TokenBucket,
    /// Limits the peer's messages about keys of postings.
    pub(super) keys: TokenBucket,
    /// Limits the peer's requests for postings, in bytes.
    pub(super) wants: TokenBucket,
    /// Limit the peer's directed messages, and their bytes.
    pub(super) directed: TokenBucket,
    pub(super) directed_bytes: TokenBucket,
    pub(super) near_nonce: [u8; 32],
    pub(super) far_nonce: [u8; 32],
    /// The peer's address, once there is a session.
    pub(super) far_address: Option<SocketAddr>,
    /// When the last report was sent.
    pub(super) reported: Option<Instant>,
    /// A report was sent, and the peer's next report is the answer to it.
    pub(super) awaits_report: bool,
    /// When the peer was last asked to close.
    pub(super) asked_to_close: Option<Instant>,
}

impl Link {
    pub(super) fn opening(now: Instant) -> Self {
        Self {
            phase: Phase::Opening,
            since: now,
            epoch: now,
            control: TokenBucket::default(),
            keys: TokenBucket::default(),
            wants: TokenBucket::default(),
            directed: TokenBucket::default(),
            directed_bytes: TokenBucket::default(),
            near_nonce: [0; 32],
            far_nonce: [0; 32],
            far_address: None,
            reported: None,
            awaits_report: false,
            asked_to_close: None,
        }
    }

    /// A link with a new session. The state of an earlier session is dropped.
    pub(super) fn with_session(now: Instant, phase: Phase, session: &SessionFacts) -> Self {
        Self {
            phase,
            near_nonce: session.near_nonce,
            far_nonce: session.far_nonce,
            far_address: Some(session.far_address),
            ..Self::opening(now)
        }
    }

    /// Whether the link uses this session already.
    pub(super) fn is_in(&self, session: &SessionFacts) -> bool {
        self.far_address.is_some() && (self.near_nonce, self.far_nonce) == (session.near_nonce, session.far_nonce)
    }

    pub(super) fn enter(&mut self, phase: Phase, now: Instant) {
        self.phase = phase;
        self.since = now;
    }

    /// Whether the peer is a neighbour, or about to become one.
    pub(super) fn is_active(&self) -> bool {
        matches!(self.phase, Phase::Opening | Phase::Asked | Phase::Neighbor)
    }
}
