//! Flow Synchronization (RFC 7425 §5.2): what arrives on several flows is aligned where the sender says so.

use std::collections::VecDeque;

use super::message::{Message, kind};
use super::user_control::UserControl;

/// So many messages are held back; then the barriers are given up, since a flow that never comes to its barrier must not keep the
/// others for ever (§5.3.5.3).
const MAX_HELD: usize = 1024;

/// The barriers of the flows of one association tree. Flows are named by numbers that the owner chooses.
#[derive(Debug, Default)]
pub struct Barriers {
    waiting: Vec<Barrier>,
    held: VecDeque<(u64, Vec<u8>)>,
}

#[derive(Debug)]
struct Barrier {
    sync: u32,
    /// How many flows are synchronized.
    count: u32,
    /// Those that have come to it.
    flows: Vec<u64>,
}

impl Barriers {
    /// A message has come on a flow. Gives out what may be processed now, in order, with its flow. Flow Synchronization messages
    /// themselves are not given out.
    pub fn pass(&mut self, flow: u64, message: Vec<u8>) -> Vec<(u64, Vec<u8>)> {
        let mut passed = Vec::new();
        self.held.push_back((flow, message));
        loop {
            let free = self.held.iter().position(|(flow, _)| !self.is_suspended(*flow));
            let Some((flow, message)) = free.and_then(|place| self.held.remove(place)) else { break };
            match synchronization(&message) {
                Some((sync, count)) => self.arrive(flow, sync, count),
                None => passed.push((flow, message)),
            }
        }
        if self.held.len() > MAX_HELD {
            self.waiting.clear();
            let rest = std::mem::take(&mut self.held);
            passed.extend(rest.into_iter().filter(|(_, message)| synchronization(message).is_none()));
        }
        passed
    }

    /// Whether a flow waits at a barrier.
    pub fn is_suspended(&self, flow: u64) -> bool {
        self.waiting.iter().any(|barrier| barrier.flows.contains(&flow))
    }

    fn arrive(&mut self, flow: u64, sync: u32, count: u32) {
        let place = self.waiting.iter().position(|barrier| barrier.sync == sync).unwrap_or_else(|| {
            self.waiting.push(Barrier { sync, count, flows: Vec::new() });
            self.waiting.len() - 1
        });
        let Some(barrier) = self.waiting.get_mut(place) else { return };
        barrier.flows.push(flow);
        // Its flows are different ones: a flow that has come to a barrier is suspended.
        if barrier.flows.len() >= usize::try_from(barrier.count).unwrap_or(usize::MAX) {
            self.waiting.swap_remove(place);
        }
    }
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

    fn numbers(passed: &[(u64, Vec<u8>)]) -> Vec<u8> {
        passed.iter().map(|(_, message)| *message.last().unwrap()).collect()
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
                    seen.extend(numbers(&barriers.pass(flow, message.clone())));
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
        assert_eq!(barriers.pass(1, sync(1, 1)), []);
        assert_eq!(numbers(&barriers.pass(1, media(1))), [1]);
    }

    #[test]
    fn a_barrier_that_is_never_complete_is_given_up() {
        let mut barriers = Barriers::default();
        barriers.pass(1, sync(1, u32::MAX));
        assert!(barriers.is_suspended(1) && !barriers.is_suspended(2));
        assert_eq!(numbers(&barriers.pass(2, media(9))), [9], "the other goes on");
        let mut passed = 0;
        for _ in 0..=MAX_HELD {
            passed += barriers.pass(1, media(1)).len();
        }
        assert_eq!(passed, MAX_HELD + 1);
        assert!(!barriers.is_suspended(1) && barriers.held.is_empty());
    }
}
