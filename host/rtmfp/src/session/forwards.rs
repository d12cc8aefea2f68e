//! How many hellos are passed on to one session (RFC 7016 §3.5.1.5).
//!
//! Anybody can ask for a peer, from any number of addresses, and each hello that is passed on is a packet that the peer did not
//! ask for. So each session takes a bounded number: it is the server that sends them, and not to be made a weapon of.

use std::net::IpAddr;
use std::time::Instant;

use crate::NetworkPrefix;
use crate::cells::Cells;

/// How many hellos one session is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForwardRate {
    /// At once.
    pub burst: u32,
    /// And then in a second, evenly; 0 counts as 1.
    pub per_second: u32,
}

/// When the hellos so far would all have gone out at an even rate, in nanoseconds from an epoch.
#[derive(Clone, Copy, Debug, Default)]
struct Pace(u64);

impl Pace {
    /// With one more hello now. `None` if it is one too many.
    fn next(self, now: u64, per_second: f64, burst: u32) -> Option<Self> {
        let interval = (1e9 / per_second) as u64;
        let even = self.0.max(now);
        let is_permitted = even - now <= interval.saturating_mul(u64::from(burst.saturating_sub(1)));
        is_permitted.then(|| Self(even.saturating_add(interval)))
    }
}

fn nanoseconds(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.saturating_duration_since(from).as_nanos()).unwrap_or(u64::MAX)
}

/// The hellos that one session is sent.
#[derive(Debug)]
pub(crate) struct Forwards {
    epoch: Instant,
    pace: Pace,
}

impl Forwards {
    pub(crate) fn new(now: Instant) -> Self {
        Self { epoch: now, pace: Pace::default() }
    }

    /// May one more be passed on now? If so, it counts.
    pub(crate) fn permit(&mut self, now: Instant, rate: ForwardRate) -> bool {
        let next = self.pace.next(nanoseconds(self.epoch, now), f64::from(rate.per_second.max(1)), rate.burst);
        self.pace = next.unwrap_or(self.pace);
        next.is_some()
    }
}

/// Pairs of a session and a network that are remembered at a time.
const CELLS: usize = 1 << 15;

/// How many of the hellos that one session is sent are of askers in one network: half of them at most, so that nobody who asks
/// without end takes the place of all others.
#[derive(Debug)]
pub(crate) struct ForwardShares {
    epoch: Instant,
    /// By session and network; in use once a hello is passed on. 256 KiB.
    cells: Cells<Pace>,
}

impl ForwardShares {
    pub(crate) fn new(now: Instant, secret: [u8; 16]) -> Self {
        Self { epoch: now, cells: Cells::new(secret, CELLS) }
    }

    /// What one more hello of that asker to that session would take, if it may be passed on now. It counts once it is
    /// [taken](Self::take).
    pub(crate) fn share(&mut self, now: Instant, session: u32, asker: IpAddr, rate: ForwardRate) -> Option<Share> {
        let hash = self.cells.hash((session, NetworkPrefix::of(asker)));
        let now = nanoseconds(self.epoch, now);
        let next = self.cells.at(hash)?.next(now, f64::from(rate.per_second.max(1)) / 2.0, rate.burst / 2)?;
        Some(Share { hash, next })
    }

    /// One more hello was passed on.
    pub(crate) fn take(&mut self, share: Share) {
        if let Some(cell) = self.cells.at(share.hash) {
            *cell = share.next;
        }
    }
}

/// What a hello takes of its network's part.
pub(crate) struct Share {
    hash: u64,
    next: Pace,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn askers_of_one_network_get_half_and_leave_the_rest_to_others() {
        let start = crate::test_clock();
        let rate = ForwardRate { burst: 64, per_second: 20 };
        let mut shares = ForwardShares::new(start, [7; 16]);
        let [one, other] = [[192, 0, 2, 1], [192, 0, 2, 2]].map(IpAddr::from);
        let mut permitted = |seconds: u64, session: u32, asker: IpAddr| {
            let at = start + Duration::from_secs(seconds);
            let mut permit = || {
                let share = shares.share(at, session, asker, rate);
                share.map(|share| shares.take(share)).is_some()
            };
            (0..10_000).filter(|_| permit()).count()
        };
        assert_eq!([permitted(0, 1, one), permitted(0, 1, other), permitted(0, 2, one)], [32; 3]);
        assert_eq!(permitted(1, 1, one), 10);
        assert_eq!(permitted(3600, 1, one), 32);
        assert_eq!(shares.cells.bytes(), 256 << 10);
    }

    #[test]
    fn what_is_not_counted_takes_no_share() {
        let start = crate::test_clock();
        let rate = ForwardRate { burst: 4, per_second: 5000 };
        let mut shares = ForwardShares::new(start, [7; 16]);
        let asker = IpAddr::from([192, 0, 2, 1]);
        assert!((0..100).all(|_| shares.share(start, 1, asker, rate).is_some()));
        for _ in 0..2 {
            let share = shares.share(start, 1, asker, rate).unwrap();
            shares.take(share);
        }
        assert!(shares.share(start, 1, asker, rate).is_none(), "also where the rate is high");
        assert!(shares.share(start + Duration::from_micros(400), 1, asker, rate).is_some());
    }

    #[test]
    fn some_at_once_and_then_evenly() {
        let start = crate::test_clock();
        let rate = ForwardRate { burst: 64, per_second: 20 };
        let mut forwards = Forwards::new(start);
        let permitted =
            |forwards: &mut Forwards, at: Duration| (0..10_000).filter(|_| forwards.permit(start + at, rate)).count();
        assert_eq!(permitted(&mut forwards, Duration::ZERO), 64);
        assert_eq!(permitted(&mut forwards, Duration::from_millis(49)), 0);
        assert_eq!(permitted(&mut forwards, Duration::from_millis(50)), 1);
        assert_eq!(permitted(&mut forwards, Duration::from_millis(1050)), 20);
        assert_eq!(permitted(&mut forwards, Duration::from_secs(3600)), 64);
    }
}
