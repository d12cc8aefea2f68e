//! A NetConnection to a server (RFC 7425 §5.3).

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rtmfp::crypto::Epd;
use rtmfp::flow::{Delivery, FlowEvent, FlowOptions, SendFlowId};
use rtmfp::{CloseReason, Event, OpenFailure, PeerId, SessionId};

use crate::destination::Destination;
use crate::failure::{Failure, Step};
use crate::keepalive::Keepalive;
use crate::peer::Peer;
use crate::publishing::Publishing;
use crate::trail::Trail;
use introd_flash::amf::{Limits, Value};
use introd_flash::client::{self as messages, CLIENT_ADDRESS, CONNECT_TRANSACTION, ConnectOptions, Incoming, Status};
use introd_flash::command::Encoding;
use introd_flash::message::Message;
use introd_flash::metadata::FlowKind;
use introd_flash::peer_info::behind_nat;
use introd_flash::user_control::UserControl;
use introd_netgroup::participant::Participant;
use introd_udp::sleep_until;

/// How long a close is waited for: the far end may be gone.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// What a server said of itself and of this client when it accepted the connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Welcome {
    /// The server's peer id.
    pub server_id: PeerId,
    /// Its address: the one of several that answered first.
    pub server_address: SocketAddr,
    /// `fmsVer`, if it says.
    pub server_version: Option<String>,
    /// From the first hello to the open session.
    pub handshake: Duration,
    /// Where the server sees this client, if it says: the property [`CLIENT_ADDRESS`].
    pub seen: Option<SocketAddr>,
    /// The addresses that this client has, and has reported.
    pub reported: Vec<SocketAddr>,
}

impl Welcome {
    /// Whether a NAT stands between; `None` if the server does not say where it sees this client.
    pub fn nat(&self) -> Option<bool> {
        self.seen.map(|seen| behind_nat(seen, &self.reported))
    }
}

/// A client that is connected, until [`Client::next`] returns a [`Event::Closed`] of [`Client::session`].
pub struct Client {
    pub(crate) peer: Peer,
    pub(crate) id: PeerId,
    pub(crate) destination: Destination,
    pub(crate) session: SessionId,
    pub(crate) control: SendFlowId,
    pub(crate) welcome: Welcome,
    pub(crate) keepalive: Keepalive,
    pub(crate) publishing: Publishing,
    pub(crate) groups: Participant,
    pub(crate) trail: Trail,
}

