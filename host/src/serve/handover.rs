//! The state of a worker as a value, for the process that takes its place.
//!
//! The order and the types of the fields are the format: a change of them is a new version of the state
//! ([`STATE_VERSION`](crate::takeover::STATE_VERSION)).

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Instant;

use introd_flash::amf::AmfLimits;
use introd_flash::server::{ConnectRequest, ConnectionState};
use introd_policy::OpenCall;
use introd_udp::{Interface, LocalAddress, Ports};
use rtmfp::handover::{Clock, EndpointState, SessionRecord};
use rtmfp::{InterfaceId, SessionId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use crate::introducer::Dispute;

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

/// What of a worker's sessions and clients the other process has already, while the worker goes on serving.
pub struct Copies {
    /// The time from which the times in all records count: records of sessions that have not changed are the same.
    then: Instant,
    /// What each session was when it was copied, by its id.
    fingerprints: HashMap<u32, Fingerprints>,
    /// For the bytes of one record at a time.
    bytes: Vec<u8>,
}

/// What a session and its client were.
#[derive(Default)]
struct Fingerprints {
    session: Option<Fingerprint>,
    client: Option<Fingerprint>,
}

/// A part of the hash of a record: nobody finds two records that have one, and who did would lose what changed of their own session.
type Fingerprint = [u8; 16];

impl Copies {
    /// Nothing is copied yet. Times will count from `then`.
    pub fn new(then: Instant) -> Self {
        Self { then, fingerprints: HashMap::new(), bytes: Vec::new() }
    }

    /// The time from which the times in the records count.
    pub fn then(&self) -> Instant {
        self.then
    }

    pub(super) fn clock(&self) -> Clock {
        Clock::new(self.then)
    }

    /// Whether a session was copied.
    pub(super) fn has(&self, session: u32) -> bool {
        self.fingerprints.contains_key(&session)
    }

    /// Whether a session or its client is another than when it was copied last. It counts as copied then. `session`: its record, or `None` if
    /// the session is known to be the same.
    pub(super) fn is_new(&mut self, id: u32, session: Option<&SessionRecord>, client: Option<&ClientRecord>) -> bool {
        let of_client = self.fingerprint(&client);
        let of_session = session.map(|session| self.fingerprint(session));
        let known = self.fingerprints.entry(id).or_default();
        let is_same = |known: &mut Option<Fingerprint>, now: Option<Fingerprint>| {
            let before = std::mem::replace(known, now);
            now.is_some() && before == now
        };
        let is_same_client = is_same(&mut known.client, of_client);
        let is_same_session = of_session.is_none_or(|now| is_same(&mut known.session, now));
        !(is_same_client && is_same_session)
    }

    /// `None` if the record cannot be written: it is like no other.
    fn fingerprint(&mut self, record: &impl Serialize) -> Option<Fingerprint> {
        self.bytes.clear();
        self.bytes = postcard::to_extend(record, std::mem::take(&mut self.bytes)).ok()?;
        Sha256::digest(&self.bytes).first_chunk().copied()
    }
}

/// Asks a worker for those of its sessions that are not copied yet, or have changed since, in some of the endpoint's places. It goes on serving.
pub struct CopyOrder {
    /// What is copied.
    pub copies: Copies,
    /// The places to look at.
    pub places: Range<usize>,
    /// Receives the sessions.
    pub copied: Sender<Copied>,
}

/// What a worker has copied.
pub struct Copied {
    /// What is copied now.
    pub copies: Copies,
    /// The sessions that were not copied before, and their clients.
    pub state: WorkerState,
    /// How many places the endpoint has.
    pub places: usize,
}

/// Asks a worker to stand still and give its state.
pub struct HandOver {
    /// What of it the other process has already.
    pub(super) copies: Option<Copies>,
    /// Receives the state.
    pub(super) state: Sender<HandedOver>,
    /// What becomes of the worker.
    pub(super) fate: oneshot::Receiver<Fate>,
}

/// What a worker gives to another process.
pub struct HandedOver {
    /// The worker's number.
    pub index: u8,
    /// The time from which the times in the state count.
    pub then: Instant,
    /// The state: all of it, or what has changed since it was copied.
    pub state: WorkerState,
    /// The sessions that are as they were when they were copied, by their ids.
    pub unchanged: Vec<u32>,
    /// The clients that wait for an answer to their `connect`.
    pub connecting: Vec<ConnectingRecord>,
    /// What clients wait for, by their sessions.
    pub open_calls: Vec<(u32, OpenCall)>,
}

impl HandedOver {
    /// This state, and nothing besides.
    pub fn new(index: u8, then: Instant, state: WorkerState) -> Self {
        Self { index, then, state, unchanged: Vec::new(), connecting: Vec::new(), open_calls: Vec::new() }
    }

    /// The sessions that have a client. One without is never unchanged.
    pub fn clients(&self) -> impl Iterator<Item = u32> {
        self.state.clients.iter().map(|client| client.session).chain(self.unchanged.iter().copied())
    }
}

/// What a client has said in a `connect` that waits for a policy: the policy of the other process is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectingRecord {
    session: u32,
    object_encoding: u8,
    /// As a message.
    request: Vec<u8>,
}

impl ConnectingRecord {
    /// `None` if the request cannot be written: the client is refused then.
    pub(super) fn of(session: SessionId, request: &ConnectRequest) -> Option<Self> {
        let message = request.to_message().ok()?;
        Some(Self { session: session.get(), object_encoding: request.object_encoding, request: message })
    }

    /// The id of the client's session.
    pub fn session(&self) -> u32 {
        self.session
    }

    /// What the client has said. `None` if it cannot be read.
    pub(super) fn request(&self) -> Option<ConnectRequest> {
        ConnectRequest::from_message(&self.request, self.object_encoding, AmfLimits::default())
    }
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
    /// Gives the state. What becomes of the worker comes then; `None`: nobody wants the state any more.
    pub(crate) fn give(self, state: HandedOver) -> Option<oneshot::Receiver<Fate>> {
        self.state.send(state).is_ok().then_some(self.fate)
    }

    /// An order to a worker, and the means to tell it what becomes of it. If that is dropped, the worker goes on.
    pub fn new(copies: Option<Copies>, state: Sender<HandedOver>) -> (Self, oneshot::Sender<Fate>) {
        let (decide, fate) = oneshot::channel();
        (Self { copies, state, fate }, decide)
    }
}

/// What a worker of a process that takes another's place waits for, before it serves.
pub struct Inheritance {
    /// Parts of its state in advance, and then the state.
    pub state: Receiver<Inherited>,
    /// Receives the number of sessions that it goes on with, or why it does not.
    pub done: Sender<Result<usize, String>>,
    /// It serves from now on, and goes on with these disputes. If this is dropped, it does not.
    pub go: oneshot::Receiver<Arc<[Dispute]>>,
}

/// What a worker is given of another process.
pub enum Inherited {
    /// Some sessions with their clients, which may change before the worker goes on with them.
    InAdvance(HandedOver),
    /// The state.
    All(HandedOver),
}
