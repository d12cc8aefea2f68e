//! Lists groups and their members for the administration, a bounded number at a time.

use introd_netgroup::ring::GroupAddress;
use introd_netgroup::{GroupDigest, GroupKey};
use rtmfp::PeerId;

use super::membership::{Memberships, SHARDS};

/// A group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedGroup {
    /// Its key, which no other group of this server has.
    pub key: GroupKey,
    /// Its digest, which groups of other applications may have too; `None` if it is not known.
    pub digest: Option<GroupDigest>,
    /// How many members it has.
    pub members: usize,
    /// One of its members.
    pub member: Option<PeerId>,
}

/// A member of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedMember<H> {
    /// Its place on the ring.
    pub place: GroupAddress,
    /// Its id.
    pub peer: PeerId,
    /// How it is reached.
    pub handle: H,
    /// Whether it has been silent for too long.
    pub is_silent: bool,
}

impl<H: Copy + PartialEq> Memberships<H> {
    /// In how many parts the groups are listed.
    pub const PARTS: usize = SHARDS;

    /// The part that has a group.
    pub fn part_of(group: &GroupKey) -> usize {
        usize::from(group.0[0]) % SHARDS
    }

    /// Notes the digest of a group, if the group exists.
    pub fn note_digest(&self, group: &GroupKey, digest: GroupDigest) {
        if let Some(members) = self.shard(group).members.get_mut(group) {
            members.digest = Some(digest);
        }
    }

    /// The groups of one part whose keys are greater than `after`, in the order of their keys, at most `max`.
    pub fn list(&self, part: usize, after: Option<GroupKey>, max: usize) -> Vec<ListedGroup> {
        let Some(part) = self.groups.get(part) else { return Vec::new() };
        let part = part.lock();
        let mut keys: Vec<GroupKey> =
            part.members.keys().copied().filter(|key| after.is_none_or(|after| *key > after)).collect();
        keys.sort_unstable();
        keys.truncate(max);
        let listed = keys.into_iter().filter_map(|key| {
            let members = part.members.get(&key)?;
            let member = members.iter().next().map(|member| member.peer);
            Some(ListedGroup { key, digest: members.digest, members: members.len(), member })
        });
        listed.collect()
    }

    /// The keys of the groups with that digest, at most `max`. The parts of the table are looked at one after the other.
    pub fn keys_of(&self, digest: &GroupDigest, max: usize) -> Vec<GroupKey> {
        let mut keys = Vec::new();
        for part in &self.groups {
            let part = part.lock();
            let same = part.members.iter().filter(|(_, members)| members.digest == Some(*digest));
            keys.extend(same.map(|(key, _)| *key).take(max - keys.len()));
        }
        keys.sort_unstable();
        keys
    }

    /// The digest of a group, the number of its members, and those beyond a place on the ring, in the order of the ring, at most `max`.
    /// `None` if there is no such group.
    pub fn list_members(
        &self,
        group: &GroupKey,
        beyond: Option<GroupAddress>,
        max: usize,
    ) -> Option<(Option<GroupDigest>, usize, Vec<ListedMember<H>>)> {
        let shard = self.shard(group);
        let members = shard.members.get(group)?;
        let (awake, silent) = members.rings();
        let mut listed: Vec<ListedMember<H>> = Vec::new();
        for (ring, is_silent) in [(awake, false), (silent, true)] {
            let found = ring.beyond(beyond).take(max);
            listed.extend(found.map(|(place, member)| ListedMember {
                place,
                peer: member.peer,
                handle: member.value,
                is_silent,
            }));
        }
        listed.sort_unstable_by_key(|member| member.place);
        listed.truncate(max);
        Some((members.digest, members.len(), listed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u8) -> PeerId {
        PeerId([number; 32])
    }

    #[test]
    fn groups_are_listed_by_part_in_the_order_of_their_keys() {
        let table: Memberships<u8> = Memberships::default();
        let key = |last: u8| {
            let mut key = [7; 32];
            key[31] = last;
            GroupKey(key)
        };
        for last in [3, 1, 2] {
            table.join(key(last), peer(last), last).unwrap();
        }
        table.join(GroupKey([8; 32]), peer(9), 9).unwrap();
        let part = Memberships::<u8>::part_of(&key(1));
        let keys = |after, max| table.list(part, after, max).iter().map(|group| group.key).collect::<Vec<_>>();
        assert_eq!(keys(None, 10), [key(1), key(2), key(3)]);
        assert_eq!(keys(None, 2), [key(1), key(2)]);
        assert_eq!(keys(Some(key(1)), 2), [key(2), key(3)]);
        assert_eq!(keys(Some(key(3)), 2), []);
        assert!(table.list(Memberships::<u8>::PARTS, None, 10).is_empty());
        let all: usize = (0..Memberships::<u8>::PARTS).map(|part| table.list(part, None, 10).len()).sum();
        assert_eq!(all, 4, "each group is in one part");
    }

    #[test]
    fn a_digest_is_known_while_its_groups_exist_and_finds_all_of_them() {
        let table: Memberships<u8> = Memberships::default();
        let digest = GroupDigest([5; 32]);
        let keys = [GroupKey([1; 32]), GroupKey([2; 32])];
        table.note_digest(&keys[0], digest);
        assert!(table.keys_of(&digest, 9).is_empty(), "there is no such group");
        for key in keys {
            table.join(key, peer(1), 1).unwrap();
            assert_eq!(table.list(Memberships::<u8>::part_of(&key), None, 1)[0].digest, None);
            table.note_digest(&key, digest);
        }
        let first = table.list(Memberships::<u8>::part_of(&keys[0]), None, 1)[0];
        assert_eq!(first, ListedGroup { key: keys[0], digest: Some(digest), members: 1, member: Some(peer(1)) });
        assert_eq!((table.keys_of(&digest, 9), table.keys_of(&digest, 1).len()), (keys.to_vec(), 1));
        assert!(table.leave(&keys[0], &peer(1), 1));
        assert_eq!(table.keys_of(&digest, 9), [keys[1]]);
    }

    #[test]
    fn members_are_listed_in_the_order_of_the_ring_whether_silent_or_not() {
        let (table, group): (Memberships<u8>, _) = (Memberships::default(), GroupKey([1; 32]));
        assert!(table.list_members(&group, None, 9).is_none());
        (0..20).for_each(|number| _ = table.join(group, peer(number), number).unwrap());
        (0..20).step_by(3).for_each(|number| table.set_silent(&peer(number), number, true));
        let (digest, total, all) = table.list_members(&group, None, 100).unwrap();
        assert_eq!((digest, total, all.len()), (None, 20, 20));
        assert!(all.is_sorted_by_key(|member| member.place));
        for member in &all {
            assert_eq!((member.place, member.peer), (GroupAddress::of(&member.peer), peer(member.handle)));
            assert_eq!(member.is_silent, member.handle % 3 == 0);
        }
        // Page by page they are the same.
        let (mut pages, mut beyond) = (Vec::new(), None);
        loop {
            let (_, _, page) = table.list_members(&group, beyond, 3).unwrap();
            assert!(page.len() <= 3);
            let Some(last) = page.last() else { break };
            beyond = Some(last.place);
            pages.extend(page);
        }
        assert_eq!(pages, all);
    }
}
