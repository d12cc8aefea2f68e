//! The kernel's monotonic clock, which is the same for all processes: an [`Instant`] means nothing to another process.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds on the monotonic clock.
fn nanoseconds() -> i128 {
    let time = clock_gettime(ClockId::Monotonic);
    i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
}

/// A time as another process can read it.
pub(super) fn write(time: Instant) -> i64 {
    let (now, then) = (Instant::now(), nanoseconds());
    let since = i128::try_from(now.saturating_duration_since(time).as_nanos()).unwrap_or_default();
    let until = i128::try_from(time.saturating_duration_since(now).as_nanos()).unwrap_or_default();
    i64::try_from(then - since + until).unwrap_or_default()
}

/// A time that another process of this computer has written. One in the future is now.
pub(super) fn read(written: i64) -> Instant {
    let (now, then) = (Instant::now(), nanoseconds());
    let since = u64::try_from(then - i128::from(written)).unwrap_or_default();
    now.checked_sub(Duration::from_nanos(since)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_comes_back_to_within_what_reading_the_clock_takes() {
        let before = Instant::now();
        let written = write(before - Duration::from_secs(10));
        let read = read(written);
        let after = Instant::now();
        let off = (read + Duration::from_secs(10)).max(before) - (read + Duration::from_secs(10)).min(before);
        assert!(off <= after - before, "{off:?}");
        assert!(super::read(i64::MAX) <= Instant::now());
    }
}
