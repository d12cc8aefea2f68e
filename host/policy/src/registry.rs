//! The shared peer registry: who can be reached where, for lookups of peers that are not connected here.
//!
//! [`Registry`] is the seam. [`InMemory`] is what a server has as it comes: it knows what this server's own policies told it.
//! A registry of several servers stands behind the same trait.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rtmfp::{PeerId, SessionId, TaggedAddress};

/// The most addresses that are kept of one peer.
pub const MAX_ADDRESSES: usize = 16;

/// What a lookup comes to: the addresses of the peer, or that nobody knows it.
pub type LookupResult = Result<Option<Vec<TaggedAddress>>, RegistryError>;

/// A lookup on its way.
pub type LookupFuture = Pin<Box<dyn Future<Output = LookupResult> + Send>>;

/// Why a registry did not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// It has as many peers as it may.
    #[error("the registry is full")]
    Full,
    /// It cannot be reached, or fails otherwise.
    #[error("the registry is not available: {0}")]
    Unavailable(String),
}

/// How a peer's session stands at the server that publishes the peer: which of several servers is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The session.
    pub session: SessionId,
    /// Whether it has proven that the peer's id is its own. A newcomer that has not is not to take the place of a peer that another server
    /// has: anybody may have copied its certificate.
    pub is_proven: bool,
    /// Whether nothing is heard of it though it was asked for a sign of life: what another server says counts before this.
    pub is_silent: bool,
}

/// Knows where peers can be reached. No method waits for anything; what takes time is a future.
pub trait Registry: Send + Sync {
    /// Says where a peer can be reached, instead of what was said before. The first [`MAX_ADDRESSES`] count.
    ///
    /// # Errors
    /// If the registry cannot take it in. What it said of the peer before may stand.
    fn publish(&self, peer: PeerId, addresses: &[TaggedAddress]) -> Result<(), RegistryError>;

    /// As [`Self::publish`], for a peer that is connected here, with a word on its session. Without addresses only that word is new, and
    /// says something only if the peer is published.
    ///
    /// A registry that does not implement this knows this server alone, or believes the last one that says something: what
    /// concerns silent sessions is not said to it.
    ///
    /// # Errors
    /// As [`Self::publish`].
    fn publish_session(
        &self,
        peer: PeerId,
        addresses: &[TaggedAddress],
        standing: Standing,
    ) -> Result<(), RegistryError> {
        if addresses.is_empty() || standing.is_silent {
            return Ok(());
        }
        self.publish(peer, addresses)
    }

    /// Takes back what was said of a peer.
    fn withdraw(&self, peer: &PeerId);

    /// Where a peer can be reached.
    fn lookup(&self, peer: PeerId) -> LookupFuture;
}

/// A registry in the memory of this server, for this server.
pub struct InMemory {
    peers: Mutex<Peers>,
    most: usize,
}

type Peers = HashMap<PeerId, Box<[TaggedAddress]>>;

impl InMemory {
    /// An empty registry for that many peers at most.
    pub fn new(most: usize) -> Self {
        Self { peers: Mutex::default(), most }
    }

    fn peers(&self) -> MutexGuard<'_, Peers> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for InMemory {
    /// As many peers as one server can have sessions for.
    fn default() -> Self {
        Self::new(rtmfp::MAX_SLOTS)
    }
}

impl Registry for InMemory {
    fn publish(&self, peer: PeerId, addresses: &[TaggedAddress]) -> Result<(), RegistryError> {
        let addresses: Box<[TaggedAddress]> = addresses.iter().take(MAX_ADDRESSES).copied().collect();
        let mut peers = self.peers();
        if peers.len() >= self.most && !peers.contains_key(&peer) {
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
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use rtmfp::Origin;

    use super::*;

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
        let standing = |is_silent| Standing { session: SessionId::from_wire(1), is_proven: false, is_silent };
        registry.publish_session(peer, &at("192.0.2.1:1"), standing(false)).unwrap();
        registry.publish_session(peer, &at("192.0.2.2:2"), standing(true)).unwrap();
        registry.publish_session(peer, &[], standing(false)).unwrap();
        assert_eq!(find(&registry, peer), Ok(Some(at("192.0.2.1:1").to_vec())));
        registry.publish_session(peer, &at("192.0.2.3:3"), standing(false)).unwrap();
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
}
