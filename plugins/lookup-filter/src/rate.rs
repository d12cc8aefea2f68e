//! The rate limit of each source: one token bucket for each address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::config::RateSettings;

/// The sources are divided among so many tables, each with its own lock.
const SHARDS: usize = 16;
/// The sources that a table has buckets for. Further sources share one bucket.
const MAX_BUCKETS: usize = 4096;
/// How often a full table is searched for buckets to remove, so that a flood of sources costs no more time.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// The token buckets of all sources.
pub(crate) struct RateLimits {
    per_second: f64,
    burst: f64,
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Default)]
struct Shard {
    buckets: HashMap<u64, Bucket>,
    /// The bucket of the sources that the table has no room for.
    others: Option<Bucket>,
    /// When full buckets were removed last.
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

    fn fill(&mut self, limits: &RateLimits, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * limits.per_second).min(limits.burst);
        self.at = now;
    }

    fn take(&mut self, limits: &RateLimits, now: Instant) -> bool {
        self.fill(limits, now);
        let permits = self.tokens >= 1.0;
        if permits {
            self.tokens -= 1.0;
        }
        permits
    }
}

impl RateLimits {
    /// Makes the limits that a configuration asks for.
    ///
    /// # Errors
    /// If the rate is out of range.
    pub(crate) fn from_settings(settings: &RateSettings) -> Result<Self, String> {
        let per_second = settings.per_second;
        if !(per_second > 0.0 && per_second <= 1e6) {
            return Err(format!("<rate> per-second must be a number above 0 and up to 1000000, not {per_second}"));
        }
        Ok(Self::new(per_second, settings.burst.unwrap_or(per_second.ceil() as u32).max(1)))
    }

    /// A bucket gains `per_second` tokens in a second, and holds up to `burst`.
    fn new(per_second: f64, burst: u32) -> Self {
        Self { per_second, burst: f64::from(burst), shards: std::array::from_fn(|_| Mutex::default()) }
    }

    /// Takes a token from the bucket of a source; false if it has none.
    pub(crate) fn permits(&self, source: IpAddr, now: Instant) -> bool {
        let key = key(source);
        let place = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60;
        let shard = &mut *self.shards[place as usize % SHARDS].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = shard.buckets.get_mut(&key) {
            return bucket.take(self, now);
        }
        if shard.buckets.len() >= MAX_BUCKETS
            && shard.swept.is_none_or(|last| now.saturating_duration_since(last) >= SWEEP_EVERY)
        {
            shard.swept = Some(now);
            // A full bucket is the same as a new one.
            shard.buckets.retain(|_, bucket| {
                bucket.fill(self, now);
                bucket.tokens < self.burst
            });
        }
        let full = Bucket::full(self.burst, now);
        if shard.buckets.len() >= MAX_BUCKETS {
            return shard.others.get_or_insert(full).take(self, now);
        }
        shard.buckets.entry(key).or_insert(full).take(self, now)
    }
}

/// The source that an address belongs to: an IPv4 address, or an IPv6 network of 64 bits, in which one host may use any address.
fn key(source: IpAddr) -> u64 {
    match source.to_canonical() {
        IpAddr::V4(address) => u64::from(u32::from(address)),
        // It differs from every IPv4 address, because the first bits of a global network are set.
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
        let rates = RateLimits::new(10.0, 3);
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
        let rates = RateLimits::new(1.0, 1);
        let now = Instant::now();
        assert!(rates.permits(ip("2001:db8:0:1::1"), now));
        assert!(!rates.permits(ip("2001:db8:0:1:ffff::2"), now));
        assert!(rates.permits(ip("2001:db8:0:2::1"), now));
        assert!(rates.permits(ip("::ffff:192.0.2.1"), now));
        assert!(!rates.permits(ip("192.0.2.1"), now));
    }

    fn kept(limits: &RateLimits) -> usize {
        limits.shards.iter().map(|shard| shard.lock().unwrap().buckets.len()).sum()
    }

    /// Sources without end, one after the other.
    fn sources() -> impl Iterator<Item = IpAddr> {
        (0_u32..).map(|number| IpAddr::from(number.to_be_bytes()))
    }

    #[test]
    fn sources_are_bounded_and_those_beyond_share_one_bucket() {
        let rates = RateLimits::new(1.0, 2);
        let now = Instant::now();
        let many = SHARDS * MAX_BUCKETS * 2;
        let permitted = sources().take(many).filter(|source| rates.permits(*source, now)).count();
        assert_eq!(kept(&rates), SHARDS * MAX_BUCKETS);
        assert_eq!(permitted, SHARDS * (MAX_BUCKETS + 2), "each that has a bucket, and two in each table beyond");
        assert!(!rates.permits(sources().nth(many).unwrap(), now));
        assert!(rates.permits(sources().next().unwrap(), now), "the first has one token left");
    }

    #[test]
    fn a_full_table_is_searched_for_room_now_and_then() {
        let rates = RateLimits::new(1.0, 2);
        let now = Instant::now();
        let at = |seconds: f64| now + Duration::from_secs_f64(seconds);
        sources().take(SHARDS * MAX_BUCKETS * 2).for_each(|source| _ = rates.permits(source, now));
        let newcomers = || sources().skip(SHARDS * MAX_BUCKETS * 2).take(SHARDS * 100);
        // Nothing has filled up, and within a second it is not looked at again.
        newcomers().for_each(|source| _ = rates.permits(source, at(0.9)));
        assert_eq!(kept(&rates), SHARDS * MAX_BUCKETS);
        // A minute later all of them have filled up, and make room.
        newcomers().for_each(|source| _ = rates.permits(source, at(60.0)));
        assert_eq!(kept(&rates), SHARDS * 100);
        newcomers().for_each(|source| assert!(rates.permits(source, at(60.0)), "it has a bucket of its own"));
    }
}
