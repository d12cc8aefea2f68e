//! A queue of deadlines.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rtmfp::Moment;

/// Keys with their deadlines, the earliest first. A key may have several deadlines.
#[derive(Clone, Debug)]
pub struct Deadlines<K>(BTreeSet<(Moment, K)>);

impl<K> Default for Deadlines<K> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

impl<K: Copy + Ord> Deadlines<K> {
    /// Adds a deadline.
    pub fn insert(&mut self, at: Instant, key: K) {
        self.0.insert((at.into(), key));
    }

    /// Removes a deadline. False if this key has no deadline at that time.
    pub fn remove(&mut self, at: Instant, key: K) -> bool {
        self.0.remove(&(at.into(), key))
    }

    /// The earliest deadline.
    pub fn next(&self) -> Option<Instant> {
        self.0.first().map(|(at, _)| at.instant())
    }

    /// Takes the first key out that is due by `now`, with its deadline.
    pub fn take_due(&mut self, now: Instant) -> Option<(Instant, K)> {
        self.next().filter(|at| *at <= now)?;
        self.0.pop_first().map(|(at, key)| (at.instant(), key))
    }

    /// Postpones all deadlines by the time in which the caller could do nothing.
    pub fn postpone(&mut self, by: Duration) {
        self.0 = std::mem::take(&mut self.0).into_iter().map(|(at, key)| ((at.instant() + by).into(), key)).collect();
    }

    /// How many deadlines there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no deadline.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_in_the_order_of_its_deadlines() {
        let (mut deadlines, now) = (Deadlines::default(), Instant::now());
        let after = |seconds| now + Duration::from_secs(seconds);
        for (at, key) in [(3, 'c'), (1, 'a'), (2, 'b'), (1, 'z')] {
            deadlines.insert(after(at), key);
        }
        assert_eq!(deadlines.next(), Some(after(1)));
        assert_eq!(deadlines.take_due(now), None);
        assert!(
            deadlines.remove(after(1), 'z') && !deadlines.remove(after(1), 'z') && !deadlines.remove(after(9), 'c')
        );
        assert_eq!(deadlines.take_due(after(2)), Some((after(1), 'a')));
        deadlines.postpone(Duration::from_secs(10));
        assert_eq!(deadlines.take_due(after(3)), None);
        assert_eq!(deadlines.take_due(after(12)), Some((after(12), 'b')));
        assert_eq!((deadlines.len(), deadlines.is_empty()), (1, false));
        deadlines.insert(now, 'd');
        assert_eq!(deadlines.len(), 2);
    }
}
