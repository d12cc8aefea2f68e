//! Upkeep: whom a member wants, seeks, remembers and asks to close, and how soon.

use super::*;
use crate::member::link::{Link, Phase};
use crate::member::upkeep::ASK_INTERVAL;

fn peer(number: u16) -> PeerId {
    let mut id = [0x77; 32];
    id[..2].copy_from_slice(&number.to_be_bytes());
    PeerId(id)
}

fn alone(now: Instant) -> Member {
    Member::new(now, &spec("g"), A, [1; 32])
}

/// A member that knows the peer, with which its link is in this phase.
fn with_link(now: Instant, peer: PeerId, phase: Option<Phase>) -> Member {
    let mut member = alone(now);
    member.known.hear(peer, now, &[]);
    if let Some(phase) = phase {
        member.on_session(now, facts(peer, 1, 2));
        member.links.get_mut(&peer).unwrap().enter(phase, now);
    }
    outputs(&mut member);
    member
}

#[test]
fn upkeep_is_hastened_and_never_put_off() {
    let now = Instant::now();
    let (soon, later) = (now + Duration::from_secs(1), now + Duration::from_secs(5));
    let half = now + Duration::from_millis(500);
    for (due, links, expected) in [(later, 2, soon), (later, 3, later), (later, 4, later), (half, 2, half)] {
        let mut member = alone(now);
        member.target = 3;
        (0..links).for_each(|number| {
            member.links.insert(peer(number), Link::opening(now));
        });
        member.next_upkeep = due;
        member.soon(now);
        assert_eq!(member.next_upkeep - now, expected - now, "{links}");
    }
}

#[test]
fn neighbours_are_wanted_and_others_if_they_can_be_reached_and_were_not_refused() {
    let now = Instant::now();
    for (phase, is_reachable, is_wanted) in [
        (None, true, true),
        (None, false, false),
        (Some(Phase::Idle), true, true),
        (Some(Phase::Idle), false, false),
        (Some(Phase::Neighbor), true, true),
        (Some(Phase::Neighbor), false, true),
        (Some(Phase::Refused), true, false),
        (Some(Phase::Refused), false, false),
    ] {
        let mut member = with_link(now, B, phase);
        if !is_reachable {
            member.known.failed(&B, now);
        }
        // As upkeep does, but for the news that a neighbour is alive.
        member.choose(now);
        assert_eq!(member.best.contains(&B), is_wanted, "{phase:?} {is_reachable}");
    }
}

#[test]
fn only_those_that_are_wanted_and_have_no_link_yet_are_connected_to() {
    let now = Instant::now();
    let asks = |phase| {
        let mut member = with_link(now, B, phase);
        member.best = vec![B];
        member.connect(now);
        let said = outputs(&mut member);
        let connects = said.iter().any(|output| matches!(output, Output::Connect { .. }));
        (connects, said.iter().any(|output| matches!(output, Output::Send { .. })))
    };
    assert_eq!(asks(None), (true, false));
    assert_eq!(asks(Some(Phase::Idle)), (false, true), "on the session that there is");
    for phase in [Phase::Opening, Phase::Asked, Phase::Neighbor, Phase::Refused] {
        assert_eq!(asks(Some(phase)), (false, false), "{phase:?}");
    }
}

#[test]
fn the_same_neighbour_is_asked_to_close_each_ninety_seconds() {
    let now = Instant::now();
    let mut member = with_link(now, B, Some(Phase::Neighbor));
    let mut asked_at = |millis: u64| {
        member.ask_to_close(now + Duration::from_millis(millis));
        outputs(&mut member).len()
    };
    let interval = ASK_INTERVAL.as_millis() as u64;
    assert_eq!([asked_at(interval - 1), asked_at(interval), asked_at(interval)], [0, 1, 0]);
    assert_eq!([asked_at(2 * interval - 1), asked_at(2 * interval)], [0, 1]);
}

#[test]
fn a_neighbour_is_remembered_however_many_others_are_known() {
    let start = Instant::now();
    let mut member = with_link(start, B, Some(Phase::Neighbor));
    let due = member.poll_timeout();
    // As many as are kept, heard at the same moment, and each with an identity that comes after that of the neighbour.
    for number in 0..300 {
        member.known.hear(peer(0x0c00 + number), due, &[]);
    }
    member.handle_timeout(due);
    assert!(member.known.get(&B).is_some());
    assert_eq!(member.known.ring().len(), crate::member::known::MAX_KNOWN);
}

#[test]
fn a_report_names_neighbours_and_members_that_can_be_reached() {
    let now = Instant::now();
    for (phase, is_named) in [(Phase::Neighbor, true), (Phase::Idle, false), (Phase::Refused, false)] {
        let mut member = neighbors(now);
        let other = peer(1);
        member.known.hear(other, now, &[]);
        member.on_session(now, facts(other, 1, 2));
        member.links.get_mut(&other).unwrap().enter(phase, now);
        member.known.failed(&other, now);
        outputs(&mut member);
        member.report_to(now, B);
        let Output::Send { message, .. } = &outputs(&mut member)[0] else { panic!("no report") };
        let Ok(ControlMessage::Report(report)) = ControlMessage::read(message) else { panic!("no report") };
        assert_eq!(report.entries.iter().any(|entry| entry.peer == other), is_named, "{phase:?}");
    }
}
