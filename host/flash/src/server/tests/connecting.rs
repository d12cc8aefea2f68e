//! `connect`, its answers, and the end.

use super::*;

/// Sends `connect` with this command object as librtmfp does: transaction 0.
fn connect_with(object: Value) -> Vec<Action> {
    let mut server = Server::new();
    server.connection.on_flow(CONTROL_FLOW, CONTROL, None);
    let mut command = Command::new("connect", 0.0, vec!["extra".into()]);
    command.object = object;
    server.message(CONTROL_FLOW, &command.to_message(Encoding::Amf0, 0).unwrap());
    server.take()
}

fn request(object: Value) -> ConnectRequest {
    let actions = connect_with(object);
    let [Action::Connect(request)] = &actions[..] else { panic!("{actions:?}") };
    (**request).clone()
}

fn path(request: &ConnectRequest) -> (&str, &str) {
    (&request.path.application, &request.path.instance)
}

#[test]
fn connect_as_clients_send_it() {
    let request = request(Value::object([
        ("app", "live/room1?k=v".into()),
        ("flashVer", "WIN 20,0,0,286".into()),
        ("swfUrl", "app:/main.swf".into()),
        ("tcUrl", "rtmfp://[2001:db8::1]:1936/live/room1".into()),
        ("pageUrl", "https://example.org/".into()),
        ("objectEncoding", Value::Number(3.0)),
    ]));
    assert_eq!(path(&request), ("live", "room1"));
    assert_eq!((request.uri.host.as_str(), request.uri.port), ("2001:db8::1", Some(1936)));
    assert_eq!(request.query, "k=v");
    assert_eq!(request.agent, "WIN 20,0,0,286");
    assert_eq!(request.referrer, "app:/main.swf");
    assert_eq!(request.page_url, "https://example.org/");
    assert_eq!(request.object_encoding, 3);
    assert_eq!(request.arguments, ["extra".into()]);
}

#[test]
fn any_path_is_accepted() {
    let app = |text: &str| request(Value::object([("app", text.into())]));
    assert_eq!(path(&app("abcdef0123456789-key")), ("abcdef0123456789-key", "_definst_"));
    assert_eq!(path(&app("")), ("_definst_", "_definst_"));
    assert_eq!(path(&request(Value::Null)), ("_definst_", "_definst_"));
    let url_only = request(Value::object([("tcUrl", "rtmfp://host/a/b?q".into()), ("app", Value::Number(1.0))]));
    assert_eq!((path(&url_only), url_only.query.as_str(), url_only.object_encoding), (("a", "b"), "q", 0));
    let both = request(Value::object([("tcUrl", "rtmfp://host/a/b?q".into()), ("app", "c/d?r".into())]));
    assert_eq!((path(&both), both.query.as_str()), (("c", "d"), "q"));
    let slashes = request(Value::object([("tcUrl", "rtmfp://host/a/b".into()), ("app", "//?r".into())]));
    assert_eq!((path(&slashes), slashes.query.as_str()), (("a", "b"), "r"));
    for (asked, given) in [(0.0, 0), (1.0, 0), (3.0, 3), (4.0, 0)] {
        let encoding = request(Value::object([("objectEncoding", Value::Number(asked))])).object_encoding;
        assert_eq!(encoding, given, "{asked}");
    }
}

#[test]
fn a_path_that_is_not_a_name_is_refused() {
    let actions = connect_with(Value::object([("app", "../../etc".into())]));
    let [refused, Action::OpenFlow { .. }, Action::Send { message, .. }, Action::CloseSession { reason, control_flow }] =
        &actions[..]
    else {
        panic!("{actions:?}")
    };
    assert_eq!(*refused, Action::InvalidApp { path: "../../etc".to_owned(), error: PathError::NotAName });
    let Ok(Incoming::Error { status, .. }) = client::read(message, AmfLimits::default()) else { panic!() };
    assert_eq!(status.code, "NetConnection.Connect.InvalidApp");
    assert_eq!((*reason, *control_flow), (CloseReason::Rejected, Some(CONTROL_FLOW)));
}

