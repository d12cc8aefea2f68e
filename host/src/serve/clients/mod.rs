//! The clients of one worker: between their sessions' flows and their NetConnections.

mod addresses;
mod commands;
mod connecting;
mod groups;
mod identities;
mod perform;
mod plugins;
mod silence;
mod work;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use introd_flash::command::{Level, info};
use introd_flash::server::{Action, FlowVerdict, NetConnection, Rejection};
use introd_policy::Deadlines;
use introd_policy::message::{AppEvent, ClientStats};
use rtmfp::flow::{FlowEvent, RecvFlowId, SendFlowId};
use rtmfp::{Event, PeerId, Refusal, SessionId};
use smallvec::SmallVec;

use super::rates::ClientRate;
use super::turn::{Turn, WorkerInfo};
use crate::apps::{self, Instance, Seat};
use addresses::Changes;
use groups::ClientGroups;
use identities::Doubts;
use perform::ClientTurn;
use silence::Silence;

pub(super) use connecting::PendingConnect;

/// How long a client that is being closed has to take in the last messages.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a client has to take in that its control flow is rejected.
const EXCEPTION_TIMEOUT: Duration = Duration::from_millis(250);

/// There are many of these, and most do nothing but wait: what most never need is apart.
struct Client {
    connection: NetConnection,
    /// The server's flows to it, by stream.
    sending: SmallVec<[(u32, SendFlowId); 1]>,
    /// What it is connected to, and its id in the directory.
    place: Option<(PeerId, Seat)>,
    /// When it last did something.
    active: Instant,
    /// How often it looks others up, if that is limited.
    lookups: Option<Box<ClientRate>>,
    /// The groups that it is in, if any.
    groups: Option<Box<ClientGroups>>,
    /// What there is between it and its application, if that has a policy.
    dealings: Option<Box<Dealings>>,
    closing: Option<Box<Closing>>,
    /// How often it has changed its addresses, if it has.
    changes: Option<Box<Changes>>,
    silence: Silence,
    /// Whether it had proven that its peer id is its own when it was let in.
    is_proven: bool,
}

/// What there is between a client and the policy of its application.
#[derive(Default)]
struct Dealings {
    /// Calls that the application made and that are not answered: the connection's number, the application's token.
    calls: Vec<(u64, u64)>,
    /// What has passed since it asked to connect.
    stats: ClientStats,
}

/// A connection that ends once the client has what it is owed.
struct Closing {
    /// The client's control flow. It is rejected last, which is how AIR notices: clients take the connection for lost then, and
    /// look at nothing that comes after.
    control_flow: Option<u64>,
}

/// What the clients of a worker are due for.
#[derive(Default)]
struct Agenda {
    /// Sessions to be closed when their time comes, if they have not closed by then.
    closing: Deadlines<SessionId>,
    /// When to pass on what clients say of their addresses, if that was too soon.
    address_changes: Deadlines<SessionId>,
    /// When to look whether a client still speaks.
    silence: Deadlines<SessionId>,
    /// What the connection of the client whose turn it is wants done.
    actions: Vec<Action>,
}

/// The clients of one worker.
pub(super) struct Clients {
    clients: HashMap<SessionId, Box<Client>>,
    agenda: Agenda,
    /// Sessions whose ids others show too.
    doubts: Doubts,
    /// When to look for idle clients next.
    idle_check: Instant,
}

impl Clients {
    pub(super) fn new(info: &WorkerInfo) -> Self {
        let idle_check = Instant::now() + info.services.applications.config().server.idle_check_interval;
        Self { clients: HashMap::new(), agenda: Agenda::default(), doubts: Doubts::default(), idle_check }
    }

    /// The application instance that a client is connected to. One that waits to be accepted, or was rejected, is no client of it.
    pub(super) fn instance(&self, session: SessionId) -> Option<&Arc<Instance>> {
        let (_, seat) = self.place(session)?;
        Some(seat.instance())
    }

    /// The peer that a client is.
    pub(super) fn peer(&self, session: SessionId) -> Option<PeerId> {
        let (peer, _) = self.place(session)?;
        Some(*peer)
    }

    fn place(&self, session: SessionId) -> Option<&(PeerId, Seat)> {
        let client = self.clients.get(&session)?;
        client.place.as_ref().filter(|_| client.connection.is_connected())
    }

    /// Whether a client may look up another peer now: so often as its application allows.
    pub(super) fn permit_lookup(&mut self, now: Instant, session: SessionId) -> bool {
        let Some(client) = self.clients.get_mut(&session) else { return true };
        let limit = client.place.as_ref().and_then(|(_, seat)| seat.instance().max_lookup_rate());
        limit.is_none_or(|limit| client.lookups.get_or_insert_default().permits(now, limit))
    }

