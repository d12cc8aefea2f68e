//! Sending flows as the application opens, fills and closes them.

use std::sync::Arc;
use std::time::Duration;

use super::channel::receive;
use super::chunks::{
    ack, at, chunks, data, events, fill, flows, fragments, give, kinds, metadata, receiver, start, whole, with,
};
use crate::flow::config::FlowConfig;
use crate::flow::error::FlowError;
use crate::flow::event::{FlowEvent, MessageId, RecvFlowId, SendFlowId};
use crate::flow::flows::Flows;
use crate::flow::options::{Delivery, FlowOptions};
use crate::test_clock::test_clock;
use crate::wire::Chunk;
use crate::wire::chunk::UserDataOptions;

fn open(flows: &mut Flows) -> SendFlowId {
    flows.open(b"m", FlowOptions::default()).unwrap()
}

fn send(flows: &mut Flows, flow: SendFlowId, length: usize) -> Result<MessageId, FlowError> {
    flows.send(flow, vec![0; length], Delivery::default())
}

/// §2.3.11.1.1: 512 bytes, or less where that would leave no room for data in a packet.
#[test]
fn metadata_is_at_most_512_bytes_long() {
    for (packet_payload, longest) in [(1100, 512), (1024, 512), (1023, 511), (600, 300)] {
        let mut flows = with(FlowConfig { packet_payload, ..FlowConfig::default() });
        assert!(flows.open(&vec![0; longest], FlowOptions::default()).is_ok(), "{packet_payload}");
        let refused = flows.open(&vec![0; longest + 1], FlowOptions::default());
        assert_eq!(refused, Err(FlowError::MetadataTooLong), "{packet_payload}");
    }
}

/// §3.6.2.11: an identifier rests for 130 s after its flow: none is given out twice.
#[test]
fn no_identifier_is_given_to_two_flows() {
    let mut flows = flows();
    let mut given = Vec::new();
    for round in 0..5 {
        let flow = open(&mut flows);
        flows.close(flow);
        fill(&mut flows, start());
        ack(&mut flows, start(), flow.0, 64, 1, &[]);
        assert_eq!(events(&mut flows), [FlowEvent::Closed { flow }], "{round}");
        given.push(flow);
    }
    assert!(given.is_sorted_by(|one, next| one < next), "{given:?}");
}

/// §3.6.2.1, §2.3.11.1.2: the far end's flow has to be open, and its identifier goes into the packets.
#[test]
fn a_flow_returns_an_open_flow_only() {
    let answer = |flow| FlowOptions { return_of: Some(RecvFlowId(flow)), ..FlowOptions::default() };
    let mut flows = receiver(start());
    assert_eq!(flows.open(b"", answer(6)), Err(FlowError::ReturnNotOpen));
    let flow = flows.open(b"", answer(5)).unwrap();
    send(&mut flows, flow, 1).unwrap();
    let packet = fill(&mut flows, start());
    let Chunk::UserData(chunk) = chunks(&packet)[0] else { panic!() };
    let options = UserDataOptions::parse(chunk.fragment.options.unwrap()).unwrap();
    assert_eq!((options.metadata, options.return_association), (Some(&b""[..]), Some(5)));
    flows.reject(RecvFlowId(5), 0);
    assert_eq!(flows.open(b"", answer(5)), Err(FlowError::ReturnNotOpen), "rejected");
    let mut ended = receiver(start());
    let mut last = whole(2, b"x");
    last.fragment.is_final = true;
    ended.pause(RecvFlowId(5));
    give(&mut ended, start(), &[last]);
    assert_eq!(ended.open(b"", answer(5)), Err(FlowError::ReturnNotOpen), "complete, with a message that waits");
}

/// §3.6.3.1: likewise for the far end: a flow in return of one that is closed is rejected, though it has not ended.
#[test]
fn the_far_end_hears_which_flow_was_opened_in_return() {
    let mut flows = flows();
    let flow = open(&mut flows);
    let mut options = metadata();
    crate::wire::chunk::return_association_option(flow.0, &mut options);
    give(&mut flows, start(), &[data(5, 1, 1, Some(&options))]);
    let opened = FlowEvent::Opened { flow: RecvFlowId(5), metadata: b"m".to_vec(), return_of: Some(flow) };
    assert_eq!(events(&mut flows)[0], opened);
}