impl Client {
    /// Connects: opens a session, sends `connect`, and when that is accepted `setPeerInfo`. Each step may take `patience`.
    ///
    /// # Errors
    /// The step that failed.
    pub async fn connect(
        mut peer: Peer,
        id: PeerId,
        destination: Destination,
        options: &ConnectOptions,
        patience: Duration,
    ) -> Result<Self, Failure> {
        let trail = Trail::watch(&mut peer.ports);
        let started = Instant::now();
        let session = shake_hands(&mut peer, &destination, &trail, patience).await?;
        let handshake = started.elapsed();
        let lost = || Failure::new(Step::Connect, "the session ended at once", "the server's log");
        let info = peer.endpoint.session(session).ok_or_else(lost)?;
        let metadata = FlowKind::stream(0).metadata();
        let control = peer.endpoint.open_flow(Instant::now(), session, &metadata, FlowOptions::default());
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)
            .map_err(|error| Failure::new(Step::Connect, error.to_string(), "this machine's source of randomness"))?;
        let mut client = Self {
            welcome: Welcome {
                server_id: info.peer_id,
                server_address: info.far_address,
                server_version: None,
                handshake,
                seen: None,
                reported: peer.reported_addresses(info.far_address),
            },
            control: control.map_err(|_| lost())?,
            peer,
            id,
            destination,
            session,
            keepalive: Keepalive::default(),
            publishing: Publishing::default(),
            groups: Participant::new(id, seed),
            trail,
        };
        client.ask_to_connect(options, patience).await?;
        Ok(client)
    }

    /// The client's own peer id.
    pub fn id(&self) -> PeerId {
        self.id
    }

    /// What the server said when it accepted the connection.
    pub fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// The session with the server.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// The flow to the server on which commands go.
    pub fn control(&self) -> SendFlowId {
        self.control
    }

    /// The endpoint and its sockets, for what the client has no method for.
    pub fn peer(&mut self) -> &mut Peer {
        &mut self.peer
    }

    /// The keepalive periods that the server advised last, in milliseconds: for the session with it, and for those with peers.
    pub fn advised_keepalive(&self) -> Option<(u32, u32)> {
        self.keepalive.advised()
    }

    /// The peers whose messages have been answered, one entry for each session.
    pub fn greeted_by(&self) -> &[PeerId] {
        self.publishing.greeted_by()
    }

    /// Publishes a stream of that name directly to the peers that ask for it (RFC 7425 §5.4).
    pub fn publish(&mut self, name: &str) {
        self.publishing.publish(name);
    }

    /// Publishes a stream no longer. The peers that play it are told so after its last message.
    pub fn unpublish(&mut self, name: &str) {
        self.publishing.unpublish(&mut self.peer.endpoint, name);
    }

    /// How many peers play a stream that this client publishes.
    pub fn subscribers(&self, name: &str) -> usize {
        self.publishing.subscribers(name)
    }

    /// Sends a message of a stream to all peers that play it; who takes no more for now misses it.
    pub fn send_media(&mut self, name: &str, message: &Message<'_>, delivery: Delivery) {
        self.publishing.send(&mut self.peer.endpoint, name, message, delivery);
    }

    /// Waits for what happens next. Pings and keepalive advice of the server are obeyed, greetings of peers are answered, and
    /// the groups that the client is in are seen to, before the event is returned. Dropping the future loses nothing.
    ///
    /// # Errors
    /// If a socket is of no use any more.
    pub async fn next(&mut self) -> io::Result<Event> {
        loop {
            let due = self.keepalive.next(&self.peer.endpoint, self.session);
            let groups_due = self.groups.poll_timeout();
            tokio::select! {
                event = self.peer.next() => {
                    let event = event?;
                    self.attend(&event);
                    return Ok(event);
                }
                () = sleep_until(due) => self.keepalive.ping(Instant::now(), &mut self.peer.endpoint, self.session),
                () = sleep_until(groups_due) => self.groups_due(),
            }
        }
    }

    /// Stays connected, for as long as the server does.
    pub async fn stay(&mut self) -> Failure {
        loop {
            match self.next().await {
                Ok(Event::Closed { session, reason }) if session == self.session => {
                    return Failure::new(
                        Step::Stay,
                        format!("the connection to the server ended: {reason}"),
                        STAY_CHECK,
                    );
                }
                Ok(_) => (),
                Err(error) => return Failure::io(Step::Stay, &error),
            }
        }
    }

    /// Sends a message to the server.
    ///
    /// # Errors
    /// If the connection is over, or takes no more for now.
    pub fn tell_server(&mut self, message: Vec<u8>) -> Result<(), rtmfp::flow::FlowError> {
        let delivery = Delivery::default();
        self.peer.endpoint.send(Instant::now(), self.session, self.control, message, delivery).map(drop)
    }

    /// Closes all sessions in an orderly way, and waits a second for the far ends to agree.
    pub async fn close(mut self) {
        let endpoint = &mut self.peer.endpoint;
        // Sessions that the far end has closed stay for a while, to answer should it ask again (RFC 7016 §3.5.5).
        let lingering = endpoint.session_ids().filter(|id| endpoint.session(*id).is_none()).count();
        endpoint.close_all(Instant::now());
        let _ = tokio::time::timeout(CLOSE_PATIENCE, async {
            while self.peer.endpoint.session_count() > lingering {
                // The end of the closing is not an event.
                const STEP: Duration = Duration::from_millis(5);
                if let Ok(Err(_)) = tokio::time::timeout(STEP, self.peer.next()).await {
                    break;
                }
            }
        })
        .await;
        // What the far end waits for, if it was the one to close.
        self.peer.flush().await;
    }

    async fn ask_to_connect(&mut self, options: &ConnectOptions, patience: Duration) -> Result<(), Failure> {
        let failure = |problem: String| Failure::new(Step::Connect, problem, CONNECT_CHECK);
        let message = messages::connect(&self.destination.uri, options).map_err(|error| failure(error.to_string()))?;
        self.tell_server(message).map_err(|error| failure(error.to_string()))?;
        let result = within(patience, self.answer_to_connect()).await.unwrap_or_else(|| {
            Err(failure(format!("the server did not answer connect within {} s", patience.as_secs_f64())))
        })?;
        self.take_welcome(&result);
        // Peers are introduced only when they have sent this; whoever is told of this client next may rely on it.
        let message = messages::set_peer_info(&self.welcome.reported, Encoding::Amf0)
            .map_err(|error| failure(error.to_string()))?;
        let (now, delivery) = (Instant::now(), Delivery { notify: true, ..Delivery::default() });
        self.peer
            .endpoint
            .send(now, self.session, self.control, message, delivery)
            .map_err(|error| failure(error.to_string()))?;
        let delivered = within(patience, async {
            loop {
                match self.next().await {
                    Ok(Event::Flow { session, event: FlowEvent::Delivered { flow, .. } })
                        if (session, flow) == (self.session, self.control) =>
                    {
                        return Ok(());
                    }
                    Ok(event) => self.fail_if_lost(&event)?,
                    Err(error) => return Err(Failure::io(Step::Connect, &error)),
                }
            }
        });
        delivered.await.unwrap_or_else(|| Err(failure("the server does not acknowledge setPeerInfo".to_owned())))
    }

    async fn answer_to_connect(&mut self) -> Result<(Status, Vec<Value>), Failure> {
        loop {
            let event = self.next().await.map_err(|error| Failure::io(Step::Connect, &error))?;
            self.fail_if_lost(&event)?;
            match self.message_of_server(&event) {
                Some(Incoming::Result { transaction, status, values }) if transaction == CONNECT_TRANSACTION => {
                    return if status.code.is_empty() || status.code.ends_with(".Success") {
                        Ok((status, values))
                    } else {
                        Err(refused(&status))
                    };
                }
                Some(Incoming::Error { transaction, status }) if transaction == CONNECT_TRANSACTION => {
                    return Err(refused(&status));
                }
                _ => (),
            }
        }
    }

    fn fail_if_lost(&self, event: &Event) -> Result<(), Failure> {
        let problem = match event {
            Event::Closed { session, reason } if *session == self.session => match reason {
                CloseReason::Far | CloseReason::FarAbrupt => "the server closed the session".to_owned(),
                reason => reason.to_string(),
            },
            Event::Flow { session, event: FlowEvent::Rejected { flow, exception } }
                if (*session, *flow) == (self.session, self.control) =>
            {
                format!("the server rejected the control flow with exception {exception}")
            }
            _ => return Ok(()),
        };
        Err(Failure::new(Step::Connect, problem, CONNECT_CHECK))
    }

    fn take_welcome(&mut self, (status, values): &(Status, Vec<Value>)) {
        let seen = status.info.as_ref().and_then(|info| info.get(CLIENT_ADDRESS)).and_then(Value::as_str);
        self.welcome.seen = seen.and_then(|text| text.parse().ok());
        let version = values.iter().find_map(|value| value.get("fmsVer")).and_then(Value::as_str);
        self.welcome.server_version = version.map(str::to_owned);
    }

    /// The server's message in `event`, if there is one that can be read.
    pub fn message_of_server(&self, event: &Event) -> Option<Incoming> {
        match event {
            Event::Flow { session, event: FlowEvent::Message { data, .. } } if *session == self.session => {
                messages::read(data, Limits::default()).ok()
            }
            _ => None,
        }
    }

    fn attend(&mut self, event: &Event) {
        match self.message_of_server(event) {
            Some(Incoming::UserControl(UserControl::SetKeepaliveTimers { server, peer })) => {
                self.keepalive.advise(server, peer);
            }
            Some(Incoming::UserControl(UserControl::PingRequest { timestamp })) => {
                // A connection that takes no more has worse troubles than a ping without an answer.
                let _ = self.tell_server(UserControl::PingResponse { timestamp }.to_message());
            }
            _ => (),
        }
        if let Event::Closed { session, .. } = event {
            self.keepalive.forget(*session);
        }
        self.publishing.attend(&mut self.peer.endpoint, self.session, event);
        self.attend_groups(event);
    }
}

