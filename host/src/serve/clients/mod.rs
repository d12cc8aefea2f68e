//! The clients of one worker: between their sessions' flows and their NetConnections.

mod acting;
mod addresses;
mod groups;
mod identities;
mod plugins;
mod policy;
mod silence;
mod work;

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rtmfp::flow::{FlowEvent, RecvFlowId, SendFlowId};
use rtmfp::{Endpoint, Event, PeerId, Refusal, SessionId};
use smallvec::SmallVec;

use acting::Acting;
use addresses::Changes;
use groups::ClientGroups;
use identities::Doubts;
use silence::Silence;

use super::announcer::{Announcer, Told};
use super::listener::Listener;
use super::mail::MailSender;
use super::pending::Pendings;
use super::rates::{ClientRate, Rates};
use super::refusals::Refusals;
use crate::apps::{self, Applications, Instance, Seat};
use crate::introducer::{Counters, Directory};
use crate::registry::Resolver;
use introd_config::LookupMode;
use introd_flash::command::{Level, info};
use introd_flash::server::{Action, ConnectionSettings, FlowVerdict, NetConnection, Rejection};
use introd_policy::InstanceId;
use introd_policy::message::{AppEvent, ClientStats};
use introd_udp::Ports;

/// How long a client that is being closed has to take in the last messages.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// How long a client has to take in that its control flow is rejected.
const EXCEPTION_PATIENCE: Duration = Duration::from_millis(250);

/// What the workers' clients have in common.
pub struct Services {
    /// Who is connected.
    pub directory: Directory,
    /// What is counted.
    pub counters: Arc<Counters>,
    /// What NetConnections are told.
    pub connection: Arc<ConnectionSettings>,
    /// What is limited.
    pub rates: Rates,
    /// Tells whom a limit has kept out.
    pub refusals: Refusals,
    /// Messages that have waited for longer are not sent any more.
    pub max_unsent_age: Option<Duration>,
    /// What clients connect to.
    pub applications: Arc<Applications>,
    /// The server's peer id.
    pub near_id: PeerId,
    /// All public addresses of the server.
    pub potential_near_addresses: Arc<[SocketAddr]>,
    /// Tells other servers of the peers, if there is a registry that they share.
    pub announcer: Option<Announcer>,
    /// Looks up who is not connected here.
    pub resolver: Resolver,
}

impl Services {
    /// The directory's entry of a peer has changed: other servers are told, if they are to know. `session` is one of the peer's, and has
    /// proven the peer's id or not, as all of them.
    fn announce(&self, peer: PeerId, session: SessionId, is_proven: bool) {
        let Some(announcer) = &self.announcer else { return };
        announcer.announce(&self.directory, peer, is_proven, self.counters.worker(session.prefix()), |peer| {
            let id = InstanceId(peer.instance);
            match self.applications.instance(id) {
                Some(instance) if matches!(instance.lookup_mode(), LookupMode::All | LookupMode::Denied) => {
                    Told::Nothing
                }
                _ if self.applications.guards().has(id) => Told::Where,
                _ => Told::All,
            }
        });
    }
}

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

/// The clients of one worker.
pub(super) struct Clients {
    listeners: Vec<Listener>,
    services: Arc<Services>,
    /// The mailboxes of all workers, for hints to members of groups.
    mailboxes: Arc<[MailSender]>,
    clients: HashMap<SessionId, Box<Client>>,
    /// Sessions to be closed when their time comes, if they have not closed by then.
    doomed: BTreeSet<(Instant, SessionId)>,
    /// When to pass on what clients say of their addresses, if that was too soon.
    deferred: BTreeSet<(Instant, SessionId)>,
    /// When to look whether which client still speaks.
    quiet: BTreeSet<(Instant, SessionId)>,
    /// Sessions whose ids others show too.
    doubts: Doubts,
    /// When to look for idle clients next.
    idle_check: Instant,
    /// What waits for plugins.
    pub(super) pendings: Pendings,
    /// Reused for what a connection wants done.
    actions: Vec<Action>,
}

impl Clients {
    pub(super) fn new(listeners: Vec<Listener>, services: Arc<Services>, mailboxes: Arc<[MailSender]>) -> Self {
        let idle_check = Instant::now() + services.applications.config().server.idle_check_interval;
        Self {
            listeners,
            services,
            mailboxes,
            idle_check,
            clients: HashMap::new(),
            doomed: BTreeSet::new(),
            deferred: BTreeSet::new(),
            quiet: BTreeSet::new(),
            doubts: Doubts::default(),
            pendings: Pendings::default(),
            actions: Vec::new(),
        }
    }

