//! The endpoint, its honest client, and the wires between everybody.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use rtmfp::crypto::{Epd, Group, Identity, KeyPair, Opener};
use rtmfp::flow::{Delivery, FlowConfig, FlowEvent, FlowOptions, SendFlowId};
use rtmfp::wire::chunk::UserDataOptions;
use rtmfp::wire::packet;
use rtmfp::wire::{Chunk, Mode, Origin, PacketHeader, TaggedAddress};
use rtmfp::{Config, Endpoint, Event, ForwardedHello, InterfaceId, Lookup, SessionId};

use super::link::Link;

const INTERFACE: InterfaceId = InterfaceId(1);
const fn address(host: u8, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)), port)
}
const VICTIM: SocketAddr = address(1, 1935);
pub(super) const HONEST: SocketAddr = address(2, 4000);
/// Where datagrams can be said to come from. The last is the honest client's.
pub(super) const ADDRESSES: [SocketAddr; 4] = [address(66, 6666), address(66, 6667), address(67, 6666), HONEST];

/// Sessions that the endpoint may have.
const MAX_SESSIONS: usize = 12;
/// An endpoint that has more to say than this after one thing will never stop.
const MAX_STEPS: usize = 10_000;
/// Public-key work is done so often in a run; after that it gets no answer.
const MAX_JOBS: usize = 10;
/// Datagrams remembered for later.
const MAX_REMEMBERED: usize = 64;
/// The datagrams of a stranger's address earn fewer bytes than this for each of their own, all together: see [`Endpoint`].
const AMPLIFICATION: usize = 3;

/// Identities of everybody, and a key pair that all use in all sessions: the keys differ by what else is in the handshake.
pub(super) static IDENTITIES: LazyLock<Identities> = LazyLock::new(|| {
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let mut ephemeral = || Arc::new(Identity::ephemeral(&[Group::Modp2], None, true, &mut rng));
    let (victim, honest, attacker) = (ephemeral(), ephemeral(), ephemeral());
    let pair = KeyPair::generate(Group::Modp2, &mut rng);
    Identities { victim, honest, attacker, pair }
});

pub(super) struct Identities {
    pub(super) victim: Arc<Identity>,
    pub(super) honest: Arc<Identity>,
    pub(super) attacker: Arc<Identity>,
    pub(super) pair: KeyPair,
}

pub(super) struct World {
    pub(super) now: Instant,
    pub(super) victim: Endpoint,
    honest: Endpoint,
    honest_session: SessionId,
    honest_flow: SendFlowId,
    /// Messages of the honest client that have arrived.
    heard: Vec<Vec<u8>>,
    jobs: usize,
    max_datagram: usize,
    /// Sessions with the attacker.
    pub(super) links: Vec<Link>,
    links_forgotten: bool,
    /// What the attacker has learned from what was sent to it: cookies, tags, and session ids for the next answer.
    pub(super) cookies: Vec<Vec<u8>>,
    pub(super) sent_cookie: Vec<u8>,
    pub(super) tag: Vec<u8>,
    pub(super) initiation: u32,
    /// Everything that went over the wires.
    pub(super) remembered: Vec<(SocketAddr, Vec<u8>)>,
    pub(super) lookups: Vec<Lookup>,
    /// Bytes of answers to startup packets since the last datagram came.
    answered: usize,
    /// The bytes that have come from each address, and those of the answers.
    earned: HashMap<IpAddr, (usize, usize)>,
}

impl World {
    /// An endpoint with an open session with its honest client. `choices` are the endpoint's settings.
    pub(super) fn new(choices: u8) -> Self {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        let (now, bit) = (*START, |bit: u8| choices >> bit & 1 != 0);
        let victim = Arc::clone(&IDENTITIES.victim);
        let mut config = if bit(0) { Config::peer(victim) } else { Config::server(vec![victim]) };
        config.max_sessions = MAX_SESSIONS;
        config.keying.log_keys = true;
        config.forwarded_hello = match choices >> 1 & 3 {
            0 => ForwardedHello::Ignore,
            1 => ForwardedHello::ImpliedRedirect,
            _ => ForwardedHello::RespondHello,
        };
        if bit(3) {
            config.max_datagram = 508;
            config.flow = Arc::new(small_flows());
        }
        let mut honest_config = Config::peer(Arc::clone(&IDENTITIES.honest));
        if bit(4) {
            // A checksum and no sequence numbers.
            honest_config.keying = Config::server(Vec::new()).keying;
        }
        let max_datagram = config.max_datagram;
        let mut world = Self {
            now,
            victim: Endpoint::new(now, config, [1; 32]),
            honest: Endpoint::new(now, honest_config, [2; 32]),
            honest_session: SessionId::from_wire(0),
            honest_flow: SendFlowId(0),
            heard: Vec::new(),
            jobs: 0,
            max_datagram,
            links: Vec::new(),
            links_forgotten: false,
            cookies: Vec::new(),
            sent_cookie: Vec::new(),
            tag: Vec::new(),
            initiation: 0,
            remembered: Vec::new(),
            lookups: Vec::new(),
            answered: 0,
            earned: HashMap::new(),
        };
        world.connect_honest();
        world
    }