/// Each message counts 64 bytes more than it has; the last one may reach the bound, with its bytes alone.
#[test]
fn a_flow_queues_no_more_than_its_buffer() {
    let mut flows = with(FlowConfig { send_buffer: 1000, max_message: 2000, ..FlowConfig::default() });
    let flow = open(&mut flows);
    assert_eq!(send(&mut flows, flow, 2001), Err(FlowError::MessageTooLong));
    send(&mut flows, flow, 2000).unwrap();
    assert_eq!(flows.bytes_queued(flow), 2064);
    assert_eq!(send(&mut flows, flow, 0), Err(FlowError::Full), "one message may be longer when it is alone");
    let flow = open(&mut flows);
    send(&mut flows, flow, 400).unwrap();
    assert_eq!(send(&mut flows, flow, 537), Err(FlowError::Full));
    send(&mut flows, flow, 536).unwrap();
    assert_eq!(flows.bytes_queued(flow), 1064);
}

#[test]
fn the_flows_of_a_session_queue_no_more_than_its_buffer() {
    let mut flows = with(FlowConfig { session_send_buffer: 1000, ..FlowConfig::default() });
    let (one, other) = (open(&mut flows), open(&mut flows));
    send(&mut flows, one, 400).unwrap();
    assert_eq!(send(&mut flows, other, 537), Err(FlowError::Full), "though nothing is queued in this flow");
    send(&mut flows, other, 536).unwrap();
    assert_eq!(flows.bytes_queued(one) + flows.bytes_queued(other), 1064);
}

/// A flow that was full hears of room when half of its buffer, and of the session's, is free.
#[test]
fn a_full_flow_hears_once_that_there_is_room_for_half_again() {
    let config = || FlowConfig { send_buffer: 1000, session_send_buffer: 2000, ..FlowConfig::default() };
    // The messages of the flow, how many of them are done with, and whether there is room.
    let cases: [(&[usize], u64, bool); 3] = [(&[400, 436], 1, true), (&[400, 437], 1, false), (&[400, 437], 2, true)];
    for (messages, done, told) in cases {
        let mut flows = with(config());
        let flow = open(&mut flows);
        for &length in messages {
            send(&mut flows, flow, length).unwrap();
            fill(&mut flows, start());
        }
        assert_eq!(send(&mut flows, flow, 900), Err(FlowError::Full));
        ack(&mut flows, start(), flow.0, 64, done, &[]);
        let expected: &[FlowEvent] = if told { &[FlowEvent::Writable { flow }] } else { &[] };
        assert_eq!(events(&mut flows), expected, "{messages:?} {done}");
        ack(&mut flows, start(), flow.0, 64, done, &[]);
        assert_eq!(events(&mut flows), [], "once");
    }
    // Others hold what the session may queue.
    for (others, told) in [(936, true), (937, false)] {
        let mut flows = with(FlowConfig { send_buffer: 5000, ..config() });
        let (flow, other) = (open(&mut flows), open(&mut flows));
        send(&mut flows, other, others).unwrap();
        send(&mut flows, flow, 900).unwrap();
        assert_eq!(send(&mut flows, flow, 900), Err(FlowError::Full));
        (0..3).for_each(|_| _ = fill(&mut flows, start()));
        let sent = flows.sending.iter().find(|sending| sending.id == flow.0).unwrap();
        assert!(!sent.is_idle());
        ack(&mut flows, start(), flow.0, 64, 9, &[]);
        assert_eq!(events(&mut flows).contains(&FlowEvent::Writable { flow }), told, "{others}");
    }
    // A flow that is closing hears nothing.
    let mut flows = with(config());
    let flow = open(&mut flows);
    send(&mut flows, flow, 900).unwrap();
    assert_eq!(send(&mut flows, flow, 900), Err(FlowError::Full));
    fill(&mut flows, start());
    flows.close(flow);
    ack(&mut flows, start(), flow.0, 64, 1, &[]);
    assert_eq!(events(&mut flows), []);
}

#[test]
fn a_flow_that_is_closing_takes_nothing_more() {
    let mut flows = flows();
    let flow = open(&mut flows);
    send(&mut flows, flow, 1).unwrap();
    assert!(flows.is_open(flow) && !flows.is_idle());
    fill(&mut flows, start());
    flows.close(flow);
    flows.close(flow);
    assert!(!flows.is_open(flow));
    assert_eq!(send(&mut flows, flow, 1), Err(FlowError::NotOpen));
    assert_eq!(flows.begin(flow), Err(FlowError::NotOpen));
    assert_eq!(flows.begin(SendFlowId(99)), Err(FlowError::NotOpen));
    assert_eq!(fragments(&fill(&mut flows, start())), [(2, 0, true, true)]);
    assert!(fill(&mut flows, start()).is_empty(), "closed once");
    ack(&mut flows, start(), flow.0, 64, 1, &[]);
    assert_eq!(events(&mut flows), []);
    ack(&mut flows, start(), flow.0, 64, 2, &[]);
    assert_eq!(events(&mut flows), [FlowEvent::Closed { flow }]);
    assert!(flows.is_idle() && !flows.is_open(flow) && flows.bytes_queued(flow) == 0);
}

