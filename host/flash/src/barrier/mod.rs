//! Flow Synchronization (RFC 7425 §5.2): the messages of several flows are aligned at the barriers that the sender sets.
//!
//! The cost of a message does not depend on how many are held back: a message of a suspended flow joins that flow's own queue, and a
//! complete barrier looks only at the flows that it releases. Each message is queued once and released once.

mod release;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use self::release::{Held, Released};
use crate::message::{Message, kind};
use crate::user_control::UserControl;

/// How many messages may be held back. Beyond this limit, or another of these, all barriers are given up: a flow that never reaches its
/// barrier must not hold up the others for ever (RFC 7425 §5.3.5.3).
pub const MAX_HELD: usize = 1024;
/// How many bytes of messages may be held back.
pub const MAX_HELD_BYTES: usize = 1 << 20;
/// How many flows may be suspended.
pub const MAX_SUSPENDED: usize = 64;
/// How many barriers may be incomplete.
pub const MAX_BARRIERS: usize = 16;
/// How many barriers that were given up are remembered, so that a flow that reaches one of them later is not suspended there.
const MAX_GIVEN_UP: usize = MAX_BARRIERS;

/// A message that may be processed now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// The flow on which the message came. It may have ended since.
    pub flow: u64,
    /// The stream of that flow.
    pub stream: u32,
    /// The whole message. It is never a Flow Synchronization.
    pub bytes: Vec<u8>,
}

/// The barriers of the flows of one association tree. The owner chooses the numbers of flows.
///
/// Messages are released in the order in which they arrived, as far as the barriers allow.
#[derive(Debug, Default)]
pub struct Barriers {
    waiting: BTreeMap<u32, Barrier>,
    /// The suspended flows, and the messages that have come on each since.
    suspended: BTreeMap<u64, VecDeque<Held>>,
    /// The barriers that were given up last, the oldest first, each with the number of flows that had not reached it.
    given_up: VecDeque<(u32, u32)>,
    /// How many messages are held back, and their bytes.
    held: usize,
    held_bytes: usize,
    /// Counts the messages that were held back, so that they can be put in order again.
    arrivals: u64,
    steps: u64,
}

#[derive(Debug)]
struct Barrier {
    /// How many flows have not reached it.
    missing: u32,
    /// The flows that have reached it, and are suspended.
    flows: Vec<u64>,
}

impl Barriers {
    /// A message has come on a flow of a stream. Returns the messages that may be processed now, in order.
    pub fn pass(&mut self, flow: u64, stream: u32, bytes: Vec<u8>) -> Vec<Passed> {
        self.steps += 1;
        let mut passed = Vec::new();
        if let Some(held) = self.suspended.get_mut(&flow) {
            self.arrivals += 1;
            self.held += 1;
            self.held_bytes += bytes.len();
            held.push_back(Held { arrival: self.arrivals, stream, bytes });
        } else if let Some((sync, count)) = synchronization(&bytes) {
            let mut released = Released::default();
            self.arrive(flow, sync, count, VecDeque::new(), &mut released);
            self.release(released, &mut passed);
        } else {
            passed.push(Passed { flow, stream, bytes });
        }
        if self.held > MAX_HELD
            || self.held_bytes > MAX_HELD_BYTES
            || self.suspended.len() > MAX_SUSPENDED
            || self.waiting.len() > MAX_BARRIERS
        {
            passed.extend(self.give_up());
        }
        passed
    }

    /// Gives up all barriers: all messages that are held back may be processed now.
    pub fn give_up(&mut self) -> Vec<Passed> {
        let mut passed = Vec::new();
        // Released flows may reach further barriers. Each round takes a message from each flow that holds any.
        while !self.suspended.is_empty() {
            for (sync, barrier) in std::mem::take(&mut self.waiting) {
                self.steps += 1;
                if self.given_up.len() >= MAX_GIVEN_UP {
                    self.given_up.pop_front();
                }
                self.given_up.push_back((sync, barrier.missing));
            }
            let mut released = Released::default();
            for (flow, held) in std::mem::take(&mut self.suspended) {
                self.steps += 1;
                released.enter(flow, held);
            }
            self.release(released, &mut passed);
        }
        passed
    }

    /// Whether a flow is suspended at a barrier.
    pub fn is_suspended(&self, flow: u64) -> bool {
        self.suspended.contains_key(&flow)
    }

    /// Whether no flow is suspended, and no flow may still reach a barrier that was given up.
    pub fn is_idle(&self) -> bool {
        self.suspended.is_empty() && self.given_up.is_empty()
    }

    /// How many steps of work all messages have taken. Tests of the cost of a message use it.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// How many messages are held back.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Releases the messages of flows in the order of their arrival, each flow up to its next barrier.
    fn release(&mut self, mut released: Released, passed: &mut Vec<Passed>) {
        while let Some((flow, Held { stream, bytes, .. }, held)) = released.take_first() {
            self.steps += 1;
            self.held -= 1;
            self.held_bytes -= bytes.len();
            match synchronization(&bytes) {
                Some((sync, count)) => self.arrive(flow, sync, count, held, &mut released),
                None => {
                    passed.push(Passed { flow, stream, bytes });
                    released.enter(flow, held);
                }
            }
        }
    }

    /// A flow reaches a barrier. `held` are its messages behind the barrier.
    fn arrive(&mut self, flow: u64, sync: u32, count: u32, held: VecDeque<Held>, released: &mut Released) {
        self.steps += 1;
        if self.is_given_up(sync) {
            return released.enter(flow, held);
        }
        let barrier =
            self.waiting.entry(sync).or_insert_with(|| Barrier { missing: count, flows: Vec::with_capacity(2) });
        barrier.missing = barrier.missing.saturating_sub(1);
        if barrier.missing > 0 {
            barrier.flows.push(flow);
            self.suspended.insert(flow, held);
            return;
        }
        released.enter(flow, held);
        for other in self.waiting.remove(&sync).into_iter().flat_map(|barrier| barrier.flows) {
            self.steps += 1;
            if let Some(held) = self.suspended.remove(&other) {
                released.enter(other, held);
            }
        }
    }

    /// Whether the barrier was given up. If so, one flow fewer has not reached it.
    fn is_given_up(&mut self, sync: u32) -> bool {
        let Some(place) = self.given_up.iter().position(|(other, _)| *other == sync) else { return false };
        let Some((_, missing)) = self.given_up.get_mut(place) else { return false };
        *missing = missing.saturating_sub(1);
        if *missing == 0 {
            self.given_up.remove(place);
        }
        true
    }
}

/// Whether a message is a Flow Synchronization.
pub fn is_synchronization(message: &[u8]) -> bool {
    synchronization(message).is_some()
}

fn synchronization(message: &[u8]) -> Option<(u32, u32)> {
    let message = Message::read(message).ok().filter(|message| message.kind == kind::USER_CONTROL)?;
    match UserControl::read(message.payload) {
        Ok(UserControl::FlowSync { sync, count }) => Some((sync, count)),
        _ => None,
    }
}
