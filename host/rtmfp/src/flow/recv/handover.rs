//! A receiving flow as a record, and back.

use std::num::NonZeroU64;

use super::{MESSAGE_OVERHEAD, RecvFlow, State, Waiting};
use crate::flow::options::Order;
use crate::flow::ranges::SequenceSet;
use crate::flow::reassembly::{Assembled, Reassembly};
use crate::handover::{AssembledRecord, Clock, RecvFlowRecord, RecvPhaseRecord, StateError};

impl RecvFlow {
    pub(in crate::flow) fn record(&self, clock: Clock) -> RecvFlowRecord {
        let phase = match self.state {
            State::Open => RecvPhaseRecord::Open,
            State::Rejected(exception) => RecvPhaseRecord::Rejected(exception),
            State::Complete(since) => RecvPhaseRecord::Complete(clock.write(since.instant())),
        };
        let waiting = self.waiting.iter().flat_map(|waiting| &waiting.messages);
        RecvFlowRecord {
            id: self.id,
            phase,
            by_arrival: self.order == Order::Arrival,
            paused: self.paused,
            should_ack: self.should_ack,
            announced: self.announced,
            advertised: self.advertised.map_or(0, NonZeroU64::get),
            cumulative: self.set.cumulative(),
            ranges: self.set.ranges().map(|range| (*range.start(), *range.end())).collect(),
            final_number: self.final_number,
            delivered: self.delivered,
            given_up: self.given_up,
            partial: self.reassembly.partial_record(),
            segments: self.reassembly.segment_records(),
            expected: self.reassembly.expected(),
            waiting: waiting.map(record_of).collect(),
        }
    }

    /// # Errors
    /// If the record contradicts itself.
    pub(in crate::flow) fn from_record(clock: Clock, record: RecvFlowRecord) -> Result<Self, StateError> {
        let state = match record.phase {
            RecvPhaseRecord::Open => State::Open,
            RecvPhaseRecord::Rejected(exception) => State::Rejected(exception),
            RecvPhaseRecord::Complete(since) => State::Complete(clock.read(since).into()),
        };
        let messages: Vec<Assembled> = record.waiting.into_iter().map(assembled).collect();
        let bytes = messages.iter().map(|message| message.data.len() + MESSAGE_OVERHEAD).sum();
        Ok(Self {
            id: record.id,
            state,
            order: if record.by_arrival { Order::Arrival } else { Order::Original },
            paused: record.paused,
            should_ack: record.should_ack,
            announced: record.announced,
            advertised: NonZeroU64::new(record.advertised),
            set: SequenceSet::from_parts(record.cumulative, record.ranges)?,
            final_number: record.final_number,
            delivered: record.delivered,
            given_up: record.given_up,
            reassembly: Reassembly::from_records(record.partial, record.segments, record.expected)?,
            waiting: (!messages.is_empty()).then(|| Box::new(Waiting { messages, bytes })),
        })
    }
}

fn record_of(message: &Assembled) -> AssembledRecord {
    AssembledRecord { first: message.first, last: message.last, data: message.data.clone() }
}

fn assembled(record: AssembledRecord) -> Assembled {
    Assembled { first: record.first, last: record.last, data: record.data }
}
