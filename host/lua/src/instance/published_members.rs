//! The members of groups that a script has published in the registry.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use introd_netgroup::{GroupAddress, GroupDigest, GroupKey};
use introd_policy::message::ClientId;
use introd_policy::registry::{GroupMember, Registry, RegistryError};
use introd_policy::{InstanceName, PublishedMember};
use rtmfp::PeerId;

/// How many memberships an instance may have in the registry at a time.
pub(crate) const MAX_PUBLISHED: usize = 65_536;

/// The membership of a client with which a member ends: the client, and the digest of the group.
type Membership = (ClientId, [u8; 32]);

/// The member of a group as the scripts of an application know it, on all servers. The groups of scripts are confined to the application,
/// so that its clients are named to no others by a server, and no others to them.
pub(crate) fn member(name: &InstanceName, digest: &GroupDigest, peer: PeerId) -> GroupMember {
    let key = GroupKey::of(digest, &[&name.adaptor, &name.vhost, &name.application]);
    GroupMember { group: key.0, peer, position: GroupAddress::of(&peer).0 }
}

/// What the scripts of an instance have published, where other threads can read it. It outlives a thread that hangs.
#[derive(Default)]
pub(crate) struct PublishedSet(Mutex<State>);

#[derive(Default)]
struct State {
    members: HashMap<GroupMember, Option<Membership>>,
    /// Those that another process has published, and that have ended meanwhile.
    ended: Vec<GroupMember>,
    /// How many threads have had it: the last one changes it.
    owners: u64,
}

impl PublishedSet {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All members, for another process.
    pub(crate) fn all(&self) -> Vec<PublishedMember> {
        let state = self.state();
        state.members.iter().map(|(member, follows)| PublishedMember { member: *member, follows: *follows }).collect()
    }

    /// Enters what another process has published. `memberships`: those that the clients have now.
    pub(super) fn take_over(&self, members: Vec<PublishedMember>, memberships: &HashSet<Membership>) {
        let mut state = self.state();
        for PublishedMember { member, follows } in members.into_iter().take(MAX_PUBLISHED) {
            // The client may have left the group, and the other process may not have come to withdraw it.
            if follows.is_none_or(|membership| memberships.contains(&membership)) {
                state.members.insert(member, follows);
            } else {
                state.ended.push(member);
            }
        }
    }
}

/// What one thread does with the members, so that they can be withdrawn when the client leaves the group or the instance ends. A thread that
/// another has taken the place of changes nothing.
pub(crate) struct PublishedMembers {
    registry: Arc<dyn Registry>,
    set: Arc<PublishedSet>,
    owner: u64,
}

impl PublishedMembers {
    pub(crate) fn new(registry: Arc<dyn Registry>, set: Arc<PublishedSet>) -> Self {
        let owner = {
            let mut state = set.state();
            state.owners += 1;
            state.owners
        };
        Self { registry, set, owner }
    }

    /// What this thread may change.
    fn own(&self) -> Option<MutexGuard<'_, State>> {
        Some(self.set.state()).filter(|state| state.owners == self.owner)
    }

    /// Publishes a member, which ends with that membership if one is given.
    pub(crate) fn join(&self, member: GroupMember, follows: Option<Membership>) -> Result<(), RegistryError> {
        let Some(mut state) = self.own() else { return Ok(()) };
        if state.members.len() >= MAX_PUBLISHED && !state.members.contains_key(&member) {
            return Err(RegistryError::Full);
        }
        self.registry.join_group(&member)?;
        state.members.insert(member, follows);
        Ok(())
    }

    /// Withdraws a member, if it is published.
    pub(crate) fn leave(&self, member: &GroupMember) {
        let Some(mut state) = self.own() else { return };
        if state.members.remove(member).is_some() {
            // A registry that does not accept it now withdraws it with the server.
            let _ = self.registry.leave_group(member);
        }
    }

    /// Goes on with what another process has published: the registry of this one learns of it, and loses what has ended.
    pub(crate) fn go_on(&self) {
        let Some(mut state) = self.own() else { return };
        for member in std::mem::take(&mut state.ended) {
            let _ = self.registry.leave_group(&member);
        }
        let registry = &self.registry;
        state.members.retain(|member, _| match registry.join_group(member) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(peer = %member.peer, %error, "a member of a group that came from another process is not published");
                false
            }
        });
    }
}

impl Drop for PublishedMembers {
    fn drop(&mut self) {
        let Some(mut state) = self.own() else { return };
        for (member, _) in state.members.drain() {
            let _ = self.registry.leave_group(&member);
        }
    }
}

#[cfg(test)]
mod tests {
    use introd_policy::registry::{InMemory, NeighborQuery};

    use super::*;

    fn known(registry: &InMemory) -> usize {
        let peer = PeerId([99; 32]);
        let query = NeighborQuery { member: of(99), near: 16, far: 16 };
        let mut found = registry.group_neighbors(&query);
        let waker = std::task::Waker::noop();
        match found.as_mut().poll(&mut std::task::Context::from_waker(waker)) {
            std::task::Poll::Ready(Ok(found)) => found.iter().filter(|found| **found != peer).count(),
            _ => panic!("it answers at once"),
        }
    }

    fn of(peer: u8) -> GroupMember {
        member(&crate::tests::instance_name("app"), &GroupDigest([7; 32]), PeerId([peer; 32]))
    }

    #[test]
    fn a_thread_that_was_replaced_changes_nothing_and_its_successor_withdraws_what_it_has_published() {
        let registry = Arc::new(InMemory::default());
        let set = Arc::new(PublishedSet::default());
        let members = || PublishedMembers::new(Arc::clone(&registry) as Arc<dyn Registry>, Arc::clone(&set));
        let hung = members();
        hung.join(of(1), None).unwrap();
        hung.join(of(2), None).unwrap();
        let successor = members();
        hung.leave(&of(1));
        drop(hung);
        assert_eq!(known(&registry), 2);
        successor.leave(&of(1));
        assert_eq!(known(&registry), 1);
        drop(successor);
        assert_eq!(known(&registry), 0);
    }

    #[test]
    fn what_another_process_has_published_is_published_here_unless_its_membership_has_ended() {
        let registry = Arc::new(InMemory::default());
        let set = Arc::new(PublishedSet::default());
        let (client, _) = crate::tests::a_client();
        let published = |peer, follows| PublishedMember { member: of(peer), follows };
        let all =
            vec![published(1, None), published(2, Some((client, [7; 32]))), published(3, Some((client, [8; 32])))];
        // The registry is that of the same server.
        all.iter().for_each(|published| registry.join_group(&published.member).unwrap());
        set.take_over(all, &HashSet::from([(client, [7; 32])]));
        let members = PublishedMembers::new(Arc::clone(&registry) as Arc<dyn Registry>, Arc::clone(&set));
        members.go_on();
        assert_eq!((known(&registry), set.all().len()), (2, 2));
        members.leave(&of(2));
        assert_eq!(known(&registry), 1);
    }
}
