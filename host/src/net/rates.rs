//! How often something may happen in a second.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rtmfp::NetworkPrefix;

use crate::config::Limits;

const WINDOW: Duration = Duration::from_secs(1);
/// So many keys are counted in a second; further ones are refused until the next begins.
const MAX_KEYS: usize = 1 << 17;

/// Counts events of each key, a second at a time.
#[derive(Debug)]
struct Window<K> {
    limit: u64,
    began: Option<Instant>,
    counts: HashMap<K, u64>,
}

impl<K: Hash + Eq> Window<K> {
    fn new(limit: u64) -> Self {
        Self { limit, began: None, counts: HashMap::new() }
    }

    /// Counts an event, unless there were too many already.
    fn permits(&mut self, now: Instant, key: K) -> bool {
        if self.began.is_none_or(|began| now.saturating_duration_since(began) >= WINDOW) {
            self.began = Some(now);
            self.counts.clear();
            self.counts.shrink_to(1024);
        }
        if self.counts.len() >= MAX_KEYS && !self.counts.contains_key(&key) {
            return false;
        }
        let count = self.counts.entry(key).or_default();
        let is_permitted = *count < self.limit;
        *count += u64::from(is_permitted);
        is_permitted
    }
}

/// The rates that Server.xml limits. They hold for all workers together; one that is not limited costs nothing.
#[derive(Debug)]
pub struct Rates {
    connections: Option<Mutex<Window<()>>>,
    connections_by_address: Option<Mutex<Window<NetworkPrefix>>>,
    lookups_by_address: Option<Mutex<Window<NetworkPrefix>>>,
}

impl Rates {
    /// What the configuration says.
    pub fn new(limits: &Limits) -> Self {
        fn window<K: Hash + Eq>(limit: Option<u64>) -> Option<Mutex<Window<K>>> {
            limit.map(|limit| Mutex::new(Window::new(limit)))
        }
        Self {
            connections: window(limits.max_connection_rate),
            connections_by_address: window(limits.max_connection_rate_per_address),
            lookups_by_address: window(limits.max_lookup_rate_per_address),
        }
    }

    /// May a session from that address be opened now?
    pub(super) fn permit_connection(&self, now: Instant, from: IpAddr) -> bool {
        let by_address = self.connections_by_address.as_ref();
        by_address.is_none_or(|window| lock(window).permits(now, NetworkPrefix::of(from)))
            && self.connections.as_ref().is_none_or(|window| lock(window).permits(now, ()))
    }

    /// May a lookup from that address be answered now?
    pub(super) fn permit_lookup(&self, now: Instant, from: IpAddr) -> bool {
        let by_address = self.lookups_by_address.as_ref();
        by_address.is_none_or(|window| lock(window).permits(now, NetworkPrefix::of(from)))
    }
}

/// How often one client may look somebody up.
#[derive(Debug, Default)]
pub(super) struct ClientRate {
    began: Option<Instant>,
    count: u64,
}

impl ClientRate {
    /// Counts a lookup, unless there were `limit` already in this second.
    pub(super) fn permits(&mut self, now: Instant, limit: u64) -> bool {
        if self.began.is_none_or(|began| now.saturating_duration_since(began) >= WINDOW) {
            (self.began, self.count) = (Some(now), 0);
        }
        let is_permitted = self.count < limit;
        self.count += u64::from(is_permitted);
        is_permitted
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_begins_anew_for_each_key() {
        let mut window = Window::new(2);
        let now = Instant::now();
        let asked: Vec<bool> = ["a", "a", "a", "b"].into_iter().map(|key| window.permits(now, key)).collect();
        assert_eq!(asked, [true, true, false, true]);
        assert!(!window.permits(now + WINDOW / 2, "a"));
        assert!(window.permits(now + WINDOW, "a"));
        let mut none = Window::new(0);
        assert!(!none.permits(now, ()));
    }

    #[test]
    fn keys_are_bounded() {
        let mut window = Window::new(1);
        let now = Instant::now();
        assert!((0..MAX_KEYS).all(|key| window.permits(now, key)));
        assert!(!window.permits(now, MAX_KEYS));
        assert!(window.permits(now + WINDOW, MAX_KEYS));
    }
}
