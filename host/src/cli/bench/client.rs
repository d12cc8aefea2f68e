//! One client of a fleet, and how it connects.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use rtmfp::crypto::{Epd, Group, Identity, KeyPair, Preferences};
use rtmfp::flow::{Delivery, FlowEvent, FlowOptions, SendFlowId};
use rtmfp::{Config, Endpoint, Event, ForwardedHello, InterfaceId, KeyingJob, PeerId, SessionId};

use introd_flash::amf::AmfLimits;
use introd_flash::client::{ConnectOptions, Incoming, connect, read, set_peer_info};
use introd_flash::command::Encoding;
use introd_flash::metadata::FlowKind;

/// Connected clients send nothing by themselves; they answer the server's pings.
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

/// An outcome of a client.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The server has answered the keying, so long after the hello was sent.
    Keyed(Duration),
    /// The client is as far as it should go, so long after the hello was sent.
    Reached(Duration),
    /// It failed, for this reason.
    Failed(String),
}

pub(super) struct Client {
    pub(super) endpoint: Endpoint,
    pub(super) peer: PeerId,
    pub(super) session: Option<SessionId>,
    pub(super) flow: Option<SendFlowId>,
    pub(super) begun: Instant,
    pub(super) armed: Option<Instant>,
}

/// What the clients of a fleet share.
pub(super) struct Shared {
    pub(super) options: FleetOptions,
    /// One pair for all: only the server is to make a fresh key for every session.
    pub(super) key: KeyPair,
    pub(super) rng: ChaCha20Rng,
    /// Public-key work put off, so that answers are seen when they come.
    pub(super) jobs: VecDeque<(usize, KeyingJob)>,
    pub(super) outcomes: VecDeque<(usize, Outcome)>,
    pub(super) scratch: Vec<u8>,
}

impl Client {
    /// A client that has sent its hello.
    pub(super) fn start(now: Instant, shared: &mut Shared) -> Self {
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
        endpoint.open(now, Epd::ancillary(&shared.options.uri), &[(InterfaceId(0), shared.options.server)]);
        Self { endpoint, peer, session: None, flow: None, begun: now, armed: None }
    }
}

impl Shared {
    pub(super) fn new(options: FleetOptions) -> anyhow::Result<Self> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).context("the operating system has no randomness to give")?;
        let mut rng = ChaCha20Rng::from_seed(seed);
        let key = KeyPair::generate(options.group, &mut rng);
        let (jobs, outcomes) = (VecDeque::new(), VecDeque::new());
        Ok(Shared { options, key, rng, jobs, outcomes, scratch: Vec::with_capacity(2048) })
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
    // One address, as most clients have; nobody is to try it (RFC 5737).
    let message = set_peer_info(&[SocketAddr::from(([192, 0, 2, 1], 1935))], Encoding::Amf0)?;
    let delivery = Delivery { notify: true, ..Delivery::default() };
    client.endpoint.send(now, session, flow, message, delivery)?;
    Ok(())
}