    /// The application instance that a client is connected to. One that waits to be let in, or was turned away, is no client of it.
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

    /// May a client look somebody up now? So often as its application allows.
    pub(super) fn permit_lookup(&mut self, now: Instant, session: SessionId) -> bool {
        let Some(client) = self.clients.get_mut(&session) else { return true };
        let limit = client.place.as_ref().and_then(|(_, seat)| seat.instance().max_lookup_rate());
        limit.is_none_or(|limit| client.lookups.get_or_insert_default().permits(now, limit))
    }

    /// Handles an event of a session.
    pub(super) fn handle(&mut self, now: Instant, endpoint: &mut Endpoint, ports: &Ports, event: Event) {
        match event {
            Event::Opened { session, .. } => {
                if let Some(info) = endpoint.session(session) {
                    let near = ports.address_of(info.interface);
                    tracing::debug!(%session, peer = %info.peer_id, address = %info.far_address, ?near, "session open");
                }
            }
            Event::Flow { session, event } => self.handle_flow(now, endpoint, ports, session, event),
            Event::AddressChanged { session, from, to } => {
                tracing::info!(%session, %from, %to, "client has moved");
                if let Some(info) = endpoint.session(session)
                    && self.services.directory.set_observed(&info.peer_id, session, to)
                {
                    self.services.announce(info.peer_id, session, info.is_proven);
                }
                self.tell_plugins_moved(session, to);
                self.tell(session, |client| AppEvent::FarAddressChange { client, address: to });
                self.turn_out_if_denied(now, endpoint, ports, session, to);
            }
            Event::Closed { session, reason } => {
                self.leave_all_groups(session);
                self.forget_silence(session);
                self.tell(session, |client| AppEvent::Disconnect { client });
                self.tell_plugins_gone(session, &reason.to_string());
                if let Some(client) = self.clients.remove(&session) {
                    let was_connected = client.connection.is_connected();
                    if let Some((peer, _)) = client.place {
                        self.give_up_id(peer, session, client.is_proven);
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
                self.services.refusals.tell(now, from.ip(), limit);
            }
            Event::Overspent { session, is_persistent } => {
                self.overspent(now, endpoint, ports, session, is_persistent);
            }
            Event::Pong { session, .. } => {
                self.spoke(session);
                self.answered(session);
            }
            Event::OpenFailed { .. } | Event::Keys { .. } => (),
            // The worker's own.
            Event::Lookup(_) | Event::Keying(_) => (),
        }
    }

    fn handle_flow(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        ports: &Ports,
        session: SessionId,
        event: FlowEvent,
    ) {
        let settings = &self.services.connection;
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
        let actions = &mut self.actions;
        let mut work = 0;
        match event {
            FlowEvent::Opened { flow, metadata, return_of } => {
                let return_of = return_of.map(|flow| flow.0);
                if let FlowVerdict::Reject(reason) = client.connection.on_flow(flow.0, &metadata, return_of) {
                    tracing::debug!(%session, flow = flow.0, %reason, "flow rejected");
                    let _ = endpoint.with_flows(now, session, |flows| flows.reject(flow, 0));
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
                        let _ = endpoint.with_flows(now, session, |flows| flows.reject(RecvFlowId(flow), 0));
                    }
                    self.doomed.insert((now + EXCEPTION_PATIENCE, session));
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
        work += self.actions.iter().map(work::of_action).fold(0, u32::saturating_add);
        if work > 0 {
            endpoint.charge(session, work);
        }
        self.act(now, endpoint, ports, session);
    }

    /// Does something for a client, if it is there, and what that leads to.
    fn with_client(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        ports: &Ports,
        session: SessionId,
        work: impl FnOnce(&mut Acting<'_>, &mut Client),
    ) {
        let Some(client) = self.clients.get_mut(&session) else { return };
        let mut acting = Acting {
            now,
            endpoint,
            session,
            listeners: &self.listeners,
            mailboxes: &self.mailboxes,
            ports,
            services: &self.services,
            pendings: &mut self.pendings,
            actions: &mut self.actions,
            doomed: &mut self.doomed,
            quiet: &mut self.quiet,
            deferred: &mut self.deferred,
        };
        work(&mut acting, client);
        self.act(now, endpoint, ports, session);
    }

    /// Does what the client's connection wants done.
    fn act(&mut self, now: Instant, endpoint: &mut Endpoint, ports: &Ports, session: SessionId) {
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
                    listeners: &self.listeners,
                    mailboxes: &self.mailboxes,
                    ports,
                    services: &self.services,
                    pendings: &mut self.pendings,
                    actions: &mut self.actions,
                    doomed: &mut self.doomed,
                    deferred: &mut self.deferred,
                    quiet: &mut self.quiet,
                };
                context.act(client, action);
            }
        }
    }

    /// Tells the clients that the server goes away: AIR notices a close only when its control flow is rejected too.
    pub(super) fn say_goodbye(&mut self, now: Instant, endpoint: &mut Endpoint, ports: &Ports) {
        let all: Vec<SessionId> = self.clients.keys().copied().collect();
        for session in all {
            if let Some(client) = self.clients.get_mut(&session) {
                client.connection.close(&mut self.actions);
            }
            self.act(now, endpoint, ports, session);
        }
        let others: Vec<SessionId> = endpoint.session_ids().filter(|id| !self.clients.contains_key(id)).collect();
        others.into_iter().for_each(|id| endpoint.close(now, id));
    }

    /// Closes the sessions whose time has come, and those of clients that do nothing.
    pub(super) fn handle_timeout(&mut self, now: Instant, endpoint: &mut Endpoint, ports: &Ports) {
        while let Some((at, session)) = self.doomed.first().copied()
            && at <= now
        {
            self.doomed.pop_first();
            endpoint.close(now, session);
        }
        self.pass_on_deferred(now, endpoint, ports);
        self.check_doubts(now, endpoint);
        self.check_silence(now, endpoint);
        if now >= self.idle_check {
            self.idle_check = now + self.services.applications.config().server.idle_check_interval;
            self.close_idle(now, endpoint, ports);
            self.services.applications.end_idle(now);
        }
    }

    /// The worker stood still for so long: nothing that came could be noticed, and no verdict be taken.
    pub(super) fn stood_still(&mut self, stood: Duration) {
        self.clients.values_mut().for_each(|client| client.active += stood);
        self.doomed = std::mem::take(&mut self.doomed).into_iter().map(|(at, session)| (at + stood, session)).collect();
        self.pendings.stood_still(stood);
    }

    /// When [`Self::handle_timeout`] is to be called next, or plugins have had their time.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let first = |times: &BTreeSet<(Instant, SessionId)>| times.first().map(|(at, _)| *at);
        let times = [
            first(&self.doomed),
            first(&self.deferred),
            first(&self.quiet),
            self.doubts.next_timeout(),
            self.pendings.next_timeout(),
            Some(self.idle_check),
        ];
        times.into_iter().flatten().min()
    }

    /// A client that has moved to an address that the access rules deny is told so and closed. One that waits to be let in is looked at
    /// when it is.
    fn turn_out_if_denied(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        ports: &Ports,
        session: SessionId,
        to: SocketAddr,
    ) {
        let Some(client) = self.clients.get_mut(&session) else { return };
        let Some((_, seat)) = client.place.as_ref().filter(|_| client.connection.is_connected()) else { return };
        if seat.instance().permits(to.ip()) {
            return;
        }
        let app = seat.instance().name();
        tracing::info!(%session, address = %to, %app, "client has moved to an address that the access rules deny: closed");
        let Rejection { code, description, .. } = apps::Refusal::Access(to.ip()).to_rejection();
        let status = info(Level::Error, &code, &description);
        let _ = client.connection.call("onStatus", vec![status], false, &mut self.actions);
        client.connection.close(&mut self.actions);
        self.act(now, endpoint, ports, session);
    }

    /// AutoCloseIdleClients: clients that have sent no message for too long are told so and closed.
    fn close_idle(&mut self, now: Instant, endpoint: &mut Endpoint, ports: &Ports) {
        let is_idle = |client: &Client| {
            let Some((_, seat)) = &client.place else { return false };
            let limit = seat.instance().settings().idle_clients;
            limit.enable
                && client.closing.is_none()
                && now.saturating_duration_since(client.active) >= limit.max_idle_time
        };
        let idle: Vec<SessionId> =
            self.clients.iter().filter(|(_, client)| is_idle(client)).map(|(id, _)| *id).collect();
        for session in idle {
            tracing::info!(%session, "client has been idle for too long: closed");
            if let Some(client) = self.clients.get_mut(&session) {
                let status = info(Level::Status, "NetConnection.Connect.IdleTimeout", "Idle for too long.");
                let _ = client.connection.call("onStatus", vec![status], false, &mut self.actions);
                client.connection.close(&mut self.actions);
            }
            self.act(now, endpoint, ports, session);
        }
    }
}
