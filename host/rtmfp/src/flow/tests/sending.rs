//! What a sender puts into a packet next, and how the packet is marked.

use std::time::Duration;

use super::channel::{LIMIT, receive};
use super::chunks::{ack, at, fill, flows, fragments};
use crate::flow::options::{Delivery, FlowOptions};
use crate::test_clock::test_clock;

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
