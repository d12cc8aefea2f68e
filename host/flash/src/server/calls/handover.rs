//! The calls that wait for their answers as a record, and back.

use super::PendingCalls;
use crate::server::handover::CallsRecord;

impl PendingCalls {
    pub(in crate::server) fn record(&self) -> CallsRecord {
        CallsRecord { last: self.last, waiting: self.waiting.to_vec() }
    }

    pub(in crate::server) fn from_record(record: CallsRecord) -> Self {
        Self { last: record.last, waiting: record.waiting.into_iter().collect() }
    }
}
