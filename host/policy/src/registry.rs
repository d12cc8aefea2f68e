//! The shared peer registry: the addresses of peers that are not connected to this server, for lookups.
//!
//! [`Registry`] is the seam. [`InMemory`] is the default: it knows what this server's own policies told it.
//! A registry of several servers stands behind the same trait.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rtmfp::{PeerId, SessionId, TaggedAddress};

/// The maximum number of addresses that are kept of one peer.
pub const MAX_ADDRESSES: usize = 16;

/// The result of a lookup: the addresses of the peer, or `None` if the registry does not know it.
pub type LookupResult = Result<Option<Vec<TaggedAddress>>, RegistryError>;

/// A lookup on its way.
pub type LookupFuture = Pin<Box<dyn Future<Output = LookupResult> + Send>>;

/// Why a registry failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// The registry holds the maximum number of peers.
    #[error("the registry is full")]
    Full,
    /// The registry cannot be reached, or fails otherwise.
    #[error("the registry is not available: {0}")]
    Unavailable(String),
}

/// The session by which a peer is connected to the server that publishes it. It decides which of several servers is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerSession {
    /// Identifies the session. A peer that reconnects has another one.
    pub id: SessionId,
    /// Whether the client has proven that the peer id is its own. If not, it may have copied the certificate, and should not replace a
    /// peer that another server has published.
    pub is_proven: bool,
    /// Whether the client has not answered a ping and may be gone. The entry of another server for the same peer takes precedence.
    pub is_silent: bool,
}

/// Knows at which addresses peers can be reached. No method blocks: a lookup is a future.
pub trait Registry: Send + Sync {
    /// Publishes the addresses of a peer, instead of the earlier ones. The first [`MAX_ADDRESSES`] count.
    ///
    /// # Errors
    /// If the registry cannot store the addresses. The earlier ones may remain.
    fn publish(&self, peer: PeerId, addresses: &[TaggedAddress]) -> Result<(), RegistryError>;

    /// As [`Self::publish`], for a peer that is connected here, with the state of its session. Without addresses, only that state
    /// has changed; it has an effect only if the peer is published.
    ///
    /// A registry that does not implement this serves one server only, or believes the server that published last: it is not told
    /// of silent sessions.
    ///
    /// # Errors
    /// As [`Self::publish`].
    fn publish_session(
        &self,
        peer: PeerId,
        addresses: &[TaggedAddress],
        session: PeerSession,
    ) -> Result<(), RegistryError> {
        if addresses.is_empty() || session.is_silent {
            return Ok(());
        }
        self.publish(peer, addresses)
    }

    /// Removes what this server has published of a peer.
    fn withdraw(&self, peer: &PeerId);

    /// Looks up the addresses at which a peer can be reached.
    fn lookup(&self, peer: PeerId) -> LookupFuture;
}

/// A registry in the memory of this server, for this server.
pub struct InMemory {
    peers: Mutex<Peers>,
    max_peers: usize,
}

type Peers = HashMap<PeerId, Box<[TaggedAddress]>>;

impl InMemory {
    /// An empty registry that accepts up to `max_peers` peers.
    pub fn new(max_peers: usize) -> Self {
        Self { peers: Mutex::default(), max_peers }
    }

    fn peers(&self) -> MutexGuard<'_, Peers> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
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
}
