//! What a receiving flow takes, and what it refuses: its bounds and those of its session.

use std::time::Duration;

use super::channel::receive;
use super::chunks::{
    acknowledged, at, chunks, data, events, fill, flows, fragment, give, kinds, messages, metadata, receiver,
    receiver_with, start, whole, with,
};
use crate::flow::config::FlowConfig;
use crate::flow::event::{FlowEnd, FlowEvent, RecvFlowId};
use crate::flow::flows::Flows;
use crate::wire::Chunk;
use crate::wire::chunk::FragmentControl::{Begin, Middle};
use crate::wire::chunk::{FlowException, UserData};

const FLOW: RecvFlowId = RecvFlowId(5);
const REFUSED: FlowEvent = FlowEvent::Ended { flow: FLOW, end: FlowEnd::Refused };

/// What is acknowledged after a chunk that is not delivered: the cumulative number, and those beyond.
fn after(flows: &mut Flows, chunk: UserData<'_>) -> (u64, Vec<u64>) {
    let now = start();
    give(flows, now, &[chunk]);
    flows.on_timeout(&at(now + Duration::from_millis(200)));
    acknowledged(&fill(flows, now))
}

#[test]
fn data_after_the_end_is_not_part_of_the_flow() {
    let mut flows = receiver(start());
    let last = |number| {
        let mut last = whole(number, b"last");
        last.fragment.is_final = true;
        last
    };
    assert_eq!(after(&mut flows, last(4)), (1, vec![4]));
    assert_eq!(after(&mut flows, whole(5, b"after")), (1, vec![4]));
    // There is one end: a fragment that claims another does not move it.
    assert_eq!(after(&mut flows, last(6)), (1, vec![4]));
    assert_eq!(after(&mut flows, last(2)), (2, vec![4]));
    assert_eq!(after(&mut flows, whole(3, b"between")), (4, vec![]));
    assert_eq!(messages(&mut flows), [(2, false), (3, false), (4, false)]);
    assert!(flows.receiving.is_empty() && flows.buffered == 0);
}

/// A fragment of 1000 bytes that has to wait for one before it counts as 1128.
#[test]
fn a_flow_holds_no_more_than_its_buffer_and_what_is_next() {
    for (room, taken) in [(2 * 1128, vec![3, 4]), (2 * 1128 - 1, vec![3])] {
        let mut flows = receiver_with(start(), FlowConfig { receive_buffer: room, ..FlowConfig::default() });
        for number in 3..5 {
            after(&mut flows, whole(number, &[0; 1000]));
        }
        assert_eq!(after(&mut flows, whole(5, &[0; 1000])), (1, taken.clone()));
        // What lets the others be delivered is taken nevertheless.
        after(&mut flows, whole(2, &[0; 1000]));
        assert_eq!(messages(&mut flows).len(), 1 + taken.len());
    }
}

#[test]
fn flows_hold_no_more_together_than_the_sessions_buffer() {
    for (room, taken) in [(3 * 1128, vec![3, 4]), (3 * 1128 - 1, vec![3])] {
        let config = FlowConfig { session_receive_buffer: room, ..FlowConfig::default() };
        let mut flows = receiver_with(start(), config);
        give(&mut flows, start(), &[data(6, 1, 1, Some(&metadata()))]);
        messages(&mut flows);
        fill(&mut flows, start());
        after(&mut flows, UserData { flow_id: 6, ..whole(3, &[0; 1000]) });
        for number in 3..5 {
            after(&mut flows, whole(number, &[0; 1000]));
        }
        assert_eq!(after(&mut flows, whole(5, &[0; 1000])), (1, taken.clone()));
        after(&mut flows, whole(2, &[0; 1000]));
        assert_eq!(messages(&mut flows).len(), 1 + taken.len());
    }
}

