//! When a receiver acknowledges, and how much of it goes into a packet (RFC 7016 §3.6.3.4).

use std::time::Duration;

use super::channel::{LIMIT, receive};
use super::chunks::{
    acknowledged, at, chunks, data, events, fill, fill_up_to, flows, fragment, fragments, give, kinds, metadata,
    receiver, receiver_with, start, whole, with,
};
use crate::flow::config::FlowConfig;
use crate::flow::event::RecvFlowId;
use crate::flow::flows::Flows;
use crate::flow::options::{Delivery, FlowOptions};
use crate::test_clock::test_clock;
use crate::wire::Chunk;
use crate::wire::chunk::FragmentControl::Begin;
use crate::wire::chunk::{BufferProbe, UserData};

const FLOW: RecvFlowId = RecvFlowId(5);

/// Whether the packet is acknowledged at once; acknowledges it then, if so.
fn is_answered(flows: &mut Flows, chunks: &[UserData<'_>]) -> bool {
    let now = start();
    give(flows, now, chunks);
    let answered = flows.wants_transmit(&at(now));
    assert_eq!(answered, !fill(flows, now).is_empty());
    answered
}

/// §3.6.3.4.1, each circumstance alone: nothing else about the fragment asks for an answer.
#[test]
fn each_circumstance_alone_makes_an_acknowledgement_not_wait() {
    let changed = |change: fn(&mut UserData<'static>)| {
        let mut chunk = whole(2, b"data");
        change(&mut chunk);
        chunk
    };
    let cases: [(&str, UserData<'_>, bool); 6] = [
        ("the next in order", changed(|_| ()), false),
        ("abandoned", changed(|chunk| chunk.fragment.abandon = true), true),
        ("the last", changed(|chunk| chunk.fragment.is_final = true), true),
        ("a duplicate", changed(|chunk| (chunk.sequence_number, chunk.fsn_offset) = (1, 1)), true),
        ("one that leaves a gap", changed(|chunk| chunk.sequence_number = 3), true),
        ("one that opens a flow", changed(|chunk| chunk.flow_id = 6), true),
    ];
    for (what, chunk, answered) in cases {
        assert_eq!(is_answered(&mut receiver(start()), &[chunk]), answered, "{what}");
    }
    let mut with_gap = receiver(start());
    give(&mut with_gap, start(), &[whole(3, b"data")]);
    fill(&mut with_gap, start());
    assert!(is_answered(&mut with_gap, &[whole(2, b"data")]), "one that closes a gap");
    assert!(!is_answered(&mut with_gap, &[whole(4, b"data")]), "the next in order again");
    let mut rejected = receiver(start());
    rejected.reject(FLOW, 1);
    fill(&mut rejected, start());
    assert!(is_answered(&mut rejected, &[whole(2, b"data")]), "data of a rejected flow");
}

#[test]
fn with_fewer_than_two_blocks_advertised_an_acknowledgement_does_not_wait() {
    for (receive_buffer, answered) in [(1024, true), (1025, false)] {
        let mut flows = receiver_with(start(), FlowConfig { receive_buffer, ..FlowConfig::default() });
        assert_eq!(is_answered(&mut flows, &[whole(2, b"data")]), answered, "{receive_buffer}");
    }
}

/// 1024 bytes are enough, and not scarce. A message that waits counts 64 bytes more than it has.
#[test]
fn with_less_than_1024_bytes_left_an_acknowledgement_does_not_wait() {
    for (length, answered) in [(3000 - 1024 - 64, false), (3000 - 1024 - 64 + 1, true)] {
        let mut flows = receiver_with(start(), FlowConfig { receive_buffer: 3000, ..FlowConfig::default() });
        flows.pause(FLOW);
        assert_eq!(is_answered(&mut flows, &[whole(2, &vec![0; length])]), answered, "{length}");
        // It does not wait in a flow that is delivered at once, however long.
        let mut flows = receiver_with(start(), FlowConfig { receive_buffer: 3000, ..FlowConfig::default() });
        assert!(!is_answered(&mut flows, &[fragment(2, Begin, &vec![0; length])]), "{length}");
    }
}

#[test]
fn the_delay_counts_from_the_first_packet() {
    let now = start();
    let mut flows = receiver(now);
    let due = now + Duration::from_millis(200);
    give(&mut flows, now, &[whole(2, b"data")]);
    // A packet without user data is not the second of two.
    receive(&mut flows, &at(now + Duration::from_millis(100)), &[], false);
    assert!(!flows.wants_transmit(&at(now)));
    assert_eq!(flows.next_timeout(), Some(due));
    flows.on_timeout(&at(due - Duration::from_millis(1)));
    assert_eq!((flows.wants_transmit(&at(due)), flows.next_timeout()), (false, Some(due)));
    flows.on_timeout(&at(due));
    assert_eq!((flows.wants_transmit(&at(due)), flows.next_timeout()), (true, None));
    fill(&mut flows, due);
    // Again two packets, or 200 ms.
    assert!(!is_answered(&mut flows, &[whole(3, b"data")]));
    assert_eq!(flows.next_timeout(), Some(due));
    assert!(is_answered(&mut flows, &[whole(4, b"data")]));
}

/// §3.6.3.6: a probe of an unknown flow is ignored altogether.
#[test]
fn a_probe_is_answered_for_a_known_flow_only() {
    let now = start();
    for (flow_id, answered) in [(5, true), (6, false)] {
        let mut flows = receiver(now);
        let mut probe = Vec::new();
        BufferProbe { flow_id }.put(&mut probe);
        receive(&mut flows, &at(now), &probe, false);
        assert_eq!(flows.wants_transmit(&at(now)), answered);
        if answered {
            assert!(!fill(&mut flows, now).is_empty());
        }
        assert!(!is_answered(&mut flows, &[whole(2, b"data")]), "what follows waits as ever");
    }
}

/// §3.6.3.4.6: an acknowledgement that could wait goes with one that does not, or with user data, and alone it waits.
#[test]
fn acknowledgements_travel_together() {
    let now = start();
    let mut flows = receiver(now);
    give(&mut flows, now, &[data(6, 1, 1, Some(&metadata()))]);
    fill(&mut flows, now);
    give(&mut flows, now, &[whole(2, b"data")]);
    assert!(fill(&mut flows, now).is_empty(), "nothing is due");
    give(&mut flows, now, &[data(6, 1, 1, None)]);
    assert_eq!(kinds(&fill(&mut flows, now)).len(), 2, "a duplicate in the other flow");
    assert_eq!((flows.wants_transmit(&at(now)), flows.next_timeout()), (false, None));

    give(&mut flows, now, &[whole(3, b"data")]);
    let sending = flows.open(b"m", FlowOptions::default()).unwrap();
    flows.send(sending, b"x", Delivery::default()).unwrap();
    let packet = fill(&mut flows, now);
    assert_eq!((acknowledged(&packet), fragments(&packet).len()), ((3, vec![]), 1));
    assert!(!is_answered(&mut flows, &[whole(4, b"data")]), "the count of packets begins again");
}

/// Numbers so far apart that each takes 5 bytes in an acknowledgement: 256 of them are too long for a packet.
fn many_gaps(flows: &mut Flows, flow_id: u64) {
    let chunk = |step: u64| UserData { flow_id, fsn_offset: step << 22, ..whole(step << 22, b"") };
    (1..=256).for_each(|step| give(flows, start(), &[chunk(step)]));
}

/// How many numbers beyond the cumulative one each acknowledgement in a packet has, by flow.
fn beyond(bytes: &[u8]) -> Vec<(u64, usize)> {
    chunks(bytes)
        .into_iter()
        .filter_map(|chunk| match chunk {
            Chunk::Ack(ack) => Some((ack.flow_id, ack.ranges().count())),
            _ => None,
        })
        .collect()
}

/// §3.6.3.4.2: the first acknowledgement in a packet is shortened, keeping its lowest numbers; another waits for its own.
#[test]
fn an_acknowledgement_that_does_not_fit_is_shortened_or_waits() {
    let now = start();
    let mut flows = receiver(now);
    give(&mut flows, now, &[data(6, 1, 1, Some(&metadata()))]);
    many_gaps(&mut flows, 5);
    many_gaps(&mut flows, 6);
    let first = fill(&mut flows, now);
    assert_eq!(beyond(&first), [(5, 128)]);
    assert_eq!(acknowledged(&first).1[..2], [1 << 22, 2 << 22]);
    assert!(flows.wants_transmit(&at(now)), "the other one is due");
    assert_eq!(beyond(&fill(&mut flows, now)), [(6, 128)]);
    assert!(!flows.wants_transmit(&at(now)));
    // In a packet that goes for its user data, none is shortened.
    let mut delayed = receiver(now);
    many_gaps(&mut delayed, 5);
    fill(&mut delayed, now);
    delayed.receiving[0].should_ack = true;
    let sending = delayed.open(b"m", FlowOptions::default()).unwrap();
    delayed.send(sending, b"x", Delivery::default()).unwrap();
    let packet = fill(&mut delayed, now);
    assert_eq!((beyond(&packet), fragments(&packet).len()), (vec![], 1));
}

/// An acknowledgement goes into a packet that has just enough room for it; without the room nothing of it does, and it goes later.
#[test]
fn an_acknowledgement_fits_to_the_byte() {
    let now = start();
    let open = || {
        let mut flows = receiver(now);
        give(&mut flows, now, &[whole(1, b"data")]);
        flows
    };
    let rejected = || {
        let mut flows = receiver(now);
        flows.reject(FLOW, 1);
        flows
    };
    let ended = || {
        let mut flows = receiver(now);
        let mut last = whole(2, b"data");
        last.fragment.is_final = true;
        give(&mut flows, now, &[last]);
        flows
    };
    for make in [&open as &dyn Fn() -> Flows, &rejected, &ended] {
        let mut flows = make();
        let length = fill_up_to(&mut make(), now, LIMIT).len();
        assert_eq!(fill_up_to(&mut flows, now, length - 1), [] as [u8; 0]);
        assert!(flows.wants_transmit(&at(now)));
        assert_eq!(fill_up_to(&mut flows, now, length).len(), length);
        assert!(!flows.wants_transmit(&at(now)));
    }
}

/// Every flow that ended is acknowledged, also when there is not room for all in one packet.
#[test]
fn acknowledgements_of_ended_flows_wait_for_room_too() {
    let now = start();
    let mut flows = with(FlowConfig::default());
    let options = metadata();
    for flow in 1..=3 {
        let mut only = data(flow, 1, 1, Some(&options));
        only.fragment.is_final = true;
        give(&mut flows, now, &[only]);
    }
    events(&mut flows);
    let one = fill_up_to(&mut flows, now, 12);
    let mut got = beyond(&one);
    while flows.wants_transmit(&at(now)) {
        got.extend(beyond(&fill_up_to(&mut flows, now, 12)));
    }
    assert_eq!(got, [(1, 0), (2, 0), (3, 0)]);
    assert!(!self::flows().wants_transmit(&at(now)));
}

/// §3.6.3.4.1.
#[test]
fn acknowledgements_wait_200_ms_or_for_a_second_packet() {
    let now = test_clock();
    let mut flows = receiver(now);
    give(&mut flows, now, &[data(5, 2, 2, None)]);
    assert!(!flows.wants_transmit(&at(now)));
    let later = now + Duration::from_millis(200);
    assert_eq!(flows.next_timeout(), Some(later));
    flows.on_timeout(&at(later));
    assert!(flows.wants_transmit(&at(later)));
    assert_eq!(acknowledged(&fill(&mut flows, later)), (2, vec![]));
    assert!(!flows.wants_transmit(&at(later)));
    assert_eq!(flows.next_timeout(), None);
    give(&mut flows, now, &[data(5, 3, 2, None), data(5, 4, 3, None)]);
    assert!(!flows.wants_transmit(&at(now)));
    give(&mut flows, now, &[data(5, 5, 2, None)]);
    assert!(flows.wants_transmit(&at(now)));
}

/// §3.6.3.4.1: gaps, duplicates, probes and ends do not wait; the example of §3.6.3.4.7.
#[test]
fn acknowledgements_that_do_not_wait() {
    let now = test_clock();
    let mut flows = receiver(now);
    let mut immediately = |chunk: UserData<'_>| {
        give(&mut flows, now, &[chunk]);
        assert!(flows.wants_transmit(&at(now)), "{chunk:?}");
        acknowledged(&fill(&mut flows, now))
    };
    assert_eq!(immediately(data(5, 32, 2, None)), (30, vec![32]));
    assert_eq!(immediately(data(5, 34, 12, None)), (30, vec![32, 34]));
    assert_eq!(immediately(data(5, 34, 12, None)), (30, vec![32, 34]), "a duplicate");
    assert_eq!(immediately(data(5, 35, 3, None)), (32, vec![34, 35]), "31 is given up");
    assert_eq!(immediately(data(5, 33, 1, None)), (35, vec![]));
    let mut last = data(5, 36, 1, None);
    last.fragment.is_final = true;
    assert_eq!(immediately(last), (36, vec![]));
    assert_eq!(immediately(last), (36, vec![]), "a straggler after the end");
    let mut probe = Vec::new();
    BufferProbe { flow_id: 5 }.put(&mut probe);
    receive(&mut flows, &at(now), &probe, false);
    assert_eq!(acknowledged(&fill(&mut flows, now)), (36, vec![]));
}
