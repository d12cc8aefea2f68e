//! The one public entry: datagrams and time in, datagrams and events out.

mod buffered;
mod by_prefix;
mod config;
mod counters;
mod earnings;
mod event;
mod fragments;
mod index;
mod keying;
mod keying_job;
mod lookup;
mod outbox;
mod sessions;
mod slots;
mod standstill;
mod startup;
mod timers;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

pub use by_prefix::SessionCounts;
pub use config::{Config, ForwardedHello, Forwarders};
pub use counters::Counters;
pub use event::{CloseReason, Event, Lookup, OpenFailure, Refusal, RevealedKeys};
pub use keying_job::{KeyingDone, KeyingJob};
pub use lookup::Deny;
pub(crate) use outbox::Outbox;
pub use outbox::Transmit;
pub use sessions::SessionInfo;
pub use slots::{MAX_PREFIXES, MAX_SLOTS, SessionId, prefix_of};
pub(crate) use startup::StartupSeal;

use crate::NetworkPrefix;
use crate::crypto::cipher;
use crate::crypto::{CookieJar, Identity, Opener, PeerId};
use crate::session::budget::Admission;
use crate::session::forwards::ForwardShares;
use crate::session::used_cookies::UsedCookies;
use crate::session::{Context, Forwarded, Initiation, Received, Session, State};
use crate::wire::packet;
use crate::wire::{Chunk, Mode, PacketHeader};
use by_prefix::PrefixCounts;
use earnings::Earnings;
use fragments::Reassembly;
use index::Index;
use slots::Slots;
use timers::Timers;

/// Names an interface of the driver's: a socket, or one local address of a socket. The engine only carries it around.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InterfaceId(pub u32);

/// What stands behind a session id.
enum Occupant {
    /// A session that this end opens.
    Initiation(Box<Initiation>),
    /// A session that is, or was, open.
    Session(Box<Session>),
}

/// An RTMFP endpoint: initiator, responder, redirector and forwarder at once (RFC 7016).
///
/// After every call that changes something ([`handle_datagram`](Self::handle_datagram), [`handle_timeout`](Self::handle_timeout),
/// [`keying_done`](Self::keying_done), anything that the application asks for), drain [`poll_event`](Self::poll_event) and
/// [`poll_transmit`](Self::poll_transmit) until both return `None`, then ask [`poll_timeout`](Self::poll_timeout) when to wake up.
/// A driver may handle a batch of datagrams before it drains.
///
/// An unproven packet earns at most one reply, however many chunks it has, and less than three bytes for each of its own: the table
/// stands in [`guide::sessions`](crate::guide::sessions). No state is kept before a cookie has come back, but for fragments of long
/// packets, within 2 MiB, and the bytes of packets too short to earn their answer, within 1 MiB.
pub struct Endpoint {
    config: Config,
    rng: ChaCha20Rng,
    cookies: CookieJar,
    used_cookies: UsedCookies,
    startup_opener: Opener,
    startup_seal: StartupSeal,
    fragments: Reassembly,
    slots: Slots<Occupant>,
    /// The open session at each address, for those who ask from there and for those who want to take it over.
    by_address: Index<SocketAddr>,
    /// The open session with each peer.
    by_peer: Index<PeerId>,
    /// The sessions being opened, by tag.
    by_tag: BTreeMap<[u8; crate::session::initiator::TAG_LEN], SessionId>,
    timers: Timers,
    /// Sessions that may have something to send.
    queue: VecDeque<SessionId>,
    outbox: Outbox,
    events: VecDeque<Event>,
    /// Passed on by forwarders in the packet being processed.
    forwarded: Vec<Forwarded>,
    keying_jobs: usize,
    /// Those that answer initiators, by the initiators' networks.
    keying_jobs_by_prefix: PrefixCounts,
    /// The startup datagram being processed has had its answer.
    is_answered: bool,
    /// The bytes of the startup datagram being processed; fewer if it is the last fragment of a packet.
    received: usize,
    earnings: Earnings,
    forward_shares: ForwardShares,
    /// Bytes that all sessions hold.
    buffered: usize,
    is_making_room: bool,
    /// Which session received a time critical packet last, and when; and the same for the last other one.
    time_critical: [Option<(SessionId, Instant)>; 2],
    counters: Counters,
}

