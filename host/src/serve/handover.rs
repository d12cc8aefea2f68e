//! The state of a worker as a value, for the process that takes its place.
//!
//! The order and the types of the fields are the format: a change of them is a new version of the state
//! ([`STATE_VERSION`](crate::takeover::STATE_VERSION)).

use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::Sender;
use std::time::Instant;

use introd_flash::server::ConnectionState;
use introd_udp::{Interface, LocalAddress, Ports};
use rtmfp::InterfaceId;
use rtmfp::handover::EndpointState;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

/// The state of a worker: its endpoint's sessions and its clients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerState {
    pub(super) endpoint: EndpointState,
    /// The interfaces that the endpoint's state names, by their numbers.
    pub(super) interfaces: Vec<InterfaceRecord>,
    pub(super) clients: Vec<ClientRecord>,
}

impl WorkerState {
    /// How many sessions it has.
    pub fn session_count(&self) -> usize {
        self.endpoint.session_count()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct InterfaceRecord {
    socket: u16,
    ip: Option<IpAddr>,
    scope: u32,
}

impl InterfaceRecord {
    /// The interfaces that a worker knows.
    pub(super) fn all(ports: &Ports) -> Vec<Self> {
        let known = (0..).map_while(|id| ports.lookup(InterfaceId(id)));
        let record = |Interface { socket, local }: Interface| Self { socket, ip: local.ip(), scope: local.scope() };
        known.map(record).collect()
    }

    pub(super) fn interface(&self) -> Interface {
        let local = self.ip.map_or(LocalAddress::ANY, |ip| LocalAddress::new(ip, self.scope));
        Interface { socket: self.socket, local }
    }
}

/// A client. Times are as [`rtmfp::handover::Clock`] writes them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ClientRecord {
    pub(super) session: u32,
    pub(super) connection: ConnectionState,
    /// The server's flows, by stream.
    pub(super) sending: Vec<(u32, u64)>,
    pub(super) place: Option<PlaceRecord>,
    pub(super) active: i64,
    pub(super) groups: Option<GroupsRecord>,
    /// Bytes and messages received and sent, and messages given up.
    pub(super) stats: [u64; 5],
    pub(super) accepted: Option<i64>,
    /// The calls of the application that the client has not answered; `None` if no policy was asked about the client.
    pub(super) calls: Option<Vec<(u64, u64)>>,
    /// If the connection is being closed: the client's control flow, until it is rejected.
    pub(super) closing: Option<Option<u64>>,
    /// Who ends the connection, and why.
    pub(super) ending: Option<(String, String)>,
    pub(super) reported: Vec<SocketAddr>,
    /// How long the client may be silent, in milliseconds.
    pub(super) silence_interval: u32,
    pub(super) is_proven: bool,
}

/// A client's seat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PlaceRecord {
    pub(super) peer: [u8; 32],
    pub(super) adaptor: String,
    pub(super) vhost: String,
    pub(super) application: String,
    pub(super) instance: String,
}

/// A client's groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct GroupsRecord {
    /// Its flows, with the digest of the group that it joined on each.
    pub(super) flows: Vec<(u64, [u8; 32])>,
    pub(super) memberships: Vec<MembershipRecord>,
    pub(super) joined: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MembershipRecord {
    pub(super) number: u64,
    pub(super) group: [u8; 32],
    pub(super) key: [u8; 32],
    pub(super) sending: Option<u64>,
    pub(super) is_told: bool,
    pub(super) is_handled: bool,
    pub(super) is_built_in: bool,
    pub(super) is_waiting: bool,
}

/// Asks a worker to stand still and give its state.
pub struct HandOver {
    /// Receives the state, and the time from which the times in it count.
    pub(super) state: Sender<(u8, Instant, WorkerState)>,
    /// What becomes of the worker.
    pub(super) fate: oneshot::Receiver<Fate>,
}

/// What becomes of a worker that has given its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes on as if nothing had happened.
    GoOn,
    /// Another process has its sessions: it ends, and tells nobody.
    End,
}

impl HandOver {
    /// An order to a worker, and the means to tell it what becomes of it. If that is dropped, the worker goes on.
    pub fn new(state: Sender<(u8, Instant, WorkerState)>) -> (Self, oneshot::Sender<Fate>) {
        let (decide, fate) = oneshot::channel();
        (Self { state, fate }, decide)
    }
}

/// What a worker of a process that takes another's place waits for, before it serves.
pub struct Inheritance {
    /// Its state, and the time from which the times in it count.
    pub state: oneshot::Receiver<(Instant, WorkerState)>,
    /// Receives the number of sessions that it goes on with, or why it does not.
    pub done: Sender<Result<usize, String>>,
    /// It serves from now on. If this is dropped, it does not.
    pub go: oneshot::Receiver<()>,
}
