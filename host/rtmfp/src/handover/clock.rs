//! Times in a state: nanoseconds after the moment when it was made, or before it if negative.

use std::time::{Duration, Instant};

/// Translates times between an endpoint and its state.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// When the state was made.
    origin: Instant,
}

impl Clock {
    /// `origin` is when the state was made.
    pub fn new(origin: Instant) -> Self {
        Self { origin }
    }

    /// A time as it stands in a state.
    pub fn write(self, time: Instant) -> i64 {
        let nanos = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        match time.checked_duration_since(self.origin) {
            Some(after) => nanos(after),
            None => -nanos(self.origin.saturating_duration_since(time)),
        }
    }

    /// The same for a time that may be missing.
    pub fn write_any(self, time: Option<Instant>) -> Option<i64> {
        time.map(|time| self.write(time))
    }

    /// A time from a state. One that this computer's clock cannot show is the moment when the state was made.
    pub fn read(self, nanos: i64) -> Instant {
        let distance = Duration::from_nanos(nanos.unsigned_abs());
        let time = if nanos < 0 { self.origin.checked_sub(distance) } else { self.origin.checked_add(distance) };
        time.unwrap_or(self.origin)
    }

    /// The same for a time that may be missing.
    pub fn read_any(self, nanos: Option<i64>) -> Option<Instant> {
        nanos.map(|nanos| self.read(nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_back_whatever_side_of_the_origin_they_are_on() {
        let origin = crate::test_clock::test_clock();
        let clock = Clock::new(origin);
        for millis in [0, 1, 95_000] {
            let distance = Duration::from_millis(millis);
            assert_eq!(clock.read(clock.write(origin + distance)), origin + distance);
            assert_eq!(clock.read(clock.write(origin - distance)), origin - distance);
        }
        assert_eq!(clock.read_any(clock.write_any(None)), None);
        // What no clock shows is no panic.
        let _ = (clock.read(i64::MIN), clock.read(i64::MAX));
    }
}
