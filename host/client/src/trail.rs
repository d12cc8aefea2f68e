//! What the startup packets that come in tell beyond what the engine makes of them: who answered, and whom the server named.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rtmfp::TaggedAddress;
use rtmfp::crypto::{Opener, cipher};
use rtmfp::wire::{Chunk, PacketHeader, packet};

use introd_udp::{Ports, Tap};

/// Addresses kept of each kind.
const MAX_KEPT: usize = 32;

/// What has been seen since the last [`Trail::clear`].
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Who answered a hello.
    pub(super) answered: Vec<SocketAddr>,
    /// Where redirects led.
    pub(super) redirects: Vec<TaggedAddress>,
}

/// Watches the startup packets of a peer.
#[derive(Clone, Debug, Default)]
pub(super) struct Trail(Arc<Mutex<Seen>>);

impl Trail {
    /// Watches what comes in by `ports`. It takes the place of another tap.
    pub(super) fn watch(ports: &mut Ports) -> Self {
        let trail = Self::default();
        let noted = trail.clone();
        let own: Vec<u16> = ports.local_addresses().map(|address| address.port()).collect();
        let mut opener = Opener::startup();
        let tap: Tap = Box::new(move |_, from, to, datagram| {
            // Both directions are seen. A packet between two peers on one machine comes from a port that is not ours.
            if cipher::session_id(datagram) == Some(0) && own.contains(&to.port()) && !own.contains(&from.port()) {
                noted.note(from, &mut opener, &mut datagram.to_vec());
            }
        });
        ports.add_tap(tap);
        trail
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn clear(&self) {
        *self.lock() = Seen::default();
    }

    pub(super) fn seen(&self) -> Seen {
        self.lock().clone()
    }

    fn note(&self, from: SocketAddr, opener: &mut Opener, datagram: &mut [u8]) {
        let Ok(mut plain) = opener.open(datagram) else { return };
        if PacketHeader::take(&mut plain).is_err() {
            return;
        }
        let mut seen = self.lock();
        for raw in packet::chunks(plain) {
            match Chunk::parse(raw) {
                Ok(Chunk::RHello(_)) => keep(&mut seen.answered, from),
                Ok(Chunk::Redirect(redirect)) => {
                    redirect.destinations().for_each(|destination| keep(&mut seen.redirects, destination));
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
