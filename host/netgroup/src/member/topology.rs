//! The members that a member wants for neighbours (WIRE.md §3.5).

use std::time::Duration;

use rand_core::Rng;
use rtmfp::PeerId;

use crate::ring::GroupAddress;

/// How many neighbours a member keeps at most; a few more are admitted for some seconds. It wants some 30 in the largest group, and about as many want it.
pub const MAX_NEIGHBORS: usize = 128;
/// If a member knows this many members or fewer, it wants them all. If it knows more, it wants this many that are next on the ring, and as
/// many that answer fastest.
const FEW: usize = 6;

/// A member that could become a neighbour.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) place: GroupAddress,
    pub(super) peer: PeerId,
    pub(super) rtt: Option<Duration>,
}

/// How many neighbours a member wants in a group of this size: floor(log2) + 13.
pub fn target_neighbors(members: u64) -> usize {
    members.checked_ilog2().unwrap_or(0) as usize + 13
}

/// How many of these a member seeks: it leaves half of its room to those that want it.
pub(super) fn wanted_neighbors(members: u64) -> usize {
    target_neighbors(members).min(MAX_NEIGHBORS / 2)
}

/// The known members in the order of the ring, seen from the place of a member that is not among them.
#[derive(Debug)]
pub(super) struct View {
    /// In the order of the ring, beginning after the own place.
    others: Vec<Candidate>,
    own: GroupAddress,
}

impl View {
    /// A view of `candidates`, which are in the order of the ring beginning at place 0.
    pub(super) fn new(own: GroupAddress, mut candidates: Vec<Candidate>) -> Self {
        let split = candidates.partition_point(|candidate| candidate.place <= own);
        candidates.rotate_left(split);
        Self { others: candidates, own }
    }

