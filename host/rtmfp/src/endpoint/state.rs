//! What an endpoint holds.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::forward_shares::ForwardShares;
use super::index::Index;
use super::occupant::Occupant;
use super::slots::Slots;
use super::timers::Timers;
use crate::config::Config;
use crate::counters::Counters;
use crate::crypto::{CookieJar, Identity, Opener, PeerId};
use crate::event::Event;
use crate::greeting::Greeting;
use crate::outbox::Outbox;
use crate::prefix_counts::PrefixCounts;
use crate::session::{Forwarded, SpareBuffers};
use crate::session_id::SessionId;
use crate::startup::earnings::Earnings;
use crate::startup::fragments::FragmentedPackets;
use crate::startup::initiation::TAG_LEN;
use crate::startup::long_hellos::LongHellos;
use crate::startup::sealer::StartupSealer;
use crate::startup::used_cookies::UsedCookies;

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
    pub(super) config: Config,
    pub(super) rng: ChaCha20Rng,
    pub(super) cookies: CookieJar,
    pub(super) used_cookies: UsedCookies,
    pub(super) startup_opener: Opener,
    pub(super) startup_sealer: StartupSealer,
    pub(super) fragments: FragmentedPackets,
    /// The same, of packets for open sessions.
    pub(super) session_fragments: FragmentedPackets,
    pub(super) long_hellos: LongHellos,
    pub(super) slots: Slots<Occupant>,
    /// How hellos for this endpoint are answered.
    pub(super) greeting: Greeting,
    /// The open session at each address: lookups from there are its own, and a keying from there may replace it.
    pub(super) by_address: Index<SocketAddr>,
    /// The open session with each peer.
    pub(super) by_peer: Index<PeerId>,
    /// The sessions being opened, by tag.
    pub(super) by_tag: BTreeMap<[u8; TAG_LEN], SessionId>,
    pub(super) timers: Timers,
    /// When the driver had the timers handled last, if that left some that were due.
    pub(super) left_due: Option<Instant>,
    /// Sessions that may have something to send.
    pub(super) queue: VecDeque<SessionId>,
    pub(super) outbox: Outbox,
    /// For control chunks of sessions.
    pub(super) spare_buffers: SpareBuffers,
    pub(super) events: VecDeque<Event>,
    /// Hellos that the far end forwarded in the packet being processed.
    pub(super) forwarded: Vec<Forwarded>,
    pub(super) keying_jobs: usize,
    /// The jobs that answer initiators, by the initiators' networks.
    pub(super) keying_jobs_by_prefix: PrefixCounts,
    /// The startup datagram being processed has been answered.
    pub(super) is_answered: bool,
    /// The length of the startup datagram being processed; of a packet in fragments, that of all of them.
    pub(super) received: usize,
    pub(super) earnings: Earnings,
    pub(super) forward_shares: ForwardShares,
    /// Bytes of messages that all sessions hold.
    pub(super) buffered: usize,
    pub(super) is_making_room: bool,
    /// Which session received a time critical packet last, and when; then the same for the last one besides it.
    pub(super) time_critical: [Option<(SessionId, Instant)>; 2],
    pub(super) counters: Counters,
}

/// How many cookies are remembered at a time, of those that keyings brought in the last 95 seconds.
const MAX_USED_COOKIES: usize = 1 << 18;
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
            used_cookies: UsedCookies::new(now, crate::crypto::cookie::LIFETIME, MAX_USED_COOKIES),
            startup_sealer: StartupSealer::new(now, config.max_datagram),
            config,
            rng,
            cookies,
            startup_opener: Opener::startup(),
            fragments: FragmentedPackets::default(),
            long_hellos: LongHellos::default(),
            session_fragments: FragmentedPackets::default(),
            greeting: Greeting::default(),
            by_address: Index::new(),
            by_peer: Index::new(),
            by_tag: BTreeMap::new(),
            timers: Timers::default(),
            left_due: None,
            queue: VecDeque::new(),
            outbox: Outbox::default(),
            spare_buffers: SpareBuffers::default(),
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

    /// How much was received, dropped and answered.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How many cookies are remembered because a keying came with them; those of hellos alone are not (RFC 7016 §3.5.1.1.2).
    pub fn used_cookies(&self) -> usize {
        self.used_cookies.len()
    }

    pub(super) fn identity_of(&self, context: u16) -> Option<&Arc<Identity>> {
        self.config.identities.get(usize::from(context))
    }

    pub(super) fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        seed
    }
}
