//! Two ends that open to each other at once share one session (RFC 7016 §3.5.1.3, RFC 7425 §4.3.6).

use std::time::Duration;

use rtmfp::OpenFailure;

use crate::network::{Link, NodeId, Sim, for_seeds};

/// In the end there is one session, and both ends know it. The other attempts ended as duplicates.
fn assert_one_session(sim: &mut Sim, a: NodeId, b: NodeId, others: usize) {
    sim.run_until(|sim| sim.is_connected(a, b));
    sim.run_for(Duration::from_secs(130));
    assert!(sim.is_connected(a, b));
    assert_eq!((sim.session_count(a), sim.session_count(b)), (1 + others, 1 + others));
    let flow = sim.open_flow(a, b, b"");
    sim.send(a, b, flow, b"one");
    let flow = sim.open_flow(b, a, b"");
    sim.send(b, a, flow, b"another");
    sim.run_until(|sim| sim.messages(b) == [b"one"] && sim.messages(a) == [b"another"]);
}

#[test]
fn whichever_end_is_first_there_is_one_session() {
    for_seeds(200, |sim| {
        sim.all_links(Link::default().jitter(30));
        let (a, b) = (sim.peer(), sim.peer());
        let at_a = sim.open(a, b);
        let head_start = sim.dice.below(100);
        sim.run_for(Duration::from_millis(head_start));
        let at_b = sim.open(b, a);
        assert_one_session(sim, a, b, 0);
        assert_eq!((sim.times_opened(a), sim.times_opened(b)), (1, 1));
        let failed = [sim.failure(a, at_a), sim.failure(b, at_b)];
        assert!(matches!(failed, [Some(OpenFailure::Duplicate(_)), None] | [None, Some(OpenFailure::Duplicate(_))]));
    });
}

#[test]
fn slow_keying_and_lossy_paths_make_no_second_session() {
    for_seeds(300, |sim| {
        sim.all_links(Link::default().jitter(60).loss(0.2).duplicate(0.1));
        let (a, b) = (sim.peer(), sim.peer());
        for node in [a, b] {
            sim.get_mut(node).keying_delay = Duration::from_millis(sim.dice.below(1000));
        }
        sim.open(a, b);
        let head_start = sim.dice.below(3000);
        sim.run_for(Duration::from_millis(head_start));
        sim.open(b, a);
        assert_one_session(sim, a, b, 0);
    });
}

#[test]
fn peers_introduced_to_each_other_at_once_share_one_session() {
    for_seeds(100, |sim| {
        let (server, a, b) = (sim.server(), sim.peer_behind_nat(), sim.peer_behind_nat());
        sim.connect(a, server);
        sim.connect(b, server);
        sim.all_links(Link::default().jitter(80).loss(0.1));
        for node in [a, b] {
            sim.get_mut(node).keying_delay = Duration::from_millis(sim.dice.below(100));
        }
        let by = sim.address(server);
        sim.open_by(a, b, &[by]);
        let head_start = sim.dice.below(200);
        sim.run_for(Duration::from_millis(head_start));
        sim.open_by(b, a, &[by]);
        assert_one_session(sim, a, b, 1);
    });
}

#[test]
fn an_answer_still_being_computed_yields_to_an_attempt_begun_meanwhile() {
    for_seeds(60, |sim| {
        let (a, b) = (sim.peer(), sim.peer());
        sim.get_mut(a).keying_delay = Duration::from_secs(2);
        sim.open(b, a);
        sim.run_for(Duration::from_millis(70));
        assert_eq!(sim.get(a).keying_jobs, 1, "the answer to the keying");
        sim.get_mut(a).keying_delay = Duration::ZERO;
        sim.open(a, b);
        assert_one_session(sim, a, b, 0);
    });
}
