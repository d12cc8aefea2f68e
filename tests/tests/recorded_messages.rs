//! Messages of other implementations: every recorded one is read, and written again to the same bytes.
#![forbid(unsafe_code)]
// Clippy takes the helpers here for code that could be something else than a test.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use introd_flash::amf::{AmfLimits, Encoder, Value};
use introd_flash::client::{self, Incoming};
use introd_flash::command::{Command, Encoding};
use introd_flash::message::{HEADER_LEN, Message, kind, read_data};
use introd_flash::metadata::FlowKind;
use introd_flash::server::{Action, ConnectionSettings, FlowVerdict, Irregularity, NetConnection};
use introd_flash::user_control::UserControl;

/// One message of a recording.
struct Recorded {
    from_initiator: bool,
    flow: u64,
    return_flow: Option<u64>,
    metadata: Vec<u8>,
    bytes: Vec<u8>,
}

/// The messages of one session of a recording, or of all.
fn recording(name: &str, session: Option<u64>) -> Vec<Recorded> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    let bytes = |message: &serde_json::Value, key: &str| hex::decode(message[key].as_str().unwrap()).unwrap();
    let messages = file["messages"].as_array().unwrap().iter();
    messages
        .filter(|message| session.is_none() || message["session"].as_u64() == session)
        .map(|message| Recorded {
            from_initiator: message["sender"] == "initiator",
            flow: message["flow"].as_u64().unwrap(),
            return_flow: message["return_flow"].as_u64(),
            metadata: bytes(message, "metadata_hex"),
            bytes: bytes(message, "message_hex"),
        })
        .collect()
}

const ALL: [&str; 8] = [
    "librtmfp-connect.json",
    "librtmfp-netgroup.json",
    "rtmfp-cpp-connect-plain.json",
    "rtmfp-cpp-connect-sseq.json",
    "rtmfp-cpp-connect.json",
    "rtmfp-cpp-introduction-ephemeral.json",
    "rtmfp-cpp-introduction.json",
    "rtmfp-cpp-media.json",
];

/// The command written again, in the form it came in.
fn command_again(command: &Command, recorded: &[u8]) -> Vec<u8> {
    let plain = command.to_message(Encoding::Amf0, 0).unwrap();
    // librtmfp leaves out a command object that it does not need. It is written as null, after name and transaction.
    let object = HEADER_LEN + 3 + command.name.len() + 9;
    if recorded.get(object) != plain.get(object) {
        assert_eq!(plain[object], 0x05);
        return [&plain[..object], &plain[object + 1..]].concat();
    }
    // librtmfp puts AMF3 arguments into messages of type 20.
    let extended = command.to_message(Encoding::Amf3, 0).unwrap();
    let embedded = &extended[HEADER_LEN + 1..];
    if embedded == &recorded[HEADER_LEN..] { [&plain[..HEADER_LEN], embedded].concat() } else { plain }
}

