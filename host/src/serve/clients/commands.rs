//! Carries events from the clients of a worker to the scripts of their applications, and the scripts' commands back.

use introd_flash::amf::Value;
use introd_flash::command::{Level, info};
use introd_flash::server::{Action, CallError};
use introd_policy::message::{AppEvent, ClientCommand, ClientId};
use rtmfp::SessionId;
use rtmfp::crypto::Epd;

use super::client::{Client, client_id};
use super::client_turn::ClientTurn;
use super::ending::{Ending, SCRIPT};
use super::table::Clients;
use crate::introducer::Counter;
use crate::serve::forwarding::Hello;
use crate::serve::turn::Turn;
use crate::stories::Text;

impl Clients {
    /// Tells the script of a client's application, if it has one.
    pub(super) fn tell_script(&self, turn: &Turn<'_>, session: SessionId, event: impl FnOnce(ClientId) -> AppEvent) {
        let Some(script) = self.clients.get(&session).and_then(|client| client.script()) else { return };
        if script.tell(event(client_id(session))).is_err() {
            turn.counters().add(Counter::ApplicationBusy);
        }
    }

    /// Executes a script's command. A command to a client that is gone is ignored.
    pub(in crate::serve) fn obey(&mut self, turn: &mut Turn<'_>, command: ClientCommand) {
        let session = command.client().session;
        self.with_client(turn, session, |client_turn, client| client_turn.obey(client, command));
    }
}

impl ClientTurn<'_, '_> {
    fn obey(&mut self, client: &mut Client, command: ClientCommand) {
        let (session, actions) = (self.session, &mut self.agenda.actions);
        match command {
            ClientCommand::Disconnect { reason, .. } => {
                let peer = client.place.as_ref().map(|(peer, _)| tracing::field::display(*peer));
                let ending = Ending::new(
                    SCRIPT,
                    reason.map_or(Text::from("disconnected"), |reason| Text::from(String::from(reason))),
                );
                tracing::info!(%session, peer, by = SCRIPT, reason = %ending.reason, "client is disconnected");
                client.ends(ending);
                client.connection.close(actions);
            }
            ClientCommand::Call { method, arguments, token, .. } => {
                call(client, session, &method, arguments, token, actions);
            }
            ClientCommand::Answer { transaction, outcome, .. } => {
                let mut result = client.connection.answer(transaction, outcome, actions);
                if matches!(result, Err(CallError::Encode(_))) {
                    let problem = "The result cannot be written in this client's encoding.";
                    let problem = info(Level::Error, "NetConnection.Call.Failed", problem);
                    result = client.connection.answer(transaction, Err(problem), actions);
                }
                if let Err(error) = result {
                    tracing::debug!(%session, %error, "answer to a call not sent");
                }
            }
            ClientCommand::AnswerByServer { transaction, method, .. } => {
                self.answer_by_server(client, transaction, method);
            }
            ClientCommand::Publish { publication, is_allowed, .. } => {
                self.decide_publication(client, publication, is_allowed);
            }
            ClientCommand::Ping { .. } => client.connection.ping(0, actions),
            ClientCommand::GetStats { token, .. } => self.tell_stats(client, token),
            ClientCommand::Introduce { initiator, tag, .. } => {
                let Some((peer, _)) = &client.place else { return };
                let epd = Epd::fingerprint(*peer);
                let hello = Hello { epd: &epd, initiator, tag: &tag, is_proven: false, relay_port: None };
                let _ = self.turn.forward(session, &hello);
            }
            ClientCommand::Hint { membership, peer, .. } => self.hint_by_policy(client, membership, &peer),
        }
    }

    fn tell_stats(&self, client: &Client, token: u64) {
        let stats = client.counts.stats(self.turn.endpoint.session(self.session).and_then(|info| info.smoothed_rtt));
        if let Some(script) = client.script() {
            let _ = script.tell(AppEvent::Stats { client: client_id(self.session), token, stats: Some(stats) });
        }
    }
}

/// Calls a method of the client. If the call cannot be sent, the script gets an error at once.
fn call(
    client: &mut Client,
    session: SessionId,
    method: &str,
    arguments: Vec<Value>,
    token: Option<u64>,
    actions: &mut Vec<Action>,
) {
    let made = client.connection.call(method, arguments, token.is_some(), actions);
    match (made, token) {
        (Ok(Some(transaction)), Some(token)) => {
            client.dealings.get_or_insert_default().calls.push((transaction, token));
        }
        (Ok(_), _) => (),
        (Err(error), token) => {
            tracing::debug!(%session, method, %error, "call of a client's method not made");
            if let (Some(token), Some(script)) = (token, client.script()) {
                let _ = script.tell(AppEvent::Answer { client: client_id(session), token, outcome: Err(Vec::new()) });
            }
        }
    }
}

#[cfg(test)]
mod tests;
