//! A worker that stood still: it reads what has arrived meanwhile before it gives a client up for silence.

use std::time::{Duration, Instant};

use introd_liveness::Pace;
use introd_udp::MAX_CATCH_UP;

/// Notices that a worker stood still, and decides how long it then reads its sockets before anything else.
pub(super) struct Standstill {
    pace: Pace,
    /// How many more batches of datagrams are read at most.
    to_read: usize,
}

impl Standstill {
    /// For a worker whose first turn begins now.
    pub(super) fn new(now: Instant) -> Self {
        Self { pace: Pace::new(now), to_read: 0 }
    }

    /// Begins a turn. Returns for how long the worker stood still before it, if it did.
    pub(super) fn begin_turn(&mut self, now: Instant) -> Option<Duration> {
        let stood = self.pace.turn(now);
        if stood.is_some() {
            self.to_read = MAX_CATCH_UP;
        }
        stood
    }

    /// Whether the worker has stood still since the turn began.
    pub(super) fn is_late(&self, now: Instant) -> bool {
        self.pace.is_late(now)
    }

    /// Whether the sockets are to be read before anything else.
    pub(super) fn is_catching_up(&self) -> bool {
        self.to_read > 0
    }

    /// Notes that the sockets were read, and whether any had datagrams. A flood of them does not keep the worker here for ever.
    pub(super) fn has_read(&mut self, is_any: bool) {
        self.to_read = if is_any { self.to_read.saturating_sub(1) } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use introd_liveness::BEAT;

    use super::*;

    const PAUSE: Duration = Duration::from_secs(10);

    #[test]
    fn after_a_standstill_the_sockets_are_read_until_they_are_empty() {
        let start = Instant::now();
        let mut standstill = Standstill::new(start);
        assert_eq!((standstill.begin_turn(start + BEAT), standstill.is_catching_up()), (None, false));
        assert!(!standstill.is_late(start + 2 * BEAT) && standstill.is_late(start + PAUSE));
        assert_eq!(standstill.begin_turn(start + BEAT + PAUSE), Some(PAUSE - BEAT));
        for _ in 0..3 {
            assert!(standstill.is_catching_up());
            standstill.has_read(true);
        }
        assert_eq!(standstill.begin_turn(start + BEAT + PAUSE), None);
        assert!(standstill.is_catching_up(), "another turn does not end it");
        standstill.has_read(false);
        assert!(!standstill.is_catching_up());
    }

    #[test]
    fn a_flood_does_not_keep_a_worker_at_its_sockets_for_ever() {
        let start = Instant::now();
        let mut standstill = Standstill::new(start);
        standstill.begin_turn(start + PAUSE);
        for _ in 0..MAX_CATCH_UP {
            assert!(standstill.is_catching_up());
            standstill.has_read(true);
        }
        assert!(!standstill.is_catching_up());
        standstill.has_read(true);
        assert!(!standstill.is_catching_up());
    }
}
