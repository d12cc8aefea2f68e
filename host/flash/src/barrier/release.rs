//! The flows that are being released, in the order in which their messages arrived.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// A message that is held back.
#[derive(Debug)]
pub(super) struct Held {
    /// Its place in the order of arrival.
    pub(super) arrival: u64,
    pub(super) stream: u32,
    pub(super) bytes: Vec<u8>,
}

/// The flows that are being released, with the messages that they hold.
#[derive(Debug, Default)]
pub(super) struct Released(BinaryHeap<Reverse<Turn>>);

impl Released {
    /// Adds a flow, unless it holds nothing.
    pub(super) fn enter(&mut self, flow: u64, held: VecDeque<Held>) {
        if let Some(first) = held.front() {
            self.0.push(Reverse(Turn { arrival: first.arrival, flow, held }));
        }
    }

    /// Takes the flow whose message arrived first: the flow, that message, and the messages behind it.
    pub(super) fn take_first(&mut self) -> Option<(u64, Held, VecDeque<Held>)> {
        let Reverse(Turn { flow, mut held, .. }) = self.0.pop()?;
        // A flow that holds nothing is not entered.
        let first = held.pop_front()?;
        Some((flow, first, held))
    }
}

/// The turn of a flow among the others. Turns are ordered by the arrival of the flow's first message, which no two flows share.
#[derive(Debug)]
struct Turn {
    arrival: u64,
    flow: u64,
    held: VecDeque<Held>,
}

impl PartialEq for Turn {
    fn eq(&self, other: &Self) -> bool {
        self.arrival == other.arrival
    }
}

impl Eq for Turn {}

impl PartialOrd for Turn {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Turn {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.arrival.cmp(&other.arrival)
    }
}
