//! Watches the startup packets that a client receives, for diagnostics that the engine has no events for: which addresses answered a
//! hello, and to which addresses the server redirected the client.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use introd_udp::{Ports, Tap};
use rtmfp::TaggedAddress;
use rtmfp::crypto::{Opener, cipher};
use rtmfp::wire::{Chunk, PacketHeader, packet};

/// The most addresses that are kept of each kind.
const MAX_KEPT: usize = 32;

/// What was observed since the last [`StartupObserver::clear`].
#[derive(Clone, Debug, Default)]
pub(super) struct Observed {
    /// The addresses that answered a hello.
    pub(super) answered: Vec<SocketAddr>,
    /// The addresses in redirects.
    pub(super) redirects: Vec<TaggedAddress>,
}

/// Watches the startup packets of one endpoint.
#[derive(Clone, Debug, Default)]
pub(super) struct StartupObserver(Arc<Mutex<Observed>>);

impl StartupObserver {
    /// Watches the packets that come in at `ports`.
    pub(super) fn watch(ports: &mut Ports) -> Self {
        let observer = Self::default();
        let noting = observer.clone();
        let own: Vec<u16> = ports.local_addresses().map(|address| address.port()).collect();
        let mut opener = Opener::startup();
        let tap: Tap = Box::new(move |_, from, to, datagram| {
            // A tap gets the packets of both directions. What comes from one of the endpoint's own ports was sent by it.
            if cipher::session_id(datagram) == Some(0) && own.contains(&to.port()) && !own.contains(&from.port()) {
                noting.note(from, &mut opener, &mut datagram.to_vec());
            }
        });
        ports.add_tap(tap);
        observer
    }

    fn lock(&self) -> MutexGuard<'_, Observed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn clear(&self) {
        *self.lock() = Observed::default();
    }

    pub(super) fn observed(&self) -> Observed {
        self.lock().clone()
    }

    fn note(&self, from: SocketAddr, opener: &mut Opener, datagram: &mut [u8]) {
        let Ok(mut plain) = opener.open(datagram) else { return };
        if PacketHeader::take(&mut plain).is_err() {
            return;
        }
        let mut observed = self.lock();
        for raw in packet::chunks(plain) {
            match Chunk::parse(raw) {
                Ok(Chunk::RHello(_)) => keep(&mut observed.answered, from),
                Ok(Chunk::Redirect(redirect)) => {
                    redirect.destinations().for_each(|destination| keep(&mut observed.redirects, destination));
                }
                _ => (),
            }
        }
    }
}

fn keep<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if list.len() < MAX_KEPT && !list.contains(&item) {
        list.push(item);
    }
}