#[test]
fn the_first_return_flow_is_the_control_flow() {
    let mut server = Server::pending(ConnectionSettings::default());
    server.connection.accept(vec![("data".to_owned(), 1.0.into())], &mut server.actions).unwrap();
    let actions = server.take();
    let [Action::OpenFlow { stream: 0, return_of: CONTROL_FLOW, metadata }, Action::Send { stream: 0, message }] =
        &actions[..]
    else {
        panic!("{actions:?}")
    };
    assert_eq!(metadata, CONTROL);
    assert_eq!(message[0], kind::COMMAND);
    assert!(server.connection.is_connected());
    let Ok(Incoming::Result { transaction, status, values }) = client::read(message, AmfLimits::default()) else {
        panic!()
    };
    assert_eq!(transaction, client::CONNECT_TRANSACTION);
    assert_eq!((status.level.as_str(), status.code.as_str()), ("status", "NetConnection.Connect.Success"));
    assert_eq!(values[1].get("objectEncoding"), Some(&Value::Number(3.0)));
    assert_eq!(values[1].get("data"), Some(&Value::Number(1.0)));
    assert!(values[0].get("fmsVer").is_some());
    // `connect` is answered once.
    let (connection, actions) = (&mut server.connection, &mut server.actions);
    assert_eq!(connection.accept(Vec::new(), actions), Err(AnswerError::NotPending));
    assert_eq!(connection.reject(Rejection::new("x", ""), actions), Err(AnswerError::NotPending));
}

#[test]
fn the_answer_never_holds_amf3() {
    let mut server = Server::pending(ConnectionSettings::default());
    let bytes = vec![("bytes".to_owned(), Value::Array(vec![Value::ByteArray(vec![1])]))];
    let refused = server.connection.accept(bytes, &mut server.actions);
    assert!(matches!(refused, Err(AnswerError::Encode(EncodeError::NotAmf0(_)))));
    assert_eq!(server.take(), []);
    // The client still waits, and can get another answer.
    assert_eq!(server.connection.accept(Vec::new(), &mut server.actions), Ok(()));
}

#[test]
fn a_rejection_has_a_reason_and_another_uri() {
    let mut server = Server::pending(ConnectionSettings::default());
    let mut rejection = Rejection::new("NetConnection.Connect.Rejected", "go away");
    rejection.application = Some("because".into());
    rejection.redirect = Some("rtmfp://other/app".into());
    server.connection.reject(rejection, &mut server.actions).unwrap();
    let actions = server.take();
    let [Action::OpenFlow { .. }, Action::Send { message, .. }, Action::CloseSession { .. }] = &actions[..] else {
        panic!("{actions:?}")
    };
    let Ok(Incoming::Error { status, .. }) = client::read(message, AmfLimits::default()) else { panic!() };
    assert_eq!((status.level.as_str(), status.description.as_str()), ("error", "go away"));
    let info = status.info.unwrap();
    assert_eq!(info.get("application"), Some(&"because".into()));
    assert_eq!(info.get("ex").and_then(|ex| ex.get("redirect")), Some(&"rtmfp://other/app".into()));
    assert_eq!(info.get("ex").and_then(|ex| ex.get("code")), Some(&Value::Number(302.0)));
    // Nothing is sent after that.
    server.command(CONTROL_FLOW, "createStream", 2.0, vec![]);
    assert_eq!(server.take(), []);
}

#[test]
fn commands_before_connect_are_refused() {
    let mut server = Server::new();
    server.connection.on_flow(CONTROL_FLOW, CONTROL, None);
    server.command(CONTROL_FLOW, "setPeerInfo", 0.0, vec!["192.0.2.1:1".into()]);
    assert_eq!(server.take(), [Action::Report(Irregularity::NotConnected { name: "setPeerInfo".to_owned() })]);
    server.command(CONTROL_FLOW, "createStream", 2.0, vec![]);
    let actions = server.take();
    let [Action::OpenFlow { stream: 0, .. }, Action::Send { message, .. }, Action::Report(_)] = &actions[..] else {
        panic!("{actions:?}")
    };
    assert!(matches!(client::read(message, AmfLimits::default()), Ok(Incoming::Error { transaction: 2.0, .. })));
    // The client can connect nevertheless.
    server.message(CONTROL_FLOW, &client::connect("rtmfp://host/app", &ConnectOptions::default()).unwrap());
    assert!(matches!(server.take()[..], [Action::Connect(_)]));
}

/// A client that waits for the verdict is no client yet.
#[test]
fn commands_before_acceptance_are_refused() {
    let mut server = Server::pending(ConnectionSettings::default());
    for (name, transaction) in [("method", 0.0), ("setPeerInfo", 0.0), ("_result", 1.0), ("deleteStream", 0.0)] {
        server.command(CONTROL_FLOW, name, transaction, vec!["192.0.2.1:1".into()]);
        let actions = server.take();
        let reported = Action::Report(Irregularity::NotConnected { name: name.to_owned() });
        assert_eq!(actions.last(), Some(&reported), "{name}");
        let others = &actions[..actions.len() - 1];
        assert!(others.iter().all(|action| matches!(action, Action::OpenFlow { .. } | Action::Send { .. })), "{name}");
    }
    server.command(CONTROL_FLOW, "createStream", 2.0, vec![]);
    let actions = server.take();
    let [Action::Send { message, .. }, Action::Report(_)] = &actions[..] else { panic!("{actions:?}") };
    assert!(matches!(client::read(message, AmfLimits::default()), Ok(Incoming::Error { transaction: 2.0, .. })));
    let call = Call { name: "method".to_owned(), transaction: 3.0, object: Value::Null, arguments: Vec::new() };
    server.connection.refuse_call(&call, &mut server.actions);
    assert_eq!(server.take(), [], "nor is it answered");
    // The verdict can still come.
    assert_eq!(server.connection.accept(Vec::new(), &mut server.actions), Ok(()));
}

