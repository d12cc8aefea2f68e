//! One direction of a path between two nodes: which datagrams it loses, and when it delivers the others.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::rng::Dice;

/// What a path does to packets. Set with the methods that return `self`.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    loss: f64,
    burst: Option<Burst>,
    delay: Duration,
    jitter: Duration,
    reorder: f64,
    duplicate: f64,
    rate: Option<Rate>,
    bottleneck: Option<Bottleneck>,
    mtu: usize,
}

/// A bottleneck that several paths share: a datagram that one path queues delays those of the others.
#[derive(Clone, Debug)]
pub(crate) struct Bottleneck(Rc<RefCell<Rate>>);

impl Bottleneck {
    /// Carries so many bytes per second, behind one queue of so many bytes that drops what comes when it is full.
    pub(crate) fn new(bytes_per_second: u64, queue: u64) -> Self {
        Self(Rc::new(RefCell::new(Rate { bytes_per_second, queue, busy_until: None })))
    }
}

/// Loss in bursts: while the path is bad it loses everything.
#[derive(Clone, Debug)]
struct Burst {
    chance: f64,
    longest: Duration,
    bad_until: Option<Instant>,
}

/// A bottleneck with a queue that drops what does not fit.
#[derive(Clone, Debug)]
struct Rate {
    bytes_per_second: u64,
    queue: u64,
    busy_until: Option<Instant>,
}

impl Default for Link {
    /// A clean path of 20 ms.
    fn default() -> Self {
        Self {
            loss: 0.0,
            burst: None,
            delay: Duration::from_millis(20),
            jitter: Duration::ZERO,
            reorder: 0.0,
            duplicate: 0.0,
            rate: None,
            bottleneck: None,
            mtu: 1500 - 28,
        }
    }
}

impl Link {
    /// Loses this share of the packets.
    pub(crate) fn loss(mut self, share: f64) -> Self {
        self.loss = share;
        self
    }

    /// Turns bad with this probability at each packet, for up to so many milliseconds.
    pub(crate) fn burst(mut self, chance: f64, longest: u64) -> Self {
        self.burst = Some(Burst { chance, longest: Duration::from_millis(longest), bad_until: None });
        self
    }

    /// Delays each datagram by this many milliseconds.
    pub(crate) fn delay(mut self, millis: u64) -> Self {
        self.delay = Duration::from_millis(millis);
        self
    }

    /// Delays each datagram by up to this many milliseconds more.
    pub(crate) fn jitter(mut self, millis: u64) -> Self {
        self.jitter = Duration::from_millis(millis);
        self
    }

    /// Delivers this share of the packets much later than the others.
    pub(crate) fn reorder(mut self, share: f64) -> Self {
        self.reorder = share;
        self
    }

    /// Delivers this share of the packets twice.
    pub(crate) fn duplicate(mut self, share: f64) -> Self {
        self.duplicate = share;
        self
    }

    /// Carries so many bytes per second, behind a queue of so many bytes.
    pub(crate) fn rate(mut self, bytes_per_second: u64, queue: u64) -> Self {
        self.rate = Some(Rate { bytes_per_second, queue, busy_until: None });
        self
    }

    /// Goes through a bottleneck that other paths go through as well, and only then takes its delay.
    pub(crate) fn through(mut self, bottleneck: &Bottleneck) -> Self {
        self.bottleneck = Some(bottleneck.clone());
        self
    }

    /// Drops datagrams longer than this.
    pub(crate) fn mtu(mut self, bytes: usize) -> Self {
        self.mtu = bytes;
        self
    }

    /// When a datagram of this length arrives: never, once or twice.
    pub(crate) fn carry(&mut self, now: Instant, len: usize, dice: &mut Dice) -> [Option<Instant>; 2] {
        if len > self.mtu || self.is_lost(now, dice) {
            return [None, None];
        }
        let own = self.rate.as_mut().map_or(Some(now), |rate| rate.pass(now, len));
        let leaves = match &self.bottleneck {
            Some(Bottleneck(shared)) => own.and_then(|at| shared.borrow_mut().pass(at, len)),
            None => own,
        };
        let Some(leaves) = leaves else { return [None, None] };
        let again = dice.chance(self.duplicate);
        let mut arrival = || {
            let late = if dice.chance(self.reorder) { self.delay * 3 } else { Duration::ZERO };
            let jitter = dice.below(self.jitter.as_micros() as u64 + 1);
            leaves + self.delay + late + Duration::from_micros(jitter)
        };
        [Some(arrival()), again.then(&mut arrival)]
    }

    fn is_lost(&mut self, now: Instant, dice: &mut Dice) -> bool {
        let in_burst = self.burst.as_mut().is_some_and(|burst| {
            if burst.bad_until.is_none_or(|until| until <= now) && dice.chance(burst.chance) {
                let length = dice.below(burst.longest.as_micros() as u64 + 1);
                burst.bad_until = Some(now + Duration::from_micros(length));
            }
            burst.bad_until.is_some_and(|until| now < until)
        });
        in_burst || dice.chance(self.loss)
    }
}

impl Rate {
    /// When the datagram has left the queue; `None` when there is no room in it.
    fn pass(&mut self, now: Instant, len: usize) -> Option<Instant> {
        let begins = self.busy_until.map_or(now, |busy| busy.max(now));
        let waiting = (begins - now).as_micros() as u64 * self.bytes_per_second / 1_000_000;
        if waiting + len as u64 > self.queue {
            return None;
        }
        let ends = begins + Duration::from_micros(len as u64 * 1_000_000 / self.bytes_per_second);
        self.busy_until = Some(ends);
        Some(ends)
    }
}
