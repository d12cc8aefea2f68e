//! When a hello or a keying that got no answer is sent again (RFC 7016 §3.5.1.1.1).

use std::time::{Duration, Instant};

/// How long the first answer is waited for; each repetition is waited for this much longer than the one before.
pub(super) const FIRST_WAIT: Duration = Duration::from_millis(1000);
const MORE_WAIT: Duration = Duration::from_millis(1500);

/// The times at which one thing is sent, further apart each time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    wait: Duration,
    next: Instant,
}

impl Backoff {
    /// The first time is now.
    pub(super) fn new(now: Instant) -> Self {
        Self { wait: FIRST_WAIT, next: now }
    }

    /// When it is sent next.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// It was sent before.
    pub(super) fn is_repetition(&self) -> bool {
        self.wait > FIRST_WAIT
    }

    /// It is sent once more now, beside the times that would have come anyway.
    pub(super) fn hasten(&mut self, now: Instant) {
        self.next = self.next.min(now);
    }

    /// How often it was sent.
    pub(super) fn sent(&self) -> u128 {
        (self.wait - FIRST_WAIT).as_millis() / MORE_WAIT.as_millis()
    }

    /// Is it time? If so, the next time is set.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let is_due = now >= self.next;
        if is_due {
            self.next = now + self.wait;
            self.wait += MORE_WAIT;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::test_clock;

    /// RFC 7016 §3.5.1.1.1.
    #[test]
    fn repetitions_are_further_apart_each_time() {
        let now = test_clock();
        let mut backoff = Backoff::new(now);
        let mut waits = Vec::new();
        let mut at = now;
        for _ in 0..4 {
            assert!(backoff.is_due(at) && !backoff.is_due(at));
            waits.push((backoff.next - at).as_millis());
            at = backoff.next;
        }
        assert_eq!(waits, [1000, 2500, 4000, 5500]);
    }
}
