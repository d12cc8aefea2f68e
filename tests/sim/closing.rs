//! Sessions end, in every way, and leave nothing behind (RFC 7016 §3.5.5).

use std::time::Duration;

use rtmfp::{CloseReason, SessionId};

use crate::network::{NodeId, Sim, for_seeds};

fn pair(sim: &mut Sim) -> (NodeId, NodeId, SessionId, SessionId) {
    let (a, b) = (sim.peer(), sim.peer());
    let (at_a, at_b) = sim.connect(a, b);
    // The initiator's first ping and its reply are over.
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
fn a_close_without_an_answer_ends_after_90_seconds() {
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

#[test]
fn of_two_that_close_at_once_one_whose_answer_is_lost_ends_by_its_timeout() {
    for_seeds(1, |sim| {
        let (a, b, at_a, at_b) = pair(sim);
        let (from_b, mut sent) = (sim.address(b), 0);
        // The request of b arrives, and its answer to a's is lost; when a repeats its request, b's session is gone.
        sim.filter(move |packet| {
            sent += u32::from(packet.from == from_b);
            packet.from != from_b || sent == 1
        });
        sim.with(a, |endpoint, now| endpoint.close(now, at_a));
        sim.with(b, |endpoint, now| endpoint.close(now, at_b));
        sim.run_for(Duration::from_millis(100));
        assert_eq!((sim.session_count(a), sim.session_count(b)), (1, 0), "S_NEARCLOSE and S_CLOSED");
        sim.run_for(Duration::from_millis(89_800));
        assert_eq!(sim.session_count(a), 1);
        sim.run_for(Duration::from_millis(200));
        assert_eq!((sim.session_count(a), sim.get(a).wake), (0, None));
        assert_eq!((sim.closed(a, at_a), sim.closed(b, at_b)), (Some(CloseReason::Near), Some(CloseReason::Near)));
    });
}

#[test]
fn an_end_that_lingers_takes_no_data_and_answers_each_request() {
    for_seeds(5, |sim| {
        let (a, b, at_a, at_b) = pair(sim);
        let flow = sim.open_flow(b, a, b"");
        sim.send(b, a, flow, &[1; 300_000]);
        sim.run_for(Duration::from_millis(200));
        let from_b = sim.address(b);
        // Everything that b sends is lost from now on.
        sim.filter(move |packet| packet.from != from_b);
        sim.with(a, |endpoint, now| endpoint.close(now, at_a));
        sim.run_for(Duration::from_secs(1));
        assert_eq!(sim.closed(b, at_b), Some(CloseReason::Far));
        let send = |sim: &mut Sim| {
            sim.with(b, |endpoint, now| endpoint.send(now, at_b, flow, b"more", rtmfp::flow::Delivery::default()))
        };
        // RFC 7016 §3.5.5: flows exist only in open sessions.
        assert_eq!(send(sim), Err(rtmfp::flow::FlowError::NoSession));
        sim.recorded = Some(Vec::new());
        sim.run_for(Duration::from_millis(17_900));
        let packets = sim.recorded.take().unwrap_or_default();
        let answers = packets.iter().filter(|packet| packet.from == from_b).count();
        assert_eq!((packets.len(), answers), (6, 3), "three requests in 19 s, each answered, and no data");
        sim.run_for(Duration::from_secs(1));
        assert_eq!((sim.session_count(a), sim.session_count(b)), (1, 0), "S_NEARCLOSE and S_CLOSED");
        sim.run_for(Duration::from_secs(71));
        assert_eq!((sim.session_count(a), sim.get(a).wake), (0, None));
    });
}

#[test]
fn closes_on_a_lossy_path_during_heavy_data_end_both_sides_in_time() {
    for_seeds(100, |sim| {
        let (a, b, at_a, at_b) = pair(sim);
        let loss = sim.dice.below(40) as f64 / 100.0;
        sim.all_links(crate::network::Link::default().loss(loss).jitter(40).duplicate(0.1).reorder(0.1));
        for (from, to) in [(a, b), (b, a)] {
            let flow = sim.open_flow(from, to, b"");
            sim.send(from, to, flow, &[1; 300_000]);
        }
        let until = sim.dice.below(2000);
        sim.run_for(Duration::from_millis(until));
        sim.with(a, |endpoint, now| endpoint.close(now, at_a));
        if sim.dice.chance(0.5) {
            let later = sim.dice.below(100);
            sim.run_for(Duration::from_millis(later));
            sim.with(b, |endpoint, now| endpoint.close(now, at_b));
        }
        // S_NEARCLOSE lasts 90 s at most, and S_FARCLOSE_LINGER 19 s after the last request at the latest.
        sim.run_for(Duration::from_secs(110));
        assert_eq!(sim.closed(a, at_a), Some(CloseReason::Near));
        assert!(matches!(sim.closed(b, at_b), Some(CloseReason::Far | CloseReason::Near)), "{:?}", sim.closed(b, at_b));
        assert_eq!((sim.session_count(a), sim.session_count(b)), (0, 0));
        assert_eq!((sim.get(a).wake, sim.get(b).wake), (None, None), "nothing is left to wake up for");
    });
}

#[test]
fn an_attempt_that_is_given_up_leaves_nothing_behind() {
    for_seeds(20, |sim| {
        let (a, b) = (sim.peer(), sim.peer());
        let id = sim.open(a, b);
        let until = sim.dice.below(70);
        sim.run_for(Duration::from_millis(until));
        sim.with(a, |endpoint, now| endpoint.close(now, id));
        assert_eq!(sim.failure(a, id), Some(rtmfp::OpenFailure::Aborted));
        // The responder may have opened a session: it ends by its silence limit of 60 s.
        sim.run_for(Duration::from_secs(62));
        assert_eq!((sim.session_count(a), sim.session_count(b)), (0, 0));
        assert_eq!((sim.get(a).wake, sim.get(b).wake), (None, None), "nothing is left to wake up for");
    });
}
