//! The server's end of a NetConnection, told of arbitrary flows and messages (RFC 7425 §5.3).

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use introd_flash::amf::{AmfLimits, Value};
use introd_flash::client::{self, ConnectOptions};
use introd_flash::command::{Command, Encoding};
use introd_flash::metadata::{FlowKind, ReceiveOrder};
use introd_flash::peer_info::MAX_ADDRESSES;
use introd_flash::server::{Action, Call, ConnectionSettings, FlowVerdict, NetConnection, Rejection};
use introd_flash::uri::AppPath;
use introd_flash::user_control::UserControl;

use super::input::Input;

/// The most that one message may cause. At a barrier some wait for a later one.
const MAX_ACTIONS: usize = 4;

static SETTINGS: LazyLock<Arc<ConnectionSettings>> = LazyLock::new(|| {
    Arc::new(ConnectionSettings { max_flows: 6, max_streams: 3, max_pending_calls: 3, ..ConnectionSettings::default() }) //
});

/// Takes the bytes for a sequence of things that happen to a connection.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut owner = Owner::new();
    if input.flag() {
        owner.connect(input.flag());
    }
    for _ in 0..256 {
        if input.is_empty() {
            break;
        }
        owner.step(&mut input);
    }
}

/// A connection, and what its owner knows of it.
struct Owner {
    connection: NetConnection,
    /// The client's flows that were accepted.
    accepted: BTreeSet<u64>,
    /// The streams with an open sending flow.
    sending: BTreeSet<u32>,
    /// Unanswered calls of the client.
    calls: Vec<Call>,
    connects: usize,
    /// Messages that the client sent, and what they have caused.
    messages: usize,
    caused: usize,
    is_over: bool,
}

impl Owner {
    fn new() -> Self {
        Self {
            connection: NetConnection::new(Arc::clone(&SETTINGS)),
            accepted: BTreeSet::new(),
            sending: BTreeSet::new(),
            calls: Vec::new(),
            connects: 0,
            messages: 0,
            caused: 0,
            is_over: false,
        }
    }

    /// What an honest client begins with.
    fn connect(&mut self, amf3: bool) {
        let options = ConnectOptions { amf3, ..ConnectOptions::default() };
        self.flow(1, &FlowKind::stream(0).metadata(), None);
        self.message(1, &client::connect("rtmfp://fuzz.example/app/room", &options).unwrap());
        let mut actions = Vec::new();
        self.connection.accept(Vec::new(), &mut actions).unwrap();
        self.check(actions);
        assert!(self.connection.is_connected());
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let mut actions = Vec::new();
        match input.below(16) {
            0 | 1 => {
                let flow = input.number() % 12;
                let metadata = metadata(input);
                let return_of = input.flag().then(|| input.number());
                self.flow(flow, &metadata, return_of);
            }
            2..=5 => {
                let flow = input.number() % 12;
                self.message(flow, input.long_string());
            }
            6..=8 => {
                let flow = input.number() % 12;
                if let Some(message) = command(input) {
                    self.message(flow, &message);
                }
            }
            9 => {
                let flow = input.number() % 12;
                self.connection.on_flow_closed(flow, &mut actions);
                self.caused += actions.len();
                self.messages += 1;
                self.accepted.remove(&flow);
            }
            10 => {
                let stream = input.number() as u32;
                self.connection.on_flow_exception(stream, &mut actions);
                if stream != 0 {
                    self.sending.remove(&stream);
                }
            }
            11 => {
                let _ = self.connection.accept(vec![("x".to_owned(), Value::Number(1.0))], &mut actions);
            }
            12 if input.below(4) == 0 => {
                let _ = self.connection.reject(Rejection::new("NetConnection.Connect.Rejected", "no"), &mut actions);
            }
            13 => {
                let call = self.calls.pop();
                match (call, input.below(3)) {
                    (Some(call), 0) => self.connection.refuse_call(&call, &mut actions),
                    (Some(call), 1) => {
                        let _ = self.connection.answer(call.transaction, Ok(call.object), &mut actions);
                    }
                    (Some(call), _) => {
                        let _ = self.connection.answer(call.transaction, Err(Value::Null), &mut actions);
                    }
                    _ => (),
                }
            }
            14 => {
                let _ = self.connection.call("method", vec![Value::from("argument")], input.flag(), &mut actions);
            }
            15 => match input.below(8) {
                0 => self.connection.close(&mut actions),
                1 => self.connection.set_keepalive_timers(input.u32(), input.u32(), &mut actions),
                _ => self.connection.ping(input.u32(), &mut actions),
            },
            _ => (),
        }
        self.check(actions);
    }

    fn flow(&mut self, flow: u64, metadata: &[u8], return_of: Option<u64>) {
        match self.connection.on_flow(flow, metadata, return_of) {
            FlowVerdict::Accept(kind) => {
                assert_eq!(FlowKind::classify(metadata), Some(kind));
                self.accepted.insert(flow);
                assert!(self.accepted.len() <= SETTINGS.max_flows, "too many flows");
            }
            FlowVerdict::Reject(_) => (),
        }
    }

