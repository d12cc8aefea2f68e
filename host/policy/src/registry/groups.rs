//! The members of groups in a registry: values, and a ring in memory.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;

use rtmfp::PeerId;

use super::RegistryError;

/// How many neighbours on each side, and how many other members, a query is answered with at most.
pub const MAX_NEIGHBORS: usize = 16;
/// How many memberships [`InMemory`](super::InMemory) has room for.
pub const MAX_MEMBERSHIPS: usize = 1 << 20;

/// The result of a query for members, the nearest neighbours first.
pub type NeighborsResult = Result<Vec<PeerId>, RegistryError>;

/// A query for members on its way.
pub type NeighborsFuture = Pin<Box<dyn Future<Output = NeighborsResult> + Send>>;

/// A member of a group, as servers that share a registry know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GroupMember {
    /// The key under which servers share the group.
    pub group: [u8; 32],
    /// The member.
    pub peer: PeerId,
    /// The member's position on the group's ring, a number in network order.
    pub position: [u8; 32],
}

/// A query for the members around a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighborQuery {
    /// The peer for which members are wanted. It is not part of the answer, and need not be a member.
    pub member: GroupMember,
    /// How many members are wanted on each side, at most [`MAX_NEIGHBORS`].
    pub near: usize,
    /// How many other members at random positions are wanted, at most [`MAX_NEIGHBORS`].
    pub far: usize,
}

/// The members of groups, in memory.
#[derive(Debug, Default)]
pub(super) struct Groups {
    rings: HashMap<[u8; 32], BTreeMap<[u8; 32], PeerId>>,
    count: usize,
    /// Changes with each random choice.
    drawn: u64,
}

impl Groups {
    /// Adds a member. False if there is no room for it.
    pub(super) fn join(&mut self, member: &GroupMember, max: usize) -> bool {
        let is_full = self.count >= max;
        if is_full && !self.rings.get(&member.group).is_some_and(|ring| ring.contains_key(&member.position)) {
            return false;
        }
        let ring = self.rings.entry(member.group).or_default();
        if ring.insert(member.position, member.peer).is_none() {
            self.count += 1;
        }
        true
    }

    /// How many groups there are, and how many memberships.
    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.rings.len(), self.count)
    }

    pub(super) fn leave(&mut self, member: &GroupMember) {
        let Some(ring) = self.rings.get_mut(&member.group) else { return };
        if ring.remove(&member.position).is_some() {
            self.count -= 1;
        }
        if ring.is_empty() {
            self.rings.remove(&member.group);
        }
    }

    /// The members around a position: those next to it on both sides alternately, and then some that are far from it.
    pub(super) fn neighbors(&mut self, query: &NeighborQuery) -> Vec<PeerId> {
        let GroupMember { group, peer, position } = query.member;
        let Some(ring) = self.rings.get(&group) else { return Vec::new() };
        let mut found = Vec::new();
        let add = |found: &mut Vec<PeerId>, other: &PeerId| {
            if *other != peer && !found.contains(other) {
                found.push(*other);
            }
        };
        let others = |ring: &BTreeMap<[u8; 32], PeerId>| ring.len() - usize::from(ring.contains_key(&position));
        let near = query.near.min(MAX_NEIGHBORS).min(others(ring));
        let after = ring.range(position..).chain(ring.range(..position)).filter(|(at, _)| **at != position).take(near);
        let before = ring.range(..position).rev().chain(ring.range(position..).rev());
        let before = before.filter(|(at, _)| **at != position).take(near);
        for ((_, after), (_, before)) in after.zip(before) {
            add(&mut found, after);
            add(&mut found, before);
        }
        let wanted = (found.len() + query.far.min(MAX_NEIGHBORS)).min(others(ring));
        // In a small group the same members come up again and again: a fixed number of attempts bounds the work.
        for _ in 0..4 * query.far.min(MAX_NEIGHBORS) {
            if found.len() >= wanted {
                break;
            }
            let place = draw(&mut self.drawn);
            if let Some((_, other)) = ring.range(place..).next().or_else(|| ring.iter().next()) {
                add(&mut found, other);
            }
        }
        found
    }
}

/// Draws a position. Peers may foresee it: nothing but the choice of members by this server's own scripts depends on it.
fn draw(state: &mut u64) -> [u8; 32] {
    // SplitMix64: each state is followed by another, and the outputs are spread evenly.
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    let mut place = [0; 32];
    if let Some(top) = place.first_chunk_mut::<8>() {
        *top = mixed.to_be_bytes();
    }
    place
}
