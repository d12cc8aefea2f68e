//! Commands of an established connection, and calls both ways.

use super::*;
use crate::command::{Level, info};
use crate::peer_info::PeerInfo;

#[test]
fn set_peer_info_is_silent_and_tolerant() {
    let mut server = Server::connected(ConnectionSettings::default());
    server.message(CONTROL_FLOW, &client::set_peer_info(&[], Encoding::Amf3).unwrap());
    assert_eq!(server.take(), [Action::SetPeerInfo(PeerInfo::default())]);
    server.command(CONTROL_FLOW, "setPeerInfo", 3.0, vec!["".into(), "192.0.2.1".into(), "192.0.2.1:1".into()]);
    let actions = server.take();
    let [Action::SetPeerInfo(info)] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!(info.addresses, ["192.0.2.1:1".parse().unwrap()]);
    assert_eq!(info.skipped_count, 2);
}

#[test]
fn calls_of_the_client() {
    let mut server = Server::connected(ConnectionSettings::default());
    server.command(CONTROL_FLOW, "method", 7.0, vec![1.0.into()]);
    let actions = server.take();
    let [Action::Call(call)] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!((call.name.as_str(), call.arguments.as_slice()), ("method", &[Value::Number(1.0)][..]));
    assert!(call.wants_answer());
    server.connection.answer(7.0, Ok("done".into()), &mut server.actions).unwrap();
    let Incoming::Result { transaction: 7.0, values, .. } = server.said(0) else { panic!() };
    assert_eq!(values, [Value::Null, "done".into()]);
    server.connection.refuse_call(call, &mut server.actions);
    assert_eq!(server.error(7.0), "NetConnection.Call.Failed");
}

#[test]
fn a_call_can_be_answered_with_an_error() {
    let mut server = Server::connected(ConnectionSettings::default());
    server.connection.answer(7.0, Err(info(Level::Error, "Some.Code", "why")), &mut server.actions).unwrap();
    assert_eq!(server.error(7.0), "Some.Code");
    let transaction = server.connection.call("ask", vec![], true, &mut server.actions).unwrap().unwrap();
    server.take();
    server.command(CONTROL_FLOW, "_error", transaction as f64, vec!["no".into()]);
    assert_eq!(server.take(), [Action::Answer { transaction, outcome: Err(vec!["no".into()]) }]);
}

#[test]
fn a_call_without_a_transaction_gets_no_answer() {
    let mut server = Server::connected(ConnectionSettings::default());
    server.command(CONTROL_FLOW, "method", 0.0, vec![]);
    let actions = server.take();
    let [Action::Call(call)] = &actions[..] else { panic!("{actions:?}") };
    assert!(!call.wants_answer());
    server.connection.answer(0.0, Ok(Value::Null), &mut server.actions).unwrap();
    server.connection.refuse_call(call, &mut server.actions);
    assert_eq!(server.take(), []);
}

#[test]
fn the_refusal_names_the_method() {
    let mut server = Server::connected(ConnectionSettings::default());
    let name = "n".repeat(60_000);
    server.command(CONTROL_FLOW, &name, 7.0, vec![]);
    let actions = server.take();
    let [Action::Call(call)] = &actions[..] else { panic!() };
    server.connection.refuse_call(call, &mut server.actions);
    let Incoming::Error { status, .. } = server.said(0) else { panic!() };
    assert_eq!(status.description, format!("Method not found ({}).", "n".repeat(64)));
}

#[test]
fn calls_of_the_server() {
    let mut server = Server::connected(ConnectionSettings::default());
    let connection = &mut server.connection;
    assert_eq!(connection.call("notify", vec![Value::ByteArray(vec![1])], false, &mut server.actions), Ok(None));
    let transaction = connection.call("ask", vec![], true, &mut server.actions).unwrap().unwrap();
    let actions = server.take();
    let [Action::Send { message: notify, .. }, Action::Send { message: ask, .. }] = &actions[..] else { panic!() };
    assert_eq!(notify[..6], [kind::COMMAND_EXTENDED, 0, 0, 0, 0, 0]);
    let Ok(Incoming::Call(command)) = client::read(notify, AmfLimits::default()) else { panic!() };
    assert_eq!((command.transaction, command.arguments), (0.0, vec![Value::ByteArray(vec![1])]));
    let Ok(Incoming::Call(command)) = client::read(ask, AmfLimits::default()) else { panic!() };
    assert_eq!(command.transaction, transaction as f64);
    server.command(CONTROL_FLOW, "_result", command.transaction, vec!["answer".into()]);
    assert_eq!(server.take(), [Action::Answer { transaction, outcome: Ok(vec!["answer".into()]) }]);
    // A call is answered once.
    for number in [command.transaction, 0.0, -1.0, f64::NAN, 1e300] {
        server.command(CONTROL_FLOW, "_error", number, vec![]);
        assert!(matches!(server.take()[..], [Action::Report(Irregularity::UnexpectedAnswer { .. })]));
    }
}

#[test]
fn calls_without_answers_are_bounded() {
    let mut server = Server::connected(ConnectionSettings { max_pending_calls: 2, ..ConnectionSettings::default() });
    let numbers = [0; 2].map(|_| server.connection.call("ask", vec![], true, &mut server.actions).unwrap().unwrap());
    assert_ne!(numbers[0], numbers[1], "each answer finds its call");
    let refused = server.connection.call("ask", vec![], true, &mut server.actions);
    assert_eq!(refused, Err(CallError::TooManyPending));
    assert_eq!(server.connection.call("tell", vec![], false, &mut server.actions), Ok(None));
    server.command(CONTROL_FLOW, "_error", 1.0, vec![]);
    assert!(server.connection.call("ask", vec![], true, &mut server.actions).is_ok());
}

#[test]
fn a_client_of_amf0_gets_no_amf3() {
    let mut server = Server::new();
    server.connection.on_flow(CONTROL_FLOW, CONTROL, None);
    let options = ConnectOptions { amf3: false, ..ConnectOptions::default() };
    server.message(CONTROL_FLOW, &client::connect("rtmfp://host/app", &options).unwrap());
    server.connection.accept(Vec::new(), &mut server.actions).unwrap();
    server.take();
    server.connection.call("tell", vec!["x".into()], false, &mut server.actions).unwrap();
    assert!(matches!(&server.take()[..], [Action::Send { message, .. }] if message[0] == kind::COMMAND));
    let refused = server.connection.call("tell", vec![Value::ByteArray(vec![])], false, &mut server.actions);
    assert!(matches!(refused, Err(CallError::Encode(EncodeError::NotAmf0(_)))));
}

#[test]
fn a_client_is_not_called_before_connect() {
    let mut server = Server::pending(ConnectionSettings::default());
    let refused = server.connection.call("tell", vec![], false, &mut server.actions);
    assert_eq!(refused, Err(CallError::NotConnected));
    assert_eq!(server.connection.answer(1.0, Ok(Value::Null), &mut server.actions), Err(CallError::NotConnected));
}
