//! The time of day of an instance: what `now`, `Date`, `os` and the expiry of tokens go by.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;

/// How often a clock is compared with the system's, and by how much it must be behind to be set, in milliseconds.
const LOOK_EVERY: Duration = Duration::from_secs(10);
const BEHIND: f64 = 1000.0;

/// A clock that goes on as `Instant` does, from a time of day at some instant, and never back.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    /// At this instant it is so many milliseconds after 1970.
    anchor: (Instant, f64),
    /// When it was last compared with the system's clock. `None` for a made-up one.
    looked: Option<Instant>,
    zone: TimeZone,
}

impl Clock {
    /// The time of this computer, in the time zone of this computer.
    pub(crate) fn of_system(now: Instant) -> Self {
        // The zone is read from a file, once: scripts that ask for the time never wait for a disk.
        static ZONE: OnceLock<TimeZone> = OnceLock::new();
        Self { anchor: (now, wall()), looked: Some(now), zone: ZONE.get_or_init(TimeZone::system).clone() }
    }

    /// A made-up time, in milliseconds after 1970, in UTC.
    pub(crate) fn made_up(now: Instant, milliseconds: f64) -> Self {
        Self { anchor: (now, milliseconds), looked: None, zone: TimeZone::UTC }
    }

    /// Compares the clock with the system's, now and then: a computer may learn the time only after the server has started, and `Instant`
    /// stands still while it sleeps.
    pub(crate) fn look(&mut self, now: Instant) {
        if self.looked.is_some_and(|looked| now.saturating_duration_since(looked) >= LOOK_EVERY) {
            self.looked = Some(now);
            // Not the instant of the event, which may be a while ago.
            self.keep_up(Instant::now(), wall());
        }
    }

    /// The system's clock shows so many milliseconds now.
    fn keep_up(&mut self, now: Instant, wall: f64) {
        let behind = wall - self.milliseconds(now);
        if behind > BEHIND {
            self.anchor.1 += behind;
        }
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

/// What the system's clock shows, in milliseconds after 1970.
fn wall() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_behind_the_systems_is_set_and_one_that_is_ahead_goes_on() {
        let now = Instant::now();
        let mut clock = Clock::made_up(now, 5000.0);
        for (wall, expected) in [(5900.0, 5000.0), (4000.0, 5000.0), (6001.0, 6001.0), (5000.0, 6001.0), (1e12, 1e12)] {
            clock.keep_up(now, wall);
            assert_eq!(clock.milliseconds(now), expected, "{wall}");
        }
        // A made-up clock does not look at the system's.
        clock.look(now + 2 * LOOK_EVERY);
        assert_eq!(clock.milliseconds(now), 1e12);
        let mut clock = Clock { looked: Some(now), ..Clock::made_up(now, 0.0) };
        clock.look(now + LOOK_EVERY / 2);
        assert_eq!(clock.milliseconds(now), 0.0, "it is not time to look yet");
        clock.look(now + LOOK_EVERY);
        assert!(clock.milliseconds(now) > 1e12);
    }

    #[test]
    fn a_clock_goes_on_from_its_anchor_and_never_back() {
        let now = Instant::now();
        let clock = Clock::made_up(now, 1000.5);
        assert_eq!(clock.milliseconds(now), 1000.0);
        assert_eq!(clock.milliseconds(now + Duration::from_micros(1500)), 1002.0);
        if let Some(before) = now.checked_sub(Duration::from_secs(1)) {
            assert_eq!(clock.milliseconds(before), 1000.0);
        }
    }
}
