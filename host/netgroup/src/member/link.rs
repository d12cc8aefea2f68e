//! What there is between a member and one peer.

use std::net::SocketAddr;
use std::time::Instant;

use super::SessionFacts;

/// How far a link has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// A session was asked for.
    Opening,
    /// There is a session, and nothing of this group on it.
    Idle,
    /// This end has asked for admission.
    Asked,
    /// Both have proved that they know the groupspec.
    Neighbor,
    /// The peer was refused: nothing more is heard from it in this session.
    Refused,
}

#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) phase: Phase,
    /// When the phase began.
    pub(super) since: Instant,
    pub(super) near_nonce: [u8; 32],
    pub(super) far_nonce: [u8; 32],
    /// Where the peer is, once there is a session.
    pub(super) far_address: Option<SocketAddr>,
    /// When the last report went out.
    pub(super) reported: Option<Instant>,
    /// A report that went out has not been answered.
    pub(super) awaits_report: bool,
    /// When the peer was last asked to let go.
    pub(super) asked_to_close: Option<Instant>,
}

impl Link {
    pub(super) fn opening(now: Instant) -> Self {
        Self {
            phase: Phase::Opening,
            since: now,
            near_nonce: [0; 32],
            far_nonce: [0; 32],
            far_address: None,
            reported: None,
            awaits_report: false,
            asked_to_close: None,
        }
    }

    /// A session for it has opened. Whatever was in an earlier one is over.
    pub(super) fn with_session(now: Instant, phase: Phase, session: &SessionFacts) -> Self {
        Self {
            phase,
            near_nonce: session.near_nonce,
            far_nonce: session.far_nonce,
            far_address: Some(session.far_address),
            ..Self::opening(now)
        }
    }

    /// Whether this is the session that the link is in already.
    pub(super) fn is_in(&self, session: &SessionFacts) -> bool {
        self.far_address.is_some() && (self.near_nonce, self.far_nonce) == (session.near_nonce, session.far_nonce)
    }

    pub(super) fn enter(&mut self, phase: Phase, now: Instant) {
        self.phase = phase;
        self.since = now;
    }

    /// Whether it is one of the group's, or about to become one.
    pub(super) fn is_active(&self) -> bool {
        matches!(self.phase, Phase::Opening | Phase::Asked | Phase::Neighbor)
    }
}
