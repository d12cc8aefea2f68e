//! Flow Synchronization (RFC 7425 §5.2), compared with a model of it that is as slow as it is plain.

use std::collections::BTreeMap;

use introd_flash::barrier::{Barriers, MAX_BARRIERS, MAX_HELD, MAX_HELD_BYTES, MAX_SUSPENDED, Passed};
use introd_flash::message::{Message, kind};
use introd_flash::user_control::UserControl;

use super::input::Input;

/// What a message may cost at most, in steps, on average. It waits once, is released once, and may be a barrier.
const MAX_STEPS: u64 = 6;

/// Takes the bytes for a sequence of messages on flows.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (mut barriers, mut model) = (Barriers::default(), Model::default());
    let mut sent: BTreeMap<u64, Vec<Vec<u8>>> = BTreeMap::new();
    let mut got: BTreeMap<u64, Vec<Vec<u8>>> = BTreeMap::new();
    let (mut number, mut events) = (0u32, 0u64);
    while !input.is_empty() {
        events += 1;
        let choice = input.u8();
        // Few flows as a rule, so that they meet; more than may wait now and then.
        let flow = if choice & 0x80 == 0 { u64::from(choice >> 4 & 3) } else { input.number() % 128 };
        let (passed, expected) = match choice & 15 {
            0..=7 => {
                number += 1;
                let mut payload = number.to_be_bytes().to_vec();
                if choice & 15 == 7 {
                    payload.resize(60_000, 0);
                }
                let message = Message { kind: kind::VIDEO, timestamp: 0, payload: &payload }.to_bytes();
                sent.entry(flow).or_default().push(message.clone());
                (barriers.pass(flow, 1, message.clone()), model.pass(flow, message))
            }
            8..=14 => {
                // Few barriers as a rule, of few flows.
                let sync = if choice & 1 == 0 { u32::from(input.u8() % 4) } else { input.number() as u32 % 64 };
                let count = if choice & 15 == 14 { input.number() as u32 } else { u32::from(input.u8() % 4) };
                let message = UserControl::FlowSync { sync, count }.to_message();
                if count == 0 {
                    // Malformed, and so no barrier: the connection is to see it, and drops it.
                    sent.entry(flow).or_default().push(message.clone());
                }
                (barriers.pass(flow, 1, message.clone()), model.pass(flow, message))
            }
            _ if input.u8() == 0 => (barriers.give_up(), model.give_up()),
            _ => continue,
        };
        check(&barriers, &model, passed, &expected, &mut got);
    }
    let (passed, expected) = (barriers.give_up(), model.give_up());
    check(&barriers, &model, passed, &expected, &mut got);
    assert_eq!(barriers.held(), 0);
    // Nothing is lost, nothing comes twice, and each flow's order is its own.
    assert_eq!(got, sent);
    // A call for all to be given up costs nothing that no message has paid for.
    assert!(barriers.steps() <= MAX_STEPS * events, "{} steps for {events} messages", barriers.steps());
}

fn check(
    barriers: &Barriers,
    model: &Model,
    passed: Vec<Passed>,
    expected: &[(u64, Vec<u8>)],
    got: &mut BTreeMap<u64, Vec<Vec<u8>>>,
) {
    let passed: Vec<(u64, Vec<u8>)> = passed.into_iter().map(|passed| (passed.flow, passed.bytes)).collect();
    assert!(passed == expected, "what passes is not what the model lets pass");
    for (flow, bytes) in passed {
        got.entry(flow).or_default().push(bytes);
    }
    for flow in 0..4 {
        assert_eq!(barriers.is_suspended(flow), model.is_suspended(flow));
    }
    assert_eq!(barriers.held(), model.held.len());
    assert!(barriers.held() <= MAX_HELD);
}

/// A list of all messages held back, which is searched from its beginning for each message that may pass.
#[derive(Default)]
struct Model {
    held: Vec<(u64, Vec<u8>)>,
    barriers: Vec<Barrier>,
    /// Barriers that were given up, and how many flows had not come to them.
    given_up: Vec<(u32, u32)>,
}

struct Barrier {
    sync: u32,
    missing: u32,
    flows: Vec<u64>,
}

impl Model {
    fn pass(&mut self, flow: u64, message: Vec<u8>) -> Vec<(u64, Vec<u8>)> {
        self.held.push((flow, message));
        let mut passed = self.release();
        let suspended: usize = self.barriers.iter().map(|barrier| barrier.flows.len()).sum();
        let bytes: usize = self.held.iter().map(|(_, message)| message.len()).sum();
        if self.held.len() > MAX_HELD
            || bytes > MAX_HELD_BYTES
            || suspended > MAX_SUSPENDED
            || self.barriers.len() > MAX_BARRIERS
        {
            passed.extend(self.give_up());
        }
        passed
    }

    fn give_up(&mut self) -> Vec<(u64, Vec<u8>)> {
        let mut passed = Vec::new();
        while !self.barriers.is_empty() {
            self.barriers.sort_by_key(|barrier| barrier.sync);
            self.given_up.extend(self.barriers.drain(..).map(|barrier| (barrier.sync, barrier.missing)));
            let excess = self.given_up.len().saturating_sub(MAX_BARRIERS);
            self.given_up.drain(..excess);
            passed.extend(self.release());
        }
        passed
    }

    fn is_suspended(&self, flow: u64) -> bool {
        self.barriers.iter().any(|barrier| barrier.flows.contains(&flow))
    }

    fn release(&mut self) -> Vec<(u64, Vec<u8>)> {
        let mut passed = Vec::new();
        while let Some(place) = self.held.iter().position(|(flow, _)| !self.is_suspended(*flow)) {
            let (flow, message) = self.held.remove(place);
            let control = Message::read(&message).ok().filter(|message| message.kind == kind::USER_CONTROL);
            match control.map(|control| UserControl::read(control.payload)) {
                Some(Ok(UserControl::FlowSync { sync, count })) => self.arrive(flow, sync, count),
                _ => passed.push((flow, message)),
            }
        }
        passed
    }

    fn arrive(&mut self, flow: u64, sync: u32, count: u32) {
        if let Some(place) = self.given_up.iter().position(|(other, _)| *other == sync) {
            self.given_up[place].1 = self.given_up[place].1.saturating_sub(1);
            self.given_up.retain(|(_, missing)| *missing > 0);
            return;
        }
        if self.barriers.iter().all(|barrier| barrier.sync != sync) {
            self.barriers.push(Barrier { sync, missing: count, flows: Vec::new() });
        }
        let barrier = self.barriers.iter_mut().find(|barrier| barrier.sync == sync).unwrap();
        barrier.flows.push(flow);
        barrier.missing = barrier.missing.saturating_sub(1);
        self.barriers.retain(|barrier| barrier.missing > 0);
    }
}
