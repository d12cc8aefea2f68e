//! Many clients, each with an identity and an address of its own, on one thread.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use rtmfp::crypto::{Epd, Group, Identity, KeyPair, Preferences};
use rtmfp::flow::{Delivery, FlowEvent, FlowOptions, SendFlowId};
use rtmfp::{Config, Endpoint, Event, ForwardedHello, InterfaceId, KeyingJob, PeerId, SessionId};

use super::sources::Sources;
use introd_flash::amf::AmfLimits;
use introd_flash::client::{ConnectOptions, Incoming, connect, read, set_peer_info};
use introd_flash::command::Encoding;
use introd_flash::metadata::FlowKind;

/// Longer than any run: connected clients send nothing but answers to the server's pings.
const QUIET: Duration = Duration::from_secs(24 * 3600);

/// How far clients are to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// To an open session.
    Opened,
    /// To an accepted `connect`, with `setPeerInfo` acknowledged by the server.
    Connected,
}

/// What all clients of a fleet have in common.
#[derive(Clone, Debug)]
pub(super) struct FleetOptions {
    pub(super) server: SocketAddr,
    /// The URI to connect to.
    pub(super) uri: String,
    pub(super) group: Group,
    /// No HMAC and no sequence numbers: what a client that asks for neither gets.
    pub(super) plain: bool,
    pub(super) goal: Goal,
}

/// The outcome of a client.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The server has answered the keying, so long after the hello was sent.
    Keyed(Duration),
    /// The client is as far as it should go, so long after the hello was sent.
    Reached(Duration),
    /// It will not get there.
    Failed(String),
}

struct Client {
    endpoint: Endpoint,
    peer: PeerId,
    session: Option<SessionId>,
    flow: Option<SendFlowId>,
    begun: Instant,
    armed: Option<Instant>,
}

/// The clients, by the number of their source.
pub(super) struct Fleet {
    pub(super) sources: Sources,
    crew: Crew,
    clients: HashMap<usize, Box<Client>>,
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
}

/// What a client needs while it works.
struct Crew {
    options: FleetOptions,
    /// One pair for all: only the server is to make a fresh key for every session.
    key: KeyPair,
    rng: ChaCha20Rng,
    /// Public-key work that is postponed, so that answers are read soon after they arrive.
    jobs: VecDeque<(usize, KeyingJob)>,
    outcomes: VecDeque<(usize, Outcome)>,
    scratch: Vec<u8>,
}

