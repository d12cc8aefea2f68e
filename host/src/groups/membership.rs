//! The groups of one application instance, and the peers that are in them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use rtmfp::PeerId;
use smallvec::SmallVec;

use super::bootstrap::{self, BootstrapSettings, Hint};
use super::members::Members;
use introd_native::MemberChoice;
use introd_netgroup::GroupDigest;
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

/// The groups of an application instance and their members. `H` is how a member is reached, for instance its worker and
/// session.
///
/// A group exists while it has members. Everything takes time logarithmic in the size of the group and memory in proportion to
/// the memberships, of which one peer has a bounded number.
#[derive(Debug)]
pub struct Memberships<H> {
    groups: HashMap<GroupDigest, Members<H>>,
    joined: HashMap<PeerId, SmallVec<[GroupDigest; 1]>>,
    max_groups: usize,
    settings: BootstrapSettings,
    rng: ChaCha8Rng,
}

impl<H: Copy + PartialEq> Memberships<H> {
    /// A table without groups. One peer may be in `max_groups` groups. The seed is for random choices of members: peers must not foresee it.
    pub fn new(max_groups: usize, settings: BootstrapSettings, seed: [u8; 32]) -> Self {
        Self { groups: HashMap::new(), joined: HashMap::new(), max_groups, settings, rng: ChaCha8Rng::from_seed(seed) }
    }

    /// A peer joins a group. Hints come separately: from [`Memberships::hints_for_newcomer`], or from a script.
    ///
    /// # Errors
    /// If the peer is in too many groups.
    pub fn join(&mut self, group: GroupDigest, peer: PeerId, handle: H) -> Result<Joined, TooManyGroups> {
        if let Some(members) = self.groups.get_mut(&group).filter(|members| members.get(&peer).is_some()) {
            members.replace(peer, handle);
            return Ok(Joined::Again);
        }
        let of_peer = self.joined.get(&peer).map_or(0, |groups| groups.len());
        if of_peer >= self.max_groups {
            return Err(TooManyGroups);
        }
        self.joined.entry(peer).or_default().push(group);
        self.groups.entry(group).or_default().add(peer, handle);
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
            }
        }
        if let Entry::Occupied(mut of_peer) = self.joined.entry(*peer) {
            of_peer.get_mut().retain(|other| other != group);
            if of_peer.get().is_empty() {
                of_peer.remove();
            }
        }
        true
    }

    /// Notes that a peer has been silent for too long, or sends again, in all groups that it is in by this handle. Silent
    /// members are named after all others.
    pub fn set_silent(&mut self, peer: &PeerId, handle: H, is_silent: bool) {
        for group in self.joined.get(peer).into_iter().flatten() {
            if let Some(members) = self.groups.get_mut(group) {
                members.set_silent(peer, handle, is_silent);
            }
        }
    }

    /// How many members a group has.
    pub fn size(&self, group: &GroupDigest) -> usize {
        self.groups.get(group).map_or(0, Members::len)
    }

    /// Up to `max` members other than `peer`, chosen in one of the ways that policies have. Silent ones are chosen only if there are too
    /// few others. The work is in proportion to `max`.
    pub fn choose(&mut self, group: &GroupDigest, peer: &PeerId, choice: MemberChoice, max: usize) -> Vec<(PeerId, H)> {
        self.groups.get(group).map_or_else(Vec::new, |members| members.choose(peer, choice, max, &mut self.rng))
    }

    /// Adds the hints of the built-in bootstrap after `peer` has joined. At most
    /// [`BootstrapSettings::max_hints_per_join`] are added.
    pub fn hints_for_newcomer(&mut self, group: &GroupDigest, peer: PeerId, hints: &mut Vec<Hint<H>>) {
        if let Some(members) = self.groups.get(group) {
            bootstrap::joined(members.rings(), peer, &self.settings, &mut self.rng, hints);
        }
    }

    /// Adds the hints of the built-in bootstrap after `peer` has left, which keep the group together. At most
    /// [`BootstrapSettings::max_hints_per_leave`] are added.
    pub fn hints_after_leave(&self, group: &GroupDigest, peer: PeerId, hints: &mut Vec<Hint<H>>) {
        if let Some(members) = self.groups.get(group) {
            bootstrap::left(members.rings().0, peer, &self.settings, hints);
        }
    }

    /// How a member is reached; `None` if the peer is no member.
    pub fn handle(&self, group: &GroupDigest, peer: &PeerId) -> Option<H> {
        self.groups.get(group)?.get(peer).copied()
    }

    /// The groups and how many members each has, in no order.
    pub fn groups(&self) -> impl Iterator<Item = (GroupDigest, usize)> + '_ {
        self.groups.iter().map(|(group, members)| (*group, members.len()))
    }

    /// The members of a group, in the order of its ring, and after them the silent members, in the same order.
    pub fn members(&self, group: &GroupDigest) -> impl Iterator<Item = &RingMember<H>> + use<'_, H> {
        self.groups.get(group).into_iter().flat_map(Members::iter)
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
}

#[cfg(test)]
mod tests;
