//! One client: an endpoint of the protocol, its NetConnection, and the peer that it looks for.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use introd_flash::amf::{AmfLimits, Value};
use introd_flash::client::{CONNECT_TRANSACTION, ConnectOptions, Incoming, connect, read, set_peer_info};
use introd_flash::command::{Command, Encoding};
use introd_flash::metadata::FlowKind;
use introd_flash::user_control::UserControl;
use introd_netgroup::GroupDigest;
use introd_netgroup::channel::{Received, join, read_hint};
use rtmfp::crypto::{Epd, Group, Identity, KeyPair};
use rtmfp::flow::{Delivery, FlowEvent, FlowOptions, RecvFlowId, SendFlowId};
use rtmfp::{CloseReason, Config, Endpoint, Event, InterfaceId, OpenFailure, PeerId, SessionId};

use super::network::Place;
use crate::bounds::{CLIENT_KEEPALIVE, CLIENT_SILENCE};

/// All clients have one socket, which the engine has no need to tell apart.
pub(super) const SOCKET: InterfaceId = InterfaceId(0);
/// The server's first flow to a client is that of its NetConnection.
const SERVER_CONTROL: RecvFlowId = RecvFlowId(1);
/// What a client says to a peer that it has met.
const GREETING: &[u8] = b"met";

/// A number that no other client of a soak has. It is the last argument of `connect`, too.
pub(super) type Number = u64;

/// What a client should get for its `connect`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// It is accepted.
    Acceptance,
    /// The script rejects it.
    Rejection,
    /// Its URI names no application.
    NoApplication,
}

/// How far a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It opens a session with its server.
    Opening,
    /// It has sent `connect`.
    Asking,
    /// It has been accepted, and has sent `setPeerInfo`.
    Reporting,
    /// The server has `setPeerInfo`.
    Connected,
    /// It was refused, and waits for the end of the session.
    Refused,
    /// It is closing its session.
    Closing,
}

/// A client.
pub(super) struct Client {
    pub(super) number: Number,
    pub(super) peer: PeerId,
    pub(super) identity: Arc<Identity>,
    pub(super) server: usize,
    pub(super) application: &'static str,
    pub(super) wish: Wish,
    pub(super) place: Place,
    pub(super) endpoint: Endpoint,
    /// The session with the server.
    pub(super) session: Option<SessionId>,
    control: Option<SendFlowId>,
    pub(super) phase: Phase,
    /// When the phase of the connection that has a bound began.
    pub(super) begun: Instant,
    /// When it was connected, or when its last move was over.
    pub(super) settled: Instant,
    /// An earlier session of the same peer may be taken for this one until then.
    pub(super) doubted_until: Option<Instant>,
    /// It moves with each.
    pub(super) moves: u32,
    /// The address to which it has moved is not proven yet.
    pub(super) is_moving: bool,
    /// Its server was killed under it.
    pub(super) is_orphan: bool,
    pub(super) leaves_at: Instant,
    calls: Vec<Call>,
    transaction: f64,
    pub(super) meeting: Option<Meeting>,
    /// The earliest entry among the timers of the fleet.
    pub(super) armed: Option<Instant>,
}

struct Call {
    transaction: f64,
    argument: Value,
    at: Instant,
}

/// An attempt to meet a peer.
pub(super) struct Meeting {
    pub(super) peer: PeerId,
    /// The client that is to be met, and its moves so far.
    pub(super) target: (Number, u32),
    /// The asker's own moves so far.
    pub(super) moves: u32,
    pub(super) target_server: usize,
    pub(super) begun: Instant,
    session: SessionId,
}

/// What has happened to a client.
#[derive(Debug)]
pub(super) enum Happening {
    /// The server has answered `connect` with this status.
    Answered { is_success: bool, level: String, code: String },
    /// The server has acknowledged `setPeerInfo`.
    Connected,
    /// A status came unasked.
    Status { code: String },
    /// The session with the server did not open.
    Unopened(OpenFailure),
    /// The session with the server has ended.
    Closed(CloseReason),
    /// A call was answered so long after it was made, and whether with what it should be.
    Called { took: Duration, is_right: bool },
    /// A call failed.
    CallFailed { code: String, at: Instant },
    /// The peer has acknowledged a message, or the attempt is over without.
    Met(Result<(), String>),
    /// The server named a member of a group.
    Hint(PeerId),
    /// Another client has sent a message.
    Greeted,
}

/// What is needed to make a client.
pub(super) struct Birth {
    pub(super) number: Number,
    pub(super) identity: Arc<Identity>,
    pub(super) server: usize,
    pub(super) application: &'static str,
    pub(super) wish: Wish,
    pub(super) place: Place,
    pub(super) seed: [u8; 32],
    pub(super) leaves_at: Instant,
}

