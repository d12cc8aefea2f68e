//! The clients of one worker: between their sessions' flows and their NetConnections.

use smallvec::SmallVec;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rtmfp::flow::{Delivery, FlowEvent, FlowOptions, RecvFlowId, SendFlowId};
use rtmfp::{Endpoint, Event, PeerId, SessionId};

use super::ports::Ports;
use super::worker::near_address;
use crate::flash::peer_info::{PeerInfo, behind_nat};
use crate::flash::server::{Action, NetConnection, Settings, Verdict};
use crate::introducer::{Counters, Directory, Owner};

/// How long a client that is being closed has to take in the last messages.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// What the workers' clients have in common.
pub struct Services {
    /// Who is connected.
    pub directory: Directory,
    /// What is counted.
    pub counters: Counters,
    /// What NetConnections are told.
    pub connection: Arc<Settings>,
    /// What clients are told to set their keepalive timers to.
    pub keepalive: KeepaliveTimers,
}

/// Keepalive periods in milliseconds, for the session with the server and for those with peers (RFC 7425 §5.3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepaliveTimers {
    /// For clients behind a NAT, whose mapping must not expire.
    pub behind_nat: (u32, u32),
    /// For all others.
    pub direct: (u32, u32),
}

impl Default for KeepaliveTimers {
    /// What AMS tells clients as it comes: 15 and 10 s behind a NAT, else 20 and 20 s.
    fn default() -> Self {
        Self { behind_nat: (15_000, 10_000), direct: (20_000, 20_000) }
    }
}

struct Client {
    connection: NetConnection,
    /// The server's flows to it, by stream.
    sending: SmallVec<[(u32, SendFlowId); 1]>,
    /// Its id in the directory, once it is connected.
    peer: Option<PeerId>,
    is_closing: bool,
}

/// The clients of one worker.
pub(super) struct Clients {
    worker: u8,
    services: Arc<Services>,
    clients: HashMap<SessionId, Box<Client>>,
    /// Sessions to be closed when their time comes, if they have not closed by then.
    doomed: VecDeque<(Instant, SessionId)>,
    /// Reused for what a connection wants done.
    actions: Vec<Action>,
}

impl Clients {
    pub(super) fn new(worker: u8, services: Arc<Services>) -> Self {
        Self { worker, services, clients: HashMap::new(), doomed: VecDeque::new(), actions: Vec::new() }
    }

    fn owner(&self, session: SessionId) -> Owner {
        Owner { worker: self.worker, session: session.get() }
    }

    /// Handles an event of a session.
    pub(super) fn handle(&mut self, now: Instant, endpoint: &mut Endpoint, ports: &Ports, event: Event) {
        match event {
            Event::Opened { session, .. } => {
                if let Some(info) = endpoint.session(session) {
                    let near = near_address(ports, info.interface);
                    tracing::debug!(%session, peer = %info.peer_id, address = %info.far_address, %near, "session open");
                }
            }
            Event::Flow { session, event } => self.handle_flow(now, endpoint, session, event),
            Event::AddressChanged { session, from, to } => {
                tracing::info!(%session, %from, %to, "client has moved");
                if let Some(info) = endpoint.session(session) {
                    self.services.directory.set_observed(&info.peer_id, self.owner(session), to);
                }
            }
            Event::Closed { session, reason } => {
                if let Some(client) = self.clients.remove(&session) {
                    let was_connected = client.connection.is_connected();
                    if let Some(peer) = client.peer {
                        self.services.directory.remove(&peer, self.owner(session));
                    }
                    tracing::info!(%session, %reason, was_connected, "client gone");
                }
            }
            Event::OpenFailed { .. } | Event::Pong { .. } | Event::Keys { .. } => (),
            // The worker's own.
            Event::Lookup(_) | Event::Keying(_) => (),
        }
    }

