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

    /// A peer is not at this server any more.
    ///
    /// # Errors
    /// If it cannot be taken back.
    fn withdraw(&self, peer: PeerId) -> Result<(), RegistryError>;

    /// Where a peer can be reached.
    fn find(&self, peer: PeerId, later: Later<'_, RegistryVerdict>) -> Reply<RegistryVerdict>;
}
