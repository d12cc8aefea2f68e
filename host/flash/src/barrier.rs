//! Flow Synchronization (RFC 7425 §5.2): what arrives on several flows is aligned where the sender says so.
//!
//! The cost of a message does not depend on how much is held back: a message of a flow that waits joins that flow's own queue,
//! and a barrier that is complete looks at nothing but the flows that it frees. Each message is queued once and released once.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use super::message::{Message, kind};
use super::user_control::UserControl;

/// The most messages that are held back. Beyond this or another of these limits all barriers are given up, since a flow that
/// never comes to its barrier must not keep the others for ever (§5.3.5.3).
pub const MAX_HELD: usize = 1024;
/// The most bytes of messages that are held back.
pub const MAX_HELD_BYTES: usize = 1 << 20;
/// The most flows that wait.
pub const MAX_SUSPENDED: usize = 64;
/// The most barriers that flows wait at.
pub const MAX_BARRIERS: usize = 16;
/// So many barriers that were given up are remembered, so that a flow that comes to one of them late does not wait there.
const MAX_GIVEN_UP: usize = MAX_BARRIERS;

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
///
/// What is released comes in the order in which it arrived, as far as the barriers allow.
#[derive(Debug, Default)]
pub struct Barriers {
    waiting: BTreeMap<u32, Barrier>,
    /// The flows that wait, each at one barrier.
    suspended: BTreeMap<u64, Suspended>,
    /// The barriers given up of late, the oldest first, and how many flows were still to come to each.
    given_up: VecDeque<(u32, u32)>,
    /// Messages held back, and their bytes.
    held: usize,
    held_bytes: usize,
    /// Counts arrivals, so that they can be put in order again.
    arrivals: u64,
    steps: u64,
}

#[derive(Debug)]
struct Barrier {
    /// How many flows are still to come.
    missing: u32,
    /// Those that have come to it, and wait.
    flows: Vec<u64>,
}

/// What has come on a flow since it began to wait.
#[derive(Debug, Default)]
struct Suspended {
    held: VecDeque<Held>,
}

#[derive(Debug)]
struct Held {
    arrival: u64,
    stream: u32,
    bytes: Vec<u8>,
}

/// The flows that are being released, with what they hold: the one with the earliest message first.
type Released = BinaryHeap<Reverse<Turn>>;

/// A released flow's turn. Ordered by the arrival of its first message, which no two flows share.
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

