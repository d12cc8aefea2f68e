//! A client's connect: this file executes the steps of [`ConnectDecision`].

use std::sync::Arc;

use introd_flash::client::CLIENT_ADDRESS;
use introd_flash::server::{AnswerError, ConnectRequest, Rejection};
use introd_flash::uri::{AppPath, PathError};
use introd_log::Refused;
use introd_native::{Callback, PluginAnswer};
use introd_policy::decision::{ConnectDecision, ConnectInput, ConnectStep, PolicyKind};
use introd_policy::message::{AppEvent, ClientInfo};
use introd_policy::{AppActor, InstanceName, RequestId, Verdict};
use rtmfp::{SessionId, SessionInfo};

use super::client::{Client, MessageCounts, client_id};
use super::client_turn::ClientTurn;
use super::ending::THE_SERVER;
use super::identities;
use super::table::Clients;
use crate::apps::Refusal;
use crate::introducer::{Arrival, Counter};
use crate::meetings::NatKind;
use crate::serve::asked::AskedApplication;
use crate::serve::pending::PendingRequest;
use crate::serve::pending_connect::{ClientProgram, PendingConnect};
use crate::serve::turn::Turn;
use crate::stories::{Event, EventKind, cut};

impl ClientTurn<'_, '_> {
    /// Begins the decision about a client that asks to connect.
    pub(super) fn connect(&mut self, client: &mut Client, request: ConnectRequest) {
        let session = self.session;
        let Some(info) = self.turn.endpoint.session(session) else { return };
        let adaptor = self.turn.adaptor(info.interface);
        let seat = match self.turn.services().applications.admit(adaptor, &request, info.far_address.ip()) {
            Ok(seat) => seat,
            Err(refusal) => {
                let AppPath { application, instance } = request.path.clone();
                let [application, instance] = [application, instance].map(|name| cut(name).to_string());
                let place = InstanceName { application, instance, adaptor: String::new(), vhost: String::new() };
                self.refused(&info, place.into(), THE_SERVER, &refusal.for_log());
                if refusal.is_for_lack_of_room() {
                    self.turn.counters().add(Counter::InstancesRefused);
                }
                self.reject(client, refusal.to_rejection());
                return;
            }
        };
        let program = ClientProgram::of(&request);
        let info = Arc::new(self.client_info(&info, request));
        let decision = ConnectDecision::new(AskedApplication::of(seat.instance(), adaptor));
        let peer = info.far_id;
        let connect =
            PendingConnect { session, peer, decision, info, seat: Some(seat), program, is_script_told: false };
        self.drive_connect(client, connect, ConnectInput::Begin);
    }

    /// Counts, logs and tells that a client was refused, because the path that it asks for names no application.
    pub(super) fn path_refused(&mut self, path: String, error: PathError) {
        self.turn.counters().add(Counter::ConnectsRejected);
        let Some(info) = self.turn.endpoint.session(self.session) else { return };
        let (application, none) = (cut(path).to_string(), String::new);
        let place = InstanceName { application, instance: none(), adaptor: none(), vhost: none() };
        self.refused(&info, place.into(), THE_SERVER, &error.to_string());
    }

    /// Executes the steps of a decision until it waits or is over.
    fn drive_connect(&mut self, client: &mut Client, mut connect: PendingConnect, mut input: ConnectInput) {
        let (mut request, mut token) = (None, None);
        loop {
            let is_fallback = matches!(input, ConnectInput::Late | ConnectInput::Verdict(Verdict::Failed(_)));
            let step = connect.decision.advance(input);
            input = match step {
                ConnectStep::Accept => return self.accepted(client, connect, is_fallback),
                ConnectStep::Reject(policy, rejection) => return self.rejected(client, connect, policy, *rejection),
                ConnectStep::Wait(timeout) => {
                    if let Some(request) = request {
                        let (deadline, session) = (self.turn.now + timeout, connect.session);
                        let waiting = PendingRequest::Connect { connect, token, since: self.turn.now };
                        self.turn.pending.insert(request, deadline, Some(session), waiting);
                    }
                    return;
                }
                ConnectStep::AskPlugin(index) => {
                    request = self.turn.pending.next_id();
                    match connect.ask_plugin(index, request) {
                        PluginAnswer::Verdict(verdict) => ConnectInput::Verdict(verdict),
                        PluginAnswer::Pending(its) => {
                            token = Some(its);
                            ConnectInput::Pending
                        }
                    }
                }
                ConnectStep::AskScript => {
                    (request, token) = (self.turn.pending.next_id(), None);
                    self.ask_script(client, &mut connect, request)
                }
            };
        }
    }