    fn connect_honest(&mut self) {
        let epd = Epd::fingerprint(IDENTITIES.victim.peer_id()).to_vec();
        let session = self.honest.open(self.now, epd, &[(INTERFACE, VICTIM)]).unwrap();
        self.settle();
        assert!(self.honest.session(session).is_some(), "the honest client does not get in");
        self.honest_session = session;
        self.honest_flow = self.honest.open_flow(self.now, session, b"TC\x04\0", FlowOptions::default()).unwrap();
        self.jobs = 0;
        self.honest_says(b"hello".to_vec());
        assert_eq!(self.heard, [b"hello"]);
    }

    pub(super) fn honest_says(&mut self, message: Vec<u8>) {
        let sent = self.honest.send(self.now, self.honest_session, self.honest_flow, message, Delivery::default());
        sent.expect("the honest client's session is gone");
        self.settle();
    }

    /// The honest client is still heard.
    pub(super) fn assert_serves(&mut self) {
        self.heard.clear();
        self.honest_says(b"still there?".to_vec());
        for _ in 0..20 {
            if self.heard.last().is_some_and(|message| message == b"still there?") {
                return;
            }
            self.wait(Duration::from_secs(1));
        }
        panic!("the honest client is not heard any more");
    }

    /// A datagram of a stranger's comes in; what it earns is bounded.
    pub(super) fn throw(&mut self, from: SocketAddr, datagram: &[u8]) {
        let lookups = self.victim.counters().lookups;
        self.throw_sealed(from, datagram);
        let (received, answered) = self.earned[&from.ip()];
        assert!(answered == 0 || answered < received * AMPLIFICATION, "{received} bytes earn {answered}");
        let lookups = self.victim.counters().lookups - lookups;
        assert!(lookups <= 1, "one datagram asks for {lookups} lookups");
    }

    /// As [`Self::throw`], for a datagram that may have lookups of others repeated, or end a packet of which parts came before.
    pub(super) fn throw_sealed(&mut self, from: SocketAddr, datagram: &[u8]) {
        self.answered = 0;
        self.deliver(from, datagram);
        self.settle();
        let (received, answered) = self.earned.entry(from.ip()).or_default();
        *received += datagram.len();
        *answered += self.answered;
    }

    fn deliver(&mut self, from: SocketAddr, datagram: &[u8]) {
        self.remember(from, datagram);
        self.victim.handle_datagram(self.now, INTERFACE, from, &mut datagram.to_vec());
    }

    fn remember(&mut self, from: SocketAddr, datagram: &[u8]) {
        if self.remembered.len() == MAX_REMEMBERED {
            self.remembered.remove(MAX_REMEMBERED / 2);
        }
        self.remembered.push((from, datagram.to_vec()));
    }

    /// Lets both endpoints work until neither has anything left.
    pub(super) fn settle(&mut self) {
        let mut out = Vec::new();
        for _ in 0..MAX_STEPS {
            out.clear();
            if let Some(event) = self.victim.poll_event() {
                self.happened(event);
            } else if let Some(event) = self.honest.poll_event() {
                self.happened_to_honest(event);
            } else if let Some(transmit) = self.victim.poll_transmit(self.now, &mut out) {
                self.sent(transmit.to, &out);
            } else if let Some(transmit) = self.honest.poll_transmit(self.now, &mut out) {
                if transmit.to == VICTIM {
                    self.deliver(HONEST, &out);
                }
            } else {
                assert!(self.victim.session_count() <= MAX_SESSIONS);
                return;
            }
        }
        panic!("the endpoint does not come to rest");
    }