    fn handle_flow(&mut self, now: Instant, endpoint: &mut Endpoint, session: SessionId, event: FlowEvent) {
        let settings = &self.services.connection;
        let client = self.clients.entry(session).or_insert_with(|| {
            let connection = NetConnection::new(Arc::clone(settings));
            Box::new(Client { connection, sending: SmallVec::new(), peer: None, is_closing: false })
        });
        let actions = &mut self.actions;
        match event {
            FlowEvent::Opened { flow, metadata, return_of } => {
                let return_of = return_of.map(|flow| flow.0);
                if let Verdict::Reject(reason) = client.connection.on_flow(flow.0, &metadata, return_of) {
                    tracing::debug!(%session, flow = flow.0, %reason, "flow rejected");
                    let _ = endpoint.with_flows(now, session, |flows| flows.reject(flow, 0));
                }
            }
            FlowEvent::Message { flow, data, .. } => client.connection.on_message(flow.0, &data, actions),
            FlowEvent::Ended { flow, .. } => client.connection.on_flow_closed(flow.0, actions),
            FlowEvent::Rejected { flow, .. } => {
                if let Some((stream, _)) = client.sending.iter().find(|(_, id)| *id == flow) {
                    client.connection.on_flow_exception(*stream, actions);
                }
            }
            FlowEvent::Closed { flow } => {
                client.sending.retain(|(_, id)| *id != flow);
                if client.is_closing && client.sending.is_empty() {
                    endpoint.close(now, session);
                }
            }
            FlowEvent::Writable { .. } | FlowEvent::Delivered { .. } | FlowEvent::Dropped { .. } => (),
        }
        self.act(now, endpoint, session);
    }

    /// Does what the client's connection wants done.
    fn act(&mut self, now: Instant, endpoint: &mut Endpoint, session: SessionId) {
        let Some(client) = self.clients.get_mut(&session) else {
            self.actions.clear();
            return;
        };
        // An action may lead to more of them.
        while !self.actions.is_empty() {
            for action in std::mem::take(&mut self.actions) {
                let mut context = Acting {
                    now,
                    endpoint,
                    session,
                    worker: self.worker,
                    services: &self.services,
                    actions: &mut self.actions,
                    doomed: &mut self.doomed,
                };
                context.act(client, action);
            }
        }
    }

    /// Tells the clients that the server goes away: AIR notices a close only when its control flow is rejected too.
    pub(super) fn say_goodbye(&mut self, now: Instant, endpoint: &mut Endpoint) {
        let all: Vec<SessionId> = self.clients.keys().copied().collect();
        for session in all {
            if let Some(client) = self.clients.get_mut(&session) {
                client.connection.close(&mut self.actions);
            }
            self.act(now, endpoint, session);
        }
        let others: Vec<SessionId> = endpoint.session_ids().filter(|id| !self.clients.contains_key(id)).collect();
        others.into_iter().for_each(|id| endpoint.close(now, id));
    }

    /// Closes the sessions whose time has come.
    pub(super) fn handle_timeout(&mut self, now: Instant, endpoint: &mut Endpoint) {
        while let Some((at, session)) = self.doomed.front().copied()
            && at <= now
        {
            self.doomed.pop_front();
            endpoint.close(now, session);
        }
    }

    /// When [`Self::handle_timeout`] is to be called next.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.doomed.front().map(|(at, _)| *at)
    }
}

/// One client's turn.
struct Acting<'a> {
    now: Instant,
    endpoint: &'a mut Endpoint,
    session: SessionId,
    worker: u8,
    services: &'a Services,
    actions: &'a mut Vec<Action>,
    doomed: &'a mut VecDeque<(Instant, SessionId)>,
}

