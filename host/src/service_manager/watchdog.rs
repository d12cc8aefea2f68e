//! When to show the watchdog of the service manager that the server goes on.

use std::ffi::OsStr;
use std::time::{Duration, Instant};

/// With a shorter time, a busy machine is taken for a server that hangs: threads are late by a second now and then.
const MIN_SANE: Duration = Duration::from_secs(10);

/// The watchdog: the service manager ends the process if it is not shown within `limit` that the server goes on.
#[derive(Debug)]
pub(super) struct Watchdog {
    limit: Duration,
    last: Option<Instant>,
    good_looks: u64,
}

impl Watchdog {
    /// The watchdog that the environment orders, by `WATCHDOG_USEC` and `WATCHDOG_PID`; `None` if it orders none for this process.
    pub(super) fn of(microseconds: Option<&OsStr>, process: Option<&OsStr>) -> Option<Self> {
        let microseconds = microseconds?;
        if process.is_some_and(|process| *process != *std::process::id().to_string()) {
            return None;
        }
        let Some(limit) = microseconds.to_str().and_then(|text| text.parse::<u64>().ok()).filter(|limit| *limit > 0)
        else {
            tracing::warn!(WATCHDOG_USEC = %microseconds.to_string_lossy(), "the service manager's watchdog has no time that makes sense");
            return None;
        };
        let limit = Duration::from_micros(limit);
        if limit < MIN_SANE {
            tracing::warn!(
                ?limit,
                "the service manager's watchdog is so strict that it may end a server that is only busy: set WatchdogSec= to 30 or so"
            );
        }
        Some(Self { limit, last: None, good_looks: 0 })
    }

    /// Whether the watchdog is to be shown now that the server goes on. It is not, if the threads have not been found to go on since the
    /// last time.
    pub(super) fn is_due(&mut self, now: Instant, good_looks: u64) -> bool {
        // Half of the limit is what the protocol advises. A third leaves time for calls that are late.
        let is_time = self.last.is_none_or(|last| now.saturating_duration_since(last) >= self.limit / 3);
        if !is_time || good_looks == self.good_looks {
            return false;
        }
        (self.last, self.good_looks) = (Some(now), good_looks);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(microseconds: &str, process: Option<&str>) -> Option<Watchdog> {
        Watchdog::of(Some(OsStr::new(microseconds)), process.map(OsStr::new))
    }

    #[test]
    fn the_environment_orders_it_for_this_process() {
        let own = std::process::id().to_string();
        assert_eq!(of("30000000", Some(&own)).unwrap().limit, Duration::from_secs(30));
        assert_eq!(of("30000000", None).unwrap().limit, Duration::from_secs(30));
        assert!(of("30000000", Some("1")).is_none(), "it is meant for another process");
        for nonsense in ["", "0", "-5", "soon", "18446744073709551616"] {
            assert!(of(nonsense, None).is_none(), "{nonsense}");
        }
        assert!(Watchdog::of(None, None).is_none());
    }

    #[test]
    fn it_is_shown_in_time_as_long_as_the_threads_go_on_and_only_then() {
        let mut watchdog = of("30000000", None).unwrap();
        let start = Instant::now();
        let mut is_due = |seconds, good_looks| watchdog.is_due(start + Duration::from_secs(seconds), good_looks);
        assert!(!is_due(0, 0), "nothing is known of the threads yet");
        assert!(is_due(1, 2));
        assert!(!is_due(10, 20), "it was shown 9 seconds ago");
        assert!(is_due(11, 22));
        // A thread stands still.
        assert!((12..60).all(|seconds| !is_due(seconds, 22)));
        assert!(is_due(60, 23), "it goes on");
    }
}
