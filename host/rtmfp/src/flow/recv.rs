//! A receiving flow (RFC 7016 §3.6.3): states, the receive window, and messages on their way to the application.

mod handover;

use std::num::NonZeroU64;
use std::time::Instant;

use super::acks::AckTiming;
use super::config::FlowConfig;
use super::event::{FlowEnd, FlowEvent, RecvFlowId};
use super::event_queue::MESSAGE_OVERHEAD;
use super::lingering::{LINGER, Lingering};
use super::options::Order;
use super::ranges::SequenceSet;
use super::reassembly::{Assembled, Reassembly};
use crate::moment::Moment;
use crate::wire::chunk::{Ack, BUFFER_BLOCK, FlowException, NextUserData, UserData};

/// A flow with less buffer left than this acknowledges at once (§3.6.3.4.1).
const SCARCE: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// RF_REJECTED, with EXCEPTION_CODE.
    Rejected(u64),
    /// RF_COMPLETE_LINGER, since when. Messages may still wait for the application.
    Complete(Moment),
}

/// How much more the session's receiving flows may buffer together, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// Without going over the limit.
    pub(super) within: usize,
    /// To make progress with a message.
    pub(super) at_most: usize,
}

/// How a fragment was received.
#[derive(Clone, Copy, Debug)]
pub(super) struct Received {
    pub(super) ack: AckTiming,
    /// The flow has to be rejected: it went over a limit.
    pub(super) over_limit: bool,
}

/// The User Data chunk that a Next User Data chunk goes on from (§2.3.12).
#[derive(Clone, Copy, Debug)]
pub(super) struct LastReceived {
    flow_id: u64,
    /// Never 0 on the wire.
    number: NonZeroU64,
    forward_number: u64,
}

impl LastReceived {
    pub(super) fn new(chunk: &UserData<'_>) -> Self {
        Self {
            flow_id: chunk.flow_id,
            number: NonZeroU64::new(chunk.sequence_number).unwrap_or(NonZeroU64::MIN),
            forward_number: chunk.forward_sequence_number(),
        }
    }

    /// What a Next User Data chunk means after this one.
    pub(super) fn followed_by<'a>(self, chunk: &NextUserData<'a>) -> Option<UserData<'a>> {
        let sequence_number = self.number.get().checked_add(1)?;
        let fsn_offset = sequence_number.saturating_sub(self.forward_number);
        Some(UserData { flow_id: self.flow_id, sequence_number, fsn_offset, fragment: *chunk })
    }
}

#[derive(Debug)]
pub(super) struct RecvFlow {
    pub(super) id: u64,
    state: State,
    order: Order,
    paused: bool,
    /// SHOULD_ACK.
    pub(super) should_ack: bool,
    /// The application knows the flow and has not been told that it ended.
    announced: bool,
    /// PREV_RWND.
    advertised: Option<NonZeroU64>,
    set: SequenceSet,
    /// RF_FINAL_SN; 0: none yet.
    final_number: u64,
    /// The last sequence number of the last message delivered.
    delivered: u64,
    /// The far end has given up a fragment, and no message delivered since has told of it. Only order of arrival depends on it: in
    /// original order the numbers of messages show where something is missing.
    given_up: bool,
    reassembly: Reassembly,
    /// Complete messages waiting for the application to resume.
    waiting: Option<Box<Waiting>>,
}

/// Messages of a paused flow.
#[derive(Debug, Default)]
struct Waiting {
    messages: Vec<Assembled>,
    /// Their bytes, with their overhead.
    bytes: usize,
}

