//! Doing what a client's NetConnection wants done.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rtmfp::flow::{Delivery, FlowOptions, RecvFlowId};
use rtmfp::{Endpoint, InterfaceId, SessionId, SessionInfo};

use super::identities;
use super::policy::client_id;
use super::{CLOSE_PATIENCE, Client, Closing, Services};
use crate::apps::{Refusal, Seat};
use crate::introducer::{Arrival, Counter};
use crate::serve::listener::Listener;
use crate::serve::mail::MailSender;
use crate::serve::pending::Pendings;
use introd_flash::amf::Value;
use introd_flash::client::CLIENT_ADDRESS;
use introd_flash::peer_info::behind_nat;
use introd_flash::server::{Action, AnswerError, Call, ConnectRequest, Rejection};
use introd_native::Place;
use introd_policy::message::{AppEvent, ClientInfo};
use introd_udp::Ports;

/// One client's turn.
pub(super) struct Acting<'a> {
    pub(super) now: Instant,
    pub(super) endpoint: &'a mut Endpoint,
    pub(super) session: SessionId,
    pub(super) listeners: &'a [Listener],
    pub(super) mailboxes: &'a [MailSender],
    pub(super) ports: &'a Ports,
    pub(super) services: &'a Services,
    pub(super) pendings: &'a mut Pendings,
    pub(super) actions: &'a mut Vec<Action>,
    pub(super) doomed: &'a mut BTreeSet<(Instant, SessionId)>,
    pub(super) deferred: &'a mut BTreeSet<(Instant, SessionId)>,
    pub(super) quiet: &'a mut BTreeSet<(Instant, SessionId)>,
}

