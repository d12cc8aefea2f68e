//! The network's end of a connection: an endpoint without a server, or a client of one.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use introd_client::{Client, ClientFailure, ClientGroups, Destination, PeerEndpoint, Serverless, UdpSocket};
use introd_flash::amf::Value;
use introd_flash::client::ConnectOptions;
use introd_policy::net_connection::ConnectionEvent;
use rand_core::SeedableRng;
use rtmfp::crypto::{Group, Identity};
use rtmfp::{Config, Event};

/// How long each step of connecting to a server may take: resolving, the handshake, `connect`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// The groups that servers know best come first: a client uses the first that the server has.
const DH_GROUPS: [Group; 3] = [Group::Modp2, Group::Modp5, Group::Modp14];

pub(super) enum Link {
    Serverless(Box<Serverless>),
    Client(Box<Client>),
}

/// Why a link cannot be made.
pub(super) enum LinkFailure {
    /// The server has refused, or was not reached.
    Client(ClientFailure),
    System(anyhow::Error),
}

impl Link {
    pub(super) fn serverless(name: Option<&str>, sockets: Vec<UdpSocket>) -> Result<Self, LinkFailure> {
        Serverless::new(name, sockets).map(|endpoint| Self::Serverless(Box::new(endpoint))).map_err(LinkFailure::System)
    }

    pub(super) async fn to_server(
        uri: &str,
        arguments: Vec<Value>,
        sockets: Vec<UdpSocket>,
    ) -> Result<Self, LinkFailure> {
        let families: Vec<bool> = sockets.iter().map(|socket| socket.local_address().is_ipv4()).collect();
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| LinkFailure::System(error.into()))?;
        let mut rng = rand_chacha::ChaCha20Rng::from_seed(seed);
        let identity = Identity::ephemeral(&DH_GROUPS, None, false, &mut rng);
        let id = identity.peer_id();
        let peer =
            PeerEndpoint::with_sockets(Config::peer(Arc::new(identity)), sockets).map_err(LinkFailure::System)?;
        let resolving = Destination::resolve(uri, |address| families.contains(&address.is_ipv4()));
        let destination = tokio::time::timeout(CONNECT_TIMEOUT, resolving)
            .await
            .map_err(|_| LinkFailure::System(anyhow::anyhow!("the host's name is not resolved in time")))?
            .map_err(LinkFailure::Client)?;
        let options = ConnectOptions { arguments, ..ConnectOptions::default() };
        let client = Client::connect(peer, id, destination, &options, CONNECT_TIMEOUT).await;
        client.map(|client| Self::Client(Box::new(client))).map_err(LinkFailure::Client)
    }

    /// The event with which the connection is open.
    pub(super) fn connected(&mut self) -> ConnectionEvent {
        match self {
            Self::Serverless(endpoint) => ConnectionEvent::Connected {
                near_id: endpoint.id(),
                far_id: None,
                nonces: None,
                bound: endpoint.bound(),
                info: Value::Null,
            },
            Self::Client(client) => {
                let info = client.accepted().cloned().map_or(Value::Null, Value::Object);
                let (id, session, server) = (client.id(), client.session(), client.connect_info().server_id);
                let peer = client.peer();
                let session = peer.endpoint.session(session);
                ConnectionEvent::Connected {
                    near_id: id,
                    far_id: Some(server),
                    nonces: session.map(|session| (session.near_nonce, session.far_nonce)),
                    bound: peer.ports.local_addresses().collect::<Vec<SocketAddr>>(),
                    info,
                }
            }
        }
    }

    /// Whether groups are joined through a server.
    pub(super) fn has_server(&self) -> bool {
        matches!(self, Self::Client(_))
    }

    pub(super) fn groups(&mut self) -> ClientGroups<'_> {
        match self {
            Self::Serverless(endpoint) => endpoint.groups(),
            Self::Client(client) => client.groups(),
        }
    }

    /// Waits until something has happened. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> io::Result<Option<Event>> {
        match self {
            Self::Serverless(endpoint) => endpoint.next().await,
            Self::Client(client) => client.next().await.map(Some),
        }
    }

    /// Sends a message to the server. False if there is none, or the message is not sent.
    pub(super) fn send_to_server(&mut self, message: Vec<u8>) -> bool {
        match self {
            Self::Serverless(_) => false,
            Self::Client(client) => client.send_to_server(message).is_ok(),
        }
    }

    /// Whether the session is that with the server.
    pub(super) fn is_server(&self, session: rtmfp::SessionId) -> bool {
        match self {
            Self::Serverless(_) => false,
            Self::Client(client) => client.session() == session,
        }
    }

    /// Closes all sessions in an orderly way.
    pub(super) async fn close(self) {
        match self {
            Self::Serverless(endpoint) => endpoint.close().await,
            Self::Client(client) => client.close().await,
        }
    }
}
