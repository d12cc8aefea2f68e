//! The cookies that came back with a keying, for as long as they stay valid (RFC 7016 §3.5.1.1.2).
//!
//! A cookie is good for one session. An initiator that repeats its keying because the answer got lost gets the same answer again;
//! anything else that comes with a used cookie gets nothing, and no public-key work is done for it.
//!
//! No keying is refused because this table is full. A network that uses more than its share forgets its own oldest cookie, and when
//! all is full, the network with the most does. What is forgotten can be used once more, from the address that it was given to,
//! and costs that address's own network another computation.

mod handover;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::cookie_table::CookieTable;
use super::initiator_keying::CookieKey;
use crate::network_prefix::NetworkPrefix;
use crate::session_id::SessionId;

/// One network may hold this part of the table.
const SHARE: usize = 16;

/// What is known of a cookie that came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CookieUse {
    /// It has not come back before.
    First,
    /// The same keying, whose answer is still being computed or led to nothing.
    Repeated,
    /// The same keying, which opened this session.
    Answered(SessionId),
    /// Another keying has used it up.
    Spent,
}

/// The cookies that came back.
pub(crate) struct UsedCookies {
    epoch: Instant,
    table: CookieTable,
    /// The networks that have more than one entry, by their number.
    by_weight: BTreeSet<(u32, NetworkPrefix)>,
    lifetime: Duration,
    max: usize,
}

impl UsedCookies {
    /// At most `max` cookies are remembered for `lifetime`, or up to a second longer.
    pub(crate) fn new(now: Instant, lifetime: Duration, max: usize) -> Self {
        Self { epoch: now, table: CookieTable::new(), by_weight: BTreeSet::new(), lifetime, max }
    }

    /// How many are remembered.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether a keying came with that cookie before.
    pub(crate) fn is_used(&mut self, now: Instant, cookie: &CookieKey) -> bool {
        self.forget_old(now);
        self.table.get(cookie).is_some()
    }

    /// Looks a cookie up with the keying that it came with.
    pub(crate) fn check(&mut self, now: Instant, cookie: &CookieKey, keying: &[u8; 16]) -> CookieUse {
        self.forget_old(now);
        match self.table.get(cookie) {
            None => CookieUse::First,
            Some(entry) if entry.keying_hash != *keying => CookieUse::Spent,
            Some(entry) => entry.session().map_or(CookieUse::Repeated, CookieUse::Answered),
        }
    }

    /// Remembers a cookie with its keying, which came from `prefix`.
    pub(crate) fn insert(&mut self, now: Instant, cookie: CookieKey, keying_hash: [u8; 16], prefix: NetworkPrefix) {
        self.release(&cookie);
        if self.table.held_by(prefix) as usize >= (self.max / SHARE).max(1) {
            self.forget_oldest_of(prefix);
        } else if self.table.len() >= self.max {
            self.forget_of_heaviest();
        }
        let second = self.second(now);
        self.table.insert(second, cookie, keying_hash, prefix);
        self.weigh(prefix, |count| count - 1);
    }

    /// The session that a keying opened.
    pub(crate) fn opened(&mut self, cookie: &CookieKey, session: SessionId) {
        if let Some(entry) = self.table.get_mut(cookie) {
            entry.set_session(session);
        }
    }

    /// A keying that was not answered: it may come again, and nothing is kept of it.
    pub(crate) fn release(&mut self, cookie: &CookieKey) {
        if let Some(prefix) = self.table.remove(cookie) {
            self.weigh(prefix, |count| count + 1);
        }
    }

    /// Forgets the cookies that are not valid any more.
    pub(crate) fn forget_old(&mut self, now: Instant) {
        let second = self.second(now);
        while let Some(entry) = self.table.oldest() {
            if u64::from(second.saturating_sub(entry.second)) <= self.lifetime.as_secs() {
                break;
            }
            let cookie = entry.cookie;
            self.release(&cookie);
        }
    }

