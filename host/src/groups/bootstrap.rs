//! The bootstrap of a group: which members a server names to which (host/netgroup/WIRE.md §2.2).
//!
//! A newcomer learns of its ring neighbours on both sides, and of a few members at random places, so that a group does not
//! fall apart into arcs. Its ring neighbours learn of it. When a member is gone, the members that become ring neighbours
//! thereby learn of each other. Both are told, because earlier servers told only one of the two, and clients differ in how
//! they handle that. The work and the number of hints for one join do not depend on the size of the group.

use rand_core::Rng;
use rtmfp::PeerId;
use smallvec::SmallVec;

use introd_netgroup::ring::{GroupAddress, Ring, RingMember};

/// How many members the server names to a member.
#[derive(Clone, Copy, Debug)]
pub struct BootstrapSettings {
    /// Ring neighbours on each side, at most [`MAX_SIDE`].
    pub side: usize,
    /// Members at random places that are named to a newcomer besides, at most [`MAX_FAR`].
    pub far: usize,
}

/// The maximum number of ring neighbours on each side.
pub const MAX_SIDE: usize = 16;
/// The maximum number of members at random places.
pub const MAX_FAR: usize = 16;

impl Default for BootstrapSettings {
    /// 3 on each side, as many as members themselves look for (host/netgroup/WIRE.md §3.5), and 3 far away.
    fn default() -> Self {
        Self { side: 3, far: 3 }
    }
}

impl BootstrapSettings {
    /// The maximum number of hints for one join.
    pub fn max_hints_per_join(&self) -> usize {
        4 * self.side.min(MAX_SIDE) + self.far.min(MAX_FAR)
    }

    /// The maximum number of hints for one leave.
    pub fn max_hints_per_leave(&self) -> usize {
        2 * self.side.min(MAX_SIDE)
    }
}

/// What the server tells a member: that another peer is a member too. [`introd_netgroup::channel::hint`] is the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hint<H> {
    /// The member that is told.
    pub to: PeerId,
    /// How the server reaches that member.
    pub handle: H,
    /// The member that is named.
    pub about: PeerId,
}

type Found<'a, H> = SmallVec<[&'a RingMember<H>; 16]>;

/// The members next to `place` on both sides, nearest first, each once. A member at `place` itself is none of them.
fn neighbors<H>(ring: &Ring<H>, place: GroupAddress, side: usize) -> Found<'_, H> {
    let mut found: Found<'_, H> = SmallVec::new();
    let sides = ring.after(place).zip(ring.before(place)).take(side.min(MAX_SIDE));
    for member in sides.flat_map(|(after, before)| [after, before]) {
        if !found.iter().any(|known| known.peer == member.peer) {
            found.push(member);
        }
    }
    found
}

/// Adds the hints for when `peer` has joined and is on the first of the two rings already. On the second are members that have been
/// silent for too long: they are named only where there are too few others.
pub fn joined<H: Copy>(
    (ring, silent): (&Ring<H>, &Ring<H>),
    peer: PeerId,
    settings: &BootstrapSettings,
    rng: &mut impl Rng,
    hints: &mut Vec<Hint<H>>,
) {
    let Some(&handle) = ring.get(&peer) else { return };
    let place = GroupAddress::of(&peer);
    let near = neighbors(ring, place, settings.side);
    let mut last: Found<'_, H> = SmallVec::new();
    if near.len() < 2 * settings.side.min(MAX_SIDE) {
        last = neighbors(silent, place, settings.side);
        last.truncate(2 * settings.side.min(MAX_SIDE) - near.len());
    }
    let mut far: Found<'_, H> = SmallVec::new();
    // In a small group the same members come up again and again: a fixed number of attempts bounds the work.
    for _ in 0..2 * settings.far.min(MAX_FAR) {
        if far.len() >= settings.far.min(MAX_FAR) || near.len() + far.len() + 1 >= ring.len() {
            break;
        }
        if let Some(member) = ring.random(rng) {
            let known = member.peer == peer || near.iter().chain(&far).any(|known| known.peer == member.peer);
            if !known {
                far.push(member);
            }
        }
    }
    hints.extend(near.iter().chain(&far).chain(&last).map(|member| Hint { to: peer, handle, about: member.peer }));
    hints.extend(near.iter().map(|member| Hint { to: member.peer, handle: member.value, about: peer }));
}

