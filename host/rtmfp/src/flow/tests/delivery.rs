//! What is sent arrives.

use std::collections::BTreeMap;
use std::time::Duration;

use super::channel::{CALM, Pair, STORM, Weather};
use crate::flow::config::FlowConfig;
use crate::flow::event::{FlowEnd, FlowEvent, MessageId, RecvFlowId, SendFlowId};
use crate::flow::options::{Delivery, FlowOptions, Order, Priority};

fn open(pair: &mut Pair, end: usize) -> SendFlowId {
    pair.ends[end].flows.open(b"test", FlowOptions::default()).unwrap()
}

fn send(pair: &mut Pair, end: usize, flow: SendFlowId, message: Vec<u8>) -> MessageId {
    pair.ends[end].flows.send(flow, message, Delivery::default()).unwrap()
}

/// A message that says which it is, of a length that depends on that too.
fn message(number: u64, longest: u64) -> Vec<u8> {
    let length = 8 + number.wrapping_mul(2_654_435_761) % longest;
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.extend((8..length).map(|at| (at ^ number) as u8));
    bytes
}

#[test]
fn every_message_arrives_once_in_order_in_any_weather() {
    for seed in 0..300 {
        let mut pair = Pair::new(seed, STORM, FlowConfig::default());
        let flows = [open(&mut pair, 0), open(&mut pair, 1)];
        let count = 3 + seed % 15;
        let longest = [40, 3000, 12_000][seed as usize % 3];
        for (end, &flow) in flows.iter().enumerate() {
            for number in 0..count {
                send(&mut pair, end, flow, message(number, longest));
                if pair.dice.chance(30) {
                    pair.run(Duration::from_millis(30));
                }
            }
            pair.ends[end].flows.close(flow);
        }
        pair.run(Duration::from_secs(400));
        for (end, &flow) in flows.iter().enumerate() {
            let expected: Vec<_> = (0..count).map(|number| (flows[1 - end].0, message(number, longest))).collect();
            assert_eq!(pair.messages(end), expected, "seed {seed}");
            let events = &pair.ends[end].events;
            assert!(events.contains(&FlowEvent::Closed { flow }), "seed {seed}: {events:?}");
            let ended = FlowEvent::Ended { flow: RecvFlowId(flows[1 - end].0), end: FlowEnd::Complete { gap: false } };
            assert_eq!(
                events.last().filter(|_| events.len() == 3).map(|_| events.contains(&ended)),
                Some(true),
                "{events:?}"
            );
            assert!(pair.ends[end].flows.is_idle());
            assert_eq!(pair.ends[end].flows.bytes_outstanding(), 0);
            assert_eq!(pair.ends[end].flows.next_timeout(), None, "after the linger period nothing is left");
        }
    }
}

#[test]
fn many_flows_in_parallel_do_not_mix() {
    for seed in 0..20 {
        let mut pair = Pair::new(seed, STORM, FlowConfig::default());
        let flows: Vec<SendFlowId> = (0..40).map(|_| open(&mut pair, 0)).collect();
        for number in 0..5 {
            for flow in &flows {
                send(&mut pair, 0, *flow, message(number * 100 + flow.0, 2500));
            }
        }
        pair.run(Duration::from_secs(300));
        let mut by_flow: BTreeMap<u64, Vec<Vec<u8>>> = BTreeMap::new();
        for (flow, data) in pair.messages(1) {
            by_flow.entry(flow).or_default().push(data);
        }
        for flow in flows {
            let expected: Vec<_> = (0..5).map(|number| message(number * 100 + flow.0, 2500)).collect();
            assert_eq!(by_flow.remove(&flow.0), Some(expected), "seed {seed}");
        }
    }
}

#[test]
fn a_long_message_is_cut_and_put_together() {
    let mut pair = Pair::new(1, Weather { loss: 5, ..CALM }, FlowConfig::default());
    let flow = open(&mut pair, 0);
    let long: Vec<u8> = (0..3_000_000u32).map(|at| (at >> 3) as u8).collect();
    send(&mut pair, 0, flow, long.clone());
    pair.run(Duration::from_secs(600));
    assert!(pair.messages(1) == [(flow.0, long)]);
}

/// Neither burst avoidance nor the congestion window holds a transfer back for long where nothing is lost.
#[test]
fn a_clear_path_is_used() {
    let mut pair = Pair::new(0, CALM, FlowConfig::default());
    let flow = open(&mut pair, 0);
    send(&mut pair, 0, flow, vec![7; 3_000_000]);
    let start = pair.now;
    while pair.ends[0].flows.bytes_queued(flow) > 0 {
        let until = pair.now + Duration::from_secs(5);
        assert!(pair.step(until));
    }
    let round_trips = (pair.now - start).as_millis() / (2 * CALM.delay.as_millis());
    assert!((8..40).contains(&round_trips), "{round_trips}");
    assert!(pair.ends[0].packets_sent < 3100, "nothing is sent twice: {}", pair.ends[0].packets_sent);
}

