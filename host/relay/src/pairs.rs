//! All pairs, and how they are found.

mod allocating;
mod handover;
mod passing;

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rtmfp::{NetworkPrefix, Rate, TokenBucket};
use smallvec::SmallVec;

use crate::addresses::OwnAddresses;
use crate::attempt::{Client, Side, Tag};
use crate::counts::{Counts, End};
use crate::limits::{Limits, rate};
use crate::pair::{AttemptKey, Over, Pair};
use crate::startup::Reader;

/// The place of a pair in the table.
type Place = u32;

/// The address families of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Families {
    /// Whether it has an IPv4 socket.
    pub v4: bool,
    /// Whether it has an IPv6 socket.
    pub v6: bool,
}

/// The ports of a pair, as places in the list that [`Pairs::new`] was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayPorts {
    /// The port to which the asker sends.
    pub asker: u16,
    /// The port to which the target sends.
    pub target: u16,
}

/// Where a datagram goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward<L> {
    /// The port that it leaves from.
    pub port: u16,
    /// The local address that it leaves from.
    pub local: L,
    /// The address that it goes to.
    pub to: SocketAddr,
}

/// What there is to see of a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairView {
    /// Who asked.
    pub asker: Client,
    /// Who was asked for.
    pub target: Client,
    /// Where the asker's datagrams come from, once that is known.
    pub asker_address: Option<SocketAddr>,
    /// Where the target's datagrams come from, once that is known.
    pub target_address: Option<SocketAddr>,
    /// Whether both sides have exchanged packets of a session.
    pub is_open: bool,
    /// How long ago it was made.
    pub age: Duration,
    /// The datagrams passed on, in both directions together.
    pub datagrams: u64,
    /// The bytes of their payloads.
    pub bytes: u64,
}

/// The pairs of a relay. `L` is a local address of the server: what a socket says of where a datagram came to.
///
/// A datagram finds its pair by the port and its source once that side is pinned, and by the port and the tag before. To keep both unambiguous, a
/// client never has two pairs at one port, and no two pairs at one port have the same tag. Each datagram costs the same, whatever there are of
/// pairs; tables are hashed with keys of their own.
pub struct Pairs<L> {
    limits: Limits,
    ports: Vec<Families>,
    own: OwnAddresses,
    pairs: Vec<Option<Pair<L>>>,
    free: Vec<Place>,
    by_attempt: HashMap<AttemptKey, Place>,
    by_tag: HashMap<(u16, Tag), (Place, Side)>,
    by_source: HashMap<(u16, SocketAddr), (Place, Side)>,
    of_client: HashMap<Client, SmallVec<[Place; 4]>>,
    of_network: HashMap<NetworkPrefix, usize>,
    /// The pairs in the order in which they are looked at.
    due: BTreeSet<(Instant, Place)>,
    /// The pairs that are not open, in the order in which their askers said hello last.
    unopened: BTreeSet<(Instant, Place)>,
    /// The port at which the search for a free one begins.
    next_port: usize,
    total: TokenBucket,
    total_rate: Rate,
    /// The origin of the buckets' time.
    epoch: Instant,
    reader: Reader,
    counts: Counts,
}

impl<L: Copy> Pairs<L> {
    /// A relay with these ports, which are named by their places in the list.
    pub fn new(now: Instant, ports: Vec<Families>, own: OwnAddresses, limits: Limits) -> Self {
        Self {
            total_rate: rate(limits.bytes_per_second),
            limits,
            ports,
            own,
            pairs: Vec::new(),
            free: Vec::new(),
            by_attempt: HashMap::new(),
            by_tag: HashMap::new(),
            by_source: HashMap::new(),
            of_client: HashMap::new(),
            of_network: HashMap::new(),
            due: BTreeSet::new(),
            unopened: BTreeSet::new(),
            next_port: 0,
            total: TokenBucket::default(),
            epoch: now,
            reader: Reader::new(),
            counts: Counts::default(),
        }
    }

    /// The limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Other limits, from now on. Pairs that are there already stay.
    pub fn set_limits(&mut self, limits: Limits) {
        self.total_rate = rate(limits.bytes_per_second);
        self.limits = limits;
    }

