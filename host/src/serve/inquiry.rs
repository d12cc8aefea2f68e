//! What the administration asks workers. The answers cost a worker no more than reading a few numbers, and a worker never waits for the
//! asker: an answer that the asker does not wait for any more is dropped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use introd_netgroup::{GroupDigest, GroupKey};
use introd_policy::message::ClientStats;
use rtmfp::{PeerId, SessionId};
use tokio::sync::oneshot;

use crate::apps::AppInstance;

/// A question to a worker.
pub enum Inquiry {
    /// How the worker is.
    Worker(oneshot::Sender<WorkerReport>),
    /// What the worker knows of a client; `None` if it has no such client.
    Client(SessionId, oneshot::Sender<Option<ClientReport>>),
    /// What the list of clients has of each, in the order of their sessions; `None` for one that the worker does not have.
    Clients(Box<[SessionId]>, oneshot::Sender<Vec<Option<ClientLine>>>),
}

/// How a worker is.
#[derive(Clone, Copy, Debug)]
pub struct WorkerReport {
    /// What its endpoint has counted.
    pub endpoint: rtmfp::Counters,
    /// Datagrams that were not sent because an interface of the machine carries none as long.
    pub too_long: u64,
    /// Open sessions.
    pub sessions: usize,
    /// Sessions that have opened a flow: clients, and those that ask to be.
    pub clients: usize,
    /// Lookups and connects that wait for a plugin, a script or the registry.
    pub pending: usize,
    /// Bytes of messages that its sessions hold, both ways.
    pub buffered: usize,
}

/// What the list of clients has of one that only its worker knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientLine {
    /// How long ago it was accepted.
    pub connected_for: Duration,
    /// Whether it has proven that its peer id is its own.
    pub is_proven: bool,
}

/// What a worker knows of a client.
#[derive(Clone)]
pub struct ClientReport {
    /// The session.
    pub session: SessionId,
    /// The peer id.
    pub peer: PeerId,
    /// Whether it has proven that the id is its own.
    pub is_proven: bool,
    /// The instance that it is connected to.
    pub instance: Arc<AppInstance>,
    /// Where its packets come from.
    pub address: SocketAddr,
    /// How long ago it was accepted.
    pub connected_for: Duration,
    /// How long ago its last packet came.
    pub silent_for: Duration,
    /// Its traffic since it asked to connect, and its round trip time.
    pub stats: ClientStats,
    /// The groups that it is in, by their digests and by the keys that they have on this server.
    pub memberships: Vec<(GroupDigest, GroupKey)>,
}
