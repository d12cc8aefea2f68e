//! Senders that share a bottleneck share it fairly, and use it (RFC 7016 §3.5.2).

use std::time::Duration;

use rtmfp::flow::FlowOptions;

use crate::network::{Bottleneck, Bulk, Link, NodeId, Sim, for_seeds};

/// The capacity of the bottleneck, in bytes per second.
const RATE: u64 = 500_000;
/// Shares are measured over this time, after [`WARM_UP`].
const MEASURED: Duration = Duration::from_secs(60);
const WARM_UP: Duration = Duration::from_secs(10);

/// Two nodes with a session, whose packets in one direction go through the bottleneck.
fn pair_through(sim: &mut Sim, bottleneck: &Bottleneck, one_way_ms: u64) -> (NodeId, NodeId) {
    let (from, to) = (sim.peer(), sim.peer());
    sim.connect(from, to);
    sim.one_way(from, to, Link::default().delay(one_way_ms).jitter(1).through(bottleneck));
    sim.one_way(to, from, Link::default().delay(one_way_ms).jitter(1));
    (from, to)
}

fn bulk_through(sim: &mut Sim, bottleneck: &Bottleneck, one_way_ms: u64) -> Bulk {
    let (from, to) = pair_through(sim, bottleneck, one_way_ms);
    sim.bulk(from, to, FlowOptions::default())
}

fn tcp_through(sim: &mut Sim, bottleneck: &Bottleneck, one_way_ms: u64) {
    let there = Link::default().delay(one_way_ms).jitter(1).through(bottleneck);
    let back = Link::default().delay(one_way_ms).jitter(1);
    sim.cross(there, back);
}

/// Bytes per second of user data as a part of what the bottleneck carries.
fn shares(came: &[usize]) -> Vec<f64> {
    came.iter().map(|bytes| *bytes as f64 / (MEASURED.as_secs_f64() * RATE as f64)).collect()
}

/// A queue that takes so many milliseconds to drain.
fn bottleneck(queue_ms: u64) -> Bottleneck {
    Bottleneck::new(RATE, RATE * queue_ms / 1000)
}

#[test]
fn two_sessions_share_a_bottleneck_within_two_to_one_and_fill_it() {
    for_seeds(8, |sim| {
        let queue_ms = 60 + 20 * sim.dice.below(5);
        let bottleneck = bottleneck(queue_ms);
        let one = bulk_through(sim, &bottleneck, 20);
        // The second sender starts when the first already uses the whole bottleneck.
        sim.transfer(&[one], WARM_UP);
        let two = bulk_through(sim, &bottleneck, 20);
        sim.transfer(&[one, two], WARM_UP);
        let shares = shares(&sim.transfer(&[one, two], MEASURED));
        eprintln!("queue {queue_ms} ms: {shares:.3?}");
        assert!(shares[0] < 2.0 * shares[1] && shares[1] < 2.0 * shares[0], "{shares:.3?}");
        assert!(shares[0] + shares[1] > 0.75, "{shares:.3?}");
    });
}

#[test]
fn sessions_with_different_round_trip_times_fill_the_bottleneck_and_none_starves() {
    for_seeds(6, |sim| {
        let bottleneck = bottleneck(100);
        let delays = [10, 20 + 10 * sim.dice.below(6)];
        let transfers = delays.map(|delay| bulk_through(sim, &bottleneck, delay));
        sim.transfer(&transfers, WARM_UP);
        let shares = shares(&sim.transfer(&transfers, MEASURED));
        eprintln!("one way {delays:?} ms: {shares:.3?}");
        assert!(shares[0] + shares[1] > 0.75, "{shares:.3?}");
        // As with TCP, shares are about in inverse proportion to the round trip times, those of a full queue included.
        assert!(shares.iter().all(|share| *share > 0.1), "{shares:.3?}");
    });
}

#[test]
fn many_sessions_do_not_collapse_a_bottleneck() {
    for_seeds(2, |sim| {
        let bottleneck = bottleneck(100);
        let transfers: Vec<_> = (0..8).map(|_| bulk_through(sim, &bottleneck, 20)).collect();
        sim.transfer(&transfers, WARM_UP);
        let shares = shares(&sim.transfer(&transfers, MEASURED));
        eprintln!("{shares:.3?}");
        assert!(shares.iter().sum::<f64>() > 0.75, "{shares:.3?}");
        assert!(shares.iter().all(|share| *share > 0.25 / 8.0), "{shares:.3?}");
    });
}

#[test]
fn a_reference_tcp_alone_fills_the_bottleneck() {
    for_seeds(3, |sim| {
        let bottleneck = bottleneck(100);
        tcp_through(sim, &bottleneck, 20);
        sim.run_for(WARM_UP);
        let before = sim.crossing[0].delivered();
        sim.run_for(MEASURED);
        let shares = shares(&[sim.crossing[0].delivered() - before]);
        eprintln!("{shares:.3?}");
        assert!(shares[0] > 0.85, "{shares:.3?}");
    });
}

#[test]
fn a_tcp_beside_a_session_keeps_a_third_and_the_session_does_not_starve() {
    for_seeds(8, |sim| {
        let (queue_ms, delay) = (60 + 20 * sim.dice.below(5), 15 + 5 * sim.dice.below(5));
        let bottleneck = bottleneck(queue_ms);
        let ours = bulk_through(sim, &bottleneck, delay);
        // Either sender may start first.
        let head_start = Duration::from_secs(sim.dice.below(2) * 5);
        if sim.dice.chance(0.5) {
            sim.transfer(&[ours], head_start);
            tcp_through(sim, &bottleneck, delay);
        } else {
            tcp_through(sim, &bottleneck, delay);
            sim.run_for(head_start);
        }
        sim.transfer(&[ours], WARM_UP);
        let before = sim.crossing[0].delivered();
        let came = sim.transfer(&[ours], MEASURED)[0];
        let shares = shares(&[came, sim.crossing[0].delivered() - before]);
        eprintln!("queue {queue_ms} ms, one way {delay} ms: session {:.3}, TCP {:.3}", shares[0], shares[1]);
        // On lines so narrow that windows are of a few packets, NewReno waits for timeouts more often than a sender with selective
        // acknowledgements, and gets less.
        assert!(shares[1] > 1.0 / 3.0, "{shares:.3?}");
        assert!(shares[0] > 0.25, "{shares:.3?}");
        assert!(shares[0] + shares[1] > 0.75, "{shares:.3?}");
    });
}

#[test]
fn one_session_uses_a_bottleneck_even_behind_a_short_queue() {
    for_seeds(4, |sim| {
        let queue_ms = 20 + 20 * sim.dice.below(5);
        let bottleneck = bottleneck(queue_ms);
        let ours = bulk_through(sim, &bottleneck, 20);
        sim.transfer(&[ours], WARM_UP);
        let shares = shares(&sim.transfer(&[ours], MEASURED));
        eprintln!("queue {queue_ms} ms: {shares:.3?}");
        assert!(shares[0] > 0.75, "{shares:.3?}");
    });
}
