//! SEND_QUEUE (RFC 7016 §3.6.2): messages of one flow, and the fragments they have been cut into.
//!
//! A message is cut when it is sent, not when it is queued, so that fragments fill packets. Fragments have contiguous
//! sequence numbers; one that is acknowledged keeps its place until everything before it is gone, so that finding a
//! fragment by its number is an index and nothing is ever searched.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Instant;

use super::entries::{Fragment, MESSAGE_OVERHEAD, Message, Place};
use crate::flow::event::MessageId;
use crate::flow::options::Delivery;
use crate::wire::chunk::FragmentControl;

/// What an empty queue is remembered by: the numbers given out already.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::flow) struct Resume {
    pub(in crate::flow) messages: u64,
    pub(in crate::flow) fragments: u64,
}

#[derive(Debug, Default)]
pub(in crate::flow) struct SendQueue {
    pub(super) messages: VecDeque<Message>,
    /// The number of `messages[0]`.
    pub(super) first_message: u64,
    /// The first message that is not wholly cut.
    pub(super) uncut: u64,
    pub(super) fragments: VecDeque<Fragment>,
    /// One less than the sequence number of `fragments[0]`: everything up to it is done with.
    pub(super) settled: u64,
    /// Sequence numbers of fragments that were lost; one that is not here to be sent any more is skipped.
    pub(super) lost: BinaryHeap<Reverse<u64>>,
    /// F_FINAL_SN; 0: none yet.
    pub(super) final_number: u64,
    pub(super) closing: bool,
    /// Bytes of messages not done with, with their overhead.
    pub(super) queued: usize,
    /// No message has to be given up before this time.
    pub(super) deadline: Option<Instant>,
}

impl SendQueue {
    /// An empty queue whose numbers follow those of an earlier one.
    pub(in crate::flow) fn new(resume: Resume) -> Self {
        let Resume { messages, fragments } = resume;
        Self { first_message: messages, uncut: messages, settled: fragments, ..Self::default() }
    }

    /// For the queue that follows this one, which is empty.
    pub(in crate::flow) fn resume(&self) -> Resume {
        Resume { messages: self.first_message, fragments: self.settled }
    }

    /// Bytes waiting or unacknowledged, overhead included.
    pub(in crate::flow) fn queued(&self) -> usize {
        self.queued
    }

    /// The same with what is kept about fragments, those too that are acknowledged while one before them is not.
    pub(in crate::flow) fn bytes_held(&self) -> usize {
        self.queued + self.fragments.len() * size_of::<Fragment>()
    }

    /// Everything up to this sequence number is done with.
    pub(in crate::flow) fn settled(&self) -> u64 {
        self.settled
    }

    /// The first fragment that is not done with was sent.
    pub(in crate::flow) fn is_awaiting(&self) -> bool {
        self.fragments.front().is_some_and(|first| first.ever_sent)
    }

    /// Nothing is left: with a closed flow, it is complete (§3.6.2.11).
    pub(in crate::flow) fn is_empty(&self) -> bool {
        self.fragments.is_empty() && self.messages.is_empty()
    }

    pub(in crate::flow) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Queues a message (§3.6.2.2). Its length fits 32 bits.
    pub(in crate::flow) fn push(&mut self, data: Vec<u8>, delivery: Delivery) -> MessageId {
        let id = self.first_message + self.messages.len() as u64;
        self.queued += data.len() + MESSAGE_OVERHEAD;
        for deadline in [delivery.start_by, delivery.finish_by].into_iter().flatten() {
            self.deadline = Some(self.deadline.map_or(deadline, |earliest| earliest.min(deadline)));
        }
        self.messages.push_back(Message { data, delivery, cut: 0, live: 0, abandoned: false });
        MessageId(id)
    }

    /// Queues a fragment that is already abandoned: it begins a flow without data (§3.6.2.1), or ends one (§3.6.2.11).
    pub(in crate::flow) fn push_abandoned(&mut self) {
        let MessageId(id) = self.push(Vec::new(), Delivery::default());
        self.abandon(id);
    }

    /// The last fragment made from now on, or the last one there is if it was never sent, will be the flow's last (§3.6.2.11).
    pub(in crate::flow) fn close(&mut self) {
        if self.closing {
            return;
        }
        self.closing = true;
        if self.uncut < self.first_message + self.messages.len() as u64 {
            return;
        }
        match self.fragments.back() {
            Some(last) if !last.ever_sent => self.final_number = self.last_number(),
            _ => self.push_abandoned(),
        }
    }

    pub(super) fn last_number(&self) -> u64 {
        self.settled + self.fragments.len() as u64
    }

    pub(super) fn index(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.settled + 1)?).ok()
    }

    pub(super) fn fragment(&self, number: u64) -> Option<&Fragment> {
        self.fragments.get(self.index(number)?)
    }

    pub(super) fn message_mut(&mut self, message: u64) -> Option<&mut Message> {
        self.messages.get_mut(usize::try_from(message.checked_sub(self.first_message)?).ok()?)
    }

    pub(super) fn message(&self, message: u64) -> Option<&Message> {
        self.messages.get(usize::try_from(message.checked_sub(self.first_message)?).ok()?)
    }

    /// Makes a fragment of the first message not wholly cut.
    pub(super) fn push_fragment(&mut self, length: usize, abandoned: bool) {
        let (number, message) = (self.last_number() + 1, self.uncut);
        let Some(cutting) = self.message_mut(message) else { return };
        let offset = cutting.cut;
        cutting.cut += length as u32;
        cutting.live += 1;
        let (first, last) = (offset == 0, abandoned || cutting.cut as usize >= cutting.data.len());
        let control = match (first, last) {
            (true, true) => FragmentControl::Whole,
            (true, false) => FragmentControl::Begin,
            (false, true) => FragmentControl::End,
            (false, false) => FragmentControl::Middle,
        };
        let length = length as u32;
        self.fragments.push_back(Fragment {
            place: Place::Here,
            message,
            offset,
            length,
            control,
            abandoned,
            ever_sent: false,
        });
        if last {
            self.uncut += 1;
            if self.closing && self.uncut == self.first_message + self.messages.len() as u64 {
                self.final_number = number;
            }
        }
    }

    /// Gives the rest of each abandoned message at the cutting edge one sequence number, so that the receiver sees the gap
    /// (§3.6.1.2) and need not wait for the rest of what it has (§3.6.3.3).
    pub(super) fn cut_abandoned(&mut self) {
        while self.message(self.uncut).is_some_and(|message| message.abandoned) {
            self.push_fragment(0, true);
        }
    }
}
