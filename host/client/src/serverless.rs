//! An endpoint without a server: a NetConnection to `rtmfp:`, whose NetGroups find their members by themselves.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use introd_netgroup::participant::serverless_config;
use introd_udp::{UdpSocket, sleep_until};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use rtmfp::crypto::{Group, Identity};
use rtmfp::{Event, PeerId};

use crate::groups::Groups;
use crate::peer_endpoint::PeerEndpoint;

/// The Diffie-Hellman groups of its certificate, most wanted first.
const DH_GROUPS: [Group; 3] = [Group::Modp14, Group::Modp5, Group::Modp2];

/// An endpoint without a server. Its peer ID is new with each one, and stays the same as long as it lives.
///
/// ```no_run
/// use introd_client::{BufferSizes, Serverless, UdpSocket};
/// use introd_netgroup::Groupspec;
///
/// /// Takes part in a group in which one other member is known, and prints what happens.
/// async fn take_part(group: &Groupspec) -> anyhow::Result<()> {
///     let socket = UdpSocket::bind("0.0.0.0:0".parse()?, BufferSizes::default())?;
///     let mut endpoint = Serverless::new(Some("server2"), vec![socket])?;
///     endpoint.groups().join(group);
///     endpoint.groups().add_named(&group.digest(), "server1", &["192.0.2.1:1936".parse()?])?;
///     loop {
///         endpoint.next().await?;
///         while let Some((group, notice)) = endpoint.groups().next_notice() {
///             println!("{group}: {notice:?}");
///         }
///     }
/// }
/// ```
pub struct Serverless {
    peer: PeerEndpoint,
    id: PeerId,
    groups: Groups,
}

impl Serverless {
    /// An endpoint with these sockets, of a name by which others can find it at an address. It needs the context of a Tokio runtime.
    ///
    /// # Errors
    /// If there are no sockets, the runtime cannot watch them, or there is no randomness.
    pub fn new(name: Option<&str>, sockets: Vec<UdpSocket>) -> anyhow::Result<Self> {
        let mut seeds = [[0; 32]; 2];
        for seed in &mut seeds {
            getrandom::fill(seed).context("the operating system has no randomness to give")?;
        }
        let mut rng = ChaCha20Rng::from_seed(seeds[0]);
        let identity = Arc::new(Identity::ephemeral(&DH_GROUPS, name, false, &mut rng));
        let id = identity.peer_id();
        let mut groups = Groups::new(id, seeds[1]);
        groups.set_own_name(name.map(str::to_owned));
        Ok(Self { peer: PeerEndpoint::with_sockets(serverless_config(identity), sockets)?, id, groups })
    }

    /// The endpoint's peer ID.
    pub fn id(&self) -> PeerId {
        self.id
    }

    /// The addresses that its sockets are bound to.
    pub fn bound(&self) -> Vec<SocketAddr> {
        self.peer.ports.local_addresses().collect()
    }

    /// Its groups.
    pub fn groups(&mut self) -> crate::ClientGroups<'_> {
        crate::ClientGroups { groups: &mut self.groups, peer: &mut self.peer }
    }

    /// Drives the endpoint and its groups until something has happened. Dropping the future loses nothing.
    ///
    /// # Errors
    /// If a socket can no longer be used.
    pub async fn next(&mut self) -> io::Result<Option<Event>> {
        let groups_at = self.groups.poll_timeout();
        tokio::select! {
            event = self.peer.next() => {
                let event = event?;
                self.groups.handle_endpoint_event(&mut self.peer, &event);
                Ok(Some(event))
            }
            () = sleep_until(groups_at) => {
                self.groups.handle_timeout(&mut self.peer);
                Ok(None)
            }
            announced = self.groups.discovery.next() => {
                self.groups.announced(&mut self.peer, announced);
                Ok(None)
            }
        }
    }

    /// Leaves its groups and closes all sessions in an orderly way, so that its neighbours know at once. Waits up to a second for them.
    pub async fn close(mut self) {
        self.groups.leave_all(&mut self.peer);
        self.peer.close().await;
    }
}