    /// Other addresses of the server, from now on.
    pub fn set_own_addresses(&mut self, own: OwnAddresses) {
        self.own = own;
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.by_attempt.len()
    }

    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        self.by_attempt.is_empty()
    }

    /// How many of them are open: both sides have exchanged packets of a session.
    pub fn open(&self) -> usize {
        self.len() - self.unopened.len()
    }

    /// The counters since the start.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The counters, to count what is refused before it comes here.
    pub fn counts_mut(&mut self) -> &mut Counts {
        &mut self.counts
    }

    /// The pairs in the order of their places, from this place on. A pair has its place as long as it lives; a later one may have it then.
    pub fn views(&self, now: Instant, from: usize) -> impl Iterator<Item = (usize, PairView)> + '_ {
        let pairs = self.pairs.iter().enumerate().skip(from);
        pairs.filter_map(|(place, pair)| Some((place, pair.as_ref()?))).map(move |(place, pair)| {
            let address = |side: Side| pair.seat(side).pin.as_ref().map(|pin| pin.source);
            let view = PairView {
                asker: pair.key.asker,
                target: pair.key.target,
                asker_address: address(Side::Asker),
                target_address: address(Side::Target),
                is_open: pair.is_open,
                age: now.saturating_duration_since(pair.made),
                datagrams: pair.datagrams,
                bytes: pair.bytes,
            };
            (place, view)
        })
    }

    /// Ends all pairs of a client that is not wanted any more.
    pub fn end_of(&mut self, client: &Client) {
        for place in self.of_client.get(client).cloned().unwrap_or_default() {
            self.remove(place, End::Disconnected);
        }
    }

    /// Whether two clients have a session by a pair, whichever of them asked for the other.
    pub fn is_open_between(&self, one: &Client, other: &Client) -> bool {
        let pairs = self.of_client.get(one).into_iter().flatten().filter_map(|place| self.pair(*place));
        let has = |pair: &Pair<L>| Side::BOTH.into_iter().any(|side| pair.seat(side).party.client == *other);
        pairs.filter(|pair| pair.is_open).any(has)
    }

    /// When [`Self::handle_timeout`] is to be called next; `None` if there is no pair.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Ends the pairs whose time is over.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(at, place)) = self.due.first().filter(|(at, _)| *at <= now) {
            let Some(pair) = self.pair(place) else {
                self.due.remove(&(at, place));
                continue;
            };
            let (end, over) = pair.end(self.limits.idle);
            if end <= now {
                let cause = match over {
                    Over::Unopened => End::Unopened,
                    Over::Idle => End::Idle,
                    Over::Lifetime => End::Lifetime,
                };
                self.remove(place, cause);
            } else {
                self.arm(place, end);
            }
        }
    }

    fn pair(&self, place: Place) -> Option<&Pair<L>> {
        self.pairs.get(place as usize)?.as_ref()
    }

    fn pair_mut(&mut self, place: Place) -> Option<&mut Pair<L>> {
        self.pairs.get_mut(place as usize)?.as_mut()
    }

    /// Looks at a pair at that time, instead of when it was due.
    fn arm(&mut self, place: Place, at: Instant) {
        let Some(pair) = self.pair_mut(place) else { return };
        let before = std::mem::replace(&mut pair.due, at);
        self.due.remove(&(before, place));
        self.due.insert((at, place));
    }

    fn insert(&mut self, pair: Pair<L>) -> Place {
        let end = pair.end(self.limits.idle).0;
        let place = self.free.pop().unwrap_or_else(|| {
            self.pairs.push(None);
            Place::try_from(self.pairs.len() - 1).unwrap_or(Place::MAX)
        });
        self.by_attempt.insert(pair.key.clone(), place);
        for side in Side::BOTH {
            let seat = pair.seat(side);
            self.by_tag.insert((seat.port, pair.key.tag.clone()), (place, side));
            self.of_client.entry(seat.party.client).or_default().push(place);
            *self.of_network.entry(seat.network()).or_default() += 1;
        }
        self.unopened.insert((pair.last_asked(), place));
        if let Some(slot) = self.pairs.get_mut(place as usize) {
            *slot = Some(pair);
        }
        self.arm(place, end);
        place
    }

    fn remove(&mut self, place: Place, cause: End) {
        let Some(pair) = self.pairs.get_mut(place as usize).and_then(Option::take) else { return };
        self.free.push(place);
        self.counts.end(cause);
        self.due.remove(&(pair.due, place));
        self.unopened.remove(&(pair.last_asked(), place));
        self.by_attempt.remove(&pair.key);
        for side in Side::BOTH {
            let seat = pair.seat(side);
            self.by_tag.remove(&(seat.port, pair.key.tag.clone()));
            if let Some(pin) = &seat.pin {
                self.by_source.remove(&(seat.port, pin.source));
            }
            let client = seat.party.client;
            if let Some(places) = self.of_client.get_mut(&client) {
                places.retain(|other| *other != place);
                if places.is_empty() {
                    self.of_client.remove(&client);
                }
            }
            let network = seat.network();
            if let Some(count) = self.of_network.get_mut(&network) {
                *count -= 1;
                if *count == 0 {
                    self.of_network.remove(&network);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
