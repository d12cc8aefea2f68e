//! A token bucket for each key, in bounded memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use rtmfp::{Rate, TokenBucket};

/// The time in which an empty bucket becomes full.
pub(super) const WINDOW: Duration = Duration::from_secs(1);
/// The maximum number of buckets. A further key has none and is permitted: floods from so many addresses are bounded by
/// other means, and the table must not keep others out.
const MAX_KEYS: usize = 1 << 17;

/// A rate of `limit` times a second, which may come all at once after a second without any.
pub(super) fn per_second(limit: u64) -> Rate {
    let limit = u32::try_from(limit).unwrap_or(u32::MAX);
    Rate { burst: limit, per_second: limit }
}

/// A bucket for each key that is active.
#[derive(Debug)]
pub(super) struct RateTable<K> {
    rate: Rate,
    buckets: HashMap<K, TokenBucket>,
    /// When the full buckets were last removed.
    swept: Option<Duration>,
}

impl<K: Hash + Eq> RateTable<K> {
    /// Permits each key `limit` times a second.
    pub(super) fn new(limit: u64) -> Self {
        Self { rate: per_second(limit), buckets: HashMap::new(), swept: None }
    }

    /// Takes a token from the key's bucket; false if there is none. `at` is the time since a moment that the owner chooses.
    pub(super) fn permits(&mut self, at: Duration, key: K) -> bool {
        self.permits_by(at, key, self.rate)
    }

    /// As [`Self::permits`], for a key with a rate of its own, which may be another one each time.
    pub(super) fn permits_by(&mut self, at: Duration, key: K, rate: Rate) -> bool {
        if self.buckets.len() >= MAX_KEYS / 2 {
            self.sweep(at);
        }
        if rate.burst > 0 && self.buckets.len() >= MAX_KEYS && !self.buckets.contains_key(&key) {
            return true;
        }
        self.buckets.entry(key).or_default().take(at, rate, 1)
    }

    /// Whether the key's bucket is not full.
    pub(super) fn is_active(&self, at: Duration, key: &K) -> bool {
        self.buckets.get(key).is_some_and(|bucket| !bucket.is_full(at))
    }

    /// Removes the full buckets, at most once in a window: a flood must not make every call look at all of them.
    fn sweep(&mut self, at: Duration) {
        if self.swept.is_none_or(|swept| at.saturating_sub(swept) >= WINDOW) {
            self.swept = Some(at);
            self.buckets.retain(|_, bucket| !bucket.is_full(at));
            self.buckets.shrink_to(1024);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_emptied_at_once_and_filled_again_within_a_second() {
        fn permitted(bucket: &mut TokenBucket, at: Duration, limit: u64) -> usize {
            (0..100).filter(|_| bucket.take(at, per_second(limit), 1)).count()
        }
        let (mut bucket, at) = (TokenBucket::default(), Duration::from_secs(3));
        assert_eq!(permitted(&mut bucket, at, 10), 10);
        assert_eq!(permitted(&mut bucket, at + WINDOW / 10, 10), 1);
        assert_eq!(permitted(&mut bucket, at + WINDOW / 2, 10), 4);
        assert_eq!(permitted(&mut bucket, at + 10 * WINDOW, 10), 10);
        assert_eq!(permitted(&mut TokenBucket::default(), at, 0), 0);
        assert_eq!(permitted(&mut TokenBucket::default(), at, u64::MAX), 100);
    }

    #[test]
    fn each_key_has_its_own_bucket() {
        let mut table = RateTable::new(2);
        let at = Duration::ZERO;
        let permitted: Vec<bool> = ["a", "a", "a", "b"].into_iter().map(|key| table.permits(at, key)).collect();
        assert_eq!(permitted, [true, true, false, true]);
        assert!(table.permits(at + WINDOW, "a"));
        let mut none = RateTable::new(0);
        assert!(!none.permits(at, ()));
    }

    #[test]
    fn buckets_are_bounded_and_no_key_is_rejected_because_of_their_number() {
        let mut table = RateTable::new(1);
        let at = Duration::ZERO;
        assert!((0..MAX_KEYS).all(|key| table.permits(at, key)));
        assert!(!table.permits(at, 0));
        assert!(table.permits(at, MAX_KEYS));
        assert_eq!(table.buckets.len(), MAX_KEYS);
        assert!(table.permits(at + WINDOW, MAX_KEYS));
        assert_eq!(table.buckets.len(), 1);
    }

    #[test]
    fn full_buckets_are_removed_from_a_large_table_and_others_stay() {
        let mut table = RateTable::new(2);
        let half = MAX_KEYS / 2;
        assert!((0..half).all(|key| table.permits(Duration::ZERO, key)));
        assert_eq!(table.buckets.len(), half, "a small table is not swept");
        // Of these, the buckets that were used lately are not full yet.
        let later = WINDOW + WINDOW / 4;
        assert!((0..10).all(|key| table.permits(later - WINDOW / 8, key)));
        assert!(table.permits(later, half));
        assert_eq!(table.buckets.len(), 11);
        assert!(table.is_active(later, &0) && !table.is_active(later, &10));
        assert!(!table.is_active(later + WINDOW, &0), "its bucket is full again");
        assert!(table.buckets.capacity() < half, "the memory is given back");
    }

    #[test]
    fn a_table_that_is_less_than_half_full_is_not_swept() {
        let mut table = RateTable::new(2);
        let count = MAX_KEYS / 2 - 1;
        (0..count).for_each(|key| _ = table.permits(Duration::ZERO, key));
        assert!(table.permits(2 * WINDOW, count));
        assert_eq!(table.buckets.len(), count + 1);
        assert!(table.permits(2 * WINDOW, count));
        assert_eq!(table.buckets.len(), 1);
    }

    #[test]
    fn a_full_table_is_swept_once_in_a_window() {
        let mut table = RateTable::new(1000);
        (0..MAX_KEYS / 2).for_each(|key| _ = table.permits(Duration::ZERO, key));
        table.permits(WINDOW, MAX_KEYS);
        (0..MAX_KEYS / 2).for_each(|key| _ = table.permits(WINDOW, key));
        // All of them are full again within a millisecond, but for that no sweep looks at all of them.
        let at = WINDOW + WINDOW / 2;
        assert!(table.permits(at, 1) && table.buckets.len() > MAX_KEYS / 2);
        assert!(table.permits(2 * WINDOW, 1) && table.buckets.len() == 1);
    }

    #[test]
    fn a_full_table_knows_its_keys_and_a_limit_of_zero() {
        let mut table = RateTable::new(1);
        (0..MAX_KEYS).for_each(|key| _ = table.permits(Duration::ZERO, key));
        assert!((0..100).all(|key| !table.permits(Duration::ZERO, key)));
        let mut none = RateTable::new(0);
        (0..2 * MAX_KEYS).for_each(|key| assert!(!none.permits(Duration::ZERO, key)));
    }
}
