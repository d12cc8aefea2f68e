//! Who is in which group, for one application instance.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use rtmfp::PeerId;
use smallvec::SmallVec;

use super::bootstrap::{self, Hint, Settings};
use introd_netgroup::GroupDigest;
use introd_netgroup::ring::{GroupAddress, Ring, RingMember};

/// The most of the newest members that are remembered.
const MAX_NEWEST: usize = 64;

/// How members are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Next on the ring, the nearest first, on both sides alternately.
    Neighbors,
    /// Those who joined last, the newest first.
    Newest,
    /// Any.
    Random,
}

/// How often clients joined and left, under the names that AMS promised in `getServerStats`: `group_join` and `group_leave`.
/// Their difference is how many memberships there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// `group_join`.
    pub joins: u64,
    /// `group_leave`.
    pub leaves: u64,
}

/// What a join did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// The peer was not in the group.
    New,
    /// The peer was, by another handle (it has connected again, and its old session is not known to be gone yet) or by the
    /// same. The new handle counts; the old one has nothing to leave any more.
    Again,
}

/// A peer is in as many groups as one may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("peer in too many groups")]
pub struct TooManyGroups;

/// The members of a group. Those of whom nothing has been heard for too long are apart: others are named before them.
#[derive(Debug)]
struct Members<H> {
    awake: Ring<H>,
    silent: Ring<H>,
}

impl<H> Default for Members<H> {
    fn default() -> Self {
        Self { awake: Ring::default(), silent: Ring::default() }
    }
}

impl<H> Members<H> {
    fn len(&self) -> usize {
        self.awake.len() + self.silent.len()
    }

    fn get(&self, peer: &PeerId) -> Option<&H> {
        self.awake.get(peer).or_else(|| self.silent.get(peer))
    }

    /// Enters a member, of whom something has just been heard: what was known of it before.
    fn insert(&mut self, peer: PeerId, handle: H) -> Option<H> {
        let silent = self.silent.remove(&peer);
        self.awake.insert(peer, handle).or(silent)
    }

    fn remove(&mut self, peer: &PeerId) {
        if self.awake.remove(peer).is_none() {
            self.silent.remove(peer);
        }
    }
}

/// The groups of an application instance and their members. `H` is how a member is reached, for instance its worker and
/// session.
///
/// A group exists while it has members. Everything takes time logarithmic in the size of the group and memory in proportion to
/// the memberships, of which one peer has a bounded number.
#[derive(Debug)]
pub struct Memberships<H> {
    groups: HashMap<GroupDigest, Members<H>>,
    joined: HashMap<PeerId, SmallVec<[GroupDigest; 1]>>,
    /// Those who joined last, the newest last, at most [`MAX_NEWEST`] of each group.
    newest: HashMap<GroupDigest, VecDeque<PeerId>>,
    max_groups: usize,
    settings: Settings,
    rng: ChaCha8Rng,
    counts: Counts,
}

impl<H: Copy + PartialEq> Memberships<H> {
    /// No groups yet; one peer may be in `max_groups`. The seed is for the choice of far members: it must not be foreseeable.
    pub fn new(max_groups: usize, settings: Settings, seed: [u8; 32]) -> Self {
        Self {
            groups: HashMap::new(),
            joined: HashMap::new(),
            newest: HashMap::new(),
            max_groups,
            settings,
            rng: ChaCha8Rng::from_seed(seed),
            counts: Counts::default(),
        }
    }

    /// A peer joins a group. Whom to tell is asked for separately: [`Memberships::hints_for_newcomer`], or a script decides.
    ///
    /// # Errors
    /// If the peer is in too many groups.
    pub fn join(&mut self, group: GroupDigest, peer: PeerId, handle: H) -> Result<Joined, TooManyGroups> {
        if let Some(members) = self.groups.get_mut(&group).filter(|members| members.get(&peer).is_some()) {
            members.insert(peer, handle);
            return Ok(Joined::Again);
        }
        let of_peer = self.joined.get(&peer).map_or(0, |groups| groups.len());
        if of_peer >= self.max_groups {
            return Err(TooManyGroups);
        }
        self.joined.entry(peer).or_default().push(group);
        self.groups.entry(group).or_default().insert(peer, handle);
        let newest = self.newest.entry(group).or_default();
        if newest.len() == MAX_NEWEST {
            newest.pop_front();
        }
        newest.push_back(peer);
        self.counts.joins += 1;
        Ok(Joined::New)
    }