#[test]
fn messages_given_up_leave_a_gap_and_nothing_else() {
    for seed in 0..200 {
        let mut pair = Pair::new(seed, STORM, FlowConfig::default());
        let flow = open(&mut pair, 0);
        let mut mode = Vec::new();
        for number in 0..30u64 {
            let deadline = Some(pair.now + Duration::from_millis(120));
            let delivery = match pair.dice.below(4) {
                0 => Delivery::default(),
                1 => Delivery { send_once: true, ..Delivery::default() },
                2 => Delivery { finish_by: deadline, ..Delivery::default() },
                _ => Delivery { start_by: deadline, ..Delivery::default() },
            };
            mode.push(delivery);
            pair.ends[0].flows.send(flow, message(number, 4000), delivery).unwrap();
            pair.run(Duration::from_millis(25));
        }
        pair.ends[0].flows.close(flow);
        pair.run(Duration::from_secs(100));
        let dropped: Vec<u64> = pair.ends[0]
            .events
            .iter()
            .filter_map(|event| match event {
                FlowEvent::Dropped { message, .. } => Some(message.0),
                _ => None,
            })
            .collect();
        assert!(pair.ends[0].events.contains(&FlowEvent::Closed { flow }), "seed {seed}");
        let got: Vec<u64> = pair
            .messages(1)
            .iter()
            .map(|(_, data)| {
                let number = u64::from_be_bytes(data[..8].try_into().unwrap());
                assert_eq!(*data, message(number, 4000));
                number
            })
            .collect();
        assert!(got.is_sorted_by(|a, b| a < b), "seed {seed}: in order, once");
        for number in 0..30 {
            let reliable = mode[number as usize] == Delivery::default();
            assert!(!reliable || !dropped.contains(&number));
            assert!(got.contains(&number) || dropped.contains(&number), "seed {seed}: {number} vanished");
        }
        assert!(pair.ends[1].events.iter().any(|event| matches!(event, FlowEvent::Ended { .. })));
    }
}

#[test]
fn a_gap_is_reported_with_the_message_after_it() {
    let mut pair = Pair::new(0, CALM, FlowConfig::default());
    let flow = open(&mut pair, 0);
    send(&mut pair, 0, flow, b"1".to_vec());
    let second = send(&mut pair, 0, flow, b"2".to_vec());
    send(&mut pair, 0, flow, b"3".to_vec());
    assert!(pair.ends[0].flows.abandon(flow, second));
    assert!(!pair.ends[0].flows.abandon(flow, second));
    pair.run(Duration::from_secs(1));
    let gaps: Vec<bool> = pair.ends[1]
        .events
        .iter()
        .filter_map(|event| match event {
            FlowEvent::Message { gap, .. } => Some(*gap),
            _ => None,
        })
        .collect();
    assert_eq!(gaps, [false, true]);
}

#[test]
fn order_of_arrival_delivers_the_same_messages() {
    for seed in 0..100 {
        let mut pair = Pair::new(seed, STORM, FlowConfig::default());
        let flow = open(&mut pair, 0);
        send(&mut pair, 0, flow, message(0, 100));
        while pair.ends[1].events.is_empty() {
            let until = pair.now + Duration::from_secs(60);
            pair.step(until);
        }
        pair.ends[1].flows.set_order(RecvFlowId(flow.0), Order::Arrival);
        (1..40).for_each(|number| _ = send(&mut pair, 0, flow, message(number, 3000)));
        pair.run(Duration::from_secs(100));
        let mut got = pair.messages(1);
        got.sort_by_key(|(_, data)| data[..8].to_vec());
        let expected: Vec<_> = (0..40).map(|number| (flow.0, message(number, 3000))).collect();
        assert_eq!(got, expected, "seed {seed}");
    }
}

#[test]
fn a_receiver_that_pauses_stays_bounded_and_resumes() {
    for seed in 0..10 {
        let config = FlowConfig { receive_buffer: 20_000, ..FlowConfig::default() };
        let mut pair = Pair::new(seed, Weather { loss: 10, ..STORM }, config);
        let flow = open(&mut pair, 0);
        send(&mut pair, 0, flow, message(0, 100));
        pair.run(Duration::from_secs(20));
        pair.ends[1].flows.pause(RecvFlowId(flow.0));
        (1..80).for_each(|number| _ = send(&mut pair, 0, flow, message(number, 2000)));
        let before = pair.ends[0].packets_sent;
        for _ in 0..100 {
            pair.run(Duration::from_secs(1));
            let buffered = pair.ends[1].flows.buffered;
            assert!(buffered <= 20_000, "{buffered}");
        }
        assert_eq!(pair.messages(1).len(), 1);
        let sent = pair.ends[0].packets_sent - before;
        assert!(sent < 800, "seed {seed}: {sent} packets into a receiver that takes nothing");
        pair.ends[1].flows.resume(RecvFlowId(flow.0));
        pair.run(Duration::from_secs(100));
        let expected: Vec<_> = (1..80).map(|number| (flow.0, message(number, 2000))).collect();
        assert_eq!(pair.messages(1), expected, "seed {seed}");
    }
}

