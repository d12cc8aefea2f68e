//! What a receiver says of its buffer (RFC 7016 §3.6.3.5).

use std::time::Duration;

use super::chunks::{advertised, at, data, events, fill, fragment, give, metadata, receiver_with, start, whole};
use crate::flow::config::FlowConfig;
use crate::flow::event::RecvFlowId;
use crate::flow::flows::Flows;
use crate::wire::chunk::FragmentControl::{Begin, Middle};
use crate::wire::chunk::UserData;

const FLOW: RecvFlowId = RecvFlowId(5);

/// The blocks that are advertised after a fragment.
fn after(flows: &mut Flows, chunk: UserData<'_>) -> u64 {
    let now = start();
    give(flows, now, &[chunk]);
    flows.on_timeout(&at(now + Duration::from_millis(200)));
    advertised(&fill(flows, now))
}

#[test]
fn blocks_are_rounded_up_and_never_none() {
    for (receive_buffer, blocks) in [(0, 1), (1, 1), (1024, 1), (1025, 2), (3072, 3), (3073, 4)] {
        let config = FlowConfig { receive_buffer, ..FlowConfig::default() };
        let mut flows = receiver_with(start(), config.clone());
        assert_eq!(after(&mut flows, whole(2, b"data")), blocks, "{receive_buffer}");
        // A flow that has ended says the same.
        let mut last = whole(3, b"data");
        last.fragment.is_final = true;
        assert_eq!(after(&mut flows, last), blocks, "{receive_buffer}");
        assert!(flows.receiving.is_empty());
    }
    assert_eq!(
        after(&mut receiver_with(start(), FlowConfig { receive_buffer: 0, ..FlowConfig::default() }), whole(1, b"")),
        1
    );
}

/// What waits takes room: what comes out of order with 128 bytes a fragment, messages of a paused flow with 64 each. What all flows
/// hold takes room from each.
#[test]
fn what_is_held_takes_room() {
    let config = FlowConfig { receive_buffer: 8 * 1024, session_receive_buffer: 12 * 1024, ..FlowConfig::default() };
    let new = || receiver_with(start(), config.clone());
    assert_eq!(after(&mut new(), whole(3, &[0; 1024 - 128])), 7);
    assert_eq!(after(&mut new(), whole(3, &[0; 1024 - 129])), 8);
    let mut paused = new();
    paused.pause(FLOW);
    assert_eq!(after(&mut paused, whole(2, &[0; 1024 - 64])), 7);
    assert_eq!(after(&mut paused, whole(3, &[0; 1024 - 65])), 7);
    assert_eq!(after(&mut paused, whole(4, &[0; 1])), 6);
    // The session has 12 blocks; messages that the application has not taken count.
    let mut session = new();
    give(&mut session, start(), &[data(6, 1, 1, Some(&metadata()))]);
    events(&mut session);
    fill(&mut session, start());
    give(&mut session, start(), &[UserData { flow_id: 6, ..whole(2, &[0; 6 * 1024 - 64]) }]);
    assert_eq!(session.events.bytes(), 6 * 1024);
    assert_eq!(after(&mut session, whole(2, b"")), 6, "rounded up");
    events(&mut session);
    assert_eq!(after(&mut session, whole(3, b"")), 8);
}

/// A message in progress takes no room while it would be delivered at once: else one longer than the buffer came block by block.
#[test]
fn a_message_in_progress_takes_room_of_a_paused_flow_only() {
    let config = FlowConfig { receive_buffer: 4096, ..FlowConfig::default() };
    for paused in [false, true] {
        let mut flows = receiver_with(start(), config.clone());
        if paused {
            flows.pause(FLOW);
        }
        assert_eq!(after(&mut flows, fragment(2, Begin, &[0; 1500])), if paused { 3 } else { 4 });
        assert_eq!(after(&mut flows, fragment(3, Middle, &[0; 1500])), if paused { 2 } else { 4 });
        assert_eq!(after(&mut flows, fragment(4, Middle, &[0; 1500])), if paused { 2 } else { 4 });
        assert_eq!(flows.bytes_buffered(), if paused { 3000 } else { 4500 });
    }
}

/// A far end that knows of less than two blocks hears at once that there are two again; one that knows of more does not.
#[test]
fn a_reopened_window_is_told_at_once() {
    // The buffer, and the length of the message that waits in it.
    for (receive_buffer, length, told) in
        [(3072, 2000, true), (3072, 1984, true), (3072, 1983, false), (2048, 1000, true), (2047, 1000, false)]
    {
        let mut flows = receiver_with(start(), FlowConfig { receive_buffer, ..FlowConfig::default() });
        flows.pause(FLOW);
        after(&mut flows, whole(2, &vec![0; length]));
        flows.resume(FLOW);
        assert_eq!(events(&mut flows).len(), 1);
        assert_eq!(flows.wants_transmit(&at(start())), told, "{receive_buffer} {length}");
        if told {
            assert_eq!(advertised(&fill(&mut flows, start())), (receive_buffer as u64).div_ceil(1024));
        }
        flows.resume(FLOW);
        assert!(!flows.wants_transmit(&at(start())), "once");
    }
}