/// §3.6.2.11: which fragment is the last depends on what has been sent of the flow's last message.
#[test]
fn the_last_fragment_of_a_closed_flow_is_marked() {
    let mut flows = flows();
    // Part of a long message is in the network: its last part ends the flow.
    let flow = open(&mut flows);
    send(&mut flows, flow, 1500).unwrap();
    assert_eq!(fragments(&fill(&mut flows, start())), [(1, 0, false, false)]);
    flows.close(flow);
    assert_eq!(fragments(&fill(&mut flows, start())), [(2, 0, false, true)]);
    // The rest of the message was given up and has a number that was never sent.
    let flow = open(&mut flows);
    let message = send(&mut flows, flow, 1500).unwrap();
    fill(&mut flows, start());
    assert!(flows.abandon(flow, message));
    flows.close(flow);
    assert_eq!(fragments(&fill(&mut flows, start())), [(2, 0, true, true)]);
    // A flow closed without any data.
    let flow = open(&mut flows);
    flows.close(flow);
    assert_eq!(fragments(&fill(&mut flows, start())), [(1, 1, true, true)]);
}

/// §3.6.2.10: nothing more is sent of a flow that the far end rejects, whatever its window, and the application hears of it once.
#[test]
fn a_rejected_flow_gives_up_what_it_has() {
    let except = |flows: &mut Flows, flow: SendFlowId, exception| {
        let mut packet = Vec::new();
        crate::wire::chunk::FlowException { flow_id: flow.0, exception }.put(&mut packet);
        super::channel::receive(flows, &at(start()), &packet, false);
    };
    let notify = Delivery { notify: true, ..Delivery::default() };
    let mut flows = flows();
    let flow = open(&mut flows);
    flows.send(flow, b"sent", notify).unwrap();
    fill(&mut flows, start());
    ack(&mut flows, start(), flow.0, 0, 0, &[]);
    flows.send(flow, vec![0; 5000], notify).unwrap();
    assert!(!flows.wants_transmit(&at(start())), "the window is closed");
    except(&mut flows, flow, 7);
    except(&mut flows, flow, 8);
    assert_eq!(events(&mut flows), [FlowEvent::Rejected { flow, exception: 7 }]);
    assert!(flows.bytes_queued(flow) < 300, "{}", flows.bytes_queued(flow));
    let packet = fill(&mut flows, start());
    assert_eq!(fragments(&packet), [(2, 0, true, true)], "although the window is closed");
    let later = start() + Duration::from_millis(1000);
    flows.on_timeout(&at(later));
    assert_eq!(fragments(&fill(&mut flows, later)), [(2, 2, true, true)]);
    ack(&mut flows, later, flow.0, 0, 2, &[]);
    assert_eq!(events(&mut flows), [FlowEvent::Closed { flow }], "given up, not delivered");
    // One that the application has closed already is not said to be rejected.
    let flow = open(&mut flows);
    send(&mut flows, flow, 1).unwrap();
    flows.close(flow);
    except(&mut flows, flow, 7);
    except(&mut flows, SendFlowId(99), 7);
    assert_eq!(events(&mut flows), []);
}

/// What an endpoint that runs out of memory goes by: messages queued and received, and what is kept of fragments.
#[test]
fn what_flows_hold_counts_both_ways() {
    let mut flows = receiver(start());
    assert_eq!(flows.bytes_held(), 0);
    give(&mut flows, start(), &[whole(2, b"data")]);
    assert_eq!((flows.bytes_held(), flows.bytes_buffered()), (68, 68));
    let flow = open(&mut flows);
    send(&mut flows, flow, 1500).unwrap();
    assert_eq!(flows.bytes_held(), 68 + 1564);
    (0..2).for_each(|_| _ = fill(&mut flows, start()));
    let with_fragments = flows.bytes_held();
    assert!(with_fragments > 68 + 1564 + 2 * 32, "{with_fragments}");
    ack(&mut flows, start(), flow.0, 64, 2, &[]);
    events(&mut flows);
    assert_eq!(flows.bytes_held(), 0);
}

