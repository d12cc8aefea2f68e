//! A sender that is no client of the server.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rtmfp::{PeerId, TaggedAddress};

use super::clients::TIMEOUT;
use introd_tests::startup_packets::{Answer, hello, lookup, redirect, tagged_answer};

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
        let tag = Self::tag();
        self.0.send_to(&lookup(peer, tag), server).expect("it can be sent");
        tag
    }

    fn tag() -> [u8; 16] {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let mut tag = [0x5a; 16];
        tag[..8].copy_from_slice(&LAST.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        tag
    }

    /// Looks up a peer that the server decides about at once, without a script, a late plugin or a registry: where it redirects the
    /// sender to; `None` if it does not answer. That is known when it has answered hellos of this sender that come later. There are two:
    /// the first may come together with the lookup, and hellos are answered before what comes with them.
    pub(crate) fn look_up_at_once(&self, server: SocketAddr, peer: PeerId) -> Option<Vec<TaggedAddress>> {
        let asked = self.ask(server, peer);
        self.0.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
        let (mut datagram, mut redirected) = ([0; 2048], None);
        for _ in 0..2 {
            let greeted = Self::tag();
            self.0.send_to(&hello("rtmfp://server.example/app", greeted), server).expect("it can be sent");
            loop {
                let length = self.0.recv(&mut datagram).expect("an answer to the hello");
                match tagged_answer(&mut datagram[..length]) {
                    Some((tag, Answer::Redirect(to))) if tag == asked => redirected = Some(to),
                    Some((tag, Answer::Hello)) if tag == greeted => break,
                    _ => (),
                }
            }
        }
        redirected
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