    /// Handles an event of a session.
    pub(super) fn handle(&mut self, turn: &mut Turn<'_>, event: Event) {
        match event {
            Event::Opened { session, .. } => {
                if let Some(info) = turn.endpoint.session(session) {
                    let near = turn.ports.address_of(info.interface);
                    tracing::debug!(%session, peer = %info.peer_id, address = %info.far_address, ?near, "session open");
                }
            }
            Event::Flow { session, event } => self.handle_flow(turn, session, event),
            Event::AddressChanged { session, from, to } => {
                tracing::info!(%session, %from, %to, "client has moved");
                if let Some(info) = turn.endpoint.session(session)
                    && turn.services().directory.set_observed(&info.peer_id, session, to)
                {
                    turn.services().announce(info.peer_id, session, info.is_proven);
                }
                self.tell_plugins_moved(session, to);
                self.tell_script(turn, session, |client| AppEvent::FarAddressChange { client, address: to });
                self.close_if_denied(turn, session, to);
            }
            Event::Closed { session, reason } => {
                self.leave_all_groups(turn.info, session);
                self.forget_silence(session);
                self.tell_script(turn, session, |client| AppEvent::Disconnect { client });
                self.cancel_connect(turn, session, &reason.to_string());
                self.tell_plugins_gone(session, &reason.to_string());
                if let Some(client) = self.clients.remove(&session) {
                    let was_connected = client.connection.is_connected();
                    if let Some((peer, _)) = client.place {
                        self.give_up_id(turn.info, peer, session, client.is_proven);
                    }
                    tracing::info!(%session, %reason, was_connected, "client gone");
                }
            }
            Event::Refused { from, reason } => {
                let limit = match reason {
                    Refusal::Sessions => "MaxSessions",
                    Refusal::SessionsOfPrefix => "MaxSessionsPerAddress",
                    Refusal::Keyings | Refusal::KeyingsOfPrefix => "MaxPendingHandshakes",
                };
                turn.services().refusals.tell(turn.now, from.ip(), limit);
            }
            Event::Overspent { session, is_persistent } => self.overspent(turn, session, is_persistent),
            Event::Pong { session, .. } => {
                self.spoke(turn.info, session);
                self.answered(turn.info, session);
            }
            Event::OpenFailed { .. } | Event::Keys { .. } => (),
            // The worker's own.
            Event::Lookup(_) | Event::Keying(_) => (),
        }
    }

    fn handle_flow(&mut self, turn: &mut Turn<'_>, session: SessionId, event: FlowEvent) {
        let now = turn.now;
        let settings = &turn.services().connection;
        let client = self.clients.entry(session).or_insert_with(|| {
            let connection = NetConnection::new(Arc::clone(settings));
            Box::new(Client {
                connection,
                sending: SmallVec::new(),
                place: None,
                active: now,
                lookups: None,
                groups: None,
                dealings: None,
                closing: None,
                changes: None,
                silence: Silence::default(),
                is_proven: false,
            })
        });
        let actions = &mut self.agenda.actions;
        let mut work = 0;
        match event {
            FlowEvent::Opened { flow, metadata, return_of } => {
                let return_of = return_of.map(|flow| flow.0);
                if let FlowVerdict::Reject(reason) = client.connection.on_flow(flow.0, &metadata, return_of) {
                    tracing::debug!(%session, flow = flow.0, %reason, "flow rejected");
                    let _ = turn.endpoint.with_flows(now, session, |flows| flows.reject(flow, 0));
                }
            }
            FlowEvent::Message { flow, data, .. } => {
                client.active = now;
                if let Some(dealings) = &mut client.dealings {
                    dealings.stats.msg_in += 1;
                    dealings.stats.bytes_in += data.len() as u64;
                }
                client.connection.on_message(flow.0, &data, actions);
                work = work::of_message(&data);
            }
            FlowEvent::Ended { flow, .. } => client.connection.on_flow_closed(flow.0, actions),
            FlowEvent::Rejected { flow, .. } => {
                if let Some(groups) = &mut client.groups {
                    groups.on_rejected(flow);
                }
                if let Some((stream, _)) = client.sending.iter().find(|(_, id)| *id == flow) {
                    client.connection.on_flow_exception(*stream, actions);
                }
            }
            FlowEvent::Closed { flow } => {
                client.sending.retain(|(_, id)| *id != flow);
                if client.sending.is_empty()
                    && let Some(closing) = &mut client.closing
                {
                    if let Some(flow) = closing.control_flow.take() {
                        let _ = turn.endpoint.with_flows(now, session, |flows| flows.reject(RecvFlowId(flow), 0));
                    }
                    self.agenda.closing.insert(now + EXCEPTION_TIMEOUT, session);
                }
            }
            FlowEvent::Dropped { .. } => {
                if let Some(dealings) = &mut client.dealings {
                    dealings.stats.msg_dropped += 1;
                }
            }
            FlowEvent::Writable { .. } | FlowEvent::Delivered { .. } => (),
        }
        // What its messages lead to is charged to the client; what others make the server do for it is not.
        work += self.agenda.actions.iter().map(work::of_action).fold(0, u32::saturating_add);
        if work > 0 {
            turn.endpoint.charge(session, work);
        }
        self.perform_actions(turn, session);
    }

