//! How often each source may look up: a bucket of tokens for each address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Sources are shared out over so many tables, each behind a lock of its own.
const SHARDS: usize = 16;
/// The most sources of a table. Those beyond share one bucket.
const MOST: usize = 4096;
/// A full table is gone through no more often, whoever floods it with sources.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// The buckets of all sources.
pub(crate) struct Rates {
    per_second: f64,
    burst: f64,
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Default)]
struct Shard {
    buckets: HashMap<u64, Bucket>,
    others: Option<Bucket>,
    /// When buckets that have filled up were let go of last.
    swept: Option<Instant>,
}

#[derive(Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    fn full(burst: f64, now: Instant) -> Self {
        Self { tokens: burst, at: now }
    }

    fn fill(&mut self, rates: &Rates, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * rates.per_second).min(rates.burst);
        self.at = now;
    }

    fn take(&mut self, rates: &Rates, now: Instant) -> bool {
        self.fill(rates, now);
        let permits = self.tokens >= 1.0;
        if permits {
            self.tokens -= 1.0;
        }
        permits
    }
}

impl Rates {
    /// So many tokens come in a second, and so many are kept.
    pub(crate) fn new(per_second: f64, burst: u32) -> Self {
        Self { per_second, burst: f64::from(burst), shards: std::array::from_fn(|_| Mutex::default()) }
    }

    /// Takes a token of a source: false if there is none.
    pub(crate) fn permits(&self, source: IpAddr, now: Instant) -> bool {
        let key = key(source);
        let place = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60;
        let shard = &mut *self.shards[place as usize % SHARDS].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = shard.buckets.get_mut(&key) {
            return bucket.take(self, now);
        }
        if shard.buckets.len() >= MOST
            && shard.swept.is_none_or(|last| now.saturating_duration_since(last) >= SWEEP_EVERY)
        {
            shard.swept = Some(now);
            // A bucket that has filled up says nothing that a new one does not.
            shard.buckets.retain(|_, bucket| {
                bucket.fill(self, now);
                bucket.tokens < self.burst
            });
        }
        let full = Bucket::full(self.burst, now);
        if shard.buckets.len() >= MOST {
            return shard.others.get_or_insert(full).take(self, now);
        }
        shard.buckets.entry(key).or_insert(full).take(self, now)
    }
}

/// An IPv4 address; of an IPv6 address the network, within which one host has as many addresses as it likes.
fn key(source: IpAddr) -> u64 {
    match source.to_canonical() {
        IpAddr::V4(address) => u64::from(u32::from(address)),
        // Never the same as an IPv4 address: global networks have their first bits set.
        IpAddr::V6(address) => (u128::from(address) >> 64) as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let rates = Rates::new(10.0, 3);
        let now = Instant::now();
        let permitted = |at: Duration| rates.permits(ip("192.0.2.1"), now + at);
        assert_eq!([0; 5].map(|_| permitted(Duration::ZERO)), [true, true, true, false, false]);
        assert!(!permitted(Duration::from_millis(90)));
        assert!(permitted(Duration::from_millis(110)));
        assert!(!permitted(Duration::from_millis(110)));
        assert_eq!([0; 4].map(|_| permitted(Duration::from_secs(60))), [true, true, true, false]);
        assert!(rates.permits(ip("192.0.2.2"), now), "others have tokens of their own");
    }

    #[test]
    fn one_network_is_one_source() {
        let rates = Rates::new(1.0, 1);
        let now = Instant::now();
        assert!(rates.permits(ip("2001:db8:0:1::1"), now));
        assert!(!rates.permits(ip("2001:db8:0:1:ffff::2"), now));
        assert!(rates.permits(ip("2001:db8:0:2::1"), now));
        assert!(rates.permits(ip("::ffff:192.0.2.1"), now));
        assert!(!rates.permits(ip("192.0.2.1"), now));
    }

    #[test]
    fn sources_are_bounded() {
        let rates = Rates::new(1.0, 2);
        let now = Instant::now();
        for number in 0..(SHARDS * MOST * 2) as u32 {
            rates.permits(IpAddr::from(number.to_be_bytes()), now);
        }
        let kept = |rates: &Rates| rates.shards.iter().map(|shard| shard.lock().unwrap().buckets.len()).sum::<usize>();
        assert!(kept(&rates) <= SHARDS * MOST);
        // A minute later all of them have filled up, and make room.
        rates.permits(ip("203.0.113.1"), now + Duration::from_secs(60));
        assert!(kept(&rates) <= SHARDS * MOST);
        assert!(rates.permits(ip("203.0.113.1"), now + Duration::from_secs(60)));
    }
}