/// Messages that the application has not taken count, with 64 bytes each; a fragment that comes counts with 128. So of messages of
/// 100 bytes 8 are taken: 7 leave room for one more, 8 do not.
#[test]
fn a_flow_that_exceeds_the_sessions_buffer_by_a_message_is_rejected() {
    for (more, taken) in [(0, 8), (7 * 164 + 228 - 1500, 8), (7 * 164 + 228 - 1500 - 1, 7)] {
        let config =
            FlowConfig { session_receive_buffer: (1000 + more) as usize, max_message: 500, ..FlowConfig::default() };
        let mut flows = with(config);
        let options = metadata();
        let mut first = whole(1, &[0; 100]);
        first.fragment.options = Some(&options);
        give(&mut flows, start(), &[first]);
        for number in 2..=taken {
            give(&mut flows, start(), &[whole(number, &[0; 100])]);
        }
        assert_eq!(flows.bytes_buffered(), taken as usize * 164);
        fill(&mut flows, start());
        assert_eq!(after(&mut flows, whole(taken + 1, &[0; 100])), (taken + 1, vec![]), "as of any rejected flow");
        let got = events(&mut flows);
        assert_eq!((got.len() as u64, got.last()), (taken + 2, Some(&REFUSED)));
        assert_eq!(flows.bytes_buffered(), 0);
    }
}

/// A paused flow that is full waits; it is not rejected.
#[test]
fn a_paused_flow_takes_no_more_than_its_buffer() {
    // With the second, the session is full, by a message too.
    let small_session = FlowConfig { session_receive_buffer: 992, max_message: 400, ..FlowConfig::default() };
    for config in [FlowConfig { receive_buffer: 992, ..FlowConfig::default() }, small_session] {
        let mut flows = receiver_with(start(), config);
        flows.pause(FLOW);
        assert_eq!(after(&mut flows, whole(2, &[0; 400])), (2, vec![]));
        assert_eq!(after(&mut flows, whole(3, &[0; 400])), (3, vec![]));
        assert_eq!(flows.bytes_buffered(), 2 * 464);
        for number in [4, 5] {
            assert_eq!(after(&mut flows, whole(number, b"")), (3, vec![]), "{number}");
        }
        assert_eq!(events(&mut flows), []);
        flows.resume(FLOW);
        assert_eq!(messages(&mut flows), [(2, false), (3, false)]);
        assert_eq!(after(&mut flows, whole(4, b"")), (4, vec![]));
    }
}

