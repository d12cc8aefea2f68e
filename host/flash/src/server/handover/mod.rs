//! A connection as a value, for another process that goes on with it.

mod records;

use std::sync::Arc;

use super::{Action, ConnectionSettings, Encoding, NetConnection, Phase};
use super::{Flows, PendingCalls, Streams};
pub use records::ConnectionState;
pub(super) use records::{CallsRecord, FlowsRecord, PhaseRecord, PublishingRecord, StreamRecord};

impl NetConnection {
    /// Whether messages may wait at a barrier for those of other flows.
    pub fn has_barriers(&self) -> bool {
        self.barriers.is_some()
    }

    /// Processes the messages that wait at a barrier for those of other flows (RFC 7425 §5.2): a barrier is not handed over.
    pub fn give_up_barriers(&mut self, actions: &mut Vec<Action>) {
        if let Some(mut barriers) = self.barriers.take() {
            let passed = barriers.give_up();
            self.take_passed(passed, actions);
        }
    }

    /// The state of the connection. Its owner has called [`Self::give_up_barriers`] before, and performed the actions.
    pub fn hand_over(&self) -> ConnectionState {
        let phase = match self.phase {
            Phase::New => PhaseRecord::New,
            Phase::Pending { transaction, object_encoding } => PhaseRecord::Pending { transaction, object_encoding },
            Phase::Connected => PhaseRecord::Connected,
            Phase::Closed => PhaseRecord::Closed,
        };
        ConnectionState {
            phase,
            is_amf3: self.encoding == Encoding::Amf3,
            flows: self.flows.record(),
            streams: self.streams.records(),
            last_publication: self.streams.last_publication,
            calls: self.calls.record(),
        }
    }

    /// The connection that was handed over.
    pub fn take_over(settings: Arc<ConnectionSettings>, state: ConnectionState) -> Self {
        let phase = match state.phase {
            PhaseRecord::New => Phase::New,
            PhaseRecord::Pending { transaction, object_encoding } => Phase::Pending { transaction, object_encoding },
            PhaseRecord::Connected => Phase::Connected,
            PhaseRecord::Closed => Phase::Closed,
        };
        Self {
            settings,
            phase,
            encoding: if state.is_amf3 { Encoding::Amf3 } else { Encoding::Amf0 },
            flows: Flows::from_record(state.flows),
            streams: Streams::from_records(state.streams, state.last_publication),
            calls: PendingCalls::from_record(state.calls),
            barriers: None,
        }
    }

    /// Whether the client waits for the answer to its `connect`.
    pub fn is_pending(&self) -> bool {
        matches!(self.phase, Phase::Pending { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amf::Value;
    use crate::command::Command;
    use crate::metadata::FlowKind;

    fn command(name: &str, transaction: f64, object: Value, arguments: Vec<Value>) -> Vec<u8> {
        let command = Command { name: name.to_owned(), transaction, object, arguments };
        command.to_message(Encoding::Amf0, 0).unwrap()
    }

    /// A client that is connected, publishes on a stream, is in a group, and has yet to answer a call.
    fn busy() -> (NetConnection, Vec<Action>) {
        let mut connection = NetConnection::new(Arc::default());
        let mut actions = Vec::new();
        connection.on_flow(2, &FlowKind::stream(0).metadata(), None);
        let object = Value::object([("app", Value::from("any")), ("objectEncoding", Value::Number(3.0))]);
        connection.on_message(2, &command("connect", 1.0, object, vec![]), &mut actions);
        connection.accept(vec![], &mut actions).unwrap();
        connection.on_message(2, &command("createStream", 2.0, Value::Null, vec![]), &mut actions);
        connection.on_flow(3, &FlowKind::stream(1).metadata(), Some(1));
        connection.on_message(3, &command("publish", 0.0, Value::Null, vec!["cam".into()]), &mut actions);
        connection.on_flow(4, &FlowKind::GroupControl.metadata(), Some(1));
        connection.call("ask", vec![], true, &mut actions).unwrap();
        (connection, actions)
    }

    #[test]
    fn a_connection_goes_on_where_it_was() {
        let (mut before, _) = busy();
        let state = before.hand_over();
        let mut after = NetConnection::take_over(Arc::default(), state.clone());
        assert_eq!(after.hand_over(), state);
        assert!(after.is_connected() && !after.is_pending());
        // Whatever comes next leads to the same actions.
        type Step<'a> = &'a dyn Fn(&mut NetConnection, &mut Vec<Action>);
        let steps: [Step<'_>; 6] = [
            &|connection, actions| connection.on_message(2, &command("_result", 1.0, Value::Null, vec![]), actions),
            &|connection, actions| assert!(connection.allow_publication(1, actions)),
            &|connection, actions| connection.on_message(4, b"join", actions),
            &|connection, actions| {
                connection.on_message(2, &command("createStream", 3.0, Value::Null, vec![]), actions);
            },
            &|connection, actions| assert!(connection.call("again", vec![Value::Null], true, actions).is_ok()),
            &|connection, actions| connection.on_flow_closed(2, actions),
        ];
        for step in steps {
            let (mut one, mut other) = (Vec::new(), Vec::new());
            step(&mut before, &mut one);
            step(&mut after, &mut other);
            assert!(!one.is_empty());
            assert_eq!(one, other);
        }
    }

    #[test]
    fn a_client_that_waits_for_its_answer_still_waits() {
        let mut connection = NetConnection::new(Arc::default());
        let mut actions = Vec::new();
        connection.on_flow(2, &FlowKind::stream(0).metadata(), None);
        connection.on_message(2, &command("connect", 1.0, Value::object([("app", "a".into())]), vec![]), &mut actions);
        let mut after = NetConnection::take_over(Arc::default(), connection.hand_over());
        assert!(after.is_pending());
        assert!(after.accept(vec![], &mut actions).is_ok() && after.is_connected());
    }
}