    /// Asks the script. From then on the script is told of the client's end.
    fn ask_script(
        &mut self,
        client: &mut Client,
        connect: &mut PendingConnect,
        request: Option<RequestId>,
    ) -> ConnectInput {
        let failed = |why: &str| ConnectInput::Verdict(Verdict::Failed(why.to_owned()));
        let Some(seat) = connect.seat.take() else { return failed("the connect has no seat") };
        let script = seat.instance().actor().cloned();
        client.place = Some((connect.info.far_id, seat));
        client.dealings = Some(Box::default());
        client.counts = MessageCounts::default();
        let (Some(script), Some(request)) = (script, request) else {
            return failed("too many requests wait for replies");
        };
        let event = AppEvent::Connect { request, client: client_id(self.session), info: Arc::clone(&connect.info) };
        if script.tell(event).is_ok() {
            connect.is_script_told = true;
            // It is told of the client's end as the others are. Another script that was told of the client hears no more of it.
            let before = client.take_asked_before().filter(|before| !Arc::ptr_eq(before, &script));
            before.into_iter().for_each(|before| tell_gone(before.as_ref(), self.session));
            return ConnectInput::Pending;
        }
        self.turn.counters().add(Counter::ApplicationBusy);
        failed("the application is busy")
    }

    fn accepted(&mut self, client: &mut Client, connect: PendingConnect, is_fallback: bool) {
        if let Some(seat) = connect.seat {
            client.place = Some((connect.info.far_id, seat));
        }
        if is_fallback
            && connect.is_script_told
            && let Some(script) = client.script()
            && script.tell(AppEvent::Accepted { client: client_id(self.session) }).is_err()
        {
            self.turn.counters().add(Counter::ApplicationBusy);
        }
        self.accept(client, connect.program);
    }

    fn rejected(&mut self, client: &mut Client, connect: PendingConnect, policy: PolicyKind, rejection: Rejection) {
        let (session, application) = (self.session, connect.decision.application());
        let plugin = connect.decision.plugin().and_then(|index| application.plugin(index));
        let policy = plugin.map_or(policy.name(), |plugin| plugin.library().name());
        if let Some((info, instance)) = self.turn.endpoint.session(session).zip(application.instance()) {
            instance.traffic().rejected();
            let reason = rejection.private_reason.as_ref().unwrap_or(&rejection.description);
            self.refused(&info, instance.shared_name(), policy, reason);
        }
        // The script and the plugins are told that the client is gone when its session ends.
        if !connect.is_script_told {
            connect.tell_plugins_gone("rejected");
            client.place = None;
        }
        self.reject(client, rejection);
    }

    /// What the application is told of a client.
    fn client_info(&self, info: &SessionInfo, request: ConnectRequest) -> ClientInfo {
        let (turn, services) = (&*self.turn, self.turn.services());
        let local = turn.ports.address_of(info.interface).unwrap_or(info.far_address);
        let standing = services.network.standing();
        ClientInfo {
            far_id: info.peer_id,
            is_proven: info.is_proven,
            near_id: services.near_id,
            far_nonce: info.far_nonce,
            near_nonce: info.near_nonce,
            far_address: info.far_address,
            near_address: turn
                .listener(info.interface)
                .map_or(local, |listener| listener.near_address(local, &standing.public_ips)),
            potential_near_addresses: Arc::clone(&standing.near_addresses),
            request,
        }
    }

    /// Logs that a client is refused, and writes it into the story.
    fn refused(&self, info: &SessionInfo, place: Arc<InstanceName>, policy: &str, reason: &str) {
        Refused {
            what: "connect",
            address: info.far_address,
            peer: Some(&info.peer_id),
            application: &place.application,
            instance: &place.instance,
            policy,
            reason: &reason,
        }
        .log();
        let (policy, reason) = (cut(policy.to_owned()), cut(reason.to_owned()));
        let event = Event::new(self.turn.now, EventKind::ConnectRefused { policy, reason });
        self.turn.info.tell(event.of(info.peer_id, info.far_address).in_place(place));
    }

