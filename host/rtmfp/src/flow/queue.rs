//! SEND_QUEUE (RFC 7016 §3.6.2): messages of one flow, and the fragments they have been cut into.
//!
//! A message is cut when it is sent, not when it is queued, so that fragments fill packets. Fragments have contiguous
//! sequence numbers; one that is acknowledged keeps its place until everything before it is gone, so that finding a
//! fragment by its number is an index and nothing is ever searched.

mod outstanding;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

pub(super) use outstanding::Acknowledged;

use super::event::MessageId;
use crate::wire::chunk::FragmentControl;

/// What a queued message is counted as, besides its bytes.
pub(super) const MESSAGE_OVERHEAD: usize = 64;

/// How hard to try to deliver a message (§3.6.2.7). By default: until it is delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Give the message up if none of it has been sent by then.
    pub start_by: Option<Instant>,
    /// Give the message up if not all of it has been acknowledged by then.
    pub finish_by: Option<Instant>,
    /// Give the message up as soon as a part of it is lost.
    pub send_once: bool,
    /// Tell when all of it has been acknowledged ([`super::FlowEvent::Delivered`]).
    pub notify: bool,
}

#[derive(Debug)]
struct Message {
    data: Vec<u8>,
    delivery: Delivery,
    /// How many bytes fragments have been made of.
    cut: u32,
    /// Fragments not acknowledged or discarded.
    live: u32,
    abandoned: bool,
}

/// Where a fragment is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Never sent, or lost.
    Here,
    /// Outstanding in the network: with what TSN, in how many bytes (TRANSMIT_SIZE), and whether as abandoned.
    InFlight { tsn: u64, size: u32, as_abandoned: bool },
    /// Acknowledged, and so is everything up to this sequence number.
    Acknowledged { until: u64 },
}

#[derive(Debug)]
struct Fragment {
    place: Place,
    message: u64,
    offset: u32,
    length: u32,
    control: FragmentControl,
    abandoned: bool,
    ever_sent: bool,
}

/// What can be sent next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The fragment with this sequence number.
    Fragment(u64),
    /// A new fragment with this sequence number, of at most so many bytes.
    Cut { number: u64, remaining: usize },
}

impl Next {
    pub(super) fn number(self) -> u64 {
        match self {
            Next::Fragment(number) | Next::Cut { number, .. } => number,
        }
    }
}

/// A fragment as it is put into a chunk.
#[derive(Debug)]
pub(super) struct Outgoing<'a> {
    pub(super) control: FragmentControl,
    pub(super) abandoned: bool,
    pub(super) is_final: bool,
    pub(super) data: &'a [u8],
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Delivered(MessageId),
    Dropped(MessageId),
}

/// What an empty queue is remembered by: the numbers given out already.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Resume {
    messages: u64,
    fragments: u64,
}

#[derive(Debug, Default)]
pub(super) struct SendQueue {
    messages: VecDeque<Message>,
    /// The number of `messages[0]`.
    first_message: u64,
    /// The first message that is not wholly cut.
    uncut: u64,
    fragments: VecDeque<Fragment>,
    /// One less than the sequence number of `fragments[0]`: everything up to it is done with.
    settled: u64,
    /// Sequence numbers of fragments that were lost; one that is not here to be sent any more is skipped.
    lost: BinaryHeap<Reverse<u64>>,
    /// F_FINAL_SN; 0: none yet.
    final_number: u64,
    closing: bool,
    /// Bytes of messages not done with, with their overhead.
    queued: usize,
    /// No message has to be given up before this time.
    deadline: Option<Instant>,
}

impl SendQueue {
    /// An empty queue whose numbers follow those of an earlier one.
    pub(super) fn new(resume: Resume) -> Self {
        let Resume { messages, fragments } = resume;
        Self { first_message: messages, uncut: messages, settled: fragments, ..Self::default() }
    }

    /// For the queue that follows this one, which is empty.
    pub(super) fn resume(&self) -> Resume {
        Resume { messages: self.first_message, fragments: self.settled }
    }

    /// Bytes waiting or unacknowledged, overhead included.
    pub(super) fn queued(&self) -> usize {
        self.queued
    }

    /// The same with what is kept about fragments, those too that are acknowledged while one before them is not.
    pub(super) fn bytes_held(&self) -> usize {
        self.queued + self.fragments.len() * size_of::<Fragment>()
    }

    /// Everything up to this sequence number is done with.
    pub(super) fn settled(&self) -> u64 {
        self.settled
    }

    /// The first fragment that is not done with was sent.
    pub(super) fn is_awaiting(&self) -> bool {
        self.fragments.front().is_some_and(|first| first.ever_sent)
    }

