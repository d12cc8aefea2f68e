//! A peer that is connected to this server.

use std::net::SocketAddr;

use rtmfp::SessionId;
use smallvec::SmallVec;

/// The maximum number of addresses kept of those that a peer reports.
pub const MAX_REPORTED: usize = 16;

/// A copy of what the directory knows of a peer at the time of the lookup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The session through which it is connected; its prefix is the number of the worker that has it. Only the
    /// owner changes an entry: a session that the peer has since replaced by a new one does not.
    pub owner: SessionId,
    /// The number of the application instance that the peer is connected to.
    pub instance: u16,
    /// Where the peer's packets come from. This is never an IPv4 address mapped into IPv6.
    pub observed: SocketAddr,
    /// The addresses that the peer reports (`setPeerInfo`), in its order, at most [`MAX_REPORTED`], each once.
    pub reported: SmallVec<[SocketAddr; 4]>,
    /// Whether the peer has been silent for longer than it should be: it may be gone, or at another server.
    pub is_silent: bool,
}

impl Peer {
    /// Whether the peer's packets come from an address that it does not report as its own. False as well if it has reported
    /// none.
    pub fn is_translated(&self) -> bool {
        !self.reported.is_empty() && !self.reported.contains(&self.observed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_translated_if_none_of_the_addresses_that_it_reports_is_the_one_seen() {
        let [seen, own]: [SocketAddr; 2] = [([203, 0, 113, 1], 7).into(), ([10, 0, 0, 1], 7).into()];
        let is_translated = |reported: &[SocketAddr]| {
            let (owner, reported) = (SessionId::from_wire(1), reported.into());
            Peer { owner, instance: 0, observed: seen, reported, is_silent: false }.is_translated()
        };
        assert_eq!([&[][..], &[own], &[seen], &[own, seen]].map(is_translated), [false, true, false, false]);
    }
}
