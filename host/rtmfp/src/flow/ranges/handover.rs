//! A set of sequence numbers from a record.

use super::SequenceSet;
use crate::handover::StateError;

impl SequenceSet {
    /// # Errors
    /// Unless the ranges ascend, with a number missing before each.
    pub(in crate::flow) fn from_parts(cumulative: u64, ranges: Vec<(u64, u64)>) -> Result<Self, StateError> {
        let mut end = cumulative;
        for (first, last) in &ranges {
            if end.checked_add(1).is_none_or(|missing| *first <= missing) || last < first {
                return Err(StateError::Invalid("ranges of sequence numbers"));
            }
            end = *last;
        }
        Ok(Self { cumulative, ranges: ranges.into_iter().collect() })
    }
}