impl Fleet {
    pub(super) fn new(options: FleetOptions, sources: Sources) -> anyhow::Result<Self> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).context("the operating system has no randomness to give")?;
        let mut rng = ChaCha20Rng::from_seed(seed);
        let key = KeyPair::generate(options.group, &mut rng);
        let (jobs, outcomes) = (VecDeque::new(), VecDeque::new());
        let crew = Crew { options, key, rng, jobs, outcomes, scratch: Vec::with_capacity(2048) };
        Ok(Self { sources, crew, clients: HashMap::new(), timers: BinaryHeap::new() })
    }

    /// How many clients there are.
    pub(super) fn len(&self) -> usize {
        self.clients.len()
    }

    /// Starts a new client at a source that has none.
    pub(super) fn begin(&mut self, source: usize) {
        let now = Instant::now();
        let crew = &mut self.crew;
        let identity = Identity::ephemeral(&[crew.options.group], None, false, &mut crew.rng);
        let peer = identity.peer_id();
        let mut config = Config::peer(Arc::new(identity));
        config.forwarded_hello = ForwardedHello::Ignore;
        (config.keepalive, config.silence_limit) = (QUIET, 2 * QUIET);
        if crew.options.plain {
            config.keying = Preferences::default();
        }
        let mut seed = [0; 32];
        crew.rng.fill_bytes(&mut seed);
        let mut endpoint = Endpoint::new(now, config, seed);
        endpoint.open(now, Epd::ancillary(&crew.options.uri), &[(InterfaceId(0), crew.options.server)]);
        let client = Client { endpoint, peer, session: None, flow: None, begun: now, armed: None };
        self.clients.insert(source, Box::new(client));
        self.tend(now, source);
    }

    /// Ends a client. The server is notified.
    pub(super) fn end(&mut self, source: usize) {
        let now = Instant::now();
        if let Some(client) = self.clients.get_mut(&source) {
            client.endpoint.abort_all(now);
            self.tend(now, source);
        }
        self.clients.remove(&source);
    }

    /// Ends all clients.
    pub(super) fn end_all(&mut self) {
        let all: Vec<usize> = self.clients.keys().copied().collect();
        all.into_iter().for_each(|source| self.end(source));
        self.sources.flush();
    }

    /// The peer id of the client at a source.
    pub(super) fn peer(&self, source: usize) -> Option<PeerId> {
        self.clients.get(&source).map(|client| client.peer)
    }

    /// How many hellos the server has passed on to the clients.
    pub(super) fn forwarded(&self) -> u64 {
        // Of what comes in an open session, only these are counted as ignored: see ForwardedHello::Ignore.
        self.clients.values().map(|client| client.endpoint.counters().ignored).sum()
    }

    /// The next outcome of a client.
    pub(super) fn poll_outcome(&mut self) -> Option<(usize, Outcome)> {
        self.crew.outcomes.pop_front()
    }

    /// Waits for datagrams and timers, for `wait` at most, and handles them. Datagrams to a source without a client go to `other`.
    pub(super) fn step(&mut self, wait: Duration, mut other: impl FnMut(usize, &mut [u8])) -> anyhow::Result<()> {
        self.sources.flush();
        let now = Instant::now();
        let until_timer = self.timers.peek().map_or(wait, |Reverse((at, _))| at.saturating_duration_since(now));
        let wait = if self.crew.jobs.is_empty() { wait.min(until_timer) } else { Duration::ZERO };
        let (clients, server) = (&mut self.clients, self.crew.options.server);
        let mut touched = Vec::new();
        self.sources.receive(wait, |source, datagram| match clients.get_mut(&source) {
            Some(client) => {
                client.endpoint.handle_datagram(Instant::now(), InterfaceId(0), server, datagram);
                touched.push(source);
            }
            None => other(source, datagram),
        })?;
        let now = Instant::now();
        for source in touched {
            self.tend(now, source);
        }
        if let Some((source, job)) = self.crew.jobs.pop_front()
            && let Some(client) = self.clients.get_mut(&source)
        {
            client.endpoint.keying_done(Instant::now(), job.run());
            self.tend(Instant::now(), source);
        }
        while let Some(&Reverse((at, source))) = self.timers.peek()
            && at <= now
        {
            self.timers.pop();
            if let Some(client) = self.clients.get_mut(&source)
                && client.armed == Some(at)
            {
                client.armed = None;
                client.endpoint.handle_timeout(now);
                self.tend(now, source);
            }
        }
        Ok(())
    }

    /// Drains a client's endpoint.
    fn tend(&mut self, now: Instant, source: usize) {
        let Some(client) = self.clients.get_mut(&source) else { return };
        while let Some(event) = client.endpoint.poll_event() {
            self.crew.handle(now, source, client, event);
        }
        loop {
            self.crew.scratch.clear();
            let Some(transmit) = client.endpoint.poll_transmit(now, &mut self.crew.scratch) else { break };
            self.sources.send(source, transmit.to, &self.crew.scratch);
        }
        let deadline = client.endpoint.poll_timeout();
        if let Some(deadline) = deadline
            && client.armed.is_none_or(|armed| deadline < armed)
        {
            client.armed = Some(deadline);
            self.timers.push(Reverse((deadline, source)));
        }
    }
}

impl Crew {
    fn handle(&mut self, now: Instant, source: usize, client: &mut Client, event: Event) {
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
                if self.options.goal == Goal::Opened {
                    self.outcomes.push_back((source, Outcome::Reached(now - client.begun)));
                } else if let Err(error) = self.connect(now, client, session) {
                    self.fail(source, format!("connect: {error:#}"));
                }
            }
            Event::Flow { session, event: FlowEvent::Message { data, .. } } => {
                match read(&data, AmfLimits::default()) {
                    // Of connect, the only command that is answered.
                    Ok(Incoming::Result { .. }) => {
                        if let Err(error) = set_info(now, client, session) {
                            self.fail(source, format!("setPeerInfo: {error:#}"));
                        }
                    }
                    Ok(Incoming::Error { status, .. }) => self.fail(source, format!("refused: {}", status.code)),
                    _ => (),
                }
            }
            Event::Flow { event: FlowEvent::Delivered { .. }, .. } => {
                self.outcomes.push_back((source, Outcome::Reached(now - client.begun)));
            }
            Event::OpenFailed { reason, .. } => self.fail(source, reason.to_string()),
            Event::Closed { reason, .. } => self.fail(source, reason.to_string()),
            _ => (),
        }
    }

    fn fail(&mut self, source: usize, why: String) {
        self.outcomes.push_back((source, Outcome::Failed(why)));
    }

    fn connect(&self, now: Instant, client: &mut Client, session: SessionId) -> anyhow::Result<()> {
        let metadata = FlowKind::stream(0).metadata();
        let flow = client.endpoint.open_flow(now, session, &metadata, FlowOptions::default())?;
        client.flow = Some(flow);
        let message = connect(&self.options.uri, &ConnectOptions::default())?;
        client.endpoint.send(now, session, flow, message, Delivery::default())?;
        Ok(())
    }
}

fn set_info(now: Instant, client: &mut Client, session: SessionId) -> anyhow::Result<()> {
    let Some(flow) = client.flow else { return Ok(()) };
    // One address, as most clients have. It is reserved for documentation (RFC 5737), so that no peer is there.
    let message = set_peer_info(&[SocketAddr::from(([192, 0, 2, 1], 1935))], Encoding::Amf0)?;
    let delivery = Delivery { notify: true, ..Delivery::default() };
    client.endpoint.send(now, session, flow, message, delivery)?;
    Ok(())
}