#[test]
fn every_message_is_written_again_to_the_same_bytes() {
    let (mut names, mut kinds, mut metadata) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for recorded in ALL.iter().flat_map(|name| recording(name, None)) {
        let flow_kind = FlowKind::classify(&recorded.metadata).unwrap();
        assert_eq!(flow_kind.metadata(), recorded.metadata);
        metadata.insert(recorded.metadata.clone());
        let FlowKind::Rtmp { .. } = flow_kind else { continue };
        let message = Message::read(&recorded.bytes).unwrap();
        assert_eq!(message.to_bytes(), recorded.bytes);
        kinds.insert(message.kind);
        match message.kind {
            kind::COMMAND => {
                let command = Command::read(&message, AmfLimits::default()).unwrap();
                let mut again = command_again(&command, &recorded.bytes);
                again[1..HEADER_LEN].copy_from_slice(&message.timestamp.to_be_bytes());
                assert_eq!(again, recorded.bytes, "{command:?}");
                names.insert(command.name);
            }
            kind::DATA => {
                let mut encoder = Encoder::appending(recorded.bytes[..HEADER_LEN].to_vec());
                for value in read_data(&message, AmfLimits::default()).unwrap() {
                    encoder.amf0(&value).unwrap();
                }
                assert_eq!(encoder.finish(), recorded.bytes);
            }
            kind::USER_CONTROL => {
                assert_eq!(UserControl::read(message.payload).unwrap().to_message(), recorded.bytes);
            }
            _ => {}
        }
    }
    let expected = ["_result", "connect", "createStream", "onStatus", "play", "publish", "setPeerInfo"];
    assert_eq!(names, expected.map(str::to_owned).into());
    for kind in [kind::USER_CONTROL, kind::AUDIO, kind::VIDEO, kind::DATA, kind::COMMAND] {
        assert!(kinds.contains(&kind));
    }
    for signature in [&b"TC\x04\x00"[..], b"TC\x04\x01", b"GC", b"GR\x1c", b"GR\x11", b"GR\x12"] {
        assert!(metadata.contains(signature), "{signature:x?}");
    }
}

/// A session of a recording with the recorded client and our server: what the server is asked to do.
fn serve(name: &str, session: u64) -> Vec<Action> {
    let mut connection = NetConnection::new(Arc::new(ConnectionSettings::default()));
    let (mut all, mut flows) = (Vec::new(), BTreeSet::new());
    for recorded in recording(name, Some(session)).into_iter().filter(|recorded| recorded.from_initiator) {
        if flows.insert(recorded.flow) {
            let verdict = connection.on_flow(recorded.flow, &recorded.metadata, recorded.return_flow);
            assert!(matches!(verdict, FlowVerdict::Accept(_)), "{name}: {verdict:?}");
        }
        let mut actions = Vec::new();
        connection.on_message(recorded.flow, &recorded.bytes, &mut actions);
        if matches!(actions[..], [Action::Connect(_)]) {
            connection.accept(Vec::new(), &mut actions).unwrap();
        }
        let published: Vec<_> = actions
            .iter()
            .filter_map(|action| match action {
                Action::Publish(publication) => Some(publication.number),
                _ => None,
            })
            .collect();
        published.into_iter().for_each(|number| assert!(connection.allow_publication(number, &mut actions), "{name}"));
        all.append(&mut actions);
    }
    all
}

/// The statuses and results among what was sent, in order.
fn answers(actions: &[Action]) -> Vec<String> {
    let sent = actions.iter().filter_map(|action| match action {
        Action::Send { message, .. } => Some(client::read(message, AmfLimits::default()).unwrap()),
        _ => None,
    });
    sent.map(|incoming| match incoming {
        Incoming::Result { status, values, .. } if status.code.is_empty() => format!("{:?}", values[1]),
        Incoming::Result { status, .. } | Incoming::Error { status, .. } | Incoming::Status(status) => status.code,
        other => panic!("{other:?}"),
    })
    .collect()
}

#[test]
fn recorded_clients_are_served() {
    let stream = format!("{:?}", Value::Number(1.0));
    let success = "NetConnection.Connect.Success";
    for (name, session, end) in [
        ("librtmfp-connect.json", 0, "NetStream.Publish.Start"),
        ("rtmfp-cpp-connect-plain.json", 0, "NetStream.Play.StreamNotFound"),
        ("rtmfp-cpp-connect-sseq.json", 0, "NetStream.Play.StreamNotFound"),
        ("rtmfp-cpp-connect.json", 0, "NetStream.Play.StreamNotFound"),
        ("rtmfp-cpp-media.json", 0, "NetStream.Play.StreamNotFound"),
        ("rtmfp-cpp-media.json", 1, "NetStream.Publish.Start"),
    ] {
        let actions = serve(name, session);
        assert_eq!(answers(&actions), [success, &stream, end], "{name}");
        // The recorded publisher of rtmfp-cpp sends no setPeerInfo, though RFC 7425 §5.3.3 says that it MUST.
        let reports = (name, session) != ("rtmfp-cpp-media.json", 1);
        assert_eq!(actions.iter().any(|action| matches!(action, Action::SetPeerInfo(_))), reports, "{name}");
        assert!(!actions.iter().any(|action| matches!(action, Action::Report(_))), "{name}: {actions:?}");
    }
}