impl Acting<'_> {
    pub(super) fn act(&mut self, client: &mut Client, action: Action) {
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
                let age = self.services.max_unsent_age;
                let delivery = Delivery { start_by: age.map(|age| now + age), ..Delivery::default() };
                if let Some(dealings) = &mut client.dealings {
                    dealings.stats.msg_out += 1;
                    dealings.stats.bytes_out += message.len() as u64;
                }
                if let Err(error) = self.endpoint.send(now, session, *flow, message, delivery) {
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
            Action::Connect(request) => self.connect(client, *request),
            Action::SetPeerInfo(info) => self.set_peer_info(client, info),
            Action::Call(call) => self.call(client, call),
            Action::CloseSession { reason, control_flow } => {
                tracing::debug!(%session, ?reason, "closing");
                for (_, flow) in &client.sending {
                    let _ = self.endpoint.with_flows(now, session, |flows| flows.close(*flow));
                }
                client.closing = Some(Box::new(Closing { control_flow }));
                self.doomed.insert((now + CLOSE_PATIENCE, session));
            }
            Action::Publish { name } => {
                tracing::info!(%session, stream = %name, "publishes to this server, which passes no media on: it is dropped");
            }
            Action::Report(report) => tracing::debug!(%session, %report, "from a client"),
            Action::GroupMessage { flow, message } => self.group_message(client, flow, &message),
            Action::GroupFlowClosed { flow } => self.group_flow_closed(client, flow),
            Action::Answer { transaction, outcome } => answered(client, session, transaction, outcome),
            Action::PingResponse { .. } => (),
        }
    }

    fn listener(&self, interface: InterfaceId) -> Option<&Listener> {
        self.listeners.get(usize::from(self.ports.lookup(interface)?.socket))
    }

    fn connect(&mut self, client: &mut Client, request: ConnectRequest) {
        let session = self.session;
        let Some(info) = self.endpoint.session(session) else { return };
        let adaptor = self.listener(info.interface).map_or(0, |listener| listener.adaptor);
        let seat = match self.services.applications.admit(adaptor, &request, info.far_address.ip()) {
            Ok(seat) => seat,
            Err(refusal) => {
                let path = &request.path;
                let app = format_args!("{}/{}", path.application, path.instance);
                introd_log::refused("connect", info.far_address, &app, "the server", &refusal.for_log());
                if refusal.is_for_lack_of_room() {
                    self.services.counters.worker(session.prefix()).add(Counter::InstancesRefused);
                }
                self.reject(client, refusal.to_rejection());
                return;
            }
        };
        let info = Box::new(self.client_info(&info, request));
        let plugins = seat.instance().plugins();
        if plugins.is_empty() {
            drop(plugins);
            self.seated(client, seat, info);
        } else {
            let plugins = Arc::clone(&plugins);
            self.ask_plugins(client, seat, info, plugins, 0);
        }
    }

    /// A client has its seat, and no plugin has anything against it: its application decides.
    pub(super) fn seated(&mut self, client: &mut Client, seat: Seat, info: Box<ClientInfo>) {
        let session = self.session;
        let actor = seat.instance().actor().cloned();
        let peer = info.far_id;
        client.place = Some((peer, seat));
        client.dealings = actor.is_some().then(Box::default);
        let Some(actor) = actor else {
            self.accept(client, Some(&info.request.agent));
            return;
        };
        if actor.tell(AppEvent::Connect { client: client_id(session), info }).is_err() {
            self.services.counters.worker(session.prefix()).add(Counter::ApplicationBusy);
            if let Some((info, (_, seat))) = self.endpoint.session(session).zip(client.place.as_ref()) {
                introd_log::refused(
                    "connect",
                    info.far_address,
                    seat.instance().name(),
                    "the server",
                    &"the application is busy",
                );
            }
            // It was not told of the client, and is not to be told that the client is gone.
            if let Some((_, seat)) = client.place.take() {
                for plugin in seat.instance().plugins().iter() {
                    plugin.disconnect(session, peer, Place::from(seat.instance().name()), "turned away");
                }
            }
            self.reject(
                client,
                Rejection::new("NetConnection.Connect.Rejected", "[ Server.Reject ] : the application is busy"),
            );
        }
    }

    /// What the application is told of a client.
    fn client_info(&self, info: &SessionInfo, request: ConnectRequest) -> ClientInfo {
        let local = self.ports.address_of(info.interface).unwrap_or(info.far_address);
        ClientInfo {
            far_id: info.peer_id,
            is_proven: info.is_proven,
            near_id: self.services.near_id,
            far_nonce: info.far_nonce,
            near_nonce: info.near_nonce,
            far_address: info.far_address,
            near_address: self.listener(info.interface).map_or(local, |listener| listener.near_address(local)),
            potential_near_addresses: Arc::clone(&self.services.potential_near_addresses),
            request,
        }
    }

    /// Lets a client in that has its place. What program it is has not been kept for one that waited.
    pub(super) fn accept(&mut self, client: &mut Client, agent: Option<&str>) {
        let session = self.session;
        let Some(info) = self.endpoint.session(session) else { return };
        let ip = info.far_address.ip();
        if client.place.as_ref().is_some_and(|(_, seat)| !seat.instance().permits(ip)) {
            // It has moved while it waited.
            let refusal = Refusal::Access(ip);
            tracing::info!(%session, address = %info.far_address, %refusal, "client refused");
            self.reject(client, refusal.to_rejection());
            return;
        }
        let Some((peer, seat)) = &client.place else { return };
        let seen = (CLIENT_ADDRESS.to_owned(), info.far_address.to_string().into());
        if let Err(error) = client.connection.accept(vec![seen], self.actions) {
            tracing::warn!(%session, %error, "connect could not be answered");
            return;
        }
        let app = seat.instance().name();
        tracing::info!(%session, %peer, address = %info.far_address, %app, agent, "client connected");
        let (peer, instance, address) = (*peer, seat.instance().id().0, info.far_address);
        client.is_proven = info.is_proven;
        match self.services.directory.connect(peer, session, instance, address, info.is_proven) {
            Arrival::Holds | Arrival::Replaced(_) => self.services.announce(peer, session, info.is_proven),
            Arrival::Waits { holder, observed } => {
                tracing::info!(
                    %session,
                    %peer,
                    %address,
                    %holder,
                    holder_address = %observed,
                    "client shows the id of another, and proves nothing: not found by it while the other lives"
                );
                identities::contest(self.mailboxes, self.services, peer, holder);
            }
        }
        self.advise_keepalive(client, &[]);
    }

    pub(super) fn reject(&mut self, client: &mut Client, rejection: Rejection) {
        let mut plain = Rejection::new(rejection.code.clone(), rejection.description.clone());
        plain.redirect.clone_from(&rejection.redirect);
        let mut result = client.connection.reject(rejection, self.actions);
        if matches!(result, Err(AnswerError::Encode(_))) {
            // What the application says besides cannot be written in AMF0.
            result = client.connection.reject(plain, self.actions);
        }
        if let Err(error) = result {
            tracing::debug!(session = %self.session, %error, "connect could not be answered");
        }
    }

    /// A method that the server does not know is the application's, if that has a policy.
    fn call(&mut self, client: &mut Client, call: Call) {
        let session = self.session;
        if let Some(actor) = client.actor() {
            let event = AppEvent::Call { client: client_id(session), call };
            let Err(event) = actor.tell(event) else { return };
            self.services.counters.worker(session.prefix()).add(Counter::ApplicationBusy);
            if let AppEvent::Call { call, .. } = *event {
                client.connection.refuse_call(&call, self.actions);
            }
        } else {
            tracing::debug!(%session, method = %call.name, "call of an unknown method");
            client.connection.refuse_call(&call, self.actions);
        }
    }

    /// Until a client has told its addresses, it is taken to be behind a NAT.
    pub(super) fn advise_keepalive(&mut self, client: &mut Client, reported: &[SocketAddr]) {
        let Some(info) = self.endpoint.session(self.session) else { return };
        let config = self.services.applications.config();
        let adaptor = self.listener(info.interface).and_then(|listener| config.all_adaptors().nth(listener.adaptor));
        let rtmfp = &adaptor.unwrap_or(&config.default_adaptor).rtmfp;
        let is_translated = behind_nat(info.far_address, reported);
        let keepalive = if is_translated { rtmfp.keepalive_nat } else { rtmfp.keepalive_no_nat };
        let millis = |period: Duration| u32::try_from(period.as_millis()).unwrap_or(u32::MAX);
        client.silence.interval = millis(keepalive.server);
        if client.silence.due.is_none() && client.connection.is_connected() {
            let due = self.now + keepalive.server;
            client.silence.due = Some(due);
            self.quiet.insert((due, self.session));
        }
        client.connection.set_keepalive_timers(millis(keepalive.server), millis(keepalive.peers), self.actions);
    }
}

/// The client answers a call that the application made.
fn answered(client: &mut Client, session: SessionId, transaction: u64, outcome: Result<Vec<Value>, Vec<Value>>) {
    let Some(dealings) = &mut client.dealings else { return };
    let Some(place) = dealings.calls.iter().position(|(own, _)| *own == transaction) else { return };
    let (_, token) = dealings.calls.swap_remove(place);
    if let Some(actor) = client.actor() {
        let _ = actor.tell(AppEvent::Answer { client: client_id(session), token, outcome });
    }
}