    /// A network has another number of entries than `before` says.
    fn weigh(&mut self, prefix: NetworkPrefix, before: impl FnOnce(u32) -> u32) {
        let count = self.table.held_by(prefix);
        self.by_weight.remove(&(before(count), prefix));
        if count > 1 {
            self.by_weight.insert((count, prefix));
        }
    }

    fn forget_of_heaviest(&mut self) {
        match self.by_weight.last() {
            Some(&(_, prefix)) => self.forget_oldest_of(prefix),
            // All have as much: the oldest of all goes.
            None => {
                if let Some(cookie) = self.table.oldest().map(|entry| entry.cookie) {
                    self.release(&cookie);
                }
            }
        }
    }

    fn forget_oldest_of(&mut self, prefix: NetworkPrefix) {
        if let Some(cookie) = self.table.oldest_of(prefix).map(|entry| entry.cookie) {
            self.release(&cookie);
        }
    }

    fn second(&self, now: Instant) -> u32 {
        u32::try_from(now.saturating_duration_since(self.epoch).as_secs()).unwrap_or(u32::MAX)
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
        let mut used = UsedCookies::new(now, Duration::from_secs(95), 100);
        let (cookie, keying) = ([1; 16], [2; 16]);
        assert_eq!(used.check(now, &cookie, &keying), CookieUse::First);
        used.insert(now, cookie, keying, prefix(1));
        assert_eq!(used.check(now, &cookie, &keying), CookieUse::Repeated);
        assert_eq!(used.check(now, &cookie, &[3; 16]), CookieUse::Spent);
        used.opened(&cookie, SessionId(77));
        assert_eq!(used.check(now, &cookie, &keying), CookieUse::Answered(SessionId(77)));
        let later = now + Duration::from_secs(96);
        assert_eq!(used.check(later, &cookie, &keying), CookieUse::First);
        used.insert(later, cookie, keying, prefix(1));
        used.release(&cookie);
        assert_eq!(used.check(later, &cookie, &[3; 16]), CookieUse::First);
        assert_eq!((used.len(), used.by_weight.len()), (0, 0));
    }

    #[test]
    fn a_network_beyond_its_share_forgets_its_own_cookies() {
        let now = test_clock();
        let mut used = UsedCookies::new(now, Duration::from_secs(95), 160);
        used.insert(now, cookie(1_000_000), [7; 16], prefix(1));
        for number in 0..5000 {
            used.insert(now, cookie(number), [9; 16], prefix(2));
        }
        assert_eq!(used.len(), 11);
        assert_eq!(used.check(now, &cookie(1_000_000), &[7; 16]), CookieUse::Repeated);
        assert_eq!(used.check(now, &cookie(4999), &[9; 16]), CookieUse::Repeated, "the newest are kept");
        assert_eq!(used.check(now, &cookie(4989), &[9; 16]), CookieUse::First, "the oldest go");
    }

    #[test]
    fn when_all_is_full_the_network_with_the_most_makes_room() {
        let now = test_clock();
        let mut used = UsedCookies::new(now, Duration::from_secs(95), 160);
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
        let newcomers =
            (160..number).filter(|number| used.check(now, &cookie(*number), &[7; 16]) == CookieUse::Repeated);
        assert_eq!(newcomers.count(), 50);
        // Every network has its latest still.
        for host in 0..40 {
            assert_eq!(used.check(now, &cookie(host * 4 + 3), &[9; 16]), CookieUse::Repeated);
        }
    }

    #[test]
    fn cookies_of_as_many_networks_as_there_are_places_make_room_by_age() {
        let now = test_clock();
        let mut used = UsedCookies::new(now, Duration::from_secs(95), 50);
        (0..200).for_each(|host| used.insert(now, cookie(host.into()), [9; 16], prefix(host)));
        assert_eq!(used.len(), 50);
        assert!((150..200).all(|number| used.check(now, &cookie(number), &[9; 16]) == CookieUse::Repeated));
    }