#[test]
fn a_rejected_flow_closes_and_its_sender_learns_why() {
    for seed in 0..50 {
        let mut pair = Pair::new(seed, STORM, FlowConfig::default());
        let flow = open(&mut pair, 0);
        (0..50).for_each(|number| _ = send(&mut pair, 0, flow, message(number, 3000)));
        while pair.ends[1].events.is_empty() {
            let until = pair.now + Duration::from_secs(60);
            pair.step(until);
        }
        pair.ends[1].flows.reject(RecvFlowId(flow.0), 77);
        pair.ends[1].events.clear();
        pair.run(Duration::from_secs(200));
        assert_eq!(
            pair.ends[0].events,
            [FlowEvent::Rejected { flow, exception: 77 }, FlowEvent::Closed { flow },],
            "seed {seed}"
        );
        assert_eq!(pair.ends[1].events, []);
        assert!(pair.ends[0].flows.send(flow, b"x", Delivery::default()).is_err());
        assert!(pair.ends[1].flows.receiving.is_empty() && pair.ends[1].flows.lingering.is_empty());
    }
}

#[test]
fn a_paused_flow_that_is_complete_waits_to_be_resumed_or_rejected() {
    for resumes in [true, false] {
        let mut pair = Pair::new(0, CALM, FlowConfig::default());
        let flow = open(&mut pair, 0);
        send(&mut pair, 0, flow, b"1".to_vec());
        pair.run(Duration::from_secs(1));
        assert_eq!(pair.messages(1).len(), 1);
        pair.ends[1].events.clear();
        let far = RecvFlowId(flow.0);
        pair.ends[1].flows.pause(far);
        send(&mut pair, 0, flow, b"2".to_vec());
        pair.ends[0].flows.close(flow);
        pair.run(Duration::from_secs(10));
        assert_eq!(pair.ends[0].events, [FlowEvent::Closed { flow }]);
        assert_eq!(pair.ends[1].events, []);
        if resumes {
            pair.ends[1].flows.resume(far);
        } else {
            pair.ends[1].flows.reject(far, 1);
        }
        pair.run(Duration::from_secs(1));
        let events = &pair.ends[1].events;
        assert_eq!(events.len(), if resumes { 2 } else { 0 }, "{events:?}");
        assert!(!resumes || events[1] == FlowEvent::Ended { flow: far, end: FlowEnd::Complete { gap: false } });
        assert!(pair.ends[1].flows.receiving.is_empty());
        assert_eq!(pair.ends[1].flows.buffered, 0);
    }
}

#[test]
fn a_higher_priority_goes_first_and_equals_share() {
    let mut pair = Pair::new(0, CALM, FlowConfig::default());
    let mut flow = |priority| {
        let options = FlowOptions { priority, ..FlowOptions::default() };
        pair.ends[0].flows.open(b"p", options).unwrap()
    };
    let (low, one, other) = (flow(Priority::Low), flow(Priority::Normal), flow(Priority::Normal));
    for flow in [low, one, other] {
        (0..30).for_each(|number| _ = send(&mut pair, 0, flow, vec![number; 1000]));
    }
    pair.run(Duration::from_secs(30));
    let order: Vec<u64> = pair.messages(1).iter().map(|(flow, _)| *flow).collect();
    assert_eq!(order.len(), 90);
    assert!(order[60..].iter().all(|&flow| flow == low.0), "{order:?}");
    let ones = order[..30].iter().filter(|&&flow| flow == one.0).count();
    assert!((12..=18).contains(&ones), "{order:?}");
}

#[test]
fn notice_of_delivery_comes_when_asked_for() {
    let mut pair = Pair::new(3, STORM, FlowConfig::default());
    let flow = open(&mut pair, 0);
    let notify = Delivery { notify: true, ..Delivery::default() };
    let asked = pair.ends[0].flows.send(flow, message(1, 5000), notify).unwrap();
    send(&mut pair, 0, flow, b"quiet".to_vec());
    pair.run(Duration::from_secs(60));
    assert_eq!(pair.ends[0].events, [FlowEvent::Delivered { flow, message: asked }]);
}
