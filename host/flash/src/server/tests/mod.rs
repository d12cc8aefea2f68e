//! Connections driven message by message, with a client made of [`client`](super::super::client).

mod calls;
mod connecting;
mod flows;
mod streams;

use std::sync::Arc;

use super::*;
use crate::client::{self, ConnectOptions, Incoming};
use crate::uri::PathError;

const CONTROL_FLOW: u64 = 2;
const SERVER_FLOW: u64 = 1;
const CONTROL: &[u8] = b"TC\x04\0";

/// A connection and what it has asked for.
struct Server {
    connection: NetConnection,
    actions: Vec<Action>,
}

impl Server {
    fn new() -> Self {
        Self::with(ConnectionSettings::default())
    }

    fn with(settings: ConnectionSettings) -> Self {
        Self { connection: NetConnection::new(Arc::new(settings)), actions: Vec::new() }
    }

    /// A server with a client whose control flow is open and whose `connect` has come.
    fn pending(settings: ConnectionSettings) -> Self {
        let mut server = Self::with(settings);
        assert!(matches!(server.connection.on_flow(CONTROL_FLOW, CONTROL, None), FlowVerdict::Accept(_)));
        server.message(CONTROL_FLOW, &client::connect("rtmfp://host/app/room", &ConnectOptions::default()).unwrap());
        let [Action::Connect(_)] = &server.take()[..] else { panic!("no connect") };
        server
    }

    /// A server with a client that is connected.
    fn connected(settings: ConnectionSettings) -> Self {
        let mut server = Self::pending(settings);
        server.connection.accept(Vec::new(), &mut server.actions).unwrap();
        server.take();
        server
    }

    fn message(&mut self, flow: u64, bytes: &[u8]) {
        self.connection.on_message(flow, bytes, &mut self.actions);
    }

    fn command(&mut self, flow: u64, name: &str, transaction: f64, arguments: Vec<Value>) {
        let command = Command::new(name, transaction, arguments);
        self.message(flow, &command.to_message(Encoding::Amf0, 0).unwrap());
    }

    fn take(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// What the only action, a message on `stream`, says.
    fn said(&mut self, stream: u32) -> Incoming {
        let actions = self.take();
        let [Action::Send { stream: on, message }] = &actions[..] else { panic!("{actions:?}") };
        assert_eq!(*on, stream);
        client::read(message, AmfLimits::default()).unwrap()
    }

    /// The code of the `_error` that is the only action.
    fn error(&mut self, answered: f64) -> String {
        match self.said(CONTROL_STREAM) {
            Incoming::Error { transaction, status } if transaction == answered => status.code,
            other => panic!("{other:?}"),
        }
    }
}
