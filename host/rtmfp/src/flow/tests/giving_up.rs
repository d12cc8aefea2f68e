//! Messages that are given up, by their deadlines or by the application (RFC 7016 §3.6.2.7).

use std::time::{Duration, Instant};

use super::chunks::{ack, at, events, fill, flows, fragments, start};
use crate::flow::event::{FlowEvent, MessageId, SendFlowId};
use crate::flow::flows::Flows;
use crate::flow::options::{Delivery, FlowOptions};
use crate::test_clock::test_clock;

fn millis(millis: u64) -> Instant {
    start() + Duration::from_millis(millis)
}

fn sender() -> (Flows, SendFlowId) {
    let mut flows = flows();
    let flow = flows.open(b"m", FlowOptions::default()).unwrap();
    (flows, flow)
}

fn delivery(start_by: Option<u64>, finish_by: Option<u64>) -> Delivery {
    Delivery { start_by: start_by.map(millis), finish_by: finish_by.map(millis), ..Delivery::default() }
}

/// The message that is given up at that time, if one is.
fn dropped(flows: &mut Flows, now: Instant) -> Option<MessageId> {
    flows.on_timeout(&at(now));
    match events(flows)[..] {
        [] => None,
        [FlowEvent::Dropped { message, .. }] => Some(message),
        ref other => panic!("{other:?}"),
    }
}

/// `start_by` counts until the first part is sent, `finish_by` until all is acknowledged; the earlier of the two counts.
#[test]
fn a_deadline_gives_a_message_up_when_it_comes() {
    // Whether a part has been sent, and when the message is given up.
    let cases = [
        (delivery(Some(50), None), false, Some(50)),
        (delivery(Some(50), None), true, None),
        (delivery(None, Some(70)), false, Some(70)),
        (delivery(None, Some(70)), true, Some(70)),
        (delivery(Some(50), Some(70)), false, Some(50)),
        (delivery(Some(50), Some(70)), true, Some(70)),
        (delivery(Some(90), Some(70)), false, Some(70)),
        (delivery(Some(90), Some(70)), true, Some(70)),
    ];
    for (delivery, sent, given_up) in cases {
        let (mut flows, flow) = sender();
        let message = flows.send(flow, vec![0; 3000], delivery).unwrap();
        if sent {
            assert_eq!(fragments(&fill(&mut flows, start())).len(), 1);
        }
        flows.transmitter.alarm = None;
        let mut at_last = None;
        while let Some(next) = flows.next_timeout() {
            assert_eq!(at_last, None);
            let before = next - Duration::from_nanos(1);
            assert_eq!(dropped(&mut flows, before), None);
            if dropped(&mut flows, next) == Some(message) {
                at_last = Some(next);
            }
        }
        assert_eq!(at_last, given_up.map(millis), "{delivery:?} {sent}");
        assert_eq!(flows.abandon(flow, message), given_up.is_none());
    }
}

/// What is sent in time or acknowledged in time is not given up.
#[test]
fn a_message_that_is_delivered_is_not_given_up() {
    let (mut flows, flow) = sender();
    let delivered = flows.send(flow, b"x", delivery(Some(50), Some(70))).unwrap();
    flows.send(flow, b"y", Delivery::default()).unwrap();
    fill(&mut flows, start());
    // While the other one is missing, this one is remembered.
    ack(&mut flows, millis(10), flow.0, 64, 1, &[]);
    assert_eq!(dropped(&mut flows, millis(50)), None);
    assert_eq!(dropped(&mut flows, millis(70)), None);
    assert!(!flows.abandon(flow, delivered) && !flows.abandon(flow, MessageId(9)));
    assert!(!flows.abandon(SendFlowId(9), MessageId(1)));
    assert_eq!(fragments(&fill(&mut flows, millis(70))), []);
    // Acknowledged behind one that is not.
    let (mut flows, flow) = sender();
    flows.send(flow, b"x", Delivery::default()).unwrap();
    let beyond = flows.send(flow, b"y", delivery(None, Some(70))).unwrap();
    fill(&mut flows, start());
    ack(&mut flows, millis(10), flow.0, 64, 0, &[(2, 2)]);
    assert_eq!(dropped(&mut flows, millis(70)), None);
    assert!(!flows.abandon(flow, beyond));
}

/// The deadlines of several messages come one after the other, whatever their order, and at the latest a little later.
#[test]
fn each_message_has_its_own_deadline() {
    let (mut flows, flow) = sender();
    let deadlines = [60, 40, 50];
    let messages = deadlines.map(|by| flows.send(flow, b"x", delivery(Some(by), None)).unwrap());
    let mut given_up = Vec::new();
    while let Some(next) = flows.next_timeout() {
        given_up.extend(dropped(&mut flows, next).map(|message| (message, next)));
        assert!(next <= millis(61));
    }
    assert_eq!(given_up, [(messages[1], millis(40)), (messages[2], millis(50)), (messages[0], millis(60))]);
    // Deadlines right after one that has come are looked at together, after a microsecond for each message.
    let (mut flows, flow) = sender();
    for nanos in [0, 1, 2] {
        let by = Some(millis(40) + Duration::from_nanos(nanos));
        flows.send(flow, b"x", Delivery { start_by: by, ..Delivery::default() }).unwrap();
    }
    assert_eq!(dropped(&mut flows, millis(40)), Some(MessageId(0)));
    assert_eq!(flows.next_timeout(), Some(millis(40) + Duration::from_micros(3)));
    flows.on_timeout(&at(millis(41)));
    assert_eq!(events(&mut flows).len(), 2);
}

