//! Sessions end, in every way, and leave nothing behind (RFC 7016 §3.5.5).

use std::time::Duration;

use rtmfp::{CloseReason, SessionId};

use crate::network::{NodeId, Sim, for_seeds};

fn pair(sim: &mut Sim) -> (NodeId, NodeId, SessionId, SessionId) {
    let (a, b) = (sim.peer(), sim.peer());
    let (at_a, at_b) = sim.connect(a, b);
    // The initiator's first ping is over.
    sim.run_for(Duration::from_secs(3));
    (a, b, at_a, at_b)
}

#[test]
fn an_orderly_close_ends_both_sides_and_the_far_one_lingers_19_seconds() {
    for_seeds(1, |sim| {
        let (a, b, at_a, at_b) = pair(sim);
        sim.with(a, |endpoint, now| endpoint.close(now, at_a));
        assert_eq!(sim.closed(a, at_a), Some(CloseReason::Near));
        sim.run_for(Duration::from_millis(100));
        assert_eq!(sim.closed(b, at_b), Some(CloseReason::Far));
        assert_eq!((sim.session_count(a), sim.session_count(b)), (0, 1));
        sim.run_for(Duration::from_millis(18_900));
        assert_eq!(sim.session_count(b), 1);
        sim.run_for(Duration::from_millis(200));
        assert_eq!(sim.session_count(b), 0);
        assert_eq!((sim.session_of(a, b), sim.session_of(b, a)), (None, None));
    });
}

#[test]
fn both_may_close_at_once() {
    for_seeds(1, |sim| {
        let (a, b, at_a, at_b) = pair(sim);
        sim.with(a, |endpoint, now| endpoint.close(now, at_a));
        sim.with(b, |endpoint, now| endpoint.close(now, at_b));
        sim.run_for(Duration::from_millis(100));
        assert_eq!((sim.closed(a, at_a), sim.closed(b, at_b)), (Some(CloseReason::Near), Some(CloseReason::Near)));
        assert_eq!((sim.session_count(a), sim.session_count(b)), (0, 0));
    });
}

#[test]
fn a_lost_answer_to_the_close_is_asked_for_again_every_5_seconds() {
    for_seeds(1, |sim| {
        let (a, b, at_a, _) = pair(sim);
        let from_b = sim.address(b);
        let mut dropped = 0;
        sim.filter(move |packet| {
            dropped += u32::from(packet.from == from_b);
            packet.from != from_b || dropped > 2
        });
        sim.with(a, |endpoint, now| endpoint.close(now, at_a));
        sim.run_for(Duration::from_millis(9_900));
        assert_eq!(sim.session_count(a), 1);
        sim.run_for(Duration::from_millis(200));
        assert_eq!(sim.session_count(a), 0);
        sim.run_for(Duration::from_secs(20));
        assert_eq!(sim.session_count(b), 0);
    });
}

#[test]
fn a_close_that_nobody_answers_ends_after_90_seconds() {
    for_seeds(1, |sim| {
        let (a, b, at_a, _) = pair(sim);
        sim.get_mut(b).is_dead = true;
        sim.recorded = Some(Vec::new());
        sim.with(a, |endpoint, now| endpoint.close(now, at_a));
        sim.run_for(Duration::from_millis(89_900));
        assert_eq!(sim.session_count(a), 1);
        sim.run_for(Duration::from_millis(200));
        assert_eq!(sim.session_count(a), 0);
        assert_eq!(sim.recorded.as_ref().map(Vec::len), Some(18), "one request each 5 s");
    });
}

#[test]
fn an_abrupt_end_is_told_and_needs_no_answer() {
    for_seeds(1, |sim| {
        let (a, b, at_a, at_b) = pair(sim);
        sim.with(a, |endpoint, now| endpoint.abort(now, at_a));
        assert_eq!((sim.closed(a, at_a), sim.session_count(a)), (Some(CloseReason::Near), 0));
        sim.run_for(Duration::from_millis(100));
        assert_eq!((sim.closed(b, at_b), sim.session_count(b)), (Some(CloseReason::FarAbrupt), 0));
    });
}

#[test]
fn a_far_end_that_vanished_is_noticed() {
    for_seeds(1, |sim| {
        let (a, b, at_a, _) = pair(sim);
        sim.get_mut(b).is_dead = true;
        // `Config::silence_limit` of a peer is 60 s; the last packet came two seconds ago.
        sim.run_for(Duration::from_millis(57_900));
        assert_eq!(sim.closed(a, at_a), None);
        sim.run_for(Duration::from_millis(200));
        assert_eq!((sim.closed(a, at_a), sim.session_count(a)), (Some(CloseReason::Silence), 0));
    });
}

#[test]
fn ends_with_data_under_way_leave_nothing_behind() {
    for_seeds(30, |sim| {
        let (a, b, at_a, at_b) = pair(sim);
        let (there, back) = (sim.open_flow(a, b, b""), sim.open_flow(b, a, b""));
        sim.send(a, b, there, &[1; 200_000]);
        sim.send(b, a, back, &[2; 200_000]);
        let until = sim.dice.below(500);
        sim.run_for(Duration::from_millis(until));
        match sim.dice.below(3) {
            0 => sim.with(a, |endpoint, now| endpoint.close(now, at_a)),
            1 => sim.with(b, |endpoint, now| endpoint.close_all(now)),
            _ => sim.with(a, |endpoint, now| endpoint.abort_all(now)),
        }
        sim.run_for(Duration::from_secs(20));
        assert!(sim.closed(a, at_a).is_some() && sim.closed(b, at_b).is_some());
        assert_eq!((sim.session_count(a), sim.session_count(b)), (0, 0));
        assert_eq!((sim.get(a).wake, sim.get(b).wake), (None, None), "nothing is left to wake up for");
    });
}
