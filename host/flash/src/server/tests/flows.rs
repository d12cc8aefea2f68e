//! The flows that are accepted, and the messages on them.

use super::*;

fn reject(server: &mut Server, flow: u64, metadata: &[u8], return_of: Option<u64>) -> RejectReason {
    match server.connection.on_flow(flow, metadata, return_of) {
        FlowVerdict::Reject(reason) => reason,
        FlowVerdict::Accept(kind) => panic!("accepted {kind:?}"),
    }
}

#[test]
fn an_unknown_flow_does_not_affect_the_others() {
    let mut server = Server::connected(ConnectionSettings::default());
    assert_eq!(reject(&mut server, 9, b"XY", Some(SERVER_FLOW)), RejectReason::UnknownMetadata);
    assert_eq!(reject(&mut server, 9, b"TC\0", Some(SERVER_FLOW)), RejectReason::UnknownMetadata);
    assert_eq!(reject(&mut server, 9, b"GR\x1c", None), RejectReason::PeerToPeer);
    assert_eq!(reject(&mut server, 9, b"TC\x04\x01", None), RejectReason::PeerToPeer);
    assert_eq!(reject(&mut server, 9, CONTROL, None), RejectReason::SecondControlFlow);
    assert_eq!(reject(&mut server, 9, b"TC\x04\x01", Some(SERVER_FLOW)), RejectReason::UnknownStream);
    server.message(9, b"whatever");
    assert_eq!(server.take(), [Action::Report(Irregularity::UnknownFlow { flow: 9 })]);
    assert!(server.connection.is_connected());
}

#[test]
fn only_the_control_flow_before_connect() {
    let mut server = Server::new();
    assert_eq!(reject(&mut server, 3, b"GC", Some(SERVER_FLOW)), RejectReason::NotConnected);
    assert_eq!(reject(&mut server, 3, CONTROL, Some(SERVER_FLOW)), RejectReason::NotConnected);
    assert!(matches!(server.connection.on_flow(3, CONTROL, None), FlowVerdict::Accept(_)));
}

#[test]
fn more_control_flows_may_be_associated() {
    let mut server = Server::connected(ConnectionSettings::default());
    assert!(matches!(server.connection.on_flow(5, CONTROL, Some(SERVER_FLOW)), FlowVerdict::Accept(_)));
    server.command(5, "setPeerInfo", 0.0, vec![]);
    assert!(matches!(server.take()[..], [Action::SetPeerInfo(_)]));
    // The end of such a flow does not end the connection.
    server.connection.on_flow_closed(5, &mut server.actions);
    assert_eq!(server.take(), []);
    assert!(server.connection.is_connected());
}

#[test]
fn flows_are_bounded() {
    let mut server = Server::connected(ConnectionSettings { max_flows: 4, ..ConnectionSettings::default() });
    for flow in 10..13 {
        assert!(matches!(server.connection.on_flow(flow, b"GC", Some(SERVER_FLOW)), FlowVerdict::Accept(_)));
    }
    assert_eq!(reject(&mut server, 13, b"GC", Some(SERVER_FLOW)), RejectReason::TooMany);
    server.connection.on_flow_closed(10, &mut server.actions);
    assert!(matches!(server.connection.on_flow(13, b"GC", Some(SERVER_FLOW)), FlowVerdict::Accept(_)));
}

#[test]
fn group_control_is_handed_on() {
    let mut server = Server::connected(ConnectionSettings::default());
    server.connection.on_flow(3, b"GC", Some(SERVER_FLOW));
    server.message(3, b"\x01\x21\x15");
    server.connection.on_flow_closed(3, &mut server.actions);
    let message = b"\x01\x21\x15".to_vec();
    assert_eq!(server.take(), [Action::GroupMessage { flow: 3, message }, Action::GroupFlowClosed { flow: 3 }]);
}

