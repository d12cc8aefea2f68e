//! Between the clients of a worker and the policies of their applications.

use std::sync::Arc;
use std::time::Instant;

use rtmfp::crypto::Epd;
use rtmfp::{Endpoint, SessionId};

use super::acting::Acting;
use super::{Client, Clients};
use crate::introducer::Counter;
use introd_flash::amf::Value;
use introd_flash::command::{Level, info};
use introd_flash::server::CallError;
use introd_policy::Actor;
use introd_policy::message::{AppCommand, AppEvent, ClientId, ClientStats};
use introd_udp::Ports;

/// A client's name among all workers: its session id says which worker has it.
pub(super) fn client_id(session: SessionId) -> ClientId {
    ClientId { worker: session.prefix(), session }
}

impl Client {
    /// The policy of the client's application, if that has one and was told of the client.
    pub(super) fn actor(&self) -> Option<&Arc<dyn Actor>> {
        self.place.as_ref()?.1.instance().actor()
    }
}

impl Clients {
    /// Tells the policy of a client's application, if it has one.
    pub(super) fn tell(&self, session: SessionId, event: impl FnOnce(ClientId) -> AppEvent) {
        let Some(actor) = self.clients.get(&session).and_then(|client| client.actor()) else { return };
        if actor.tell(event(client_id(session))).is_err() {
            self.services.counters.worker(session.prefix()).add(Counter::ApplicationBusy);
        }
    }

    /// Does what a policy wants done to a client. One that is gone by now needs nothing done.
    pub(in crate::serve) fn command(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        ports: &Ports,
        command: AppCommand,
    ) {
        let Some(ClientId { session, .. }) = command.client() else { return };
        let Some(client) = self.clients.get_mut(&session) else {
            return;
        };
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
            deferred: &mut self.deferred,
            quiet: &mut self.quiet,
        };
        match command {
            AppCommand::Accept { .. } => acting.accept(client, None),
            AppCommand::Reject { rejection, .. } => {
                if let Some((info, (_, seat))) = acting.endpoint.session(session).zip(client.place.as_ref()) {
                    introd_log::refused(
                        "connect",
                        info.far_address,
                        seat.instance().name(),
                        "script",
                        &rejection.description,
                    );
                }
                acting.reject(client, rejection);
            }
            AppCommand::Disconnect { .. } => client.connection.close(acting.actions),
            AppCommand::Call { method, arguments, token, .. } => {
                call(client, session, &method, arguments, token, acting.actions);
            }
            AppCommand::Answer { transaction, outcome, .. } => {
                let mut result = client.connection.answer(transaction, outcome, acting.actions);
                if matches!(result, Err(CallError::Encode(_))) {
                    let problem = "The result cannot be written in this client's encoding.";
                    let problem = info(Level::Error, "NetConnection.Call.Failed", problem);
                    result = client.connection.answer(transaction, Err(problem), acting.actions);
                }
                if let Err(error) = result {
                    tracing::debug!(%session, %error, "answer to a call not sent");
                }
            }
            AppCommand::Ping { .. } => client.connection.ping(0, acting.actions),
            AppCommand::GetStats { token, .. } => {
                let ping_rtt = acting.endpoint.session(session).and_then(|info| info.smoothed_rtt);
                let stats = ClientStats {
                    ping_rtt: ping_rtt.map_or(0, |rtt| u64::try_from(rtt.as_millis()).unwrap_or(u64::MAX)),
                    ..client.dealings.as_ref().map(|dealings| dealings.stats).unwrap_or_default()
                };
                if let Some(actor) = client.actor() {
                    let _ = actor.tell(AppEvent::Stats { client: client_id(session), token, stats: Some(stats) });
                }
            }
            AppCommand::Introduce { initiator, tag, .. } => {
                let Some((peer, _)) = &client.place else { return };
                let epd = Epd::fingerprint(*peer);
                let forwarded = acting.endpoint.forward_for(now, session, &epd, initiator, &tag);
                self.services.counters.worker(session.prefix()).forwarded(forwarded);
            }
            AppCommand::Hint { membership, peer, .. } => acting.hint_by_policy(client, membership, &peer),
            AppCommand::Redirect { .. } | AppCommand::Deny { .. } | AppCommand::BuiltIn { .. } => (),
        }
        self.act(now, endpoint, ports, session);
    }
}

/// Calls a method of the client; a call that cannot be made is answered at once.
fn call(
    client: &mut Client,
    session: SessionId,
    method: &str,
    arguments: Vec<Value>,
    token: Option<u64>,
    actions: &mut Vec<introd_flash::server::Action>,
) {
    let made = client.connection.call(method, arguments, token.is_some(), actions);
    match (made, token) {
        (Ok(Some(transaction)), Some(token)) => {
            client.dealings.get_or_insert_default().calls.push((transaction, token));
        }
        (Ok(_), _) => (),
        (Err(error), token) => {
            tracing::debug!(%session, method, %error, "call of a client's method not made");
            if let (Some(token), Some(actor)) = (token, client.actor()) {
                let _ = actor.tell(AppEvent::Answer { client: client_id(session), token, outcome: Err(Vec::new()) });
            }
        }
    }
}