impl Client {
    /// A client that opens a session with the server at `to`.
    pub(super) fn new(now: Instant, birth: Birth, to: SocketAddr) -> Self {
        let Birth { number, identity, server, application, wish, place, seed, leaves_at } = birth;
        let mut config = Config::peer(Arc::clone(&identity));
        (config.keepalive, config.silence_limit) = (CLIENT_KEEPALIVE, CLIENT_SILENCE);
        let mut endpoint = Endpoint::new(now, config, seed);
        let uri = uri(to, application, wish);
        let session = endpoint.open(now, Epd::ancillary(&uri), &[(SOCKET, to)]);
        Self {
            number,
            peer: identity.peer_id(),
            identity,
            server,
            application,
            wish,
            place,
            endpoint,
            session,
            control: None,
            phase: Phase::Opening,
            begun: now,
            settled: now,
            doubted_until: None,
            moves: 0,
            is_moving: false,
            is_orphan: false,
            leaves_at,
            calls: Vec::new(),
            transaction: CONNECT_TRANSACTION,
            meeting: None,
            armed: None,
        }
    }

    /// Reacts to an event of the endpoint.
    pub(super) fn handle(
        &mut self,
        now: Instant,
        event: Event,
        (to, own): (SocketAddr, SocketAddr),
        key: &KeyPair,
        happened: &mut Vec<Happening>,
    ) {
        match event {
            Event::Keying(job) => {
                // One key pair for all clients: only the server is to make a fresh one for every session.
                let job = if job.wants_key_pair() == Some(Group::Modp2) { job.with_key_pair(key.clone()) } else { job };
                self.endpoint.keying_done(now, job.run());
            }
            Event::Opened { session, .. } if Some(session) == self.session => self.ask(now, session, to),
            Event::Opened { session, .. } => self.greet(now, session),
            Event::OpenFailed { session, reason } if Some(session) == self.session => {
                happened.push(Happening::Unopened(reason));
            }
            Event::OpenFailed { session, reason } => self.unmet(session, &reason.to_string(), happened),
            Event::Closed { session, reason } if Some(session) == self.session => {
                happened.push(Happening::Closed(reason));
            }
            Event::Closed { session, reason } => self.unmet(session, &reason.to_string(), happened),
            Event::Flow { session, event: FlowEvent::Message { data, .. } } if Some(session) == self.session => {
                self.hear(now, &data, own, happened);
            }
            Event::Flow { event: FlowEvent::Message { .. }, .. } => happened.push(Happening::Greeted),
            Event::Flow { session, event: FlowEvent::Delivered { .. } }
                if Some(session) == self.session && self.phase == Phase::Reporting =>
            {
                self.phase = Phase::Connected;
                self.settled = now;
                happened.push(Happening::Connected);
            }
            Event::Flow { session, event: FlowEvent::Delivered { .. } }
                if self.meeting.as_ref().is_some_and(|meeting| meeting.session == session) =>
            {
                self.endpoint.close(now, session);
                happened.push(Happening::Met(Ok(())));
            }
            Event::Pong { session, .. } if Some(session) == self.session && self.is_moving => {
                self.is_moving = false;
                self.settled = now;
            }
            _ => (),
        }
    }

    fn ask(&mut self, now: Instant, session: SessionId, to: SocketAddr) {
        let metadata = FlowKind::stream(0).metadata();
        self.control = self.endpoint.open_flow(now, session, &metadata, FlowOptions::default()).ok();
        let wish = if self.wish == Wish::Rejection { "rejection" } else { "acceptance" };
        let arguments = vec![Value::from(wish), Value::from(self.number.to_string())];
        let options = ConnectOptions { arguments, ..ConnectOptions::default() };
        if let Ok(message) = connect(&uri(to, self.application, self.wish), &options) {
            self.phase = Phase::Asking;
            self.say(now, message, false);
        }
    }

    /// Sends a message to the server.
    fn say(&mut self, now: Instant, message: Vec<u8>, notify: bool) {
        if let (Some(session), Some(flow)) = (self.session, self.control) {
            // What a flow of a server that stands still has no room for is not missed.
            let _ = self.endpoint.send(now, session, flow, message, Delivery { notify, ..Delivery::default() });
        }
    }

