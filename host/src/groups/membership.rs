//! The groups of a server, and the peers that are in them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use parking_lot::{Mutex, MutexGuard};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use rtmfp::PeerId;
use smallvec::SmallVec;

use super::bootstrap::{self, BootstrapSettings, Hint};
use super::members::Members;
use introd_native::MemberChoice;
use introd_netgroup::GroupKey;
use introd_netgroup::channel::JoinLimits;
use introd_netgroup::ring::RingMember;

/// The result of a join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// The peer was not in the group.
    New,
    /// The peer was in the group already, by another handle (it has connected again, and its old session is not known to be gone yet) or
    /// by the same. The new handle counts; the old one has nothing to leave any more.
    Again,
}

/// The peer is in the maximum number of groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("peer in too many groups")]
pub struct TooManyGroups;

/// The number of parts of each table.
pub(super) const SHARDS: usize = 64;

/// The groups of a server and their members. `H` is how a member is reached, for instance its worker and session.
///
/// A group exists while it has members. Everything takes time logarithmic in the size of the group and memory in proportion to
/// the memberships, of which one peer has a bounded number.
///
/// All workers use the table at a time: it has parts with locks of their own, by the key of the group, so that joins of different groups
/// seldom meet. A lock of a peer's groups is taken before that of a group, and no function takes two of one kind.
#[derive(Debug)]
pub struct Memberships<H> {
    pub(super) groups: Box<[Mutex<Groups<H>>]>,
    joined: Box<[Mutex<JoinedGroups>]>,
    max_groups: usize,
    settings: BootstrapSettings,
}

/// The groups that each peer is in.
type JoinedGroups = HashMap<PeerId, SmallVec<[GroupKey; 1]>>;

#[derive(Debug)]
pub(super) struct Groups<H> {
    pub(super) members: HashMap<GroupKey, Members<H>>,
    rng: ChaCha8Rng,
}

impl<H: Copy + PartialEq> Default for Memberships<H> {
    fn default() -> Self {
        let mut seed = [0; 32];
        // Without a random seed, peers may foresee which members are named to each other; nothing else depends on the seed.
        let _ = getrandom::fill(&mut seed);
        Self::new(JoinLimits::default().groups, BootstrapSettings::default(), seed)
    }
}

impl<H: Copy + PartialEq> Memberships<H> {
    /// A table without groups. One peer may be in `max_groups` groups. The seed is for random choices of members: peers must not foresee it.
    pub fn new(max_groups: usize, settings: BootstrapSettings, seed: [u8; 32]) -> Self {
        let groups = (0..SHARDS as u64).map(|shard| {
            let mut rng = ChaCha8Rng::from_seed(seed);
            rng.set_stream(shard);
            Mutex::new(Groups { members: HashMap::new(), rng })
        });
        let joined = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { groups: groups.collect(), joined, max_groups, settings }
    }

