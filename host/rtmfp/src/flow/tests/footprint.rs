//! What the flows of a session cost while nothing happens.

use std::time::Duration;

use super::channel::{CALM, Pair};
use super::chunks::flows;
use crate::flow::config::FlowConfig;
use crate::flow::flow_list::FlowList;
use crate::flow::flows::Flows;
use crate::flow::options::{Delivery, FlowOptions};

#[test]
fn an_idle_session_is_small() {
    let total = size_of::<Flows>() + size_of::<crate::congestion::TcpCompatible>();
    assert!(total <= 456, "{total}");

    let mut pair = Pair::new(0, CALM, FlowConfig::default());
    for end in 0..2 {
        let flow = pair.ends[end].flows.open(b"m", FlowOptions::default()).unwrap();
        pair.ends[end].flows.send(flow, vec![1; 5000], Delivery::default()).unwrap();
    }
    pair.run(Duration::from_secs(10));
    for end in &pair.ends {
        let flows = &end.flows;
        assert!(matches!((&flows.sending, &flows.receiving), (FlowList::One(_), FlowList::One(_))));
        assert_eq!((flows.events.is_bare(), flows.lingering.capacity(), flows.buffered), (true, 0, 0));
        assert!(flows.is_idle());
        assert_eq!(flows.transmitter.transmissions.heap(), 0);
    }
}

#[test]
fn flows_can_move_to_another_thread() {
    fn movable<T: Send + Sync>(_: &T) {}
    movable(&flows());
}
