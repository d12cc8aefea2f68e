//! Plugins that are the registry of peers that several servers share.

use std::fmt;

use crate::completion::{Later, Reply};
use crate::config::Config;
use crate::plugin::{CreateError, Plugin};
use crate::values::{Address, PeerId};
use crate::verdict::RegistryVerdict;

/// Why a registry did not accept a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistryError {
    /// The registry has as many peers as it may have.
    Full,
    /// The registry cannot be reached at present.
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

/// The session by which a peer is connected to the server that publishes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerSession {
    /// Identifies the session, as [`Client::id`](crate::Client::id) does; 0 is no session. A peer that reconnects has another one.
    pub id: u64,
    /// Whether the client has proven that the peer ID is its own, by a certificate with a static Diffie-Hellman key. If not, another
    /// client may have copied the certificate: it should not replace a peer that another server has published.
    pub is_proven: bool,
    /// Whether the client has not answered a ping and may be gone. The entry of another server for the same peer takes precedence.
    pub is_silent: bool,
}

/// A server that shares the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryServer {
    /// Its name in the registry. The host shows the first 256 bytes.
    pub name: String,
    /// Whether it is the server that has this plugin.
    pub is_self: bool,
    /// Whether it is alive, so that its peers are found.
    pub is_alive: bool,
}

/// From when settings count that a registry received while the server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InForce {
    /// They are in force.
    Now,
    /// Some of them take effect at the next start of the server only.
    AtNextStart,
}

/// A plugin that is the registry of peers that several servers share.
///
/// Export it with `export!(MyPlugin, registry)`, and name it in `PeerRegistry/Plugin` of Server.xml.
///
/// The host calls the methods from any thread, several at the same time. They must not block.
pub trait RegistryPlugin: Plugin {
    /// Whether the plugin reports changes that other servers make, by [`Host::registry_changed`](crate::Host::registry_changed).
    const TELLS_CHANGES: bool = false;

    /// Publishes the addresses of a peer of this server; they replace those published before. `Ok` means that the plugin has accepted
    /// them, though other servers may see them only later.
    ///
    /// # Errors
    /// If the registry cannot accept them.
    fn publish(&self, peer: PeerId, addresses: &[Address]) -> Result<(), RegistryError>;

    /// Does what [`publish`](Self::publish) does, and also tells the state of the peer's session. Hosts of ABI 1.1 and later call it
    /// for the clients of this server. What a script publishes about other peers comes by `publish` in any case.
    ///
    /// If there are no addresses, those published before still hold and only the session may have changed; nothing is to be done for a
    /// peer that has not been published. The default calls `publish`, except for sessions that are silent.
    ///
    /// # Errors
    /// If the registry cannot accept it.
    fn publish_session(&self, peer: PeerId, addresses: &[Address], session: PeerSession) -> Result<(), RegistryError> {
        if addresses.is_empty() || session.is_silent {
            return Ok(());
        }
        self.publish(peer, addresses)
    }

    /// Withdraws what this server has published about a peer.
    ///
    /// # Errors
    /// If the registry cannot accept it.
    fn withdraw(&self, peer: PeerId) -> Result<(), RegistryError>;

    /// Looks a peer up.
    fn find(&self, peer: PeerId, later: Later<'_, RegistryVerdict>) -> Reply<RegistryVerdict>;

    /// The server has read its configuration again: `config` is what `PeerRegistry/Plugin/Config` holds now, whether that has changed or
    /// not. What the registry holds must not be lost. Hosts of ABI 1.1 and later call it, on a thread that serves no clients: it may
    /// block. The default leaves everything as it is.
    ///
    /// # Errors
    /// If the settings cannot be used: the earlier ones stay. The log says why.
    fn reconfigure(&self, config: &Config<'_>) -> Result<InForce, CreateError> {
        let _ = config;
        Ok(InForce::AtNextStart)
    }

    /// The servers that share the registry, this one among them, as far as is known without asking anyone; `None` if that is not known.
    /// Hosts of ABI 1.2 and later show them to administrators, the first 1000. The default knows none.
    fn servers(&self) -> Option<Vec<RegistryServer>> {
        None
    }

    /// Another process is to take over from this server (`introd run --takeover`): what the instance there is to go on with, so that what
    /// this server has published can stay valid. Hosts of ABI 1.4 and later call it twice: when the other process prepares, whose instance
    /// gets it by [`Config::handed_over`], and when this server stands still, for [`took_over`](Self::took_over); so it should not block. After
    /// each of them the takeover may fail, and this server go on. More than 256 MiB are not taken. The default gives nothing: the instance
    /// in the other process begins as any other does.
    fn hand_over(&self) -> Option<Vec<u8>> {
        None
    }

    /// This server serves now, in the place of the process that has given `state` by [`hand_over`](Self::hand_over) at last. The host has
    /// published the peers that came over, or does so soon. Until this call, it withdraws nothing here: peers that have gone meanwhile
    /// follow after it. If the takeover fails, it does not drop the plugin: what is published is the other process's own. Clients wait: it should not block.
    fn took_over(&self, state: &[u8]) {
        let _ = state;
    }

    /// Another process has taken over, and its instance goes on with what [`hand_over`](Self::hand_over) has given: it publishes all peers
    /// that are still connected. The plugin finishes what is due, such as withdrawals of peers that have gone, and withdraws nothing else.
    /// This is the last call: the process ends soon after, and the plugin is not dropped. It may block for two seconds.
    fn handed_over(&self) {}
}
