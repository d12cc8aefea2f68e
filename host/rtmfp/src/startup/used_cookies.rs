//! The cookies that came back with a keying, for as long as they stay valid (RFC 7016 §3.5.1.1.2).
//!
//! Nobody is refused because this table is full. A network that uses more than its share forgets its own oldest cookie, and when
//! all is full, the network with the most does. What is forgotten can be used once more, from the address that it was given to,
//! and costs that address's own network another computation.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::initiator_keying::CookieKey;
use crate::network_prefix::NetworkPrefix;
use crate::session_id::SessionId;

/// One network may hold this part of the table.
const SHARE: usize = 16;
/// So many places of entries that are gone are put up with before they are swept.
const MAX_STALE: usize = 64;

/// What is known of a cookie that came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// It has not come back before.
    First,
    /// The same keying, whose answer is still being computed or led to nothing.
    Repeated,
    /// The same keying, which opened this session.
    Answered(SessionId),
    /// Another keying has used it up.
    Spent,
}

struct Entry {
    /// Of the keying: session id, certificate and component (§3.5.1.1.2, point 2.1).
    keying_hash: [u8; 16],
    session: Option<SessionId>,
    prefix: NetworkPrefix,
    /// Tells the entry from an earlier one of the same cookie.
    serial: u64,
}

/// The entries of one network.
#[derive(Default)]
struct Holder {
    live: usize,
    /// Oldest first. An entry that is gone leaves its place for a while.
    order: VecDeque<(u64, CookieKey)>,
}

/// The cookies that came back.
pub(crate) struct UsedCookies {
    entries: HashMap<CookieKey, Entry>,
    /// Of all networks, oldest first; an entry that is gone leaves its place for a while.
    order: VecDeque<(Instant, u64, CookieKey)>,
    holders: HashMap<NetworkPrefix, Holder>,
    by_weight: BTreeSet<(usize, NetworkPrefix)>,
    next_serial: u64,
    lifetime: Duration,
    max: usize,
}

impl UsedCookies {
    /// At most `max` cookies are remembered for `lifetime`.
    pub(crate) fn new(lifetime: Duration, max: usize) -> Self {
        Self {
            entries: HashMap::new(),
            order: VecDeque::new(),
            holders: HashMap::new(),
            by_weight: BTreeSet::new(),
            next_serial: 0,
            lifetime,
            max,
        }
    }

    /// How many are remembered.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Looks a cookie up with the keying that it came with.
    pub(crate) fn check(&mut self, now: Instant, cookie: &CookieKey, keying: &[u8; 16]) -> Use {
        self.forget_old(now);
        match self.entries.get(cookie) {
            None => Use::First,
            Some(entry) if entry.keying_hash != *keying => Use::Spent,
            Some(entry) => entry.session.map_or(Use::Repeated, Use::Answered),
        }
    }

    /// Remembers a cookie with its keying, which came from `prefix`.
    pub(crate) fn insert(&mut self, now: Instant, cookie: CookieKey, keying_hash: [u8; 16], prefix: NetworkPrefix) {
        self.release(&cookie);
        let held = self.holders.get(&prefix).map_or(0, |holder| holder.live);
        if held >= (self.max / SHARE).max(1) {
            self.forget_oldest_of(prefix);
        } else if self.entries.len() >= self.max {
            self.forget_of_heaviest();
        }
        let serial = self.next_serial;
        self.next_serial += 1;
        self.entries.insert(cookie, Entry { keying_hash, session: None, prefix, serial });
        self.order.push_back((now, serial, cookie));
        let holder = self.holders.entry(prefix).or_default();
        holder.order.push_back((serial, cookie));
        holder.live += 1;
        self.by_weight.remove(&(holder.live - 1, prefix));
        self.by_weight.insert((holder.live, prefix));
    }

    /// The session that a keying opened.
    pub(crate) fn opened(&mut self, cookie: &CookieKey, session: SessionId) {
        if let Some(entry) = self.entries.get_mut(cookie) {
            entry.session = Some(session);
        }
    }

    /// A keying that was not answered: it may come again, and nothing is kept of it.
    pub(crate) fn release(&mut self, cookie: &CookieKey) {
        let Some(entry) = self.entries.remove(cookie) else { return };
        if let Some(holder) = self.holders.get_mut(&entry.prefix) {
            self.by_weight.remove(&(holder.live, entry.prefix));
            holder.live -= 1;
            if holder.live == 0 {
                self.holders.remove(&entry.prefix);
            } else {
                self.by_weight.insert((holder.live, entry.prefix));
                let entries = &self.entries;
                sweep(&mut holder.order, holder.live, |(serial, cookie)| is_live(entries, *serial, cookie));
            }
        }
        let entries = &self.entries;
        sweep(&mut self.order, entries.len(), |(_, serial, cookie)| is_live(entries, *serial, cookie));
        if self.entries.capacity() > 4 * self.entries.len() + 1024 {
            self.entries.shrink_to(2 * self.entries.len());
        }
    }

    fn forget_old(&mut self, now: Instant) {
        while let Some(&(at, serial, cookie)) = self.order.front() {
            if now.saturating_duration_since(at) <= self.lifetime {
                break;
            }
            self.order.pop_front();
            if is_live(&self.entries, serial, &cookie) {
                self.release(&cookie);
            }
        }
    }

    fn forget_of_heaviest(&mut self) {
        match self.by_weight.last() {
            Some(&(live, prefix)) if live > 1 => self.forget_oldest_of(prefix),
            // All have as much: the oldest of all goes.
            _ => {
                while let Some((_, serial, cookie)) = self.order.pop_front() {
                    if is_live(&self.entries, serial, &cookie) {
                        return self.release(&cookie);
                    }
                }
            }
        }
    }

