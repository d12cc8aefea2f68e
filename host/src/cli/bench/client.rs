//! One client of a fleet, and how it connects.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use rtmfp::crypto::{Epd, Group, Identity, KeyPair, Preferences};
use rtmfp::flow::{Delivery, FlowEvent, FlowOptions, RecvFlowId, SendFlowId};
use rtmfp::{Config, Endpoint, Event, ForwardedHello, InterfaceId, KeyingJob, PeerId, SessionId};

use introd_flash::amf::AmfLimits;
use introd_flash::client::{ConnectOptions, Incoming, connect, read, set_peer_info};
use introd_flash::command::Encoding;
use introd_flash::metadata::FlowKind;
use introd_netgroup::{GroupDigest, channel};

/// Connected clients send nothing by themselves; they answer the server's pings.
const QUIET: Duration = Duration::from_secs(24 * 3600);

/// The datagrams with which a client opens a session if none is lost: a hello and a keying.
const OPENING: u32 = 2;

/// How far a client is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// To an open session.
    Opened,
    /// To an accepted `connect`, with `setPeerInfo` acknowledged by the server.
    Connected,
    /// As before, and then to a join of this group that is acknowledged by the server.
    Joined(GroupDigest),
}

/// A server, and what its clients connect to.
#[derive(Clone, Debug)]
pub(super) struct TargetServer {
    pub(super) address: SocketAddr,
    /// The URI to connect to.
    pub(super) uri: String,
}

/// What all clients of a fleet have in common.
#[derive(Clone, Debug)]
pub(super) struct FleetOptions {
    /// The servers, at least one. The client at source n uses server n modulo their number.
    pub(super) servers: Vec<TargetServer>,
    pub(super) group: Group,
    /// No HMAC and no sequence numbers: what a client that asks for neither gets.
    pub(super) plain: bool,
}

impl FleetOptions {
    pub(super) fn server(&self, source: usize) -> &TargetServer {
        &self.servers[source % self.servers.len()]
    }

    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.servers.iter().map(|server| server.address).collect()
    }
}

/// An outcome of a client.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The server has answered the keying, so long after the hello was sent.
    Keyed(Duration),
    /// The client is as far as it should go, so long after the hello was sent.
    Reached(Duration),
    /// The server has acknowledged a message that the client sent after that, so long after it was sent.
    Delivered(Duration),
    /// It failed, for this reason.
    Failed(String),
}

/// What a client waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// An open session.
    Opening,
    /// The answer to `connect`.
    Connecting,
    /// The acknowledgement of `setPeerInfo`, and of the join if there is one.
    Informing,
    /// The other one of the two acknowledgements.
    Joining,
    /// Nothing more, or the acknowledgement of a message.
    Reached,
}

pub(super) struct Client {
    pub(super) endpoint: Endpoint,
    pub(super) peer: PeerId,
    pub(super) session: Option<SessionId>,
    pub(super) armed: Option<Instant>,
    flow: Option<SendFlowId>,
    goal: Goal,
    step: Step,
    /// When the hello, or the message that is to be acknowledged, was sent.
    begun: Instant,
    /// The datagrams sent before the session was open.
    opening: u32,
}

/// What the clients of a fleet share.
pub(super) struct Shared {
    pub(super) options: FleetOptions,
    /// One pair for all: only the server is to make a fresh key for every session.
    key: KeyPair,
    rng: ChaCha20Rng,
    /// Public-key work put off, so that answers are seen when they come.
    pub(super) jobs: VecDeque<(usize, KeyingJob)>,
    pub(super) outcomes: VecDeque<(usize, Outcome)>,
    pub(super) scratch: Vec<u8>,
    /// The hellos and keyings that clients sent again.
    pub(super) repeated: u64,
    /// The members that the server named to clients.
    pub(super) hints: u64,
}

impl Client {
    /// A client that has sent its hello.
    pub(super) fn start(now: Instant, source: usize, goal: Goal, shared: &mut Shared) -> Self {
        let identity = Identity::ephemeral(&[shared.options.group], None, false, &mut shared.rng);
        let peer = identity.peer_id();
        let mut config = Config::peer(Arc::new(identity));
        config.forwarded_hello = ForwardedHello::Ignore;
        (config.keepalive, config.silence_limit) = (QUIET, 2 * QUIET);
        if shared.options.plain {
            config.keying = Preferences::default();
        }
        let mut seed = [0; 32];
        shared.rng.fill_bytes(&mut seed);
        let mut endpoint = Endpoint::new(now, config, seed);
        let TargetServer { address, uri } = shared.options.server(source);
        endpoint.open(now, Epd::ancillary(uri), &[(InterfaceId(0), *address)]);
        let (session, armed, flow) = (None, None, None);
        Self { endpoint, peer, session, armed, flow, goal, step: Step::Opening, begun: now, opening: 0 }
    }

    /// Sends the server a message that it acknowledges: `setPeerInfo` once more.
    pub(super) fn send_message(&mut self, now: Instant) -> anyhow::Result<()> {
        self.begun = now;
        self.set_info(now)
    }

