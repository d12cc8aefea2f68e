//! How many hellos are passed on to one session (RFC 7016 §3.5.1.5).
//!
//! Anybody can ask for a peer, from any number of addresses, and each hello that is passed on is a packet that the peer did not
//! ask for. So each session takes a bounded number: it is the server that sends them, and not to be made a weapon of.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::NetworkPrefix;

/// How many hellos one session is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForwardRate {
    /// At once.
    pub burst: u32,
    /// And then in a second, evenly; 0 counts as 1.
    pub per_second: u32,
}

/// When the hellos passed on so far would all have gone out at an even rate.
#[derive(Debug)]
pub(crate) struct Forwards(Instant);

impl Forwards {
    pub(crate) fn new(now: Instant) -> Self {
        Self(now)
    }

    /// May one more be passed on now? If so, it counts.
    pub(crate) fn permit(&mut self, now: Instant, rate: ForwardRate) -> bool {
        let interval = Duration::from_secs(1) / rate.per_second.max(1);
        let even = self.0.max(now);
        if even.saturating_duration_since(now) > interval * rate.burst.saturating_sub(1) {
            return false;
        }
        self.0 = even + interval;
        true
    }
}

/// Pairs of a session and a network that are remembered at a time; with more of them, one takes another's place by chance.
const CELLS: usize = 1 << 15;

/// How many of the hellos that one session is sent are of askers in one network: half of them at most, so that nobody who asks
/// without end takes the place of all others.
#[derive(Debug)]
pub(crate) struct ForwardShares {
    epoch: Instant,
    /// Nobody can tell which pairs share a cell.
    secret: [u8; 16],
    /// As in [`Forwards`], in milliseconds from the epoch. Made with the first hello that is passed on; never grows: 256 KiB.
    cells: Option<Box<[u64]>>,
}

impl ForwardShares {
    pub(crate) fn new(now: Instant, secret: [u8; 16]) -> Self {
        Self { epoch: now, secret, cells: None }
    }

    /// May one more hello of that asker be passed on to that session now? If so, it counts.
    pub(crate) fn permit(&mut self, now: Instant, session: u32, asker: IpAddr, rate: ForwardRate) -> bool {
        let mut hasher = DefaultHasher::new();
        (self.secret, session, NetworkPrefix::of(asker)).hash(&mut hasher);
        let cells = self.cells.get_or_insert_with(|| vec![0; CELLS].into_boxed_slice());
        let Some(cell) = cells.get_mut(hasher.finish() as usize % CELLS) else { return false };
        let now = now.saturating_duration_since(self.epoch).as_millis() as u64;
        let interval = 2000 / u64::from(rate.per_second.max(1));
        let even = (*cell).max(now);
        if even - now > interval * u64::from(rate.burst / 2).saturating_sub(1) {
            return false;
        }
        *cell = even + interval;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn askers_of_one_network_get_half_and_leave_the_rest_to_others() {
        let start = crate::test_clock();
        let rate = ForwardRate { burst: 64, per_second: 20 };
        let mut shares = ForwardShares::new(start, [7; 16]);
        let [one, other] = [[192, 0, 2, 1], [192, 0, 2, 2]].map(IpAddr::from);
        let mut permitted = |seconds: u64, session: u32, asker: IpAddr| {
            let at = start + Duration::from_secs(seconds);
            (0..10_000).filter(|_| shares.permit(at, session, asker, rate)).count()
        };
        assert_eq!([permitted(0, 1, one), permitted(0, 1, other), permitted(0, 2, one)], [32; 3]);
        assert_eq!(permitted(1, 1, one), 10);
        assert_eq!(permitted(3600, 1, one), 32);
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
