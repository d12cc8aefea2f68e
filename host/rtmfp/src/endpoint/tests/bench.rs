//! Endpoints whose datagrams a test hands over itself, on a clock that it sets.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::config::Config;
use crate::crypto::{Epd, Group, Identity, Offer, Opener, Preferences, Sealer, SessionKeys};
use crate::endpoint::Endpoint;
use crate::event::{CloseReason, Event};
use crate::session_id::SessionId;
use crate::startup::keying_job::KeyingJob;
use crate::test_clock::test_clock;
use crate::transmit::InterfaceId;
use crate::wire::chunk::{IHello, IIKeying, RHello};
use crate::wire::packet::{chunks, put_chunk};
use crate::wire::{Mode, PacketHeader};

#[derive(Clone, Debug)]
pub(super) struct Datagram {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) data: Vec<u8>,
}

pub(super) struct Node {
    pub(super) endpoint: Endpoint,
    pub(super) address: SocketAddr,
    pub(super) identity: Arc<Identity>,
    /// Public-key work that the driver has not done yet.
    pub(super) jobs: Vec<KeyingJob>,
    /// The driver does no public-key work by itself.
    pub(super) keeps_jobs: bool,
    /// It takes nothing in, and nobody wakes it up.
    pub(super) is_dead: bool,
    pub(super) events: Vec<Event>,
}

/// Nodes are named by their place.
pub(super) struct Bench {
    pub(super) now: Instant,
    pub(super) nodes: Vec<Node>,
    /// Every datagram that a node has sent.
    pub(super) sent: Vec<Datagram>,
}

pub(super) fn identity(seed: u64) -> Arc<Identity> {
    Arc::new(Identity::ephemeral(&[Group::Modp2], None, true, &mut ChaCha20Rng::seed_from_u64(seed)))
}

/// Two identities; the first prevails in glare.
pub(super) fn ordered() -> [Arc<Identity>; 2] {
    let (one, other) = (identity(1), identity(2));
    if one.certificate().prevails_in_glare(other.certificate()) { [one, other] } else { [other, one] }
}

/// Settings whose sessions can be joined by a test: their keys are told, and there are no sequence numbers to guess.
pub(super) fn readable(config: Config) -> Config {
    Config { keying: Preferences { log_keys: true, ..Preferences::default() }, ..config }
}

pub(super) fn server(seed: u64) -> Config {
    readable(Config::server(vec![identity(seed)]))
}

pub(super) fn peer(seed: u64) -> Config {
    readable(Config::peer(identity(seed)))
}

pub(super) fn address(host: u8) -> SocketAddr {
    ([203, 0, 113, host], 1935).into()
}

/// An address where there is no node.
pub(super) fn stranger(host: u8) -> SocketAddr {
    ([198, 51, 100, host], 4000).into()
}

/// A packet under the default key.
pub(super) fn seal(session_id: u32, mode: Mode, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut sealer = Sealer::startup();
    let mut out = Vec::new();
    sealer.begin(&mut out);
    PacketHeader::new(mode).put(&mut out);
    write(&mut out);
    sealer.finish(session_id, 0, &mut out);
    out
}

pub(super) fn startup(session_id: u32, write: impl FnOnce(&mut Vec<u8>) -> bool) -> Vec<u8> {
    seal(session_id, Mode::Startup, |out| assert!(write(out)))
}

pub(super) fn hello(epd: &[u8], tag: &[u8]) -> Vec<u8> {
    startup(0, |out| IHello { epd, tag }.put(out))
}

/// The first chunk of a startup packet.
pub(super) fn read(datagram: &Datagram) -> (u8, Vec<u8>) {
    let mut data = datagram.data.clone();
    let mut plain = Opener::startup().open(&mut data).expect("a startup packet");
    assert_eq!(PacketHeader::take(&mut plain).expect("a header").mode, Mode::Startup);
    let chunk = chunks(plain).next().expect("a chunk");
    (chunk.kind, chunk.payload.to_vec())
}

/// Is it under the default key?
pub(super) fn is_startup(datagram: &Datagram) -> bool {
    let mut data = datagram.data.clone();
    Opener::startup().open(&mut data).is_ok()
}

/// Which chunks went where, of startup packets.
pub(super) fn kinds(datagrams: &[Datagram]) -> Vec<(SocketAddr, u8)> {
    datagrams.iter().map(|datagram| (datagram.to, read(datagram).0)).collect()
}