    fn connect(&mut self, now: Instant, uri: &str) -> anyhow::Result<()> {
        let session = self.session.context("no session")?;
        let metadata = FlowKind::stream(0).metadata();
        let flow = self.endpoint.open_flow(now, session, &metadata, FlowOptions::default())?;
        self.flow = Some(flow);
        let message = connect(uri, &ConnectOptions::default())?;
        self.endpoint.send(now, session, flow, message, Delivery::default())?;
        Ok(())
    }

    fn set_info(&mut self, now: Instant) -> anyhow::Result<()> {
        // One address, as most clients have; nobody is to try it (RFC 5737).
        let message = set_peer_info(&[SocketAddr::from(([192, 0, 2, 1], 1935))], Encoding::Amf0)?;
        self.send(now, self.flow.context("no flow")?, message)
    }

    /// Joins a group, on a flow that returns the server's control flow.
    fn join(&mut self, now: Instant, group: &GroupDigest, control: RecvFlowId) -> anyhow::Result<()> {
        let session = self.session.context("no session")?;
        let options = FlowOptions { return_of: Some(control), ..FlowOptions::default() };
        let flow = self.endpoint.open_flow(now, session, &FlowKind::GroupControl.metadata(), options)?;
        self.send(now, flow, channel::join(group))
    }

    /// Sends a message whose delivery is told.
    fn send(&mut self, now: Instant, flow: SendFlowId, message: Vec<u8>) -> anyhow::Result<()> {
        let delivery = Delivery { notify: true, ..Delivery::default() };
        self.endpoint.send(now, self.session.context("no session")?, flow, message, delivery)?;
        Ok(())
    }
}

impl Shared {
    pub(super) fn new(options: FleetOptions) -> anyhow::Result<Self> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).context("the operating system has no randomness to give")?;
        let mut rng = ChaCha20Rng::from_seed(seed);
        let key = KeyPair::generate(options.group, &mut rng);
        let (jobs, outcomes) = (VecDeque::new(), VecDeque::new());
        let scratch = Vec::with_capacity(2048);
        Ok(Shared { options, key, rng, jobs, outcomes, scratch, repeated: 0, hints: 0 })
    }

    /// Counts a datagram that a client sends.
    pub(super) fn note_sent(&mut self, client: &mut Client) {
        if client.session.is_none() {
            client.opening += 1;
            self.repeated += u64::from(client.opening > OPENING);
        }
    }

    /// Reacts to an event of a client's endpoint.
    pub(super) fn handle(&mut self, now: Instant, source: usize, client: &mut Client, event: Event) {
        match event {
            // The first job of a client, which finds the work done.
            Event::Keying(job) if job.wants_key_pair() == Some(self.options.group) => {
                let done = job.with_key_pair(self.key.clone()).run();
                client.endpoint.keying_done(now, done);
            }
            Event::Keying(job) => {
                self.outcomes.push_back((source, Outcome::Keyed(now - client.begun)));
                self.jobs.push_back((source, job));
            }
            Event::Opened { session, .. } => {
                client.session = Some(session);
                if client.goal == Goal::Opened {
                    self.reached(now, source, client);
                } else {
                    client.step = Step::Connecting;
                    let connected = client.connect(now, &self.options.server(source).uri);
                    self.check(source, "connect", connected);
                }
            }
            Event::Flow { event: FlowEvent::Message { flow, data, .. }, .. } => {
                self.handle_message(now, source, client, flow, &data);
            }
            Event::Flow { event: FlowEvent::Delivered { .. }, .. } => match (client.step, client.goal) {
                (Step::Informing, Goal::Joined(_)) => client.step = Step::Joining,
                (Step::Informing | Step::Joining, _) => self.reached(now, source, client),
                (Step::Reached, _) => self.outcomes.push_back((source, Outcome::Delivered(now - client.begun))),
                _ => (),
            },
            Event::OpenFailed { reason, .. } => self.fail(source, reason.to_string()),
            Event::Closed { reason, .. } => self.fail(source, reason.to_string()),
            _ => (),
        }
    }

    fn handle_message(&mut self, now: Instant, source: usize, client: &mut Client, flow: RecvFlowId, data: &[u8]) {
        if let Ok(channel::Received::Hint(_)) = channel::read_hint(data) {
            self.hints += 1;
            return;
        }
        match read(data, AmfLimits::default()) {
            // Of connect, the only command that is answered.
            Ok(Incoming::Result { .. }) if client.step == Step::Connecting => {
                client.step = Step::Informing;
                let informed = client.set_info(now);
                self.check(source, "setPeerInfo", informed);
                if let Goal::Joined(group) = client.goal {
                    let joined = client.join(now, &group, flow);
                    self.check(source, "join", joined);
                }
            }
            Ok(Incoming::Error { status, .. }) => self.fail(source, format!("refused: {}", status.code)),
            _ => (),
        }
    }

    fn reached(&mut self, now: Instant, source: usize, client: &mut Client) {
        client.step = Step::Reached;
        self.outcomes.push_back((source, Outcome::Reached(now - client.begun)));
    }

    fn check(&mut self, source: usize, what: &str, result: anyhow::Result<()>) {
        if let Err(error) = result {
            self.fail(source, format!("{what}: {error:#}"));
        }
    }

    fn fail(&mut self, source: usize, why: String) {
        self.outcomes.push_back((source, Outcome::Failed(why)));
    }
}
