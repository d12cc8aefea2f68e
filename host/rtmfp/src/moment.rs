//! Times that are kept for each of many sessions.

use std::num::NonZeroU32;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// The second that stands for the one after the origin.
const MIDDLE: u32 = 1 << 31;

/// A time in eight bytes, or in eight with its absence; an [`Instant`] takes sixteen.
///
/// Seconds and nanoseconds are kept apart, so that nothing is divided when a time is looked at. All times of a process are counted from one
/// origin. What is more than 68 years before or after that is kept as if it were 68 years.
///
/// ```
/// # #[allow(clippy::disallowed_methods)]
/// let now = std::time::Instant::now();
/// assert_eq!(rtmfp::Moment::from(now).instant(), now);
/// assert_eq!(size_of::<Option<rtmfp::Moment>>(), 8);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment {
    seconds: NonZeroU32,
    nanoseconds: u32,
}

impl Moment {
    /// The time as the standard library has it.
    pub fn instant(self) -> Instant {
        let origin = *ORIGIN;
        let (seconds, nanoseconds) = (self.seconds.get(), self.nanoseconds);
        let time = match seconds.checked_sub(MIDDLE) {
            Some(after) => origin.checked_add(Duration::new(after.into(), nanoseconds)),
            None => origin
                .checked_sub(Duration::from_secs((MIDDLE - seconds).into()))
                .and_then(|second| second.checked_add(Duration::new(0, nanoseconds))),
        };
        time.unwrap_or(origin)
    }

    /// The number of the whole second that it is in.
    pub(crate) fn second(self) -> u32 {
        self.seconds.get()
    }
}

impl From<Instant> for Moment {
    fn from(time: Instant) -> Self {
        let origin = *ORIGIN;
        let (seconds, nanoseconds) = match time.checked_duration_since(origin) {
            Some(after) => {
                let seconds = u32::try_from(after.as_secs()).ok().and_then(|seconds| MIDDLE.checked_add(seconds));
                (seconds.unwrap_or(u32::MAX), after.subsec_nanos())
            }
            None => {
                let before = origin.saturating_duration_since(time);
                let part = before.subsec_nanos();
                let whole = before.as_secs() + u64::from(part > 0);
                let seconds = u32::try_from(whole).ok().and_then(|seconds| MIDDLE.checked_sub(seconds));
                (seconds.unwrap_or(1), (NANOSECONDS - part) % NANOSECONDS)
            }
        };
        Self { seconds: NonZeroU32::new(seconds).unwrap_or(NonZeroU32::MIN), nanoseconds }
    }
}

const NANOSECONDS: u32 = 1_000_000_000;

/// What times are counted from: some moment of this process, of which nothing else is known.
#[allow(
    clippy::disallowed_methods,
    reason = "an Instant cannot be made up, and no result depends on which one this is"
)]
static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::test_clock;

    #[test]
    fn times_come_back_to_the_nanosecond_and_keep_their_order() {
        let origin = Moment::from(test_clock()).instant();
        let distances = [0, 1, 999_999_999, 1_000_000_000, 1_000_000_001, 95_123_456_789, 86_400_000_000_001];
        let mut times: Vec<Instant> = distances.map(|nanos| origin + Duration::from_nanos(nanos)).into();
        times.extend(distances.iter().filter_map(|nanos| origin.checked_sub(Duration::from_nanos(*nanos))));
        times.sort_unstable();
        let moments: Vec<Moment> = times.iter().map(|time| Moment::from(*time)).collect();
        assert!(moments.is_sorted());
        assert!(times.len() > distances.len(), "the clock has times before the origin");
        let again: Vec<Instant> = moments.into_iter().map(Moment::instant).collect();
        assert_eq!(again, times);
        assert_eq!((size_of::<Moment>(), size_of::<Option<Moment>>()), (8, 8));
    }

    #[test]
    fn what_is_farther_away_than_can_be_kept_is_kept_as_far_away_as_can_be() {
        let now = test_clock();
        let years = |years: u64| Duration::from_secs(years * 366 * 86_400);
        let farthest = now.checked_add(years(1000)).map(Moment::from).unwrap();
        assert!(farthest > Moment::from(now + years(60)) && farthest.instant() < now + years(70));
        if let Some(long_ago) = now.checked_sub(years(1000)) {
            assert!(Moment::from(long_ago) < Moment::from(now) && Moment::from(long_ago).instant() < now);
        }
    }
}
