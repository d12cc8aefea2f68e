//! The address checks of a session as a record, and back.

use super::Mobility;
use crate::handover::{Clock, MobilityRecord};

impl Mobility {
    pub(crate) fn record(&self, clock: Clock) -> MobilityRecord {
        MobilityRecord {
            epoch: clock.write(self.epoch),
            secret: self.secret,
            checked: clock.write_any(self.checked),
            confirmed: self.confirmed,
        }
    }

    pub(crate) fn from_record(clock: Clock, record: &MobilityRecord) -> Self {
        Self {
            epoch: clock.read(record.epoch),
            secret: record.secret,
            checked: clock.read_any(record.checked),
            confirmed: record.confirmed,
        }
    }
}