#[test]
fn what_a_recorded_client_says() {
    let actions = serve("librtmfp-connect.json", 0);
    let [Action::Connect(request), Action::OpenFlow { stream: 0, return_of: 2, .. }, Action::Send { message, .. }, ..] =
        &actions[..]
    else {
        panic!("{actions:?}")
    };
    assert_eq!((request.path.application.as_str(), request.path.instance.as_str()), ("live", "_definst_"));
    assert_eq!((request.uri.host.as_str(), request.uri.port), ("127.0.0.1", Some(1935)));
    assert_eq!((request.agent.as_str(), request.object_encoding), ("WIN 20,0,0,286", 3));
    // It waits for transaction 0.
    let answer = Command::read(&Message::read(message).unwrap(), AmfLimits::default()).unwrap();
    assert_eq!((answer.name.as_str(), answer.transaction), ("_result", 0.0));
    let addresses: Vec<String> = actions
        .iter()
        .filter_map(|action| match action {
            Action::SetPeerInfo(info) => Some(info.addresses.iter().map(ToString::to_string)),
            _ => None,
        })
        .flatten()
        .collect();
    assert_eq!(addresses, ["192.0.2.2:50587", "[fd00::2]:54081"]);
}

#[test]
fn recorded_servers_are_understood() {
    for (name, session) in [("librtmfp-connect.json", 0), ("rtmfp-cpp-connect.json", 0), ("rtmfp-cpp-media.json", 1)] {
        let from_server = recording(name, Some(session)).into_iter().filter(|recorded| !recorded.from_initiator);
        let read: Vec<Incoming> =
            from_server.map(|recorded| client::read(&recorded.bytes, AmfLimits::default()).unwrap()).collect();
        let [Incoming::Result { status, .. }, ..] = &read[..] else { panic!("{name}: {read:?}") };
        assert_eq!(status.code, "NetConnection.Connect.Success");
        let created = read.iter().any(
            |incoming| matches!(incoming, Incoming::Result { values, .. } if values[..] == [Value::Null, Value::Number(1.0)]),
        );
        assert!(created, "{name}");
        assert!(read.iter().any(|incoming| matches!(incoming, Incoming::Status(_))), "{name}");
    }
}

#[test]
fn a_recorded_group_member_is_heard() {
    let mut connection = NetConnection::new(Arc::new(ConnectionSettings::default()));
    let mut actions = Vec::new();
    connection.on_flow(2, b"TC\x04\0", None);
    connection.on_message(2, &client::connect("rtmfp://host/live", &Default::default()).unwrap(), &mut actions);
    connection.accept(Vec::new(), &mut actions).unwrap();
    actions.clear();
    let joins: Vec<Recorded> = recording("librtmfp-netgroup.json", Some(0))
        .into_iter()
        .filter(|recorded| recorded.from_initiator && recorded.metadata == b"GC")
        .collect();
    assert_eq!(joins.len(), 1);
    let join = &joins[0];
    assert_eq!(
        connection.on_flow(join.flow, &join.metadata, join.return_flow),
        FlowVerdict::Accept(FlowKind::GroupControl)
    );
    connection.on_message(join.flow, &join.bytes, &mut actions);
    assert_eq!(actions, [Action::GroupMessage { flow: join.flow, message: join.bytes.clone() }]);
    // A message of it on another flow is nothing.
    actions.clear();
    connection.on_message(99, &join.bytes, &mut actions);
    assert_eq!(actions, [Action::Report(Irregularity::UnknownFlow { flow: 99 })]);
}
