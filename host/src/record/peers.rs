//! Recording the peers of one process.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use rtmfp::{Endpoint, RevealedKeys, SessionId};

use super::recorder::Recorder;
use super::session::{EndPlace, SessionRecord};
use introd_client::PeerEndpoint;
use introd_udp::{LocalAddress, Ports, Tap};

/// Records peers that may talk to each other: what one sends and another receives is written down once, as sent.
#[derive(Clone)]
pub struct PeerRecording {
    recorder: Recorder,
    /// The ports of all the peers.
    own: Arc<Mutex<HashSet<u16>>>,
}

impl PeerRecording {
    /// Writes to `recorder`, as all its clones do.
    pub fn new(recorder: Recorder) -> Self {
        Self { recorder, own: Arc::default() }
    }

    /// Writes all traffic of a peer down from now on. Its endpoint is to reveal its keys ([`rtmfp::Config::keying`]).
    pub fn record(&self, peer: &mut PeerEndpoint) {
        peer.ports.add_tap(self.tap(peer.ports.local_addresses().map(|address| address.port())));
        let recording = self.clone();
        peer.set_keys_tap(Box::new(move |endpoint, ports, session, keys| {
            recording.session(endpoint, ports, session, keys);
        }));
    }

    /// Sees the datagrams of a peer whose sockets have these ports.
    fn tap(&self, ports: impl Iterator<Item = u16>) -> Tap {
        let near: HashSet<u16> = ports.collect();
        self.own.lock().extend(&near);
        let (recorder, own) = (self.recorder.clone(), Arc::clone(&self.own));
        Box::new(move |time, from: SocketAddr, to: SocketAddr, datagram| {
            let is_sent = near.contains(&from.port());
            if is_sent || !own.lock().contains(&from.port()) {
                recorder.datagram(time, from, to, datagram);
            }
        })
    }

    /// Writes down a session of a peer.
    fn session(&self, endpoint: &Endpoint, ports: &Ports, session: SessionId, keys: &RevealedKeys) {
        let Some(info) = endpoint.session(session) else { return };
        let Some(bound) = ports.address_of(info.interface) else { return };
        let address = match LocalAddress::towards(info.far_address) {
            Some(ip) if bound.ip().is_unspecified() => SocketAddr::new(ip, bound.port()),
            _ => bound,
        };
        let near = EndPlace { address, session_id: Some(session.get()) };
        let far = EndPlace { address: info.far_address, session_id: None };
        match SessionRecord::from_revealed(keys, near, far) {
            Ok(record) => self.recorder.session(record),
            Err(error) => tracing::warn!(%session, %error, "session not recorded"),
        }
    }
}