    /// A peer leaves a group: true if it was in it by this handle.
    pub fn leave(&mut self, group: &GroupDigest, peer: &PeerId, handle: H) -> bool {
        if self.handle(group, peer) != Some(handle) {
            return false;
        }
        if let Some(members) = self.groups.get_mut(group) {
            members.remove(peer);
            if members.len() == 0 {
                self.groups.remove(group);
                self.newest.remove(group);
            } else if let Some(newest) = self.newest.get_mut(group) {
                newest.retain(|other| other != peer);
            }
        }
        if let Entry::Occupied(mut of_peer) = self.joined.entry(*peer) {
            of_peer.get_mut().retain(|other| other != group);
            if of_peer.get().is_empty() {
                of_peer.remove();
            }
        }
        self.counts.leaves += 1;
        true
    }

    /// Notes that nothing has been heard of a member for too long, or something again: in all groups that it is in by this handle. Silent
    /// members are named after all others.
    pub fn set_silent(&mut self, peer: &PeerId, handle: H, is_silent: bool) {
        for group in self.joined.get(peer).into_iter().flatten() {
            let Some(members) = self.groups.get_mut(group) else { continue };
            let (from, to) = if is_silent {
                (&mut members.awake, &mut members.silent)
            } else {
                (&mut members.silent, &mut members.awake)
            };
            if from.get(peer) == Some(&handle) {
                from.remove(peer);
                to.insert(*peer, handle);
            }
        }
    }

    /// How many members a group has.
    pub fn size(&self, group: &GroupDigest) -> usize {
        self.groups.get(group).map_or(0, Members::len)
    }

    /// Up to `most` members other than `peer`, chosen in one of the ways that policies have, and silent ones only if there are too few
    /// others. The work is in proportion to `most`.
    pub fn choose(&mut self, group: &GroupDigest, peer: &PeerId, choice: Choice, most: usize) -> Vec<(PeerId, H)> {
        let Some(members) = self.groups.get(group) else { return Vec::new() };
        let rings = [&members.awake, &members.silent];
        let mut chosen: Vec<(PeerId, H)> = Vec::new();
        let mut add = |member: &RingMember<H>| {
            let is_new = member.peer != *peer && !chosen.iter().any(|(known, _)| *known == member.peer);
            if is_new && chosen.len() < most {
                chosen.push((member.peer, member.value));
            }
        };
        match choice {
            Choice::Neighbors => {
                let place = GroupAddress::of(peer);
                for ring in rings {
                    let sides = ring.after(place).zip(ring.before(place)).take(most.div_ceil(2));
                    sides.for_each(|(after, before)| [after, before].into_iter().for_each(&mut add));
                }
            }
            Choice::Newest => {
                for ring in rings {
                    let newest = self.newest.get(group).into_iter().flatten().rev();
                    newest
                        .filter_map(|id| Some(RingMember { peer: *id, value: *ring.get(id)? }))
                        .for_each(|member| add(&member));
                }
            }
            // In a small group the same come up again and again: a fixed number of attempts keeps the work bounded.
            Choice::Random => {
                for ring in rings {
                    (0..4 * most).filter_map(|_| ring.random(&mut self.rng)).for_each(&mut add);
                }
            }
        }
        chosen
    }

    /// A session is gone: the groups that the peer was in by this handle, and now is not.
    pub fn leave_all(&mut self, peer: &PeerId, handle: H) -> Vec<GroupDigest> {
        let groups = self.joined.get(peer).cloned().unwrap_or_default();
        groups.into_iter().filter(|group| self.leave(group, peer, handle)).collect()
    }