/// So many cookies are remembered at a time, of those that keyings brought in the last 95 seconds.
const MAX_USED_COOKIES: usize = 1 << 18;
/// A session yields to time critical data in another for so long (RFC 7016 §3.5.2.1).
const TIME_CRITICAL_MEMORY: std::time::Duration = std::time::Duration::from_millis(800);

impl Endpoint {
    /// An endpoint whose randomness follows from `seed`: give it 32 bytes from the operating system, or a fixed seed for a
    /// run that can be repeated.
    pub fn new(now: Instant, config: Config, seed: [u8; 32]) -> Self {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let cookies = config.cookies.clone().unwrap_or_else(|| CookieJar::new(now, &mut rng));
        let mut secret = [0; 16];
        rng.fill_bytes(&mut secret);
        Self {
            slots: Slots::new(config.session_prefix, config.max_sessions),
            used_cookies: UsedCookies::new(crate::crypto::cookie::LIFETIME, MAX_USED_COOKIES),
            startup_seal: StartupSeal::new(now, config.max_datagram),
            config,
            rng,
            cookies,
            startup_opener: Opener::startup(),
            fragments: Reassembly::default(),
            by_address: Index::new(),
            by_peer: Index::new(),
            by_tag: BTreeMap::new(),
            timers: Timers::default(),
            queue: VecDeque::new(),
            outbox: Outbox::default(),
            events: VecDeque::new(),
            forwarded: Vec::new(),
            keying_jobs: 0,
            keying_jobs_by_prefix: PrefixCounts::default(),
            is_answered: false,
            received: 0,
            earnings: Earnings::new(now, secret),
            forward_shares: ForwardShares::new(now, secret),
            buffered: 0,
            is_making_room: false,
            time_critical: [None; 2],
            counters: Counters::default(),
        }
    }

    /// What was dropped, and why; what was answered.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How many cookies are remembered because a keying came with them; those of hellos alone are not (RFC 7016 §3.5.1.1.2).
    pub fn used_cookies(&self) -> usize {
        self.used_cookies.len()
    }

    /// Takes in a datagram that came by `interface` from `from`. It is deciphered in place.
    pub fn handle_datagram(&mut self, now: Instant, interface: InterfaceId, from: SocketAddr, datagram: &mut [u8]) {
        self.counters.datagrams += 1;
        self.startup_seal.set_time(now);
        let transmit = Transmit { interface, to: from };
        match cipher::session_id(datagram) {
            None => self.counters.malformed += 1,
            Some(0) => self.handle_startup(now, transmit, None, datagram),
            Some(id) => match self.slots.id(id) {
                None => self.counters.unknown_session += 1,
                Some(id) => match self.slots.get_mut(id) {
                    Some(Occupant::Initiation(_)) => self.handle_startup(now, transmit, Some(id), datagram),
                    _ => self.handle_session_datagram(now, transmit, id, datagram),
                },
            },
        }
    }

    /// Startup packets: addressed to no session, or to one that is being opened (RFC 7016 §2.3.6, §2.3.8).
    fn handle_startup(&mut self, now: Instant, transmit: Transmit, session: Option<SessionId>, datagram: &mut [u8]) {
        let len = datagram.len();
        let Ok(mut plain) = self.startup_opener.open(datagram) else {
            self.counters.unverified += 1;
            return;
        };
        let is_startup = PacketHeader::take(&mut plain).is_ok_and(|header| header.mode == Mode::Startup);
        if !is_startup {
            self.counters.malformed += 1;
            return;
        }
        self.is_answered = false;
        self.received = len;
        for raw in packet::chunks(plain) {
            match Chunk::parse(raw) {
                Ok(Chunk::PacketFragment(fragment)) => {
                    let session_id = session.map_or(0, SessionId::get);
                    if let Some(whole) = self.fragments.add(now, transmit.to, session_id, &fragment) {
                        self.received = whole.len() + fragments::MIN_OVERHEAD;
                        self.handle_whole(now, transmit, session, &whole);
                        self.received = len;
                    }
                }
                Ok(chunk) => self.handle_startup_chunk(now, transmit, session, &chunk, raw.payload),
                Err(_) => self.counters.malformed += 1,
            }
        }
    }