    /// Lets time pass, doing everything that becomes due.
    pub(super) fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..MAX_STEPS {
            let due = [self.victim.poll_timeout(), self.honest.poll_timeout()];
            let next = due.into_iter().flatten().min().filter(|next| *next <= end);
            self.now = next.map_or(end, |next| next.max(self.now));
            self.victim.handle_timeout(self.now);
            self.honest.handle_timeout(self.now);
            self.settle();
            if next.is_none() {
                return;
            }
        }
        panic!("the endpoint is always due");
    }

    fn happened(&mut self, event: Event) {
        match event {
            Event::Keying(job) => {
                self.jobs += 1;
                if self.jobs <= MAX_JOBS {
                    self.victim.keying_done(self.now, job.with_key_pair(IDENTITIES.pair.clone()).run());
                }
            }
            Event::Keys { session, keys } => {
                let address = self.victim.session(session).map_or(ADDRESSES[0], |info| info.far_address);
                if self.links.len() == 8 {
                    self.links.remove(1);
                    self.links_forgotten = true;
                }
                self.links.push(Link::new(session, &keys, address));
            }
            Event::Lookup(lookup) => {
                if self.lookups.len() == 4 {
                    self.lookups.remove(0);
                }
                self.lookups.push(lookup);
            }
            Event::Flow { session, event } => self.happened_to_flow(session, event),
            Event::Closed { session, .. } if self.is_honest(session) => panic!("the honest client's session is closed"),
            Event::OpenFailed { reason, .. } => assert_ne!(reason.to_string(), ""),
            _ => (),
        }
    }

    fn happened_to_flow(&mut self, session: SessionId, event: FlowEvent) {
        if let FlowEvent::Message { data, .. } = &event
            && self.is_honest(session)
        {
            self.heard.push(data.clone());
        }
        let Some(link) = self.links.iter_mut().find(|link| link.session == session) else { return };
        match event {
            FlowEvent::Opened { flow, .. } => link.receiving.push(flow),
            FlowEvent::Ended { flow, .. } => link.receiving.retain(|other| *other != flow),
            FlowEvent::Message { flow, .. } => assert!(link.receiving.contains(&flow), "a message on no flow"),
            FlowEvent::Closed { flow } => link.sending.retain(|other| *other != flow),
            _ => (),
        }
    }

    fn happened_to_honest(&mut self, event: Event) {
        match event {
            Event::Keying(job) => {
                let done = job.with_key_pair(IDENTITIES.pair.clone()).run();
                self.honest.keying_done(self.now, done);
            }
            Event::Closed { reason, .. } => panic!("the honest client lost its session: {reason}"),
            _ => (),
        }
    }

    /// Link 0 is the honest client's.
    fn is_honest(&self, session: SessionId) -> bool {
        self.links.first().is_some_and(|link| link.session == session)
    }

    /// The endpoint has sent a datagram: one of the ends must be able to read it.
    fn sent(&mut self, to: SocketAddr, datagram: &[u8]) {
        assert!(datagram.len() <= self.max_datagram, "{} bytes", datagram.len());
        self.remember(to, datagram);
        let mut copy = datagram.to_vec();
        let plain = Opener::startup().open(&mut copy).ok();
        let is_startup = plain.is_some_and(|plain| self.sent_startup(to, datagram.len(), plain));
        if !is_startup {
            let is_known = self.links.iter().any(|link| link.understands(datagram));
            assert!(is_known || self.links_forgotten, "a datagram that no end can read");
        }
        if to == HONEST {
            self.honest.handle_datagram(self.now, INTERFACE, VICTIM, &mut datagram.to_vec());
        }
    }

    /// Learns from a startup packet what its receiver learns. False if it is none.
    fn sent_startup(&mut self, to: SocketAddr, length: usize, mut plain: &[u8]) -> bool {
        let is_startup = PacketHeader::take(&mut plain).is_ok_and(|header| header.mode == Mode::Startup);
        for raw in packet::chunks(plain).filter(|_| is_startup) {
            let chunk = Chunk::parse(raw).unwrap();
            if matches!(chunk, Chunk::RHello(_) | Chunk::CookieChange(_)) {
                self.answered += length;
            }
            match chunk {
                _ if to == HONEST => (),
                Chunk::IHello(hello) => self.tag = hello.tag.to_vec(),
                Chunk::RHello(hello) => self.learn_cookie(hello.cookie),
                Chunk::CookieChange(change) => self.learn_cookie(change.new_cookie),
                Chunk::IIKeying(keying) => {
                    (self.initiation, self.sent_cookie) = (keying.session_id, keying.cookie_echo.to_vec());
                }
                Chunk::UserData(data) => {
                    UserDataOptions::parse(data.fragment.options.unwrap_or_default()).unwrap();
                }
                _ => (),
            }
        }
        is_startup
    }

    fn learn_cookie(&mut self, cookie: &[u8]) {
        if self.cookies.len() == 8 {
            self.cookies.remove(0);
        }
        self.cookies.push(cookie.to_vec());
    }

    /// The application answers a lookup.
    pub(super) fn redirect(&mut self, lookup: &Lookup) {
        let destinations = ADDRESSES.map(|address| TaggedAddress::new(address, Origin::Observed));
        self.victim.redirect(lookup, &destinations);
        self.settle();
    }
}

/// Limits that short inputs reach.
fn small_flows() -> FlowConfig {
    FlowConfig {
        max_receiving: 4,
        max_lingering: 4,
        max_sending: 4,
        receive_buffer: 4096,
        session_receive_buffer: 8192,
        max_message: 4096,
        max_ranges: 4,
        send_buffer: 4096,
        max_fragments: 8,
        packet_payload: 400,
        ..FlowConfig::default()
    }
}
