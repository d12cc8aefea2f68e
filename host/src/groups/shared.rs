//! The members of groups in the registry that several servers share.
//!
//! Each member that the built-in bootstrap names to others is published in the registry, and withdrawn when it leaves or falls silent. A
//! newcomer gets the hints of this server at once. Then the registry is asked once for the members next to it on the ring and for some
//! far from it, wherever they are connected, and each of them becomes a hint to the newcomer. The servers of the others need not tell them
//! of it: the newcomer connects to them. Since the registry has the newcomer before it is asked, of two members that join at a
//! time at least one is told of the other.
//!
//! Workers only leave a [`Mark`](marks::Mark) at what has changed. The thread of the registry compares the marked memberships with the
//! table and does the rest ([`driver`]): storms of joins and leaves coalesce. [`schedule`] has the order, the bounds and the
//! repetitions: a membership has one request at a time, and there are at most 64 at a time altogether.
//! What fails is repeated until it succeeds or the member has left. Each member asks again after five minutes, so that a group heals
//! whose members were lost with their server.

mod driver;
mod marks;
mod schedule;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use introd_netgroup::{GroupDigest, GroupKey};
use introd_policy::registry::Registry;
use rtmfp::{PeerId, SessionId};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::Memberships;
use crate::introducer::Counters;
use driver::{Driver, Finish};
use marks::{Mark, Marks};

/// How long the registry may take at the end.
const FINISH: Duration = Duration::from_secs(2);

/// Sends the member with that session a hint that names another peer. It must neither block nor fail.
pub type SendHint = dyn Fn(SessionId, GroupDigest, PeerId) + Send + Sync;

/// Keeps the registry in line with the members of groups on this server, and names members of other servers to them. Dropping it gives up
/// the requests under way.
pub struct SharedGroups {
    marks: Arc<Marks>,
    finish: mpsc::UnboundedSender<Finish>,
    task: Option<AbortHandle>,
}

impl SharedGroups {
    /// Starts the work on the thread behind `handle`. `members` is the table of this server; `timeout` is that of a request to the registry.
    /// `is_heir`: this process takes another's place, whose members may be in the registry. `None` if the registry has no groups.
    pub fn start(
        registry: Arc<dyn Registry>,
        members: Arc<Memberships<SessionId>>,
        counters: Arc<Counters>,
        timeout: Duration,
        send: Arc<SendHint>,
        handle: &Handle,
        is_heir: bool,
    ) -> Option<Self> {
        if !registry.has_groups() {
            return None;
        }
        let marks = Arc::new(Marks::default());
        let (finish, finishing) = mpsc::unbounded_channel();
        let driver = Driver::new(registry, members, Arc::clone(&marks), counters, timeout, send, finishing);
        let driver = if is_heir { driver.inheriting() } else { driver };
        let task = handle.spawn(driver.run()).abort_handle();
        Some(Self { marks, finish, task: Some(task) })
    }

    /// Notes that a peer has joined a group, has left it, has become silent, or sends again. The table must have been changed before.
    /// `is_named` says whether the built-in bootstrap names it to others, as far as it is a member.
    ///
    /// This takes a lock for a moment, whatever the registry does.
    pub fn changed(&self, key: GroupKey, digest: GroupDigest, peer: PeerId, is_named: bool) {
        self.marks.insert(key, peer, Mark { digest, is_named });
    }

    /// Waits until the registry has been told of all members that have left, for two seconds at most: this process is about to end, and another goes
    /// on with the others.
    pub fn finish(&self) {
        let (done, is_done) = std::sync::mpsc::channel();
        if self.finish.send(done).is_ok() {
            // The channel ends without a message.
            let _ = is_done.recv_timeout(FINISH);
        }
    }
}

#[cfg(test)]
impl SharedGroups {
    /// One that does nothing: a test sees what workers have marked.
    pub(crate) fn unattended() -> Self {
        Self { marks: Arc::default(), finish: mpsc::unbounded_channel().0, task: None }
    }

    /// Takes what workers have marked: the group, the peer, and whether the built-in bootstrap names it, in the order of the keys.
    pub(crate) fn marked(&self) -> Vec<(GroupKey, PeerId, bool)> {
        let mut marked: Vec<_> =
            self.marks.take().into_iter().map(|(key, peer, mark)| (key, peer, mark.is_named)).collect();
        marked.sort();
        marked
    }
}

impl Drop for SharedGroups {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
