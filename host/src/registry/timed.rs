//! A registry whose lookups have a timeout.

use std::sync::Arc;
use std::time::Duration;

use introd_policy::registry::{LookupFuture, PeerSession, Registry, RegistryError};
use rtmfp::{PeerId, TaggedAddress};

/// A registry whose lookups have a timeout, for callers that have none of their own.
pub struct Timed {
    registry: Arc<dyn Registry>,
    timeout: Duration,
}

impl Timed {
    /// Gives the registry's lookups that timeout.
    pub fn new(registry: Arc<dyn Registry>, timeout: Duration) -> Self {
        Self { registry, timeout }
    }
}

impl Registry for Timed {
    fn publish(&self, peer: PeerId, addresses: &[TaggedAddress]) -> Result<(), RegistryError> {
        self.registry.publish(peer, addresses)
    }

    fn publish_session(
        &self,
        peer: PeerId,
        addresses: &[TaggedAddress],
        session: PeerSession,
    ) -> Result<(), RegistryError> {
        self.registry.publish_session(peer, addresses, session)
    }

    fn withdraw(&self, peer: &PeerId) {
        self.registry.withdraw(peer);
    }

    fn lookup(&self, peer: PeerId) -> LookupFuture {
        let (answer, timeout) = (self.registry.lookup(peer), self.timeout);
        Box::pin(async move {
            let late = || Err(RegistryError::Unavailable(format!("no answer within {} ms", timeout.as_millis())));
            tokio::time::timeout(timeout, answer).await.unwrap_or_else(|_| late())
        })
    }
}

#[cfg(test)]
mod tests {
    use introd_policy::registry::InMemory;

    use super::*;

    struct Silent;

    impl Registry for Silent {
        fn publish(&self, _: PeerId, _: &[TaggedAddress]) -> Result<(), RegistryError> {
            Ok(())
        }

        fn withdraw(&self, _: &PeerId) {}

        fn lookup(&self, _: PeerId) -> LookupFuture {
            Box::pin(std::future::pending())
        }
    }

    #[test]
    fn no_lookup_waits_for_ever() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let find = |registry: Arc<dyn Registry>| {
            let timed = Timed::new(registry, Duration::from_millis(1));
            runtime.block_on(async { timed.lookup(PeerId([1; 32])).await })
        };
        let late = RegistryError::Unavailable("no answer within 1 ms".to_owned());
        assert_eq!(find(Arc::new(Silent)), Err(late));
        assert_eq!(find(Arc::new(InMemory::default())), Ok(None));
    }
}