#[test]
fn a_message_may_be_as_long_as_the_limit_and_no_longer() {
    let config = FlowConfig { max_message: 1000, ..FlowConfig::default() };
    let longest: &[u8] = &[0; 1000];
    let too_long: &[u8] = &[0; 1001];
    let cases: [(&[UserData<'_>], bool); 4] = [
        (&[whole(2, longest)], true),
        (&[whole(2, too_long)], false),
        (&[fragment(2, Begin, &longest[..400]), fragment(3, Middle, &longest[..600])], true),
        (&[fragment(2, Begin, &longest[..400]), fragment(3, Middle, &longest[..601])], false),
    ];
    for (at, (fragments, accepted)) in cases.iter().enumerate() {
        let mut flows = receiver_with(start(), config.clone());
        let last = fragments.iter().map(|&fragment| after(&mut flows, fragment)).last();
        assert_eq!(last, Some((1 + fragments.len() as u64, vec![])), "{at}: acknowledged, rejected or not");
        assert_eq!(!events(&mut flows).contains(&REFUSED), *accepted, "{at}");
    }
}

/// A rejected flow that goes on to its end is complete, and remembered like any other (§3.6.3.8).
#[test]
fn a_flow_rejected_for_its_last_fragment_is_complete() {
    let mut flows = receiver_with(start(), FlowConfig { max_message: 10, ..FlowConfig::default() });
    let mut last = whole(2, &[0; 11]);
    last.fragment.is_final = true;
    assert_eq!(after(&mut flows, last), (2, vec![]));
    assert_eq!(events(&mut flows), [REFUSED]);
    assert_eq!((flows.receiving.len(), flows.lingering.len()), (0, 1));
}

/// Given up or rejected, numbers far apart cost a range each, up to the bound.
#[test]
fn numbers_without_data_make_no_more_ranges_than_others() {
    let config = FlowConfig { max_ranges: 3, ..FlowConfig::default() };
    for rejected in [false, true] {
        let mut flows = receiver_with(start(), config.clone());
        if rejected {
            flows.reject(FLOW, 1);
        }
        for step in 1..10 {
            let mut chunk = whole(10 * step, b"x");
            chunk.fragment.abandon = !rejected;
            // An end for which there is no room is none.
            chunk.fragment.is_final = step > 3;
            after(&mut flows, chunk);
        }
        assert_eq!(after(&mut flows, whole(2, b"x")), (2, vec![10, 20, 30]));
    }
}

#[test]
fn a_flow_beyond_the_bound_is_not_answered_until_another_ends() {
    let mut flows = receiver_with(start(), FlowConfig { max_receiving: 1, ..FlowConfig::default() });
    let options = metadata();
    let open = data(6, 1, 1, Some(&options));
    give(&mut flows, start(), &[open]);
    assert!(events(&mut flows).is_empty() && !flows.wants_transmit(&at(start())));
    let mut last = whole(2, b"last");
    last.fragment.is_final = true;
    give(&mut flows, start(), &[last]);
    events(&mut flows);
    give(&mut flows, start(), &[open]);
    assert!(matches!(
        events(&mut flows)[..],
        [FlowEvent::Opened { flow: RecvFlowId(6), .. }, FlowEvent::Message { .. }]
    ));
}

/// Of more ended flows than are remembered, the oldest is forgotten: its stragglers open it again.
#[test]
fn the_oldest_of_too_many_ended_flows_is_forgotten() {
    for (bound, remembered) in [(2, [false, true, true]), (0, [false, false, true])] {
        let mut flows = with(FlowConfig { max_lingering: bound, ..FlowConfig::default() });
        let options = metadata();
        for flow in [9, 7, 8] {
            let mut only = data(flow, 1, 1, Some(&options));
            only.fragment.is_final = true;
            give(&mut flows, start(), &[only]);
        }
        events(&mut flows);
        for (flow, remembered) in [9, 7, 8].into_iter().zip(remembered).rev() {
            give(&mut flows, start(), &[data(flow, 1, 1, Some(&options))]);
            assert_eq!(events(&mut flows).is_empty(), remembered, "{flow}");
        }
    }
}

/// §2: an error in an option ends the chunk: it does not open a flow, nor does it count as data of one.
#[test]
fn a_chunk_with_a_malformed_option_is_no_data() {
    // A return association whose number is cut off.
    let malformed: &[u8] = &[2, 0x0a, 0x80];
    let mut unknown = flows();
    give(&mut unknown, start(), &[data(5, 1, 1, Some(malformed))]);
    assert!(unknown.receiving.is_empty() && !unknown.wants_transmit(&at(start())));
    let mut open = receiver(start());
    give(&mut open, start(), &[data(5, 2, 1, Some(malformed))]);
    assert!(events(&mut open).is_empty() && open.next_timeout().is_none());
}

/// A message that the application does not want any more is not delivered, and those of other flows are.
#[test]
fn what_waits_of_a_rejected_flow_is_dropped() {
    let mut flows = receiver(start());
    give(&mut flows, start(), &[data(6, 1, 1, Some(&metadata()))]);
    give(&mut flows, start(), &[whole(2, b"x")]);
    assert_eq!(flows.bytes_buffered(), 68 + 65);
    flows.reject(FLOW, 7);
    assert_eq!(flows.bytes_buffered(), 68);
    assert!(flows.wants_transmit(&at(start())), "the far end is told at once");
    let answer = fill(&mut flows, start());
    assert_eq!(chunks(&answer)[0], Chunk::FlowException(FlowException { flow_id: 5, exception: 7 }));
    let got = events(&mut flows);
    assert!(matches!(
        got[..],
        [FlowEvent::Opened { flow: RecvFlowId(6), .. }, FlowEvent::Message { flow: RecvFlowId(6), .. }]
    ));
    assert_eq!(flows.bytes_buffered(), 0);
    // Once more says nothing new.
    flows.reject(FLOW, 8);
    flows.reject(RecvFlowId(99), 8);
    assert_eq!(kinds(&fill(&mut flows, start())), [] as [u8; 0]);
}

/// What a paused flow holds goes when it is rejected, and does not come when it is resumed.
#[test]
fn a_paused_flow_that_is_rejected_holds_nothing() {
    let mut flows = receiver(start());
    flows.pause(FLOW);
    for number in [2, 4] {
        give(&mut flows, start(), &[whole(number, b"data")]);
    }
    assert_eq!(flows.bytes_buffered(), 68 + 132);
    flows.reject(FLOW, 1);
    assert_eq!(flows.bytes_buffered(), 0);
    flows.resume(FLOW);
    assert_eq!(events(&mut flows), []);
}

/// A far end pays for flows that it opens in vain, and for the search of those that ended.
#[test]
fn what_the_far_end_makes_do_is_counted_in_units_of_work() {
    let options = metadata();
    let mut flows = receiver_with(start(), FlowConfig { max_receiving: 1, ..FlowConfig::default() });
    flows.take_work();
    give(&mut flows, start(), &[whole(2, b"x")]);
    assert_eq!(flows.take_work(), 0);
    give(&mut flows, start(), &[data(6, 1, 1, Some(&options))]);
    assert_eq!((flows.take_work(), flows.take_work()), (40, 0));

    let mut flows = with(FlowConfig::default());
    for flow in 0..256 {
        let mut only = data(flow, 1, 1, Some(&options));
        only.fragment.is_final = true;
        give(&mut flows, start(), &[only]);
    }
    flows.take_work();
    receive(&mut flows, &at(start()), &[], false);
    assert_eq!(flows.take_work(), 0);
    give(&mut flows, start(), &[data(255, 1, 1, None)]);
    assert_eq!(flows.take_work(), 8);
}

/// §3.6.1.1: an identifier is nothing but a name.
#[test]
fn a_flow_may_have_any_identifier() {
    let mut flows = flows();
    let options = metadata();
    for flow in [7, 0, u64::MAX, 8, 1 << 40] {
        give(&mut flows, start(), &[data(flow, 1, 1, Some(&options))]);
        let got = events(&mut flows);
        assert!(
            matches!(got[..], [FlowEvent::Opened { flow: opened, .. }, FlowEvent::Message { flow: of, .. }]
            if opened == RecvFlowId(flow) && of == opened),
            "{got:?}"
        );
    }
}

/// §2.3.16: the report goes before every acknowledgement, with code 0 when the application did not choose one.
#[test]
fn every_acknowledgement_of_a_rejected_flow_follows_the_report() {
    let unknown_option: &[u8] = &[2, 0x77, b'?'];
    let mut refused = whole(2, b"too long");
    let limited = FlowConfig { max_message: 4, ..FlowConfig::default() };
    type Case<'a> = (Option<&'a [u8]>, Option<u64>, u64);
    let cases: [Case<'_>; 4] =
        [(None, Some(0), 0), (None, Some(77), 77), (Some(unknown_option), None, 0), (None, None, 0)];
    for (options, by_application, exception) in cases {
        let mut flows = receiver_with(start(), limited.clone());
        match by_application {
            Some(exception) => flows.reject(FLOW, exception),
            None => {
                refused.fragment.options = options;
                give(&mut flows, start(), &[refused]);
            }
        }
        for number in 3..6 {
            let answer = fill(&mut flows, start());
            assert_eq!(kinds(&answer).len(), 2);
            assert_eq!(chunks(&answer)[0], Chunk::FlowException(FlowException { flow_id: 5, exception }));
            assert!(matches!(chunks(&answer)[1], Chunk::Ack(ack) if ack.flow_id == 5));
            give(&mut flows, start(), &[whole(number, b"more")]);
        }
    }
}

/// §2.3.12: it goes on from the fragment before it in the packet, with the same Forward Sequence Number; without one it is nothing.
#[test]
fn next_user_data_goes_on_from_user_data_in_its_packet() {
    let mut flows = receiver(start());
    let next = |packet: &mut Vec<u8>| assert!(whole(0, b"next").fragment.put(packet));
    let mut packet = Vec::new();
    next(&mut packet);
    receive(&mut flows, &at(start()), &packet, false);
    assert!(events(&mut flows).is_empty() && flows.next_timeout().is_none());
    let mut packet = Vec::new();
    assert!(UserData { fsn_offset: 1, ..whole(3, b"data") }.put(&mut packet));
    (0..2).for_each(|_| next(&mut packet));
    receive(&mut flows, &at(start()), &packet, false);
    assert_eq!(messages(&mut flows), [(3, true), (4, false), (5, false)]);
    let mut packet = Vec::new();
    next(&mut packet);
    receive(&mut flows, &at(start()), &packet, false);
    assert!(events(&mut flows).is_empty(), "in the next packet");
}
