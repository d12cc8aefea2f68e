//! What is known of a path as a record, and back. A search under way is left out.

use super::{Answers, PathMtu, narrow};
use crate::handover::PathRecord;

impl PathMtu {
    pub(crate) fn record(&self) -> PathRecord {
        let answers = match self.answers {
            Answers::Unknown => None,
            Answers::Yes => Some(true),
            Answers::No => Some(false),
        };
        let (size, suspicion, oversized, again) = (self.size, self.suspicion, self.oversized, self.again);
        PathRecord { size, suspicion, answers, oversized, again }
    }

    /// `max` is the largest datagram of the endpoint's settings, which may have become smaller.
    pub(crate) fn from_record(record: &PathRecord, max: usize) -> Self {
        let answers = match record.answers {
            None => Answers::Unknown,
            Some(true) => Answers::Yes,
            Some(false) => Answers::No,
        };
        let new = Self::new(max);
        Self {
            size: record.size.clamp(new.size, narrow(max).max(new.size)),
            suspicion: record.suspicion,
            answers,
            oversized: record.oversized,
            again: record.again,
            search: None,
        }
    }
}