impl Bench {
    pub(super) fn new() -> Self {
        Self { now: test_clock(), nodes: Vec::new(), sent: Vec::new() }
    }

    /// A node at [`address`] of its place.
    pub(super) fn add(&mut self, config: Config) -> usize {
        let place = self.nodes.len();
        let identity = Arc::clone(&config.identities[0]);
        let endpoint = Endpoint::new(self.now, config, [place as u8; 32]);
        let (jobs, events) = (Vec::new(), Vec::new());
        let address = address(place as u8);
        self.nodes.push(Node { endpoint, address, identity, jobs, keeps_jobs: false, is_dead: false, events });
        place
    }

    pub(super) fn epd(&self, node: usize) -> Vec<u8> {
        Epd::fingerprint(self.nodes[node].identity.peer_id()).to_vec()
    }

    pub(super) fn endpoint(&self, node: usize) -> &Endpoint {
        &self.nodes[node].endpoint
    }

    /// Takes what a node has to say; its datagrams go nowhere.
    pub(super) fn drain(&mut self, place: usize) -> Vec<Datagram> {
        let (now, node) = (self.now, &mut self.nodes[place]);
        let mut datagrams = Vec::new();
        loop {
            if let Some(event) = node.endpoint.poll_event() {
                match event {
                    Event::Keying(job) if node.keeps_jobs => node.jobs.push(job),
                    Event::Keying(job) => node.endpoint.keying_done(now, job.run()),
                    event => node.events.push(event),
                }
                continue;
            }
            let mut data = Vec::new();
            let Some(transmit) = node.endpoint.poll_transmit(now, &mut data) else { break };
            datagrams.push(Datagram { from: node.address, to: transmit.to, data });
        }
        self.sent.extend(datagrams.iter().cloned());
        datagrams
    }

    /// Hands a datagram to a node, and gives what it sends in return.
    pub(super) fn deliver(&mut self, node: usize, from: SocketAddr, data: &[u8]) -> Vec<Datagram> {
        self.nodes[node].endpoint.handle_datagram(self.now, InterfaceId(0), from, &mut data.to_vec());
        self.drain(node)
    }

    /// Lets datagrams and all that come of them arrive.
    pub(super) fn exchange(&mut self, datagrams: Vec<Datagram>) {
        let mut queue = VecDeque::from(datagrams);
        while let Some(Datagram { from, to, data }) = queue.pop_front() {
            if let Some(node) = self.nodes.iter().position(|node| node.address == to && !node.is_dead) {
                queue.extend(self.deliver(node, from, &data));
            }
        }
    }

    /// Does something to an endpoint, and gives what it sends, which arrives nowhere.
    pub(super) fn ask<T>(&mut self, node: usize, work: impl FnOnce(&mut Endpoint, Instant) -> T) -> (T, Vec<Datagram>) {
        let result = work(&mut self.nodes[node].endpoint, self.now);
        (result, self.drain(node))
    }

    /// Does something to an endpoint, and lets all that comes of it arrive.
    pub(super) fn with<T>(&mut self, node: usize, work: impl FnOnce(&mut Endpoint, Instant) -> T) -> T {
        let (result, datagrams) = self.ask(node, work);
        self.exchange(datagrams);
        result
    }

    /// Does the public-key work that a node has kept.
    pub(super) fn run_jobs(&mut self, node: usize) -> Vec<Datagram> {
        for job in std::mem::take(&mut self.nodes[node].jobs) {
            self.nodes[node].endpoint.keying_done(self.now, job.run());
        }
        self.drain(node)
    }

