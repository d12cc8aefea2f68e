//! A thread's own view of time: whether it has stood still.

use std::time::{Duration, Instant};

/// The longest time between two beats of a watched thread, whether it has work or not.
pub const BEAT: Duration = Duration::from_secs(1);
/// A turn is late if it begins more than this after the time when it should have begun.
const MIN_LATENESS: Duration = Duration::from_secs(1);

/// The pace of a thread that takes a turn at least every [`BEAT`]. A longer pause means that the thread stood still: the process
/// was stopped or given no processor, the computer was suspended, or something that the thread called took long. A timeout that passed
/// in such a pause may have passed only because the thread could not receive what came meanwhile.
#[derive(Debug)]
pub struct Pace {
    last: Instant,
}

impl Pace {
    /// A pace whose first turn begins now.
    pub fn new(now: Instant) -> Self {
        Self { last: now }
    }

    /// Begins a turn. Returns for how long the thread stood still before it, if it did.
    pub fn turn(&mut self, now: Instant) -> Option<Duration> {
        let stood = self.stood(now);
        self.last = now;
        stood
    }

    /// Whether the thread has stood still since the turn began.
    pub fn is_late(&self, now: Instant) -> bool {
        self.stood(now).is_some()
    }

    fn stood(&self, now: Instant) -> Option<Duration> {
        let pause = now.saturating_duration_since(self.last);
        (pause >= BEAT + MIN_LATENESS).then(|| pause - BEAT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_longer_than_the_wait_is_a_standstill_and_counts_once() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        assert_eq!(pace.turn(start + BEAT), None);
        assert_eq!(pace.turn(start + 2 * BEAT + Duration::from_millis(999)), None);
        let last = start + 2 * BEAT + Duration::from_millis(999);
        let later = last + BEAT + Duration::from_secs(30);
        assert!(pace.is_late(later));
        assert_eq!(pace.turn(later), Some(Duration::from_secs(30)));
        assert_eq!(pace.turn(later), None);
    }
}
