//! SEQUENCE_SET (RFC 7016 §3.6.3): which sequence numbers a receiving flow has seen.

mod handover;

use std::ops::RangeInclusive;

use thin_vec::ThinVec;

/// A set of sequence numbers that contains 0: a contiguous run from 0, and a bounded list of ranges beyond it.
#[derive(Debug, Default)]
pub(super) struct SequenceSet {
    cumulative: u64,
    /// Ascending, with at least one missing number before and between them. Mostly there are none.
    ranges: ThinVec<(u64, u64)>,
}

impl SequenceSet {
    /// The Cumulative Acknowledgement Sequence Number (§3.6.3.3): everything up to it is in the set.
    pub(super) fn cumulative(&self) -> u64 {
        self.cumulative
    }

    /// There is a number in the set above one that is not.
    pub(super) fn has_gaps(&self) -> bool {
        !self.ranges.is_empty()
    }

    /// How many ranges lie beyond the contiguous run.
    pub(super) fn gaps(&self) -> usize {
        self.ranges.len()
    }

    pub(super) fn contains(&self, number: u64) -> bool {
        number <= self.cumulative || self.ranges.get(self.position(number)).is_some_and(|&(first, _)| first <= number)
    }

    /// The first range that ends at or after `number`.
    fn position(&self, number: u64) -> usize {
        self.ranges.partition_point(|&(_, last)| last < number)
    }

    /// Whether `number` can be added without making more than `max_ranges` ranges.
    pub(super) fn has_room_for(&self, number: u64, max_ranges: usize) -> bool {
        if self.ranges.len() < max_ranges || number <= self.cumulative.saturating_add(1) {
            return true;
        }
        let at = self.position(number);
        let joins_next = self.ranges.get(at).is_some_and(|&(first, _)| first <= number.saturating_add(1));
        let joins_previous =
            at.checked_sub(1).and_then(|before| self.ranges.get(before)).is_some_and(|&(_, last)| last + 1 == number);
        joins_next || joins_previous
    }

    /// Adds `number`.
    pub(super) fn insert(&mut self, number: u64) {
        if number <= self.cumulative {
            return;
        }
        if number == self.cumulative + 1 {
            self.cumulative = number;
            return self.absorb();
        }
        let at = self.position(number);
        // A range found here ends at or after `number`; the one before it ends below `number`.
        let joins_next = match self.ranges.get_mut(at) {
            Some((first, _)) if *first <= number => return,
            Some((first, _)) if *first == number + 1 => {
                *first = number;
                true
            }
            _ => false,
        };
        let previous = at.checked_sub(1).and_then(|before| self.ranges.get_mut(before));
        match previous {
            Some((_, last)) if *last + 1 == number => {
                *last = number;
                if joins_next {
                    let (_, end) = self.ranges.remove(at);
                    if let Some((_, last)) = self.ranges.get_mut(at - 1) {
                        *last = end;
                    }
                }
            }
            _ if !joins_next => self.ranges.insert(at, (number, number)),
            _ => (),
        }
    }

    /// Adds everything up to a Forward Sequence Number.
    pub(super) fn forward_to(&mut self, number: u64) {
        if number > self.cumulative {
            self.cumulative = number;
            self.absorb();
        }
    }

    /// Joins the ranges that the contiguous run has reached to it.
    fn absorb(&mut self) {
        if self.ranges.is_empty() {
            return;
        }
        let reached = self.ranges.iter().take_while(|&&(first, last)| {
            let reached = first <= self.cumulative.saturating_add(1);
            if reached {
                self.cumulative = self.cumulative.max(last);
            }
            reached
        });
        let reached = reached.count();
        self.ranges.drain(..reached);
        if self.ranges.is_empty() {
            self.ranges = ThinVec::new();
        }
    }

    /// What lies beyond the contiguous run, ascending.
    pub(super) fn ranges(&self) -> impl Iterator<Item = RangeInclusive<u64>> + Clone {
        self.ranges.iter().map(|&(first, last)| first..=last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_highest_number_there_is_does_no_harm() {
        let mut set = SequenceSet::default();
        set.insert(u64::MAX);
        set.insert(u64::MAX - 1);
        assert!(set.contains(u64::MAX) && !set.contains(u64::MAX - 2));
        assert_eq!(set.gaps(), 1);
        set.forward_to(u64::MAX - 2);
        assert_eq!((set.cumulative(), set.gaps()), (u64::MAX, 0));
        set.insert(u64::MAX);
        set.forward_to(u64::MAX);
        assert!(set.has_room_for(u64::MAX, 0));
    }

    proptest! {
        #[test]
        fn it_is_a_set(operations in prop::collection::vec((any::<bool>(), 1u64..60), 0..80)) {
            let mut set = SequenceSet::default();
            let mut model = BTreeSet::from([0u64]);
            for (forward, number) in operations {
                if forward && number % 4 == 0 {
                    set.forward_to(number);
                    model.extend(0..=number);
                } else {
                    let room = set.has_room_for(number, set.gaps());
                    let before = set.gaps();
                    set.insert(number);
                    model.insert(number);
                    prop_assert_eq!(room, set.gaps() <= before);
                }
                let cumulative = (0..).take_while(|number| model.contains(number)).last().unwrap();
                prop_assert_eq!(set.cumulative(), cumulative);
                prop_assert!((0..70).all(|number| set.contains(number) == model.contains(&number)));
                let beyond: Vec<u64> = set.ranges().flatten().collect();
                let expected: Vec<u64> = model.iter().copied().filter(|&number| number > cumulative).collect();
                prop_assert_eq!(beyond, expected);
                let ends: Vec<_> = set.ranges().collect();
                prop_assert!(ends.windows(2).all(|pair| pair[0].end() + 1 < *pair[1].start()));
            }
        }
    }
}
