//! Plugins that know the members of NetGroups on all servers.

use crate::abi;
use crate::completion::{Later, Reply};
use crate::registry::{RegistryError, RegistryPlugin};
use crate::values::{GroupId, PeerId};
use crate::verdict::MembersVerdict;

/// A position on the ring of a group: the SHA-256 digest of the bytes 21 0F and the peer ID. It is a number of 256 bits in network
/// order, so that positions compare as the ring has them; the first follows the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RingPosition(pub [u8; 32]);

/// A member of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GroupMember {
    /// The key under which servers share the group: a digest made of the group's ID, and of the name of the application if the group is
    /// confined to it.
    pub group: GroupId,
    /// The member.
    pub peer: PeerId,
    /// The member's position on the group's ring.
    pub position: RingPosition,
}

/// A query for the members around a position of a group's ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighborQuery {
    /// The key under which servers share the group, as in [`GroupMember::group`].
    pub group: GroupId,
    /// The peer on whose behalf the host asks. It must not be part of the answer. It need not be a member.
    pub peer: PeerId,
    /// The position around which members are wanted.
    pub position: RingPosition,
    /// How many members are wanted that follow the position most closely, and how many that precede it; at most 16.
    pub near: usize,
    /// How many other members are wanted at random positions of the ring; at most 16.
    pub far: usize,
}

impl From<&abi::introd_group_member> for GroupMember {
    fn from(raw: &abi::introd_group_member) -> Self {
        Self { group: raw.group.into(), peer: raw.peer.into(), position: RingPosition(raw.position.bytes) }
    }
}

impl From<&abi::introd_neighbor_query> for NeighborQuery {
    fn from(raw: &abi::introd_neighbor_query) -> Self {
        Self {
            group: raw.group.into(),
            peer: raw.peer.into(),
            position: RingPosition(raw.position.bytes),
            near: raw.near_count as usize,
            far: raw.far_count as usize,
        }
    }
}

/// A registry that also knows the members of NetGroups on all servers, so that members find each other across servers.
///
/// Export it with `export!(MyPlugin, registry, group_registry)`.
///
/// The host calls the methods from any thread, several at the same time. They must not block.
pub trait GroupRegistryPlugin: RegistryPlugin {
    /// Publishes that a peer of this server is a member of a group. The membership counts as long as this server is alive, until
    /// [`leave_group`](Self::leave_group): the plugin publishes it again after an outage of what it keeps members in. Further calls for
    /// the same member change nothing. `Ok` means that the plugin has accepted the membership, though other servers may see it only
    /// later.
    ///
    /// # Errors
    /// If the registry cannot accept it.
    fn join_group(&self, member: &GroupMember) -> Result<(), RegistryError>;

    /// Withdraws what this server has published by [`join_group`](Self::join_group).
    ///
    /// # Errors
    /// If the registry cannot accept it.
    fn leave_group(&self, member: &GroupMember) -> Result<(), RegistryError>;

    /// Finds the members around a position, on all servers: members of this server may be part of the answer. What `join_group` has
    /// accepted before this call must be written before the members are read. Then, of two members that join through different
    /// servers at the same time, at least one is told of the other.
    fn group_neighbors(&self, query: &NeighborQuery, later: Later<'_, MembersVerdict>) -> Reply<MembersVerdict>;
}