    fn message(&mut self, flow: u64, bytes: &[u8]) {
        let mut actions = Vec::new();
        self.connection.on_message(flow, bytes, &mut actions);
        self.messages += 1;
        self.caused += actions.len();
        assert!(self.caused <= MAX_ACTIONS * self.messages, "{actions:?}");
        let acts = |action: &Action| !matches!(action, Action::Report(_));
        assert!(self.accepted.contains(&flow) || !actions.iter().any(acts), "{actions:?}");
        self.check(actions);
    }

    /// What is asked of the owner is in order.
    fn check(&mut self, actions: Vec<Action>) {
        for action in actions {
            assert!(!self.is_over, "after the end: {action:?}");
            match action {
                Action::OpenFlow { stream, metadata, .. } => {
                    assert!(self.sending.insert(stream), "stream {stream} opened twice");
                    assert_eq!(FlowKind::classify(&metadata), Some(FlowKind::stream(stream)));
                    assert!(self.sending.len() <= 1 + SETTINGS.max_streams);
                }
                Action::Send { stream, message } => {
                    assert!(self.sending.contains(&stream), "stream {stream} is not open");
                    client::read(&message, AmfLimits::default()).unwrap();
                }
                Action::CloseFlow { stream } => assert!(self.sending.remove(&stream), "stream {stream} is not open"),
                Action::Connect(_) => {
                    self.connects += 1;
                    assert_eq!(self.connects, 1);
                }
                Action::InvalidApp { path, error } => assert_eq!(AppPath::parse(&path), Err(error)),
                Action::SetPeerInfo(info) => assert!(info.addresses.len() <= MAX_ADDRESSES),
                Action::Call(call) => {
                    self.calls.truncate(8);
                    self.calls.push(call);
                }
                Action::CloseSession { .. } => self.is_over = true,
                Action::Report(report) => assert!(report.to_string().len() < 1024, "a long report"),
                Action::Publish(publication) | Action::Unpublish(publication) => {
                    assert!(publication.name.len() < 1024 && publication.kind.len() < 1024, "a long name");
                }
                Action::Answer { .. }
                | Action::PingResponse { .. }
                | Action::GroupMessage { .. }
                | Action::GroupFlowClosed { .. } => (),
            }
        }
        assert!(!self.is_over || !self.connection.is_connected());
    }
}

fn metadata(input: &mut Input<'_>) -> Vec<u8> {
    match input.below(4) {
        0 | 1 => {
            let order = if input.flag() { ReceiveOrder::Network } else { ReceiveOrder::Original };
            FlowKind::Rtmp { stream: u32::from(input.u8() % 6), order }.metadata()
        }
        2 => FlowKind::GroupControl.metadata(),
        _ => input.string().to_vec(),
    }
}

/// A message that makes sense, more or less.
fn command(input: &mut Input<'_>) -> Option<Vec<u8>> {
    const NAMES: [&str; 14] = [
        "connect",
        "createStream",
        "deleteStream",
        "setPeerInfo",
        "_result",
        "_error",
        "play",
        "publish",
        "closeStream",
        "initStream",
        "releaseStream",
        "FCPublish",
        "method",
        "",
    ];
    if input.below(8) == 0 {
        let event = match input.below(3) {
            0 => UserControl::PingRequest { timestamp: input.u32() },
            1 => UserControl::PingResponse { timestamp: input.u32() },
            _ => UserControl::SetBufferLength { stream: input.u32(), milliseconds: input.u32() },
        };
        return Some(event.to_message());
    }
    let mut command = Command::new(input.one_of(&NAMES), number(input), Vec::new());
    if input.flag() {
        let app = String::from_utf8_lossy(input.string()).into_owned();
        let encoding = number(input);
        command.object = Value::object([
            ("app", Value::String(app)),
            ("objectEncoding", Value::Number(encoding)),
            ("x", Value::Null),
        ]);
    }
    for _ in 0..input.below(4) {
        command.arguments.push(match input.below(6) {
            0 => Value::Number(number(input)),
            1 => Value::String(String::from_utf8_lossy(input.string()).into_owned()),
            2 => Value::Boolean(input.flag()),
            3 => Value::from("192.0.2.1:1935"),
            4 => Value::Integer(input.u32() as i32),
            _ => Value::Array(vec![Value::Undefined; input.below(8)]),
        });
    }
    let encoding = if input.flag() { Encoding::Amf3 } else { Encoding::Amf0 };
    command.to_message(encoding, input.u32()).ok()
}

fn number(input: &mut Input<'_>) -> f64 {
    match input.below(8) {
        0 => f64::from_bits(input.number()),
        1 => f64::NAN,
        2 => f64::INFINITY,
        3 => -f64::from(input.u8()),
        _ => f64::from(input.u8() % 8),
    }
}
