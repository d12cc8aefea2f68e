//! The server's end of one client's NetConnection (RFC 7425 §5.3).
//!
//! [`NetConnection`] receives the client's flows and messages, and says in [`Action`]s what to do. It contains no policy: its owner decides
//! whether a client is accepted, and what a call does.
//!
//! Messages of different flows are processed in any order, unless the client aligns them by Flow Synchronization (RFC 7425 §5.2).

mod action;
mod calls;
mod connect;
mod flows;
mod handover;
mod phase;
mod publications;
mod request;
mod streams;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::amf::{AmfLimits, EncodeError, Value};
use crate::barrier::{Barriers, Passed, is_synchronization};
use crate::command::{Command, Encoding};
use crate::message::{Message, kind};
use crate::user_control::UserControl;

pub use action::{Action, Call, CloseReason, Irregularity, Publication};
pub use calls::CallError;
pub use connect::AnswerError;
pub use flows::{FlowVerdict, RejectReason};
pub use handover::ConnectionState;
pub use request::{ConnectRequest, Rejection};

use calls::PendingCalls;
use flows::Flows;
use phase::Phase;
use streams::Streams;

/// The settings of all connections of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionSettings {
    /// The value of `fmsVer` in the answer to `connect`.
    pub server_version: String,
    /// How many flows a client may have open.
    pub max_flows: usize,
    /// How many streams a client may have created.
    pub max_streams: usize,
    /// How many calls to a client may wait for their answers.
    pub max_pending_calls: usize,
    /// How long a command message may be, in bytes.
    pub max_command_len: usize,
    /// Bounds on the values in a command.
    pub limits: AmfLimits,
}

impl Default for ConnectionSettings {
    fn default() -> Self {
        Self {
            server_version: concat!("introd/", env!("CARGO_PKG_VERSION")).to_owned(),
            max_flows: 64,
            max_streams: 32,
            max_pending_calls: 64,
            max_command_len: 64 * 1024,
            limits: AmfLimits::default(),
        }
    }
}

/// The NetConnection's own stream (RFC 7425 §5.3.1).
const CONTROL_STREAM: u32 = 0;

/// One client's connection.
#[derive(Debug)]
pub struct NetConnection {
    settings: Arc<ConnectionSettings>,
    phase: Phase,
    encoding: Encoding,
    flows: Flows,
    streams: Streams,
    calls: PendingCalls,
    /// The barriers, while a flow may have to wait at one.
    barriers: Option<Box<Barriers>>,
}

impl NetConnection {
    /// A connection that has no flow yet.
    pub fn new(settings: Arc<ConnectionSettings>) -> Self {
        Self {
            settings,
            phase: Phase::New,
            encoding: Encoding::Amf0,
            flows: Flows::default(),
            streams: Streams::default(),
            calls: PendingCalls::default(),
            barriers: None,
        }
    }

    /// Whether the client's `connect` has been accepted, and neither end has closed the connection since.
    pub fn is_connected(&self) -> bool {
        matches!(self.phase, Phase::Connected)
    }

    /// A whole message has come on a flow that [`NetConnection::on_flow`] has accepted.
    pub fn on_message(&mut self, flow: u64, bytes: &[u8], actions: &mut Vec<Action>) {
        let Some(stream) = self.flows.stream_of(flow) else {
            self.take_other(flow, bytes, actions);
            return;
        };
        let waits = self.barriers.as_ref().is_some_and(|barriers| barriers.is_suspended(flow));
        if !waits && !is_synchronization(bytes) {
            self.take_message(flow, stream, bytes, actions);
            return;
        }
        if matches!(self.phase, Phase::Closed) {
            return;
        }
        let passed = self.barriers.get_or_insert_default().pass(flow, stream, bytes.to_vec());
        self.take_passed(passed, actions);
    }

    fn take_passed(&mut self, passed: Vec<Passed>, actions: &mut Vec<Action>) {
        if self.barriers.as_ref().is_some_and(|barriers| barriers.is_idle()) {
            self.barriers = None;
        }
        for Passed { flow, stream, bytes } in passed {
            self.take_message(flow, stream, &bytes, actions);
        }
    }

    /// A message has come on a flow that is not of a stream.
    fn take_other(&mut self, flow: u64, bytes: &[u8], actions: &mut Vec<Action>) {
        if !matches!(self.phase, Phase::Closed) {
            actions.push(if self.flows.is_group(flow) {
                Action::GroupMessage { flow, message: bytes.to_vec() }
            } else {
                Action::Report(Irregularity::UnknownFlow { flow })
            });
        }
    }

