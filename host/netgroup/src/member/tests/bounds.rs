//! A member with many peers: whom it admits, keeps, connects to and releases.

use super::*;
use crate::member::admission::{GUEST_STAY, MAX_GUESTS, MAX_LINKS};
use crate::member::upkeep::{ADMISSION_TIMEOUT, ASK_INTERVAL, OPENING_TIMEOUT};
use crate::ring::{GroupAddress, Ring};

fn peer(number: u16) -> PeerId {
    let mut id = [0x77; 32];
    id[..2].copy_from_slice(&number.to_be_bytes());
    PeerId(id)
}

/// A session with the peer opens, and the peer proves that it is a member.
fn comes(member: &mut Member, now: Instant, peer: PeerId) {
    member.on_session(now, facts(peer, 1, 2));
    member.on_message(now, peer, flow_type::CONTROL, &ControlMessage::Connect(right()).write());
}

/// A member with so many neighbours, and the peers `peer(0)` and on.
fn crowded(now: Instant, count: u16) -> Member {
    let mut member = Member::new(now, &spec("g"), A, [1; 32]);
    (0..count).for_each(|number| comes(&mut member, now, peer(number)));
    assert_eq!(member.neighbor_count(), usize::from(count));
    outputs(&mut member);
    member
}

/// Peers that are not among the first `count`, nor next on the ring to A if these are its neighbours; and then the others.
fn others(count: u16) -> (Vec<PeerId>, Vec<PeerId>) {
    (count..count + 500).map(peer).partition(|other| {
        let mut ring = Ring::default();
        for member in (0..count).map(peer).chain([*other]) {
            ring.insert(member, ());
        }
        let place = GroupAddress::of(&A);
        !ring.after(place).take(3).chain(ring.before(place).take(3)).any(|next| next.peer == *other)
    })
}

fn connected(outputs: &[Output]) -> Vec<PeerId> {
    let peer = |output: &Output| match output {
        Output::Connect { peer, .. } => Some(*peer),
        _ => None,
    };
    outputs.iter().filter_map(peer).collect()
}

fn asked_to_close(outputs: &[Output]) -> Vec<PeerId> {
    let peer = |output: &Output| match output {
        Output::Send { peer, message, .. } if message[..] == [0x0c] => Some(*peer),
        _ => None,
    };
    outputs.iter().filter_map(peer).collect()
}

#[test]
fn neighbours_are_bounded() {
    let now = Instant::now();
    let mut member = crowded(now, MAX_NEIGHBORS as u16);
    member.best = member.neighbors().collect();
    let guests = others(MAX_NEIGHBORS as u16).0;
    for guest in &guests[..MAX_GUESTS] {
        comes(&mut member, now, *guest);
    }
    outputs(&mut member);
    assert_eq!(member.neighbor_count(), MAX_NEIGHBORS + MAX_GUESTS);
    let far = guests[MAX_GUESTS];
    comes(&mut member, now, far);
    let refused = Output::Event(GroupEvent::Refused { peer: far, reason: Refusal::TooMany });
    assert_eq!(outputs(&mut member), [Output::Release(far), refused]);
    assert_eq!(member.neighbor_count(), MAX_NEIGHBORS + MAX_GUESTS);
    // When there is room, it may come in the same session.
    member.on_session_closed(now, peer(0));
    member.on_message(now, far, flow_type::CONTROL, &ControlMessage::Connect(right()).write());
    assert!(member.neighbors().any(|neighbor| neighbor == far));
    // Those that are not wanted are released when they have had time to learn of others, the newest first.
    member.release_guests(now + GUEST_STAY - Duration::from_millis(1));
    assert_eq!(member.neighbor_count(), MAX_NEIGHBORS + MAX_GUESTS);
    let later = now + GUEST_STAY;
    comes(&mut member, later, guests[MAX_GUESTS + 1]);
    member.release_guests(later);
    assert_eq!(member.neighbor_count(), MAX_NEIGHBORS);
    assert!(member.best[1..].iter().all(|wanted| member.uses(wanted)));
}