/// Adds the hints for when `peer` has left and is not on the ring any more: to each member near its place, the one on the other side
/// is named that is now among its neighbours and was not before.
pub fn left<H: Copy>(ring: &Ring<H>, peer: PeerId, settings: &BootstrapSettings, hints: &mut Vec<Hint<H>>) {
    let place = GroupAddress::of(&peer);
    let side = settings.side.min(MAX_SIDE);
    if ring.len() <= 2 * side {
        // All members are each other's neighbours, and were before.
        return;
    }
    let after: Found<'_, H> = ring.after(place).take(side).collect();
    let before: Found<'_, H> = ring.before(place).take(side).collect();
    // With n on each side, the k-th after the place and the (n + 1 - k)-th before it are now n apart.
    for (one, other) in after.iter().zip(before.iter().rev()) {
        hints.push(Hint { to: one.peer, handle: one.value, about: other.peer });
        hints.push(Hint { to: other.peer, handle: other.value, about: one.peer });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::groups::testing::Zeros;

    fn peer(number: u32) -> PeerId {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&number.to_be_bytes());
        PeerId(id)
    }

    fn ring(count: u32) -> Ring<u32> {
        let mut ring = Ring::default();
        for number in 0..count {
            ring.insert(peer(number), number);
        }
        ring
    }

    #[test]
    fn newcomers_and_their_neighbours_learn_of_each_other() {
        let settings = BootstrapSettings::default();
        let mut rng = ChaCha8Rng::from_seed([1; 32]);
        for count in [1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 100, 20_000] {
            let ring = ring(count);
            let newcomer = peer(0);
            let mut hints = Vec::new();
            joined((&ring, &Ring::default()), newcomer, &settings, &mut rng, &mut hints);
            assert!(hints.len() <= settings.max_hints_per_join());
            let unique: BTreeSet<_> = hints.iter().map(|hint| (hint.to, hint.about)).collect();
            assert_eq!(unique.len(), hints.len(), "nothing is said twice");
            assert!(hints.iter().all(|hint| hint.to != hint.about && peer(hint.handle) == hint.to));
            let told: BTreeSet<_> = hints.iter().filter(|hint| hint.to == newcomer).map(|hint| hint.about).collect();
            let tell: BTreeSet<_> = hints.iter().filter(|hint| hint.about == newcomer).map(|hint| hint.to).collect();
            let place = GroupAddress::of(&newcomer);
            let near: BTreeSet<_> =
                ring.after(place).take(3).chain(ring.before(place).take(3)).map(|member| member.peer).collect();
            assert_eq!(tell, near);
            assert!(told.is_superset(&near));
            if count > 100 {
                assert_eq!(told.len(), 9);
            }
            if count <= 7 {
                assert_eq!(told.len(), count as usize - 1, "all of a small group");
            }
        }
    }

    /// The members that a newcomer to a group of so many is told of besides its neighbours, and how often one was drawn. The one that is
    /// drawn is the first on the ring, which is no neighbour.
    fn far(count: u32) -> (usize, usize) {
        let ring = ring(count);
        let first = ring.random(&mut Zeros::default()).unwrap().peer;
        let is_far = |peer: &PeerId| {
            *peer != first && neighbors(&ring, GroupAddress::of(peer), 3).iter().all(|member| member.peer != first)
        };
        let newcomer = (0..count).map(peer).find(is_far).unwrap();
        let (mut hints, mut zeros) = (Vec::new(), Zeros::default());
        joined((&ring, &Ring::default()), newcomer, &BootstrapSettings::default(), &mut zeros, &mut hints);
        (hints.iter().filter(|hint| hint.to == newcomer).count() - 6, zeros.0)
    }

    #[test]
    fn far_members_are_drawn_until_there_are_enough_or_no_others_and_a_bounded_number_of_times() {
        assert_eq!(far(8), (1, 1), "there is but one");
        assert_eq!(far(9), (1, 6), "the other is never drawn");
        assert_eq!(far(1000), (1, 6));
        // All members are neighbours.
        for count in 1..=7 {
            let (ring, mut zeros) = (ring(count), Zeros::default());
            let silent = &Ring::default();
            joined((&ring, silent), peer(0), &BootstrapSettings::default(), &mut zeros, &mut Vec::new());
            assert_eq!(zeros.0, 0, "{count}");
        }
        // None are wanted.
        let (settings, mut zeros) = (BootstrapSettings { side: 3, far: 0 }, Zeros::default());
        joined((&ring(100), &Ring::default()), peer(0), &settings, &mut zeros, &mut Vec::new());
        assert_eq!(zeros.0, 0);
    }

    #[test]
    fn the_room_of_neighbours_that_are_not_there_is_for_silent_members() {
        let silent = {
            let mut silent = Ring::default();
            for number in 100..200 {
                silent.insert(peer(number), number);
            }
            silent
        };
        for count in 1..=9 {
            let awake = ring(count);
            let mut hints = Vec::new();
            let (settings, mut zeros) = (BootstrapSettings::default(), Zeros::default());
            joined((&awake, &silent), peer(0), &settings, &mut zeros, &mut hints);
            let named = hints.iter().filter(|hint| silent.get(&hint.about).is_some()).count();
            assert_eq!(named, 6usize.saturating_sub(count as usize - 1), "{count}");
        }
    }

    #[test]
    fn a_peer_that_is_no_member_leads_to_no_hints() {
        let mut hints: Vec<Hint<u32>> = Vec::new();
        let mut rng = ChaCha8Rng::from_seed([1; 32]);
        joined((&ring(5), &Ring::default()), peer(9), &BootstrapSettings::default(), &mut rng, &mut hints);
        assert!(hints.is_empty());
    }

    #[test]
    fn those_next_to_a_leaver_learn_of_each_other() {
        let settings = BootstrapSettings::default();
        for count in [1, 2, 6, 7, 8, 50] {
            let mut ring = ring(count);
            let place = GroupAddress::of(&peer(0));
            let near = |ring: &Ring<u32>, of: PeerId| -> BTreeSet<PeerId> {
                neighbors(ring, GroupAddress::of(&of), 3).iter().map(|member| member.peer).collect()
            };
            let before: Vec<_> = ring.after(place).map(|member| (member.peer, near(&ring, member.peer))).collect();
            ring.remove(&peer(0));
            let mut hints = Vec::new();
            left(&ring, peer(0), &settings, &mut hints);
            assert!(hints.len() <= settings.max_hints_per_leave());
            // Exactly the members with a new neighbour are told.
            let told: BTreeSet<_> = hints.iter().map(|hint| (hint.to, hint.about)).collect();
            let new: BTreeSet<_> = before
                .iter()
                .flat_map(|(member, had)| {
                    near(&ring, *member).into_iter().filter(|now| !had.contains(now)).map(|now| (*member, now))
                })
                .collect();
            assert_eq!(told, new, "{count}");
        }
    }

    #[test]
    fn the_hints_of_a_join_and_a_leave_are_bounded_whatever_the_settings_say() {
        let settings = BootstrapSettings { side: 1000, far: 1000 };
        let mut rng = ChaCha8Rng::from_seed([1; 32]);
        let (mut ring, newcomer) = (ring(20_000), peer(0));
        let mut hints = Vec::new();
        joined((&ring, &Ring::default()), newcomer, &settings, &mut rng, &mut hints);
        let (told, telling): (Vec<Hint<u32>>, Vec<Hint<u32>>) =
            hints.iter().copied().partition(|hint| hint.to == newcomer);
        assert_eq!((told.len(), telling.len()), (2 * MAX_SIDE + MAX_FAR, 2 * MAX_SIDE));
        assert_eq!(hints.len(), settings.max_hints_per_join());
        ring.remove(&newcomer);
        hints.clear();
        left(&ring, newcomer, &settings, &mut hints);
        assert_eq!((hints.len(), settings.max_hints_per_leave()), (2 * MAX_SIDE, 2 * MAX_SIDE));
    }

    #[test]
    fn silent_members_are_named_up_to_the_number_of_neighbours_and_told_nothing() {
        let settings = BootstrapSettings::default();
        let mut rng = ChaCha8Rng::from_seed([1; 32]);
        let (mut awake, mut silent) = (Ring::default(), Ring::default());
        for number in 0..5 {
            awake.insert(peer(number), number);
        }
        for number in 5..100 {
            silent.insert(peer(number), number);
        }
        let mut hints = Vec::new();
        joined((&awake, &silent), peer(0), &settings, &mut rng, &mut hints);
        let named: Vec<PeerId> = hints.iter().filter(|hint| hint.to == peer(0)).map(|hint| hint.about).collect();
        assert_eq!(named.iter().filter(|id| silent.get(id).is_some()).count(), 2, "four of six neighbours are awake");
        assert!(hints.iter().all(|hint| awake.get(&hint.to).is_some()));
    }
}
