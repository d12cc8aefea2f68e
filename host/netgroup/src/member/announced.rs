//! Members that announce themselves on the local network (WIRE.md §5).

use std::net::SocketAddr;
use std::time::Instant;

use rtmfp::{Origin, PeerId, TaggedAddress};

use super::state::Member;

impl Member {
    /// A peer that knows the groupspec has announced itself at this address ([`Discovery`](crate::discovery::Discovery)). This is a
    /// hint with an address: while there are few neighbours, the peer is connected to at once, unless an attempt has failed just before;
    /// otherwise, if upkeep finds that it is wanted.
    pub fn on_announced(&mut self, now: Instant, peer: PeerId, address: SocketAddr) {
        let is_known = self.known.get(&peer).is_some();
        if peer == self.near || (self.known.is_full() && !is_known) {
            return;
        }
        // To members elsewhere the address is of no use: it is not told to them (WIRE.md §3.4).
        let address = TaggedAddress::new(address, Origin::Reported);
        match self.known.announced(self.near, peer, now, address) {
            Some(true) => self.soon(now),
            Some(false) => {}
            None => self.counters.members_ignored += 1,
        }
        if self.active_links() < self.target && self.known.get(&peer).is_some_and(|known| known.is_reachable(now)) {
            self.connect_to(now, peer);
        }
    }
}
