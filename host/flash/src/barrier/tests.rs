//! Barriers by the order in which messages come out of them, and by what they cost.

use super::*;
use crate::message::{Message, kind};
use crate::user_control::UserControl;

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
fn a_barrier_of_one_flow_holds_nothing_back() {
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
fn bytes_held_back_and_barriers_are_bounded() {
    let mut barriers = Barriers::default();
    let long = Message { kind: kind::VIDEO, timestamp: 0, payload: &[7; 100_000] }.to_bytes();
    let mut largest = 0;
    for number in 0..200 {
        barriers.pass(number, 0, sync(number as u32, 2));
        barriers.pass(number, 0, long.clone());
        largest = largest.max(barriers.held_bytes);
    }
    assert!(largest <= MAX_HELD_BYTES, "{largest}");
    assert!(barriers.waiting.len() <= 12, "{}", barriers.waiting.len());
}

#[test]
fn barriers_that_are_never_complete_are_few() {
    let mut barriers = Barriers::default();
    for number in 0..1000 {
        barriers.pass(u64::from(number), 0, sync(number, 2));
        assert!(barriers.waiting.len() <= MAX_BARRIERS && barriers.given_up.len() <= MAX_GIVEN_UP);
    }
}

#[test]
fn as_much_is_held_back_as_the_bounds_allow() {
    let mut barriers = Barriers::default();
    for flow in 0..MAX_SUSPENDED as u64 {
        assert_eq!(barriers.pass(flow, 0, sync(1, u32::MAX)), []);
    }
    for number in 1..MAX_BARRIERS as u32 {
        barriers.pass(0, 0, sync(number + 1, 2));
    }
    assert_eq!(barriers.suspended.len(), MAX_SUSPENDED);
    assert!(barriers.pass(MAX_SUSPENDED as u64, 0, sync(1, u32::MAX)).is_empty() && barriers.suspended.is_empty());

    let mut barriers = Barriers::default();
    barriers.pass(1, 0, sync(1, 2));
    for _ in 0..MAX_HELD {
        assert_eq!(barriers.pass(1, 0, media(1)), []);
    }
    assert_eq!(barriers.pass(1, 0, media(1)).len(), MAX_HELD + 1);
}

/// What was released must not count against what is held back later.
#[test]
fn released_messages_do_not_count_any_more() {
    let mut barriers = Barriers::default();
    for round in 0..3 {
        barriers.pass(1, 0, sync(round, 2));
        for _ in 0..MAX_HELD - 1 {
            assert_eq!(barriers.pass(1, 0, media(1)), [], "{round}");
        }
        assert_eq!(barriers.pass(2, 0, sync(round, 2)).len(), MAX_HELD - 1);
        assert_eq!((barriers.held, barriers.held_bytes), (0, 0));
    }
}

#[test]
fn a_barrier_that_was_given_up_is_remembered_until_all_its_flows_have_reached_it() {
    let mut barriers = Barriers::default();
    barriers.pass(1, 0, sync(1, 3));
    barriers.give_up();
    for flow in [2, 3] {
        assert!(!barriers.is_idle());
        barriers.pass(flow, 0, sync(1, 3));
        assert!(!barriers.is_suspended(flow), "{flow}");
    }
    assert!(barriers.is_idle());
}

#[test]
fn giving_up_releases_everything() {
    let mut barriers = Barriers::default();
    for message in [sync(1, 9), media(1), sync(2, 9), media(2)] {
        assert_eq!(barriers.pass(1, 0, message), []);
    }
    assert_eq!(numbers(&barriers.give_up()), [1, 2]);
    assert!(!barriers.is_suspended(1) && barriers.waiting.is_empty() && barriers.held == 0);
}

#[test]
fn a_flow_that_reaches_a_barrier_after_it_was_given_up_is_not_suspended() {
    let mut barriers = Barriers::default();
    assert_eq!(barriers.pass(1, 0, sync(1, 2)), []);
    barriers.give_up();
    assert!(!barriers.is_idle(), "the other flow has not reached it");
    assert_eq!(barriers.pass(2, 0, sync(1, 2)), []);
    assert_eq!(numbers(&barriers.pass(2, 0, media(7))), [7]);
    assert!(barriers.is_idle());
    // The number can be used again.
    barriers.pass(1, 0, sync(1, 2));
    assert!(barriers.is_suspended(1));
}

#[test]
fn suspended_flows_that_end_do_not_accumulate() {
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
    let inputs: [Input; 5] = [
        ("one flow waits for ever", 1, |number, _| if number == 0 { sync(1, 9) } else { media(1) }),
        ("barriers that are never complete", 1, |number, _| if number % 2 == 0 { sync(number, 9) } else { media(1) }),
        (
            "many flows, each at a barrier of its own",
            64,
            |number, _| {
                if number % 3 == 0 { sync(number, 2) } else { media(1) }
            },
        ),
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

#[test]
fn each_bound_is_reached_before_anything_is_given_up() {
    let of = |length: usize| {
        let payload = vec![7; length - media(0).len() + 1];
        Message { kind: kind::VIDEO, timestamp: 0, payload: &payload }.to_bytes()
    };
    let mut barriers = Barriers::default();
    barriers.pass(1, 0, sync(1, 2));
    assert_eq!(barriers.pass(1, 0, of(MAX_HELD_BYTES)), []);
    assert_eq!((barriers.held(), barriers.held_bytes), (1, MAX_HELD_BYTES));
    assert_eq!(barriers.pass(1, 0, media(1)).len(), 2);

    let mut barriers = Barriers::default();
    for number in 0..MAX_BARRIERS as u32 {
        barriers.pass(number.into(), 0, sync(number, 2));
    }
    assert_eq!((barriers.waiting.len(), barriers.suspended.len()), (MAX_BARRIERS, MAX_BARRIERS));
    barriers.pass(100, 0, sync(100, 2));
    assert!(barriers.waiting.is_empty() && barriers.suspended.is_empty());
}

#[test]
fn all_barriers_that_are_given_up_at_once_are_remembered() {
    let mut barriers = Barriers::default();
    let all = 0..MAX_GIVEN_UP as u32;
    for number in all.clone() {
        barriers.pass(number.into(), 0, sync(number, 2));
    }
    barriers.give_up();
    for number in all {
        assert!(!barriers.is_idle());
        barriers.pass(100, 0, sync(number, 2));
        assert!(!barriers.is_suspended(100), "{number}");
    }
    assert!(barriers.is_idle());
}

#[test]
fn messages_of_flows_that_take_turns_in_bursts_keep_their_order() {
    let mut barriers = Barriers::default();
    for flow in 1..=2 {
        barriers.pass(flow, 0, sync(1, 3));
    }
    for (number, flow) in (0..).zip([1, 1, 2, 2, 2, 1, 2, 1, 1]) {
        barriers.pass(flow, 0, media(number));
    }
    assert_eq!(barriers.held(), 9);
    assert_eq!(numbers(&barriers.pass(3, 0, sync(1, 3))), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!((barriers.held(), barriers.held_bytes), (0, 0));
}

#[test]
fn one_message_that_is_released_leaves_nothing_behind() {
    let mut barriers = Barriers::default();
    barriers.pass(1, 0, sync(1, 2));
    barriers.pass(1, 0, media(5));
    assert_eq!((barriers.held(), barriers.held_bytes), (1, media(5).len()));
    assert_eq!(numbers(&barriers.pass(2, 0, sync(1, 2))), [5]);
    assert_eq!((barriers.held(), barriers.held_bytes), (0, 0));
}

#[test]
fn each_step_counts() {
    let mut barriers = Barriers::default();
    let mut after = |flow, message| {
        barriers.pass(flow, 0, message);
        barriers.steps()
    };
    // A message takes one step, a barrier one more, each flow that it releases one, and each message of that flow one.
    assert_eq!(after(1, sync(1, 2)), 2);
    assert_eq!(after(1, media(1)), 3);
    assert_eq!(after(2, sync(1, 2)), 7);
    assert_eq!(after(1, sync(2, 9)), 9);
    assert_eq!(after(1, media(1)), 10);
    // So does each barrier that is given up, with its flow and its message.
    barriers.give_up();
    assert_eq!(barriers.steps(), 13);
}

#[test]
fn only_a_flow_synchronization_is_one() {
    assert!(is_synchronization(&sync(1, 2)));
    assert!(!is_synchronization(&media(1)) && !is_synchronization(&[]));
    assert!(!is_synchronization(&UserControl::StreamBegin { stream: 1 }.to_message()));
}
