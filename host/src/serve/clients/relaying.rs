//! Calls of clients by each other, which the server passes on as Adobe's Cirrus did.
//!
//! A client calls `relay` with the peer id of another and arguments, and the server calls `onRelay` of the other with the caller's peer id and the
//! arguments. The caller's worker decides whether the call goes out; the worker that has the other client makes it, and says what has
//! come of it if the caller waits for an answer. Neither waits for the other.

use introd_config::RelayCallScope;
use introd_flash::amf::Value;
use introd_flash::command::{Level, info};
use introd_flash::server::{Call, CallError};
use introd_policy::InstanceId;
use rtmfp::{PeerId, SessionId};

use super::client::Client;
use super::client_turn::ClientTurn;
use super::table::Clients;
use crate::introducer::Counter;
use crate::serve::mail::{Mail, RelayError, RelayedCall};
use crate::serve::turn::Turn;

/// The method that clients call, and the one that is called.
const RELAY: &str = "relay";
const ON_RELAY: &str = "onRelay";
/// The most memory that the arguments of a call take, in bytes.
const MAX_ARGUMENTS: usize = 16 << 10;
/// A client gets as many calls in a second as so many others may make.
const CALLERS: u64 = 8;
/// A client for which so many bytes wait gets no calls. Other clients must not fill its queue, since a client whose queue is full is closed.
const MAX_QUEUED: usize = 32 << 10;

/// Whether the server passes a call on to another client.
pub(super) fn is_relay(client: &Client, call: &Call) -> bool {
    let scope = || client.place.as_ref().map_or(RelayCallScope::None, |(_, seat)| seat.instance().relay_call_scope());
    call.name == RELAY && scope() != RelayCallScope::None
}

impl ClientTurn<'_, '_> {
    /// Sends a call to the worker that has the client which is to be called.
    pub(super) fn relay(&mut self, client: &mut Client, call: Call) {
        let transaction = call.transaction;
        self.turn.counters().add(Counter::RelayCalls);
        if let Err(error) = self.send_relay(client, call) {
            self.turn.counters().add(Counter::RelayCallsFailed);
            tracing::debug!(session = %self.session, %error, "call of another client not passed on");
            self.answer_relay(client, transaction, Err(error));
        }
    }

    fn send_relay(&mut self, client: &mut Client, call: Call) -> Result<(), RelayError> {
        let (services, now) = (self.turn.services(), self.turn.now);
        let limit = client.place.as_ref().and_then(|(_, seat)| seat.instance().max_relay_call_rate());
        if limit.is_some_and(|max| !client.seldom().relays.made.permits(now, max)) {
            if let Some(info) = self.turn.endpoint.session(self.session) {
                services.refusals.tell(now, info.far_address.ip(), "MaxRelayCallRate");
            }
            return Err(RelayError::TooMany);
        }
        let Some((sender, seat)) = &client.place else { return Err(RelayError::NotConnected) };
        let caller = call.wants_answer().then_some((self.session, call.transaction));
        let mut arguments = call.arguments.into_iter();
        let peer = arguments.next().and_then(|peer| peer.as_str()?.parse::<PeerId>().ok());
        let peer = peer.ok_or(RelayError::NoPeerId)?;
        let arguments: Vec<Value> = arguments.collect();
        if arguments.iter().map(Value::size).sum::<usize>() > MAX_ARGUMENTS {
            return Err(RelayError::TooLarge);
        }
        let known = services.directory.lookup(&peer).ok_or(RelayError::NotConnected)?;
        let instance = services.applications.instance(InstanceId(known.instance));
        if !instance.is_some_and(|instance| seat.instance().relays_calls_to(&instance)) {
            return Err(RelayError::NotConnected);
        }
        let session = known.owner;
        let call = RelayedCall { session, peer, sender: *sender, caller, arguments };
        let mailbox = self.turn.info.mailboxes.get(usize::from(session.prefix())).ok_or(RelayError::NotConnected)?;
        mailbox.try_send(Mail::Relay(Box::new(call))).map_err(|_| {
            self.turn.counters().add(Counter::MailboxFull);
            RelayError::ServerBusy
        })
    }

    /// Calls the client on behalf of another.
    fn call_relayed(&mut self, client: &mut Client, call: RelayedCall) -> Result<(), RelayError> {
        let now = self.turn.now;
        let place = client.place.as_ref().filter(|(peer, _)| *peer == call.peer && client.connection.is_connected());
        let (_, seat) = place.ok_or(RelayError::NotConnected)?;
        let limit = seat.instance().max_relay_call_rate().map(|max| max.saturating_mul(CALLERS));
        if limit.is_some_and(|max| !client.seldom().relays.got.permits(now, max)) {
            return Err(RelayError::Busy);
        }
        if let Some(&(_, flow)) = client.sending.iter().find(|(stream, _)| *stream == 0) {
            let queued = self.turn.endpoint.with_flows(now, self.session, |flows| flows.bytes_queued(flow));
            if queued.is_ok_and(|queued| queued >= MAX_QUEUED) {
                return Err(RelayError::Busy);
            }
        }
        let mut arguments = Vec::with_capacity(call.arguments.len() + 1);
        arguments.push(Value::String(call.sender.to_string()));
        arguments.extend(call.arguments);
        match client.connection.call(ON_RELAY, arguments, false, &mut self.agenda.actions) {
            Ok(_) => Ok(()),
            Err(CallError::Encode(_)) => Err(RelayError::Unwritable),
            Err(CallError::NotConnected | CallError::TooManyPending) => Err(RelayError::NotConnected),
        }
    }

    /// Tells the client what has come of its call, if it waits for an answer.
    fn answer_relay(&mut self, client: &mut Client, transaction: f64, outcome: Result<(), RelayError>) {
        let failed = |error: RelayError| info(Level::Error, "NetConnection.Call.Failed", error.to_string());
        let outcome = outcome.map(|()| Value::Null).map_err(failed);
        if let Err(error) = client.connection.answer(transaction, outcome, &mut self.agenda.actions) {
            tracing::debug!(session = %self.session, %error, "answer to a call not sent");
        }
    }
}

impl Clients {
    /// Calls a client on behalf of another.
    pub(in crate::serve) fn call_relayed(&mut self, turn: &mut Turn<'_>, call: RelayedCall) {
        let (session, caller, mut outcome) = (call.session, call.caller, Err(RelayError::NotConnected));
        self.with_client(turn, session, |client_turn, client| outcome = client_turn.call_relayed(client, call));
        if let Err(error) = outcome {
            turn.counters().add(Counter::RelayCallsFailed);
            tracing::debug!(%session, %error, "client is not called for another");
        }
        if let Some((session, transaction)) = caller {
            turn.info.send(session, Mail::Relayed { session, transaction, outcome });
        }
    }

    /// Tells a client what has come of its call of another.
    pub(in crate::serve) fn relay_answered(
        &mut self,
        turn: &mut Turn<'_>,
        session: SessionId,
        transaction: f64,
        outcome: Result<(), RelayError>,
    ) {
        self.with_client(turn, session, |client_turn, client| client_turn.answer_relay(client, transaction, outcome));
    }
}

#[cfg(test)]
mod tests;
