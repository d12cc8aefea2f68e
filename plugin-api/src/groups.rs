//! Plugins that have a say in the bootstrap of groups.

use crate::abi;
use crate::host::Host;
use crate::plugin::Plugin;
use crate::raw::text;
use crate::values::{Client, GroupId};

/// What becomes of a join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupVerdict {
    /// Others may name members to it, too: the next plugin, then the script or the server.
    Continue,
    /// This plugin has named all that are to be named.
    Handled,
}

/// Which members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Members {
    /// Those next to the client on the group's ring, the nearest first, on both sides.
    Neighbors = abi::INTROD_MEMBERS_NEIGHBORS,
    /// Those who joined last, the newest first.
    Newest = abi::INTROD_MEMBERS_NEWEST,
    /// Any.
    Random = abi::INTROD_MEMBERS_RANDOM,
}

/// How a member is advised to take another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Hint {
    /// As one that it may connect to, if its place in the group suggests so.
    Member = abi::INTROD_HINT_MEMBER,
    /// As a neighbour, to connect to now.
    Neighbor = abi::INTROD_HINT_NEIGHBOR,
}

/// A client joins or leaves a group.
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

    /// The client.
    pub fn client(&self) -> Client {
        self.raw.client.into()
    }

    /// The application.
    pub fn application(&self) -> &'a str {
        // SAFETY: `from_raw` was told that it is valid.
        unsafe { text(self.raw.application) }
    }

    /// The instance of the application: groups of different instances have nothing to do with each other.
    pub fn instance(&self) -> &'a str {
        // SAFETY: as above.
        unsafe { text(self.raw.instance) }
    }

    /// How many members the group has now.
    pub fn len(&self) -> u64 {
        self.raw.members
    }

    /// Whether nobody is in the group any more.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Up to `most` members other than the client.
    pub fn members(&self, which: Members, most: usize) -> Vec<Client> {
        self.host.members(self.raw, which, most)
    }
}

/// A plugin that is told of groups: `export!(MyPlugin, groups)`. Hints are given by [`Host::hint`].
///
/// The methods are called from any worker's thread, and must not block.
pub trait GroupPlugin: Plugin {
    /// A client has joined a group.
    fn join(&self, _event: &GroupEvent<'_>) -> GroupVerdict {
        GroupVerdict::Continue
    }

    /// A client has left a group, or is gone.
    fn leave(&self, _event: &GroupEvent<'_>) {}
}
