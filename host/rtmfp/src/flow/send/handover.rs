//! A sending flow as a record, and back.

use std::time::Duration;

use super::{Probing, Refused, SendFlow};
use crate::flow::options::Priority;
use crate::flow::queue::{Resume, SendQueue};
use crate::handover::{Clock, MAX_NUMBER, RefusedRecord, SendFlowRecord, StateError};
use crate::moment::Moment;

const PRIORITIES: [Priority; 5] =
    [Priority::Background, Priority::Low, Priority::Normal, Priority::High, Priority::Highest];

impl SendFlow {
    pub(in crate::flow) fn record(&self, clock: Clock) -> SendFlowRecord {
        let refused = self.refused.as_ref().map(|refused| RefusedRecord {
            until: clock.write(refused.until),
            period: nanos(refused.period),
            held: refused.held,
        });
        SendFlowRecord {
            id: self.id,
            priority: PRIORITIES.iter().position(|priority| *priority == self.priority).unwrap_or(2) as u8,
            time_critical: self.time_critical,
            closing: self.closing,
            wants_room: self.wants_room,
            exception: self.exception,
            startup: (!self.startup.is_empty()).then(|| self.startup.to_vec()),
            resume: (self.resume.messages, self.resume.fragments),
            queue: self.queue.as_ref().map(|queue| queue.record(clock)),
            window: self.window,
            probing: self.probing.as_ref().map(|probing| (clock.write(probing.at), nanos(probing.period))),
            refused,
            unacknowledged: clock.write_any(self.unacknowledged.map(Moment::instant)),
        }
    }

    /// # Errors
    /// If the record contradicts itself.
    pub(in crate::flow) fn from_record(clock: Clock, record: SendFlowRecord) -> Result<Self, StateError> {
        let priority = PRIORITIES.get(usize::from(record.priority)).copied();
        let (messages, fragments) = record.resume;
        if messages.max(fragments) > MAX_NUMBER {
            return Err(StateError::Invalid("numbers of a sending flow"));
        }
        let queue = record.queue.map(|queue| SendQueue::from_record(clock, queue)).transpose()?;
        Ok(Self {
            id: record.id,
            priority: priority.ok_or(StateError::Invalid("a priority"))?,
            time_critical: record.time_critical,
            closing: record.closing,
            wants_room: record.wants_room,
            exception: record.exception,
            startup: record.startup.unwrap_or_default().as_slice().into(),
            queue: queue.map(Box::new),
            resume: Resume { messages, fragments },
            window: record.window,
            outstanding: 0,
            probing: record
                .probing
                .map(|(at, period)| Box::new(Probing { at: clock.read(at), period: Duration::from_nanos(period) })),
            refused: record.refused.map(|refused| {
                let (until, period) = (clock.read(refused.until), Duration::from_nanos(refused.period));
                Box::new(Refused { until, period, held: refused.held })
            }),
            unacknowledged: clock.read_any(record.unacknowledged).map(Moment::from),
        })
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