#[test]
fn malformed_messages_are_reported() {
    let mut server = Server::connected(ConnectionSettings::default());
    for bytes in
        [&b""[..], b"\x14\0\0", b"\x14\0\0\0\0", b"\x11\0\0\0\0\x05", b"\x04\0\0\0\0\0", b"\x14\0\0\0\0\x02\xff\xff"]
    {
        server.message(CONTROL_FLOW, bytes);
        let actions = server.take();
        assert!(
            matches!(actions[..], [Action::Report(Irregularity::Malformed { flow: CONTROL_FLOW, .. })]),
            "{bytes:x?}"
        );
    }
    let nested = [b"\x14\0\0\0\0".to_vec(), b"\x0a\0\0\0\x01".repeat(10_000)].concat();
    server.message(CONTROL_FLOW, &nested);
    assert!(matches!(server.take()[..], [Action::Report(Irregularity::Malformed { .. })]));
    let long = [b"\x14\0\0\0\0".to_vec(), vec![0; 70_000]].concat();
    server.message(CONTROL_FLOW, &long);
    assert_eq!(server.take(), [Action::Report(Irregularity::TooLong { flow: CONTROL_FLOW, length: 70_000 })]);
}

#[test]
fn media_data_and_chunk_control_are_ignored() {
    let mut server = Server::connected(ConnectionSettings::default());
    for kind in [1, 2, 3, 5, 6, 8, 9, 15, 18, 22, 255] {
        server.message(CONTROL_FLOW, &[kind, 0, 0, 0, 0, 1, 2, 3]);
    }
    assert_eq!(server.take(), []);
}

#[test]
fn commands_of_the_connection_mean_nothing_on_a_stream() {
    let mut server = Server::connected(ConnectionSettings::default());
    server.message(CONTROL_FLOW, &client::create_stream(2.0).unwrap());
    server.take();
    assert!(matches!(server.connection.on_flow(5, b"TC\x04\x01", Some(SERVER_FLOW)), FlowVerdict::Accept(_)));
    for name in ["connect", "setPeerInfo", "createStream", "_result"] {
        server.command(5, name, 8.0, vec!["192.0.2.1:1".into()]);
        assert_eq!(server.error(8.0), "NetConnection.Call.Failed", "{name}");
    }
    // A stream that was deleted takes no more flows.
    server.command(CONTROL_FLOW, "deleteStream", 0.0, vec![1.0.into()]);
    assert_eq!(reject(&mut server, 6, b"TC\x04\x01", Some(SERVER_FLOW)), RejectReason::UnknownStream);
}

#[test]
fn a_command_may_be_as_long_as_the_settings_say() {
    let mut server = Server::connected(ConnectionSettings { max_command_len: 1000, ..ConnectionSettings::default() });
    let command = |length: usize| {
        let text = "x".repeat(length);
        Command::new("method", 0.0, vec![text.into()]).to_message(Encoding::Amf0, 0).unwrap()
    };
    let spare = 1000 + crate::message::HEADER_LEN - command(0).len();
    server.message(CONTROL_FLOW, &command(spare));
    assert!(matches!(server.take()[..], [Action::Call(_)]));
    server.message(CONTROL_FLOW, &command(spare + 1));
    assert_eq!(server.take(), [Action::Report(Irregularity::TooLong { flow: CONTROL_FLOW, length: 1001 })]);
}

#[test]
fn a_flow_waits_for_the_others_of_its_barrier() {
    let mut server = Server::connected(ConnectionSettings::default());
    assert!(matches!(server.connection.on_flow(5, CONTROL, Some(SERVER_FLOW)), FlowVerdict::Accept(_)));
    let barrier = UserControl::FlowSync { sync: 1, count: 2 }.to_message();
    server.message(CONTROL_FLOW, &barrier);
    server.command(CONTROL_FLOW, "after", 0.0, vec![]);
    assert_eq!(server.take(), [], "the control flow is suspended");
    server.command(5, "before", 0.0, vec![]);
    server.message(5, &barrier);
    let actions = server.take();
    let [Action::Call(first), Action::Call(second)] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!((first.name.as_str(), second.name.as_str()), ("before", "after"));
    assert!(server.connection.barriers.is_none());
}

