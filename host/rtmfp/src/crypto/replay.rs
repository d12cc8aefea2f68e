//! The window against replayed packets (RFC 7425 §4.7.3.3), a ring of bits as in RFC 6479.

mod handover;

/// The ring's length in 64-bit words. One word is always being filled, so that at least 192 numbers below the highest are
/// remembered; the RFC asks for 32, and a sender that works in batches reorders by more.
const WORDS: u64 = 4;

/// Which session sequence numbers were seen.
#[derive(Clone, Debug, Default)]
pub struct ReplayWindow {
    /// One above the highest number seen.
    end: u64,
    seen: [u64; WORDS as usize],
}

impl ReplayWindow {
    /// Whether a packet with this number would be a duplicate, or is too old to tell.
    pub fn is_duplicate(&self, number: u64) -> bool {
        if number >= self.end {
            // The very last number would leave no room for `end`; no sender counts that far.
            return number == u64::MAX;
        }
        let word_of_highest = (self.end - 1) / 64;
        number / 64 + WORDS <= word_of_highest || self.word(number) >> (number % 64) & 1 != 0
    }

    /// Remembers the number of a packet that was verified and is not a duplicate.
    pub fn insert(&mut self, number: u64) {
        if number >= self.end {
            let last = self.end.saturating_sub(1) / 64;
            // Words between the highest so far and the new one belong to numbers never seen.
            for word in (last + 1..=number / 64).take(WORDS as usize) {
                self.clear(word);
            }
            self.end = number.saturating_add(1);
        }
        if let Some(word) = self.seen.get_mut((number / 64 % WORDS) as usize) {
            *word |= 1 << (number % 64);
        }
    }

    fn word(&self, number: u64) -> u64 {
        self.seen.get((number / 64 % WORDS) as usize).copied().unwrap_or_default()
    }

    fn clear(&mut self, word: u64) {
        if let Some(word) = self.seen.get_mut((word % WORDS) as usize) {
            *word = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn reordering_within_the_window() {
        let mut window = ReplayWindow::default();
        window.insert(1000);
        for number in (808..1000).rev() {
            assert!(!window.is_duplicate(number), "{number}");
            window.insert(number);
            assert!(window.is_duplicate(number));
        }
        assert!(window.is_duplicate(0) && window.is_duplicate(700) && window.is_duplicate(1000));
        assert!(!window.is_duplicate(1001));
    }

    /// The window is whole words, also where the highest number ends one.
    #[test]
    fn the_oldest_word_counts_until_a_number_of_the_next_word_comes() {
        let mut window = ReplayWindow::default();
        let (highest, oldest) = (64 * (WORDS + 3) - 1, 64 * 3);
        window.insert(highest);
        assert!(!window.is_duplicate(oldest) && window.is_duplicate(oldest - 1));
        window.insert(highest + 1);
        assert!(window.is_duplicate(oldest + 63) && !window.is_duplicate(oldest + 64));
    }

    #[test]
    fn the_ends_of_the_range() {
        let mut window = ReplayWindow::default();
        assert!(!window.is_duplicate(0));
        window.insert(0);
        assert!(window.is_duplicate(0));
        assert!(!window.is_duplicate(1));
        assert!(window.is_duplicate(u64::MAX));
        window.insert(u64::MAX - 1);
        assert!(window.is_duplicate(u64::MAX - 1) && window.is_duplicate(u64::MAX));
        assert!(!window.is_duplicate(u64::MAX - 2) && window.is_duplicate(1));
    }

    proptest! {
        /// Nothing is taken twice, and everything is taken once that is at most 192 behind.
        #[test]
        fn against_a_set(steps in prop::collection::vec((-250i64..300, any::<bool>()), 1..400)) {
            let (mut window, mut seen, mut highest) = (ReplayWindow::default(), HashSet::new(), 0u64);
            for (step, far) in steps {
                let number = highest.saturating_add_signed(if far && step > 250 { step * 1000 } else { step });
                let duplicate = window.is_duplicate(number);
                prop_assert!(duplicate || !seen.contains(&number));
                if seen.is_empty() || number + 192 > highest {
                    prop_assert_eq!(duplicate, seen.contains(&number));
                }
                if !duplicate {
                    window.insert(number);
                    seen.insert(number);
                    highest = highest.max(number);
                }
            }
        }
    }
}