impl Acting<'_> {
    fn owner(&self) -> Owner {
        Owner { worker: self.worker, session: self.session.get() }
    }

    fn act(&mut self, client: &mut Client, action: Action) {
        let (now, session) = (self.now, self.session);
        match action {
            Action::OpenFlow { stream, return_of, metadata } => {
                let options = FlowOptions { return_of: Some(RecvFlowId(return_of)), ..FlowOptions::default() };
                match self.endpoint.open_flow(now, session, &metadata, options) {
                    Ok(flow) => client.sending.push((stream, flow)),
                    Err(error) => tracing::debug!(%session, stream, %error, "flow not opened"),
                }
            }
            Action::Send { stream, message } => {
                let Some((_, flow)) = client.sending.iter().find(|(id, _)| *id == stream) else { return };
                if let Err(error) = self.endpoint.send(now, session, *flow, message, Delivery::default()) {
                    // A client that takes nothing in has had its time: what it was owed cannot be kept for ever.
                    tracing::info!(%session, stream, %error, "client does not take its messages: closed");
                    self.endpoint.close(now, session);
                }
            }
            Action::CloseFlow { stream } => {
                if let Some((_, flow)) = client.sending.iter().find(|(id, _)| *id == stream) {
                    let _ = self.endpoint.with_flows(now, session, |flows| flows.close(*flow));
                }
            }
            Action::Connect(request) => {
                let Some(info) = self.endpoint.session(session) else { return };
                tracing::info!(
                    %session,
                    peer = %info.peer_id,
                    address = %info.far_address,
                    app = %request.path.application,
                    instance = %request.path.instance,
                    agent = %request.agent,
                    "client connected"
                );
                if let Err(error) = client.connection.accept(Vec::new(), self.actions) {
                    tracing::warn!(%session, %error, "connect could not be answered");
                    return;
                }
                client.peer = Some(info.peer_id);
                self.services.directory.connect(info.peer_id, self.owner(), info.far_address);
                self.advise_keepalive(client, &[]);
            }
            Action::SetPeerInfo(info) => self.set_peer_info(client, &info),
            Action::Call(call) => {
                tracing::debug!(%session, method = %call.name, "call of an unknown method");
                client.connection.refuse_call(&call, self.actions);
            }
            Action::CloseSession { reason, control_flow } => {
                tracing::debug!(%session, ?reason, "closing");
                client.is_closing = true;
                for (_, flow) in &client.sending {
                    let _ = self.endpoint.with_flows(now, session, |flows| flows.close(*flow));
                }
                if let Some(flow) = control_flow {
                    let _ = self.endpoint.with_flows(now, session, |flows| flows.reject(RecvFlowId(flow), 0));
                }
                self.doomed.push_back((now + CLOSE_PATIENCE, session));
            }
            Action::Report(report) => tracing::debug!(%session, %report, "from a client"),
            Action::GroupMessage { flow, .. } | Action::GroupFlowClosed { flow } => {
                tracing::debug!(%session, flow, "group control");
            }
            Action::Answer { .. } | Action::PingResponse { .. } => (),
        }
    }

    fn set_peer_info(&mut self, client: &mut Client, info: &PeerInfo) {
        let session = self.session;
        for skipped in &info.skipped {
            tracing::debug!(%session, entry = %skipped.text, reason = %skipped.reason, "setPeerInfo entry skipped");
        }
        tracing::debug!(%session, addresses = ?info.addresses, "setPeerInfo");
        if let Some(peer) = self.endpoint.session(session).map(|session| session.peer_id) {
            self.services.directory.set_reported(&peer, self.owner(), &info.addresses);
        }
        self.advise_keepalive(client, &info.addresses);
    }

    /// Until a client has told its addresses, it is taken to be behind a NAT.
    fn advise_keepalive(&mut self, client: &mut Client, reported: &[std::net::SocketAddr]) {
        let Some(info) = self.endpoint.session(self.session) else { return };
        let timers = &self.services.keepalive;
        let (server, peer) = if behind_nat(info.far_address, reported) { timers.behind_nat } else { timers.direct };
        client.connection.set_keepalive_timers(server, peer, self.actions);
    }
}
