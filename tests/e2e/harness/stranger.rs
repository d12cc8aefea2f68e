//! A sender that is no client of the server.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rtmfp::{PeerId, TaggedAddress};

use super::raw::{lookup, redirect};

/// A socket that looks up peers without a session.
pub(crate) struct Stranger(UdpSocket);

impl Stranger {
    /// On a free port of 127.0.0.1; an answer that takes longer than `timeout` is taken for none.
    pub(crate) fn new(timeout: Duration) -> Self {
        Self::at("127.0.0.1", timeout)
    }

    /// On a free port of that address.
    pub(crate) fn at(ip: &str, timeout: Duration) -> Self {
        let socket = UdpSocket::bind((ip, 0)).expect("a free port");
        socket.set_read_timeout(Some(timeout)).expect("a timeout");
        Self(socket)
    }

    /// Asks a server for a peer and waits for no answer. Returns the tag of the lookup.
    pub(crate) fn ask(&self, server: SocketAddr, peer: PeerId) -> [u8; 16] {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let mut tag = [0x5a; 16];
        tag[..8].copy_from_slice(&LAST.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        self.0.send_to(&lookup(peer, tag), server).expect("it can be sent");
        tag
    }

    /// Looks up a peer: where the server redirects the sender to; `None` if it does not answer.
    pub(crate) fn look_up(&self, server: SocketAddr, peer: PeerId) -> Option<Vec<TaggedAddress>> {
        let tag = self.ask(server, peer);
        let mut datagram = [0; 2048];
        loop {
            let length = self.0.recv(&mut datagram).ok()?;
            // The peer, to which the lookup is forwarded, may answer as well.
            if let Some((echoed, addresses)) = redirect(&mut datagram[..length])
                && echoed == tag
            {
                return Some(addresses);
            }
        }
    }
}
