//! The receiving user is told of what the far end has given up (RFC 7016 §3.6.1.2).

use super::chunks::{events, give, messages, receiver, start, whole};
use crate::flow::event::{FlowEnd, FlowEvent, RecvFlowId};
use crate::flow::flows::Flows;
use crate::flow::options::Order;

const FLOW: RecvFlowId = RecvFlowId(5);

#[derive(Clone, Copy, Debug)]
enum Kind {
    Data,
    Abandoned,
    /// The last of the flow, with data.
    End,
    /// The last of the flow, abandoned.
    AbandonedEnd,
}
use Kind::{Abandoned, AbandonedEnd, Data, End};

/// A fragment, with its number and Forward Sequence Number.
type Fragment = (Kind, u64, u64);

fn give_one(flows: &mut Flows, (kind, number, forward): Fragment) {
    let mut chunk = whole(number, b"data");
    chunk.fsn_offset = number - forward;
    chunk.fragment.abandon = matches!(kind, Abandoned | AbandonedEnd);
    chunk.fragment.is_final = matches!(kind, End | AbandonedEnd);
    give(flows, start(), &[chunk]);
}

/// What comes of the fragments, after message 1: the messages with their gaps, and whether there was one at the end.
fn told(order: Order, fragments: &[Fragment]) -> (Vec<(u64, bool)>, Option<bool>) {
    let mut flows = receiver(start());
    flows.set_order(FLOW, order);
    let (mut told, mut end) = (Vec::new(), None);
    for &fragment in fragments {
        give_one(&mut flows, fragment);
        for event in events(&mut flows) {
            match event {
                FlowEvent::Message { sequence_number, gap, .. } => told.push((sequence_number, gap)),
                FlowEvent::Ended { end: FlowEnd::Complete { gap }, .. } => end = Some(gap),
                other => panic!("{other:?}"),
            }
        }
    }
    (told, end)
}

#[test]
fn a_gap_is_told_in_either_order() {
    type Told<'a> = (&'a [(u64, bool)], Option<bool>);
    // In original order, and in order of arrival.
    let cases: &[(&[Fragment], Told<'_>, Told<'_>)] = &[
        (&[(Data, 2, 1), (Data, 3, 1)], (&[(2, false), (3, false)], None), (&[(2, false), (3, false)], None)),
        (&[(Data, 3, 2)], (&[(3, true)], None), (&[(3, true)], None)),
        // What is given up becomes known after the message behind it has come.
        (&[(Data, 4, 1), (Data, 5, 3)], (&[(4, true), (5, false)], None), (&[(4, false), (5, true)], None)),
        (
            &[(Data, 4, 1), (Data, 5, 1), (Data, 6, 3), (Data, 7, 3)],
            (&[(4, true), (5, false), (6, false), (7, false)], None),
            (&[(4, false), (5, false), (6, true), (7, false)], None),
        ),
        (&[(Abandoned, 2, 1), (Data, 3, 1)], (&[(3, true)], None), (&[(3, true)], None)),
        (&[(Abandoned, 2, 2), (Data, 3, 2)], (&[(3, true)], None), (&[(3, true)], None)),
        // Received before it was given up.
        (
            &[(Data, 2, 1), (Abandoned, 2, 1), (Data, 3, 1)],
            (&[(2, false), (3, false)], None),
            (&[(2, false), (3, false)], None),
        ),
        // At the end.
        (&[(End, 2, 1)], (&[(2, false)], Some(false)), (&[(2, false)], Some(false))),
        (&[(AbandonedEnd, 2, 1)], (&[], Some(false)), (&[], Some(false))),
        (&[(AbandonedEnd, 2, 2)], (&[], Some(false)), (&[], Some(false))),
        (&[(AbandonedEnd, 3, 3)], (&[], Some(true)), (&[], Some(true))),
        (&[(Abandoned, 2, 1), (AbandonedEnd, 3, 1)], (&[], Some(true)), (&[], Some(true))),
        (&[(End, 3, 2)], (&[(3, true)], Some(false)), (&[(3, true)], Some(false))),
        (&[(Data, 3, 1), (AbandonedEnd, 4, 4)], (&[(3, true)], Some(false)), (&[(3, false)], Some(true))),
    ];
    for (fragments, original, arrival) in cases {
        for (order, (messages, end)) in [(Order::Original, original), (Order::Arrival, arrival)] {
            assert_eq!(told(order, fragments), (messages.to_vec(), *end), "{order:?} {fragments:?}");
        }
    }
}

/// A gap that no message has told of is not forgotten when the order changes, and one that was told of is not told again.
#[test]
fn a_gap_is_told_once_when_the_order_changes() {
    let cases: &[(&[Fragment], u64, bool)] = &[
        (&[(Abandoned, 2, 2)], 3, true),
        (&[(Abandoned, 2, 2), (Data, 3, 2)], 4, false),
        (&[(Data, 3, 1), (Data, 4, 2)], 5, false),
        (&[(Data, 3, 1), (Abandoned, 4, 4)], 5, true),
    ];
    for &(before, next, gap) in cases {
        let mut flows = receiver(start());
        before.iter().for_each(|&fragment| give_one(&mut flows, fragment));
        flows.set_order(FLOW, Order::Arrival);
        messages(&mut flows);
        give_one(&mut flows, (Data, next, 2));
        assert_eq!(messages(&mut flows), [(next, gap)], "{before:?}");
    }
}

/// Messages that wait for what comes before them wait no longer when the order does not matter any more; parts of messages do.
#[test]
fn whole_messages_come_at_once_when_order_ceases_to_matter() {
    use crate::wire::chunk::FragmentControl::{Begin, End};
    let mut flows = receiver(start());
    let chunks = [whole(3, b"w"), super::chunks::fragment(5, Begin, b"b"), super::chunks::fragment(6, End, b"e")];
    give(&mut flows, start(), &chunks);
    give(&mut flows, start(), &[super::chunks::fragment(8, Begin, b"p")]);
    assert_eq!(messages(&mut flows), []);
    flows.set_order(FLOW, Order::Original);
    assert_eq!(messages(&mut flows), []);
    flows.set_order(FLOW, Order::Arrival);
    assert_eq!(messages(&mut flows), [(3, false), (5, false)]);
    give(&mut flows, start(), &[whole(2, b"x")]);
    assert_eq!(messages(&mut flows), [(2, false)], "the others are not delivered again");
}
