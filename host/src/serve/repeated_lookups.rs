//! Repeated lookups: an initiator repeats its hello, with the same tag, until it is answered.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rtmfp::Lookup;
use smallvec::SmallVec;

/// A lookup is remembered for this long at least, and for twice this time at most. Initiators repeat theirs every second or so.
const PERIOD: Duration = Duration::from_secs(1);
/// The maximum number of lookups of one period. If there are more, the oldest are forgotten sooner.
const MAX_LOOKUPS: usize = 4096;

type Key = (SocketAddr, SmallVec<[u8; 16]>);

/// The recent lookups, by initiator and tag.
#[derive(Debug, Default)]
pub(super) struct RepeatedLookups {
    recent: HashSet<Key>,
    older: HashSet<Key>,
    /// The beginning of the period of `recent`.
    began: Option<Instant>,
}

impl RepeatedLookups {
    /// Notes a lookup; false if it repeats one that was noted a moment ago.
    pub(super) fn is_new(&mut self, now: Instant, lookup: &Lookup) -> bool {
        let age = self.began.map_or(Duration::MAX, |began| now.saturating_duration_since(began));
        if age >= PERIOD || self.recent.len() >= MAX_LOOKUPS {
            self.older = std::mem::take(&mut self.recent);
            if age >= 2 * PERIOD {
                self.older = HashSet::new();
            }
            self.began = Some(now);
        }
        let key = (lookup.initiator, lookup.tag.clone());
        !self.older.contains(&key) && self.recent.insert(key)
    }

    /// Forgets a lookup that has been answered. If the answer is lost, the repeated lookup is a new one.
    pub(super) fn forget(&mut self, lookup: &Lookup) {
        if self.recent.is_empty() && self.older.is_empty() {
            return;
        }
        let key = (lookup.initiator, lookup.tag.clone());
        self.recent.remove(&key);
        self.older.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use rtmfp::InterfaceId;

    use super::*;

    fn lookup(number: u32) -> Lookup {
        Lookup {
            target: None,
            epd: SmallVec::new(),
            initiator: ([192, 0, 2, 1], 1).into(),
            tag: SmallVec::from_slice(&number.to_be_bytes()),
            interface: InterfaceId(0),
            asker: None,
            received: 68,
        }
    }

    #[test]
    fn a_lookup_is_new_again_after_a_while() {
        let (mut repeated, now) = (RepeatedLookups::default(), Instant::now());
        assert!(repeated.is_new(now, &lookup(1)));
        assert!(!repeated.is_new(now + PERIOD / 2, &lookup(1)));
        assert!(repeated.is_new(now + PERIOD / 2, &lookup(2)));
        assert!(!repeated.is_new(now + PERIOD, &lookup(1)), "it was new a period ago");
        assert!(repeated.is_new(now + 3 * PERIOD, &lookup(1)));
        assert!(!repeated.is_new(now + 3 * PERIOD, &lookup(1)));
    }

    #[test]
    fn a_lookup_that_was_answered_is_new_again() {
        let (mut repeated, now) = (RepeatedLookups::default(), Instant::now());
        repeated.forget(&lookup(1));
        assert!(repeated.is_new(now, &lookup(1)));
        repeated.forget(&lookup(1));
        assert!(repeated.is_new(now, &lookup(1)));
        assert!(repeated.is_new(now + PERIOD, &lookup(2)));
        repeated.forget(&lookup(1));
        assert!(repeated.is_new(now + PERIOD, &lookup(1)));
    }

    #[test]
    fn their_number_is_bounded() {
        let (mut repeated, now) = (RepeatedLookups::default(), Instant::now());
        for number in 0..5 * MAX_LOOKUPS as u32 {
            assert!(repeated.is_new(now, &lookup(number)));
        }
        assert!(repeated.recent.len() + repeated.older.len() <= 2 * MAX_LOOKUPS);
        assert!(!repeated.is_new(now, &lookup(5 * MAX_LOOKUPS as u32 - 1)));
    }

    #[test]
    fn a_lookup_is_a_repeated_one_by_its_initiator_and_its_tag() {
        let (mut repeated, now) = (RepeatedLookups::default(), Instant::now());
        let from = |port: u16, number| Lookup { initiator: ([192, 0, 2, 1], port).into(), ..lookup(number) };
        for lookup in [from(1, 1), from(1, 2), from(2, 1)] {
            assert!(repeated.is_new(now, &lookup), "{lookup:?}");
        }
        repeated.forget(&from(1, 1));
        assert!(repeated.is_new(now, &from(1, 1)) && !repeated.is_new(now, &from(1, 2)));
        assert!(!repeated.is_new(now, &from(2, 1)), "only the lookup that was answered is forgotten");
    }

    #[test]
    fn a_lookup_is_forgotten_after_two_periods_and_not_sooner() {
        let (mut repeated, now) = (RepeatedLookups::default(), Instant::now());
        assert!(repeated.is_new(now, &lookup(1)));
        assert!(repeated.is_new(now + PERIOD, &lookup(2)));
        assert!(repeated.is_new(now + 2 * PERIOD, &lookup(1)), "two periods ago");
        assert!(!repeated.is_new(now + 2 * PERIOD, &lookup(2)), "one period ago");
        // If no lookup came for two periods, none is remembered.
        assert!(repeated.is_new(now + 4 * PERIOD, &lookup(1)));
        assert!(repeated.older.is_empty());
    }
}