    /// Nothing is left: with a closed flow, it is complete (§3.6.2.11).
    pub(super) fn is_empty(&self) -> bool {
        self.fragments.is_empty() && self.messages.is_empty()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Queues a message (§3.6.2.2). Its length fits 32 bits.
    pub(super) fn push(&mut self, data: Vec<u8>, delivery: Delivery) -> MessageId {
        let id = self.first_message + self.messages.len() as u64;
        self.queued += data.len() + MESSAGE_OVERHEAD;
        for deadline in [delivery.start_by, delivery.finish_by].into_iter().flatten() {
            self.deadline = Some(self.deadline.map_or(deadline, |earliest| earliest.min(deadline)));
        }
        self.messages.push_back(Message { data, delivery, cut: 0, live: 0, abandoned: false });
        MessageId(id)
    }

    /// Queues a fragment that is already abandoned: it begins a flow without data (§3.6.2.1), or ends one (§3.6.2.11).
    pub(super) fn push_abandoned(&mut self) {
        let MessageId(id) = self.push(Vec::new(), Delivery::default());
        self.abandon(id);
    }

    /// The last fragment made from now on, or the last one there is if it was never sent, will be the flow's last (§3.6.2.11).
    pub(super) fn close(&mut self) {
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

    fn last_number(&self) -> u64 {
        self.settled + self.fragments.len() as u64
    }

    fn index(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.settled + 1)?).ok()
    }

    fn fragment(&self, number: u64) -> Option<&Fragment> {
        self.fragments.get(self.index(number)?)
    }

    fn message_mut(&mut self, message: u64) -> Option<&mut Message> {
        self.messages.get_mut(usize::try_from(message.checked_sub(self.first_message)?).ok()?)
    }

    fn message(&self, message: u64) -> Option<&Message> {
        self.messages.get(usize::try_from(message.checked_sub(self.first_message)?).ok()?)
    }

    /// Makes a fragment of the first message not wholly cut.
    fn push_fragment(&mut self, length: usize, abandoned: bool) {
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
    fn cut_abandoned(&mut self) {
        while self.message(self.uncut).is_some_and(|message| message.abandoned) {
            self.push_fragment(0, true);
        }
    }

    /// Abandons a message with all its fragments (§3.6.2.7); false if it is done with or abandoned already.
    pub(super) fn abandon(&mut self, id: u64) -> bool {
        let wholly_cut = id < self.uncut;
        let Some(message) =
            self.message_mut(id).filter(|message| !(message.abandoned || wholly_cut && message.live == 0))
        else {
            return false;
        };
        message.abandoned = true;
        let freed = std::mem::take(&mut message.data).len();
        self.queued -= freed;
        let start = self.fragments.partition_point(|fragment| fragment.message < id);
        for fragment in self.fragments.range_mut(start..).take_while(|fragment| fragment.message == id) {
            fragment.abandoned = true;
        }
        self.cut_abandoned();
        true
    }

    /// Abandons everything: the far end wants none of it (§3.6.2.10).
    pub(super) fn abandon_all(&mut self) {
        for id in self.first_message..self.first_message + self.messages.len() as u64 {
            self.abandon(id);
        }
    }

    /// Abandons what is too late, reporting each message.
    pub(super) fn expire(&mut self, now: Instant, mut report: impl FnMut(Outcome)) {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return;
        }
        self.deadline = None;
        // A list of many is not looked through again at once: each of them may have a deadline of its own.
        let pause = Duration::from_micros(self.messages.len() as u64);
        for at in 0..self.messages.len() {
            let id = self.first_message + at as u64;
            let Some(message) = self.messages.get(at) else { break };
            let done = message.abandoned || id < self.uncut && message.live == 0;
            let started = message.cut > 0 || id < self.uncut;
            let start_by = message.delivery.start_by.filter(|_| !started);
            let earliest = match (start_by, message.delivery.finish_by) {
                (Some(start), Some(finish)) => Some(start.min(finish)),
                (start, finish) => start.or(finish),
            };
            let Some(deadline) = earliest.filter(|_| !done) else { continue };
            if deadline > now {
                let next = deadline.max(now + pause);
                self.deadline = Some(self.deadline.map_or(next, |other| other.min(next)));
            } else if self.abandon(id) {
                report(Outcome::Dropped(MessageId(id)));
            }
        }
    }

    fn is_here(&self, number: u64) -> bool {
        self.fragment(number).is_some_and(|fragment| fragment.place == Place::Here)
    }

