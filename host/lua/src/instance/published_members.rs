//! The members of groups that a script has published in the registry.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

use introd_netgroup::{GroupAddress, GroupDigest, GroupKey};
use introd_policy::InstanceName;
use introd_policy::registry::{GroupMember, Registry, RegistryError};
use rtmfp::PeerId;

/// How many memberships an instance may have in the registry at a time.
pub(crate) const MAX_PUBLISHED: usize = 65_536;

/// The members that a script has published, so that they can be withdrawn when the client leaves the group or the instance ends.
pub(crate) struct PublishedMembers {
    registry: Arc<dyn Registry>,
    members: RefCell<HashSet<GroupMember>>,
}

/// The member of a group as the scripts of an application know it, on all servers. The groups of scripts are confined to the application,
/// so that its clients are named to no others by a server, and no others to them.
pub(crate) fn member(name: &InstanceName, digest: &GroupDigest, peer: PeerId) -> GroupMember {
    let key = GroupKey::of(digest, &[&name.adaptor, &name.vhost, &name.application]);
    GroupMember { group: key.0, peer, position: GroupAddress::of(&peer).0 }
}

impl PublishedMembers {
    pub(crate) fn new(registry: Arc<dyn Registry>) -> Self {
        Self { registry, members: RefCell::default() }
    }

    /// Publishes a member.
    pub(crate) fn join(&self, member: GroupMember) -> Result<(), RegistryError> {
        let mut members = self.members.borrow_mut();
        if members.len() >= MAX_PUBLISHED && !members.contains(&member) {
            return Err(RegistryError::Full);
        }
        self.registry.join_group(&member)?;
        members.insert(member);
        Ok(())
    }

    /// Withdraws a member, if it is published.
    pub(crate) fn leave(&self, member: &GroupMember) {
        if self.members.borrow_mut().remove(member) {
            // A registry that does not accept it now withdraws it with the server.
            let _ = self.registry.leave_group(member);
        }
    }
}

impl Drop for PublishedMembers {
    fn drop(&mut self) {
        for member in self.members.take() {
            let _ = self.registry.leave_group(&member);
        }
    }
}
