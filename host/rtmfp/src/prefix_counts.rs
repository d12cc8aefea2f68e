//! Counts by network: of sessions, and of keyings that are being computed.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::network_prefix::NetworkPrefix;

/// A count for each network that has one above zero.
#[derive(Debug, Default)]
pub(crate) struct PrefixCounts {
    counts: HashMap<NetworkPrefix, u32>,
    /// How many networks have a count above one.
    above_one: usize,
}

impl PrefixCounts {
    /// How many networks have a count.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.counts.len()
    }

    pub(crate) fn get(&self, prefix: NetworkPrefix) -> usize {
        self.counts.get(&prefix).map_or(0, |count| *count as usize)
    }

    /// Whether a network has a count above one.
    pub(crate) fn is_any_above_one(&self) -> bool {
        self.above_one > 0
    }

    pub(crate) fn add(&mut self, prefix: NetworkPrefix) {
        let count = self.counts.entry(prefix).or_default();
        *count += 1;
        self.above_one += usize::from(*count == 2);
    }

    pub(crate) fn remove(&mut self, prefix: NetworkPrefix) {
        if let Entry::Occupied(mut entry) = self.counts.entry(prefix) {
            *entry.get_mut() = entry.get().saturating_sub(1);
            match *entry.get() {
                0 => _ = entry.remove(),
                1 => self.above_one = self.above_one.saturating_sub(1),
                _ => (),
            }
        }
        if self.counts.capacity() > 4 * self.counts.len() + 1024 {
            self.counts.shrink_to(2 * self.counts.len());
        }
    }
}

/// How many sessions each network has that others began: half-open, open, and closed ones that still have their slot.
///
/// Endpoints that share a port share one of these, so that [`Config::max_sessions_per_prefix`](crate::Config) holds for all of them
/// together. It is used twice in a session's life, and when a session moves.
#[derive(Clone, Debug, Default)]
pub struct SessionCounts(Arc<Mutex<PrefixCounts>>);

impl SessionCounts {
    /// The sessions of one network.
    pub fn get(&self, prefix: NetworkPrefix) -> usize {
        self.lock().get(prefix)
    }

    pub(crate) fn add(&self, prefix: NetworkPrefix) {
        self.lock().add(prefix);
    }

    pub(crate) fn remove(&self, prefix: NetworkPrefix) {
        self.lock().remove(prefix);
    }

    pub(crate) fn moved(&self, from: NetworkPrefix, to: NetworkPrefix) {
        if from != to {
            let mut counts = self.lock();
            counts.remove(from);
            counts.add(to);
        }
    }

    fn lock(&self) -> MutexGuard<'_, PrefixCounts> {
        // No change of the counts can be left half done by a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_without_sessions_takes_no_place() {
        let counts = SessionCounts::default();
        let prefix = |host: u8| NetworkPrefix::of([192, 0, 2, host].into());
        for _ in 0..3 {
            counts.add(prefix(1));
        }
        counts.moved(prefix(1), prefix(2));
        counts.moved(prefix(2), prefix(2));
        assert_eq!((counts.get(prefix(1)), counts.get(prefix(2))), (2, 1));
        counts.remove(prefix(2));
        counts.remove(prefix(2));
        assert_eq!((counts.get(prefix(2)), counts.lock().len()), (0, 1));
    }

    /// As many as there are now may come again without an allocation.
    #[test]
    fn memory_goes_in_step_with_what_is_left() {
        let mut counts = PrefixCounts::default();
        let prefix = |number: u32| NetworkPrefix::of(number.to_be_bytes().into());
        (0..20_000).for_each(|number| counts.add(prefix(number)));
        for number in 0..20_000 {
            counts.remove(prefix(number));
            let (len, capacity) = (counts.len(), counts.counts.capacity());
            assert!(capacity <= 4 * len + 1024 && (2 * len <= capacity || len > 10_000), "{capacity} for {len}");
        }
    }

    #[test]
    fn it_is_known_whether_a_network_has_more_than_one() {
        let mut counts = PrefixCounts::default();
        let prefix = |host: u8| NetworkPrefix::of([192, 0, 2, host].into());
        let mut step = |is_added: bool, host| {
            if is_added {
                counts.add(prefix(host));
            } else {
                counts.remove(prefix(host));
            }
            counts.is_any_above_one()
        };
        let steps =
            [(true, 1), (true, 2), (true, 1), (true, 1), (true, 2), (false, 1), (false, 2), (false, 1), (false, 1)];
        let known = steps.map(|(is_added, host)| step(is_added, host));
        assert_eq!(known, [false, false, true, true, true, true, true, false, false]);
        assert!(!step(false, 9), "one that has none");
    }

    #[test]
    fn a_flood_leaves_no_memory_behind() {
        let mut counts = PrefixCounts::default();
        let prefix = |number: u32| NetworkPrefix::of(number.to_be_bytes().into());
        (0..100_000).for_each(|number| counts.add(prefix(number)));
        (0..100_000).for_each(|number| counts.remove(prefix(number)));
        assert!(counts.len() == 0 && counts.counts.capacity() <= 1024, "{}", counts.counts.capacity());
    }
}
