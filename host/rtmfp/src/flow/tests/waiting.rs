//! A sender that waits for its receiver: a closed window, one that is hardly open, and acknowledgements that do not come (RFC 7016
//! §3.6.2.9).

use std::time::{Duration, Instant};

use super::channel::LIMIT;
use super::chunks::{ack, at, fill, fill_up_to, flows, fragments, kinds, start};
use crate::flow::event::SendFlowId;
use crate::flow::flows::Flows;
use crate::flow::options::{Delivery, FlowOptions};
use crate::flow::timing::Timing;
use crate::test_clock::test_clock;

fn seconds(seconds: u64) -> Instant {
    start() + Duration::from_secs(seconds)
}

/// A flow with a message to send and that many blocks of window.
fn sender(blocks: u64) -> (Flows, SendFlowId) {
    let mut flows = flows();
    let flow = flows.open(b"m", FlowOptions::default()).unwrap();
    flows.send(flow, b"x", Delivery::default()).unwrap();
    fill(&mut flows, start());
    ack(&mut flows, start(), flow.0, blocks, 1, &[]);
    flows.send(flow, b"y", Delivery::default()).unwrap();
    (flows, flow)
}

fn is_probed(flows: &mut Flows, now: Instant) -> bool {
    flows.on_timeout(&at(now));
    kinds(&fill(flows, now)) == [0x18]
}

/// §3.6.2.9.1: the first pause between probes is the ERTO if that is longer than a second, and so is the longest if that is longer than
/// a minute.
#[test]
fn probes_pause_for_an_erto_at_least() {
    for (erto, expected) in [(3, [1, 3, 6, 12, 24, 48, 60, 60]), (100, [1, 100, 100, 100, 100, 100, 100, 100])] {
        let timing = |now| Timing { now, erto: Duration::from_secs(erto), smoothed_rtt: None };
        let (mut flows, flow) = sender(64);
        let mut packet = Vec::new();
        super::chunks::put_ack(flow.0, 0, 1, &[], &mut packet);
        super::channel::receive(&mut flows, &timing(start()), &packet, false);
        let (mut now, mut pauses) = (start(), Vec::new());
        for _ in expected {
            let next = flows.next_timeout().unwrap();
            pauses.push((next - now).as_secs());
            now = next;
            flows.fill(&timing(now), &mut Vec::new(), LIMIT);
        }
        assert_eq!(pauses, expected);
    }
}

/// What the far end says again while its window is closed does not begin the pauses anew, and what opens the window ends them.
#[test]
fn probing_goes_on_until_the_window_opens() {
    let (mut flows, flow) = sender(0);
    assert!(!is_probed(&mut flows, start()));
    assert!(is_probed(&mut flows, seconds(1)));
    ack(&mut flows, seconds(1), flow.0, 0, 1, &[]);
    assert_eq!(flows.next_timeout(), Some(seconds(2)));
    assert!(is_probed(&mut flows, seconds(2)));
    assert_eq!(flows.next_timeout(), Some(seconds(4)));
    ack(&mut flows, seconds(3), flow.0, 3, 1, &[]);
    assert_eq!(flows.next_timeout(), None);
    assert_eq!(fragments(&fill(&mut flows, seconds(3))).len(), 1);
    // Closed again, it begins with a second.
    ack(&mut flows, seconds(4), flow.0, 0, 1, &[]);
    flows.transmitter.alarm = None;
    assert_eq!(flows.next_timeout(), Some(seconds(5)));
    // Everything is acknowledged: there is nothing to ask for.
    ack(&mut flows, seconds(4), flow.0, 0, 2, &[]);
    assert_eq!(flows.next_timeout(), None);
    assert!(!is_probed(&mut flows, seconds(9)));
}

/// A flow that the far end rejects while its window is closed has no window any more, and nothing to ask for.
#[test]
fn a_rejected_flow_is_not_probed() {
    let (mut flows, flow) = sender(0);
    let mut packet = Vec::new();
    crate::wire::chunk::FlowException { flow_id: flow.0, exception: 1 }.put(&mut packet);
    super::chunks::put_ack(flow.0, 0, 1, &[], &mut packet);
    super::channel::receive(&mut flows, &at(start()), &packet, false);
    assert_eq!(fragments(&fill(&mut flows, start())).len(), 1);
    flows.transmitter.alarm = None;
    assert_eq!(flows.next_timeout(), None);
}

