//! How often something may happen.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rtmfp::NetworkPrefix;

use super::sieve::Sieve;
use introd_config::Limits;

/// What a bucket holds at most: what flows into it in this time.
const WINDOW: Duration = Duration::from_secs(1);
/// So many buckets are kept that are not full. A further key has none, and is permitted: what floods from so many addresses do is
/// bounded by other means, and it must not keep others out.
const MAX_KEYS: usize = 1 << 17;
/// Of what all may do together, this part is kept for those who have done nothing for a while: so those who do much do not take
/// all of it.
const RESERVE: u32 = 4;

/// A token bucket: as many tokens flow in in a second as it holds.
///
/// All that is kept of it is the time when it will be full.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket(Option<Instant>);

impl Bucket {
    /// Takes a token, if that leaves a part of the bucket's content that is not below `1 / reserve`.
    fn take(&mut self, now: Instant, limit: u64, reserve: Option<u32>) -> bool {
        let Some(tokens) = u32::try_from(limit).ok().filter(|tokens| *tokens > 0) else { return limit > 0 };
        let full = self.0.map_or(now, |full| full.max(now)) + WINDOW / tokens;
        // With few tokens there is none to be kept.
        let kept = reserve.map_or(Duration::ZERO, |part| WINDOW / tokens * (tokens / part));
        let is_permitted = full.saturating_duration_since(now) + kept <= WINDOW;
        if is_permitted {
            self.0 = Some(full);
        }
        is_permitted
    }

    fn is_full(&self, now: Instant) -> bool {
        self.0.is_none_or(|full| full <= now)
    }
}

/// A bucket for each key.
#[derive(Debug)]
struct Buckets<K> {
    limit: u64,
    buckets: HashMap<K, Bucket>,
    /// When the full ones were last swept out.
    swept: Option<Instant>,
}

impl<K: Hash + Eq> Buckets<K> {
    fn new(limit: u64) -> Self {
        Self { limit, buckets: HashMap::new(), swept: None }
    }

    /// May the key do it now?
    fn permits(&mut self, now: Instant, key: K) -> bool {
        if self.buckets.len() >= MAX_KEYS / 2 {
            self.sweep(now);
        }
        if self.limit > 0 && self.buckets.len() >= MAX_KEYS && !self.buckets.contains_key(&key) {
            return true;
        }
        self.buckets.entry(key).or_default().take(now, self.limit, None)
    }

    /// Has the key done it in the last second?
    fn is_active(&self, now: Instant, key: &K) -> bool {
        self.buckets.get(key).is_some_and(|bucket| !bucket.is_full(now))
    }

    /// Once in a window, so that nobody makes every call look at all of them.
    fn sweep(&mut self, now: Instant) {
        if self.swept.is_none_or(|swept| now.saturating_duration_since(swept) >= WINDOW) {
            self.swept = Some(now);
            self.buckets.retain(|_, bucket| !bucket.is_full(now));
            self.buckets.shrink_to(1024);
        }
    }
}

/// The rates that Server.xml limits. They hold for all workers together; one that is not limited costs nothing.
#[derive(Debug)]
pub struct Rates {
    connections: Option<Mutex<Together>>,
    connections_by_address: Option<Mutex<Buckets<NetworkPrefix>>>,
    lookups_by_address: Option<(Sieve, Mutex<Buckets<NetworkPrefix>>)>,
}

/// What all may do together.
#[derive(Debug)]
struct Together {
    limit: u64,
    bucket: Bucket,
    /// Who has done it in the last second: a bucket of one token each.
    recent: Buckets<NetworkPrefix>,
}

impl Together {
    fn permits(&mut self, now: Instant, from: NetworkPrefix) -> bool {
        let reserve = self.recent.is_active(now, &from).then_some(RESERVE);
        let is_permitted = self.bucket.take(now, self.limit, reserve);
        if is_permitted {
            self.recent.permits(now, from);
        }
        is_permitted
    }
}

impl Rates {
    /// What the configuration says.
    pub fn new(limits: &Limits) -> Self {
        let buckets = |limit: Option<u64>| limit.map(|limit| Mutex::new(Buckets::new(limit)));
        let together = |limit| Mutex::new(Together { limit, bucket: Bucket::default(), recent: Buckets::new(1) });
        Self {
            connections: limits.max_connection_rate.map(together),
            connections_by_address: buckets(limits.max_connection_rate_per_address),
            lookups_by_address: buckets(limits.max_lookup_rate_per_address)
                .map(|buckets| (Sieve::new(limits.max_lookup_rate_per_address.unwrap_or(u64::MAX)), buckets)),
        }
    }

