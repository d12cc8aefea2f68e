//! Executes the actions of a client's NetConnection.

use std::net::SocketAddr;
use std::time::Duration;

use introd_flash::amf::Value;
use introd_flash::peer_info::behind_nat;
use introd_flash::server::{Action, Call};
use introd_policy::ServerMethod;
use introd_policy::message::AppEvent;
use rtmfp::SessionId;
use rtmfp::flow::{Delivery, FlowOptions, RecvFlowId};

use super::agenda::CLOSE_TIMEOUT;
use super::client::{Client, Closing, client_id};
use super::client_turn::ClientTurn;
use super::ending::Ending;
use super::nat_testing::is_nat_test;
use super::relaying::is_relay;
use crate::introducer::Counter;

impl ClientTurn<'_, '_> {
    /// Executes the actions of the client's connection until there is none left.
    pub(super) fn perform_actions(&mut self, client: &mut Client) {
        // An action may lead to more of them.
        while !self.agenda.actions.is_empty() {
            for action in std::mem::take(&mut self.agenda.actions) {
                self.perform(client, action);
            }
        }
    }

    fn perform(&mut self, client: &mut Client, action: Action) {
        let (now, session) = (self.turn.now, self.session);
        match action {
            Action::OpenFlow { stream, return_of, metadata } => {
                let options = FlowOptions { return_of: Some(RecvFlowId(return_of)), ..FlowOptions::default() };
                match self.turn.endpoint.open_flow(now, session, &metadata, options) {
                    Ok(flow) => client.sending.push((stream, flow)),
                    Err(error) => tracing::debug!(%session, stream, %error, "flow not opened"),
                }
            }
            Action::Send { stream, message } => {
                let Some(&(_, flow)) = client.sending.iter().find(|(id, _)| *id == stream) else { return };
                let age = self.turn.services().max_unsent_age;
                let delivery = Delivery { start_by: age.map(|age| now + age), ..Delivery::default() };
                client.count_sent(self.turn.counters(), message.len() as u64);
                if let Err(error) = self.turn.endpoint.send(now, session, flow, message, delivery) {
                    // The send queue is full: messages for a client that does not receive them cannot be kept for ever.
                    tracing::info!(%session, stream, %error, "client does not take its messages: closed");
                    client.ends(Ending::by_server("it does not take its messages"));
                    self.turn.endpoint.close(now, session);
                }
            }
            Action::CloseFlow { stream } => {
                if let Some((_, flow)) = client.sending.iter().find(|(id, _)| *id == stream) {
                    let _ = self.turn.endpoint.with_flows(now, session, |flows| flows.close(*flow));
                }
            }
            Action::Connect(request) => self.connect(client, *request),
            Action::SetPeerInfo(info) => self.set_peer_info(client, info),
            Action::Call(call) => self.call(client, call),
            Action::CloseSession { reason, control_flow } => {
                tracing::debug!(%session, ?reason, "closing");
                for (_, flow) in &client.sending {
                    let _ = self.turn.endpoint.with_flows(now, session, |flows| flows.close(*flow));
                }
                client.seldom().closing = Some(Closing { control_flow });
                self.agenda.closing.insert(now + CLOSE_TIMEOUT, session);
            }
            Action::Publish(publication) => self.publish(client, publication),
            Action::Unpublish(publication) => self.unpublished(client, publication),
            Action::InvalidApp { path, error } => self.path_refused(path, error),
            Action::Report(report) => tracing::debug!(%session, %report, "from a client"),
            Action::GroupMessage { flow, message } => self.group_message(client, flow, &message),
            Action::GroupFlowClosed { flow } => self.group_flow_closed(client, flow),
            Action::Answer { transaction, outcome } => answered(client, session, transaction, outcome),
            Action::PingResponse { .. } => (),
        }
    }

    /// Handles the call of a method: one by which a client tests its NAT is the server's own, and any other goes to the application's
    /// script, if there is one.
    fn call(&mut self, client: &mut Client, call: Call) {
        let session = self.session;
        if is_nat_test(&call) {
            self.test_nat(client, &call);
        } else if let Some(script) = client.script() {
            let event = AppEvent::Call { client: client_id(session), call };
            let Err(event) = script.tell(event) else { return };
            self.turn.counters().add(Counter::ApplicationBusy);
            if let AppEvent::Call { call, .. } = *event {
                client.connection.refuse_call(&call, &mut self.agenda.actions);
            }
        } else if is_relay(client, &call) {
            self.relay(client, call);
        } else if let Some(method) = ServerMethod::named(&call.name) {
            self.answer_by_server(client, call.transaction, method);
        } else {
            tracing::debug!(%session, method = %call.name, "call of an unknown method");
            client.connection.refuse_call(&call, &mut self.agenda.actions);
        }
    }

    /// Tells the client its keepalive timers. A client that has not reported its addresses is taken to be behind a NAT.
    pub(super) fn advise_keepalive(&mut self, client: &mut Client, reported: &[SocketAddr]) {
        let Some(info) = self.turn.endpoint.session(self.session) else { return };
        let config = self.turn.services().applications.config();
        let adaptor =
            self.turn.listener(info.interface).and_then(|listener| config.all_adaptors().nth(listener.adaptor));
        let rtmfp = &adaptor.unwrap_or(&config.default_adaptor).rtmfp;
        let is_behind_nat = behind_nat(info.far_address, reported);
        let keepalive = if is_behind_nat { rtmfp.keepalive_nat } else { rtmfp.keepalive_no_nat };
        let millis = |period: Duration| u32::try_from(period.as_millis()).unwrap_or(u32::MAX);
        client.silence.interval = millis(keepalive.server);
        if client.silence.due.is_none() && client.connection.is_connected() {
            let due = self.turn.now + keepalive.server;
            client.silence.due = Some(due.into());
            self.agenda.silence.insert(due, self.session);
        }
        client.connection.set_keepalive_timers(
            millis(keepalive.server),
            millis(keepalive.peers),
            &mut self.agenda.actions,
        );
    }
}

/// Passes the client's answer to a call on to the application that made the call.
fn answered(client: &mut Client, session: SessionId, transaction: u64, outcome: Result<Vec<Value>, Vec<Value>>) {
    let Some(dealings) = &mut client.dealings else { return };
    let Some(place) = dealings.calls.iter().position(|(own, _)| *own == transaction) else { return };
    let (_, token) = dealings.calls.swap_remove(place);
    if let Some(script) = client.script() {
        let _ = script.tell(AppEvent::Answer { client: client_id(session), token, outcome });
    }
}

#[cfg(test)]
mod tests;
