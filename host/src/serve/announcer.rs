//! Publishes the addresses of this server's peers in the registry that several servers share.

use std::sync::Arc;

use rtmfp::PeerId;
use smallvec::SmallVec;

use crate::introducer::{Counter, Directory, WorkerCounters, published, relays};
use crate::network::Standing;
use introd_policy::Peer;
use introd_policy::registry::{PeerSession, Registry};

/// What other servers are told of a peer that is connected here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nothing: the script of the peer's application publishes its clients itself.
    Nothing,
    /// That they should ask this server: the peer's application has a say in introductions to the peer, so that no asker gets its
    /// addresses without the consent of that application.
    Where,
    /// Its addresses, and that this server introduces.
    All,
}

/// Keeps the shared registry in line with the directory.
pub struct Announcer {
    registry: Arc<dyn Registry>,
}

impl Announcer {
    /// An announcer to that registry.
    pub fn new(registry: Arc<dyn Registry>) -> Self {
        Self { registry }
    }

    /// The registry.
    pub fn registry(&self) -> &Arc<dyn Registry> {
        &self.registry
    }

    /// Publishes what the directory says of a peer now, as far as others may know it. `is_proven` says whether its sessions prove its id:
    /// theirs: all of them do, or none. `standing` says where others reach this server: peers can be looked up there.
    ///
    /// This must be called after each change of the directory's entry. Two workers may do so at a time, for the old session of a
    /// peer and for its new one: the entry is compared again after it was published, so that the last publication is the true one.
    pub fn announce(
        &self,
        directory: &Directory,
        standing: &Standing,
        peer: PeerId,
        is_proven: bool,
        counters: &WorkerCounters,
        told: impl Fn(&Peer) -> Told,
    ) {
        let mut known = directory.lookup(&peer);
        loop {
            match &known {
                Some(here) => {
                    let told = told(here);
                    let addresses = match told {
                        // The state of the session still matters for what the script has published.
                        Told::Nothing => SmallVec::new(),
                        Told::Where => relays(&standing.near_addresses),
                        Told::All => published(here, &standing.near_addresses, &standing.site),
                    };
                    if addresses.is_empty() && told != Told::Nothing {
                        // Other servers could not send peers here. The log says so at the start. The peer is published when there is an
                        // address.
                        return;
                    }
                    let session = PeerSession { id: here.owner, is_proven, is_silent: here.is_silent };
                    if let Err(error) = self.registry.publish_session(peer, &addresses, session) {
                        counters.add(Counter::RegistryUnpublished);
                        tracing::debug!(%peer, %error, "the registry does not accept the addresses of a peer");
                    }
                }
                None => self.registry.withdraw(&peer),
            }
            let after = directory.lookup(&peer);
            if after == known {
                return;
            }
            known = after;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use parking_lot::Mutex;
    use rtmfp::SessionId;

    use super::*;
    use crate::introducer::Counters;
    use crate::serve::testing::Published;
    use introd_policy::registry::{InMemory, LookupFuture, LookupResult, RegistryError};

    fn find(registry: &InMemory, peer: PeerId) -> LookupResult {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(registry.lookup(peer))
    }

    #[test]
    fn the_registry_says_what_the_directory_says() {
        let (registry, directory, counters) = (Arc::new(InMemory::new(1)), Directory::new(), Counters::new(1));
        let relay: SocketAddr = "198.51.100.1:1935".parse().unwrap();
        let (announcer, standing) = (Announcer::new(Arc::clone(&registry) as _), Standing::at(Arc::from([relay])));
        let (peer, session) = (PeerId([1; 32]), SessionId::from_wire(7));
        let announce =
            |peer, told: Told| announcer.announce(&directory, &standing, peer, false, counters.worker(0), |_| told);
        directory.connect(peer, session, 0, "203.0.113.5:5".parse().unwrap(), false);
        announce(peer, Told::All);
        let addresses: Vec<String> = find(&registry, peer).unwrap().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["203.0.113.5:5 (observed)", "198.51.100.1:1935 (relay)"]);
        directory.connect(PeerId([2; 32]), session, 0, "203.0.113.6:5".parse().unwrap(), false);
        announce(PeerId([2; 32]), Told::All);
        assert_eq!(counters.snapshot().get(Counter::RegistryUnpublished), 1, "it is full");
        directory.set_observed(&peer, session, "203.0.113.9:9".parse().unwrap());
        announce(peer, Told::All);
        assert_eq!(find(&registry, peer).unwrap().unwrap()[0].address, "203.0.113.9:9".parse().unwrap());
        directory.set_observed(&peer, session, "203.0.113.10:10".parse().unwrap());
        announce(peer, Told::Nothing);
        assert_eq!(find(&registry, peer).unwrap().unwrap()[0].address, "203.0.113.9:9".parse().unwrap());
        announce(peer, Told::Where);
        let addresses: Vec<String> = find(&registry, peer).unwrap().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["198.51.100.1:1935 (relay)"], "only this server gives the peer's own addresses away");
        directory.remove(&peer, session);
        announce(peer, Told::All);
        assert_eq!(find(&registry, peer), Ok(None));
    }

