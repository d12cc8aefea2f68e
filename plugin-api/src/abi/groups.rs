//! The extension `introd.groups/1`: the bootstrap of NetGroups.

use std::ffi::CStr;

use super::host::introd_host;
use super::values::{introd_bytes, introd_client, introd_instance, introd_peer_id};

/// Extension: the plugin takes part in the bootstrap of NetGroups. The plugin's table is `introd_plugin_groups`, the host's is
/// `introd_host_groups`.
pub const INTROD_EXT_GROUPS: &CStr = c"introd.groups/1";

/// Choice of members: the newcomer's neighbours on the group's ring, on both sides, the nearest first.
pub const INTROD_MEMBERS_NEIGHBORS: u32 = 1;
/// Choice of members: the members that joined last, the newest first.
pub const INTROD_MEMBERS_NEWEST: u32 = 2;
/// Choice of members: random members, each with the same probability.
pub const INTROD_MEMBERS_RANDOM: u32 = 3;

/// Kind of hint: the other peer is a member. The recipient connects to it if its position in the group suggests so.
pub const INTROD_HINT_MEMBER: u32 = 1;
/// Kind of hint: the other peer should become a neighbour. The recipient is advised to connect now. Known clients have one message
/// for both kinds, and treat them alike.
pub const INTROD_HINT_NEIGHBOR: u32 = 2;

/// The ID of a group: the SHA-256 digest of its canonical groupspec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct introd_group_id {
    /// The digest.
    pub bytes: [u8; 32],
}

/// The members of a group. Its content is the host's. Valid until the callback that received it returns, in that callback's thread.
#[repr(C)]
pub struct introd_group {
    _private: [u8; 0],
}

/// A client has joined or left a group.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct introd_group_event {
    /// sizeof(introd_group_event) at the host
    pub struct_size: u32,
    /// Unused.
    pub reserved: u32,
    /// The group.
    pub id: introd_group_id,
    /// The client that has joined or left.
    pub client: introd_client,
    /// The application that the client is connected to. Each instance of an application has groups of its own.
    pub application: introd_bytes,
    /// The instance of the application.
    pub instance: introd_bytes,
    /// The number of members that the group has now.
    pub members: u64,
    /// The group's members, for `introd_host_groups.members`.
    pub group: *const introd_group,
}

/// The plugin's functions for INTROD_EXT_GROUPS. Either may be null.
#[repr(C)]
pub struct introd_plugin_groups {
    /// sizeof(introd_plugin_groups) at the plugin
    pub struct_size: u32,
    /// Must be 0.
    pub reserved: u32,
    /// Tells the plugin that a client has joined a group, so that it can name members to the client, and the client to members, by
    /// `introd_host_groups.hint`. Verdicts: INTROD_CONTINUE if the next plugin, then the script or the server, may name members as well;
    /// INTROD_HANDLED if they must not. An error takes `Policy/OnFailure` of the configuration.
    ///
    /// Thread: any worker thread, several at the same time. It must not block.
    pub join: Option<unsafe extern "C" fn(instance: introd_instance, event: *const introd_group_event) -> i32>,
    /// Tells the plugin that a client has left a group, or has disconnected as a member of it. In the latter case it comes before
    /// `introd_plugin.disconnect`.
    ///
    /// Thread: any worker thread, several at the same time. It must not block.
    pub leave: Option<unsafe extern "C" fn(instance: introd_instance, event: *const introd_group_event) -> i32>,
}

/// The host's functions for INTROD_EXT_GROUPS.
#[repr(C)]
pub struct introd_host_groups {
    /// sizeof(introd_host_groups) at the host
    pub struct_size: u32,
    /// Unused.
    pub reserved: u32,
    /// Chooses members of the event's group by one of INTROD_MEMBERS_*, never the event's own client. Writes up to `room` of them, 256
    /// at most, to `members`, and returns how many it has written.
    ///
    /// Thread: the thread of the callback that received `event`, before that callback returns.
    pub members: Option<
        unsafe extern "C" fn(
            host: *const introd_host,
            event: *const introd_group_event,
            choice: u32,
            members: *mut introd_client,
            room: usize,
        ) -> usize,
    >,
    /// Sends the member `to` one small message that names the peer `about` as a member of the group `id`. `how` is one of
    /// INTROD_HINT_*. Returns INTROD_OK if the message is queued, INTROD_E_FULL, or INTROD_E_ARGUMENT. The host drops the message if `to` is
    /// not a member of the group by then.
    ///
    /// Thread: any, at any time.
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
