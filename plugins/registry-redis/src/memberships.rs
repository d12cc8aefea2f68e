//! The memberships of this server's peers in groups, and the writes to Redis that are due for them.

use std::collections::BTreeMap;

use introd_plugin::{GroupId, GroupMember};

use crate::table::Table;

/// A write that is due for a membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MembershipWrite {
    pub(crate) member: GroupMember,
    /// Whether Redis is to have it; else it is to delete it.
    pub(crate) is_join: bool,
    /// Whether it was not written before.
    is_first: bool,
}

/// All memberships that this server publishes.
#[derive(Default)]
pub(crate) struct Memberships(Table<GroupMember, ()>);

impl Memberships {
    /// Adds a membership. Returns false if there are `max` already.
    pub(crate) fn join(&mut self, member: GroupMember, max: usize) -> bool {
        if self.0.get(&member).is_some() {
            return true;
        }
        if self.0.len() >= max {
            return false;
        }
        self.0.insert(member, ());
        true
    }

    /// Ends a membership.
    pub(crate) fn leave(&mut self, member: GroupMember) {
        self.0.remove(member);
    }

    /// The memberships that are to be deleted, or may just have been.
    pub(crate) fn withdrawals(&self) -> Vec<GroupMember> {
        self.0.deletions()
    }

    /// A membership is to be deleted, which another process has written as this server, unless the peer is a member.
    pub(crate) fn withdraw_inherited(&mut self, member: GroupMember) {
        self.0.failed(member, true);
    }

    /// Another batch begins, one at a time.
    pub(crate) fn begin_batch(&mut self) {
        self.0.begin_batch();
    }

    /// Takes the next writes that are due, `max` at most.
    pub(crate) fn take(&mut self, max: usize) -> Vec<MembershipWrite> {
        self.0.take(max, write)
    }

    /// Takes the write of a membership, if it is due.
    pub(crate) fn take_one(&mut self, member: GroupMember) -> Option<MembershipWrite> {
        self.0.take_one(member, write)
    }

    /// A write has failed, or may have: schedules it again, unless a newer one is due.
    pub(crate) fn failed(&mut self, write: MembershipWrite) {
        self.0.failed(write.member, !write.is_join);
    }

    /// Redis has refused a write, so that it has changed nothing: schedules it again, unless a newer one is due.
    pub(crate) fn refused(&mut self, write: MembershipWrite) {
        self.0.refused(write.member, !write.is_join, write.is_first);
    }

    /// The next memberships that are to be verified in Redis, `max` at most, by group.
    pub(crate) fn next_to_verify(&mut self, max: usize) -> BTreeMap<GroupId, Vec<GroupMember>> {
        let mut groups: BTreeMap<GroupId, Vec<GroupMember>> = BTreeMap::new();
        for member in self.0.next_to_verify(max) {
            groups.entry(member.group).or_default().push(member);
        }
        groups
    }

    /// Redis has lost a membership. Returns whether it is to be written again.
    pub(crate) fn lost(&mut self, member: GroupMember) -> bool {
        self.0.lost(member)
    }

    /// Another process serves as this server, whose place this one is to take.
    pub(crate) fn begin_as_heir(&mut self) {
        self.0.begin_as_heir();
    }

    /// This process has taken the place of the other one.
    pub(crate) fn inherit(&mut self) {
        self.0.inherit();
    }

    /// Schedules the writes of all memberships again.
    pub(crate) fn renew_all(&mut self) {
        self.0.renew_all();
    }

    /// Ends all memberships.
    pub(crate) fn leave_all(&mut self) {
        self.0.remove_all();
    }

    /// The number of memberships.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The number of writes that are due, and perhaps of some that are due no more.
    pub(crate) fn unwritten(&self) -> usize {
        self.0.unwritten()
    }
}

fn write(member: GroupMember, value: Option<&()>, is_first: bool) -> MembershipWrite {
    MembershipWrite { member, is_join: value.is_some(), is_first }
}

/// The writes of a group.
pub(crate) struct GroupWrites {
    pub(crate) group: GroupId,
    pub(crate) joins: Vec<GroupMember>,
    pub(crate) leaves: Vec<GroupMember>,
}

/// The writes of each group.
pub(crate) fn by_group(writes: &[MembershipWrite]) -> Vec<GroupWrites> {
    let mut groups: BTreeMap<GroupId, GroupWrites> = BTreeMap::new();
    for write in writes {
        let group = write.member.group;
        let empty = || GroupWrites { group, joins: Vec::new(), leaves: Vec::new() };
        let of_group = groups.entry(group).or_insert_with(empty);
        if write.is_join { &mut of_group.joins } else { &mut of_group.leaves }.push(write.member);
    }
    groups.into_values().collect()
}

#[cfg(test)]
mod tests {
    use introd_plugin::{PeerId, RingPosition};

    use super::*;

    fn member(group: u8, peer: u8) -> GroupMember {
        GroupMember { group: GroupId([group; 32]), peer: PeerId([peer; 32]), position: RingPosition([peer; 32]) }
    }

    fn joins_and_leaves(writes: &[MembershipWrite]) -> (Vec<GroupMember>, Vec<GroupMember>) {
        let of = |is_join| writes.iter().filter(|write| write.is_join == is_join).map(|write| write.member).collect();
        (of(true), of(false))
    }

    #[test]
    fn memberships_are_bounded_and_what_ends_before_it_is_written_costs_nothing() {
        let mut memberships = Memberships::default();
        assert!(memberships.join(member(1, 1), 2) && memberships.join(member(2, 1), 2));
        assert!(!memberships.join(member(1, 2), 2), "it is full");
        assert!(memberships.join(member(1, 1), 2), "there it is already");
        memberships.leave(member(2, 1));
        assert!(memberships.join(member(1, 2), 2));
        memberships.leave(member(1, 2));
        let writes = memberships.take(10);
        assert_eq!(joins_and_leaves(&writes), (vec![member(1, 1)], vec![]));
        assert!(memberships.join(member(1, 1), 2));
        assert_eq!(memberships.take(10), [], "nothing has changed");
        // One that was written is deleted.
        memberships.leave(member(1, 1));
        assert_eq!(joins_and_leaves(&memberships.take(10)), (vec![], vec![member(1, 1)]));
        assert_eq!((memberships.len(), memberships.unwritten()), (0, 0));
    }

    #[test]
    fn writes_are_sorted_by_group() {
        let mut memberships = Memberships::default();
        for (group, peer) in [(1, 1), (2, 2), (1, 3)] {
            memberships.join(member(group, peer), 10);
        }
        memberships.take(10);
        memberships.leave(member(1, 3));
        memberships.join(member(1, 4), 10);
        let groups = by_group(&memberships.take(10));
        assert_eq!(groups.len(), 1);
        assert_eq!((groups[0].group, &groups[0].joins), (GroupId([1; 32]), &vec![member(1, 4)]));
        assert_eq!(groups[0].leaves, [member(1, 3)]);
        let due: Vec<usize> = memberships.next_to_verify(10).values().map(Vec::len).collect();
        assert_eq!(due, [2, 1]);
    }
}
