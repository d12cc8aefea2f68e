//! Plugins that keep the registry of peers that servers share.

use std::fmt;

use crate::completion::{Later, Reply};
use crate::plugin::Plugin;
use crate::values::{Address, PeerId};
use crate::verdict::RegistryVerdict;

/// Why a registry did not take something in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistryError {
    /// It has as much as it may.
    Full,
    /// It cannot be reached at present.
    Unavailable,
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the registry is full",
            Self::Unavailable => "the registry cannot be reached",
        })
    }
}

impl std::error::Error for RegistryError {}

/// How a peer's session stands at the server that publishes the peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Names the session, as [`Client::id`](crate::Client::id) does; 0 is none. The same peer may come back by another one.
    pub session: u64,
    /// Whether it has proven that the peer's id is its own, which takes a certificate with lasting keys. Any other certificate can be shown
    /// by whoever has seen it: a newcomer that has proven nothing is not to take the place of a peer that another server has.
    pub is_proven: bool,
    /// Whether nothing is heard of it though it was asked for a sign of life: it may be gone, and what another server says of the peer
    /// counts before this.
    pub is_silent: bool,
}

/// A plugin that keeps the registry: `export!(MyPlugin, registry)`, and `PeerRegistry/Plugin` in Server.xml.
///
/// The methods are called from any thread, several at a time, and must not block.
pub trait RegistryPlugin: Plugin {
    /// Whether it tells of changes that others make, by [`Host::registry_changed`](crate::Host::registry_changed).
    const TELLS_CHANGES: bool = false;

    /// A peer of this server can be reached there; this replaces what was said of it before. That it returns well need not mean
    /// that others can see it yet.
    ///
    /// # Errors
    /// If it cannot be taken in.
    fn publish(&self, peer: PeerId, addresses: &[Address]) -> Result<(), RegistryError>;

    /// As [`publish`](Self::publish), by servers that say of a peer's session how it stands: those with ABI 1.1 or later, which call
    /// this instead of `publish` for what they publish by themselves. What policies publish may come by `publish` all the same.
    ///
    /// Without addresses, only how the session stands may have changed, and nothing need be known of the peer. Unless
    /// it is implemented, nothing is published of sessions that are silent: they do not take the place of others.
    ///
    /// # Errors
    /// If it cannot be taken in.
    fn publish_session(&self, peer: PeerId, addresses: &[Address], standing: Standing) -> Result<(), RegistryError> {
        if addresses.is_empty() || standing.is_silent {
            return Ok(());
        }
        self.publish(peer, addresses)
    }

    /// A peer is not at this server any more.
    ///
    /// # Errors
    /// If it cannot be taken back.
    fn withdraw(&self, peer: PeerId) -> Result<(), RegistryError>;

    /// Where a peer can be reached.
    fn find(&self, peer: PeerId, later: Later<'_, RegistryVerdict>) -> Reply<RegistryVerdict>;
}
