//! What a session has cost as a record, and back.

use super::Budget;
use crate::handover::BudgetRecord;
use crate::token_bucket::TokenBucket;

impl Budget {
    pub(crate) fn record(&self) -> BudgetRecord {
        BudgetRecord {
            second: self.second,
            full_at: self.bucket.full_at(),
            taken: self.taken,
            dropped: self.dropped,
            bad_seconds: self.bad_seconds,
            is_slowed: self.is_slowed,
        }
    }

    pub(crate) fn from_record(record: &BudgetRecord) -> Self {
        Self {
            second: record.second,
            bucket: TokenBucket::with_full_at(record.full_at),
            taken: record.taken,
            dropped: record.dropped,
            bad_seconds: record.bad_seconds,
            is_slowed: record.is_slowed,
        }
    }
}
