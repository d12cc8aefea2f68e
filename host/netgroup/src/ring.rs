//! The ring: the places of a group's members (WIRE.md §1.2, §3.5).
//!
//! Each peer has one place on a ring of 2^256, the same in every group: the hash of its endpoint discriminator. Members keep
//! connections to the members next to them on the ring, and to some far away.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound::{Excluded, Included, Unbounded};

use rand_core::Rng;
use rtmfp::PeerId;
use rtmfp::crypto::Epd;
use sha2::{Digest, Sha256};

/// A place on the ring: AMS's group address. Written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupAddress(pub [u8; 32]);

impl GroupAddress {
    /// The place of a peer: SHA-256 of its canonical endpoint discriminator, `21 0F` and the peer ID (RFC 7425 §4.4.4,
    /// WIRE.md §1.2). AMS: `convertPeerIDToGroupAddress`.
    pub fn of(peer: &PeerId) -> Self {
        Self(Sha256::digest(Epd::fingerprint(*peer)).into())
    }

    /// A random place. Only its top 64 bits are random, which is exact enough for any group.
    pub fn random(rng: &mut impl Rng) -> Self {
        let mut bytes = [0; 32];
        if let Some(top) = bytes.first_chunk_mut::<8>() {
            *top = rng.next_u64().to_be_bytes();
        }
        Self(bytes)
    }

    /// The place that is 1/2^`halvings` of the ring further on. With 0, or more than 64, it is the same place again.
    pub fn onwards(self, halvings: u32) -> Self {
        // The top 64 bits are exact enough: below them places are random.
        let step = 64u32.checked_sub(halvings).and_then(|shift| 1u64.checked_shl(shift)).unwrap_or(0);
        let mut bytes = self.0;
        if let Some(top) = bytes.first_chunk_mut::<8>() {
            *top = u64::from_be_bytes(*top).wrapping_add(step).to_be_bytes();
        }
        Self(bytes)
    }

    /// How far it is from this place up to another, in the direction in which places grow.
    pub fn way_to(self, other: Self) -> [u8; 32] {
        let mut way = [0; 32];
        let mut borrow = false;
        for ((way, to), from) in way.iter_mut().zip(other.0).zip(self.0).rev() {
            let (difference, one) = to.overflowing_sub(from);
            let (difference, two) = difference.overflowing_sub(u8::from(borrow));
            (*way, borrow) = (difference, one || two);
        }
        way
    }

    /// How far apart two places are: the shorter way round the ring.
    pub fn distance(self, other: Self) -> [u8; 32] {
        self.way_to(other).min(other.way_to(self))
    }

    /// The place in the middle of the way up to another; of two, the first.
    pub fn midway_to(self, other: Self) -> Self {
        let mut half = self.way_to(other);
        let mut carried = 0;
        for byte in &mut half {
            (*byte, carried) = ((*byte >> 1) | carried, *byte << 7);
        }
        self.further(half)
    }

    /// The place after this one.
    pub fn next(self) -> Self {
        let mut one = [0; 32];
        one[31] = 1;
        self.further(one)
    }

    /// The place before this one.
    pub fn previous(self) -> Self {
        self.further([0xff; 32])
    }

    fn further(self, way: [u8; 32]) -> Self {
        let mut place = [0; 32];
        let mut carry = false;
        for ((place, from), way) in place.iter_mut().zip(self.0).zip(way).rev() {
            let (sum, one) = from.overflowing_add(way);
            let (sum, two) = sum.overflowing_add(u8::from(carry));
            (*place, carry) = (sum, one || two);
        }
        Self(place)
    }

    /// The top 64 bits of the place, which say how far round the ring it is.
    pub fn top(self) -> u64 {
        self.0.first_chunk::<8>().map_or(0, |top| u64::from_be_bytes(*top))
    }
}

impl fmt::Display for GroupAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&PeerId(self.0), f)
    }
}

impl fmt::Debug for GroupAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A member on a ring.
#[allow(missing_docs, reason = "the names say it")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingMember<T> {
    pub peer: PeerId,
    /// What the ring's owner keeps about the member.
    pub value: T,
}

