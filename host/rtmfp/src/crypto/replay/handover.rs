//! The window against replayed packets as a record, and back.

use super::ReplayWindow;
use crate::handover::{StateError, WindowRecord};

impl ReplayWindow {
    pub(crate) fn record(&self) -> WindowRecord {
        WindowRecord { end: self.end, seen: self.seen.to_vec() }
    }

    /// # Errors
    /// If the window in the record has another length.
    pub(crate) fn from_record(record: &WindowRecord) -> Result<Self, StateError> {
        let seen = record.seen.as_slice().try_into().map_err(|_| StateError::Invalid("a window against replays"))?;
        Ok(Self { end: record.end, seen })
    }
}