/// A packet that is filled after a deadline, before the timer is looked at, does not carry what is too late.
#[test]
fn what_is_too_late_is_not_sent() {
    let (mut flows, flow) = sender();
    flows.send(flow, b"late", delivery(Some(50), None)).unwrap();
    flows.send(flow, b"good", Delivery::default()).unwrap();
    assert_eq!(fragments(&fill(&mut flows, millis(50))), [(2, 1, false, false)]);
}

/// Given up before it is sent, partly sent, or wholly: one event at most, none when the application itself did it, and no
/// delivery is told.
#[test]
fn what_is_given_up_is_not_told_as_delivered() {
    let notify = Delivery { notify: true, ..Delivery::default() };
    for sent in 0..=3 {
        let (mut flows, flow) = sender();
        let message = flows.send(flow, vec![0; 3000], notify).unwrap();
        (0..sent).for_each(|_| _ = fill(&mut flows, start()));
        assert!(flows.abandon(flow, message) && !flows.abandon(flow, message));
        assert_eq!(flows.bytes_queued(flow), 64, "its bytes are freed at once");
        for _ in 0..2 {
            fill(&mut flows, start());
            ack(&mut flows, start(), flow.0, 64, 4, &[]);
        }
        assert_eq!(events(&mut flows), [], "{sent}");
        assert!(flows.is_idle());
    }
    // Delivered in two steps, told once, with the last.
    let (mut flows, flow) = sender();
    let message = flows.send(flow, vec![0; 3000], notify).unwrap();
    (0..3).for_each(|_| _ = fill(&mut flows, start()));
    ack(&mut flows, start(), flow.0, 64, 1, &[(3, 3)]);
    assert_eq!(events(&mut flows), []);
    ack(&mut flows, start(), flow.0, 64, 3, &[]);
    assert_eq!(events(&mut flows), [FlowEvent::Delivered { flow, message }]);
}

/// A message that is to be sent once is given up by its first loss, noticed by acknowledgements or by a timeout; another is not.
#[test]
fn a_message_sent_once_is_given_up_by_a_loss() {
    for once in [true, false] {
        for by_timeout in [true, false] {
            let (mut flows, flow) = sender();
            let delivery = Delivery { send_once: once, ..Delivery::default() };
            let message = flows.send(flow, b"x", delivery).unwrap();
            fill(&mut flows, start());
            if by_timeout {
                flows.on_timeout(&at(millis(300)));
            } else {
                for number in 2..=4 {
                    flows.send(flow, b"y", Delivery::default()).unwrap();
                    fill(&mut flows, start());
                    ack(&mut flows, start(), flow.0, 64, 0, &[(2, number)]);
                }
            }
            let expected: &[FlowEvent] = if once { &[FlowEvent::Dropped { flow, message }] } else { &[] };
            assert_eq!(events(&mut flows), expected, "{once} {by_timeout}");
            let forward = if once { 1 } else { 0 };
            assert_eq!(fragments(&fill(&mut flows, millis(300))), [(1, forward, once, false)]);
        }
    }
}

/// §3.6.2.3: the Forward Sequence Number stays below what is in the network as data, and passes it when that is lost.
#[test]
fn what_is_in_flight_is_not_passed_over() {
    let (mut flows, flow) = sender();
    let first = flows.send(flow, b"x", Delivery::default()).unwrap();
    fill(&mut flows, start());
    assert!(flows.abandon(flow, first));
    assert!(!flows.wants_transmit(&at(start())), "it is in flight");
    flows.send(flow, b"y", Delivery::default()).unwrap();
    assert_eq!(fragments(&fill(&mut flows, start())), [(2, 0, false, false)]);
    flows.on_timeout(&at(millis(300)));
    assert_eq!(fragments(&fill(&mut flows, millis(300))), [(2, 1, false, false)]);
    // As abandoned, it is: the update can be sent again with the same number.
    let (mut flows, flow) = sender();
    let first = flows.send(flow, b"x", Delivery::default()).unwrap();
    assert!(flows.abandon(flow, first));
    assert_eq!(fragments(&fill(&mut flows, start())), [(1, 1, true, false)]);
    flows.send(flow, b"y", Delivery::default()).unwrap();
    assert_eq!(fragments(&fill(&mut flows, start())), [(2, 1, false, false)]);
}

/// What was never sent cannot be acknowledged: a receiver that did not hear of it would wait for it for ever.
#[test]
fn an_acknowledgement_of_what_was_not_sent_is_none() {
    let (mut flows, flow) = sender();
    let message = flows.send(flow, vec![0; 3000], Delivery::default()).unwrap();
    fill(&mut flows, start());
    assert!(flows.abandon(flow, message));
    ack(&mut flows, start(), flow.0, 64, 9, &[(11, 12)]);
    assert!(!flows.is_idle());
    assert_eq!(fragments(&fill(&mut flows, start())), [(2, 2, true, false)]);
    ack(&mut flows, start(), flow.0, 64, 2, &[]);
    assert!(flows.is_idle());
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