    /// May a session from that address be opened now? If not, the setting that says so.
    pub(super) fn permit_connection(&self, now: Instant, from: IpAddr) -> Result<(), &'static str> {
        let from = NetworkPrefix::of(from);
        if self.connections_by_address.as_ref().is_some_and(|buckets| !lock(buckets).permits(now, from)) {
            return Err("MaxConnectionRatePerAddress");
        }
        if self.connections.as_ref().is_some_and(|together| !lock(together).permits(now, from)) {
            return Err("MaxConnectionRate");
        }
        Ok(())
    }

    /// May a lookup from that address be answered now?
    pub(super) fn permit_lookup(&self, now: Instant, from: IpAddr) -> bool {
        let Some((sieve, buckets)) = &self.lookups_by_address else { return true };
        let from = NetworkPrefix::of(from);
        sieve.is_harmless(now, from) || lock(buckets).permits(now, from)
    }
}

/// How often one client may look somebody up.
#[derive(Debug, Default)]
pub(super) struct ClientRate(Bucket);

impl ClientRate {
    /// Counts a lookup, unless there were `limit` already in this second.
    pub(super) fn permits(&mut self, now: Instant, limit: u64) -> bool {
        self.0.take(now, limit, None)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permitted(bucket: &mut Bucket, now: Instant, limit: u64) -> usize {
        (0..100).filter(|_| bucket.take(now, limit, None)).count()
    }

    #[test]
    fn a_bucket_is_emptied_at_once_and_filled_again_within_a_second() {
        let (mut bucket, now) = (Bucket::default(), Instant::now());
        assert_eq!(permitted(&mut bucket, now, 10), 10);
        assert_eq!(permitted(&mut bucket, now + WINDOW / 10, 10), 1);
        assert_eq!(permitted(&mut bucket, now + WINDOW / 2, 10), 4);
        assert_eq!(permitted(&mut bucket, now + 10 * WINDOW, 10), 10);
        assert_eq!(permitted(&mut Bucket::default(), now, 0), 0);
        assert_eq!(permitted(&mut Bucket::default(), now, u64::MAX), 100);
    }

    #[test]
    fn each_key_has_its_own_bucket() {
        let mut buckets = Buckets::new(2);
        let now = Instant::now();
        let asked: Vec<bool> = ["a", "a", "a", "b"].into_iter().map(|key| buckets.permits(now, key)).collect();
        assert_eq!(asked, [true, true, false, true]);
        assert!(buckets.permits(now + WINDOW, "a"));
        let mut none = Buckets::new(0);
        assert!(!none.permits(now, ()));
    }

    #[test]
    fn buckets_are_bounded_and_nobody_is_locked_out_by_their_number() {
        let mut buckets = Buckets::new(1);
        let now = Instant::now();
        assert!((0..MAX_KEYS).all(|key| buckets.permits(now, key)));
        assert!(!buckets.permits(now, 0));
        assert!(buckets.permits(now, MAX_KEYS));
        assert_eq!(buckets.buckets.len(), MAX_KEYS);
        assert!(buckets.permits(now + WINDOW, MAX_KEYS));
        assert_eq!(buckets.buckets.len(), 1);
    }

    #[test]
    fn who_takes_all_that_he_can_leaves_some_for_those_who_come_new() {
        let (mut together, now) =
            (Together { limit: 100, bucket: Bucket::default(), recent: Buckets::new(1) }, Instant::now());
        let from = |host: u8| NetworkPrefix::of([192, 0, 2, host].into());
        assert_eq!((0..1000).filter(|_| together.permits(now, from(1))).count(), 75);
        assert!((2..27).all(|host| together.permits(now, from(host))));
        assert!(!together.permits(now, from(99)));
        // While the one goes on, another comes each tenth of a second.
        for tenth in 1..30 {
            let now = now + tenth * WINDOW / 10;
            (0..1000).for_each(|_| _ = together.permits(now, from(1)));
            assert!(together.permits(now, from(100 + tenth as u8)));
        }
    }

    #[test]
    fn a_clients_rate_goes_on_from_second_to_second() {
        let (mut rate, now) = (ClientRate::default(), Instant::now());
        for second in 0..5 {
            assert_eq!((0..10).filter(|_| rate.permits(now + second * WINDOW, 3)).count(), 3);
        }
    }
}
