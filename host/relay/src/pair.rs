//! One pair: its two sides, and what may be sent to each of them.

mod handover;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rtmfp::{NetworkPrefix, Rate, TokenBucket};

use crate::addresses::Standing;
use crate::attempt::{Client, Party, Side, Tag};
use crate::limits::OPENING_TIME;

pub use handover::PairRecord;

/// To an address that has proven nothing goes at most so many times what came from it.
const AMPLIFICATION: u32 = 3;
/// What may be sent at once to a client that is where a handshake has proven it to be: an RHello and a keying with long certificates.
const HANDSHAKE_ROOM: u32 = 16 << 10;
/// What may be sent to a side that has taken part in a session, until it is heard again.
const UNHEARD_ROOM: u32 = 1 << 20;

/// The attempt that a pair is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AttemptKey {
    pub(crate) asker: Client,
    pub(crate) target: Client,
    pub(crate) tag: Tag,
}

/// Where a side's datagrams come from, and what may be sent there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pin<L> {
    pub(crate) source: SocketAddr,
    /// The local address that they come to.
    pub(crate) local: L,
    pub(crate) standing: Standing,
    /// How many more bytes may be sent there.
    room: u32,
    /// Whether anything was sent there.
    is_answered: bool,
    /// Whether it has sent a packet of a session after something was sent there.
    pub(crate) is_proven: bool,
}

impl<L> Pin<L> {
    fn hear(&mut self, bytes: u32, is_of_session: bool) {
        self.is_proven |= is_of_session && self.is_answered;
        let earned = self.room.saturating_add(bytes.saturating_mul(AMPLIFICATION)).min(HANDSHAKE_ROOM.max(self.room));
        self.room = if self.is_proven { UNHEARD_ROOM } else { earned };
    }

    /// Whether that many bytes may be sent there.
    pub(crate) fn has_room(&self, bytes: u32) -> bool {
        bytes <= self.room
    }

    pub(crate) fn spend(&mut self, bytes: u32) {
        self.room -= bytes.min(self.room);
        self.is_answered = true;
    }
}

/// A side of a pair.
#[derive(Debug)]
pub(crate) struct Seat<L> {
    /// The server's port for this side.
    pub(crate) port: u16,
    pub(crate) party: Party,
    pub(crate) pin: Option<Pin<L>>,
    /// When it was heard last, or the pair was made.
    heard: Instant,
}

impl<L> Seat<L> {
    pub(crate) fn new(now: Instant, port: u16, party: Party) -> Self {
        Self { port, party, pin: None, heard: now }
    }

    pub(crate) fn network(&self) -> NetworkPrefix {
        NetworkPrefix::of(self.party.ip())
    }

    pub(crate) fn pin(&mut self, source: SocketAddr, local: L, standing: Standing) {
        let is_proven_host = self.party.is_proven && standing == Standing::Known;
        let room = if is_proven_host { HANDSHAKE_ROOM } else { 0 };
        self.pin = Some(Pin { source, local, standing, room, is_answered: false, is_proven: false });
    }

    /// Notes a datagram from the side.
    pub(crate) fn hear(&mut self, now: Instant, bytes: u32, is_of_session: bool) {
        self.heard = now;
        if let Some(pin) = &mut self.pin {
            pin.hear(bytes, is_of_session);
        }
    }

    /// How long it has been silent.
    pub(crate) fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.heard)
    }

    fn is_proven(&self) -> bool {
        self.pin.as_ref().is_some_and(|pin| pin.is_proven)
    }
}

/// A pair.
#[derive(Debug)]
pub(crate) struct Pair<L> {
    pub(crate) key: AttemptKey,
    pub(crate) seats: [Seat<L>; 2],
    pub(crate) bucket: TokenBucket,
    pub(crate) rate: Rate,
    pub(crate) made: Instant,
    /// When the asker said hello last.
    asked: Instant,
    lifetime: Duration,
    pub(crate) is_open: bool,
    pub(crate) datagrams: u64,
    pub(crate) bytes: u64,
    /// When the table looks at it next.
    pub(crate) due: Instant,
}

/// Why a pair is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    Unopened,
    Idle,
    Lifetime,
}

impl<L> Pair<L> {
    pub(crate) fn new(now: Instant, key: AttemptKey, seats: [Seat<L>; 2], rate: Rate, lifetime: Duration) -> Self {
        Self {
            key,
            seats,
            bucket: TokenBucket::default(),
            rate,
            made: now,
            asked: now,
            lifetime,
            is_open: false,
            datagrams: 0,
            bytes: 0,
            due: now,
        }
    }

    pub(crate) fn seat(&self, side: Side) -> &Seat<L> {
        &self.seats[side.index()]
    }

    pub(crate) fn seat_mut(&mut self, side: Side) -> &mut Seat<L> {
        &mut self.seats[side.index()]
    }

    /// Notes that the asker goes on asking: the pair has more time to open.
    pub(crate) fn asked(&mut self, now: Instant) {
        self.asked = now;
    }

    /// When the asker said hello last.
    pub(crate) fn last_asked(&self) -> Instant {
        self.asked
    }

    /// Whether both sides have taken part in a session. True once for each pair.
    pub(crate) fn opens(&mut self) -> bool {
        let opens = !self.is_open && self.seats.iter().all(Seat::is_proven);
        self.is_open |= opens;
        opens
    }

    /// When the pair is over if nothing happens until then, and why.
    pub(crate) fn end(&self, idle: Duration) -> (Instant, Over) {
        let lifetime = (self.made + self.lifetime, Over::Lifetime);
        let heard = self.seats[0].heard.min(self.seats[1].heard);
        let quiet = if self.is_open {
            (heard + idle, Over::Idle)
        } else {
            // An asker that has got an answer asks no more, and goes on with its keying on a path that may be bad.
            (self.asked.max(heard) + OPENING_TIME, Over::Unopened)
        };
        if lifetime.0 < quiet.0 { lifetime } else { quiet }
    }
}