    /// The built-in way to start a group: what to tell whom now that `peer` has joined. At most
    /// [`Settings::max_hints_per_join`] are added.
    pub fn hints_for_newcomer(&mut self, group: &GroupDigest, peer: PeerId, hints: &mut Vec<Hint<H>>) {
        if let Some(members) = self.groups.get(group) {
            let rings = (&members.awake, &members.silent);
            bootstrap::joined(rings, peer, &self.settings, &mut self.rng, hints);
        }
    }

    /// The built-in way to keep a group together: what to tell whom now that `peer` has left. At most
    /// [`Settings::max_hints_per_leave`] are added.
    pub fn hints_after_leave(&self, group: &GroupDigest, peer: PeerId, hints: &mut Vec<Hint<H>>) {
        if let Some(members) = self.groups.get(group) {
            bootstrap::left(&members.awake, peer, &self.settings, hints);
        }
    }

    /// How a member is reached; `None` if it is none.
    pub fn handle(&self, group: &GroupDigest, peer: &PeerId) -> Option<H> {
        self.groups.get(group)?.get(peer).copied()
    }

    /// Whether a peer is in a group. AMS: `addNeighbor` takes only members.
    pub fn contains(&self, group: &GroupDigest, peer: &PeerId) -> bool {
        self.handle(group, peer).is_some()
    }