    fn forget_oldest_of(&mut self, prefix: NetworkPrefix) {
        let Some(holder) = self.holders.get_mut(&prefix) else { return };
        while let Some((serial, cookie)) = holder.order.pop_front() {
            if is_live(&self.entries, serial, &cookie) {
                return self.release(&cookie);
            }
        }
    }
}

fn is_live(entries: &HashMap<CookieKey, Entry>, serial: u64, cookie: &CookieKey) -> bool {
    entries.get(cookie).is_some_and(|entry| entry.serial == serial)
}

/// Removes the places of entries that are gone, once there are more of them than of the others: each is paid for by one that went.
fn sweep<T>(order: &mut VecDeque<T>, live: usize, is_live: impl FnMut(&T) -> bool) {
    if order.len() > 2 * live + MAX_STALE {
        order.retain(is_live);
        order.shrink_to(2 * live + MAX_STALE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::test_clock;

    fn prefix(host: u16) -> NetworkPrefix {
        let [high, low] = host.to_be_bytes();
        NetworkPrefix::of([192, 0, high, low].into())
    }

    fn cookie(number: u32) -> CookieKey {
        let mut key = [0; 16];
        key[..4].copy_from_slice(&number.to_be_bytes());
        key
    }

    #[test]
    fn a_cookie_is_good_for_one_keying_until_it_expires() {
        let now = test_clock();
        let mut used = UsedCookies::new(Duration::from_secs(95), 100);
        let (cookie, keying) = ([1; 16], [2; 16]);
        assert_eq!(used.check(now, &cookie, &keying), Use::First);
        used.insert(now, cookie, keying, prefix(1));
        assert_eq!(used.check(now, &cookie, &keying), Use::Repeated);
        assert_eq!(used.check(now, &cookie, &[3; 16]), Use::Spent);
        used.opened(&cookie, SessionId(77));
        assert_eq!(used.check(now, &cookie, &keying), Use::Answered(SessionId(77)));
        let later = now + Duration::from_secs(96);
        assert_eq!(used.check(later, &cookie, &keying), Use::First);
        used.insert(later, cookie, keying, prefix(1));
        used.release(&cookie);
        assert_eq!(used.check(later, &cookie, &[3; 16]), Use::First);
        assert_eq!((used.len(), used.holders.len(), used.by_weight.len()), (0, 0, 0));
    }

    #[test]
    fn a_network_beyond_its_share_forgets_its_own_cookies() {
        let now = test_clock();
        let mut used = UsedCookies::new(Duration::from_secs(95), 160);
        used.insert(now, cookie(1_000_000), [7; 16], prefix(1));
        for number in 0..5000 {
            used.insert(now, cookie(number), [9; 16], prefix(2));
        }
        assert_eq!(used.len(), 11);
        assert_eq!(used.check(now, &cookie(1_000_000), &[7; 16]), Use::Repeated);
        assert_eq!(used.check(now, &cookie(4999), &[9; 16]), Use::Repeated, "the newest are kept");
        assert_eq!(used.check(now, &cookie(4989), &[9; 16]), Use::First, "the oldest go");
        assert!(used.order.len() <= 2 * used.len() + MAX_STALE + 1);
    }

    #[test]
    fn when_all_is_full_the_network_with_the_most_makes_room() {
        let now = test_clock();
        let mut used = UsedCookies::new(Duration::from_secs(95), 160);
        let mut number = 0;
        for host in 0..40 {
            for _ in 0..4 {
                used.insert(now, cookie(number), [9; 16], prefix(host));
                number += 1;
            }
        }
        for host in 1000..1050 {
            used.insert(now, cookie(number), [7; 16], prefix(host));
            number += 1;
            assert_eq!(used.len(), 160);
        }
        let newcomers = (160..number).filter(|number| used.check(now, &cookie(*number), &[7; 16]) == Use::Repeated);
        assert_eq!(newcomers.count(), 50);
        // Every network has its latest still.
        for host in 0..40 {
            assert_eq!(used.check(now, &cookie(host * 4 + 3), &[9; 16]), Use::Repeated);
        }
    }

    #[test]
    fn cookies_of_as_many_networks_as_there_are_places_make_room_by_age() {
        let now = test_clock();
        let mut used = UsedCookies::new(Duration::from_secs(95), 50);
        (0..200).for_each(|host| used.insert(now, cookie(host.into()), [9; 16], prefix(host)));
        assert_eq!(used.len(), 50);
        assert!((150..200).all(|number| used.check(now, &cookie(number), &[9; 16]) == Use::Repeated));
    }

    #[test]
    fn what_is_released_leaves_nothing_behind() {
        let now = test_clock();
        let mut used = UsedCookies::new(Duration::from_secs(95), 1000);
        used.insert(now, cookie(0), [9; 16], prefix(1));
        for number in 1..10_000 {
            used.insert(now, cookie(number), [9; 16], prefix(1));
            used.release(&cookie(number));
        }
        assert_eq!((used.len(), used.holders.len(), used.by_weight.len()), (1, 1, 1));
        assert!(used.order.len() <= MAX_STALE + 4 && used.holders[&prefix(1)].order.len() <= MAX_STALE + 4);
    }

    #[test]
    fn a_cookie_that_comes_again_after_its_release_lives_as_long_as_any() {
        let now = test_clock();
        let mut used = UsedCookies::new(Duration::from_secs(95), 1000);
        used.insert(now, cookie(1), [9; 16], prefix(1));
        used.release(&cookie(1));
        let later = now + Duration::from_secs(90);
        used.insert(later, cookie(1), [9; 16], prefix(1));
        assert_eq!(used.check(now + Duration::from_secs(100), &cookie(1), &[9; 16]), Use::Repeated);
    }
}