impl RecvFlow {
    pub(super) fn new(id: u64) -> Self {
        Self {
            id,
            state: State::Open,
            order: Order::Original,
            paused: false,
            should_ack: false,
            announced: false,
            advertised: None,
            set: SequenceSet::default(),
            final_number: 0,
            delivered: 0,
            given_up: false,
            reassembly: Reassembly::default(),
            waiting: None,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// The application has been told that the flow is open.
    pub(super) fn announce(&mut self) {
        self.announced = true;
    }

    pub(super) fn set_order(&mut self, order: Order, events: &mut dyn FnMut(FlowEvent)) {
        self.order = order;
        if order == Order::Arrival {
            let mut reassembly = std::mem::take(&mut self.reassembly);
            reassembly.take_whole(|message| self.deliver(message, events));
            self.reassembly = reassembly;
        }
    }

    pub(super) fn pause(&mut self) {
        self.paused = true;
    }

    /// Delivers what has waited.
    pub(super) fn resume(&mut self, events: &mut dyn FnMut(FlowEvent)) {
        self.paused = false;
        for message in self.waiting.take().into_iter().flat_map(|waiting| waiting.messages) {
            self.deliver(message, events);
        }
        self.end_if_delivered(events);
    }

    /// BUFFERED_SIZE.
    pub(super) fn buffered(&self) -> usize {
        self.reassembly.buffered() + self.waiting.as_ref().map_or(0, |waiting| waiting.bytes)
    }

    /// The part of [`Self::buffered`] that takes room from fragments to come. A message in progress takes none: its next fragment is
    /// always accepted, up to the limits of a message and the session. Otherwise a message that is longer than the buffer would
    /// come one block at a time.
    fn occupied(&self) -> usize {
        let in_progress = if self.paused { 0 } else { self.reassembly.in_progress() };
        self.buffered().saturating_sub(in_progress)
    }

    /// Whether the far end should be told that there is much more room than it knows of.
    pub(super) fn window_opened(&self, config: &FlowConfig) -> bool {
        let free = config.receive_buffer.saturating_sub(self.occupied()) as u64 / BUFFER_BLOCK;
        self.advertised.is_some_and(|blocks| blocks.get() < 2 && free >= 2)
    }

    /// Rejects the flow (§3.6.3.7). `events` receives the event that the application has not had yet, if there is one.
    pub(super) fn reject(&mut self, exception: u64, by_application: bool, events: &mut dyn FnMut(FlowEvent)) {
        self.state = State::Rejected(exception);
        self.reassembly.clear();
        self.waiting = None;
        self.should_ack = true;
        if std::mem::take(&mut self.announced) && !by_application {
            events(FlowEvent::Ended { flow: RecvFlowId(self.id), end: FlowEnd::Refused });
        }
    }

    /// The application does not want what it has not been given.
    pub(super) fn discard(&mut self) {
        self.waiting = None;
        self.announced = false;
    }

    /// Takes a fragment (§3.6.3.2).
    pub(super) fn receive(
        &mut self,
        now: Instant,
        config: &FlowConfig,
        room: Room,
        chunk: &UserData<'_>,
        events: &mut dyn FnMut(FlowEvent),
    ) -> Received {
        self.should_ack = true;
        let number = chunk.sequence_number;
        let fragment = &chunk.fragment;
        let mut ack_now = self.state != State::Open
            || self.advertised.is_some_and(|blocks| blocks.get() < 2)
            || fragment.abandon
            || self.set.has_gaps();
        let next = number == self.set.cumulative().saturating_add(1);
        let mut over_limit = false;
        let new = !self.set.contains(number);
        let forward_number = chunk.forward_sequence_number();
        // The next number is always missing: a Forward Sequence Number at or above it gives it up. That a flow ends with an abandoned
        // fragment is common, and no message is missing then.
        self.given_up |=
            forward_number > self.set.cumulative() && !next || new && fragment.abandon && !fragment.is_final;
        if !new {
            ack_now = true;
        } else if fragment.abandon || self.state != State::Open {
            self.note_number(chunk, config);
        } else if self.final_number != 0 && number > self.final_number {
            // Data after the end: not part of the flow.
            ack_now = true;
        } else {
            match self.admit(config, room, next, number, fragment.data.len()) {
                Admission::Take => {
                    self.note_number(chunk, config);
                    let (control, data) = (fragment.fragment_control, fragment.data);
                    if next {
                        if let Some(message) = self.reassembly.take_next(number, control, data) {
                            self.deliver(message, events);
                        }
                    } else {
                        let any_order = self.order == Order::Arrival;
                        if let Some(message) = self.reassembly.store(number, control, data, any_order) {
                            self.deliver(message, events);
                        }
                    }
                }
                Admission::Ignore => ack_now = true,
                Admission::OverLimit => over_limit = true,
            }
        }
        self.set.forward_to(forward_number);
        ack_now |= self.set.has_gaps();
        if self.state == State::Open {
            self.settle(events);
            ack_now |= self.occupied() + SCARCE > config.receive_buffer;
        }
        if self.final_number != 0
            && self.set.cumulative() >= self.final_number
            && !matches!(self.state, State::Complete(_))
        {
            self.state = State::Complete(now.into());
            // Nothing but fragments from beyond the end can be left in it.
            self.reassembly.clear();
            ack_now = true;
            self.end_if_delivered(events);
        }
        Received { ack: if ack_now { AckTiming::Now } else { AckTiming::Delayed }, over_limit }
    }

    /// Adds the sequence number to the set, if there is room, and notes whether it is the last.
    fn note_number(&mut self, chunk: &UserData<'_>, config: &FlowConfig) {
        let number = chunk.sequence_number;
        if !self.set.has_room_for(number, config.max_ranges) {
            return;
        }
        self.set.insert(number);
        if chunk.fragment.is_final && self.final_number == 0 {
            self.final_number = number;
        }
    }

    /// Whether there is room for a fragment.
    ///
    /// Beyond its capacity a flow takes only what lets it make progress: the next fragment of a message that is delivered as
    /// soon as it is whole. What is not taken is not acknowledged, and comes again.
    fn admit(&self, config: &FlowConfig, room: Room, next: bool, number: u64, length: usize) -> Admission {
        let cost = Reassembly::cost_of(length);
        let fits = self.occupied() + cost <= config.receive_buffer && cost <= room.within;
        if !next {
            let taken = fits && self.set.has_room_for(number, config.max_ranges);
            return if taken { Admission::Take } else { Admission::Ignore };
        }
        if self.reassembly.in_progress() + length > config.max_message {
            return Admission::OverLimit;
        }
        if fits {
            return Admission::Take;
        }
        if self.paused {
            return Admission::Ignore;
        }
        if cost <= room.at_most { Admission::Take } else { Admission::OverLimit }
    }

    /// Delivers or forgets what the cumulative acknowledgement has passed (§3.6.3.3).
    fn settle(&mut self, events: &mut dyn FnMut(FlowEvent)) {
        let cumulative = self.set.cumulative();
        if self.reassembly.is_settled(cumulative) {
            return;
        }
        let mut reassembly = std::mem::take(&mut self.reassembly);
        reassembly.settle(cumulative, |message| self.deliver(message, events));
        self.reassembly = reassembly;
    }

    fn deliver(&mut self, message: Assembled, events: &mut dyn FnMut(FlowEvent)) {
        if self.paused {
            let waiting = self.waiting.get_or_insert_default();
            waiting.bytes += message.data.len() + MESSAGE_OVERHEAD;
            waiting.messages.push(message);
            return;
        }
        let gap = match self.order {
            Order::Original => {
                // What was given up may lie beyond this message.
                self.given_up &= self.set.cumulative() > message.last;
                self.delivered.saturating_add(1) < message.first
            }
            Order::Arrival => std::mem::take(&mut self.given_up),
        };
        self.delivered = self.delivered.max(message.last);
        events(FlowEvent::Message {
            flow: RecvFlowId(self.id),
            sequence_number: message.first,
            data: message.data,
            gap,
        });
    }

    /// Tells the application that the flow is complete when everything is delivered (§3.6.3.3, its last paragraph).
    fn end_if_delivered(&mut self, events: &mut dyn FnMut(FlowEvent)) {
        if !matches!(self.state, State::Complete(_)) || self.waiting.is_some() {
            return;
        }
        if std::mem::take(&mut self.announced) {
            let gap = match self.order {
                // A flow is commonly ended by an abandoned fragment that belongs to no message.
                Order::Original => self.delivered.saturating_add(1) < self.final_number,
                Order::Arrival => self.given_up,
            };
            events(FlowEvent::Ended { flow: RecvFlowId(self.id), end: FlowEnd::Complete { gap } });
        }
    }

    /// What is left of a flow that is complete and delivered.
    pub(super) fn remains(&self) -> Option<Lingering> {
        match self.state {
            State::Complete(since) if self.waiting.is_none() => Some(Lingering {
                id: self.id,
                cumulative: self.set.cumulative(),
                until: since.instant() + LINGER,
                should_ack: self.should_ack,
            }),
            _ => None,
        }
    }

    /// The blocks to advertise (§3.6.3.5). Never 0, although a suspended flow might advertise that: there are clients that close
    /// the session on it.
    fn blocks(&self, config: &FlowConfig, session_room: usize) -> u64 {
        let room = config.receive_buffer.saturating_sub(self.occupied()).min(session_room);
        (room as u64).div_ceil(BUFFER_BLOCK).max(1)
    }

    /// Appends an acknowledgement, after an exception report if the flow is rejected (§3.6.3.4.3). If it would be longer than
    /// `limit`, it is shortened when `truncate` is set, else taken back (§3.6.3.4.2).
    pub(super) fn put_ack(
        &mut self,
        config: &FlowConfig,
        session_room: usize,
        out: &mut Vec<u8>,
        limit: usize,
        truncate: bool,
    ) -> bool {
        let start = out.len();
        if let State::Rejected(exception) = self.state {
            FlowException { flow_id: self.id, exception }.put(out);
        }
        let blocks = self.blocks(config, session_room);
        let before_ack = out.len();
        let mut ranges = self.set.gaps();
        loop {
            Ack::put(self.id, blocks, self.set.cumulative(), self.set.ranges().take(ranges), out);
            if out.len() <= limit {
                break;
            }
            if !truncate || ranges == 0 {
                out.truncate(start);
                return false;
            }
            out.truncate(before_ack);
            ranges /= 2;
        }
        self.should_ack = false;
        self.advertised = NonZeroU64::new(blocks);
        true
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Admission {
    Take,
    Ignore,
    OverLimit,
}
