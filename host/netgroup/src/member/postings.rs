//! The postings that a member has, and those that it has asked for.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::posting::{Key, PostingId};

/// The longest posting that is accepted, in bytes.
pub const MAX_POSTING: usize = 64 * 1024;
/// How many postings are kept for neighbours that ask for them.
const MAX_KEPT: usize = 64;
/// How many keys are remembered, so that no posting is delivered twice.
const MAX_SEEN: usize = 4096;
/// How many postings are asked for at a time.
const MAX_WANTED: usize = 64;
/// The time after which another neighbour is asked for the same posting.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// The postings that are kept, seen and asked for. Each number is bounded.
#[derive(Debug, Default)]
pub(super) struct Postings {
    /// The keys that were seen, with the values of those that are kept.
    seen: BTreeMap<Key, Option<Box<[u8]>>>,
    /// The keys in `seen` in the order in which they came.
    order: VecDeque<Key>,
    /// When a neighbour was asked for each posting.
    wanted: BTreeMap<Key, Instant>,
}

impl Postings {
    /// Adds a posting that has come or is made here. `None` if it is known already, or is too long.
    pub(super) fn add(&mut self, value: &[u8]) -> Option<PostingId> {
        let id = PostingId::of(value);
        if value.len() > MAX_POSTING || self.seen.contains_key(&id.key()) {
            return None;
        }
        self.wanted.remove(&id.key());
        self.seen.insert(id.key(), Some(value.into()));
        self.order.push_back(id.key());
        // The posting that is now beyond `MAX_KEPT` loses its value, and the one beyond `MAX_SEEN` is forgotten.
        if let Some(old) = self.order.len().checked_sub(MAX_KEPT + 1).and_then(|at| self.order.get(at))
            && let Some(value) = self.seen.get_mut(old)
        {
            *value = None;
        }
        if self.order.len() > MAX_SEEN
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        Some(id)
    }

    /// A neighbour has a posting. Returns whether to ask that neighbour for it.
    pub(super) fn wants(&mut self, key: Key, now: Instant) -> bool {
        if self.seen.contains_key(&key) {
            return false;
        }
        self.wanted.retain(|_, since| now.saturating_duration_since(*since) < ANSWER_TIMEOUT);
        if self.wanted.contains_key(&key) || self.wanted.len() >= MAX_WANTED {
            return false;
        }
        self.wanted.insert(key, now);
        true
    }

    /// The value of a posting, if it is kept.
    pub(super) fn get(&self, key: &Key) -> Option<&[u8]> {
        self.seen.get(key)?.as_deref()
    }

    /// The keys of the postings that are kept, for a new neighbour.
    pub(super) fn kept(&self) -> impl Iterator<Item = Key> + '_ {
        self.order.iter().rev().take(MAX_KEPT).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_posting_comes_once_and_a_bounded_number_is_kept() {
        let mut postings = Postings::default();
        let id = postings.add(b"one").unwrap();
        assert_eq!(postings.add(b"one"), None);
        assert_eq!(postings.get(&id.key()), Some(&b"one"[..]));
        assert_eq!(postings.add(&vec![0; MAX_POSTING + 1]), None);
        assert!(postings.add(&vec![0; MAX_POSTING]).is_some());
        for number in 0..10_000u32 {
            postings.add(&number.to_be_bytes()).unwrap();
        }
        assert_eq!(postings.get(&id.key()), None);
        assert_eq!((postings.seen.len(), postings.order.len()), (MAX_SEEN, MAX_SEEN));
        assert_eq!(postings.seen.values().flatten().count(), MAX_KEPT);
        assert_eq!(postings.kept().filter(|key| postings.get(key).is_some()).count(), MAX_KEPT);
    }

    #[test]
    fn one_neighbour_is_asked_at_a_time() {
        let now = Instant::now();
        let mut postings = Postings::default();
        assert!(postings.wants([1; 8], now));
        assert!(!postings.wants([1; 8], now));
        assert!(postings.wants([1; 8], now + ANSWER_TIMEOUT));
        let taken = (0..1000u64).filter(|key| postings.wants(key.to_be_bytes(), now + ANSWER_TIMEOUT)).count();
        assert_eq!(taken, MAX_WANTED - 1);
        let id = postings.add(b"x").unwrap();
        assert!(!postings.wants(id.key(), now + 2 * ANSWER_TIMEOUT));
    }
}
