//! A peer that is connected to this server.

use std::net::SocketAddr;

use rtmfp::SessionId;
use smallvec::SmallVec;

/// The most addresses kept of those that a peer reports of itself.
pub const MAX_REPORTED: usize = 16;

/// What the directory knows of a peer: a copy, as of the time of asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The session through which it is connected; its prefix is the number of the worker that has it. What concerns an entry
    /// is said by its owner: a session that the peer has since replaced by a new one has nothing to say any more.
    pub owner: SessionId,
    /// The number of the application instance that it is connected to.
    pub instance: u16,
    /// Where its packets come from. Never an IPv4 address mapped into IPv6.
    pub observed: SocketAddr,
    /// Where it says that it can be reached (`setPeerInfo`), in its order, at most [`MAX_REPORTED`], each once.
    pub reported: SmallVec<[SocketAddr; 4]>,
    /// Whether nothing has been heard of it for longer than it should be silent: it may be gone, or elsewhere.
    pub is_silent: bool,
}

impl Peer {
    /// Whether the peer's packets come from an address that is none of its own. False as well if it has not said which
    /// its own are.
    pub fn is_translated(&self) -> bool {
        !self.reported.is_empty() && !self.reported.contains(&self.observed)
    }
}
