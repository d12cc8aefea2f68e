//! Flows that a receiver rejects, and those that it remembers after their end (RFC 7016 §3.6.3.1, §3.6.3.2, §3.6.3.8).

use std::time::Duration;

use super::chunks::{acknowledged, at, chunks, data, events, fill, flows, give, kinds, metadata, receiver};
use crate::flow::event::{FlowEnd, FlowEvent, RecvFlowId};
use crate::flow::options::FlowOptions;
use crate::test_clock::test_clock;
use crate::wire::chunk::{FlowException, return_association_option};
use crate::wire::{Chunk, option};

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
