//! Tells at once, for nearly everybody, that a rate by address cannot be exceeded.
//!
//! A lookup takes some microseconds; to lock a table and find an address in it would be a part of that which can be measured. So
//! lookups are counted first, without a lock, in a few cells that addresses share, and only those in a cell with many are looked
//! at one by one.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use rtmfp::NetworkPrefix;

/// Cells: 32 KiB, which stay in a processor's cache.
const CELLS: usize = 1 << 12;

/// Counts by address, roughly.
#[derive(Debug)]
pub(super) struct Sieve {
    began: Instant,
    /// Nobody can choose addresses that share a cell.
    hasher: RandomState,
    /// Each the second that it counts in its upper half, and how many there were in its lower one. A count that is lost between two
    /// threads does no harm: the cell has room for it.
    cells: Box<[AtomicU64]>,
    /// A cell with fewer in a second, and in the one before, has no address that does more than it may.
    harmless: u64,
}

impl Sieve {
    /// For a rate of `limit` in a second.
    pub(super) fn new(limit: u64) -> Self {
        let cells = (0..CELLS).map(|_| AtomicU64::new(0)).collect();
        // Half, for a second may begin in the middle of a burst; and half of that, for lost counts.
        Self { began: Instant::now(), hasher: RandomState::new(), cells, harmless: limit / 4 }
    }

    /// Counts one; false when the address may have had too many.
    pub(super) fn is_harmless(&self, now: Instant, from: NetworkPrefix) -> bool {
        let second = now.saturating_duration_since(self.began).as_secs() & u64::from(u32::MAX);
        let place = self.hasher.hash_one(from) as usize % CELLS;
        let Some(cell) = self.cells.get(place) else { return false };
        let seen = cell.load(Ordering::Relaxed);
        let count = if seen >> 32 == second { (seen & u64::from(u32::MAX)) + 1 } else { 1 };
        cell.store(second << 32 | count.min(u64::from(u32::MAX)), Ordering::Relaxed);
        count <= self.harmless
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn few_are_harmless_and_many_are_looked_at() {
        let (sieve, from) = (Sieve::new(100), NetworkPrefix::of([192, 0, 2, 1].into()));
        let now = sieve.began + Duration::from_secs(5);
        let harmless = |now| (0..1000).filter(|_| sieve.is_harmless(now, from)).count();
        assert_eq!(harmless(now), 25);
        assert_eq!(harmless(now + Duration::from_secs(1)), 25);
        assert!(!Sieve::new(0).is_harmless(now, from));
    }

    #[test]
    fn ten_thousand_addresses_that_ask_some_times_are_harmless() {
        let sieve = Sieve::new(2000);
        let addresses = (0..10_000_u32).map(|host| NetworkPrefix::of(std::net::Ipv4Addr::from(host).into()));
        assert!(addresses.flat_map(|from| [from; 10]).all(|from| sieve.is_harmless(sieve.began, from)));
    }
}