    /// A packet that came in fragments; one whose mode is not that of its fragments is dropped (RFC 7016 §3.4).
    fn handle_whole(&mut self, now: Instant, transmit: Transmit, session: Option<SessionId>, mut plain: &[u8]) {
        if PacketHeader::take(&mut plain).is_ok_and(|header| header.mode == Mode::Startup) {
            for raw in packet::chunks(plain) {
                match Chunk::parse(raw) {
                    Ok(chunk) => self.handle_startup_chunk(now, transmit, session, &chunk, raw.payload),
                    Err(_) => self.counters.malformed += 1,
                }
            }
        } else {
            self.counters.malformed += 1;
        }
    }

    fn handle_startup_chunk(
        &mut self,
        now: Instant,
        transmit: Transmit,
        session: Option<SessionId>,
        chunk: &Chunk<'_>,
        payload: &[u8],
    ) {
        match (session, chunk) {
            // What an unproven packet earns must not grow with the number of its chunks: it has one hello or one keying.
            (None, Chunk::IHello(_) | Chunk::IIKeying(_)) if std::mem::replace(&mut self.is_answered, true) => {
                self.counters.ignored += 1;
            }
            (None, Chunk::IHello(hello)) => self.handle_hello(now, transmit, hello.epd, hello.tag),
            (None, Chunk::RHello(hello)) => self.handle_responder_hello(now, transmit, hello),
            (None, Chunk::Redirect(redirect)) => self.handle_redirect(now, transmit, redirect),
            (None, Chunk::IIKeying(keying)) => self.handle_initiator_keying(now, transmit, keying, payload),
            (Some(id), Chunk::RIKeying(_)) => self.handle_responder_keying(id, payload),
            (Some(id), Chunk::CookieChange(change)) => {
                if let Some(Occupant::Initiation(initiation)) = self.slots.get_mut(id) {
                    initiation.change_cookie(now, change.old_cookie, change.new_cookie);
                    self.run_initiation(now, id);
                }
            }
            // RFC 7016 §2.3: a chunk in a packet of the wrong mode is ignored, and so is an unknown one.
            _ => self.counters.ignored += 1,
        }
    }

    fn handle_session_datagram(&mut self, now: Instant, transmit: Transmit, id: SessionId, datagram: &mut [u8]) {
        if !self.is_admitted(now, id) {
            self.counters.over_budget += 1;
            return;
        }
        let Transmit { interface, to: from } = transmit;
        let received =
            self.with_session(now, id, |session, context| session.receive(context, interface, from, datagram));
        match received {
            None => self.counters.unknown_session += 1,
            Some(Received::Rejected(cipher::Rejected::Duplicate)) => self.counters.duplicates += 1,
            Some(Received::Rejected(_)) => self.counters.unverified += 1,
            Some(Received::Misfit) => self.counters.malformed += 1,
            Some(Received::Processed { time_critical }) => {
                if time_critical {
                    self.note_time_critical(now, id);
                }
            }
        }
        while let Some(hello) = self.forwarded.pop() {
            self.handle_forwarded_hello(now, &hello);
        }
    }

    /// Whether a session's datagram is read: not while it has used up its share of work.
    fn is_admitted(&mut self, now: Instant, id: SessionId) -> bool {
        let Some(limit) = self.config.max_work else { return true };
        let Some(Occupant::Session(session)) = self.slots.get_mut(id) else { return true };
        let admission = session.admit(now, limit.get());
        if matches!(admission, Admission::Slow | Admission::TooLong) {
            let is_persistent = admission == Admission::TooLong;
            self.events.push_back(Event::Overspent { session: id, is_persistent });
        }
        admission == Admission::Take
    }

    fn note_time_critical(&mut self, now: Instant, id: SessionId) {
        if self.time_critical[0].is_some_and(|(last, _)| last != id) {
            self.time_critical[1] = self.time_critical[0];
        }
        self.time_critical[0] = Some((id, now));
    }

    /// RFC 7016 §3.5.2.1: did another session receive time critical data of late?
    fn others_are_time_critical(&self, now: Instant, id: SessionId) -> bool {
        self.time_critical
            .iter()
            .flatten()
            .any(|(other, at)| *other != id && now.saturating_duration_since(*at) < TIME_CRITICAL_MEMORY)
    }

