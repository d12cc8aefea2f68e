//! The shared peer registry: the addresses of peers that are not connected to this server, for lookups, and the members of groups.
//!
//! [`Registry`] is the seam. [`InMemory`] is the default: it knows what this server's own policies told it.
//! A registry of several servers stands behind the same trait.

mod groups;
mod in_memory;

use std::future::Future;
use std::pin::Pin;

use rtmfp::{PeerId, SessionId, TaggedAddress};

pub use groups::{GroupMember, MAX_MEMBERSHIPS, MAX_NEIGHBORS, NeighborQuery, NeighborsFuture, NeighborsResult};
pub use in_memory::InMemory;

/// The maximum number of addresses that are kept of one peer.
pub const MAX_ADDRESSES: usize = 16;

/// The result of a lookup: the addresses of the peer, or `None` if the registry does not know it.
pub type LookupResult = Result<Option<Vec<TaggedAddress>>, RegistryError>;

/// A lookup on its way.
pub type LookupFuture = Pin<Box<dyn Future<Output = LookupResult> + Send>>;

/// Why a registry failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// The registry holds the maximum number of peers.
    #[error("the registry is full")]
    Full,
    /// The registry has no groups.
    #[error("the registry has no groups")]
    NoGroups,
    /// The registry cannot be reached, or fails otherwise.
    #[error("the registry is not available: {0}")]
    Unavailable(String),
}

/// The session by which a peer is connected to the server that publishes it. It decides which of several servers is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerSession {
    /// Identifies the session. A peer that reconnects has another one.
    pub id: SessionId,
    /// Whether the client has proven that the peer id is its own. If not, it may have copied the certificate, and should not replace a
    /// peer that another server has published.
    pub is_proven: bool,
    /// Whether the client has not answered a ping and may be gone. The entry of another server for the same peer takes precedence.
    pub is_silent: bool,
}

/// What a registry hands over to that of another process, which takes over from this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryState {
    /// The name of the registry: another one does not understand it.
    pub by: String,
    /// What it is to go on with, as it writes that itself.
    pub state: Vec<u8>,
}

/// Knows at which addresses peers can be reached. No method blocks: a lookup is a future.
pub trait Registry: Send + Sync {
    /// Publishes the addresses of a peer, instead of the earlier ones. The first [`MAX_ADDRESSES`] count.
    ///
    /// # Errors
    /// If the registry cannot store the addresses. The earlier ones may remain.
    fn publish(&self, peer: PeerId, addresses: &[TaggedAddress]) -> Result<(), RegistryError>;

    /// As [`Self::publish`], for a peer that is connected here, with the state of its session. Without addresses, only that state
    /// has changed; it has an effect only if the peer is published.
    ///
    /// A registry that does not implement this serves one server only, or believes the server that published last: it is not told
    /// of silent sessions.
    ///
    /// # Errors
    /// As [`Self::publish`].
    fn publish_session(
        &self,
        peer: PeerId,
        addresses: &[TaggedAddress],
        session: PeerSession,
    ) -> Result<(), RegistryError> {
        if addresses.is_empty() || session.is_silent {
            return Ok(());
        }
        self.publish(peer, addresses)
    }

    /// Removes what this server has published of a peer.
    fn withdraw(&self, peer: &PeerId);

    /// Removes what this server has published of a peer that is no client of the instance that asks. A registry that knows the clients of
    /// all instances keeps what was published of a peer that is connected to another one.
    fn withdraw_of_others(&self, peer: &PeerId) {
        self.withdraw(peer);
    }

    /// Looks up the addresses at which a peer can be reached.
    fn lookup(&self, peer: PeerId) -> LookupFuture;

    /// What the registry of another process that takes over from this server is to go on with, so that what this one has published stays
    /// valid: when that process prepares, and when this one stands still. This one goes on, because the takeover may fail.
    fn hand_over(&self) -> Option<RegistryState> {
        None
    }

    /// This process serves now, in the place of another one, whose registry has given `state` at last. Until then, what is published is that
    /// process's own: the registry withdraws nothing, and says no goodbye when it is dropped.
    fn took_over(&self, state: Option<&RegistryState>) {
        let _ = state;
    }

    /// Another process has taken over, with what [`Self::hand_over`] has given. The registry finishes what is due, and withdraws nothing else. This
    /// is the last use of it. It may take two seconds.
    fn handed_over(&self) {}

    /// Whether the registry has the members of groups, too. Those that do implement the functions below.
    fn has_groups(&self) -> bool {
        false
    }

    /// Publishes that a peer is a member of a group. It stays one until [`Self::leave_group`], as long as this server is alive.
    ///
    /// # Errors
    /// If the registry cannot store the membership, or has no groups.
    fn join_group(&self, _: &GroupMember) -> Result<(), RegistryError> {
        Err(RegistryError::NoGroups)
    }

    /// Withdraws what this server has published by [`Self::join_group`].
    ///
    /// # Errors
    /// If the registry does not accept that, or has no groups.
    fn leave_group(&self, _: &GroupMember) -> Result<(), RegistryError> {
        Err(RegistryError::NoGroups)
    }

    /// Finds the members next to a peer on a group's ring and some far from it, on all servers. The registry writes what it accepted by
    /// [`Self::join_group`] before the call, and then reads the members: of two members that join through different servers at the same
    /// time, at least one is told of the other.
    fn group_neighbors(&self, _: &NeighborQuery) -> NeighborsFuture {
        Box::pin(std::future::ready(Err(RegistryError::NoGroups)))
    }
}
