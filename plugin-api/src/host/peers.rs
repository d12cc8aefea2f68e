//! Peers that are connected to this server, and the registry that servers share.

use std::net::SocketAddr;

use super::error::{HostError, checked};
use super::handle::Host;
use crate::abi;
use crate::raw::{function, raw};
use crate::values::{Address, Client, Origin, PeerId};

/// The reported addresses of a peer that [`Host::find_peer`] has room for.
const MAX_REPORTED: usize = 16;

/// What the host knows about a peer that is connected to this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalPeer {
    /// The peer's connection.
    pub client: Client,
    /// The address that the peer's packets come from.
    pub observed: SocketAddr,
    /// The addresses that the peer reports.
    pub reported: Vec<SocketAddr>,
}

impl Host {
    /// What is known about a peer that is connected to this server; `None` if it is not connected here.
    pub fn find_peer(self, id: PeerId) -> Option<LocalPeer> {
        let find_peer = function!(self.table(), abi::introd_host, find_peer)?;
        let none = abi::introd_address { ip: [0; 16], port: 0, family: 4, origin: 0 };
        let (id, mut reported) = (abi::introd_peer_id::from(id), [none; MAX_REPORTED]);
        let mut peer = abi::introd_peer {
            struct_size: size_of::<abi::introd_peer>() as u32,
            reported_count: MAX_REPORTED as u32,
            client: abi::introd_client { id: 0, peer: id },
            observed: none,
            reported: reported.as_mut_ptr(),
        };
        // SAFETY: both are valid for the call, and there is room for as many addresses as it says.
        if unsafe { find_peer(self.table(), &raw const id, &raw mut peer) } != abi::INTROD_OK {
            return None;
        }
        let reported = reported.iter().take(peer.reported_count as usize);
        Some(LocalPeer {
            client: peer.client.into(),
            observed: Address::from(peer.observed).socket,
            reported: reported.map(|address| Address::from(*address).socket).collect(),
        })
    }

    /// Tells `target`, a peer that is connected to this server, that an asker at the address `initiator` looks for it, so that it
    /// opens its NAT to that address. This is one half of an introduction; the other half is a redirect of the asker to the target.
    /// `tag` is the tag of the lookup. No plugin and no script is asked about it.
    ///
    /// # Errors
    /// If the target is not connected to this server, or the queue of its worker is full.
    pub fn introduce(self, target: PeerId, initiator: SocketAddr, tag: &[u8]) -> Result<(), HostError> {
        let introduce = function!(self.table(), abi::introd_host, introduce).ok_or(HostError::Unsupported)?;
        let target = target.into();
        let initiator = Address::new(initiator, Origin::Observed).into();
        // SAFETY: all of it is valid for the call.
        checked(unsafe { introduce(self.table(), &raw const target, &raw const initiator, raw(tag)) })
    }

    /// Closes a client's connection. It is no error if the client has disconnected by itself meanwhile.
    ///
    /// # Errors
    /// If the queue of the client's worker is full.
    pub fn disconnect(self, client: Client) -> Result<(), HostError> {
        let disconnect = function!(self.table(), abi::introd_host, disconnect).ok_or(HostError::Unsupported)?;
        let client = client.into();
        // SAFETY: it is valid for the call.
        checked(unsafe { disconnect(self.table(), &raw const client) })
    }

    /// Tells the host that another server has published these addresses of a peer, or has withdrawn the peer if there are none. It is
    /// for plugins that are a registry: see [`RegistryPlugin::TELLS_CHANGES`](crate::RegistryPlugin::TELLS_CHANGES).
    ///
    /// The host does nothing with it so far: it remembers no answer of a registry for longer than 250 ms.
    pub fn registry_changed(self, peer: PeerId, addresses: &[Address]) {
        let table = self.extension::<abi::introd_host_registry>(abi::INTROD_EXT_REGISTRY);
        if let Some(changed) = table.and_then(|table| function!(table, abi::introd_host_registry, changed)) {
            let peer = peer.into();
            let addresses: Vec<abi::introd_address> = addresses.iter().copied().map(Into::into).collect();
            // SAFETY: the table is the host's, and the arguments are valid for the call.
            unsafe { changed(self.table(), &raw const peer, addresses.as_ptr(), addresses.len()) }
        }
    }
}
