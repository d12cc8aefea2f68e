//! What all instances of plugins share: pending verdicts, timers, metrics, and the way to the server.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use introd_netgroup::GroupDigest;
use introd_policy::{Peer, Replies, Reply, RequestId, Verdict};
use parking_lot::RwLock;
use rtmfp::{PeerId, SessionId};
use tokio::sync::oneshot;

use super::answer::Subject;
use super::metrics::Metrics;
use super::timers::Timers;
use super::tokens::Tokens;

/// The most verdicts that all plugins together may leave pending.
const MAX_PENDING: usize = 1 << 18;

/// What plugins reach of the server. Nothing here blocks; what finds no room is refused.
pub trait Surroundings: Send + Sync {
    /// A peer that is connected.
    fn find(&self, peer: &PeerId) -> Option<Peer>;

    /// Forwards a hello of a peer that looks for the target to the target. False if there is no room.
    fn introduce(&self, id: &PeerId, target: &Peer, initiator: SocketAddr, tag: &[u8]) -> bool;

    /// Closes the connection of a client, if it is that peer's. False if there is no room.
    fn disconnect(&self, session: SessionId, peer: PeerId) -> bool;

    /// Names a peer to a member of a group. False if there is no room.
    fn hint(&self, session: SessionId, group: GroupDigest, about: PeerId) -> bool;
}

/// What all instances share.
pub(super) struct HostState {
    pub(super) tokens: Tokens<PendingVerdict>,
    /// Takes verdicts to the workers.
    replies: Arc<Replies>,
    surroundings: RwLock<Option<Weak<dyn Surroundings>>>,
    pub(super) metrics: Metrics,
    pub(super) timers: Timers,
}

/// What waits for a verdict that a plugin gives later.
pub(super) enum PendingVerdict {
    Request { request: RequestId, subject: Subject },
    Registry(oneshot::Sender<Verdict>),
}

impl PendingVerdict {
    pub(super) fn subject(&self) -> Subject {
        match self {
            Self::Request { subject, .. } => *subject,
            Self::Registry(_) => Subject::Registry,
        }
    }
}

impl HostState {
    pub(super) fn new(replies: Arc<Replies>) -> Self {
        Self {
            tokens: Tokens::new(MAX_PENDING),
            replies,
            surroundings: RwLock::default(),
            metrics: Metrics::default(),
            timers: Timers::default(),
        }
    }

    pub(super) fn surroundings(&self) -> Option<Arc<dyn Surroundings>> {
        self.surroundings.read().as_ref()?.upgrade()
    }

    pub(super) fn set_surroundings(&self, surroundings: Weak<dyn Surroundings>) {
        *self.surroundings.write() = Some(surroundings);
    }

    /// Delivers a verdict to what waits for it.
    pub(super) fn deliver(&self, pending: PendingVerdict, verdict: Verdict) {
        match pending {
            PendingVerdict::Request { request, .. } => self.replies.push(request, Reply::Verdict(verdict)),
            // The lookup may have been given up.
            PendingVerdict::Registry(reply) => drop(reply.send(verdict)),
        }
    }
}