    /// Does something for a client, if it is there, and what its connection wants done then.
    fn with_client(
        &mut self,
        turn: &mut Turn<'_>,
        session: SessionId,
        work: impl FnOnce(&mut ClientTurn<'_, '_>, &mut Client),
    ) {
        let Some(client) = self.clients.get_mut(&session) else { return };
        let mut client_turn = ClientTurn { turn, session, agenda: &mut self.agenda };
        work(&mut client_turn, client);
        client_turn.perform_actions(client);
    }

    /// Does what the connection of a client wants done.
    fn perform_actions(&mut self, turn: &mut Turn<'_>, session: SessionId) {
        match self.clients.get_mut(&session) {
            Some(client) => ClientTurn { turn, session, agenda: &mut self.agenda }.perform_actions(client),
            None => self.agenda.actions.clear(),
        }
    }

    /// Tells the clients that the server goes away: AIR notices a close only when its control flow is rejected too.
    pub(super) fn say_goodbye(&mut self, turn: &mut Turn<'_>) {
        let all: Vec<SessionId> = self.clients.keys().copied().collect();
        for session in all {
            self.with_client(turn, session, |client_turn, client| {
                client.connection.close(&mut client_turn.agenda.actions);
            });
        }
        let others: Vec<SessionId> = turn.endpoint.session_ids().filter(|id| !self.clients.contains_key(id)).collect();
        others.into_iter().for_each(|id| turn.endpoint.close(turn.now, id));
    }

    /// Closes the sessions whose time has come, and those of clients that do nothing.
    pub(super) fn handle_timeout(&mut self, turn: &mut Turn<'_>) {
        while let Some((_, session)) = self.agenda.closing.take_due(turn.now) {
            turn.endpoint.close(turn.now, session);
        }
        self.pass_on_address_changes(turn);
        self.check_doubts(turn);
        self.check_silence(turn);
        if turn.now >= self.idle_check {
            self.idle_check = turn.now + turn.services().applications.config().server.idle_check_interval;
            self.close_idle(turn);
            turn.services().applications.end_idle(turn.now);
        }
    }

    /// The worker stood still for so long: nothing that came could be noticed.
    pub(super) fn stood_still(&mut self, stood: Duration) {
        self.clients.values_mut().for_each(|client| client.active += stood);
        self.agenda.closing.postpone(stood);
    }

    /// When [`Self::handle_timeout`] is to be called next.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let agenda = &self.agenda;
        let times = [
            agenda.closing.next(),
            agenda.address_changes.next(),
            agenda.silence.next(),
            self.doubts.next_timeout(),
            Some(self.idle_check),
        ];
        times.into_iter().flatten().min()
    }

    /// A client that has moved to an address that the access rules deny is told so and closed. One that waits to be accepted is looked at
    /// when it is.
    fn close_if_denied(&mut self, turn: &mut Turn<'_>, session: SessionId, to: SocketAddr) {
        let Some((_, seat)) = self.place(session) else { return };
        if seat.instance().permits(to.ip()) {
            return;
        }
        let app = seat.instance().name();
        tracing::info!(%session, address = %to, %app, "client has moved to an address that the access rules deny: closed");
        let Rejection { code, description, .. } = apps::Refusal::Access(to.ip()).to_rejection();
        self.close_with(turn, session, Level::Error, &code, &description);
    }

    /// AutoCloseIdleClients: clients that have sent no message for too long are told so and closed.
    fn close_idle(&mut self, turn: &mut Turn<'_>) {
        let is_idle = |client: &Client| {
            let Some((_, seat)) = &client.place else { return false };
            let limit = seat.instance().settings().idle_clients;
            limit.enable
                && client.closing.is_none()
                && turn.now.saturating_duration_since(client.active) >= limit.max_idle_time
        };
        let idle: Vec<SessionId> =
            self.clients.iter().filter(|(_, client)| is_idle(client)).map(|(id, _)| *id).collect();
        for session in idle {
            tracing::info!(%session, "client has been idle for too long: closed");
            let code = "NetConnection.Connect.IdleTimeout";
            self.close_with(turn, session, Level::Status, code, "Idle for too long.");
        }
    }

    /// Sends a client a status, and closes its connection.
    fn close_with(&mut self, turn: &mut Turn<'_>, session: SessionId, level: Level, code: &str, description: &str) {
        self.with_client(turn, session, |client_turn, client| {
            let actions = &mut client_turn.agenda.actions;
            let _ = client.connection.call("onStatus", vec![info(level, code, description)], false, actions);
            client.connection.close(actions);
        });
    }
}
