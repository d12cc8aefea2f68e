//! A queue as a record, and back.

use std::cmp::Reverse;

use super::entries::{Fragment, MESSAGE_OVERHEAD, Message, Place};
use super::send_queue::SendQueue;
use crate::flow::options::Delivery;
use crate::handover::{Clock, FragmentRecord, MAX_NUMBER, MessageRecord, QueueRecord, StateError};
use crate::wire::chunk::FragmentControl;

const BEGINS: u8 = 1;
const ENDS: u8 = 2;

impl SendQueue {
    /// What is in the network counts as never sent when it is read, but for this: it may be acknowledged.
    pub(in crate::flow) fn record(&self, clock: Clock) -> QueueRecord {
        QueueRecord {
            messages: self.messages.iter().map(|message| message.record(clock)).collect(),
            first_message: self.first_message,
            uncut: self.uncut,
            fragments: self.fragments.iter().map(Fragment::record).collect(),
            settled: self.settled,
            final_number: self.final_number,
            closing: self.closing,
            deadline: clock.write_any(self.deadline),
        }
    }

    /// # Errors
    /// If fragments and messages do not belong together.
    pub(in crate::flow) fn from_record(clock: Clock, record: QueueRecord) -> Result<Self, StateError> {
        if record.first_message.max(record.settled) > MAX_NUMBER || record.final_number > MAX_NUMBER {
            return Err(StateError::Invalid("numbers of a sending flow"));
        }
        let end = record.first_message + record.messages.len() as u64;
        let last = record.settled + record.fragments.len() as u64;
        if !(record.first_message..=end).contains(&record.uncut) {
            return Err(StateError::Invalid("the message to be cut next"));
        }
        let mut queue = Self {
            first_message: record.first_message,
            uncut: record.uncut,
            settled: record.settled,
            final_number: record.final_number,
            closing: record.closing,
            deadline: clock.read_any(record.deadline),
            ..Self::default()
        };
        for (id, message) in (record.first_message..).zip(record.messages) {
            let is_to_be_cut = id >= record.uncut && !message.abandoned;
            if is_to_be_cut && message.cut as usize > message.data.len() {
                return Err(StateError::Invalid("a message is cut beyond its end"));
            }
            queue.queued += message.data.len() + MESSAGE_OVERHEAD;
            queue.messages.push_back(Message::from_record(clock, message));
        }
        for (number, fragment) in (record.settled + 1..).zip(record.fragments) {
            if fragment.message >= end || fragment.acknowledged_until.is_some_and(|until| until > last) {
                return Err(StateError::Invalid("a fragment of a message that is not there"));
            }
            let fragment = Fragment::from_record(&fragment);
            if fragment.place == Place::Here && !fragment.abandoned {
                queue.lost.push(Reverse(number));
            }
            queue.fragments.push_back(fragment);
        }
        Ok(queue)
    }
}

impl Message {
    fn record(&self, clock: Clock) -> MessageRecord {
        MessageRecord {
            data: self.data.clone(),
            start_by: clock.write_any(self.delivery.start_by),
            finish_by: clock.write_any(self.delivery.finish_by),
            send_once: self.delivery.send_once,
            notify: self.delivery.notify,
            cut: self.cut,
            live: self.live,
            abandoned: self.abandoned,
        }
    }

    fn from_record(clock: Clock, record: MessageRecord) -> Self {
        let delivery = Delivery {
            start_by: clock.read_any(record.start_by),
            finish_by: clock.read_any(record.finish_by),
            send_once: record.send_once,
            notify: record.notify,
        };
        Self { data: record.data, delivery, cut: record.cut, live: record.live, abandoned: record.abandoned }
    }
}

impl Fragment {
    fn record(&self) -> FragmentRecord {
        let acknowledged_until = match self.place {
            Place::Acknowledged { until } => Some(until),
            Place::Here | Place::InFlight { .. } => None,
        };
        let place = match self.control {
            FragmentControl::Whole => BEGINS | ENDS,
            FragmentControl::Begin => BEGINS,
            FragmentControl::End => ENDS,
            FragmentControl::Middle => 0,
        };
        FragmentRecord {
            acknowledged_until,
            message: self.message,
            offset: self.offset,
            length: self.length,
            place,
            abandoned: self.abandoned,
            ever_sent: self.ever_sent,
        }
    }

    fn from_record(record: &FragmentRecord) -> Self {
        let control = match (record.place & BEGINS != 0, record.place & ENDS != 0) {
            (true, true) => FragmentControl::Whole,
            (true, false) => FragmentControl::Begin,
            (false, true) => FragmentControl::End,
            (false, false) => FragmentControl::Middle,
        };
        Self {
            place: record.acknowledged_until.map_or(Place::Here, |until| Place::Acknowledged { until }),
            message: record.message,
            offset: record.offset,
            length: record.length,
            control,
            abandoned: record.abandoned,
            ever_sent: record.ever_sent,
        }
    }
}
