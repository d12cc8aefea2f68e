//! Joins and leaves of groups, laid out for plugins, and the members that a plugin may choose meanwhile.

use std::cell::Cell;
use std::ptr;

use introd_plugin::abi::{self, introd_group_event};
use rtmfp::{PeerId, SessionId};

use super::events::InstancePath;
use super::values::{raw_bytes, raw_client};
use introd_netgroup::GroupDigest;

/// How members of a group are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberChoice {
    /// The client's neighbours on the ring, the nearest first, on both sides alternately.
    Neighbors,
    /// The members that joined last, the newest first.
    Newest,
    /// Random members.
    Random,
}

/// A client that has joined or left a group.
#[derive(Clone, Copy)]
pub struct GroupChange<'a> {
    /// The group.
    pub group: GroupDigest,
    /// The client's session.
    pub session: SessionId,
    /// The client's peer.
    pub peer: PeerId,
    /// Where the client is connected.
    pub place: InstancePath<'a>,
    /// How many members the group has now.
    pub members: u64,
    /// Chooses up to a number of members other than the client.
    pub choose: &'a dyn Fn(MemberChoice, usize) -> Vec<(PeerId, SessionId)>,
}

/// The group behind the pointer `introd_group`.
struct View<'a> {
    choose: &'a dyn Fn(MemberChoice, usize) -> Vec<(PeerId, SessionId)>,
}

thread_local! {
    /// The group of the callback that runs on this thread.
    static CURRENT: Cell<*const View<'static>> = const { Cell::new(ptr::null()) };
}

/// The most members that are chosen at a time.
const MAX_CHOSEN: usize = 256;

/// Lays a change out for as long as `callback` runs.
pub(super) fn during<R>(change: &GroupChange<'_>, callback: impl FnOnce(&introd_group_event) -> R) -> R {
    let view = View { choose: change.choose };
    let own = (&raw const view).cast::<View<'static>>();
    let event = introd_group_event {
        struct_size: size_of::<introd_group_event>() as u32,
        reserved: 0,
        id: abi::introd_group_id { bytes: change.group.0 },
        client: raw_client(change.session, change.peer),
        application: raw_bytes(change.place.application.as_bytes()),
        instance: raw_bytes(change.place.instance.as_bytes()),
        members: change.members,
        group: own.cast(),
    };
    let outer = CURRENT.replace(own);
    let result = callback(&event);
    CURRENT.set(outer);
    result
}

/// Members of the group of an event, if it is that of the callback that runs on this thread.
pub(super) fn choose(event: *const introd_group_event, choice: u32, room: usize) -> Option<Vec<(PeerId, SessionId)>> {
    // SAFETY: the plugin gives the event that it was given, or a copy.
    let named = unsafe { event.as_ref() }?.group.cast::<View<'static>>();
    let current = CURRENT.get();
    if current.is_null() || !ptr::eq(current, named) {
        return None;
    }
    let choice = match choice {
        abi::INTROD_MEMBERS_NEIGHBORS => MemberChoice::Neighbors,
        abi::INTROD_MEMBERS_NEWEST => MemberChoice::Newest,
        abi::INTROD_MEMBERS_RANDOM => MemberChoice::Random,
        _ => return None,
    };
    // SAFETY: `during` keeps it alive while the callback runs, and the callback runs on this thread.
    let view = unsafe { &*current };
    Some((view.choose)(choice, room.min(MAX_CHOSEN)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::bench::group_change;

    /// Runs work in a callback about a group whose members are as many as are asked for, in an order that tells how they were chosen.
    fn in_a_callback<R>(work: impl FnOnce(&introd_group_event) -> R) -> R {
        let choose =
            |choice: MemberChoice, count: usize| vec![(PeerId([choice as u8; 32]), SessionId::from_wire(7)); count];
        during(&group_change(&choose), work)
    }

    #[test]
    fn members_are_chosen_as_the_plugin_asks_and_up_to_a_bound() {
        in_a_callback(|event| {
            let chosen = |choice, room| choose(event, choice, room).map(|members| (members.len(), members[0].0.0[0]));
            for (choice, expected) in [
                (abi::INTROD_MEMBERS_NEIGHBORS, MemberChoice::Neighbors),
                (abi::INTROD_MEMBERS_NEWEST, MemberChoice::Newest),
                (abi::INTROD_MEMBERS_RANDOM, MemberChoice::Random),
            ] {
                assert_eq!(chosen(choice, 5), Some((5, expected as u8)));
            }
            assert_eq!(chosen(1, usize::MAX), Some((256, MemberChoice::Neighbors as u8)));
            assert!(
                choose(event, 0, 5).is_none() && choose(event, 4, 5).is_none() && choose(ptr::null(), 1, 5).is_none()
            );
        });
    }

    #[test]
    fn a_plugin_is_told_who_has_joined_what() {
        let event = in_a_callback(|event| *event);
        assert_eq!((event.id.bytes, event.client.id, event.client.peer.bytes), ([1; 32], 1, [2; 32]));
        assert_eq!((event.members, event.struct_size as usize), (3, size_of::<introd_group_event>()));
        // SAFETY: the names are constants.
        let place = unsafe { [event.application, event.instance].map(|raw| crate::values::text(raw).unwrap()) };
        assert_eq!(place, ["app", "room"]);
    }

    #[test]
    fn members_are_those_of_the_callback_that_runs() {
        let is_chosen = |event: &introd_group_event| choose(event, 1, 1).is_some();
        let kept = in_a_callback(|outer| {
            in_a_callback(|inner| assert!(is_chosen(inner) && !is_chosen(outer)));
            assert!(is_chosen(outer));
            *outer
        });
        assert!(!is_chosen(&kept));
    }
}