    #[test]
    fn what_is_released_leaves_nothing_behind() {
        let now = test_clock();
        let mut used = UsedCookies::new(now, Duration::from_secs(95), 1000);
        used.insert(now, cookie(0), [9; 16], prefix(1));
        for number in 1..10_000 {
            used.insert(now, cookie(number), [9; 16], prefix(1));
            used.release(&cookie(number));
        }
        assert_eq!((used.len(), used.by_weight.len()), (1, 0));
    }

    #[test]
    fn a_cookie_that_comes_again_after_its_release_lives_as_long_as_any() {
        let now = test_clock();
        let mut used = UsedCookies::new(now, Duration::from_secs(95), 1000);
        used.insert(now, cookie(1), [9; 16], prefix(1));
        used.release(&cookie(1));
        let later = now + Duration::from_secs(90);
        used.insert(later, cookie(1), [9; 16], prefix(1));
        assert_eq!(used.check(now + Duration::from_secs(100), &cookie(1), &[9; 16]), CookieUse::Repeated);
    }

    #[test]
    fn a_cookie_is_remembered_for_its_lifetime_and_forgotten_in_the_next_second() {
        let now = test_clock();
        let at = |millis| now + Duration::from_millis(millis);
        let mut used = UsedCookies::new(now, Duration::from_secs(95), 100);
        used.insert(at(0), cookie(1), [9; 16], prefix(1));
        used.insert(at(50_000), cookie(2), [9; 16], prefix(1));
        used.forget_old(at(95_999));
        assert_eq!(used.len(), 2);
        used.forget_old(at(96_000));
        assert_eq!((used.len(), used.by_weight.len()), (1, 0));
        assert_eq!(used.check(at(145_999), &cookie(2), &[9; 16]), CookieUse::Repeated);
        assert_eq!(used.check(at(146_000), &cookie(2), &[9; 16]), CookieUse::First);
        assert_eq!(used.len(), 0);
    }

    #[test]
    fn a_cookie_entered_twice_has_one_place_and_its_network_one_weight() {
        let now = test_clock();
        let mut used = UsedCookies::new(now, Duration::from_secs(95), 1000);
        (0..4).for_each(|number| used.insert(now, cookie(number), [9; 16], prefix(1)));
        used.insert(now, cookie(3), [8; 16], prefix(1));
        assert_eq!((used.len(), used.by_weight.iter().copied().collect()), (4, vec![(4, prefix(1))]));
        assert_eq!(used.check(now, &cookie(3), &[8; 16]), CookieUse::Repeated);
    }

    #[test]
    fn a_table_with_fewer_places_than_shares_is_bounded_and_has_one_for_each_network() {
        let now = test_clock();
        let mut used = UsedCookies::new(now, Duration::from_secs(95), 10);
        (0..5).for_each(|number| used.insert(now, cookie(number), [9; 16], prefix(0)));
        assert_eq!(used.len(), 1);
        (1..30).for_each(|host| used.insert(now, cookie(100 + u32::from(host)), [9; 16], prefix(host)));
        assert_eq!(used.len(), 10);
    }

    #[test]
    fn the_network_with_the_most_loses_its_oldest_and_others_with_several_lose_none() {
        let now = test_clock();
        let mut used = UsedCookies::new(now, Duration::from_secs(95), 160);
        let hosts = [(0, 4), (1, 9), (2, 3)].into_iter().chain((10..154).map(|host| (host, 1)));
        let each = hosts.flat_map(|(host, count)| (0..count).map(move |_| host));
        each.zip(0..).for_each(|(host, number)| used.insert(now, cookie(number), [9; 16], prefix(host)));
        assert_eq!(used.len(), 160);
        used.insert(now, cookie(1000), [9; 16], prefix(1000));
        assert_eq!([0, 1, 2].map(|host| used.table.held_by(prefix(host))), [4, 8, 3]);
        assert_eq!(used.check(now, &cookie(4), &[9; 16]), CookieUse::First, "the oldest of the second network");
    }
}
