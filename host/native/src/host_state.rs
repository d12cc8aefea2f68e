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

/// What plugins may ask of the server. No method blocks; a request for which a queue has no room is refused.
pub trait ServerAccess: Send + Sync {
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
    server_access: RwLock<Option<Weak<dyn ServerAccess>>>,
    pub(super) metrics: Metrics,
    pub(super) timers: Timers,
}

/// What waits for a verdict that a plugin gives later.
pub(super) enum PendingVerdict {
    Request {
        request: RequestId,
        subject: Subject,
    },
    /// For `lookup` or `neighbors` of a registry.
    Registry {
        reply: oneshot::Sender<Verdict>,
        subject: Subject,
    },
}

impl PendingVerdict {
    pub(super) fn subject(&self) -> Subject {
        match self {
            Self::Request { subject, .. } | Self::Registry { subject, .. } => *subject,
        }
    }
}

impl HostState {
    pub(super) fn new(replies: Arc<Replies>) -> Self {
        Self {
            tokens: Tokens::new(MAX_PENDING),
            replies,
            server_access: RwLock::default(),
            metrics: Metrics::default(),
            timers: Timers::default(),
        }
    }

    pub(super) fn server_access(&self) -> Option<Arc<dyn ServerAccess>> {
        self.server_access.read().as_ref()?.upgrade()
    }

    pub(super) fn set_server_access(&self, server_access: Weak<dyn ServerAccess>) {
        *self.server_access.write() = Some(server_access);
    }

    /// Delivers a verdict to what waits for it.
    pub(super) fn deliver(&self, pending: PendingVerdict, verdict: Verdict) {
        match pending {
            PendingVerdict::Request { request, .. } => self.replies.push(request, Reply::Verdict(verdict)),
            // The lookup may have been given up.
            PendingVerdict::Registry { reply, .. } => drop(reply.send(verdict)),
        }
    }
}