    /// There is a message to cut, and room for one more fragment.
    fn can_cut(&self, max_fragments: usize) -> bool {
        self.uncut < self.first_message + self.messages.len() as u64 && self.fragments.len() < max_fragments
    }

    /// An entry is eligible to send (§3.6.2.3). Errs only towards yes.
    pub(super) fn has_eligible(&self, max_fragments: usize) -> bool {
        !self.lost.is_empty()
            || self.can_cut(max_fragments)
            || self.fragments.front().is_some_and(|first| first.place == Place::Here)
            || self.final_number != 0 && self.is_here(self.final_number)
    }

    /// The lowest lost fragment that is to be sent again; forgets those that are not.
    fn next_lost(&mut self) -> Option<u64> {
        while let Some(&Reverse(number)) = self.lost.peek() {
            if self.fragment(number).is_some_and(|fragment| fragment.place == Place::Here && !fragment.abandoned) {
                return Some(number);
            }
            self.lost.pop();
        }
        None
    }

    /// Removes abandoned fragments from the front, then says what is to be sent next, lowest number first (§3.6.2.3).
    ///
    /// An abandoned fragment goes only when a later one will carry the Forward Sequence Number past it: if all that follow are
    /// already in flight, it is itself sent, empty (§3.6.2.7.1, line 25 of the example in §3.6.2.8).
    pub(super) fn next(&mut self, max_fragments: usize, mut report: impl FnMut(Outcome)) -> Option<Next> {
        let lost = self.next_lost();
        let final_here = self.final_number != 0 && self.is_here(self.final_number);
        let carrier = lost.is_some() || self.can_cut(max_fragments) || final_here;
        while self.fragments.front().is_some_and(|first| first.abandoned && first.place == Place::Here) {
            let mut later = self.settled + 2;
            while let Some(Fragment { place: Place::Acknowledged { until }, .. }) = self.fragment(later) {
                later = until.max(&later) + 1;
            }
            let next_takes_over = self.fragment(later).is_some_and(|next| next.abandoned && next.place == Place::Here);
            let is_final = self.settled + 1 == self.final_number;
            if is_final || !(next_takes_over || carrier) {
                return Some(Next::Fragment(self.settled + 1));
            }
            self.pop_front(&mut report);
            self.pop_acknowledged();
        }
        if let Some(number) = lost {
            return Some(Next::Fragment(number));
        }
        if self.can_cut(max_fragments) {
            let remaining = self.message(self.uncut).map_or(0, |message| message.data.len() - message.cut as usize);
            return Some(Next::Cut { number: self.last_number() + 1, remaining });
        }
        final_here.then_some(Next::Fragment(self.final_number))
    }

    /// The Forward Sequence Number to send (§3.6.2.3), after [`Self::next`].
    pub(super) fn forward_number(&self) -> u64 {
        match self.fragments.front() {
            Some(Fragment {
                abandoned: true, place: Place::Here | Place::InFlight { as_abandoned: true, .. }, ..
            }) => self.settled + 1,
            _ => self.settled,
        }
    }

    /// How many bytes the fragment has: those that a cut may not change any more.
    pub(super) fn length(&self, number: u64) -> usize {
        self.fragment(number).map_or(0, |fragment| if fragment.abandoned { 0 } else { fragment.length as usize })
    }

    /// Makes the fragment that [`Next::Cut`] spoke of, `length` bytes long.
    pub(super) fn cut(&mut self, length: usize) {
        self.push_fragment(length, false);
        self.cut_abandoned();
    }

    /// What to put into the chunk for a fragment.
    pub(super) fn outgoing(&self, number: u64) -> Option<Outgoing<'_>> {
        let fragment = self.fragment(number)?;
        let data = if fragment.abandoned {
            &[][..]
        } else {
            let start = fragment.offset as usize;
            self.message(fragment.message)?.data.get(start..start + fragment.length as usize)?
        };
        Some(Outgoing {
            control: fragment.control,
            abandoned: fragment.abandoned,
            is_final: number == self.final_number,
            data,
        })
    }

    /// A fragment goes into the network, in a chunk of `size` bytes.
    pub(super) fn sent(&mut self, number: u64, tsn: u64, size: usize) {
        if let Some(fragment) = self.index(number).and_then(|index| self.fragments.get_mut(index)) {
            fragment.place = Place::InFlight {
                tsn,
                size: u32::try_from(size).unwrap_or(u32::MAX),
                as_abandoned: fragment.abandoned,
            };
            fragment.ever_sent = true;
        }
        if self.lost.peek() == Some(&Reverse(number)) {
            self.lost.pop();
        }
    }
}