    /// The groups and how many members each has, in no order.
    pub fn groups(&self) -> impl Iterator<Item = (GroupDigest, usize)> + '_ {
        self.groups.iter().map(|(group, members)| (*group, members.len()))
    }

    /// The members of a group, in the order of its ring, and after them those that are silent, in the same order.
    pub fn members(&self, group: &GroupDigest) -> impl Iterator<Item = &RingMember<H>> + use<'_, H> {
        self.groups.get(group).into_iter().flat_map(|members| members.awake.iter().chain(members.silent.iter()))
    }

    /// The groups that a peer is in, in the order in which it joined them.
    pub fn groups_of(&self, peer: &PeerId) -> &[GroupDigest] {
        self.joined.get(peer).map_or(&[], |groups| groups)
    }

    /// How many groups there are.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether there is no group.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// How often somebody joined and left.
    pub fn counts(&self) -> Counts {
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    const A: GroupDigest = GroupDigest([1; 32]);
    const B: GroupDigest = GroupDigest([2; 32]);

    fn peer(number: u8) -> PeerId {
        PeerId([number; 32])
    }

    fn tables() -> Memberships<u32> {
        Memberships::new(64, Settings::default(), [7; 32])
    }

    #[test]
    fn a_session_that_was_replaced_has_nothing_to_leave() {
        let mut tables = tables();
        assert_eq!(tables.join(A, peer(1), 10), Ok(Joined::New));
        assert_eq!(tables.join(A, peer(1), 11), Ok(Joined::Again));
        assert!(!tables.leave(&A, &peer(1), 10));
        assert!(tables.leave_all(&peer(1), 10).is_empty());
        assert_eq!(tables.handle(&A, &peer(1)), Some(11));
        tables.join(B, peer(1), 11).unwrap();
        assert_eq!(tables.leave_all(&peer(1), 11), [A, B]);
        assert_eq!(tables.counts(), Counts { joins: 2, leaves: 2 });
        assert!(tables.is_empty() && tables.groups_of(&peer(1)).is_empty());
    }

    #[test]
    fn a_peer_is_in_a_bounded_number_of_groups() {
        let mut tables = tables();
        let mut accepted = 0;
        for number in 0..10_000u32 {
            let mut group = [0; 32];
            group[..4].copy_from_slice(&number.to_be_bytes());
            match tables.join(GroupDigest(group), peer(1), 1) {
                Ok(_) => accepted += 1,
                Err(TooManyGroups) => assert_eq!(accepted, 64),
            }
        }
        assert_eq!((accepted, tables.len(), tables.counts().joins), (64, 64, 64));
        assert_eq!(tables.leave_all(&peer(1), 1).len(), 64);
        assert!(tables.is_empty());
    }

    #[test]
    fn hints_go_by_the_members_handles() {
        let mut tables = tables();
        let mut hints = Vec::new();
        for number in 1..=5 {
            tables.join(A, peer(number), u32::from(number)).unwrap();
            hints.clear();
            tables.hints_for_newcomer(&A, peer(number), &mut hints);
        }
        assert_eq!(hints.len(), 8, "four, and each told of the other");
        assert!(hints.iter().all(|hint| peer(hint.handle as u8) == hint.to));
        hints.clear();
        tables.hints_for_newcomer(&B, peer(1), &mut hints);
        tables.hints_after_leave(&B, peer(1), &mut hints);
        assert!(hints.is_empty(), "no such group");
    }

    #[test]
    fn silent_members_are_named_after_all_others() {
        let mut tables = Memberships::new(3, Settings::default(), [7; 32]);
        for number in 0..100 {
            tables.join(A, peer(number), u32::from(number)).unwrap();
        }
        // Two of the newest and all others but ten are silent.
        let is_alive = |number: u8| number % 10 == 3;
        for number in (0..100).filter(|number| !is_alive(*number)) {
            tables.set_silent(&peer(number), 1000, true);
            assert!(tables.members(&A).any(|member| member.peer == peer(number)), "another session's silence");
            tables.set_silent(&peer(number), u32::from(number), true);
        }
        assert_eq!((tables.size(&A), tables.members(&A).count()), (100, 100));
        let newcomer = peer(200);
        tables.join(A, newcomer, 200).unwrap();
        let mut hints = Vec::new();
        tables.hints_for_newcomer(&A, newcomer, &mut hints);
        assert!(
            hints.iter().all(|hint| hint.to == newcomer || is_alive(hint.handle as u8)),
            "nothing is said to the silent"
        );
        let told: Vec<u8> = hints.iter().filter(|hint| hint.to == newcomer).map(|hint| hint.about.0[0]).collect();
        assert!(told.len() >= 6 && told.iter().all(|number| is_alive(*number)), "{told:?}");
        for choice in [Choice::Neighbors, Choice::Newest, Choice::Random] {
            let chosen = tables.choose(&A, &newcomer, choice, 4);
            assert!(chosen.len() == 4 && chosen.iter().all(|(_, number)| is_alive(*number as u8)), "{chosen:?}");
        }
        let all = tables.choose(&A, &newcomer, Choice::Neighbors, 60);
        assert!(all.iter().take(10).all(|(_, number)| is_alive(*number as u8)), "{all:?}");
        assert_eq!(all.len(), 60, "the silent fill the rest");

        // Who speaks again is one of them again; who leaves while silent is gone.
        tables.set_silent(&peer(4), 4, false);
        assert!(tables.members(&A).take(12).any(|member| member.peer == peer(4)));
        assert!(tables.leave(&A, &peer(5), 5) && !tables.contains(&A, &peer(5)));
        assert_eq!(tables.join(A, peer(6), 60), Ok(Joined::Again));
        assert!(
            tables.members(&A).take(13).any(|member| member.peer == peer(6)),
            "a new session has just been heard of"
        );

        // Without others, the silent are better than nobody.
        for number in 0..3 {
            tables.join(B, peer(number), u32::from(number)).unwrap();
            tables.set_silent(&peer(number), u32::from(number), true);
        }
        tables.join(B, newcomer, 200).unwrap();
        hints.clear();
        tables.hints_for_newcomer(&B, newcomer, &mut hints);
        assert_eq!(hints.iter().filter(|hint| hint.to == newcomer).count(), 3);
        assert_eq!(tables.choose(&B, &newcomer, Choice::Random, 9).len(), 3);
    }

    #[test]
    fn members_are_chosen_in_each_way() {
        let mut tables = Memberships::new(3, Settings::default(), [7; 32]);
        for number in 0..100 {
            tables.join(A, peer(number), u32::from(number)).unwrap();
        }
        assert_eq!((tables.size(&A), tables.size(&B)), (100, 0));
        tables.leave(&A, &peer(97), 97);
        let newest: Vec<_> = tables.choose(&A, &peer(99), Choice::Newest, 3);
        assert_eq!(newest, [98, 96, 95].map(|number| (peer(number), u32::from(number))));
        assert!(tables.choose(&A, &peer(99), Choice::Newest, 100).len() < MAX_NEWEST);
        let mut ring: Vec<u8> = (0..100).filter(|number| *number != 97).collect();
        ring.sort_by_key(|number| GroupAddress::of(&peer(*number)));
        let place = ring.iter().position(|number| *number == 50).unwrap();
        let at = |offset: usize| u32::from(ring[(place + ring.len() + offset - 2) % ring.len()]);
        let near: Vec<u32> = tables.choose(&A, &peer(50), Choice::Neighbors, 4).iter().map(|near| near.1).collect();
        assert_eq!(near, [at(3), at(1), at(4), at(0)], "the nearest first, on both sides");
        let random: BTreeSet<_> = tables.choose(&A, &peer(50), Choice::Random, 10).into_iter().collect();
        assert!(random.len() == 10 && !random.contains(&(peer(50), 50)), "{random:?}");
        for choice in [Choice::Neighbors, Choice::Newest, Choice::Random] {
            assert!(tables.choose(&B, &peer(50), choice, 10).is_empty());
            assert!(tables.choose(&A, &peer(50), choice, 0).is_empty());
        }
        for number in 0..100 {
            tables.leave(&A, &peer(number), u32::from(number));
        }
        assert!(tables.newest.is_empty(), "nothing is left behind");
    }

    proptest! {
        /// Against a plain set of memberships.
        #[test]
        fn the_books_are_exact(steps in proptest::collection::vec((0u8..4, 0u8..5, 0u8..4, 0u32..3), 0..200)) {
            let mut tables = Memberships::new(3, Settings::default(), [7; 32]);
            let mut model: BTreeMap<(PeerId, GroupDigest), u32> = BTreeMap::new();
            for (what, who, group, handle) in steps {
                let (who, group) = (peer(who), GroupDigest([group; 32]));
                match what {
                    0 | 1 => {
                        let fits = model.contains_key(&(who, group))
                            || model.keys().filter(|(peer, _)| *peer == who).count() < 3;
                        prop_assert_eq!(tables.join(group, who, handle).is_ok(), fits);
                        if fits {
                            model.insert((who, group), handle);
                        }
                    }
                    2 => {
                        let was = model.get(&(who, group)) == Some(&handle);
                        prop_assert_eq!(tables.leave(&group, &who, handle), was);
                        if was {
                            model.remove(&(who, group));
                        }
                    }
                    _ => {
                        let left: BTreeSet<_> = tables.leave_all(&who, handle).into_iter().collect();
                        let gone: BTreeSet<_> = model
                            .iter()
                            .filter(|((peer, _), by)| *peer == who && **by == handle)
                            .map(|((_, group), _)| *group)
                            .collect();
                        prop_assert_eq!(&left, &gone);
                        model.retain(|(peer, group), _| *peer != who || !gone.contains(group));
                    }
                }
                let read: BTreeMap<_, _> = tables
                    .groups()
                    .flat_map(|(group, _)| tables.members(&group).map(move |member| ((member.peer, group), member.value)))
                    .collect();
                prop_assert_eq!(&read, &model);
                let counts = tables.counts();
                prop_assert_eq!(counts.joins - counts.leaves, model.len() as u64);
                for number in 0..5 {
                    let of: BTreeSet<_> = tables.groups_of(&peer(number)).iter().copied().collect();
                    let expected: BTreeSet<_> =
                        model.keys().filter(|(who, _)| *who == peer(number)).map(|(_, group)| *group).collect();
                    prop_assert_eq!(of, expected);
                }
            }
        }
    }
}
