//! Telling the registry that several servers share where this server's peers are.

use std::net::SocketAddr;
use std::sync::Arc;

use rtmfp::PeerId;
use smallvec::SmallVec;

use crate::introducer::{Counter, Directory, WorkerCounters, published, relays};
use introd_policy::Peer;
use introd_policy::registry::{PeerSession, Registry};

/// What other servers are told of a peer that is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nothing: its application's script says for itself what others are to know of its clients.
    Nothing,
    /// That this server is to be asked: the peer's application has a say in who is introduced to it, so that nobody is to have its
    /// addresses who was not asked about here.
    Where,
    /// Its addresses, and that this server introduces.
    All,
}

/// Keeps the shared registry in line with the directory.
pub struct Announcer {
    registry: Arc<dyn Registry>,
    relays: Arc<[SocketAddr]>,
}

impl Announcer {
    /// Peers can be asked for at `relays`: this server's addresses as others reach them.
    pub fn new(registry: Arc<dyn Registry>, relays: Arc<[SocketAddr]>) -> Self {
        Self { registry, relays }
    }

    /// Says of a peer what the directory says of it now, as far as others are to be told, and whether its sessions prove that its id is
    /// theirs: all of them do, or none.
    ///
    /// Is to be called after each change of the directory's entry. Two workers may do so at a time, for the old session of a
    /// peer and for its new one: what was said is looked at again, so that the last word is the true one.
    pub fn announce(
        &self,
        directory: &Directory,
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
                        // What the script says of it counts more or less all the same.
                        Told::Nothing => SmallVec::new(),
                        Told::Where => relays(&self.relays),
                        Told::All => published(here, &self.relays),
                    };
                    if addresses.is_empty() && told != Told::Nothing {
                        // Nobody could ask here; the log says so at the start.
                        return;
                    }
                    let session = PeerSession { id: here.owner, is_proven, is_silent: here.is_silent };
                    if let Err(error) = self.registry.publish_session(peer, &addresses, session) {
                        counters.add(Counter::RegistryUnpublished);
                        tracing::debug!(%peer, %error, "the registry does not take in where a peer is");
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
    use rtmfp::SessionId;

    use super::*;
    use crate::introducer::Counters;
    use introd_policy::registry::{InMemory, LookupResult};

    fn find(registry: &InMemory, peer: PeerId) -> LookupResult {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(registry.lookup(peer))
    }

    #[test]
    fn the_registry_says_what_the_directory_says() {
        let (registry, directory, counters) = (Arc::new(InMemory::new(1)), Directory::new(), Counters::new(1));
        let relay: SocketAddr = "198.51.100.1:1935".parse().unwrap();
        let announcer = Announcer::new(Arc::clone(&registry) as _, Arc::from([relay]));
        let (peer, session) = (PeerId([1; 32]), SessionId::from_wire(7));
        let announce = |peer, told: Told| announcer.announce(&directory, peer, false, counters.worker(0), |_| told);
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
        assert_eq!(
            addresses,
            ["198.51.100.1:1935 (relay)"],
            "the peer's own addresses are for this server to give away"
        );
        directory.remove(&peer, session);
        announce(peer, Told::All);
        assert_eq!(find(&registry, peer), Ok(None));
    }
}
