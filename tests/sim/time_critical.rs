//! Senders of bulk data make way for real-time data that their receiver gets from others (RFC 7016 §3.1, §3.5.2.1).

use std::time::Duration;

use rtmfp::flow::{Delivery, FlowOptions};

use crate::network::{Link, NodeId, Sim, for_seeds};

/// How far the window of `bulk` to `server` has grown after it has sent for a while, while `other` sends, too.
fn window_after(sim: &mut Sim, is_time_critical: bool) -> usize {
    let (server, bulk, other) = (sim.peer(), sim.peer(), sim.peer());
    sim.connect(bulk, server);
    sim.connect(other, server);
    let (small, large) = (open(sim, other, server, is_time_critical), open(sim, bulk, server, false));
    for _ in 0..20 {
        sim.send(other, server, small, b"now");
        // As much as there is room for.
        let session = sim.session(bulk, server);
        sim.with(
            bulk,
            |endpoint, now| {
                while endpoint.send(now, session, large, vec![1; 10_000], Delivery::default()).is_ok() {}
            },
        );
        sim.run_for(Duration::from_millis(100));
    }
    let session = sim.session(bulk, server);
    sim.with(bulk, |endpoint, now| endpoint.with_flows(now, session, |flows| flows.congestion_window()))
        .expect("an open session")
}

fn open(sim: &mut Sim, from: NodeId, to: NodeId, time_critical: bool) -> rtmfp::flow::SendFlowId {
    let session = sim.session(from, to);
    let options = FlowOptions { time_critical, ..FlowOptions::default() };
    sim.with(from, |endpoint, now| endpoint.open_flow(now, session, b"", options)).expect("a flow")
}

#[test]
fn bulk_data_yields_to_time_critical_data_from_another_sender() {
    for_seeds(3, |sim| {
        sim.all_links(Link::default());
        let alone = window_after(sim, false);
        let yielding = window_after(sim, true);
        // Forty round trips at 384 bytes each, after what the first of them was before the notice came.
        assert!(yielding < 30_000 && alone > 2 * yielding, "{yielding} {alone}");
    });
}

#[test]
fn time_critical_data_of_the_same_session_holds_no_other_data_back() {
    for_seeds(1, |sim| {
        let (server, client) = (sim.peer(), sim.peer());
        sim.connect(client, server);
        let (urgent, bulk) = (open(sim, client, server, true), open(sim, client, server, false));
        let session = sim.session(client, server);
        for _ in 0..20 {
            sim.send(client, server, urgent, b"now");
            sim.with(client, |endpoint, now| endpoint.send(now, session, bulk, vec![2; 100_000], Delivery::default()))
                .unwrap();
            sim.run_for(Duration::from_millis(100));
        }
        let window =
            sim.with(client, |endpoint, now| endpoint.with_flows(now, session, |flows| flows.congestion_window()));
        assert!(window.unwrap() > 60_000, "{window:?}");
    });
}
