//! The registry as scripts have it.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use introd_policy::registry::{
    GroupMember, LookupFuture, NeighborQuery, NeighborsFuture, PeerSession, Registry, RegistryError,
};
use rtmfp::{PeerId, TaggedAddress};

use crate::introducer::Directory;

/// A registry whose lookups have a timeout, since scripts have none of their own, and where nobody withdraws what was published of a peer on
/// behalf of another application.
pub struct ForScripts {
    registry: Arc<dyn Registry>,
    directory: Arc<Directory>,
    timeout: Duration,
}

impl ForScripts {
    /// Gives the registry's lookups that timeout. The directory says which peers are connected here.
    pub fn new(registry: Arc<dyn Registry>, directory: Arc<Directory>, timeout: Duration) -> Self {
        Self { registry, directory, timeout }
    }
}

impl Registry for ForScripts {
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

    fn withdraw_of_others(&self, peer: &PeerId) {
        // When the last session of the peer ends, the announcer withdraws it in any case.
        if self.directory.lookup(peer).is_none() {
            self.registry.withdraw(peer);
        }
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
        let scripts = ForScripts::new(Arc::clone(&full) as _, Arc::new(Directory::new()), Duration::from_secs(3600));
        let (peer, session) = (PeerId([7; 32]), rtmfp::SessionId::from_wire(5));
        let session = PeerSession { id: session, is_proven: true, is_silent: false };
        assert_eq!(scripts.publish(peer, &[]), Err(RegistryError::Full));
        assert_eq!(scripts.publish_session(peer, &[], session), Err(RegistryError::Full));
        scripts.withdraw(&peer);
        assert!(scripts.has_groups() && !of(Arc::new(Silent)).has_groups());
        assert_eq!(scripts.join_group(&MEMBER), Err(RegistryError::Full));
        assert_eq!(scripts.leave_group(&MEMBER), Err(RegistryError::Full));
        let told = ["publish 7 0", "publish 7 0 of 5", "withdraw 7", "join 7", "leave 7"];
        assert_eq!(*full.0.lock().unwrap(), told);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        assert_eq!(runtime.block_on(async { scripts.lookup(peer).await }), Err(RegistryError::Full));
        assert_eq!(runtime.block_on(async { scripts.group_neighbors(&QUERY).await }), Err(RegistryError::Full));
    }

    #[test]
    fn a_peer_that_another_application_has_stays_published() {
        let (full, directory) = (Arc::new(Full::default()), Arc::new(Directory::new()));
        let scripts = ForScripts::new(Arc::clone(&full) as _, Arc::clone(&directory), Duration::ZERO);
        let (here, gone) = (PeerId([8; 32]), PeerId([9; 32]));
        directory.connect(here, rtmfp::SessionId::from_wire(5), 0, "192.0.2.1:5".parse().unwrap(), true);
        scripts.withdraw_of_others(&here);
        scripts.withdraw_of_others(&gone);
        scripts.withdraw(&here);
        assert_eq!(*full.0.lock().unwrap(), ["withdraw 9", "withdraw 8"]);
    }

    /// That registry for scripts of a server without clients, with a short timeout.
    fn of(registry: Arc<dyn Registry>) -> ForScripts {
        ForScripts::new(registry, Arc::new(Directory::new()), Duration::from_millis(1))
    }

    #[test]
    fn no_lookup_waits_for_ever() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let find = |registry: Arc<dyn Registry>| {
            let scripts = of(registry);
            runtime.block_on(async { scripts.lookup(PeerId([1; 32])).await })
        };
        let neighbors = |registry: Arc<dyn Registry>| {
            let scripts = of(registry);
            runtime.block_on(async { scripts.group_neighbors(&QUERY).await })
        };
        let late = RegistryError::Unavailable("no answer within 1 ms".to_owned());
        assert_eq!(neighbors(Arc::new(Silent)), Err(late.clone()));
        assert_eq!(neighbors(Arc::new(InMemory::default())), Ok(Vec::new()));
        assert_eq!(find(Arc::new(Silent)), Err(late));
        assert_eq!(find(Arc::new(InMemory::default())), Ok(None));
    }
}
