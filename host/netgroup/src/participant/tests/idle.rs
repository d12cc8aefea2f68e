//! Sessions that this end opened for a group, and that no group uses any more.

use rtmfp::SessionId;

use super::*;

/// Node 0 has opened a session to node 1. Whether that was for a group is as given.
fn with_session(is_own: bool) -> (Network, SessionId) {
    let mut network = Network::of(2);
    network.open(0, 1);
    let far = network.id(1);
    let node = network.node(0);
    let session = node.endpoint.session_of(&far).unwrap();
    node.participant.sessions.get_mut(&session).unwrap().is_own = is_own;
    (network, session)
}

/// Idle sessions are looked for at this time.
fn check(network: &mut Network, now: Instant) {
    network.now = now;
    network.node(0).participant.next_idle_check = Some(now);
    network.with(0, |groups, context| groups.handle_timeout(context));
    network.settle();
}

fn is_open(network: &mut Network, session: SessionId) -> bool {
    network.node(0).participant.sessions.contains_key(&session)
}

#[test]
fn an_idle_session_is_closed_after_a_minute_and_looked_at_every_ten_seconds() {
    let (mut network, session) = with_session(true);
    let first = network.now + IDLE_CHECK;
    check(&mut network, first);
    assert_eq!(network.node(0).participant.sessions[&session].idle_since, Some(first));
    assert_eq!(network.node(0).participant.next_idle_check, Some(first + IDLE_CHECK));
    check(&mut network, first + IDLE_TIMEOUT - Duration::from_millis(1));
    assert!(is_open(&mut network, session));
    check(&mut network, first + IDLE_TIMEOUT);
    network.run_for(Duration::from_secs(5));
    assert!(!is_open(&mut network, session));
}

#[test]
fn nothing_is_looked_for_before_it_is_due() {
    let (mut network, session) = with_session(true);
    let now = network.now;
    let due = Some(now + IDLE_CHECK);
    network.node(0).participant.next_idle_check = due;
    network.with(0, |groups, context| groups.handle_timeout(context));
    let participant = &network.node(0).participant;
    assert_eq!((participant.sessions[&session].idle_since, participant.next_idle_check), (None, due));
}

#[test]
fn sessions_that_serve_something_else_are_left_alone() {
    let (mut network, session) = with_session(false);
    let first = network.now + IDLE_CHECK;
    for later in [Duration::ZERO, 2 * IDLE_TIMEOUT] {
        check(&mut network, first + later);
        assert!(is_open(&mut network, session));
        assert_eq!(network.node(0).participant.next_idle_check, None, "there is nothing to look for");
    }
}

#[test]
fn a_session_that_a_group_uses_again_is_idle_no_more() {
    let (mut network, session) = with_session(true);
    let first = network.now + IDLE_CHECK;
    check(&mut network, first);
    let group = spec("again");
    (0..2).for_each(|number| assert!(network.with(number, |groups, context| groups.join(context, &group))));
    network.add_neighbor(0, 1, &group);
    check(&mut network, first + IDLE_TIMEOUT);
    assert_eq!(network.node(0).participant.sessions[&session].idle_since, None);
    network.with(0, |groups, context| groups.leave(context, &group.digest()));
    let idle = first + 2 * IDLE_TIMEOUT;
    check(&mut network, idle);
    assert_eq!(network.node(0).participant.sessions[&session].idle_since, Some(idle), "the minute begins again");
}

#[test]
fn the_first_session_for_a_group_begins_the_checks_and_no_other_puts_them_off() {
    let group = spec("checks");
    let mut network = Network::chain(3, &group);
    let due = |network: &mut Network, number| network.node(number).participant.next_idle_check;
    assert_eq!([0, 1, 2].map(|number| due(&mut network, number)), [None; 3], "no group has asked for these");
    // A participant opens two sessions of its own, one after the other.
    let mut network = Network::of(3);
    let mut checks = Vec::new();
    for far in [1, 2] {
        let (now, id) = (network.now, network.id(far));
        let node = network.node(0);
        let epd = Epd::fingerprint(id).to_vec();
        let session = node.endpoint.open(now, epd, &[(ONLY, address(far))]).unwrap();
        let until = now + Duration::from_secs(30);
        node.participant.opening.insert(session, super::super::state::Opening { peer: id, until });
        network.settle();
        checks.push((now, due(&mut network, 0)));
        network.now += Duration::from_secs(1);
    }
    let first = checks[0].0 + IDLE_CHECK;
    assert_eq!([checks[0].1, checks[1].1], [Some(first); 2]);
}
