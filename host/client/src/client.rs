//! A client that has a NetConnection to a server.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use introd_flash::amf::{AmfLimits, Object};
use introd_flash::client::{self as messages, CONNECT_TRANSACTION, Incoming, Status};
use introd_flash::message::Message;
use introd_flash::metadata::FlowKind;
use introd_flash::peer_info::behind_nat;
use introd_flash::user_control::UserControl;
use introd_netgroup::member::{Member, PostingId};
use introd_netgroup::participant::Notice;
use introd_netgroup::{GroupDigest, Groupspec};
use introd_udp::sleep_until;
use rtmfp::flow::{Delivery, FlowError, FlowEvent, FlowOptions, SendFlowId};
use rtmfp::{Event, PeerId, SessionId};

use crate::failure::{ClientFailure, ClientStep};
use crate::groups::{ClientGroups, Groups};
use crate::keepalive::Keepalive;
use crate::peer_endpoint::PeerEndpoint;
use crate::playing::{Play, PlayEvent};
use crate::publisher::Publisher;
use crate::startup_observer::StartupObserver;

const STAY_CHECK: &str = "whether the server was stopped, and its log";

/// What a client knows of its connection to the server.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectInfo {
    /// The server's peer id.
    pub server_id: PeerId,
    /// The server's address: of several, the one that answered first.
    pub server_address: SocketAddr,
    /// `fmsVer`, if the server sent it.
    pub server_version: Option<String>,
    /// The time from the first hello to the open session.
    pub handshake: Duration,
    /// The address at which the server sees this client, if it sent the property
    /// [`CLIENT_ADDRESS`](introd_flash::client::CLIENT_ADDRESS).
    pub seen: Option<SocketAddr>,
    /// This client's own addresses, as it reported them to the server.
    pub reported: Vec<SocketAddr>,
}

impl ConnectInfo {
    /// Whether this client is behind a NAT; `None` if the server did not send the address at which it sees the client.
    pub fn nat(&self) -> Option<bool> {
        self.seen.map(|seen| behind_nat(seen, &self.reported))
    }
}

/// A connected client. The connection lasts until [`Client::next`] returns an [`Event::Closed`] of [`Client::session`].
pub struct Client {
    peer: PeerEndpoint,
    id: PeerId,
    session: SessionId,
    control: SendFlowId,
    info: ConnectInfo,
    accepted: Option<Object>,
    /// The last `onStatus` of the server.
    status: Option<Box<Status>>,
    /// The number of the last command that waits, or has waited, for an answer.
    transaction: f64,
    keepalive: Keepalive,
    publisher: Publisher,
    groups: Groups,
    startup: StartupObserver,
}

impl Client {
    /// A client that has an open session with the server, and has not sent `connect` yet. `None` if the session has ended.
    pub(super) fn new(
        mut peer: PeerEndpoint,
        id: PeerId,
        session: SessionId,
        handshake: Duration,
        startup: StartupObserver,
        seed: [u8; 32],
    ) -> Option<Self> {
        let info = peer.endpoint.session(session)?;
        let metadata = FlowKind::stream(0).metadata();
        let control = peer.endpoint.open_flow(Instant::now(), session, &metadata, FlowOptions::default()).ok()?;
        let info = ConnectInfo {
            server_id: info.peer_id,
            server_address: info.far_address,
            server_version: None,
            handshake,
            seen: None,
            reported: peer.reported_addresses(info.far_address),
        };
        Some(Self {
            peer,
            id,
            session,
            control,
            info,
            accepted: None,
            status: None,
            transaction: CONNECT_TRANSACTION,
            keepalive: Keepalive::default(),
            publisher: Publisher::default(),
            groups: Groups::new(id, seed),
            startup,
        })
    }

    /// Notes what the server sent when it accepted `connect`.
    pub(super) fn set_accepted(
        &mut self,
        seen: Option<SocketAddr>,
        server_version: Option<String>,
        accepted: Option<Object>,
    ) {
        self.accepted = accepted;
        self.info.seen = seen;
        self.info.server_version = server_version;
    }

    pub(super) fn startup(&self) -> &StartupObserver {
        &self.startup
    }

    /// The number of the next command that waits for an answer.
    pub(super) fn next_transaction(&mut self) -> f64 {
        self.transaction += 1.0;
        self.transaction
    }

    /// The last `onStatus` of the server.
    pub(super) fn status(&self) -> Option<&Status> {
        self.status.as_deref()
    }

    /// The client's own peer id.
    pub fn id(&self) -> PeerId {
        self.id
    }