    /// An estimate of how many members the group has: as many as there would be if the whole ring were as dense as the part between the
    /// second members before and after the own place. If fewer than four members are known, it is their number.
    pub(super) fn estimated_members(&self) -> u64 {
        let known = self.others.len();
        let (Some(after), Some(before)) = (self.others.get(1), known.checked_sub(2).and_then(|at| self.others.get(at)))
        else {
            return known as u64;
        };
        if known < 4 {
            return known as u64;
        }
        let gap = after.place.top().wrapping_sub(before.place.top()) / 4;
        u64::MAX.checked_div(gap).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// The members wanted for neighbours, the most important first: those next on the ring, 3 on each side; those that answer
    /// fastest; a random one, which stays the same as long as it is known; and those 1/2, 1/4, 1/8 of the ring away and so on,
    /// until there are `target`.
    pub(super) fn best(&self, target: usize, random: &mut Option<PeerId>, rng: &mut impl Rng) -> Vec<PeerId> {
        let others = &self.others;
        if others.len() <= FEW {
            return others.iter().map(|candidate| candidate.peer).collect();
        }
        let mut best: Vec<PeerId> = Vec::with_capacity(target);
        let add = |best: &mut Vec<PeerId>, peer: PeerId| {
            if !best.contains(&peer) {
                best.push(peer);
            }
        };
        for (after, before) in others.iter().zip(others.iter().rev()).take(FEW / 2) {
            add(&mut best, after.peer);
            add(&mut best, before.peer);
        }
        let mut timed: Vec<_> = others.iter().filter_map(|known| Some((known.rtt?, known.peer))).collect();
        timed.sort_unstable();
        for (_, peer) in timed.into_iter().take(FEW) {
            add(&mut best, peer);
        }
        if !random.is_some_and(|peer| others.iter().any(|known| known.peer == peer)) {
            let at = (rng.next_u64() % others.len() as u64) as usize;
            *random = others.get(at).map(|known| known.peer);
        }
        if let Some(peer) = *random {
            add(&mut best, peer);
        }
        for halvings in 1..=64 {
            if best.len() >= target {
                break;
            }
            let place = self.own.onwards(halvings);
            if let Some(known) = self.at_or_after(place) {
                add(&mut best, known.peer);
            }
        }
        best
    }

    fn at_or_after(&self, place: GroupAddress) -> Option<&Candidate> {
        // Along the list, distances from the own place grow.
        let distance = |place: GroupAddress| place.top().wrapping_sub(self.own.top());
        let at = self.others.partition_point(|known| distance(known.place) < distance(place));
        self.others.get(at).or(self.others.first())
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng;

    use super::*;

    fn view(others: u32) -> (View, Vec<Candidate>) {
        let mut all: Vec<_> = (0..others)
            .map(|number| {
                let mut id = [0; 32];
                id[..4].copy_from_slice(&number.to_be_bytes());
                let peer = PeerId(id);
                Candidate { place: GroupAddress::of(&peer), peer, rtt: None }
            })
            .collect();
        all.sort_unstable_by_key(|candidate| candidate.place);
        let own = GroupAddress::of(&PeerId([0xff; 32]));
        (View::new(own, all.clone()), all)
    }

    #[test]
    fn the_size_is_estimated_from_the_density() {
        for count in 0..4 {
            assert_eq!(view(count).0.estimated_members(), u64::from(count));
        }
        for count in [50, 1000, 20_000] {
            let estimate = view(count).0.estimated_members();
            let (low, high) = (u64::from(count) / 6, u64::from(count) * 6);
            assert!((low..=high).contains(&estimate), "{count}: {estimate}");
        }
        for (members, target) in [(0, 13), (1, 13), (2, 14), (1000, 22), (1024, 23), (u64::MAX, 76)] {
            assert_eq!(target_neighbors(members), target);
            assert_eq!(wanted_neighbors(members), target.min(64), "half of the room is for those that come");
        }
    }

    #[test]
    fn crowded_places_do_not_overflow() {
        for spread in 0..6 {
            let places = (0..6u8).map(|number| {
                let mut place = [0; 32];
                (place[7], place[8]) = (number * spread, number);
                Candidate { place: GroupAddress(place), peer: PeerId([number; 32]), rtt: None }
            });
            let view = View::new(GroupAddress([0; 32]), places.collect());
            assert!(target_neighbors(view.estimated_members()) <= 76);
            assert!(view.best(76, &mut None, &mut ChaCha8Rng::from_seed([1; 32])).len() <= 6);
        }
    }

    #[test]
    fn neighbours_on_the_ring_are_wanted_always() {
        let mut rng = ChaCha8Rng::from_seed([1; 32]);
        let own = GroupAddress::of(&PeerId([0xff; 32]));
        for count in [0, 1, 6, 7, 8, 30, 5000] {
            let (view, all) = view(count);
            let target = target_neighbors(u64::from(count));
            let best = view.best(target, &mut None, &mut rng);
            if count <= 6 {
                assert_eq!(best.len(), count as usize);
                continue;
            }
            let at = all.partition_point(|candidate| candidate.place < own);
            for step in 0..3 {
                for neighbor in [(at + step) % all.len(), (at + all.len() - 1 - step) % all.len()] {
                    assert!(best[..6].contains(&all[neighbor].peer), "{count}");
                }
            }
            assert!(best.len() <= target);
            if count == 5000 {
                assert!(best.len() >= 16, "{}", best.len());
            }
        }
    }

    #[test]
    fn fingers_reach_round_the_ring() {
        let mut rng = ChaCha8Rng::from_seed([1; 32]);
        let (view, all) = view(5000);
        let best = view.best(25, &mut None, &mut rng);
        for halvings in 1..=8 {
            let place = view.own.onwards(halvings);
            let at = all.partition_point(|candidate| candidate.place < place) % all.len();
            assert!(best.contains(&all[at].peer), "1/2^{halvings}");
        }
    }

    #[test]
    fn a_random_one_is_chosen_of_those_that_are_known() {
        let (view, all) = view(50);
        for seed in 0..20 {
            let mut random = None;
            view.best(20, &mut random, &mut ChaCha8Rng::from_seed([seed; 32]));
            assert!(all.iter().any(|known| Some(known.peer) == random), "{seed}");
        }
    }

    #[test]
    fn a_member_exactly_where_a_finger_points_is_wanted() {
        let place = |top: u64| {
            let mut place = [0; 32];
            place[..8].copy_from_slice(&top.to_be_bytes());
            GroupAddress(place)
        };
        let known = |top: u64| Candidate { place: place(top), peer: PeerId([(top >> 56) as u8; 32]), rtt: None };
        let view = View::new(place(0), [0x10, 0x7f, 0x80, 0x81, 0xf0].map(|top| known(top << 56)).to_vec());
        let found = |top: u64| view.at_or_after(place(top)).map(|found| found.place.top() >> 56);
        assert_eq!(
            [found(0x80 << 56), found((0x80 << 56) + 1), found(0xf1 << 56)],
            [Some(0x80), Some(0x81), Some(0x10)]
        );
    }

    #[test]
    fn four_members_are_enough_for_an_estimate() {
        let known = |top: u8| {
            let mut place = [0; 32];
            place[0] = top;
            Candidate { place: GroupAddress(place), peer: PeerId([top; 32]), rtt: None }
        };
        // Within a thirty-second part of the ring there are four others.
        let own = GroupAddress([0; 32]);
        let estimate = |tops: &[u8]| View::new(own, tops.iter().copied().map(known).collect()).estimated_members();
        assert_eq!(estimate(&[1, 2, 0xff]), 3);
        assert!((100..300).contains(&estimate(&[1, 2, 0xfe, 0xff])), "{}", estimate(&[1, 2, 0xfe, 0xff]));
    }

    #[test]
    fn the_fastest_are_wanted_and_the_random_one_stays() {
        let mut rng = ChaCha8Rng::from_seed([1; 32]);
        let (_, mut all) = view(200);
        for (at, candidate) in all.iter_mut().enumerate() {
            candidate.rtt = Some(Duration::from_millis(200 - at as u64));
        }
        let fastest: Vec<_> = all[194..].iter().map(|candidate| candidate.peer).collect();
        let view = View::new(GroupAddress::of(&PeerId([0xff; 32])), all);
        let mut random = None;
        let best = view.best(20, &mut random, &mut rng);
        assert!(fastest.iter().all(|peer| best.contains(peer)));
        for _ in 0..20 {
            assert_eq!(view.best(20, &mut random, &mut rng), best);
        }
        random = Some(PeerId([0x55; 32]));
        view.best(20, &mut random, &mut rng);
        assert_ne!(random, Some(PeerId([0x55; 32])), "one that is not known any more is replaced");
    }
}
