//! The members of one group.

use std::collections::VecDeque;

use introd_native::MemberChoice;
use introd_netgroup::GroupDigest;
use introd_netgroup::ring::{GroupAddress, Ring, RingMember};
use rand_core::Rng;
use rtmfp::PeerId;

/// How many of the newest members are remembered.
pub(super) const MAX_NEWEST: usize = 64;

/// The members of a group. Members that have been silent for too long are kept separately: others are named before them.
#[derive(Debug)]
pub(super) struct Members<H> {
    awake: Ring<H>,
    silent: Ring<H>,
    /// The members that joined last, the newest last, at most [`MAX_NEWEST`].
    newest: VecDeque<PeerId>,
    /// The digest of the group, for administrators.
    pub(super) digest: Option<GroupDigest>,
}

impl<H> Default for Members<H> {
    fn default() -> Self {
        Self { awake: Ring::default(), silent: Ring::default(), newest: VecDeque::new(), digest: None }
    }
}

impl<H> Members<H> {
    pub(super) fn len(&self) -> usize {
        self.awake.len() + self.silent.len()
    }

    pub(super) fn get(&self, peer: &PeerId) -> Option<&H> {
        self.awake.get(peer).or_else(|| self.silent.get(peer))
    }

    /// The members in the order of the ring, and after them the silent members, in the same order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &RingMember<H>> {
        self.awake.iter().chain(self.silent.iter())
    }

    /// The ring of the members that are not silent, and the ring of the silent members.
    pub(super) fn rings(&self) -> (&Ring<H>, &Ring<H>) {
        (&self.awake, &self.silent)
    }

    /// Adds a newcomer.
    pub(super) fn add(&mut self, peer: PeerId, handle: H) {
        self.awake.insert(peer, handle);
        if self.newest.len() == MAX_NEWEST {
            self.newest.pop_front();
        }
        self.newest.push_back(peer);
    }

    /// Gives a member another handle. The member has just sent something, so it is not silent.
    pub(super) fn replace(&mut self, peer: PeerId, handle: H) {
        self.silent.remove(&peer);
        self.awake.insert(peer, handle);
    }

    pub(super) fn remove(&mut self, peer: &PeerId) {
        if self.awake.remove(peer).is_none() {
            self.silent.remove(peer);
        }
        self.newest.retain(|other| other != peer);
    }
}

impl<H: Copy + PartialEq> Members<H> {
    /// Notes whether a member is silent, if it has this handle.
    pub(super) fn set_silent(&mut self, peer: &PeerId, handle: H, is_silent: bool) {
        let (from, to) =
            if is_silent { (&mut self.awake, &mut self.silent) } else { (&mut self.silent, &mut self.awake) };
        if from.get(peer) == Some(&handle) {
            from.remove(peer);
            to.insert(*peer, handle);
        }
    }

    /// Up to `max` members other than `peer`, silent ones only if there are too few others. The work is in proportion to `max`.
    pub(super) fn choose(
        &self,
        peer: &PeerId,
        choice: MemberChoice,
        max: usize,
        rng: &mut impl Rng,
    ) -> Vec<(PeerId, H)> {
        let mut chosen: Vec<(PeerId, H)> = Vec::new();
        let mut add = |member: &RingMember<H>| {
            let is_new = member.peer != *peer && !chosen.iter().any(|(known, _)| *known == member.peer);
            if is_new && chosen.len() < max {
                chosen.push((member.peer, member.value));
            }
        };
        for ring in [&self.awake, &self.silent] {
            match choice {
                MemberChoice::Neighbors => {
                    let place = GroupAddress::of(peer);
                    let sides = ring.after(place).zip(ring.before(place)).take(max.div_ceil(2));
                    sides.for_each(|(after, before)| [after, before].into_iter().for_each(&mut add));
                }
                MemberChoice::Newest => {
                    let newest = self.newest.iter().rev();
                    newest
                        .filter_map(|id| Some(RingMember { peer: *id, value: *ring.get(id)? }))
                        .for_each(|member| add(&member));
                }
                // In a small group the same members come up again and again: a fixed number of attempts bounds the work.
                MemberChoice::Random => (0..4 * max).filter_map(|_| ring.random(rng)).for_each(&mut add),
            }
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::groups::testing::Zeros;

    fn peer(number: u8) -> PeerId {
        PeerId([number; 32])
    }

    #[test]
    fn the_newest_members_are_remembered_up_to_a_bound_and_forgotten_when_they_leave() {
        let mut members = Members::default();
        for number in 0..200 {
            members.add(peer(number), number);
        }
        assert_eq!((members.newest.len(), members.newest.back()), (MAX_NEWEST, Some(&peer(199))));
        for number in 0..200 {
            members.remove(&peer(number));
        }
        assert!(members.newest.is_empty() && members.len() == 0, "nothing is left behind");
    }

    #[test]
    fn random_members_are_drawn_a_bounded_number_of_times() {
        let mut members = Members::default();
        (0..100).for_each(|number| members.add(peer(number), number));
        (0..50).for_each(|number| members.set_silent(&peer(number), number, true));
        for max in [0, 1, 5, 64] {
            let mut zeros = Zeros::default();
            let chosen = members.choose(&peer(200), MemberChoice::Random, max, &mut zeros);
            // The first of each ring, again and again.
            assert_eq!((chosen.len(), zeros.0), (max.min(2), 2 * 4 * max));
        }
    }

    #[test]
    fn each_member_is_chosen_once_and_never_the_one_that_is_told() {
        for count in 1..=6 {
            let mut members = Members::default();
            (0..count).for_each(|number| members.add(peer(number), number));
            for max in 0..=7 {
                let mut chosen = members.choose(&peer(0), MemberChoice::Neighbors, max, &mut Zeros::default());
                chosen.sort();
                chosen.dedup();
                assert_eq!(chosen.len(), max.min(usize::from(count) - 1), "{count} {max}");
                assert!(chosen.iter().all(|(id, number)| *id == peer(*number) && *number != 0));
            }
        }
    }
}