    /// What the client knows of its connection.
    pub fn connect_info(&self) -> &ConnectInfo {
        &self.info
    }

    /// The information object with which the server accepted the connection.
    pub fn accepted(&self) -> Option<&Object> {
        self.accepted.as_ref()
    }

    /// The session with the server.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// The flow on which the client sends commands to the server.
    pub fn control(&self) -> SendFlowId {
        self.control
    }

    /// The endpoint and its sockets, for all that the client has no method for.
    pub fn peer(&mut self) -> &mut PeerEndpoint {
        &mut self.peer
    }

    /// The keepalive periods in the server's last Set Keepalive Timers message, in milliseconds: for the session with the server, and
    /// for sessions with peers.
    pub fn advised_keepalive(&self) -> Option<(u32, u32)> {
        self.keepalive.advised()
    }

    /// Waits for the next event. Before it is returned, the client does what the event asks for: it answers the server's pings,
    /// follows its keepalive advice, serves the peers that play its streams, and takes part in its groups. Dropping the future loses
    /// nothing.
    ///
    /// # Errors
    /// If a socket can no longer be used.
    pub async fn next(&mut self) -> io::Result<Event> {
        loop {
            let ping_at = self.keepalive.next(&self.peer.endpoint, self.session);
            let groups_at = self.groups.poll_timeout();
            tokio::select! {
                event = self.peer.next() => {
                    let event = event?;
                    self.handle_event(&event);
                    return Ok(event);
                }
                () = sleep_until(ping_at) => self.keepalive.ping(Instant::now(), &mut self.peer.endpoint, self.session),
                () = sleep_until(groups_at) => self.groups.handle_timeout(&mut self.peer),
                announced = self.groups.discovery.next() => self.groups.announced(&mut self.peer, announced),
            }
        }
    }

    fn handle_event(&mut self, event: &Event) {
        match self.server_message(event) {
            Some(Incoming::UserControl(UserControl::SetKeepaliveTimers { server, peer })) => {
                self.keepalive.advise(server, peer);
            }
            Some(Incoming::UserControl(UserControl::PingRequest { timestamp })) => {
                // If the flow takes no more messages, an unanswered ping is the smaller problem.
                let _ = self.send_to_server(UserControl::PingResponse { timestamp }.to_message());
            }
            Some(Incoming::Status(status)) => self.status = Some(Box::new(status)),
            _ => (),
        }
        if let Event::Closed { session, .. } = event {
            self.keepalive.forget(*session);
        }
        self.publisher.handle_event(&mut self.peer.endpoint, self.session, event);
        self.groups.handle_event(&mut self.peer, self.session, self.control, event);
    }

    /// The message in `event`, if the server sent it and it can be read.
    pub fn server_message(&self, event: &Event) -> Option<Incoming> {
        match event {
            Event::Flow { session, event: FlowEvent::Message { data, .. } } if *session == self.session => {
                messages::read(data, AmfLimits::default()).ok()
            }
            _ => None,
        }
    }

    /// Sends a message to the server.
    ///
    /// # Errors
    /// If the connection has ended, or its flow takes no more messages for now.
    pub fn send_to_server(&mut self, message: Vec<u8>) -> Result<(), FlowError> {
        let delivery = Delivery::default();
        self.peer.endpoint.send(Instant::now(), self.session, self.control, message, delivery).map(drop)
    }

    /// Stays connected until the connection ends. Returns why it ended.
    pub async fn stay(&mut self) -> ClientFailure {
        loop {
            match self.next().await {
                Ok(Event::Closed { session, reason }) if session == self.session => {
                    return ClientFailure::new(
                        ClientStep::Stay,
                        format!("the connection to the server ended: {reason}"),
                        STAY_CHECK,
                    );
                }
                Ok(_) => (),
                Err(error) => return ClientFailure::io(ClientStep::Stay, &error),
            }
        }
    }

    /// Closes all sessions in an orderly way. Waits up to a second for the far ends to confirm.
    pub async fn close(self) {
        self.peer.close().await;
    }
}

/// Streams that this client publishes to peers or plays from them (RFC 7425 §5.4).
impl Client {
    /// Publishes a stream of that name directly to the peers that ask for it.
    pub fn publish(&mut self, name: &str) {
        self.publisher.publish(name);
    }

    /// Ends a stream. The peers that play it are notified after its last message.
    pub fn unpublish(&mut self, name: &str) {
        self.publisher.unpublish(&mut self.peer.endpoint, name);
    }

    /// How many peers play a stream that this client publishes.
    pub fn subscribers(&self, name: &str) -> usize {
        self.publisher.subscribers(name)
    }