#[test]
fn a_probe_fits_to_the_byte_or_waits() {
    let (mut flows, _) = sender(0);
    flows.on_timeout(&at(seconds(1)));
    assert_eq!(fill_up_to(&mut flows, seconds(1), 3), [] as [u8; 0]);
    assert!(flows.wants_transmit(&at(seconds(1))));
    assert_eq!(fill_up_to(&mut flows, seconds(1), 4).len(), 4);
    assert!(!flows.wants_transmit(&at(seconds(1))));
}

/// Loses what was sent into a window of `blocks`: true if the sender holds back then.
fn is_held(blocks: u64) -> (Flows, SendFlowId, bool) {
    let (mut flows, flow) = sender(blocks);
    assert_eq!(fragments(&fill(&mut flows, start())).len(), 1);
    let lost = start() + Duration::from_millis(300);
    flows.on_timeout(&at(lost));
    let held = !flows.wants_transmit(&at(lost));
    (flows, flow, held)
}

/// Two blocks may be too few for a full packet; three are not.
#[test]
fn only_a_window_of_one_or_two_blocks_makes_a_sender_hold_back() {
    for (blocks, held) in [(1, true), (2, true), (3, false)] {
        assert_eq!(is_held(blocks).2, held, "{blocks}");
    }
}

#[test]
fn a_sender_that_holds_back_goes_on_when_there_is_room_or_news() {
    let soon = start() + Duration::from_millis(301);
    let (mut flows, flow, _) = is_held(1);
    ack(&mut flows, soon, flow.0, 2, 1, &[]);
    assert!(!flows.wants_transmit(&at(soon)), "still hardly any room");
    ack(&mut flows, soon, flow.0, 3, 1, &[]);
    assert!(flows.wants_transmit(&at(soon)), "there is room");

    // Another message has been sent before: the acknowledgement of either shows that the far end takes something.
    let (mut flows, flow) = sender(1);
    fill(&mut flows, start());
    flows.send(flow, b"z", Delivery::default()).unwrap();
    fill(&mut flows, start());
    flows.send(flow, b"w", Delivery::default()).unwrap();
    fill(&mut flows, start());
    flows.send(flow, b"v", Delivery::default()).unwrap();
    fill(&mut flows, start());
    for last in 3..=5 {
        ack(&mut flows, soon, flow.0, 1, 1, &[(3, last)]);
    }
    assert!(!flows.wants_transmit(&at(soon)), "three times something sent later");
    flows.send(flow, b"new", Delivery::default()).unwrap();
    assert!(!flows.wants_transmit(&at(soon)));
    ack(&mut flows, soon, flow.0, 1, 2, &[(3, 5)]);
    assert!(!flows.wants_transmit(&at(soon)), "it was not outstanding any more");
}

/// An acknowledgement of something outstanding lifts the wait, however little room there is.
#[test]
fn a_sender_that_holds_back_goes_on_when_something_is_taken() {
    let soon = start() + Duration::from_millis(1);
    let (mut flows, flow) = sender(1);
    for _ in 0..5 {
        fill(&mut flows, start());
        flows.send(flow, b"z", Delivery::default()).unwrap();
    }
    fill(&mut flows, start());
    (3..=5).for_each(|last| ack(&mut flows, soon, flow.0, 1, 1, &[(3, last)]));
    assert!(!flows.wants_transmit(&at(soon)));
    ack(&mut flows, soon, flow.0, 1, 1, &[(3, 6)]);
    assert!(flows.wants_transmit(&at(soon)));
    assert_eq!(fragments(&fill(&mut flows, soon))[0].0, 2);
}

