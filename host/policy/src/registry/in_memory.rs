//! The default registry: what this server's own policies told it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rtmfp::{PeerId, TaggedAddress};

use super::groups::Groups;
use super::{
    GroupMember, LookupFuture, MAX_ADDRESSES, MAX_MEMBERSHIPS, NeighborQuery, NeighborsFuture, Registry, RegistryError,
};

/// A registry in the memory of this server, for this server. It has groups, for scripts.
pub struct InMemory {
    peers: Mutex<Peers>,
    groups: Mutex<Groups>,
    max_peers: usize,
    max_memberships: usize,
}

type Peers = HashMap<PeerId, Box<[TaggedAddress]>>;

impl InMemory {
    /// An empty registry that accepts up to `max_peers` peers.
    pub fn new(max_peers: usize) -> Self {
        Self { peers: Mutex::default(), groups: Mutex::default(), max_peers, max_memberships: MAX_MEMBERSHIPS }
    }

    /// With room for that many memberships in groups, instead of [`MAX_MEMBERSHIPS`].
    #[must_use]
    pub fn with_memberships(self, max_memberships: usize) -> Self {
        Self { max_memberships, ..self }
    }

    fn peers(&self) -> MutexGuard<'_, Peers> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn groups(&self) -> MutexGuard<'_, Groups> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for InMemory {
    /// The default allows as many peers as one server can have sessions.
    fn default() -> Self {
        Self::new(rtmfp::MAX_SLOTS)
    }
}

impl Registry for InMemory {
    fn publish(&self, peer: PeerId, addresses: &[TaggedAddress]) -> Result<(), RegistryError> {
        let addresses: Box<[TaggedAddress]> = addresses.iter().take(MAX_ADDRESSES).copied().collect();
        let mut peers = self.peers();
        if peers.len() >= self.max_peers && !peers.contains_key(&peer) {
            return Err(RegistryError::Full);
        }
        peers.insert(peer, addresses);
        Ok(())
    }

    fn withdraw(&self, peer: &PeerId) {
        self.peers().remove(peer);
    }

    fn lookup(&self, peer: PeerId) -> LookupFuture {
        let found = self.peers().get(&peer).map(|addresses| addresses.to_vec());
        Box::pin(std::future::ready(Ok(found)))
    }

    fn has_groups(&self) -> bool {
        true
    }

    fn join_group(&self, member: &GroupMember) -> Result<(), RegistryError> {
        self.groups().join(member, self.max_memberships).then_some(()).ok_or(RegistryError::Full)
    }

    fn leave_group(&self, member: &GroupMember) -> Result<(), RegistryError> {
        self.groups().leave(member);
        Ok(())
    }

    fn group_neighbors(&self, query: &NeighborQuery) -> NeighborsFuture {
        let found = self.groups().neighbors(query);
        Box::pin(std::future::ready(Ok(found)))
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use rtmfp::{Origin, SessionId};

    use super::*;
    use crate::registry::{LookupResult, MAX_NEIGHBORS, PeerSession};

    fn find(registry: &InMemory, peer: PeerId) -> LookupResult {
        match registry.lookup(peer).as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => result,
            Poll::Pending => panic!("a registry in memory does not wait"),
        }
    }

    #[test]
    fn the_last_word_counts_until_it_is_taken_back() {
        let registry = InMemory::default();
        let (peer, other) = (PeerId([1; 32]), PeerId([2; 32]));
        let at = |text: &str| TaggedAddress::new(text.parse().unwrap(), Origin::Observed);
        registry.publish(peer, &[at("192.0.2.1:1")]).unwrap();
        registry.publish(peer, &[at("192.0.2.2:2"), at("192.0.2.3:3")]).unwrap();
        assert_eq!(find(&registry, peer), Ok(Some(vec![at("192.0.2.2:2"), at("192.0.2.3:3")])));
        assert_eq!(find(&registry, other), Ok(None));
        registry.withdraw(&peer);
        assert_eq!(find(&registry, peer), Ok(None));
    }

    #[test]
    fn a_silent_session_takes_nobodys_place() {
        let registry = InMemory::default();
        let peer = PeerId([1; 32]);
        let at = |text: &str| [TaggedAddress::new(text.parse().unwrap(), Origin::Observed)];
        let session = |is_silent| PeerSession { id: SessionId::from_wire(1), is_proven: false, is_silent };
        registry.publish_session(peer, &at("192.0.2.1:1"), session(false)).unwrap();
        registry.publish_session(peer, &at("192.0.2.2:2"), session(true)).unwrap();
        registry.publish_session(peer, &[], session(false)).unwrap();
        assert_eq!(find(&registry, peer), Ok(Some(at("192.0.2.1:1").to_vec())));
        registry.publish_session(peer, &at("192.0.2.3:3"), session(false)).unwrap();
        assert_eq!(find(&registry, peer), Ok(Some(at("192.0.2.3:3").to_vec())));
    }