    /// Sends a message of a stream to all peers that play it. A peer whose flow takes no more messages for now misses it.
    pub fn send_media(&mut self, name: &str, message: &Message<'_>, delivery: Delivery) {
        self.publisher.send(&mut self.peer.endpoint, name, message, delivery);
    }

    /// The peers whose messages this client has sent back ([`Client::echo`]), one entry for each message.
    pub fn echoed_peers(&self) -> &[PeerId] {
        self.publisher.echoed_peers()
    }

    /// Asks the peer of an open session for its stream `name`. `stream` is the stream id that this client gives it: another one for
    /// each stream that it plays from the peer at a time, beginning with [`FIRST_STREAM`](introd_flash::peer::FIRST_STREAM).
    ///
    /// ```no_run
    /// use introd_client::{Client, PlayEvent};
    /// use introd_flash::peer::FIRST_STREAM;
    /// use rtmfp::SessionId;
    ///
    /// async fn print_messages(client: &mut Client, session: SessionId) -> Result<(), Box<dyn std::error::Error>> {
    ///     let mut play = client.play(session, FIRST_STREAM, "camera")?;
    ///     loop {
    ///         let event = client.next().await?;
    ///         for event in client.play_events(&mut play, &event) {
    ///             match event {
    ///                 PlayEvent::Media { timestamp, payload, .. } => println!("{timestamp} ms: {} bytes", payload.len()),
    ///                 PlayEvent::Began | PlayEvent::Status(_) => (),
    ///                 PlayEvent::Ended => return Ok(()),
    ///             }
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// If the session takes no more flows, or has ended.
    pub fn play(&mut self, session: SessionId, stream: NonZeroU32, name: &str) -> Result<Play, String> {
        Play::start(&mut self.peer.endpoint, session, stream, name)
    }

    /// What `event` means for a stream that this client plays, in order. To be called with each event.
    pub fn play_events(&mut self, play: &mut Play, event: &Event) -> Vec<PlayEvent> {
        play.handle_event(&mut self.peer.endpoint, event)
    }

    /// Stops playing a stream (RFC 7425 §5.4.3).
    pub fn stop_playing(&mut self, play: &Play) {
        play.stop(&mut self.peer.endpoint);
    }
}

/// Membership in NetGroups. The client joins through its server, and exchanges group messages with its peers.
impl Client {
    /// Joins a group; false if the client is a member.
    ///
    /// ```no_run
    /// use introd_client::Client;
    /// use introd_netgroup::Groupspec;
    ///
    /// async fn print_notices(client: &mut Client, group: &Groupspec) -> std::io::Result<()> {
    ///     client.join(group);
    ///     loop {
    ///         client.next().await?;
    ///         while let Some((group, notice)) = client.next_notice() {
    ///             println!("{group}: {notice:?}");
    ///         }
    ///     }
    /// }
    /// ```
    pub fn join(&mut self, group: &Groupspec) -> bool {
        self.groups.join(&mut self.peer, group)
    }

    /// The client's groups, for what it has no method of its own for.
    pub fn groups(&mut self) -> ClientGroups<'_> {
        ClientGroups { groups: &mut self.groups, peer: &mut self.peer }
    }

    /// Leaves a group; false if the client is no member.
    pub fn leave(&mut self, group: &GroupDigest) -> bool {
        self.groups.leave(&mut self.peer, group)
    }

    /// Calls `work` with the client's member of a group; `None` if the client is no member.
    pub fn with_member<T>(&mut self, group: &GroupDigest, work: impl FnOnce(&mut Member) -> T) -> Option<T> {
        self.groups.with_member(&mut self.peer, group, work)
    }

    /// Posts one AMF value to all members. `None` if the client is no member, the value is too long, or it was posted before.
    pub fn post(&mut self, group: &GroupDigest, value: &[u8]) -> Option<PostingId> {
        self.with_member(group, |member| member.post(value)).flatten()
    }

    /// The client's member of a group, to look at.
    pub fn member(&self, group: &GroupDigest) -> Option<&Member> {
        self.groups.member(group)
    }

    /// The client's neighbours in a group.
    pub fn neighbors(&self, group: &GroupDigest) -> Vec<PeerId> {
        self.member(group).map_or_else(Vec::new, |member| member.neighbors().collect())
    }

    /// The next notice about a group. To be called after each [`Client::next`] until there is none.
    pub fn next_notice(&mut self) -> Option<(GroupDigest, Notice)> {
        self.groups.poll_notice()
    }
}