#[test]
fn an_unwanted_neighbour_makes_room_for_one_that_is_next_on_the_ring_or_permanent() {
    let now = Instant::now();
    let (far, near) = others(MAX_NEIGHBORS as u16);
    for (newcomer, permanent) in [(near[0], false), (far[0], true)] {
        let mut member = crowded(now, MAX_NEIGHBORS as u16);
        let kept = [peer(0), peer(1)];
        member.best = vec![kept[0]];
        member.permanent.insert(kept[1]);
        if permanent {
            member.permanent.insert(newcomer);
        }
        comes(&mut member, now, newcomer);
        assert!(member.neighbors().any(|neighbor| neighbor == newcomer), "{permanent}");
        assert_eq!(member.neighbor_count(), MAX_NEIGHBORS);
        assert!(kept.iter().all(|kept| member.neighbors().any(|neighbor| neighbor == *kept)));
        let released = outputs(&mut member).iter().filter(|output| matches!(output, Output::Release(_))).count();
        assert_eq!(released, 1);
        // If all are wanted, it is a guest.
        let mut member = crowded(now, MAX_NEIGHBORS as u16);
        member.best = member.neighbors().collect();
        member.permanent.extend(permanent.then_some(newcomer));
        comes(&mut member, now, newcomer);
        assert_eq!(member.neighbor_count(), MAX_NEIGHBORS + 1, "{permanent}");
        assert!(!outputs(&mut member).iter().any(|output| matches!(output, Output::Release(_))));
    }
}

#[test]
fn links_are_bounded() {
    let now = Instant::now();
    let mut member = Member::new(now, &spec("g"), A, [1; 32]);
    for number in 0..MAX_LINKS as u16 + 100 {
        member.on_session(now, facts(peer(number), 1, 2));
    }
    assert_eq!(member.links.len(), MAX_LINKS);
    outputs(&mut member);
    // Neither a session nor an attempt goes beyond that; those that are known go on.
    member.add_neighbor(now, B);
    assert_eq!((outputs(&mut member), member.links.len()), (Vec::new(), MAX_LINKS));
    member.on_session(now, facts(peer(0), 3, 4));
    assert_eq!(member.links[&peer(0)].near_nonce, [3; 32]);
    member.on_session_closed(now, peer(0));
    member.on_session(now, facts(B, 1, 2));
    assert!(member.links.contains_key(&B));
}

#[test]
fn hints_are_followed_until_there_are_enough_neighbours() {
    let now = Instant::now();
    let mut member = Member::new(now, &spec("g"), A, [1; 32]);
    for number in 0..40 {
        member.add_member_hint(now, peer(number));
    }
    assert_eq!(connected(&outputs(&mut member)).len(), target_neighbors(0));
    assert_eq!(member.known.ring().len(), 40, "the others are remembered");
    member.add_neighbor(now, B);
    assert_eq!(connected(&outputs(&mut member)), [B], "what is asked for is done");
}

#[test]
fn a_peer_that_asks_to_close_is_released_unless_it_is_wanted() {
    let now = Instant::now();
    for (is_best, is_permanent, room, stays) in
        [(false, false, 0, false), (true, false, 0, true), (false, true, 0, true), (false, false, 3, true)]
    {
        let mut member = crowded(now, 3);
        member.best = (0..room).map(|number| peer(100 + number)).collect();
        if is_best {
            member.best.push(peer(0));
        }
        if is_permanent {
            member.permanent.insert(peer(0));
        }
        member.on_message(now, peer(0), flow_type::CONTROL, &[0x0c]);
        assert_eq!(member.uses(&peer(0)), stays, "{is_best} {is_permanent} {room}");
    }
}

/// What a member does that has more neighbours than it wants.
#[test]
fn unwanted_neighbours_are_asked_to_close_one_at_a_time_and_seldom() {
    let now = Instant::now();
    let mut member = crowded(now, 60);
    let mut asked = Vec::new();
    while member.poll_timeout() < now + ASK_INTERVAL {
        let due = member.poll_timeout();
        member.handle_timeout(due);
        asked.extend(asked_to_close(&outputs(&mut member)));
    }
    assert_eq!(asked, [], "they have just come");
    for _ in 0..6 {
        let due = member.poll_timeout();
        member.handle_timeout(due);
        let now = asked_to_close(&outputs(&mut member));
        assert_eq!(now.len(), 1);
        assert!(!asked.contains(&now[0]) && !member.best.contains(&now[0]));
        asked.extend(now);
    }
    assert!(asked.iter().all(|peer| member.uses(peer)), "they decide");
}

#[test]
fn what_is_asked_for_is_given_up_in_time() {
    let start = Instant::now();
    for (opens, timeout) in [(false, OPENING_TIMEOUT), (true, ADMISSION_TIMEOUT)] {
        for (late, is_over) in [(false, false), (true, true)] {
            let mut member = Member::new(start, &spec("g"), A, [1; 32]);
            member.add_neighbor(start, B);
            if opens {
                member.on_session(start, facts(B, 1, 2));
            }
            let now = start + timeout - if late { Duration::ZERO } else { Duration::from_millis(1) };
            member.handle_timeout(now);
            assert_eq!(member.uses(&B), !is_over, "{opens} {late}");
        }
    }
}