/// §3.6.2.3.1, §3.6.2.3.2: options with the first chunk of each packet until there is an acknowledgement.
#[test]
fn startup_options_repeat_until_acknowledged_and_next_user_data_saves_space() {
    let now = test_clock();
    let mut flows = flows();
    let flow = flows.open(b"name", FlowOptions::default()).unwrap();
    flows.send(flow, vec![7; 2500], Delivery::default()).unwrap();
    flows.send(flow, b"small", Delivery::default()).unwrap();
    let with_options = |bytes: &[u8]| match chunks(bytes)[0] {
        Chunk::UserData(chunk) => chunk.fragment.options.is_some(),
        _ => false,
    };
    let first = fill(&mut flows, now);
    let second = fill(&mut flows, now);
    assert!(with_options(&first) && with_options(&second));
    let third = fill(&mut flows, now);
    assert!(with_options(&third));
    assert_eq!(kinds(&third), [0x10, 0x11], "the end of the long message and the small one share a packet");
    let timing = at(now);
    let mut far = super::chunks::flows();
    for bytes in [&first, &second, &third] {
        receive(&mut far, &timing, bytes, false);
    }
    let got = events(&mut far);
    assert!(matches!(&got[0], FlowEvent::Opened { metadata, return_of: None, .. } if metadata == b"name"));
    assert!(matches!(&got[2], FlowEvent::Message { data, sequence_number: 4, .. } if data == b"small"));
    ack(&mut flows, now, flow.0, 64, 0, &[]);
    flows.send(flow, b"later", Delivery::default()).unwrap();
    assert!(!with_options(&fill(&mut flows, now)));
}

/// §3.6.2.1.
#[test]
fn a_flow_can_begin_without_data() {
    let now = test_clock();
    let (mut near, mut far) = (flows(), flows());
    let flow = near.open(b"m", FlowOptions::default()).unwrap();
    assert!(!near.wants_transmit(&at(now)));
    near.begin(flow).unwrap();
    receive(&mut far, &at(now), &fill(&mut near, now), false);
    assert_eq!(
        events(&mut far),
        [FlowEvent::Opened { flow: RecvFlowId(flow.0), metadata: b"m".to_vec(), return_of: None }]
    );
    near.send(flow, b"x", Delivery::default()).unwrap();
    receive(&mut far, &at(now), &fill(&mut near, now), false);
    assert!(matches!(&events(&mut far)[..], [FlowEvent::Message { sequence_number: 2, .. }]));
}

/// §3.6.2.11, as clients end their flows: an empty fragment, abandoned and final, FSN offset 0.
#[test]
fn a_flow_ends_with_an_abandoned_final_fragment() {
    let now = test_clock();
    let mut flows = flows();
    let flow = flows.open(b"m", FlowOptions::default()).unwrap();
    flows.send(flow, b"x", Delivery::default()).unwrap();
    fill(&mut flows, now);
    ack(&mut flows, now, flow.0, 64, 1, &[]);
    flows.close(flow);
    assert_eq!(fragments(&fill(&mut flows, now)), [(2, 2, true, true)]);
    ack(&mut flows, now, flow.0, 64, 2, &[]);
    assert_eq!(events(&mut flows), [FlowEvent::Closed { flow }]);
    assert_eq!(flows.send(flow, b"x", Delivery::default()), Err(FlowError::NotOpen));
    // Closed while data waits, the data's last fragment is the final one.
    let flow = flows.open(b"m", FlowOptions::default()).unwrap();
    flows.send(flow, b"x", Delivery::default()).unwrap();
    flows.close(flow);
    assert_eq!(fragments(&fill(&mut flows, now)), [(1, 0, false, true)]);
}

#[test]
fn local_misuse_is_refused() {
    let mut flows = Flows::new(Arc::new(FlowConfig {
        max_sending: 2,
        send_buffer: 1000,
        max_message: 5000,
        ..FlowConfig::default()
    }));
    let answer = FlowOptions { return_of: Some(RecvFlowId(3)), ..FlowOptions::default() };
    assert_eq!(flows.open(b"", answer), Err(FlowError::ReturnNotOpen));
    assert_eq!(flows.open(&[0; 2000], FlowOptions::default()), Err(FlowError::MetadataTooLong));
    let flow = flows.open(b"", FlowOptions::default()).unwrap();
    flows.open(b"", FlowOptions::default()).unwrap();
    assert_eq!(flows.open(b"", FlowOptions::default()), Err(FlowError::TooManyFlows));
    assert_eq!(flows.send(SendFlowId(9), b"x", Delivery::default()), Err(FlowError::NotOpen));
    assert_eq!(flows.send(flow, vec![0; 5001], Delivery::default()), Err(FlowError::MessageTooLong));
    flows.send(flow, vec![0; 1500], Delivery::default()).unwrap();
    assert_eq!(flows.send(flow, b"x", Delivery::default()), Err(FlowError::Full));
    let now = test_clock();
    fill(&mut flows, now);
    fill(&mut flows, now);
    ack(&mut flows, now, flow.0, 64, 9, &[]);
    assert_eq!(events(&mut flows), [FlowEvent::Writable { flow }]);
    assert_eq!(flows.bytes_queued(flow), 0);
}
