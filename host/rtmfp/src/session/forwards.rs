//! How many hellos are passed on to one session (RFC 7016 §3.5.1.5).
//!
//! Anybody can ask for a peer, from any number of addresses, and each hello that is passed on is a packet that the peer did not
//! ask for. So each session takes a bounded number: it is the server that sends them, and not to be made a weapon of.

use std::time::{Duration, Instant};

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

#[cfg(test)]
mod tests {
    use super::*;

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
