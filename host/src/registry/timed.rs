//! A registry whose lookups have a timeout.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use introd_policy::registry::{
    GroupMember, LookupFuture, NeighborQuery, NeighborsFuture, PeerSession, Registry, RegistryError,
};
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
        in_time(self.registry.lookup(peer), self.timeout)
    }

    fn has_groups(&self) -> bool {
        self.registry.has_groups()
    }

    fn join_group(&self, member: &GroupMember) -> Result<(), RegistryError> {
        self.registry.join_group(member)
    }

    fn leave_group(&self, member: &GroupMember) -> Result<(), RegistryError> {
        self.registry.leave_group(member)
    }

    fn group_neighbors(&self, query: &NeighborQuery) -> NeighborsFuture {
        in_time(self.registry.group_neighbors(query), self.timeout)
    }
}

/// The answer of a registry, or a failure when the time is over.
fn in_time<T: 'static>(
    answer: Pin<Box<dyn Future<Output = Result<T, RegistryError>> + Send>>,
    timeout: Duration,
) -> Pin<Box<dyn Future<Output = Result<T, RegistryError>> + Send>> {
    Box::pin(async move {
        let late = || Err(RegistryError::Unavailable(format!("no answer within {} ms", timeout.as_millis())));
        tokio::time::timeout(timeout, answer).await.unwrap_or_else(|_| late())
    })
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

        fn group_neighbors(&self, _: &NeighborQuery) -> NeighborsFuture {
            Box::pin(std::future::pending())
        }
    }

    const MEMBER: GroupMember = GroupMember { group: [1; 32], peer: PeerId([7; 32]), position: [2; 32] };
    const QUERY: NeighborQuery = NeighborQuery { member: MEMBER, near: 3, far: 3 };

    /// Keeps what it is told, and takes in nothing.
    #[derive(Default)]
    struct Full(std::sync::Mutex<Vec<String>>);

    impl Registry for Full {
        fn publish(&self, peer: PeerId, addresses: &[TaggedAddress]) -> Result<(), RegistryError> {
            self.0.lock().unwrap().push(format!("publish {} {}", peer.0[0], addresses.len()));
            Err(RegistryError::Full)
        }

        fn publish_session(
            &self,
            peer: PeerId,
            addresses: &[TaggedAddress],
            session: PeerSession,
        ) -> Result<(), RegistryError> {
            let (peer, count, session) = (peer.0[0], addresses.len(), session.id.get());
            self.0.lock().unwrap().push(format!("publish {peer} {count} of {session}"));
            Err(RegistryError::Full)
        }

        fn withdraw(&self, peer: &PeerId) {
            self.0.lock().unwrap().push(format!("withdraw {}", peer.0[0]));
        }

        fn lookup(&self, _: PeerId) -> LookupFuture {
            Box::pin(std::future::ready(Err(RegistryError::Full)))
        }

        fn has_groups(&self) -> bool {
            true
        }

        fn join_group(&self, member: &GroupMember) -> Result<(), RegistryError> {
            self.0.lock().unwrap().push(format!("join {}", member.peer.0[0]));
            Err(RegistryError::Full)
        }

        fn leave_group(&self, member: &GroupMember) -> Result<(), RegistryError> {
            self.0.lock().unwrap().push(format!("leave {}", member.peer.0[0]));
            Err(RegistryError::Full)
        }

        fn group_neighbors(&self, _: &NeighborQuery) -> NeighborsFuture {
            Box::pin(std::future::ready(Err(RegistryError::Full)))
        }
    }

    #[test]
    fn everything_but_the_time_of_a_lookup_is_up_to_the_registry() {
        let full = Arc::new(Full::default());
        let timed = Timed::new(Arc::clone(&full) as _, Duration::from_secs(3600));
        let (peer, session) = (PeerId([7; 32]), rtmfp::SessionId::from_wire(5));
        let session = PeerSession { id: session, is_proven: true, is_silent: false };
        assert_eq!(timed.publish(peer, &[]), Err(RegistryError::Full));
        assert_eq!(timed.publish_session(peer, &[], session), Err(RegistryError::Full));
        timed.withdraw(&peer);
        assert!(timed.has_groups() && !Timed::new(Arc::new(Silent), Duration::ZERO).has_groups());
        assert_eq!(timed.join_group(&MEMBER), Err(RegistryError::Full));
        assert_eq!(timed.leave_group(&MEMBER), Err(RegistryError::Full));
        let told = ["publish 7 0", "publish 7 0 of 5", "withdraw 7", "join 7", "leave 7"];
        assert_eq!(*full.0.lock().unwrap(), told);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        assert_eq!(runtime.block_on(async { timed.lookup(peer).await }), Err(RegistryError::Full));
        assert_eq!(runtime.block_on(async { timed.group_neighbors(&QUERY).await }), Err(RegistryError::Full));
    }

    #[test]
    fn no_lookup_waits_for_ever() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let find = |registry: Arc<dyn Registry>| {
            let timed = Timed::new(registry, Duration::from_millis(1));
            runtime.block_on(async { timed.lookup(PeerId([1; 32])).await })
        };
        let neighbors = |registry: Arc<dyn Registry>| {
            let timed = Timed::new(registry, Duration::from_millis(1));
            runtime.block_on(async { timed.group_neighbors(&QUERY).await })
        };
        let late = RegistryError::Unavailable("no answer within 1 ms".to_owned());
        assert_eq!(neighbors(Arc::new(Silent)), Err(late.clone()));
        assert_eq!(neighbors(Arc::new(InMemory::default())), Ok(Vec::new()));
        assert_eq!(find(Arc::new(Silent)), Err(late));
        assert_eq!(find(Arc::new(InMemory::default())), Ok(None));
    }
}