const CONNECT_CHECK: &str = "the application's name in the URI, and the server's log: it may refuse this client";
const STAY_CHECK: &str = "whether the server was stopped, and its log";

fn refused(status: &Status) -> Failure {
    let mut problem = format!("the server refused the connection: {} {}", status.code, status.description);
    // As AMS says it.
    let redirect = status.info.as_ref().and_then(|info| info.get("ex")).and_then(|ex| ex.get("redirect"));
    if let Some(other) = redirect.and_then(Value::as_str) {
        problem.push_str(&format!(" It names another server: {other}"));
    }
    Failure::new(Step::Connect, problem, CONNECT_CHECK)
}

/// `None` if the future takes longer.
pub(crate) async fn within<T>(patience: Duration, future: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(patience, future).await.ok()
}

async fn shake_hands(
    peer: &mut Peer,
    destination: &Destination,
    trail: &Trail,
    patience: Duration,
) -> Result<SessionId, Failure> {
    const CHECK: &str = "that the server runs and listens on that address and UDP port, and that no firewall on the way, on \
                         either side, drops UDP";
    let failure = |problem: String| Failure::new(Step::Handshake, problem, CHECK);
    let candidates = peer.candidates(&destination.addresses);
    if candidates.is_empty() {
        return Err(failure(format!("no socket can reach {}", list(&destination.addresses))));
    }
    let opening = peer.endpoint.open(Instant::now(), Epd::ancillary(&destination.uri), &candidates);
    let opening = opening.ok_or_else(|| failure("no room for a session".to_owned()))?;
    let opened = within(patience, async {
        loop {
            match peer.next().await.map_err(|error| Failure::io(Step::Handshake, &error))? {
                Event::Opened { session, .. } if session == opening => return Ok(session),
                Event::OpenFailed { session, reason } if session == opening => return Err(failure(reason.to_string())),
                _ => (),
            }
        }
    });
    if let Some(result) = opened.await {
        return result;
    }
    let seconds = patience.as_secs_f64();
    Err(match trail.seen().answered.first() {
        Some(address) => failure(OpenFailure::KeyingUnanswered(*address).to_string()),
        None => failure(format!("no answer from {} within {seconds} s", list(&destination.addresses))),
    })
}

/// Addresses for people.
pub(crate) fn list(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