impl Barriers {
    /// A message has come on a flow of a stream. Gives out what may be processed now, in order.
    pub fn pass(&mut self, flow: u64, stream: u32, bytes: Vec<u8>) -> Vec<Passed> {
        self.steps += 1;
        let mut passed = Vec::new();
        if let Some(suspended) = self.suspended.get_mut(&flow) {
            self.arrivals += 1;
            self.held += 1;
            self.held_bytes += bytes.len();
            suspended.held.push_back(Held { arrival: self.arrivals, stream, bytes });
        } else if let Some((sync, count)) = synchronization(&bytes) {
            let mut released = Released::new();
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

    /// Nobody is waited for any more.
    pub fn give_up(&mut self) -> Vec<Passed> {
        let mut passed = Vec::new();
        // What is released may come to further barriers. Each round takes a message from each flow that holds any.
        while !self.suspended.is_empty() {
            for (sync, barrier) in std::mem::take(&mut self.waiting) {
                self.steps += 1;
                if self.given_up.len() >= MAX_GIVEN_UP {
                    self.given_up.pop_front();
                }
                self.given_up.push_back((sync, barrier.missing));
            }
            let mut released = Released::new();
            for (flow, Suspended { held }) in std::mem::take(&mut self.suspended) {
                self.steps += 1;
                enter(&mut released, flow, held);
            }
            self.release(released, &mut passed);
        }
        passed
    }

    /// Whether a flow waits at a barrier.
    pub fn is_suspended(&self, flow: u64) -> bool {
        self.suspended.contains_key(&flow)
    }

    /// Whether there is no barrier that anything waits at, and none given up that a flow may still come to.
    pub fn is_idle(&self) -> bool {
        self.suspended.is_empty() && self.given_up.is_empty()
    }

    /// How many steps of work all messages have taken so far: for tests of what a message costs.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// How many messages are held back.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Lets go what released flows hold, in order of arrival, each flow up to the next barrier.
    fn release(&mut self, mut released: Released, passed: &mut Vec<Passed>) {
        while let Some(Reverse(Turn { flow, mut held, .. })) = released.pop() {
            self.steps += 1;
            let Some(Held { stream, bytes, .. }) = held.pop_front() else { continue };
            self.held -= 1;
            self.held_bytes -= bytes.len();
            match synchronization(&bytes) {
                Some((sync, count)) => self.arrive(flow, sync, count, held, &mut released),
                None => {
                    passed.push(Passed { flow, stream, bytes });
                    enter(&mut released, flow, held);
                }
            }
        }
    }

    /// A flow comes to a barrier, with what it holds behind that.
    fn arrive(&mut self, flow: u64, sync: u32, count: u32, held: VecDeque<Held>, released: &mut Released) {
        self.steps += 1;
        if self.is_given_up(sync) {
            return enter(released, flow, held);
        }
        let barrier =
            self.waiting.entry(sync).or_insert_with(|| Barrier { missing: count, flows: Vec::with_capacity(2) });
        barrier.missing = barrier.missing.saturating_sub(1);
        if barrier.missing > 0 {
            barrier.flows.push(flow);
            self.suspended.insert(flow, Suspended { held });
            return;
        }
        enter(released, flow, held);
        for other in self.waiting.remove(&sync).into_iter().flat_map(|barrier| barrier.flows) {
            self.steps += 1;
            if let Some(Suspended { held }) = self.suspended.remove(&other) {
                enter(released, other, held);
            }
        }
    }

    /// Whether the barrier was given up, and this is one of the flows that were still to come to it.
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

/// A flow that holds something has its turn among the others that are released.
fn enter(released: &mut Released, flow: u64, held: VecDeque<Held>) {
    if let Some(first) = held.front() {
        released.push(Reverse(Turn { arrival: first.arrival, flow, held }));
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
            assert!(barriers.is_idle() && barriers.waiting.is_empty() && barriers.held == 0);
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
        assert!(!barriers.is_suspended(1) && barriers.held == 0);
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
        assert!(!barriers.is_suspended(1) && barriers.waiting.is_empty() && barriers.held == 0);
    }

    #[test]
    fn a_flow_that_comes_late_to_a_barrier_that_was_given_up_does_not_wait() {
        let mut barriers = Barriers::default();
        assert_eq!(barriers.pass(1, 0, sync(1, 2)), []);
        barriers.give_up();
        assert!(!barriers.is_idle(), "the other flow is still to come");
        assert_eq!(barriers.pass(2, 0, sync(1, 2)), []);
        assert_eq!(numbers(&barriers.pass(2, 0, media(7))), [7]);
        assert!(barriers.is_idle());
        // The number can be used again.
        barriers.pass(1, 0, sync(1, 2));
        assert!(barriers.is_suspended(1));
    }

    #[test]
    fn flows_that_wait_and_end_do_not_add_up() {
        let mut barriers = Barriers::default();
        for flow in 0..10_000 {
            barriers.pass(flow, 0, sync(1, u32::MAX));
            assert!(barriers.suspended.len() <= MAX_SUSPENDED);
            assert!(barriers.waiting.values().all(|barrier| barrier.flows.len() <= MAX_SUSPENDED));
        }
    }

    #[test]
    fn released_messages_keep_the_order_of_their_arrival() {
        let mut barriers = Barriers::default();
        for flow in 1..=3 {
            barriers.pass(flow, 0, sync(1, 4));
        }
        for number in 0..9 {
            barriers.pass(u64::from(number % 3) + 1, 0, media(number));
        }
        assert_eq!(numbers(&barriers.pass(4, 0, sync(1, 4))), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    }

    /// The steps that the messages take, sent so that as much as possible is held back.
    fn steps_of(messages: u32, flows: u64, each: impl Fn(u32, u64) -> Vec<u8>) -> u64 {
        let mut barriers = Barriers::default();
        let mut passed = 0;
        for number in 0..messages {
            let flow = u64::from(number) % flows;
            passed += barriers.pass(flow, 0, each(number, flow)).len();
        }
        passed += barriers.give_up().len();
        assert!(passed > 0 || messages == 0);
        barriers.steps()
    }

    #[test]
    fn the_cost_of_a_message_does_not_grow_with_what_is_held_back() {
        type Input = (&'static str, u64, fn(u32, u64) -> Vec<u8>);
        let inputs: [Input; 5] =
            [
                ("one flow waits for ever", 1, |number, _| if number == 0 { sync(1, 9) } else { media(1) }),
                (
                    "barriers that are never complete",
                    1,
                    |number, _| {
                        if number % 2 == 0 { sync(number, 9) } else { media(1) }
                    },
                ),
                ("many flows, each at a barrier of its own", 64, |number, _| {
                    if number % 3 == 0 { sync(number, 2) } else { media(1) }
                }),
                ("many flows at one barrier", 60, |number, _| if number < 60 { sync(1, 61) } else { media(1) }),
                ("nothing but barriers of two flows that meet", 2, |number, _| {
                    if number % 7 == 6 { media(1) } else { sync(number / 2, 2) }
                }),
            ];
        for (what, flows, each) in inputs {
            let [once, twice, four_times] = [1, 2, 4].map(|factor| steps_of(factor * 5_000, flows, each));
            assert!(once <= 5 * 5_000, "{what}: {once}");
            assert!(twice <= 2 * once + once / 4, "{what}: {once}, {twice}");
            assert!(four_times <= 4 * once + once / 2, "{what}: {once}, {four_times}");
        }
    }
}
