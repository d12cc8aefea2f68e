//! The extension `introd.group-registry/1`: the members of NetGroups on several servers.

use std::ffi::CStr;

use super::groups::introd_group_id;
use super::values::{introd_answer, introd_instance, introd_peer_id};

/// Since 1.1. Extension: the plugin, which has INTROD_EXT_REGISTRY, also knows the members of NetGroups on all servers. The plugin's
/// table is `introd_plugin_group_registry`; the host has none.
pub const INTROD_EXT_GROUP_REGISTRY: &CStr = c"introd.group-registry/1";

/// Since 1.1. A position on the ring of a group, a number of 256 bits in network order. The first follows the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct introd_ring_position {
    /// The position: the SHA-256 digest of the bytes 21 0F and the 32 bytes of the peer ID.
    pub bytes: [u8; 32],
}

/// Since 1.1. A member of a group.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct introd_group_member {
    /// sizeof(introd_group_member) at the host
    pub struct_size: u32,
    /// Unused.
    pub reserved: u32,
    /// The key under which servers share the group: a digest made of the group's ID, and of the name of the application if the group is
    /// confined to it.
    pub group: introd_group_id,
    /// The member.
    pub peer: introd_peer_id,
    /// The member's position on the group's ring.
    pub position: introd_ring_position,
}

/// Since 1.1. A query for the members around a position of a group's ring.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct introd_neighbor_query {
    /// sizeof(introd_neighbor_query) at the host
    pub struct_size: u32,
    /// Unused.
    pub reserved: u32,
    /// The key under which servers share the group, as in `introd_group_member`.
    pub group: introd_group_id,
    /// The peer on whose behalf the host asks. It is never part of the answer. It need not be a member.
    pub peer: introd_peer_id,
    /// The position around which members are wanted.
    pub position: introd_ring_position,
    /// How many members are wanted that follow the position most closely, and how many that precede it; at most 16.
    pub near_count: u32,
    /// How many other members are wanted at random positions of the ring; at most 16.
    pub far_count: u32,
}

/// Since 1.1. The plugin's functions for INTROD_EXT_GROUP_REGISTRY. The host calls them for members that are clients of this server,
/// and for the `registry` object of scripts.
#[repr(C)]
pub struct introd_plugin_group_registry {
    /// sizeof(introd_plugin_group_registry) at the plugin
    pub struct_size: u32,
    /// Must be 0.
    pub reserved: u32,
    /// Publishes that a peer of this server is a member of a group. The membership counts as long as this server is alive, until
    /// `leave`: the plugin publishes it again after an outage of what it keeps members in. Further calls for the same member change
    /// nothing. Returns INTROD_OK when the plugin has accepted the membership, though other servers may see it only later; or
    /// INTROD_E_FULL or INTROD_E_UNAVAILABLE.
    ///
    /// Thread: any thread of the server, several at the same time. It must not block.
    pub join: Option<unsafe extern "C" fn(instance: introd_instance, member: *const introd_group_member) -> i32>,
    /// Withdraws what this server has published by `join`. Returns INTROD_OK, also if there was nothing to withdraw.
    ///
    /// Thread: any thread of the server, several at the same time. It must not block.
    pub leave: Option<unsafe extern "C" fn(instance: introd_instance, member: *const introd_group_member) -> i32>,
    /// Finds the members around a position, on all servers: members of this server may be part of the answer. What `join` has
    /// accepted before this call must be written before the members are read. Then, of two members that join through different
    /// servers at the same time, at least one is told of the other. Verdicts: INTROD_MEMBERS with the peers by `host->answer`,
    /// INTROD_PENDING, or an error.
    ///
    /// Thread: any thread of the server, several at the same time. It must not block.
    pub neighbors: Option<
        unsafe extern "C" fn(
            instance: introd_instance,
            query: *const introd_neighbor_query,
            answer: *mut introd_answer,
        ) -> i32,
    >,
}
