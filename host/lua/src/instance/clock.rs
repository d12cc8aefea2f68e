//! The time of day of an instance: what `now`, `Date`, `os` and the expiry of tokens go by.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;

/// A clock that goes on as `Instant` does, from a time of day at some instant, and never back.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    /// At this instant it is so many milliseconds after 1970.
    anchor: (Instant, f64),
    zone: TimeZone,
}

impl Clock {
    /// The time of this computer, in the time zone of this computer.
    pub(crate) fn of_system(now: Instant) -> Self {
        // The zone is read from a file, once: scripts that ask for the time never wait for a disk.
        static ZONE: OnceLock<TimeZone> = OnceLock::new();
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { anchor: (now, wall.as_secs_f64() * 1000.0), zone: ZONE.get_or_init(TimeZone::system).clone() }
    }

    /// A made-up time, in milliseconds after 1970, in UTC.
    pub(crate) fn made_up(now: Instant, milliseconds: f64) -> Self {
        Self { anchor: (now, milliseconds), zone: TimeZone::UTC }
    }

    /// Whole milliseconds after 1970.
    pub(crate) fn milliseconds(&self, now: Instant) -> f64 {
        let (start, wall) = self.anchor;
        (wall + now.saturating_duration_since(start).as_secs_f64() * 1000.0).floor()
    }

    /// The time zone that is local here.
    pub(crate) fn zone(&self) -> &TimeZone {
        &self.zone
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_goes_on_from_its_anchor_and_never_back() {
        let now = Instant::now();
        let clock = Clock::made_up(now, 1000.5);
        assert_eq!(clock.milliseconds(now), 1000.0);
        assert_eq!(clock.milliseconds(now + Duration::from_micros(1500)), 1002.0);
        if let Some(before) = now.checked_sub(Duration::from_secs(1)) {
            assert_eq!(clock.milliseconds(before), 1000.0);
        }
        let system = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() * 1000.0;
        assert!(Clock::of_system(now).milliseconds(now) >= system - 3_600_000.0);
    }
}
