//! The groups of the registry as its callers see them. Nothing here waits for Redis.

use std::sync::Arc;

use introd_plugin::{GroupMember, NeighborQuery};

use crate::answer::Failure;
use crate::neighbors::{Neighbors, NeighborsReply};
use crate::registry::Registry;
use crate::stats::count;

impl Registry {
    /// Publishes that a peer of this server is a member of a group. It is written as soon as Redis can be reached, together with others.
    ///
    /// # Errors
    /// [`Failure::Full`]
    pub fn join_group(&self, member: &GroupMember) -> Result<(), Failure> {
        let shared = self.shared();
        if !shared.state().memberships.join(*member, shared.settings.max_memberships) {
            return Err(Failure::Full);
        }
        shared.groups.notify_one();
        Ok(())
    }

    /// Withdraws what [`Self::join_group`] has published. If it has not been written yet, nothing is.
    pub fn leave_group(&self, member: &GroupMember) {
        let shared = self.shared();
        {
            let mut state = shared.state();
            state.memberships.leave(*member);
            state.echo.add_member(*member);
        }
        shared.groups.notify_one();
    }

    /// Finds the members around a position of a group, at all servers that live: those next to it on both sides alternately, and then
    /// some from anywhere. If the peer of the query is a member that this server has published, that is written before.
    ///
    /// Returns the answer if it is known at once: that Redis cannot be reached, or too many queries are pending. Else it calls `defer` for a
    /// reply that receives the answer later, and returns `None`. If `defer` returns none, the query fails with [`Failure::Busy`].
    pub fn group_neighbors(
        &self,
        query: &NeighborQuery,
        defer: impl FnOnce() -> Option<NeighborsReply>,
    ) -> Option<Neighbors> {
        let shared = self.shared();
        count(&shared.stats.neighbor_queries, 1);
        let failed = |failure| {
            count(&shared.stats.failed, 1);
            Some(Err(failure))
        };
        {
            let state = shared.state();
            if let Some(why) = &state.unreachable {
                return failed(Failure::Unreachable(Arc::clone(why)));
            }
            if state.queries.len() >= shared.settings.max_pending {
                return failed(Failure::Busy);
            }
        }
        // The lock is not held: `defer` calls the host.
        let Some(reply) = defer() else { return failed(Failure::Busy) };
        let refused = {
            let mut state = shared.state();
            match &state.unreachable {
                Some(why) => Some((reply, Arc::clone(why))),
                None => {
                    state.queries.add(*query, reply);
                    None
                }
            }
        };
        if let Some((reply, why)) = refused {
            count(&shared.stats.failed, 1);
            reply(Err(Failure::Unreachable(why)));
        } else {
            shared.groups.notify_one();
        }
        None
    }
}
