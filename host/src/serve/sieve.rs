//! A quick test, passed by nearly every address, that the address does not exceed a rate.
//!
//! A lookup takes some microseconds. Locking a table and finding an address in it would add a measurable part to that. So lookups are
//! counted first, without a lock, in a few cells that addresses share. Only the lookups in a cell with many of them are then counted
//! by address.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use rtmfp::NetworkPrefix;

/// The number of cells: they take 32 KiB, which stay in a processor's cache.
const CELLS: usize = 1 << 12;

/// Rough counts by address.
#[derive(Debug)]
pub(super) struct Sieve {
    began: Instant,
    /// Seeded at random, so that no attacker can choose addresses that share a cell.
    hasher: RandomState,
    /// Each cell has the second that it counts in its upper half, and the count in its lower half. Two threads may lose a count
    /// between them: `harmless` leaves room for that.
    cells: Box<[AtomicU64]>,
    /// If a cell counted no more than this in this second and in the one before, none of its addresses exceeds the rate.
    harmless: u64,
}

impl Sieve {
    /// A sieve for a rate of `limit` per second.
    pub(super) fn new(limit: u64) -> Self {
        let cells = (0..CELLS).map(|_| AtomicU64::new(0)).collect();
        // The limit is halved because a second may begin in the middle of a burst, and halved again because counts may be lost.
        Self { began: Instant::now(), hasher: RandomState::new(), cells, harmless: limit / 4 }
    }

    /// Counts one lookup; false if the address may exceed the rate.
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
    fn few_lookups_are_harmless_and_many_are_not() {
        let (sieve, from) = (Sieve::new(100), NetworkPrefix::of([192, 0, 2, 1].into()));
        let now = sieve.began + Duration::from_secs(5);
        let harmless = |now| (0..1000).filter(|_| sieve.is_harmless(now, from)).count();
        assert_eq!(harmless(now), 25);
        assert_eq!(harmless(now + Duration::from_secs(1)), 25);
        // The half of a cell has no room for this second, and counts all the same.
        assert_eq!(harmless(now + Duration::from_secs(1 << 32)), 25);
        assert!(!Sieve::new(0).is_harmless(now, from));
    }

    #[test]
    fn ten_lookups_of_each_of_ten_thousand_addresses_are_harmless() {
        let sieve = Sieve::new(2000);
        let addresses = (0..10_000_u32).map(|host| NetworkPrefix::of(std::net::Ipv4Addr::from(host).into()));
        assert!(addresses.flat_map(|from| [from; 10]).all(|from| sieve.is_harmless(sieve.began, from)));
    }
}
