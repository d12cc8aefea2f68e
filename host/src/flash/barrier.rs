//! Flow Synchronization (RFC 7425 §5.2): what arrives on several flows is aligned where the sender says so.

use std::collections::VecDeque;

use super::message::{Message, kind};
use super::user_control::UserControl;

/// So many messages are held back, so many bytes, and at so many barriers; then the barriers are given up, since a flow that never
/// comes to its barrier must not keep the others for ever (§5.3.5.3).
const MAX_HELD: usize = 1024;
const MAX_HELD_BYTES: usize = 1 << 20;
const MAX_BARRIERS: usize = 64;

/// A message that may be processed now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// The flow that it came on. It may have ended since.
    pub flow: u64,
    /// The stream of the flow.
    pub stream: u32,
    /// The whole message. Never a Flow Synchronization.
    pub bytes: Vec<u8>,
}

/// The barriers of the flows of one association tree. Flows are named by numbers that the owner chooses.
#[derive(Debug, Default)]
pub struct Barriers {
    waiting: Vec<Barrier>,
    held: VecDeque<Passed>,
    held_bytes: usize,
}

#[derive(Debug)]
struct Barrier {
    sync: u32,
    /// How many flows are still to come.
    missing: u32,
    /// Those that have come to it, and wait.
    flows: Vec<u64>,
}

impl Barriers {
    /// A message has come on a flow of a stream. Gives out what may be processed now, in order.
    pub fn pass(&mut self, flow: u64, stream: u32, bytes: Vec<u8>) -> Vec<Passed> {
        self.held_bytes += bytes.len();
        self.held.push_back(Passed { flow, stream, bytes });
        let mut passed = self.release();
        let is_too_much = self.held.len() > MAX_HELD || self.held_bytes > MAX_HELD_BYTES;
        if is_too_much || self.waiting.len() > MAX_BARRIERS {
            passed.extend(self.give_up());
        }
        passed
    }

    /// Nobody is waited for any more.
    pub fn give_up(&mut self) -> Vec<Passed> {
        let mut passed = Vec::new();
        while !self.is_idle() {
            self.waiting.clear();
            passed.extend(self.release());
        }
        passed
    }

    /// Whether a flow waits at a barrier.
    pub fn is_suspended(&self, flow: u64) -> bool {
        self.waiting.iter().any(|barrier| barrier.flows.contains(&flow))
    }

    /// Whether there is no barrier that anything waits at, or for.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.held.is_empty()
    }

    fn release(&mut self) -> Vec<Passed> {
        let mut passed = Vec::new();
        loop {
            let free = self.held.iter().position(|item| !self.is_suspended(item.flow));
            let Some(item) = free.and_then(|place| self.held.remove(place)) else { return passed };
            self.held_bytes -= item.bytes.len();
            match synchronization(&item.bytes) {
                Some((sync, count)) => self.arrive(item.flow, sync, count),
                None => passed.push(item),
            }
        }
    }

    fn arrive(&mut self, flow: u64, sync: u32, count: u32) {
        let place = self.waiting.iter().position(|barrier| barrier.sync == sync).unwrap_or_else(|| {
            self.waiting.push(Barrier { sync, missing: count, flows: Vec::new() });
            self.waiting.len() - 1
        });
        let Some(barrier) = self.waiting.get_mut(place) else { return };
        barrier.flows.push(flow);
        barrier.missing = barrier.missing.saturating_sub(1);
        if barrier.missing == 0 {
            self.waiting.swap_remove(place);
        }
    }
}

/// Whether it is a Flow Synchronization message.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn media(number: u8) -> Vec<u8> {
        Message { kind: kind::VIDEO, timestamp: 0, payload: &[number] }.to_bytes()
    }

    fn sync(sync: u32, count: u32) -> Vec<u8> {
        UserControl::FlowSync { sync, count }.to_message()
    }

    fn numbers(passed: &[Passed]) -> Vec<u8> {
        passed.iter().map(|item| *item.bytes.last().unwrap()).collect()
    }

    #[test]
    fn the_example_of_the_rfc() {
        // §5.2: F1 carries M1 M2 M4 Sync(8) Sync(13) M7, F2 carries M3 Sync(8) M5 Sync(13) M6.
        let first = [media(1), media(2), media(4), sync(8, 2), sync(13, 2), media(7)];
        let second = [media(3), sync(8, 2), media(5), sync(13, 2), media(6)];
        // All of the first flow comes before the second, then the other way round.
        for (one, other, order) in
            [(&first[..], &second[..], [1, 2, 4, 3, 5, 7, 6]), (&second, &first, [3, 1, 2, 4, 5, 6, 7])]
        {
            let mut barriers = Barriers::default();
            let mut seen = Vec::new();
            for (flow, messages) in [(1, one), (2, other)] {
                for message in messages {
                    seen.extend(numbers(&barriers.pass(flow, 0, message.clone())));
                }
            }
            let place = |number| seen.iter().position(|seen| *seen == number).unwrap();
            assert_eq!(seen.len(), order.len(), "{seen:?}");
            for before in 1..=4 {
                assert!(place(before) < place(5), "{seen:?}");
            }
            assert!(place(5) < place(6) && place(5) < place(7), "{seen:?}");
            assert!(barriers.held.is_empty() && barriers.waiting.is_empty());
        }
    }

    #[test]
    fn a_barrier_of_one_flow_is_none() {
        let mut barriers = Barriers::default();
        assert_eq!(barriers.pass(1, 0, sync(1, 1)), []);
        assert_eq!(numbers(&barriers.pass(1, 0, media(1))), [1]);
    }

    #[test]
    fn a_barrier_that_is_never_complete_is_given_up() {
        let mut barriers = Barriers::default();
        barriers.pass(1, 0, sync(1, u32::MAX));
        assert!(barriers.is_suspended(1) && !barriers.is_suspended(2));
        assert_eq!(numbers(&barriers.pass(2, 0, media(9))), [9], "the other goes on");
        let mut passed = 0;
        for _ in 0..=MAX_HELD {
            passed += barriers.pass(1, 0, media(1)).len();
        }
        assert_eq!(passed, MAX_HELD + 1);
        assert!(!barriers.is_suspended(1) && barriers.is_idle());
    }

    #[test]
    fn what_is_held_back_is_bounded_in_bytes_and_in_barriers() {
        let mut barriers = Barriers::default();
        let long = Message { kind: kind::VIDEO, timestamp: 0, payload: &[7; 100_000] }.to_bytes();
        let mut most = 0;
        for number in 0..200 {
            barriers.pass(number, 0, sync(number as u32, 2));
            barriers.pass(number, 0, long.clone());
            most = most.max(barriers.held_bytes);
        }
        assert!(most <= MAX_HELD_BYTES, "{most}");
        assert!(barriers.waiting.len() <= 12, "{}", barriers.waiting.len());
    }

    #[test]
    fn barriers_that_are_never_complete_are_few() {
        let mut barriers = Barriers::default();
        for number in 0..1000 {
            barriers.pass(u64::from(number), 0, sync(number, 2));
            assert!(barriers.waiting.len() <= MAX_BARRIERS);
        }
    }

    #[test]
    fn giving_up_lets_everything_through() {
        let mut barriers = Barriers::default();
        for message in [sync(1, 9), media(1), sync(2, 9), media(2)] {
            assert_eq!(barriers.pass(1, 0, message), []);
        }
        assert_eq!(numbers(&barriers.give_up()), [1, 2]);
        assert!(barriers.is_idle());
    }
}
