//! The groups that a client is in.

use std::time::Instant;

use introd_netgroup::channel::{GroupChannels, JoinLimits};
use introd_netgroup::{GroupDigest, GroupKey};
use rtmfp::flow::SendFlowId;
use smallvec::SmallVec;

/// A client's groups.
pub(super) struct ClientGroups {
    /// Its flows to the server, one for each group.
    pub(super) channels: GroupChannels,
    /// The groups that it is in.
    pub(super) memberships: SmallVec<[Membership; 1]>,
    /// How many groups it has joined so far.
    pub(super) joined: u64,
}

/// A client's membership in a group.
pub(super) struct Membership {
    /// Identifies the membership among all that the client has or had.
    pub(super) number: u64,
    pub(super) group: GroupDigest,
    /// The key under which the client joined it: it stays with it when the settings change.
    pub(super) key: GroupKey,
    /// The server's flow to the client, made for the first hint.
    pub(super) sending: Option<SendFlowId>,
    /// Whether the script was told of the membership, and is to be told of its end.
    pub(super) is_told: bool,
    /// Whether a plugin has named the members that are to be named.
    pub(super) is_handled: bool,
    /// Whether the built-in bootstrap names the member to others, also to those of other servers.
    pub(super) is_built_in: bool,
    /// Whether another session, which holds the client's id, is the member. This one becomes the member when it holds the id.
    pub(super) is_waiting: bool,
}

impl Membership {
    /// A membership of which no policy has been told.
    pub(super) fn new(number: u64, group: GroupDigest, key: GroupKey) -> Self {
        let (is_told, is_handled, is_built_in, is_waiting) = Default::default();
        Self { number, group, key, sending: None, is_told, is_handled, is_built_in, is_waiting }
    }
}

impl ClientGroups {
    pub(super) fn new(now: Instant) -> Self {
        Self { channels: GroupChannels::new(now, JoinLimits::default()), memberships: SmallVec::new(), joined: 0 }
    }

    /// Forgets a flow of the server that the client has rejected.
    pub(super) fn on_rejected(&mut self, flow: SendFlowId) {
        for membership in &mut self.memberships {
            membership.sending.take_if(|own| *own == flow);
        }
    }

    pub(super) fn group_of(&self, number: u64) -> Option<GroupDigest> {
        self.memberships.iter().find(|membership| membership.number == number).map(|membership| membership.group)
    }

    pub(super) fn take(&mut self, group: &GroupDigest) -> Option<Membership> {
        let at = self.memberships.iter().position(|membership| membership.group == *group)?;
        Some(self.memberships.remove(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_that_the_client_rejects_is_forgotten_and_the_others_stay() {
        let mut groups = ClientGroups::new(Instant::now());
        for number in 1..=3 {
            let (group, sending) = (GroupDigest([number; 32]), Some(SendFlowId(number.into())));
            let membership = Membership::new(number.into(), group, GroupKey::of(&group, &[]));
            groups.memberships.push(Membership { sending, ..membership });
        }
        groups.on_rejected(SendFlowId(2));
        let flows: Vec<_> = groups.memberships.iter().map(|membership| membership.sending).collect();
        assert_eq!(flows, [Some(SendFlowId(1)), None, Some(SendFlowId(3))]);
        assert_eq!((groups.group_of(2), groups.group_of(9)), (Some(GroupDigest([2; 32])), None));
        assert!(groups.take(&GroupDigest([9; 32])).is_none());
        assert_eq!(groups.take(&GroupDigest([2; 32])).map(|taken| taken.number), Some(2));
        assert_eq!((groups.group_of(2), groups.memberships.len()), (None, 2));
    }
}
