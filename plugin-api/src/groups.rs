//! Plugins that take part in the bootstrap of groups.

use crate::abi;
use crate::host::{Host, MemberChoice};
use crate::plugin::Plugin;
use crate::raw::text;
use crate::values::{Client, GroupId};

/// The verdict on a join: who else names members to the client that has joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupVerdict {
    /// The next plugin, then the script or the server, may name members, too.
    Continue,
    /// This plugin has named all members that are to be named.
    Handled,
}

/// A client has joined or left a group.
#[derive(Clone, Copy)]
pub struct GroupEvent<'a> {
    host: Host,
    raw: &'a abi::introd_group_event,
}

impl<'a> GroupEvent<'a> {
    /// # Safety
    /// Everything that `raw` points to is as the header says, and stays so for as long as `'a` lasts.
    pub(crate) unsafe fn from_raw(host: Host, raw: &'a abi::introd_group_event) -> Self {
        Self { host, raw }
    }

    /// The group.
    pub fn id(&self) -> GroupId {
        self.raw.id.into()
    }

    /// The client that has joined or left.
    pub fn client(&self) -> Client {
        self.raw.client.into()
    }

    /// The application that the client is connected to.
    pub fn application(&self) -> &'a str {
        // SAFETY: `from_raw` was told that it is valid.
        unsafe { text(self.raw.application) }
    }

    /// The instance of the application. Each instance has groups of its own.
    pub fn instance(&self) -> &'a str {
        // SAFETY: as above.
        unsafe { text(self.raw.instance) }
    }

    /// The number of members that the group has now.
    pub fn len(&self) -> u64 {
        self.raw.members
    }

    /// Whether the group has no members any more.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Up to `max` members other than the client itself, 256 at most.
    pub fn members(&self, which: MemberChoice, max: usize) -> Vec<Client> {
        self.host.members(self.raw, which, max)
    }
}

/// A plugin that takes part in the bootstrap of groups, by [`Host::hint`]. Export it with `export!(MyPlugin, groups)`.
///
/// The host calls the methods on its worker threads, several at the same time. They must not block.
pub trait GroupPlugin: Plugin {
    /// A client has joined a group. The plugin may name members to the client, and the client to members.
    fn join(&self, _event: &GroupEvent<'_>) -> GroupVerdict {
        GroupVerdict::Continue
    }

    /// A client has left a group, or has disconnected as a member of it.
    fn leave(&self, _event: &GroupEvent<'_>) {}
}