    #[test]
    fn it_is_bounded() {
        let registry = InMemory::new(1);
        let address = TaggedAddress::new("192.0.2.1:1".parse().unwrap(), Origin::Reported);
        registry.publish(PeerId([1; 32]), &[address; 40]).unwrap();
        assert_eq!(find(&registry, PeerId([1; 32])).unwrap().unwrap().len(), MAX_ADDRESSES);
        assert_eq!(registry.publish(PeerId([2; 32]), &[address]), Err(RegistryError::Full));
        assert_eq!(registry.publish(PeerId([1; 32]), &[address]), Ok(()));
    }

    fn member(group: u8, number: u8) -> GroupMember {
        GroupMember { group: [group; 32], peer: PeerId([number; 32]), position: [number; 32] }
    }

    fn neighbors(registry: &InMemory, member: GroupMember, near: usize, far: usize) -> Vec<u8> {
        let mut future = registry.group_neighbors(&NeighborQuery { member, near, far });
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(found) => found.unwrap().iter().map(|peer| peer.0[0]).collect(),
            Poll::Pending => panic!("a registry in memory does not wait"),
        }
    }

    #[test]
    fn the_members_next_to_a_position_are_found_round_the_ring() {
        let registry = InMemory::default();
        assert!(registry.has_groups());
        assert_eq!(neighbors(&registry, member(1, 10), 3, 3), [0; 0], "no such group");
        for number in [10, 20, 30, 40, 50, 60, 70, 80] {
            registry.join_group(&member(1, number)).unwrap();
            registry.join_group(&member(1, number)).unwrap();
        }
        registry.join_group(&member(2, 15)).unwrap();
        assert_eq!(neighbors(&registry, member(1, 10), 2, 0), [20, 80, 30, 70]);
        assert_eq!(neighbors(&registry, member(1, 80), 1, 0), [10, 70]);
        assert_eq!(neighbors(&registry, member(1, 44), 1, 0), [50, 40], "it need not be a member");
        for (near, far) in [(3, 3), (16, 16), (1000, 1000), (0, 1000)] {
            let mut found = neighbors(&registry, member(1, 10), near, far);
            assert!(!found.contains(&10), "{found:?}");
            let count = found.len();
            found.sort_unstable();
            found.dedup();
            assert_eq!(found.len(), count, "each is named once");
            assert!(near == 0 || count == 7, "all of a small group: {found:?}");
        }
        registry.leave_group(&member(1, 20)).unwrap();
        registry.leave_group(&member(1, 21)).unwrap();
        registry.leave_group(&member(3, 20)).unwrap();
        assert_eq!(neighbors(&registry, member(1, 10), 1, 0), [30, 80]);
    }

    #[test]
    fn far_members_are_drawn_from_all_of_a_large_group_and_are_no_more_than_wanted() {
        let registry = InMemory::default();
        for number in 0..=255 {
            registry.join_group(&member(1, number)).unwrap();
        }
        assert_eq!(neighbors(&registry, member(1, 7), 1000, 1000).len(), 3 * MAX_NEIGHBORS);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..400 {
            let found = neighbors(&registry, member(1, 7), 3, 3);
            assert_eq!((found.len(), &found[..6]), (9, &[8, 6, 9, 5, 10, 4][..]));
            seen.extend(found[6..].iter().copied());
        }
        assert!(seen.len() > 200, "only {} of 249 ever", seen.len());
    }

    #[test]
    fn memberships_are_bounded_and_a_group_without_members_is_forgotten() {
        let registry = InMemory::new(1).with_memberships(2);
        assert_eq!(registry.join_group(&member(1, 1)), Ok(()));
        assert_eq!(registry.join_group(&member(2, 1)), Ok(()));
        assert_eq!(registry.join_group(&member(2, 2)), Err(RegistryError::Full));
        assert_eq!(registry.join_group(&member(3, 2)), Err(RegistryError::Full));
        assert_eq!(registry.join_group(&member(1, 1)), Ok(()), "it is a member already");
        assert_eq!(registry.groups().sizes(), (2, 2));
        registry.leave_group(&member(1, 1)).unwrap();
        assert_eq!(registry.groups().sizes(), (1, 1));
        assert_eq!(registry.join_group(&member(2, 2)), Ok(()));
    }
}