    /// Accepts a client that has its seat.
    fn accept(&mut self, client: &mut Client, ClientProgram { agent, page_url }: ClientProgram) {
        let session = self.session;
        let Some(info) = self.turn.endpoint.session(session) else { return };
        let ip = info.far_address.ip();
        if client.place.as_ref().is_some_and(|(_, seat)| !seat.instance().permits(ip)) {
            // The client has moved to another address while it waited.
            let refusal = Refusal::Access(ip);
            if let Some((_, seat)) = &client.place {
                self.refused(&info, seat.instance().shared_name(), THE_SERVER, &refusal.for_log());
            }
            self.reject(client, refusal.to_rejection());
            return;
        }
        let Some((peer, seat)) = &client.place else { return };
        let seen = (CLIENT_ADDRESS.to_owned(), info.far_address.to_string().into());
        if let Err(error) = client.connection.accept(vec![seen], &mut self.agenda.actions) {
            tracing::warn!(%session, %error, "connect could not be answered");
            return;
        }
        client.accepted = Some(self.turn.now.into());
        // The application has got them with the `connect`.
        self.turn.endpoint.forget_nonces(session);
        seat.instance().traffic().accepted();
        self.turn.counters().add(Counter::Connects);
        let place = seat.instance().shared_name();
        let InstanceName { application, instance, .. } = &*place;
        tracing::info!(%session, %peer, address = %info.far_address, %application, %instance, agent = &*agent, "client connected");
        client.nat = NatKind::of(info.far_address, &[]);
        let event = Event::new(self.turn.now, EventKind::Connect { agent, page_url });
        self.turn.info.tell(event.of(*peer, info.far_address).in_place(place));
        let (peer, instance, address) = (*peer, seat.instance().id().0, info.far_address);
        client.is_proven = info.is_proven;
        let services = self.turn.services();
        match services.directory.connect(peer, session, instance, address, info.is_proven) {
            Arrival::Holds | Arrival::Replaced(_) => services.announce(peer, session, info.is_proven),
            Arrival::Waits { holder, observed } => {
                tracing::info!(
                    %session,
                    %peer,
                    %address,
                    %holder,
                    holder_address = %observed,
                    "client shows the peer id of another client, and proves nothing: it is not found by the id while the other lives"
                );
                identities::contest(self.turn.info, peer, holder);
            }
        }
        self.advise_keepalive(client, &[]);
    }

    fn reject(&mut self, client: &mut Client, rejection: Rejection) {
        self.turn.counters().add(Counter::ConnectsRejected);
        let mut plain = Rejection::new(rejection.code.clone(), rejection.description.clone());
        plain.redirect.clone_from(&rejection.redirect);
        let mut result = client.connection.reject(rejection, &mut self.agenda.actions);
        if matches!(result, Err(AnswerError::Encode(_))) {
            // The application's own information cannot be written in AMF0.
            result = client.connection.reject(plain, &mut self.agenda.actions);
        }
        if let Err(error) = result {
            tracing::debug!(session = %self.session, %error, "connect could not be answered");
        }
    }
}

/// Tells a script that a client is gone: such an event always finds room.
fn tell_gone(script: &dyn AppActor, session: SessionId) {
    let _ = script.tell(AppEvent::Disconnect { client: client_id(session) });
}

impl Clients {
    /// Tells the script that a client is gone about which that of another process was asked, and it itself was not: the client was refused before,
    /// or has left.
    pub(super) fn tell_asked_before(&mut self, session: SessionId) {
        if let Some(before) = self.clients.get_mut(&session).and_then(|client| client.take_asked_before()) {
            tell_gone(before.as_ref(), session);
        }
    }

    /// Continues a pending connect whose verdict has come.
    pub(in crate::serve) fn connect_decided(&mut self, turn: &mut Turn<'_>, connect: PendingConnect, verdict: Verdict) {
        let plugin = connect.decision.plugin().and_then(|index| connect.decision.application().plugin(index));
        if let (Verdict::Failed(why), Some(plugin)) = (&verdict, plugin) {
            plugin.failed_later(Callback::Connect, why);
        }
        self.with_client(turn, connect.session, |client_turn, client| {
            client_turn.drive_connect(client, connect, ConnectInput::Verdict(verdict));
        });
    }

    /// Continues a pending connect whose deadline has passed: a later verdict is ignored.
    pub(in crate::serve) fn connect_late(
        &mut self,
        turn: &mut Turn<'_>,
        request: RequestId,
        connect: PendingConnect,
        token: Option<u64>,
    ) {
        if let Some(plugin) = connect.cancel(request, token) {
            plugin.count_timeout();
            tracing::info!(plugin = plugin.library().name(), "a plugin has let a deadline pass");
            turn.counters().add(Counter::PluginTimeouts);
        } else if let Some(instance) = connect.decision.application().instance() {
            let InstanceName { application, instance, .. } = instance.name();
            let (session, peer) = (connect.session, connect.peer);
            tracing::warn!(%application, %instance, %session, %peer, "the script did not decide on a connect in time");
        }
        self.with_client(turn, connect.session, |client_turn, client| {
            client_turn.drive_connect(client, connect, ConnectInput::Late);
        });
    }

    /// Cancels the pending connect of a client that is gone, and tells the policies that were asked about it.
    pub(super) fn cancel_connect(&mut self, turn: &mut Turn<'_>, session: SessionId, reason: &str) {
        let Some((request, PendingRequest::Connect { connect, token, .. })) = turn.pending.take_of_session(session)
        else {
            return;
        };
        connect.cancel(request, token);
        if !connect.is_script_told {
            connect.tell_plugins_gone(reason);
        }
    }
}

#[cfg(test)]
mod tests;
