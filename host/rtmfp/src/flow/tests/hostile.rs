//! Input that no honest end would send.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::channel::receive;
use crate::flow::config::FlowConfig;
use crate::flow::event::{FlowEvent, RecvFlowId};
use crate::flow::flows::Flows;
use crate::flow::options::{Delivery, FlowOptions, Order};
use crate::flow::timing::Timing;
use crate::test_clock::test_clock;
use crate::wire::chunk::{Ack, FragmentControl, NextUserData, UserData, metadata_option};
use crate::wire::{Chunk, packet};

/// A number that is often small, or near the end of what there is.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 0u64..24, 1 => (u64::MAX - 3)..=u64::MAX, 1 => any::<u64>()]
}

/// A chunk: mostly of a known type with a payload that may make sense.
fn chunk() -> impl Strategy<Value = Vec<u8>> {
    let data = (number(), 1u64.., number(), 0u8..4, any::<[bool; 4]>(), prop::collection::vec(any::<u8>(), 0..40));
    let user_data = (data, number()).prop_map(|((flow_id, _, offset, control, flags, data), sequence_number)| {
        let mut options = Vec::new();
        metadata_option(b"m", &mut options);
        let fragment = NextUserData {
            fragment_control: [
                FragmentControl::Whole,
                FragmentControl::Begin,
                FragmentControl::Middle,
                FragmentControl::End,
            ][usize::from(control)],
            abandon: flags[0] && flags[3],
            is_final: flags[1] && flags[3],
            options: flags[2].then_some(&options[..]),
            data: &data,
        };
        let mut bytes = Vec::new();
        if offset % 3 == 0 {
            fragment.put(&mut bytes);
        } else {
            UserData { flow_id: flow_id % 6, sequence_number, fsn_offset: offset, fragment }.put(&mut bytes);
        }
        bytes
    });
    let ack = (number(), number(), number(), prop::collection::vec((2u64..9, 0u64..9), 0..9)).prop_map(
        |(flow, blocks, cumulative, runs)| {
            let mut bytes = Vec::new();
            let mut at = cumulative;
            let ranges: Vec<_> = runs
                .into_iter()
                .filter_map(|(gap, length)| {
                    let first = at.checked_add(gap)?;
                    at = first.checked_add(length)?;
                    Some(first..=at)
                })
                .collect();
            Ack::put(flow % 6, blocks, cumulative, ranges.into_iter(), &mut bytes);
            bytes
        },
    );
    let known = prop::sample::select(vec![0x10, 0x11, 0x50, 0x51, 0x18, 0x5e]);
    let garbage = (known, prop::collection::vec(any::<u8>(), 0..30)).prop_map(|(kind, payload)| {
        let mut bytes = Vec::new();
        packet::put_chunk(kind, &mut bytes, |out| out.extend_from_slice(&payload));
        bytes
    });
    prop_oneof![4 => user_data, 2 => ack, 1 => garbage]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn nothing_panics_and_everything_stays_bounded(
        packets in prop::collection::vec((prop::collection::vec(chunk(), 1..6), 0u64..500, any::<u16>()), 1..80),
    ) {
        let config = FlowConfig {
            max_receiving: 4,
            max_lingering: 2,
            receive_buffer: 3000,
            session_receive_buffer: 5000,
            max_message: 600,
            max_ranges: 5,
            max_fragments: 20,
            ..FlowConfig::default()
        };
        let mut flows = Flows::new(Arc::new(config));
        let mut timing = Timing { now: test_clock(), erto: Duration::from_millis(300), smoothed_rtt: None };
        for (chunks, pause, choice) in packets {
            timing.now += Duration::from_millis(pause);
            let flow = RecvFlowId(u64::from(choice) % 6);
            match choice >> 8 {
                0..30 => if let Ok(flow) = flows.open(b"f", FlowOptions::default()) {
                    let delivery = Delivery {
                        send_once: choice % 2 == 0,
                        finish_by: (choice % 3 == 0).then_some(timing.now + Duration::from_millis(400)),
                        ..Delivery::default()
                    };
                    for length in [2000, 0, 10] {
                        _ = flows.send(flow, vec![1; length], delivery);
                    }
                    if choice % 5 == 0 {
                        flows.close(flow);
                    }
                },
                30..40 => flows.pause(flow),
                40..60 => flows.resume(flow),
                60..70 => flows.set_order(flow, Order::Arrival),
                70..74 => flows.reject(flow, 1),
                _ => (),
            }
            receive(&mut flows, &timing, &chunks.concat(), choice % 7 == 0);
            if flows.next_timeout().is_some_and(|at| at <= timing.now) {
                flows.on_timeout(&timing);
                prop_assert!(flows.next_timeout().is_none_or(|at| at > timing.now) || flows.wants_transmit(&timing));
            }
            let mut packets = 0;
            while flows.wants_transmit(&timing) {
                let mut bytes = Vec::new();
                let filled = flows.fill(&timing, &mut bytes, 1160);
                prop_assert_eq!(filled.anything, !bytes.is_empty());
                prop_assert!(bytes.len() <= 1160);
                for raw in packet::chunks(&bytes) {
                    if let Chunk::Ack(ack) = Chunk::parse(raw).unwrap() {
                        prop_assert!(ack.buffer_blocks > 0, "there are clients that close the session on 0");
                    }
                }
                packets += 1;
                prop_assert!(packets < 100, "for ever");
            }
            while let Some(event) = flows.poll_event() {
                if let FlowEvent::Message { data, .. } = event {
                    prop_assert!(data.len() <= 3000);
                }
            }
            prop_assert_eq!(flows.events.bytes(), 0);
            prop_assert!(flows.receiving.len() <= 4 && flows.lingering.len() <= 2);
            let buffered: usize = flows.receiving.iter().map(|flow| flow.buffered()).sum();
            prop_assert_eq!(flows.buffered, buffered);
            prop_assert!(buffered <= 5600 + 600);
            if flows.is_idle() {
                prop_assert_eq!(flows.bytes_outstanding(), 0);
            }
        }
    }
}

