//! `introd.groups/1`

use std::ffi::CStr;

use super::host::introd_host;
use super::values::{introd_bytes, introd_client, introd_instance, introd_peer_id};

/// The plugin has a say in the bootstrap of groups: `introd_plugin_groups`, and of the host `introd_host_groups`.
pub const INTROD_EXT_GROUPS: &CStr = c"introd.groups/1";

/// Members next to the newcomer on the group's ring, the nearest first, on both sides.
pub const INTROD_MEMBERS_NEIGHBORS: u32 = 1;
/// Those who joined last, the newest first.
pub const INTROD_MEMBERS_NEWEST: u32 = 2;
/// Any, each of them as likely as another.
pub const INTROD_MEMBERS_RANDOM: u32 = 3;

/// The other may be a good neighbour: the member connects to it if its place in the group suggests so.
pub const INTROD_HINT_MEMBER: u32 = 1;
/// The other is to be a neighbour: the member is advised to connect now. Clients know of one message for both at present.
pub const INTROD_HINT_NEIGHBOR: u32 = 2;

/// A group: the digest of its canonical groupspec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct introd_group_id {
    /// Its bytes.
    pub bytes: [u8; 32],
}

/// A group as the host has it. Valid until the callback that was given it returns, and in its thread only.
#[repr(C)]
pub struct introd_group {
    _private: [u8; 0],
}

/// A client joins or leaves a group.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct introd_group_event {
    /// sizeof(introd_group_event) at the host
    pub struct_size: u32,
    /// Nothing yet.
    pub reserved: u32,
    /// The group.
    pub id: introd_group_id,
    /// The client.
    pub client: introd_client,
    /// The application that it is in: groups of different instances have nothing to do with each other.
    pub application: introd_bytes,
    /// The instance of the application.
    pub instance: introd_bytes,
    /// How many members the group has now.
    pub members: u64,
    /// For `members` of the host.
    pub group: *const introd_group,
}

/// What a plugin offers for INTROD_EXT_GROUPS. Functions that it does not need are null.
#[repr(C)]
pub struct introd_plugin_groups {
    /// sizeof(introd_plugin_groups) at the plugin
    pub struct_size: u32,
    /// Zero.
    pub reserved: u32,
    /// A client has joined a group. INTROD_CONTINUE: others may name members to it, too. INTROD_HANDLED: nobody else does. Any
    /// worker's thread; must not block.
    pub join: Option<unsafe extern "C" fn(instance: introd_instance, event: *const introd_group_event) -> i32>,
    /// A client has left a group, or is gone. Comes before `disconnect`. Any worker's thread; must not block.
    pub leave: Option<unsafe extern "C" fn(instance: introd_instance, event: *const introd_group_event) -> i32>,
}

/// What the host offers for INTROD_EXT_GROUPS.
#[repr(C)]
pub struct introd_host_groups {
    /// sizeof(introd_host_groups) at the host
    pub struct_size: u32,
    /// Nothing yet.
    pub reserved: u32,
    /// Members of the group, chosen by one of INTROD_MEMBERS, without the client of the event: writes up to `room` of them to
    /// `members`, and returns how many. Only in the callback that was given `event`, in its thread.
    pub members: Option<
        unsafe extern "C" fn(
            host: *const introd_host,
            event: *const introd_group_event,
            choice: u32,
            members: *mut introd_client,
            room: usize,
        ) -> usize,
    >,
    /// Names `about` to the member `to`, in one small message, and advises it to connect in the way of one of INTROD_HINT.
    /// INTROD_OK if it is on its way, or INTROD_E_FULL. Any thread; a client that is no member by then is told nothing.
    pub hint: Option<
        unsafe extern "C" fn(
            host: *const introd_host,
            id: *const introd_group_id,
            how: u32,
            to: *const introd_client,
            about: *const introd_peer_id,
        ) -> i32,
    >,
}
