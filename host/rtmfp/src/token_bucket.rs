//! How often something may happen: the one token bucket for all such limits.

use std::time::Duration;

/// How many times something may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// At once, after a pause.
    pub burst: u32,
    /// And then in a second, evenly; 0 counts as 1.
    pub per_second: u32,
}

impl Rate {
    /// The nanoseconds in which a number of tokens flows in.
    fn time_of(self, tokens: u64) -> u64 {
        tokens.saturating_mul(NANOSECONDS) / u64::from(self.per_second.max(1))
    }
}

const NANOSECONDS: u64 = 1_000_000_000;

/// A token bucket without a clock, in eight bytes: a table can hold one for each of many keys.
///
/// All that is kept is the time at which the bucket will be full again. Times are given as they have passed since a moment that the
/// owner chooses, the same for every call. A new bucket is full.
///
/// ```
/// use std::time::Duration;
/// use rtmfp::{Rate, TokenBucket};
///
/// let rate = Rate { burst: 2, per_second: 10 };
/// let mut bucket = TokenBucket::default();
/// let start = Duration::from_secs(7);
/// assert_eq!([(); 3].map(|()| bucket.take(start, rate, 1)), [true, true, false]);
/// assert!(bucket.take(start + Duration::from_millis(100), rate, 1), "one has flowed in");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenBucket {
    full_at: u64,
}

impl TokenBucket {
    /// Takes a number of tokens, if they are there.
    pub fn take(&mut self, at: Duration, rate: Rate, tokens: u32) -> bool {
        let is_permitted = self.has(at, rate, tokens);
        if is_permitted {
            self.spend(at, rate, tokens);
        }
        is_permitted
    }

    /// Whether a number of tokens is there.
    pub fn has(&self, at: Duration, rate: Rate, tokens: u32) -> bool {
        self.lack(nanoseconds(at)).saturating_add(rate.time_of(tokens.into())) <= rate.time_of(rate.burst.into())
    }

    /// Takes a number of tokens, whether they are there or not: what is lacking has to flow in before any can be taken.
    pub fn spend(&mut self, at: Duration, rate: Rate, tokens: u32) {
        let at = nanoseconds(at);
        self.full_at = at.saturating_add(self.lack(at)).saturating_add(rate.time_of(tokens.into()));
    }

    /// Forgives what is lacking beyond a number of tokens.
    pub fn forgive(&mut self, at: Duration, rate: Rate, tokens: u64) {
        self.full_at = self.full_at.min(nanoseconds(at).saturating_add(rate.time_of(tokens)));
    }

    /// Has nothing been taken that has not flowed in again? A full bucket need not be kept.
    pub fn is_full(&self, at: Duration) -> bool {
        self.lack(nanoseconds(at)) == 0
    }

    /// When the bucket will be full, in nanoseconds: all that there is of it.
    pub(crate) fn full_at(self) -> u64 {
        self.full_at
    }

    /// The bucket that will be full at that time.
    pub(crate) fn with_full_at(full_at: u64) -> Self {
        Self { full_at }
    }

    /// How long it takes until the bucket is full.
    fn lack(&self, at: u64) -> u64 {
        self.full_at.saturating_sub(at)
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_at_once_and_then_evenly() {
        let rate = Rate { burst: 64, per_second: 20 };
        let mut bucket = TokenBucket::default();
        let mut permitted = |millis: u64| {
            let at = Duration::from_millis(millis);
            (0..10_000).filter(|_| bucket.take(at, rate, 1)).count()
        };
        assert_eq!([0, 49, 50, 1050, 3_600_000].map(&mut permitted), [64, 0, 1, 20, 64]);
        assert!(!bucket.is_full(Duration::from_secs(3603)) && bucket.is_full(Duration::from_secs(3604)));
    }

    #[test]
    fn what_is_spent_beyond_the_content_has_to_flow_in_first() {
        let rate = Rate { burst: 10, per_second: 10 };
        let mut bucket = TokenBucket::default();
        bucket.spend(Duration::ZERO, rate, 25);
        assert!(!bucket.has(Duration::from_millis(1500), rate, 1));
        assert!(bucket.has(Duration::from_millis(1600), rate, 1));
        bucket.spend(Duration::ZERO, rate, u32::MAX);
        bucket.forgive(Duration::ZERO, rate, 40);
        assert!(!bucket.has(Duration::from_secs(3), rate, 1) && bucket.has(Duration::from_secs(4), rate, 10));
    }

    #[test]
    fn extreme_rates_and_times_do_no_harm() {
        for per_second in [0, 1, u32::MAX] {
            for burst in [0, 1, u32::MAX] {
                let rate = Rate { burst, per_second };
                for at in [Duration::ZERO, Duration::from_nanos(u64::MAX), Duration::MAX] {
                    let mut bucket = TokenBucket::default();
                    assert_eq!(bucket.take(at, rate, 1), burst > 0 || per_second == u32::MAX);
                    bucket.spend(at, rate, u32::MAX);
                    bucket.forgive(at, rate, u64::MAX);
                }
            }
        }
    }

    #[test]
    fn forgiving_takes_nothing_from_a_bucket_that_owes_less() {
        let rate = Rate { burst: 10, per_second: 10 };
        let mut bucket = TokenBucket::default();
        bucket.spend(Duration::ZERO, rate, 3);
        bucket.forgive(Duration::ZERO, rate, 8);
        assert!(bucket.has(Duration::ZERO, rate, 7) && !bucket.has(Duration::ZERO, rate, 8));
    }

    #[test]
    fn a_rate_of_0_is_one_a_second() {
        let rate = Rate { burst: 1, per_second: 0 };
        let mut bucket = TokenBucket::default();
        let taken = [0, 999, 1000, 1999, 2000].map(|millis| bucket.take(Duration::from_millis(millis), rate, 1));
        assert_eq!(taken, [true, false, true, false, true]);
        assert!(bucket.is_full(Duration::MAX));
    }
}
