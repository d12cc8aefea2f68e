//! While an endpoint receives time critical data, its other senders hold back (RFC 7016 §3.5.2.1).

use std::time::Duration;

use rtmfp::flow::FlowOptions;

use crate::network::{Bottleneck, Link, Sim, for_seeds};

const RATE: u64 = 500_000;

/// Two senders to one receiver, through one bottleneck on a path that loses a packet now and then. The first sends data of this
/// kind. Gives the part of what came in three minutes that was the second's.
fn share_beside(sim: &mut Sim, time_critical: bool) -> f64 {
    let bottleneck = Bottleneck::new(RATE, RATE / 10);
    let receiver = sim.peer();
    let [first, second] = [true, false].map(|is_first| {
        let sender = sim.peer();
        sim.connect(sender, receiver);
        sim.one_way(sender, receiver, Link::default().jitter(1).loss(0.003).through(&bottleneck));
        let options = FlowOptions { time_critical: time_critical && is_first, ..FlowOptions::default() };
        sim.bulk(sender, receiver, options)
    });
    sim.transfer(&[first, second], Duration::from_secs(10));
    let came = sim.transfer(&[first, second], Duration::from_secs(180));
    came[1] as f64 / came.iter().sum::<usize>() as f64
}

#[test]
fn a_sender_yields_to_time_critical_data_that_its_receiver_gets_from_another() {
    for_seeds(3, |sim| {
        let plain = share_beside(sim, false);
        let yielding = share_beside(sim, true);
        eprintln!("share {plain:.3}, yielding {yielding:.3}");
        // The yielding sender gives up growth, not its window: where senders lose packets in proportion to what they send, its share
        // follows the square root of the growth, here to about three eighths.
        assert!(yielding < plain && yielding < 0.45, "{plain:.3} {yielding:.3}");
        assert!(yielding > 0.1, "held back, not cut off: {yielding:.3}");
    });
}

#[test]
fn a_sender_that_holds_back_does_so_only_until_800_ms_after_the_last_notification() {
    for_seeds(2, |sim| {
        let bottleneck = Bottleneck::new(RATE, RATE / 10);
        let receiver = sim.peer();
        let [critical, bulk] = [true, false].map(|time_critical| {
            let sender = sim.peer();
            sim.connect(sender, receiver);
            sim.one_way(sender, receiver, Link::default().jitter(1).through(&bottleneck));
            sim.bulk(sender, receiver, FlowOptions { time_critical, ..FlowOptions::default() })
        });
        sim.transfer(&[critical, bulk], Duration::from_secs(30));
        // The real-time sender goes; its receiver takes what is still queued, then the path is the other's alone.
        let session = sim.session(critical.from, receiver);
        sim.with(critical.from, |endpoint, now| endpoint.close(now, session));
        sim.transfer(&[bulk], Duration::from_secs(3));
        let alone = sim.transfer(&[bulk], Duration::from_secs(20))[0] as f64 / (20.0 * RATE as f64);
        assert!(alone > 0.75, "{alone:.3}");
    });
}
