//! Single rules, chunk by chunk.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::channel::{CALM, LIMIT, Pair, receive};
use super::chunks::{
    ack, acknowledged, at, chunks, data, events, fill, flows, fragments, give, kinds, metadata, receiver,
};
use crate::flow::config::FlowConfig;
use crate::flow::error::FlowError;
use crate::flow::event::{FlowEnd, FlowEvent, RecvFlowId, SendFlowId};
use crate::flow::flows::Flows;
use crate::flow::options::{Delivery, FlowOptions};
use crate::test_clock::test_clock;
use crate::wire::chunk::{BufferProbe, FlowException, UserData, return_association_option};
use crate::wire::{Chunk, option};

#[test]
fn an_idle_session_is_small() {
    let heap = size_of::<crate::flow::send::SendFlow>()
        + size_of::<crate::flow::recv::RecvFlow>()
        + size_of::<crate::congestion::TcpCompatible>();
    let total = size_of::<Flows>() + heap;
    assert!(total <= 700, "{total}");

    let mut pair = Pair::new(0, CALM, FlowConfig::default());
    for end in 0..2 {
        let flow = pair.ends[end].flows.open(b"m", FlowOptions::default()).unwrap();
        pair.ends[end].flows.send(flow, vec![1; 5000], Delivery::default()).unwrap();
    }
    pair.run(Duration::from_secs(10));
    for end in &pair.ends {
        let flows = &end.flows;
        assert_eq!((flows.sending.len(), flows.sending.capacity()), (1, 1));
        assert_eq!((flows.receiving.len(), flows.receiving.capacity()), (1, 1));
        assert_eq!((flows.events.capacity(), flows.lingering.capacity(), flows.buffered), (0, 0, 0));
        assert!(flows.is_idle());
        assert_eq!(flows.transmitter.transmissions.heap(), 0);
    }
}

