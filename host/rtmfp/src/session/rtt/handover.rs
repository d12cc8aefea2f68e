//! Timestamps and round trip times as a record, and back.

use super::{ECHO_LIFETIME, Rtt, micros};
use crate::handover::{Clock, RttRecord};

impl Rtt {
    pub(crate) fn record(&self, clock: Clock) -> RttRecord {
        RttRecord {
            epoch: clock.write(self.epoch()),
            received: self.received,
            echo_sent: self.echo_sent,
            echo_received: self.echo_received,
            smoothed: self.smoothed,
            measured_timeout: self.measured_timeout,
            effective_timeout: self.effective_timeout,
        }
    }

    /// Times that the engine never reaches are brought within its bounds: sums of them must not overflow.
    pub(crate) fn from_record(clock: Clock, record: &RttRecord) -> Self {
        let max = micros(ECHO_LIFETIME);
        Self {
            epoch: clock.read(record.epoch).into(),
            received: record.received,
            echo_sent: record.echo_sent,
            echo_received: record.echo_received,
            smoothed: record.smoothed.map(|(rtt, variance)| (rtt.min(max), variance.min(max))),
            measured_timeout: record.measured_timeout.min(8 * max),
            effective_timeout: record.effective_timeout.min(8 * max),
        }
    }
}