/// Far sequence numbers cost a range each, up to the bound; flow numbers cost a flow each, up to the bound.
#[test]
fn far_numbers_and_many_flows_cost_little() {
    let config = FlowConfig { max_ranges: 10, max_receiving: 8, ..FlowConfig::default() };
    let mut flows = Flows::new(Arc::new(config));
    let timing = Timing { now: test_clock(), erto: Duration::from_millis(300), smoothed_rtt: None };
    let mut options = Vec::new();
    metadata_option(b"m", &mut options);
    for flow_id in 0..1000 {
        for step in 1..50 {
            let fragment = NextUserData {
                fragment_control: FragmentControl::Middle,
                abandon: false,
                is_final: false,
                options: Some(&options),
                data: b"x",
            };
            let sequence_number = step << 50;
            let chunk = UserData { flow_id, sequence_number, fsn_offset: sequence_number, fragment };
            flows.on_user_data(&timing, &chunk);
        }
    }
    flows.on_packet_end(&timing, false);
    assert_eq!(flows.receiving.len(), 8);
    assert!(flows.buffered <= 8 * 10 * 200, "{}", flows.buffered);
    let mut bytes = Vec::new();
    flows.fill(&timing, &mut bytes, 1160);
    let mut ranges = Vec::new();
    for raw in packet::chunks(&bytes) {
        ranges.push(Ack::parse(crate::wire::chunk::AckForm::Ranges, raw.payload).unwrap().ranges().count());
    }
    assert_eq!(ranges, [10; 8]);
}

/// A message that grows beyond the limit ends its flow and frees what it held.
#[test]
fn a_message_without_end_is_refused() {
    let config = FlowConfig { receive_buffer: 4000, max_message: 10_000, ..FlowConfig::default() };
    let mut flows = Flows::new(Arc::new(config));
    let timing = Timing { now: test_clock(), erto: Duration::from_millis(300), smoothed_rtt: None };
    let mut options = Vec::new();
    metadata_option(b"m", &mut options);
    let mut highest = 0;
    for sequence_number in 1..100 {
        let first = sequence_number == 1;
        let fragment = NextUserData {
            fragment_control: if first { FragmentControl::Begin } else { FragmentControl::Middle },
            abandon: false,
            is_final: false,
            options: first.then_some(&options[..]),
            data: &[0; 500],
        };
        flows.on_user_data(&timing, &UserData { flow_id: 1, sequence_number, fsn_offset: 1, fragment });
        highest = highest.max(flows.buffered);
    }
    assert_eq!((highest, flows.buffered), (10_000, 0));
    let events: Vec<_> = std::iter::from_fn(|| flows.poll_event()).collect();
    assert!(matches!(events[..], [FlowEvent::Opened { .. }, FlowEvent::Ended { .. }]), "{events:?}");
}

/// Fragments from beyond a flow's end, received before the end was known, are not kept.
#[test]
fn nothing_is_kept_from_beyond_the_end() {
    let mut flows = Flows::new(Arc::new(FlowConfig::default()));
    let timing = Timing { now: test_clock(), erto: Duration::from_millis(300), smoothed_rtt: None };
    let mut options = Vec::new();
    metadata_option(b"m", &mut options);
    let give = |flows: &mut Flows, sequence_number, is_final| {
        let fragment = NextUserData {
            fragment_control: FragmentControl::Whole,
            abandon: false,
            is_final,
            options: Some(&options),
            data: b"x",
        };
        flows.on_user_data(&timing, &UserData { flow_id: 1, sequence_number, fsn_offset: sequence_number, fragment });
    };
    give(&mut flows, 9, false);
    flows.pause(RecvFlowId(1));
    give(&mut flows, 1, false);
    give(&mut flows, 2, true);
    assert!(flows.buffered > 0, "two messages wait");
    flows.reject(RecvFlowId(1), 0);
    assert_eq!((flows.buffered, flows.receiving.len(), flows.lingering.len()), (0, 0, 1));
}