    /// Does what has become due. To be called when the time that [`Self::poll_timeout`] named has come; earlier does no harm.
    ///
    /// When it is called much later, the driver stood still ([`Self::standstill`]): that time does not count as silence of the
    /// peers, and each session has time for a ping and its reply before it is given up. The driver is to hand over first what
    /// waits in its sockets.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.startup_seal.set_time(now);
        self.forgive_standstill(now);
        while let Some((at, id)) = self.timers.pop(now) {
            match self.slots.get_mut(id) {
                Some(Occupant::Session(session)) if session.armed == Some(at) => {
                    session.armed = None;
                    let is_due = session.deadline(&self.config).is_some_and(|deadline| deadline <= now);
                    self.with_session(now, id, |session, context| {
                        if is_due {
                            session.handle_timeout(context);
                        }
                    });
                }
                Some(Occupant::Initiation(initiation)) if initiation.armed == Some(at) => {
                    initiation.armed = None;
                    self.run_initiation(now, id);
                }
                _ => (),
            }
        }
    }

    /// The next event. To be called until it returns `None` after anything was handled.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Appends the next datagram to `out`, which the caller empties before each call, and says where it is to go. To be called
    /// until it returns `None` after anything was handled.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<Transmit> {
        if let Some(transmit) = self.outbox.pop(out) {
            return Some(transmit);
        }
        while let Some(&id) = self.queue.front() {
            let is_yielding = self.others_are_time_critical(now, id);
            let transmit = match self.slots.get_mut(id) {
                Some(Occupant::Session(session)) => {
                    let transmit = session.fill(now, &self.config, is_yielding, out);
                    let (id, deadline) = (id, session.deadline(&self.config));
                    self.timers.arm(now, id, &mut session.armed, deadline);
                    if transmit.is_none() {
                        session.is_queued = false;
                    }
                    transmit
                }
                _ => None,
            };
            self.queue.pop_front();
            if let Some(transmit) = transmit {
                // To the end: the sessions take turns.
                self.queue.push_back(id);
                return Some(transmit);
            }
            self.settle(id);
        }
        None
    }

    /// When [`Self::handle_timeout`] is to be called, unless something else happens before. To be asked after draining.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Lets a session work, and does what follows from that for the endpoint's tables. `None` when there is no such session.
    fn with_session<T>(
        &mut self,
        now: Instant,
        id: SessionId,
        work: impl FnOnce(&mut Session, &mut Context<'_>) -> T,
    ) -> Option<T> {
        let Some(Occupant::Session(session)) = self.slots.get_mut(id) else { return None };
        let rng = &mut self.rng;
        let mut context = Context {
            now,
            id,
            config: &self.config,
            events: &mut self.events,
            outbox: &mut self.outbox,
            forwarded: &mut self.forwarded,
            random: &mut |bytes| rng.fill_bytes(bytes),
        };
        let (was_open, address) = (session.state() == State::Open, session.transmit().to);
        let result = work(session, &mut context);
        let is_open = session.state() == State::Open;
        let (peer, moved_to) = (session.identity().peer_id, session.transmit().to);
        if !session.is_queued && session.wants_transmit(now) {
            session.is_queued = true;
            self.queue.push_back(id);
        }
        let deadline = session.deadline(&self.config);
        self.timers.arm(now, id, &mut session.armed, deadline);
        let buffered = session.bytes_buffered();
        self.buffered = self.buffered + buffered - std::mem::replace(&mut session.buffered, buffered);
        if session.role() == Mode::Responder && moved_to != address {
            let (from, to) = (NetworkPrefix::of(address.ip()), NetworkPrefix::of(moved_to.ip()));
            self.config.sessions_by_prefix.moved(from, to);
        }
        if was_open && (!is_open || moved_to != address) {
            self.by_address.remove(&address, id);
            if is_open {
                self.by_address.insert(id, &self.slots);
            } else {
                self.by_peer.remove(&peer, id);
            }
        }
        self.settle(id);
        self.make_room(now);
        Some(result)
    }

    /// Frees the slot of a session that is over and has sent what it had to send.
    fn settle(&mut self, id: SessionId) {
        if let Some(Occupant::Session(session)) = self.slots.get(id)
            && session.state() == State::Closed
            && !session.is_queued
        {
            if session.role() == Mode::Responder {
                self.config.sessions_by_prefix.remove(NetworkPrefix::of(session.transmit().to.ip()));
            }
            self.slots.remove(id);
        }
    }

    fn identity_of(&self, context: u16) -> Option<&Arc<Identity>> {
        self.config.identities.get(usize::from(context))
    }

    fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        seed
    }
}
