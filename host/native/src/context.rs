//! What stands behind a host's table.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use introd_plugin::abi::introd_host;
use parking_lot::RwLock;
use rtmfp::{PeerId, SessionId};
use tokio::sync::oneshot;

use super::answer::Question;
use super::metrics::{Metrics, OwnMetrics};
use super::timers::{TimerOwner, Timers};
use super::tokens::Tokens;
use introd_netgroup::GroupDigest;
use introd_policy::{Peer, Replies, Reply, RequestId, Verdict};

/// The most verdicts that all plugins together may leave pending.
const MAX_PENDING: usize = 1 << 18;

/// The server around the plugins. Nothing here blocks; what finds no room is refused.
pub trait Surroundings: Send + Sync {
    /// A peer that is connected.
    fn find(&self, peer: &PeerId) -> Option<Peer>;

    /// Has a peer told of somebody who looks for it. False if there is no room.
    fn introduce(&self, id: &PeerId, target: &Peer, initiator: SocketAddr, tag: &[u8]) -> bool;

    /// Closes the connection of a client, if it is that peer's. False if there is no room.
    fn disconnect(&self, session: SessionId, peer: PeerId) -> bool;

    /// Names a peer to a member of a group. False if there is no room.
    fn hint(&self, session: SessionId, group: GroupDigest, about: PeerId) -> bool;
}

/// What all instances have in common.
pub(super) struct Shared {
    pub(super) tokens: Tokens<Waiter>,
    /// Takes verdicts to the workers.
    replies: Arc<Replies>,
    surroundings: RwLock<Option<Weak<dyn Surroundings>>>,
    pub(super) metrics: Metrics,
    pub(super) timers: Timers,
}

/// Who waits for a verdict.
pub(super) enum Waiter {
    Worker { request: RequestId, question: Question },
    Registry(oneshot::Sender<Verdict>),
}

impl Waiter {
    pub(super) fn question(&self) -> Question {
        match self {
            Self::Worker { question, .. } => *question,
            Self::Registry(_) => Question::Registry,
        }
    }
}

impl Shared {
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

    /// Brings a verdict to whom it is for.
    pub(super) fn deliver(&self, waiter: Waiter, verdict: Verdict) {
        match waiter {
            Waiter::Worker { request, .. } => self.replies.push(request, Reply::Verdict(verdict)),
            // Nobody may wait any more.
            Waiter::Registry(reply) => drop(reply.send(verdict)),
        }
    }
}

/// What stands behind the host's table of one instance. It is never freed: a plugin's thread may use the table at any time.
/// Instances are made at the start and when the configuration has changed, so that few are.
pub(super) struct Context {
    pub(super) shared: Arc<Shared>,
    /// The number of the instance, among all that there have been.
    pub(super) owner: u32,
    /// The plugin's name.
    pub(super) name: String,
    pub(super) metrics: OwnMetrics,
    pub(super) has_timers: bool,
    pub(super) timer_owner: TimerOwner,
}

impl Context {
    pub(super) fn new(shared: Arc<Shared>, owner: u32, name: &str, has_timers: bool) -> Self {
        Self {
            shared,
            owner,
            name: name.to_owned(),
            metrics: OwnMetrics::new(name),
            has_timers,
            timer_owner: TimerOwner::new(owner),
        }
    }

    /// What stands behind a table; `None` if the table is of no instance, or of one that is over.
    ///
    /// # Safety
    /// `host` is null or a table that this server made.
    pub(super) unsafe fn of(host: *const introd_host) -> Option<&'static Self> {
        // SAFETY: the caller says so. Neither tables nor contexts are ever freed.
        let context = unsafe { host.as_ref()?.context.cast::<Self>().as_ref()? };
        (!context.is_over()).then_some(context)
    }

    pub(super) fn is_over(&self) -> bool {
        self.timer_owner.is_over()
    }

    /// The instance is over: from now on its table does nothing.
    pub(super) fn end(&self) {
        self.timer_owner.end();
        self.shared.timers.stop_all(self.owner);
    }
}
