//! When the next batch of lookups is sent.

use std::time::{Duration, Instant};

/// So many batches may be in flight whenever they are due.
const FREE: usize = 8;
/// The largest number of batches in flight.
const MAX: usize = 64;
/// Beyond [`FREE`], this many batches are spread over a round trip. A lookup waits for this part of a round trip at most, and lookups that
/// come in this time are one batch.
const PER_ROUND_TRIP: u32 = 32;
/// The weight of the latest round trip in the mean.
const WEIGHT: u32 = 8;

/// Spreads the batches of lookups, so that on a quick connection they become large, and on a slow one no lookup waits for the batches
/// before it.
#[derive(Default)]
pub(super) struct Pace {
    round_trip: Duration,
    last: Option<Instant>,
}

/// When a batch may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Now,
    At(Instant),
    /// When another one has ended.
    Later,
}

impl Pace {
    /// When the next batch may be sent, if so many are in flight.
    pub(super) fn due(&self, now: Instant, in_flight: usize) -> Due {
        let next = self.last.map_or(now, |last| last + self.round_trip / PER_ROUND_TRIP);
        match in_flight {
            in_flight if in_flight < FREE => Due::Now,
            in_flight if in_flight >= MAX => Due::Later,
            _ if next <= now => Due::Now,
            _ => Due::At(next),
        }
    }

    /// A batch is sent.
    pub(super) fn began(&mut self, now: Instant) {
        self.last = Some(now);
    }

    /// Redis has answered a batch after this time.
    pub(super) fn answered(&mut self, took: Duration) {
        let mean = (self.round_trip * (WEIGHT - 1) + took) / WEIGHT;
        self.round_trip = if self.round_trip.is_zero() { took } else { mean };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_beyond_a_few_are_spread_over_a_round_trip() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        assert_eq!(
            [0, FREE - 1, FREE, MAX].map(|number| pace.due(start, number)),
            [Due::Now, Due::Now, Due::Now, Due::Later]
        );
        pace.answered(Duration::from_millis(320));
        pace.began(start);
        let next = start + Duration::from_millis(10);
        assert_eq!(
            [FREE - 1, FREE, MAX - 1, MAX].map(|number| pace.due(start, number)),
            [Due::Now, Due::At(next), Due::At(next), Due::Later]
        );
        assert_eq!(pace.due(next, FREE), Due::Now);
        // At that pace no lookup waits until a batch ends: fewer are in flight than may be.
        let mut ends = std::collections::VecDeque::new();
        let (mut now, mut longest) = (start, Duration::ZERO);
        for _ in 0..1000 {
            let asked = now;
            loop {
                while ends.front().is_some_and(|end| *end <= now) {
                    ends.pop_front();
                }
                match pace.due(now, ends.len()) {
                    Due::Now => break,
                    Due::At(next) => now = next,
                    Due::Later => now = *ends.front().unwrap(),
                }
            }
            pace.began(now);
            ends.push_back(now + Duration::from_millis(320));
            longest = longest.max(now - asked);
            now = asked + Duration::from_millis(3).max(now - asked);
        }
        assert!(longest <= Duration::from_millis(10), "{longest:?}");
    }

    #[test]
    fn the_round_trip_is_a_mean_of_the_latest() {
        let mut pace = Pace::default();
        pace.answered(Duration::from_millis(80));
        assert_eq!(pace.round_trip, Duration::from_millis(80));
        pace.answered(Duration::ZERO);
        assert_eq!(pace.round_trip, Duration::from_millis(70));
    }
}