#[test]
fn flows_can_move_to_another_thread() {
    fn movable<T: Send + Sync>(_: &T) {}
    movable(&flows());
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

/// §3.6.3.1: what makes a new flow be rejected, with exception 0, before every acknowledgement (§3.6.3.4.3).
#[test]
fn flows_without_metadata_or_with_a_wrong_association_are_rejected() {
    let now = test_clock();
    let mut flows = flows();
    let open = flows.open(b"o", FlowOptions::default()).unwrap();
    let closing = flows.open(b"c", FlowOptions::default()).unwrap();
    flows.close(closing);
    let associated = |flow: u64| {
        let mut options = metadata();
        return_association_option(flow, &mut options);
        options
    };
    let mut unsupported = metadata();
    option::put(0x77, b"?", &mut unsupported);
    let mut ignorable = metadata();
    option::put(0x2077, b"?", &mut ignorable);
    let cases: [(Option<&[u8]>, bool); 7] = [
        (None, false),
        (Some(&[]), false),
        (Some(&associated(open.0)), true),
        (Some(&associated(closing.0)), false),
        (Some(&associated(99)), false),
        (Some(&unsupported), false),
        (Some(&ignorable), true),
    ];
    for (flow, (options, accepted)) in (10..).zip(cases) {
        give(&mut flows, now, &[data(flow, 1, 1, options)]);
        let got = events(&mut flows);
        assert_eq!(!got.is_empty(), accepted, "{flow}: {got:?}");
        let answer = fill(&mut flows, now);
        let exception = Chunk::FlowException(FlowException { flow_id: flow, exception: 0 });
        assert_eq!(chunks(&answer)[0] == exception, !accepted, "{flow}");
        assert_eq!(acknowledged(&answer), (1, vec![]), "rejected data is acknowledged as well");
    }
}

/// §3.6.3.2, step 4.
#[test]
fn an_open_flow_is_rejected_for_an_option_it_should_understand() {
    let now = test_clock();
    let mut flows = receiver(now);
    let mut options = Vec::new();
    option::put(0x77, b"?", &mut options);
    give(&mut flows, now, &[data(5, 2, 1, Some(&options))]);
    assert_eq!(events(&mut flows), [FlowEvent::Ended { flow: RecvFlowId(5), end: FlowEnd::Refused }]);
    assert_eq!(kinds(&fill(&mut flows, now))[0], 0x5e);
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

/// §3.6.3.8: a straggler does not open an ended flow again for 120 s, and is acknowledged.
#[test]
fn an_ended_flow_is_remembered_for_120_seconds() {
    let start = test_clock();
    let mut flows = receiver(start);
    let mut last = data(5, 2, 1, None);
    last.fragment.is_final = true;
    give(&mut flows, start, &[last]);
    assert!(matches!(events(&mut flows)[..], [FlowEvent::Message { .. }, FlowEvent::Ended { .. }]));
    fill(&mut flows, start);
    for (seconds, reopens) in [(1, false), (119, false), (120, true)] {
        let now = start + Duration::from_secs(seconds);
        flows.on_timeout(&at(now));
        give(&mut flows, now, &[data(5, 1, 1, Some(&metadata()))]);
        assert_eq!(!events(&mut flows).is_empty(), reopens, "{seconds}");
        assert_eq!(acknowledged(&fill(&mut flows, now)).0, if reopens { 1 } else { 2 });
    }
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

/// §3.6.2.8, line 25: a lost and abandoned fragment before fragments in flight becomes an FSN update.
#[test]
fn an_fsn_update_is_sent_although_later_fragments_are_in_flight() {
    let now = test_clock();
    let mut flows = flows();
    let flow = flows.open(b"m", FlowOptions::default()).unwrap();
    let once = Delivery { send_once: true, ..Delivery::default() };
    for _ in 1..=5 {
        flows.send(flow, b"x", once).unwrap();
        fill(&mut flows, now);
    }
    ack(&mut flows, now, flow.0, 64, 0, &[(2, 2)]);
    ack(&mut flows, now, flow.0, 64, 0, &[(2, 3)]);
    assert!(!flows.wants_transmit(&at(now)));
    ack(&mut flows, now, flow.0, 64, 0, &[(2, 4)]);
    assert!(matches!(events(&mut flows)[..], [FlowEvent::Dropped { .. }]));
    assert_eq!(fragments(&fill(&mut flows, now)), [(1, 1, true, false)]);
    assert!(!flows.wants_transmit(&at(now)));
    // Lost too, it goes again; with data to send it is left out.
    flows.on_timeout(&at(now + Duration::from_secs(1)));
    flows.send(flow, b"x", once).unwrap();
    assert_eq!(fragments(&fill(&mut flows, now)), [(6, 5, false, false)]);
}

/// §3.6.2.9.1.
#[test]
fn a_closed_window_is_probed_less_and_less_often() {
    let start = test_clock();
    let mut flows = flows();
    let flow = flows.open(b"m", FlowOptions::default()).unwrap();
    flows.send(flow, b"x", Delivery::default()).unwrap();
    fill(&mut flows, start);
    ack(&mut flows, start, flow.0, 0, 1, &[]);
    assert_eq!(flows.next_timeout(), None, "nothing to send, nothing to ask");
    flows.send(flow, b"y", Delivery::default()).unwrap();
    let mut now = start;
    let mut pauses = Vec::new();
    for _ in 0..9 {
        let next = flows.next_timeout().unwrap();
        pauses.push((next - now).as_secs());
        now = next;
        flows.on_timeout(&at(now));
        assert!(flows.wants_transmit(&at(now)));
        assert_eq!(kinds(&fill(&mut flows, now)), [0x18]);
        assert!(!flows.wants_transmit(&at(now)));
    }
    assert_eq!(pauses, [1, 1, 2, 4, 8, 16, 32, 60, 60]);
    ack(&mut flows, now, flow.0, 1, 1, &[]);
    assert_eq!(fragments(&fill(&mut flows, now)), [(2, 1, false, false)]);
}

/// To a far end that advertises hardly any room, and takes nothing, less and less is sent, as with §3.6.2.9.1, and
/// the path is not blamed for it.
#[test]
fn what_a_full_receiver_refuses_is_no_congestion() {
    let start = test_clock();
    let mut flows = flows();
    let flow = flows.open(b"m", FlowOptions::default()).unwrap();
    flows.send(flow, b"x", Delivery::default()).unwrap();
    fill(&mut flows, start);
    ack(&mut flows, start, flow.0, 1, 1, &[]);
    flows.send(flow, vec![0; 5000], Delivery::default()).unwrap();
    let window = flows.congestion_window();
    let (mut now, mut pauses) = (start, Vec::new());
    assert_eq!(fragments(&fill(&mut flows, now)), [(2, 1, false, false)]);
    for _ in 0..9 {
        // What is lost is noticed after an ERTO of 300 ms.
        now = flows.next_timeout().unwrap();
        assert!(!flows.on_timeout(&at(now)), "no reason to back off");
        let lost = now;
        assert!(!flows.wants_transmit(&at(now)));
        now = flows.next_timeout().unwrap();
        flows.on_timeout(&at(now));
        pauses.push((now - lost).as_millis());
        assert_eq!(fragments(&fill(&mut flows, now)), [(2, 1, false, false)]);
    }
    assert_eq!(pauses, [300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 60000]);
    assert_eq!(flows.congestion_window(), window);
    // There is room again.
    now = flows.next_timeout().unwrap();
    flows.on_timeout(&at(now));
    ack(&mut flows, now, flow.0, 100, 1, &[]);
    assert_eq!(fragments(&fill(&mut flows, now)), [(2, 1, false, false)]);
}

/// §3.6.2.9: outstanding bytes stay below the advertisement, but for the one chunk that crosses it.
#[test]
fn the_receive_window_limits_a_flow() {
    let now = test_clock();
    let mut flows = flows();
    let flow = flows.open(b"m", FlowOptions::default()).unwrap();
    flows.send(flow, vec![0; 100_000], Delivery::default()).unwrap();
    fill(&mut flows, now);
    ack(&mut flows, now, flow.0, 2, 1, &[]);
    while flows.wants_transmit(&at(now)) {
        fill(&mut flows, now);
    }
    assert!((2048..2048 + LIMIT).contains(&flows.bytes_outstanding()), "{}", flows.bytes_outstanding());
}

/// §3.5.2.3.
#[test]
fn six_packets_at_most_go_out_in_a_burst() {
    let now = test_clock();
    let config = FlowConfig { congestion: || Box::new(Unlimited), ..FlowConfig::default() };
    let mut flows = Flows::new(Arc::new(config));
    let flow = flows.open(b"m", FlowOptions::default()).unwrap();
    flows.send(flow, vec![0; 50_000], Delivery::default()).unwrap();
    let burst = |flows: &mut Flows| {
        let mut packets = 0;
        while flows.wants_transmit(&at(now)) {
            assert!(!fill(flows, now).is_empty());
            packets += 1;
        }
        packets
    };
    assert_eq!(burst(&mut flows), 6);
    ack(&mut flows, now, flow.0, 64, 2, &[]);
    assert_eq!(burst(&mut flows), 6);
    assert!(flows.on_timeout(&at(now + Duration::from_secs(1))));
    assert_eq!(burst(&mut flows), 6);
}

/// §3.5.2.3: each acknowledgement of a batch allows its packets, up to a bound; what is left is forgotten soon after.
#[test]
fn acknowledgements_of_one_batch_add_up() {
    let start = test_clock();
    let config = FlowConfig { congestion: || Box::new(Unlimited), max_message: 8 << 20, ..FlowConfig::default() };
    let mut flows = Flows::new(Arc::new(config));
    let flow = flows.open(b"m", FlowOptions::default()).unwrap();
    flows.send(flow, vec![0; 1 << 20], Delivery::default()).unwrap();
    let burst = |flows: &mut Flows, now: Instant| {
        std::iter::from_fn(|| flows.wants_transmit(&at(now)).then(|| fill(flows, now))).count()
    };
    assert_eq!(burst(&mut flows, start), 6);
    let batch = |flows: &mut Flows, begins: Instant, acks: u32| {
        (0..acks).for_each(|ack_number| {
            ack(flows, begins + Duration::from_micros(10) * ack_number, flow.0, 4096, 1, &[]);
        });
    };
    let now = start + Duration::from_millis(10);
    batch(&mut flows, now, 3);
    assert_eq!(burst(&mut flows, now + Duration::from_micros(40)), 18);
    let now = now + Duration::from_millis(10);
    batch(&mut flows, now, 100);
    assert_eq!(burst(&mut flows, now + Duration::from_millis(1)), 48);
    let now = now + Duration::from_millis(10);
    batch(&mut flows, now, 3);
    assert_eq!(burst(&mut flows, now + Duration::from_millis(2)), 6, "not a batch any more");
    assert_eq!(burst(&mut flows, now + Duration::from_millis(20)), 0);
}

#[derive(Debug)]
pub(super) struct Unlimited;

impl crate::congestion::Controller for Unlimited {
    fn window(&self) -> usize {
        usize::MAX
    }
    fn on_sent(&mut self, _: usize) {}
    fn on_feedback(&mut self, _: &crate::congestion::Feedback) {}
    fn on_timeout(&mut self, _: usize, _: u64) {}
    fn on_restart(&mut self) {}
}

/// §3.6.2.5, §3.6.2.6.
#[test]
fn lost_fragments_go_again_before_new_ones() {
    let now = test_clock();
    let mut flows = flows();
    let flow = flows.open(b"m", FlowOptions::default()).unwrap();
    for _ in 0..5 {
        flows.send(flow, b"x", Delivery::default()).unwrap();
        fill(&mut flows, now);
    }
    (3..=5).for_each(|last| ack(&mut flows, now, flow.0, 64, 1, &[(3, last)]));
    flows.send(flow, b"new", Delivery::default()).unwrap();
    let next = fill(&mut flows, now);
    assert_eq!(fragments(&next), [(2, 1, false, false), (6, 1, false, false)]);
    assert!(!flows.on_timeout(&at(now + Duration::from_millis(299))));
    assert!(flows.on_timeout(&at(now + Duration::from_millis(300))));
    assert_eq!(flows.bytes_outstanding(), 0);
    assert_eq!(fragments(&fill(&mut flows, now)), [(2, 1, false, false), (6, 1, false, false)]);
    // Acknowledged at last although it was sent twice.
    ack(&mut flows, now, flow.0, 64, 6, &[]);
    assert!(flows.is_idle());
    assert_eq!((flows.bytes_outstanding(), flows.next_timeout()), (0, None));
}

/// §2.2.4: marked only when there is time critical data in the packet.
#[test]
fn time_critical_flows_mark_their_packets() {
    let now = test_clock();
    let mut flows = flows();
    let plain = flows.open(b"p", FlowOptions::default()).unwrap();
    let urgent = flows.open(b"u", FlowOptions { time_critical: true, ..FlowOptions::default() }).unwrap();
    flows.send(plain, b"x", Delivery::default()).unwrap();
    let filled = flows.fill(&at(now), &mut Vec::new(), LIMIT);
    assert!(filled.has_data && !filled.time_critical);
    flows.send(urgent, b"x", Delivery::default()).unwrap();
    assert!(flows.fill(&at(now), &mut Vec::new(), LIMIT).time_critical);
}

/// §3.5.2.1: a notification counts for 800 ms, unless this end sends time critical data itself.
#[test]
fn a_reverse_notification_counts_for_800_ms() {
    let now = test_clock();
    let mut flows = flows();
    receive(&mut flows, &at(now), &[], true);
    let until = now + Duration::from_millis(800);
    assert!(flows.transmitter.is_yielding(now) && !flows.transmitter.is_yielding(until));
    let urgent = flows.open(b"u", FlowOptions { time_critical: true, ..FlowOptions::default() }).unwrap();
    flows.send(urgent, b"x", Delivery::default()).unwrap();
    fill(&mut flows, now);
    assert!(!flows.transmitter.is_yielding(now));
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

#[test]
fn deadlines_are_timeouts() {
    let now = test_clock();
    let mut flows = flows();
    let flow = flows.open(b"", FlowOptions::default()).unwrap();
    let deadline = now + Duration::from_millis(50);
    let message = flows.send(flow, b"x", Delivery { start_by: Some(deadline), ..Delivery::default() }).unwrap();
    assert_eq!(flows.next_timeout(), Some(deadline));
    flows.on_timeout(&at(deadline));
    assert_eq!(events(&mut flows), [FlowEvent::Dropped { flow, message }]);
    assert_eq!(fragments(&fill(&mut flows, now)), [(1, 1, true, false)], "the receiver is to see the gap");
}