    /// A registry in which each publication changes the directory, as another worker may.
    struct Racing {
        directory: Arc<Directory>,
        peer: PeerId,
        session: SessionId,
        left: Mutex<Vec<SocketAddr>>,
        published: Mutex<Vec<String>>,
        withdrawn: Mutex<usize>,
    }

    impl Registry for Racing {
        fn publish(&self, _: PeerId, addresses: &[rtmfp::TaggedAddress]) -> Result<(), RegistryError> {
            self.published.lock().push(addresses[0].to_string());
            match self.left.lock().pop() {
                Some(next) => _ = self.directory.set_observed(&self.peer, self.session, next),
                None => _ = self.directory.remove(&self.peer, self.session),
            }
            Ok(())
        }

        fn withdraw(&self, _: &PeerId) {
            *self.withdrawn.lock() += 1;
        }

        fn lookup(&self, _: PeerId) -> LookupFuture {
            Box::pin(std::future::ready(Ok(None)))
        }
    }

    #[test]
    fn what_changes_while_it_is_published_is_published_again() {
        let (directory, counters) = (Arc::new(Directory::new()), Counters::new(1));
        let (peer, session) = (PeerId([1; 32]), SessionId::from_wire(7));
        let registry = Arc::new(Racing {
            directory: Arc::clone(&directory),
            peer,
            session,
            left: Mutex::new(vec!["203.0.113.7:7".parse().unwrap(), "203.0.113.6:6".parse().unwrap()]),
            published: Mutex::default(),
            withdrawn: Mutex::new(0),
        });
        let standing = Standing::at(Arc::from(["198.51.100.1:1935".parse().unwrap()]));
        let announcer = Announcer::new(Arc::clone(&registry) as _);
        directory.connect(peer, session, 0, "203.0.113.5:5".parse().unwrap(), false);
        announcer.announce(&directory, &standing, peer, false, counters.worker(0), |_| Told::All);
        let expected = ["203.0.113.5:5 (observed)", "203.0.113.6:6 (observed)", "203.0.113.7:7 (observed)"];
        assert_eq!(*registry.published.lock(), expected);
        assert_eq!(*registry.withdrawn.lock(), 1, "the peer is gone in the end");
    }

    #[test]
    fn nothing_is_published_that_would_lead_nobody_anywhere() {
        let (shared, directory, counters) = (Published::new(), Directory::new(), Counters::new(1));
        let (announcer, standing) = (Announcer::new(Arc::clone(&shared) as _), Standing::at(Arc::from([])));
        let (peer, session) = (PeerId([1; 32]), SessionId::from_wire(7));
        directory.connect(peer, session, 0, "203.0.113.5:5".parse().unwrap(), false);
        let announce = |told| announcer.announce(&directory, &standing, peer, true, counters.worker(0), |_| told);
        announce(Told::Where);
        assert_eq!(shared.of(peer), None, "the server has no address that others could ask");
        // What the script has published stands, and the state of the session with it.
        announce(Told::Nothing);
        let state = PeerSession { id: session, is_proven: true, is_silent: false };
        assert_eq!(shared.of(peer), Some((Vec::new(), state)));
    }
}