/// Since when nothing has been acknowledged, step by step.
#[test]
fn how_long_the_far_end_has_acknowledged_nothing() {
    let mut flows = flows();
    let flow = flows.open(b"m", FlowOptions::default()).unwrap();
    let send = |flows: &mut Flows, now| {
        flows.send(flow, b"x", Delivery::default()).unwrap();
        fill(flows, now);
    };
    flows.send(flow, b"x", Delivery::default()).unwrap();
    assert_eq!(flows.unacknowledged_since(), None, "nothing is sent yet");
    fill(&mut flows, seconds(1));
    assert_eq!(flows.unacknowledged_since(), Some(seconds(1)));
    send(&mut flows, seconds(2));
    send(&mut flows, seconds(2));
    assert_eq!(flows.unacknowledged_since(), Some(seconds(1)), "not by sending more");
    ack(&mut flows, seconds(3), flow.0, 64, 0, &[(2, 2)]);
    assert_eq!(flows.unacknowledged_since(), Some(seconds(1)), "nor by what lies beyond a gap");
    ack(&mut flows, seconds(4), flow.0, 64, 2, &[]);
    assert_eq!(flows.unacknowledged_since(), Some(seconds(4)), "progress, and more awaited");
    ack(&mut flows, seconds(5), flow.0, 64, 2, &[]);
    assert_eq!(flows.unacknowledged_since(), Some(seconds(4)), "no progress");
    ack(&mut flows, seconds(6), flow.0, 64, 3, &[]);
    assert_eq!(flows.unacknowledged_since(), None, "nothing awaited");
    // With a closed window, what waits counts from when the window closed; with an open one, from when it is sent.
    flows.send(flow, b"x", Delivery::default()).unwrap();
    assert_eq!(flows.unacknowledged_since(), None);
    ack(&mut flows, seconds(7), flow.0, 0, 3, &[]);
    assert_eq!(flows.unacknowledged_since(), Some(seconds(7)));
    ack(&mut flows, seconds(8), flow.0, 0, 3, &[]);
    assert_eq!(flows.unacknowledged_since(), Some(seconds(7)));
    // Of several flows, the one that has waited longest counts.
    let other = flows.open(b"m", FlowOptions::default()).unwrap();
    flows.send(other, b"x", Delivery::default()).unwrap();
    fill(&mut flows, seconds(9));
    assert_eq!(flows.unacknowledged_since(), Some(seconds(7)));
    // Progress with the window still closed: the rest waits from then on.
    ack(&mut flows, seconds(10), flow.0, 64, 3, &[]);
    fill(&mut flows, seconds(10));
    flows.send(flow, b"y", Delivery::default()).unwrap();
    ack(&mut flows, seconds(11), flow.0, 0, 4, &[]);
    ack(&mut flows, seconds(11), other.0, 64, 1, &[]);
    assert_eq!(flows.unacknowledged_since(), Some(seconds(11)));
    // Everything acknowledged, nothing waits, though the window is closed; what comes next begins anew.
    ack(&mut flows, seconds(12), flow.0, 1, 4, &[]);
    fill(&mut flows, seconds(12));
    ack(&mut flows, seconds(13), flow.0, 0, 5, &[]);
    flows.send(flow, b"x", Delivery::default()).unwrap();
    assert_eq!(flows.unacknowledged_since(), None);
}

/// However many fragments get lost at once, the wait is the same.
#[test]
fn many_losses_at_once_make_one_wait() {
    let (mut flows, flow) = sender(1);
    for _ in 0..5 {
        fill(&mut flows, start());
        flows.send(flow, b"z", Delivery::default()).unwrap();
    }
    (4..=6).for_each(|last| ack(&mut flows, start(), flow.0, 1, 1, &[(4, last)]));
    assert!(!flows.wants_transmit(&at(start())));
    let waits = flows.next_timeout().unwrap();
    flows.transmitter.alarm = None;
    assert_eq!(waits, start() + Duration::from_millis(300));
    flows.on_timeout(&at(waits));
    assert_eq!(fragments(&fill(&mut flows, waits))[0].0, 2);
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
    // Another flow that has lost nothing is no reason either.
    flows.open(b"idle", FlowOptions::default()).unwrap();
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