    /// Lets time pass.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let living = self.nodes.iter().enumerate().filter(|(_, node)| !node.is_dead);
            let wakes = living.filter_map(|(place, node)| Some((node.endpoint.poll_timeout()?, place)));
            let Some((at, place)) = wakes.min().filter(|(at, _)| *at <= end) else { break };
            self.now = self.now.max(at);
            self.with(place, |endpoint, now| endpoint.handle_timeout(now));
        }
        self.now = end;
    }

    /// Begins to open a session to the node `to`, at these addresses; what is sent arrives nowhere.
    pub(super) fn open(&mut self, node: usize, to: usize, at: &[SocketAddr]) -> (SessionId, Vec<Datagram>) {
        let epd = self.epd(to);
        let candidates: Vec<_> = at.iter().map(|at| (InterfaceId(0), *at)).collect();
        let (id, sent) = self.ask(node, |endpoint, now| endpoint.open(now, epd, &candidates));
        (id.expect("room for a session"), sent)
    }

    pub(super) fn session_with(&self, node: usize, with: usize) -> Option<SessionId> {
        self.nodes[node].endpoint.session_of(&self.nodes[with].identity.peer_id())
    }

    /// Opens a session; gives its id at both ends.
    pub(super) fn connect(&mut self, node: usize, to: usize) -> (SessionId, SessionId) {
        let (id, sent) = self.open(node, to, &[self.nodes[to].address]);
        self.exchange(sent);
        // The initiator's first ping.
        self.pass(Duration::from_secs(2));
        (id, self.session_with(to, node).expect("an open session"))
    }

    /// The cookie that a node gives to an address while it has room for keyings.
    pub(super) fn cookie(&mut self, node: usize, to: SocketAddr) -> Vec<u8> {
        let epd = self.epd(node);
        let max = std::mem::replace(&mut self.nodes[node].endpoint.config.max_keying_jobs, usize::MAX / 4);
        let answer = self.deliver(node, to, &hello(&epd, &[1; 16]));
        self.nodes[node].endpoint.config.max_keying_jobs = max;
        let (_, payload) = read(&answer[0]);
        RHello::parse(&payload).expect("a hello").cookie.to_vec()
    }

    /// A keying to a node, from one of this identity, with this cookie.
    pub(super) fn keying(&self, node: usize, initiator: &Identity, cookie: &[u8], session_id: u32) -> Vec<u8> {
        let mut rng = ChaCha20Rng::seed_from_u64(u64::from(session_id));
        let responder = self.nodes[node].identity.certificate();
        let offer = Offer::new(initiator, responder, &Preferences::default(), None, &mut rng).expect("an offer");
        keying_with(initiator.certificate().as_bytes(), &offer.component, cookie, session_id)
    }

    /// A keying from an address that has a cookie already.
    pub(super) fn keying_from(&mut self, node: usize, from: SocketAddr, session_id: u32) -> Vec<u8> {
        let cookie = self.cookie(node, from);
        self.keying(node, &identity(99), &cookie, session_id)
    }

    /// Seals as a node does in its last session. It has [`readable`] settings.
    pub(super) fn far_sealer(&self, node: usize) -> Sealer {
        Sealer::new(&self.keys(node))
    }

    /// The chunks of a packet to a node's last session.
    pub(super) fn opened(&self, node: usize, datagram: &Datagram) -> Vec<(u8, Vec<u8>)> {
        let mut data = datagram.data.clone();
        let keys = self.keys(node);
        let mut opener = Opener::new(&keys);
        let Ok(mut plain) = opener.open(&mut data) else { return Vec::new() };
        PacketHeader::take(&mut plain).expect("a header");
        chunks(plain).map(|chunk| (chunk.kind, chunk.payload.to_vec())).collect()
    }

    /// Why sessions of a node have closed.
    pub(super) fn closed(&self, node: usize) -> Vec<CloseReason> {
        let closed = self.nodes[node].events.iter().filter_map(|event| match event {
            Event::Closed { reason, .. } => Some(*reason),
            _ => None,
        });
        closed.collect()
    }

    fn keys(&self, node: usize) -> SessionKeys {
        let keys = self.nodes[node].events.iter().rev().find_map(|event| match event {
            Event::Keys { keys, .. } => Some(keys.keys.clone()),
            _ => None,
        });
        keys.expect("the keys of a session")
    }
}

pub(super) fn keying_with(certificate: &[u8], component: &[u8], cookie: &[u8], session_id: u32) -> Vec<u8> {
    let keying =
        IIKeying { session_id, cookie_echo: cookie, certificate, component, signature: &[], signed_parameters: &[] };
    startup(0, |out| keying.put(out))
}

/// A packet of an open session.
pub(super) fn packet(sealer: &mut Sealer, to: SessionId, header: PacketHeader, list: &[(u8, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    sealer.begin(&mut out);
    header.put(&mut out);
    for (kind, payload) in list {
        assert!(put_chunk(*kind, &mut out, |out| out.extend_from_slice(payload)));
    }
    sealer.finish(to.get(), 0, &mut out);
    out
}