#[test]
fn a_peer_that_has_gone_is_not_tried_again_at_once() {
    let now = Instant::now();
    let mut member = neighbors(now);
    member.on_session_closed(now, B);
    let told = outputs(&mut member);
    assert_eq!(told, [Output::Event(GroupEvent::NeighborDisconnected(B))]);
    assert!(member.poll_timeout() <= now + Duration::from_secs(1), "too few neighbours: upkeep comes soon");
    member.handle_timeout(member.poll_timeout());
    assert_eq!(connected(&outputs(&mut member)), []);
    member.handle_timeout(now + Duration::from_secs(20));
    assert_eq!(connected(&outputs(&mut member)), [B]);
}

#[test]
fn a_new_session_with_a_neighbour_ends_the_old_neighbourhood() {
    let now = Instant::now();
    let mut member = neighbors(now);
    member.on_session(now, facts(B, 1, 2));
    assert_eq!((outputs(&mut member), member.neighbor_count()), (Vec::new(), 1), "the same session");
    member.on_session(now, facts(B, 3, 4));
    assert_eq!(outputs(&mut member), [Output::Event(GroupEvent::NeighborDisconnected(B))]);
    assert_eq!(member.neighbor_count(), 0);
    // A proof for the old session is worth nothing in the new one.
    member.on_message(now, B, flow_type::CONTROL, &ControlMessage::Connect(right()).write());
    assert!(outputs(&mut member).contains(&Output::Event(GroupEvent::Refused { peer: B, reason: Refusal::Proof })));
}

#[test]
fn only_the_end_of_a_control_flow_ends_a_neighbourhood() {
    let now = Instant::now();
    let mut member = neighbors(now);
    for flow_type in [flow_type::POSTING, flow_type::POSTING_KEY, flow_type::STREAM, flow_type::FRAGMENT] {
        member.on_flow_closed(now, B, flow_type);
    }
    assert_eq!((outputs(&mut member), member.neighbor_count()), (Vec::new(), 1));
    member.on_flow_closed(now, B, flow_type::CONTROL);
    assert_eq!(member.neighbor_count(), 0);
}

#[test]
fn one_that_leaves_releases_all() {
    let now = Instant::now();
    let mut member = crowded(now, 3);
    member.add_neighbor(now, B);
    outputs(&mut member);
    member.leave(now);
    let released = outputs(&mut member).iter().filter(|output| matches!(output, Output::Release(_))).count();
    assert_eq!((released, member.neighbor_count(), member.active_links()), (4, 0, 0));
}

#[test]
fn many_permanent_neighbours_are_sought_a_few_at_a_time() {
    let now = Instant::now();
    let mut member = Member::new(now, &spec("g"), A, [1; 32]);
    for number in 0..40 {
        member.set_permanent(now, peer(number), true);
        member.on_open_failed(now, peer(number));
    }
    outputs(&mut member);
    let later = now + Duration::from_secs(30);
    member.handle_timeout(later);
    assert_eq!(connected(&outputs(&mut member)).len(), 16);
    member.handle_timeout(later + Duration::from_secs(12));
    assert_eq!(connected(&outputs(&mut member)), [], "they are still being opened");
}

#[test]
fn a_refused_peer_is_refused_once_and_forgotten() {
    let now = Instant::now();
    let mut member = Member::new(now, &spec("g"), A, [1; 32]);
    member.add_neighbor(now, B);
    member.on_session(now, facts(B, 1, 2));
    member.on_message(now, B, flow_type::CONTROL, &[]);
    let refused = Output::Event(GroupEvent::Refused { peer: B, reason: Refusal::Malformed });
    assert!(outputs(&mut member).contains(&refused));
    assert!(member.known.get(&B).is_none(), "others are not told of it");
    for _ in 0..10 {
        member.on_message(now, B, flow_type::CONTROL, &[]);
    }
    assert_eq!(outputs(&mut member), []);
}

#[test]
fn with_enough_neighbours_there_is_no_hurry() {
    let start = Instant::now();
    let mut member = crowded(start, 40);
    let now = member.poll_timeout();
    member.handle_timeout(now);
    let due = member.poll_timeout();
    member.on_session_closed(now, peer(0));
    assert_eq!(member.poll_timeout(), due);
    for number in 1..40 {
        member.on_session_closed(now, peer(number));
    }
    assert_eq!(member.poll_timeout(), now + Duration::from_secs(1));
}