/// Peers in the order of the ring. Each operation takes logarithmic time, besides that for what it returns.
#[derive(Clone, Debug)]
pub struct Ring<T>(BTreeMap<GroupAddress, RingMember<T>>);

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Ring<T> {
    /// The number of members.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a peer, and returns what was kept about it before.
    pub fn insert(&mut self, peer: PeerId, value: T) -> Option<T> {
        self.0.insert(GroupAddress::of(&peer), RingMember { peer, value }).map(|before| before.value)
    }

    /// Removes a peer, and returns what was kept about it.
    pub fn remove(&mut self, peer: &PeerId) -> Option<T> {
        self.0.remove(&GroupAddress::of(peer)).map(|member| member.value)
    }

    /// What is kept about a peer.
    pub fn get(&self, peer: &PeerId) -> Option<&T> {
        self.0.get(&GroupAddress::of(peer)).map(|member| &member.value)
    }

    /// What is kept about a peer, to be changed.
    pub fn get_mut(&mut self, peer: &PeerId) -> Option<&mut T> {
        self.0.get_mut(&GroupAddress::of(peer)).map(|member| &mut member.value)
    }

    /// All members, in the order of the ring.
    pub fn iter(&self) -> impl Iterator<Item = &RingMember<T>> {
        self.0.values()
    }

    /// All members with their places, in the order of the ring.
    pub fn places(&self) -> impl Iterator<Item = (GroupAddress, &RingMember<T>)> {
        self.0.iter().map(|(place, member)| (*place, member))
    }

    /// Keeps the members for which `keep` is true.
    pub fn retain(&mut self, mut keep: impl FnMut(&PeerId, &mut T) -> bool) {
        self.0.retain(|_, member| keep(&member.peer, &mut member.value));
    }

    /// All members but the one at `place`, beginning with the next one after it, once round the ring.
    pub fn after(&self, place: GroupAddress) -> impl Iterator<Item = &RingMember<T>> {
        self.0.range((Excluded(place), Unbounded)).chain(self.0.range(..place)).map(|(_, member)| member)
    }

    /// The members beyond a place, in the order of the ring up to its end, with their places; without a place all members.
    pub fn beyond(&self, place: Option<GroupAddress>) -> impl Iterator<Item = (GroupAddress, &RingMember<T>)> {
        let from = place.map_or(Unbounded, Excluded);
        self.0.range((from, Unbounded)).map(|(place, member)| (*place, member))
    }

    /// All members but the one at `place`, beginning with the next one before it, once round the ring the other way.
    pub fn before(&self, place: GroupAddress) -> impl Iterator<Item = &RingMember<T>> {
        let beyond = self.0.range((Excluded(place), Unbounded));
        self.0.range(..place).rev().chain(beyond.rev()).map(|(_, member)| member)
    }

    /// The first member at or after a place.
    pub fn at_or_after(&self, place: GroupAddress) -> Option<&RingMember<T>> {
        self.0.range((Included(place), Unbounded)).next().or_else(|| self.0.iter().next()).map(|(_, member)| member)
    }

    /// The first member after a random place. A member after a wide gap is returned more often than one after a narrow gap.
    pub fn random(&self, rng: &mut impl Rng) -> Option<&RingMember<T>> {
        self.at_or_after(GroupAddress::random(rng))
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng;

    use super::*;

    fn ring(count: u8) -> Ring<u8> {
        let mut ring = Ring::default();
        for number in 0..count {
            assert_eq!(ring.insert(PeerId([number; 32]), number), None);
        }
        ring
    }

    #[test]
    fn the_place_of_a_recorded_peer() {
        // WIRE.md §1.2: it is the hash of the 34 bytes, not of the bare ID.
        let peer: PeerId = "8700fef1e5e0e48500abd3f8e482edc05b291825957534e0878abdc3cde0ad0f".parse().unwrap();
        let epd = hex::decode(format!("210f{peer}")).unwrap();
        assert_eq!(GroupAddress::of(&peer).0[..], Sha256::digest(epd)[..]);
    }

    #[test]
    fn round_the_ring_both_ways() {
        for count in 0..20 {
            let ring = ring(count);
            let all: Vec<_> = ring.iter().map(|member| member.peer).collect();
            for peer in &all {
                let place = GroupAddress::of(peer);
                let at = all.iter().position(|other| other == peer).unwrap();
                let mut expected: Vec<_> = all[at + 1..].iter().chain(&all[..at]).copied().collect();
                assert_eq!(ring.after(place).map(|member| member.peer).collect::<Vec<_>>(), expected);
                expected.reverse();
                assert_eq!(ring.before(place).map(|member| member.peer).collect::<Vec<_>>(), expected);
                assert_eq!(ring.at_or_after(place).unwrap().peer, *peer);
            }
            // Places that no member has.
            assert_eq!(ring.after(GroupAddress([0; 32])).count(), usize::from(count));
            assert_eq!(ring.before(GroupAddress([0xff; 32])).count(), usize::from(count));
            assert_eq!(ring.at_or_after(GroupAddress([0xff; 32])).map(|member| member.peer), all.first().copied());
        }
    }

    #[test]
    fn every_member_comes_up_at_random() {
        let ring = ring(10);
        let mut rng = ChaCha8Rng::from_seed([3; 32]);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..2000 {
            seen.insert(ring.random(&mut rng).unwrap().peer);
        }
        assert_eq!(seen.len(), 10);
        assert!(Ring::<u8>::default().random(&mut rng).is_none());
    }

    #[test]
    fn a_ring_is_empty_until_a_peer_comes_and_when_all_have_gone() {
        let mut ring = Ring::default();
        assert!(ring.is_empty());
        ring.insert(PeerId([1; 32]), ());
        assert!(!ring.is_empty());
        ring.remove(&PeerId([1; 32]));
        assert!(ring.is_empty());
    }

    #[test]
    fn parts_of_the_ring() {
        let place = GroupAddress([0xff; 32]);
        assert_eq!(place.onwards(1).0[0], 0x7f, "half of it");
        assert_eq!(place.onwards(8).0[0], 0x00, "over the top");
        assert_eq!(place.onwards(8).0[1..], place.0[1..]);
        for none in [0, 65, u32::MAX] {
            assert_eq!(place.onwards(none), place);
        }
        assert_eq!(GroupAddress([0; 32]).onwards(64).top(), 1);
    }
}
