//! Members of groups (`introd.groups/1`).

use super::error::{HostError, checked};
use super::handle::Host;
use crate::abi;
use crate::raw::function;
use crate::values::{Client, GroupId, PeerId};

/// The members that one call returns at most; the host has the same limit.
const MAX_MEMBERS: usize = 256;

/// Which members of a group to choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum MemberChoice {
    /// The client's neighbours on the group's ring, on both sides, the nearest first.
    Neighbors = abi::INTROD_MEMBERS_NEIGHBORS,
    /// The members that joined last, the newest first.
    Newest = abi::INTROD_MEMBERS_NEWEST,
    /// Random members.
    Random = abi::INTROD_MEMBERS_RANDOM,
}

/// What a hint advises its recipient to do with the peer that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Hint {
    /// Connect to the peer if its position in the group suggests so.
    Member = abi::INTROD_HINT_MEMBER,
    /// Connect to the peer now, as a neighbour.
    Neighbor = abi::INTROD_HINT_NEIGHBOR,
}

impl Host {
    /// Sends the member `to` of a group a message that names the peer `about` as another member.
    ///
    /// # Errors
    /// If the queue of the member's worker is full.
    pub fn hint(self, group: GroupId, how: Hint, to: Client, about: PeerId) -> Result<(), HostError> {
        let table = self.extension::<abi::introd_host_groups>(abi::INTROD_EXT_GROUPS).ok_or(HostError::Unsupported)?;
        let hint = function!(table, abi::introd_host_groups, hint).ok_or(HostError::Unsupported)?;
        let (group, to, about) = (group.into(), to.into(), about.into());
        // SAFETY: the table is the host's, and the arguments are valid for the call.
        checked(unsafe { hint(self.table(), &raw const group, how as u32, &raw const to, &raw const about) })
    }

    /// Up to `max` members of the group of the running callback's event.
    pub(crate) fn members(self, event: &abi::introd_group_event, which: MemberChoice, max: usize) -> Vec<Client> {
        let table = self.extension::<abi::introd_host_groups>(abi::INTROD_EXT_GROUPS);
        let Some(members) = table.and_then(|table| function!(table, abi::introd_host_groups, members)) else {
            return Vec::new();
        };
        let none = abi::introd_client { id: 0, peer: abi::introd_peer_id { bytes: [0; 32] } };
        let mut room = vec![none; max.min(MAX_MEMBERS)];
        // SAFETY: the event is that of the running callback, and there is room for as many members as it says.
        let count = unsafe { members(self.table(), event, which as u32, room.as_mut_ptr(), room.len()) };
        room.into_iter().take(count).map(Client::from).collect()
    }
}