    fn take_message(&mut self, flow: u64, stream: u32, bytes: &[u8], actions: &mut Vec<Action>) {
        if matches!(self.phase, Phase::Closed) {
            return;
        }
        let message = match Message::read(bytes) {
            Ok(message) => message,
            Err(error) => {
                actions.push(Action::Report(Irregularity::Malformed { flow, error: error.to_string() }));
                return;
            }
        };
        match message.kind {
            kind::COMMAND | kind::COMMAND_EXTENDED if message.payload.len() > self.settings.max_command_len => {
                actions.push(Action::Report(Irregularity::TooLong { flow, length: message.payload.len() }));
            }
            kind::COMMAND | kind::COMMAND_EXTENDED => match Command::read(&message, self.settings.limits) {
                Ok(command) => self.on_command(stream, command, actions),
                Err(error) => {
                    actions.push(Action::Report(Irregularity::Malformed { flow, error: error.to_string() }));
                }
            },
            kind::USER_CONTROL => self.on_user_control(flow, message.payload, actions),
            // RFC 7425 §5.1: chunk stream control messages (types 1, 2, 3, 5 and 6) MUST be ignored. Media and data are dropped.
            _ => {}
        }
    }

    fn on_command(&mut self, stream: u32, command: Command, actions: &mut Vec<Action>) {
        if command.name == "connect" && stream == CONTROL_STREAM {
            self.on_connect(command, actions);
        } else if !self.is_connected() {
            self.refuse_early(&command, actions);
        } else if stream == CONTROL_STREAM {
            self.on_connection_command(command, actions);
        } else {
            self.on_stream_command(stream, command, actions);
        }
    }

    fn on_user_control(&mut self, flow: u64, payload: &[u8], actions: &mut Vec<Action>) {
        match UserControl::read(payload) {
            Ok(UserControl::PingRequest { timestamp }) if self.is_connected() => {
                let message = UserControl::PingResponse { timestamp }.to_message();
                actions.push(Action::Send { stream: CONTROL_STREAM, message });
            }
            Ok(UserControl::PingResponse { timestamp }) => actions.push(Action::PingResponse { timestamp }),
            Ok(_) => {}
            Err(error) => actions.push(Action::Report(Irregularity::Malformed { flow, error: error.to_string() })),
        }
    }

    /// Advises the client on its keepalive periods in milliseconds: for the session with this server and for those with
    /// peers (RFC 7425 §5.3.4). They may depend on whether the client is behind a NAT ([`behind_nat`](crate::peer_info::behind_nat)). It does
    /// nothing unless connected.
    pub fn set_keepalive_timers(&mut self, server: u32, peer: u32, actions: &mut Vec<Action>) {
        self.send_event(&UserControl::SetKeepaliveTimers { server, peer }, actions);
    }

    /// Asks the client to return `timestamp`, which comes as [`Action::PingResponse`]. It does nothing unless connected.
    pub fn ping(&mut self, timestamp: u32, actions: &mut Vec<Action>) {
        self.send_event(&UserControl::PingRequest { timestamp }, actions);
    }

    fn send_event(&mut self, event: &UserControl, actions: &mut Vec<Action>) {
        if self.is_connected() {
            actions.push(Action::Send { stream: CONTROL_STREAM, message: event.to_message() });
        }
    }

    /// Closes the connection from this end. Messages for the client must be sent before.
    pub fn close(&mut self, actions: &mut Vec<Action>) {
        self.end(CloseReason::Local, actions);
    }

    fn end(&mut self, reason: CloseReason, actions: &mut Vec<Action>) {
        if !matches!(self.phase, Phase::Closed) {
            self.phase = Phase::Closed;
            actions.push(Action::CloseSession { reason, control_flow: self.flows.control() });
        }
    }

    /// Queues a command for the client, and opens the stream's sending flow if it is not open.
    fn send_command(
        &mut self,
        stream: u32,
        command: &Command,
        encoding: Encoding,
        actions: &mut Vec<Action>,
    ) -> Result<(), EncodeError> {
        let message = command.to_message(encoding, 0)?;
        if self.open_sending_flow(stream, actions) {
            actions.push(Action::Send { stream, message });
        }
        Ok(())
    }

    /// As [`NetConnection::send_command`], for commands made here. They can only fail to be written because of a long method name that came
    /// from the client.
    fn send_own(&mut self, stream: u32, command: &Command, actions: &mut Vec<Action>) {
        if let Err(error) = self.send_command(stream, command, Encoding::Amf0, actions) {
            actions.push(Action::Report(Irregularity::Unsendable { name: command.name.clone(), error }));
        }
    }

    fn send_error(&mut self, transaction: f64, info: Value, actions: &mut Vec<Action>) {
        self.send_own(CONTROL_STREAM, &Command::new("_error", transaction, vec![info]), actions);
    }
}