#[test]
fn a_second_connect_before_the_verdict_is_refused() {
    let mut server = Server::pending(ConnectionSettings::default());
    server.message(CONTROL_FLOW, &client::connect("rtmfp://host/other", &ConnectOptions::default()).unwrap());
    let actions = server.take();
    assert!(matches!(actions.first(), Some(Action::Report(Irregularity::SecondConnect))), "{actions:?}");
    assert!(actions.iter().all(|action| !matches!(action, Action::Connect(_))), "{actions:?}");
}

#[test]
fn after_the_end_nothing_is_accepted_handed_on_or_answered() {
    let mut server = Server::connected(ConnectionSettings::default());
    assert!(matches!(server.connection.on_flow(3, b"GC", Some(SERVER_FLOW)), FlowVerdict::Accept(_)));
    server.message(CONTROL_FLOW, &UserControl::FlowSync { sync: 1, count: 2 }.to_message());
    server.connection.close(&mut server.actions);
    server.take();
    server.message(3, b"\x01\x21\x15");
    server.message(99, b"on no flow");
    server.message(CONTROL_FLOW, &UserControl::PingRequest { timestamp: 5 }.to_message());
    server.message(CONTROL_FLOW, &UserControl::PingResponse { timestamp: 5 }.to_message());
    server.command(CONTROL_FLOW, "method", 4.0, vec![]);
    assert_eq!(server.connection.barriers.as_ref().map(|barriers| barriers.held()), Some(0), "nothing is kept");
    server.connection.on_flow_closed(3, &mut server.actions);
    server.connection.on_flow_closed(CONTROL_FLOW, &mut server.actions);
    server.connection.on_flow_exception(0, &mut server.actions);
    server.connection.ping(6, &mut server.actions);
    assert_eq!(server.take(), []);
    for (metadata, return_of) in [(CONTROL, None), (CONTROL, Some(SERVER_FLOW)), (&b"GC"[..], Some(SERVER_FLOW))] {
        assert!(matches!(server.connection.on_flow(7, metadata, return_of), FlowVerdict::Reject(_)), "{metadata:?}");
    }
    assert_eq!(server.connection.call("tell", vec![], false, &mut server.actions), Err(CallError::NotConnected));
    let mut unused = NetConnection::new(Arc::default());
    unused.close(&mut Vec::new());
    assert!(matches!(unused.on_flow(7, CONTROL, None), FlowVerdict::Reject(RejectReason::SecondControlFlow)));
}

#[test]
fn a_second_connect_is_refused() {
    let mut server = Server::connected(ConnectionSettings::default());
    server.command(CONTROL_FLOW, "connect", 9.0, vec![]);
    let actions = server.take();
    let [Action::Report(Irregularity::SecondConnect), Action::Send { message, .. }] = &actions[..] else {
        panic!("{actions:?}")
    };
    assert!(matches!(client::read(message, AmfLimits::default()), Ok(Incoming::Error { transaction: 9.0, .. })));
    assert!(server.connection.is_connected());
}

#[test]
fn three_ways_to_end() {
    let close = |reason| vec![Action::CloseSession { reason, control_flow: Some(CONTROL_FLOW) }];
    let mut server = Server::connected(ConnectionSettings::default());
    server.connection.on_flow_closed(CONTROL_FLOW, &mut server.actions);
    server.connection.close(&mut server.actions);
    assert_eq!(server.take(), close(CloseReason::Client));
    let mut server = Server::connected(ConnectionSettings::default());
    server.connection.on_flow_exception(0, &mut server.actions);
    assert_eq!(server.take(), close(CloseReason::ClientAbrupt));
    let mut server = Server::connected(ConnectionSettings::default());
    server.connection.close(&mut server.actions);
    server.connection.close(&mut server.actions);
    assert_eq!(server.take(), close(CloseReason::Local));
    assert!(!server.connection.is_connected());
}

#[test]
fn a_late_answer_to_a_client_that_left() {
    let mut server = Server::pending(ConnectionSettings::default());
    server.connection.on_flow_closed(CONTROL_FLOW, &mut server.actions);
    server.take();
    assert_eq!(server.connection.accept(Vec::new(), &mut server.actions), Err(AnswerError::NotPending));
    assert_eq!(server.take(), []);
}
