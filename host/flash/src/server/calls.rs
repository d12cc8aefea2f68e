//! Calls in both directions, and the commands of the connection itself.

mod handover;

use thin_vec::ThinVec;

use super::action::{Action, Call, Irregularity, abridged};
use super::{CONTROL_STREAM, NetConnection};
use crate::amf::{EncodeError, Value};
use crate::command::{Command, Level, info};
use crate::peer_info::PeerInfo;

/// The calls of the client's methods that wait for their answers.
#[derive(Debug, Default)]
pub(super) struct PendingCalls {
    /// The last transaction number that was given.
    last: u64,
    waiting: ThinVec<u64>,
}

/// Why a call was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The client is not connected.
    #[error("not connected")]
    NotConnected,
    /// [`ConnectionSettings::max_pending_calls`](super::ConnectionSettings::max_pending_calls) calls wait for their answers.
    #[error("too many calls without an answer")]
    TooManyPending,
    /// An argument cannot be written in the client's encoding.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

const CALL_FAILED: &str = "NetConnection.Call.Failed";

impl NetConnection {
    /// Calls a method of the client. With `wants_answer` it returns the transaction number of the [`Action::Answer`] to come.
    pub fn call(
        &mut self,
        name: &str,
        arguments: Vec<Value>,
        wants_answer: bool,
        actions: &mut Vec<Action>,
    ) -> Result<Option<u64>, CallError> {
        if !self.is_connected() {
            return Err(CallError::NotConnected);
        }
        if wants_answer && self.calls.waiting.len() >= self.settings.max_pending_calls {
            return Err(CallError::TooManyPending);
        }
        let transaction = if wants_answer { self.calls.last + 1 } else { 0 };
        let command = Command::new(name, transaction as f64, arguments);
        self.send_command(CONTROL_STREAM, &command, self.encoding, actions)?;
        if !wants_answer {
            return Ok(None);
        }
        self.calls.last = transaction;
        self.calls.waiting.push(transaction);
        Ok(Some(transaction))
    }

    /// Answers a [`Call`]: with `_result`, or with `_error` and an information object. It does nothing if the client wants no answer.
    pub fn answer(
        &mut self,
        call_transaction: f64,
        outcome: Result<Value, Value>,
        actions: &mut Vec<Action>,
    ) -> Result<(), CallError> {
        if !self.is_connected() {
            return Err(CallError::NotConnected);
        }
        if call_transaction == 0.0 {
            return Ok(());
        }
        let (name, value) = match outcome {
            Ok(value) => ("_result", value),
            Err(info) => ("_error", info),
        };
        let command = Command::new(name, call_transaction, vec![value]);
        Ok(self.send_command(CONTROL_STREAM, &command, self.encoding, actions)?)
    }

    /// Answers a [`Call`] of a method that does not exist.
    pub fn refuse_call(&mut self, call: &Call, actions: &mut Vec<Action>) {
        if self.is_connected() {
            self.refuse_method(&call.name, call.transaction, actions);
        }
    }

    pub(super) fn refuse_method(&mut self, name: &str, transaction: f64, actions: &mut Vec<Action>) {
        self.call_failed(transaction, &format!("Method not found ({}).", abridged(name)), actions);
    }

    /// Sends the client an error, if it wants an answer to its call.
    pub(super) fn call_failed(&mut self, transaction: f64, description: &str, actions: &mut Vec<Action>) {
        if transaction != 0.0 {
            self.send_error(transaction, info(Level::Error, CALL_FAILED, description), actions);
        }
    }

    /// Refuses a command that needs an established connection.
    pub(super) fn refuse_early(&mut self, command: &Command, actions: &mut Vec<Action>) {
        let name = abridged(&command.name);
        self.call_failed(command.transaction, &format!("Not connected ({name})."), actions);
        actions.push(Action::Report(Irregularity::NotConnected { name }));
    }

    /// A command on stream 0 of an established connection.
    pub(super) fn on_connection_command(&mut self, command: Command, actions: &mut Vec<Action>) {
        match command.name.as_str() {
            "setPeerInfo" => actions.push(Action::SetPeerInfo(PeerInfo::read(&command.arguments))),
            "createStream" => self.create_stream(command.transaction, actions),
            "deleteStream" => self.delete_stream(command.arguments.first(), actions),
            // Commands of streams have no meaning here, and neither has a status that a client sends to a server.
            "closeStream" | "onStatus" => {}
            "_result" => self.on_answer(command.transaction, Ok(command.arguments), actions),
            "_error" => self.on_answer(command.transaction, Err(command.arguments), actions),
            _ => {
                let Command { name, transaction, object, arguments } = command;
                actions.push(Action::Call(Call { name, transaction, object, arguments }));
            }
        }
    }

    fn on_answer(&mut self, number: f64, outcome: Result<Vec<Value>, Vec<Value>>, actions: &mut Vec<Action>) {
        let place = self.calls.waiting.iter().position(|waiting| *waiting as f64 == number);
        actions.push(match place.map(|place| self.calls.waiting.swap_remove(place)) {
            Some(transaction) => Action::Answer { transaction, outcome },
            None => Action::Report(Irregularity::UnexpectedAnswer { transaction: number as u64 }),
        });
    }
}
