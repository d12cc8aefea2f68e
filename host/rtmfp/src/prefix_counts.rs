//! Counts by network: of sessions, and of keyings that are being computed.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::network_prefix::NetworkPrefix;

/// A count for each network that has one above zero.
#[derive(Debug, Default)]
pub(crate) struct PrefixCounts(HashMap<NetworkPrefix, u32>);

impl PrefixCounts {
    /// How many networks have a count.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn get(&self, prefix: NetworkPrefix) -> usize {
        self.0.get(&prefix).map_or(0, |count| *count as usize)
    }

    pub(crate) fn add(&mut self, prefix: NetworkPrefix) {
        *self.0.entry(prefix).or_default() += 1;
    }

    pub(crate) fn remove(&mut self, prefix: NetworkPrefix) {
        if let Entry::Occupied(mut entry) = self.0.entry(prefix) {
            *entry.get_mut() = entry.get().saturating_sub(1);
            if *entry.get() == 0 {
                entry.remove();
            }
        }
        if self.0.capacity() > 4 * self.0.len() + 1024 {
            self.0.shrink_to(2 * self.0.len());
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
        assert_eq!((counts.get(prefix(2)), counts.lock().0.len()), (0, 1));
    }

    /// As many as there are now may come again without an allocation.
    #[test]
    fn memory_goes_in_step_with_what_is_left() {
        let mut counts = PrefixCounts::default();
        let prefix = |number: u32| NetworkPrefix::of(number.to_be_bytes().into());
        (0..20_000).for_each(|number| counts.add(prefix(number)));
        for number in 0..20_000 {
            counts.remove(prefix(number));
            let (len, capacity) = (counts.len(), counts.0.capacity());
            assert!(capacity <= 4 * len + 1024 && (2 * len <= capacity || len > 10_000), "{capacity} for {len}");
        }
    }

    #[test]
    fn a_flood_leaves_no_memory_behind() {
        let mut counts = PrefixCounts::default();
        let prefix = |number: u32| NetworkPrefix::of(number.to_be_bytes().into());
        (0..100_000).for_each(|number| counts.add(prefix(number)));
        (0..100_000).for_each(|number| counts.remove(prefix(number)));
        assert!(counts.len() == 0 && counts.0.capacity() <= 1024, "{}", counts.0.capacity());
    }
}
