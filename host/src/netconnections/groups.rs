//! The NetGroups of one connection: what the script asks for, and what happens in them.

use std::collections::HashMap;

use introd_netgroup::member::{Direction as RingDirection, GroupEvent as MemberEvent};
use introd_netgroup::participant::Notice;
use introd_netgroup::{GroupAddress, GroupDigest, Groupspec};
use introd_policy::net_connection::{ConnectionEvent, Direction, GroupCommand, GroupEvent, GroupFacts, GroupId};
use rtmfp::PeerId;

use super::connection::SharedState;
use super::link::Link;

/// The groups that were joined.
#[derive(Default)]
pub(super) struct JoinedGroups {
    by_digest: HashMap<GroupDigest, JoinedGroup>,
    by_id: HashMap<GroupId, GroupDigest>,
}

struct JoinedGroup {
    id: GroupId,
    /// Whether the script was told that the group is joined.
    is_connected: bool,
    /// The names of the permanent neighbours that are found.
    names: HashMap<PeerId, String>,
}

impl JoinedGroups {
    /// Joins a group. The events of the group follow.
    pub(super) fn join(&mut self, shared: &SharedState, link: &mut Link, id: GroupId, groupspec: &str) {
        let refuse = |code: &str, description: String| {
            let event = GroupEvent::Closed { code: code.to_owned(), description };
            shared.tell(ConnectionEvent::Group { group: id, event });
            shared.groups.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
        };
        let group = match Groupspec::parse(groupspec) {
            Ok(group) => group,
            Err(error) => return refuse("NetGroup.Connect.Failed", format!("the groupspec is malformed: {error}")),
        };
        let digest = group.digest();
        if self.by_digest.contains_key(&digest) || self.by_id.contains_key(&id) || !link.groups().join(&group) {
            return refuse("NetGroup.Connect.Failed", "the connection is in this group already".to_owned());
        }
        let is_connected = !link.has_server();
        self.by_digest.insert(digest, JoinedGroup { id, is_connected, names: HashMap::new() });
        self.by_id.insert(id, digest);
        self.update_facts(shared, link, &digest);
        if is_connected {
            shared.tell(ConnectionEvent::Group { group: id, event: GroupEvent::Connected });
        }
    }

    /// Does what the script wants of a group. Nothing, if the group is left.
    pub(super) fn perform(&mut self, shared: &SharedState, link: &mut Link, id: GroupId, command: GroupCommand) {
        let Some(digest) = self.by_id.get(&id).copied() else { return };
        let now = std::time::Instant::now();
        let mut groups = link.groups();
        match command {
            GroupCommand::Post { value } => drop(groups.with_member(&digest, |member| member.post(&value))),
            GroupCommand::SendToNearest { message, address } => {
                groups.with_member(&digest, |member| member.send_to_nearest(GroupAddress(address), &message));
            }
            GroupCommand::SendToNeighbor { message, direction } => {
                let direction = match direction {
                    Direction::Increasing => RingDirection::Increasing,
                    Direction::Decreasing => RingDirection::Decreasing,
                };
                groups.with_member(&digest, |member| member.send_to_neighbor(direction, &message));
            }
            GroupCommand::SendToAllNeighbors { message } => {
                groups.with_member(&digest, |member| member.send_to_all_neighbors(&message));
            }
            GroupCommand::AddNeighbor(peer) => {
                groups.with_member(&digest, |member| member.add_neighbor(now, peer));
            }
            GroupCommand::AddMemberHint(peer) => {
                groups.with_member(&digest, |member| member.add_member_hint(now, peer));
            }
            GroupCommand::AddPermanentNeighbor { name, addresses } => {
                if let Err(error) = groups.add_named(&digest, &name, &addresses) {
                    tracing::warn!(group = %digest, ?name, %error, "a permanent neighbour is not added");
                }
            }
            GroupCommand::RemovePermanentNeighbor { name } => drop(groups.remove_named(&digest, &name)),
            GroupCommand::Close => self.leave(shared, link, &digest),
        }
    }

    fn leave(&mut self, shared: &SharedState, link: &mut Link, digest: &GroupDigest) {
        let Some(group) = self.by_digest.remove(digest) else { return };
        self.by_id.remove(&group.id);
        link.groups().leave(digest);
        shared.facts.lock().remove(&group.id);
        shared.groups.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
    }

    /// Tells the script what has happened in its groups.
    pub(super) fn tell(&mut self, shared: &SharedState, link: &mut Link) {
        while let Some((digest, notice)) = link.groups().next_notice() {
            // The notices of a group that is left may still be there.
            let Some(group) = self.by_digest.get_mut(&digest) else { continue };
            let id = group.id;
            let event = match notice {
                Notice::Joined if !group.is_connected => {
                    group.is_connected = true;
                    GroupEvent::Connected
                }
                Notice::JoinRefused if !group.is_connected => {
                    self.leave(shared, link, &digest);
                    let description = "the server has rejected the join".to_owned();
                    GroupEvent::Closed { code: "NetGroup.Connect.Rejected".to_owned(), description }
                }
                Notice::Named { peer, name } => {
                    group.names.insert(peer, name);
                    continue;
                }
                Notice::Event(event) => {
                    let changes = matches!(
                        event,
                        MemberEvent::NeighborConnected(_)
                            | MemberEvent::NeighborDisconnected(_)
                            | MemberEvent::LocalCoverage
                    );
                    let Some(event) = script_event(group, event) else { continue };
                    if changes {
                        self.update_facts(shared, link, &digest);
                    }
                    event
                }
                Notice::Joined | Notice::JoinRefused | Notice::Hint(_) | Notice::PostingTaken(_) => continue,
            };
            shared.tell(ConnectionEvent::Group { group: id, event });
        }
    }

    /// Looks at all groups anew: estimates change without an event.
    pub(super) fn update_all_facts(&self, shared: &SharedState, link: &mut Link) {
        for digest in self.by_digest.keys() {
            self.update_facts(shared, link, digest);
        }
    }

    fn update_facts(&self, shared: &SharedState, link: &mut Link, digest: &GroupDigest) {
        let (Some(group), groups) = (self.by_digest.get(digest), link.groups()) else { return };
        let Some(member) = groups.member(digest) else { return };
        let (from, to) = member.local_coverage();
        let facts = GroupFacts {
            neighbor_count: member.neighbor_count(),
            estimated_member_count: member.estimated_members() as f64,
            local_coverage: (from.0, to.0),
        };
        shared.facts.lock().insert(group.id, facts);
    }
}

/// The event for the script. `None` if it is not told.
fn script_event(group: &mut JoinedGroup, event: MemberEvent) -> Option<GroupEvent> {
    Some(match event {
        MemberEvent::NeighborConnected(peer) => {
            GroupEvent::NeighborConnected { peer, name: group.names.get(&peer).cloned() }
        }
        MemberEvent::NeighborDisconnected(peer) => {
            GroupEvent::NeighborDisconnected { peer, name: group.names.remove(&peer) }
        }
        MemberEvent::Posting { id, value, .. } => GroupEvent::Posting { id: id.0, value },
        MemberEvent::Directed { from, is_local, value } => {
            GroupEvent::SendTo { from: from.0, from_local: is_local, message: value }
        }
        MemberEvent::LocalCoverage => GroupEvent::LocalCoverage,
        MemberEvent::Refused { .. } => return None,
    })
}