#[test]
fn the_messages_of_a_flow_that_ends_while_it_waits_are_processed() {
    let mut server = Server::connected(ConnectionSettings::default());
    server.message(CONTROL_FLOW, &UserControl::FlowSync { sync: 1, count: 2 }.to_message());
    server.command(CONTROL_FLOW, "after", 0.0, vec![]);
    server.connection.on_flow_closed(CONTROL_FLOW, &mut server.actions);
    let actions = server.take();
    assert!(matches!(actions[..], [Action::Call(_), Action::CloseSession { .. }]), "{actions:?}");
}

#[test]
fn barriers_that_are_never_passed_keep_little() {
    let mut server = Server::connected(ConnectionSettings::default());
    server.message(CONTROL_FLOW, &UserControl::FlowSync { sync: 1, count: u32::MAX }.to_message());
    for _ in 0..2000 {
        server.command(CONTROL_FLOW, "call", 0.0, vec![]);
    }
    assert_eq!(server.take().len(), 2000, "given up when too many wait");
}

#[test]
fn pings_both_ways_and_keepalive_timers() {
    let mut server = Server::pending(ConnectionSettings::default());
    server.connection.set_keepalive_timers(15_000, 10_000, &mut server.actions);
    server.message(CONTROL_FLOW, &UserControl::PingRequest { timestamp: 5 }.to_message());
    assert_eq!(server.take(), []);
    server.connection.accept(Vec::new(), &mut server.actions).unwrap();
    server.take();
    server.connection.set_keepalive_timers(15_000, 10_000, &mut server.actions);
    let timers = UserControl::SetKeepaliveTimers { server: 15_000, peer: 10_000 };
    assert_eq!(server.said(0), Incoming::UserControl(timers));
    server.message(CONTROL_FLOW, &UserControl::PingRequest { timestamp: 5 }.to_message());
    assert_eq!(server.said(0), Incoming::UserControl(UserControl::PingResponse { timestamp: 5 }));
    server.connection.ping(6, &mut server.actions);
    assert_eq!(server.said(0), Incoming::UserControl(UserControl::PingRequest { timestamp: 6 }));
    server.message(CONTROL_FLOW, &UserControl::PingResponse { timestamp: 6 }.to_message());
    assert_eq!(server.take(), [Action::PingResponse { timestamp: 6 }]);
}

proptest::proptest! {
    #[test]
    fn any_messages_are_survived(messages: Vec<(u8, Vec<u8>)>) {
        let mut server = Server::connected(ConnectionSettings::default());
        for (choice, bytes) in messages {
            let flow = if choice & 1 == 0 { CONTROL_FLOW } else { 3 };
            server.connection.on_flow(3, &bytes, Some(SERVER_FLOW));
            // Half of the messages begin like a command.
            let start = if choice & 2 == 0 { &b"\x14\0\0\0\0\x02\0\x01"[..] } else { &[choice] };
            server.message(flow, &[start, &bytes].concat());
        }
        proptest::prop_assert!(server.connection.is_connected());
    }
}

#[test]
fn the_end_of_a_flow_is_not_that_of_others() {
    let mut server = Server::connected(ConnectionSettings::default());
    for flow in [5, 6, 7] {
        assert!(matches!(server.connection.on_flow(flow, b"GC", Some(SERVER_FLOW)), FlowVerdict::Accept(_)));
    }
    for flow in [6, 5] {
        server.connection.on_flow_closed(flow, &mut server.actions);
        assert_eq!(server.take(), [Action::GroupFlowClosed { flow }]);
        // It is over.
        server.connection.on_flow_closed(flow, &mut server.actions);
        assert_eq!(server.take(), []);
    }
    server.message(CONTROL_FLOW, &client::create_stream(2.0).unwrap());
    assert!(matches!(server.said(0), Incoming::Result { transaction: 2.0, .. }));
    server.connection.on_flow_closed(7, &mut server.actions);
    assert_eq!(server.take(), [Action::GroupFlowClosed { flow: 7 }]);
}