    /// Reads a message of the server.
    fn hear(&mut self, now: Instant, data: &[u8], own: SocketAddr, happened: &mut Vec<Happening>) {
        // Hints come on a flow of their own, and are no RTMP messages.
        if let Ok(Received::Hint(peer)) = read_hint(data) {
            return happened.push(Happening::Hint(peer));
        }
        match read(data, AmfLimits::default()) {
            Ok(Incoming::Result { transaction, status, .. }) if transaction == CONNECT_TRANSACTION => {
                self.phase = Phase::Reporting;
                self.report_address(now, own);
                happened.push(Happening::Answered { is_success: true, level: status.level, code: status.code });
            }
            Ok(Incoming::Error { transaction, status }) if transaction == CONNECT_TRANSACTION => {
                self.phase = Phase::Refused;
                happened.push(Happening::Answered { is_success: false, level: status.level, code: status.code });
            }
            Ok(Incoming::Result { transaction, values, .. }) => {
                if let Some(call) = self.take_call(transaction) {
                    let is_right = values.get(1) == Some(&call.argument);
                    happened.push(Happening::Called { took: now - call.at, is_right });
                }
            }
            Ok(Incoming::Error { transaction, status }) => {
                if let Some(call) = self.take_call(transaction) {
                    happened.push(Happening::CallFailed { code: status.code, at: call.at });
                }
            }
            Ok(Incoming::Status(status)) => happened.push(Happening::Status { code: status.code }),
            Ok(Incoming::UserControl(UserControl::PingRequest { timestamp })) => {
                self.say(now, UserControl::PingResponse { timestamp }.to_message(), false);
            }
            _ => (),
        }
    }

    fn report_address(&mut self, now: Instant, own: SocketAddr) {
        if let Ok(message) = set_peer_info(&[own], Encoding::Amf0) {
            self.say(now, message, true);
        }
    }

    /// The client sends from another place from now on; what is sent to the one before is lost. The server believes that when a ping to
    /// the new address has come back.
    pub(super) fn move_to(&mut self, now: Instant, place: Place, own: SocketAddr) {
        self.place = place;
        self.moves += 1;
        self.settled = now;
        self.report_address(now, own);
        if let Some(session) = self.session {
            self.is_moving = self.endpoint.ping(now, session, b"moved");
        }
    }

    /// Calls a method of the script.
    pub(super) fn call(&mut self, now: Instant, argument: Value) {
        self.transaction += 1.0;
        let command = Command::new("echo", self.transaction, vec![argument.clone()]);
        if let Ok(message) = command.to_message(Encoding::Amf0, 0) {
            self.calls.push(Call { transaction: self.transaction, argument, at: now });
            self.say(now, message, false);
        }
    }

    /// When the earliest call was made that is not answered yet.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        self.calls.iter().map(|call| call.at).min()
    }

    /// Gives up the calls that are not answered yet.
    pub(super) fn forget_calls(&mut self) {
        self.calls.clear();
    }

    fn take_call(&mut self, transaction: f64) -> Option<Call> {
        let place = self.calls.iter().position(|call| call.transaction == transaction)?;
        Some(self.calls.swap_remove(place))
    }

    /// Joins a group.
    pub(super) fn join(&mut self, now: Instant, group: &GroupDigest) {
        let Some(session) = self.session else { return };
        let metadata = FlowKind::GroupControl.metadata();
        let options = FlowOptions { return_of: Some(SERVER_CONTROL), ..FlowOptions::default() };
        if let Ok(flow) = self.endpoint.open_flow(now, session, &metadata, options) {
            let _ = self.endpoint.send(now, session, flow, join(group), Delivery::default());
        }
    }

    /// Looks for another client by its own server; false if it knows that one already.
    pub(super) fn meet(&mut self, now: Instant, by: SocketAddr, target: &Self) -> bool {
        if self.endpoint.session_of(&target.peer).is_some() {
            return false;
        }
        let epd = Epd::fingerprint(target.peer).to_vec();
        let Some(session) = self.endpoint.open(now, epd, &[(SOCKET, by)]) else { return false };
        self.meeting = Some(Meeting {
            peer: target.peer,
            target: (target.number, target.moves),
            moves: self.moves,
            target_server: target.server,
            begun: now,
            session,
        });
        true
    }

    fn greet(&mut self, now: Instant, session: SessionId) {
        if self.meeting.as_ref().is_some_and(|meeting| meeting.session == session)
            && let Ok(flow) =
                self.endpoint.open_flow(now, session, &FlowKind::stream(1).metadata(), FlowOptions::default())
        {
            let delivery = Delivery { notify: true, ..Delivery::default() };
            let _ = self.endpoint.send(now, session, flow, GREETING.to_vec(), delivery);
        }
    }

    fn unmet(&mut self, session: SessionId, why: &str, happened: &mut Vec<Happening>) {
        if self.meeting.as_ref().is_some_and(|meeting| meeting.session == session) {
            happened.push(Happening::Met(Err(why.to_owned())));
        }
    }

    /// Gives up looking for the peer.
    pub(super) fn give_up_meeting(&mut self, now: Instant) {
        if let Some(meeting) = self.meeting.take() {
            self.endpoint.abort(now, meeting.session);
        }
    }

    /// Closes all its sessions in an orderly way.
    pub(super) fn close(&mut self, now: Instant) {
        self.phase = Phase::Closing;
        self.begun = now;
        self.endpoint.close_all(now);
    }
}

fn uri(to: SocketAddr, application: &str, wish: Wish) -> String {
    // No folder has that name, and the server does not look.
    let application = if wish == Wish::NoApplication { ".." } else { application };
    format!("rtmfp://{to}/{application}")
}