    /// The part that has a group. Keys are hashes, so that the parts are of a size.
    pub(super) fn shard(&self, group: &GroupKey) -> MutexGuard<'_, Groups<H>> {
        self.groups[usize::from(group.0[0]) % SHARDS].lock()
    }

    /// The part that has the groups of a peer.
    fn joined(&self, peer: &PeerId) -> MutexGuard<'_, JoinedGroups> {
        self.joined[usize::from(peer.0[0]) % SHARDS].lock()
    }

    /// A peer joins a group. Hints come separately: from [`Memberships::hints_for_newcomer`], or from a script.
    ///
    /// # Errors
    /// If the peer is in too many groups.
    pub fn join(&self, group: GroupKey, peer: PeerId, handle: H) -> Result<Joined, TooManyGroups> {
        self.join_if(group, peer, handle, |_| true).map(|joined| joined.unwrap_or(Joined::Again))
    }

    /// A peer joins a group, unless it is a member by a handle that may not be replaced: then nothing changes, and the result is `None`.
    ///
    /// # Errors
    /// If the peer is in too many groups.
    pub fn join_if(
        &self,
        group: GroupKey,
        peer: PeerId,
        handle: H,
        may_replace: impl FnOnce(H) -> bool,
    ) -> Result<Option<Joined>, TooManyGroups> {
        let mut joined = self.joined(&peer);
        let mut shard = self.shard(&group);
        if let Some(members) = shard.members.get_mut(&group)
            && let Some(other) = members.get(&peer).copied()
        {
            if !may_replace(other) {
                return Ok(None);
            }
            members.replace(peer, handle);
            return Ok(Some(Joined::Again));
        }
        let of_peer = joined.get(&peer).map_or(0, |groups| groups.len());
        if of_peer >= self.max_groups {
            return Err(TooManyGroups);
        }
        joined.entry(peer).or_default().push(group);
        shard.members.entry(group).or_default().add(peer, handle);
        Ok(Some(Joined::New))
    }

    /// A peer leaves a group: true if it was in it by this handle.
    pub fn leave(&self, group: &GroupKey, peer: &PeerId, handle: H) -> bool {
        let mut joined = self.joined(peer);
        let mut shard = self.shard(group);
        let Some(members) = shard.members.get_mut(group) else { return false };
        if members.get(peer) != Some(&handle) {
            return false;
        }
        members.remove(peer);
        if members.len() == 0 {
            shard.members.remove(group);
        }
        if let Entry::Occupied(mut of_peer) = joined.entry(*peer) {
            of_peer.get_mut().retain(|other| other != group);
            if of_peer.get().is_empty() {
                of_peer.remove();
            }
        }
        true
    }

    /// Notes that a peer has been silent for too long, or sends again, in all groups that it is in by this handle. Silent
    /// members are named after all others.
    pub fn set_silent(&self, peer: &PeerId, handle: H, is_silent: bool) {
        let joined = self.joined(peer);
        for group in joined.get(peer).into_iter().flatten() {
            if let Some(members) = self.shard(group).members.get_mut(group) {
                members.set_silent(peer, handle, is_silent);
            }
        }
    }

    /// How many members a group has.
    pub fn size(&self, group: &GroupKey) -> usize {
        self.shard(group).members.get(group).map_or(0, Members::len)
    }

    /// Up to `max` members other than `peer`, chosen in one of the ways that policies have. Silent ones are chosen only if there are too
    /// few others. The work is in proportion to `max`.
    pub fn choose(&self, group: &GroupKey, peer: &PeerId, choice: MemberChoice, max: usize) -> Vec<(PeerId, H)> {
        let Groups { members, rng } = &mut *self.shard(group);
        members.get(group).map_or_else(Vec::new, |members| members.choose(peer, choice, max, rng))
    }

    /// Adds the hints of the built-in bootstrap after `peer` has joined. At most
    /// [`BootstrapSettings::max_hints_per_join`] are added.
    pub fn hints_for_newcomer(&self, group: &GroupKey, peer: PeerId, hints: &mut Vec<Hint<H>>) {
        let Groups { members, rng } = &mut *self.shard(group);
        if let Some(members) = members.get(group) {
            bootstrap::joined(members.rings(), peer, &self.settings, rng, hints);
        }
    }

    /// Adds the hints of the built-in bootstrap after `peer` has left, which keep the group together. At most
    /// [`BootstrapSettings::max_hints_per_leave`] are added.
    pub fn hints_after_leave(&self, group: &GroupKey, peer: PeerId, hints: &mut Vec<Hint<H>>) {
        if let Some(members) = self.shard(group).members.get(group) {
            bootstrap::left(members.rings().0, peer, &self.settings, hints);
        }
    }

    /// How a member is reached; `None` if the peer is no member.
    pub fn handle(&self, group: &GroupKey, peer: &PeerId) -> Option<H> {
        self.shard(group).members.get(group)?.get(peer).copied()
    }

    /// How a member is reached that is not silent; `None` if the peer is no such member.
    pub fn awake(&self, group: &GroupKey, peer: &PeerId) -> Option<H> {
        self.shard(group).members.get(group)?.rings().0.get(peer).copied()
    }

    /// The groups and how many members each has, in no order. The parts of the table are looked at one after the other.
    pub fn groups(&self) -> Vec<(GroupKey, usize)> {
        let sizes = |part: &Mutex<Groups<H>>| -> Vec<_> {
            part.lock().members.iter().map(|(group, members)| (*group, members.len())).collect()
        };
        self.groups.iter().flat_map(sizes).collect()
    }

    /// The members of a group, in the order of its ring, and after them the silent members, in the same order.
    pub fn members(&self, group: &GroupKey) -> Vec<RingMember<H>> {
        let shard = self.shard(group);
        shard.members.get(group).into_iter().flat_map(Members::iter).copied().collect()
    }

    /// The groups that a peer is in, in the order in which it joined them.
    pub fn groups_of(&self, peer: &PeerId) -> SmallVec<[GroupKey; 1]> {
        self.joined(peer).get(peer).cloned().unwrap_or_default()
    }

    /// How many groups there are.
    pub fn len(&self) -> usize {
        self.groups.iter().map(|part| part.lock().members.len()).sum()
    }

    /// Whether there is no group.
    pub fn is_empty(&self) -> bool {
        self.groups.iter().all(|part| part.lock().members.is_empty())
    }
}

#[cfg(test)]
mod tests;
