//! Directed messages, and the part of the ring that a member covers.

use super::*;
use crate::member::MAX_DIRECTED;
use crate::ring::GroupAddress;

/// A member whose neighbours have these numbers.
fn with_neighbors(now: Instant, numbers: &[u8]) -> Member {
    let mut member = Member::new(now, &spec("g"), A, [1; 32]);
    for number in numbers {
        let peer = PeerId([*number; 32]);
        member.on_session(now, facts(peer, 1, 2));
        member.on_message(now, peer, flow_type::CONTROL, &ControlMessage::Connect(right()).write());
    }
    outputs(&mut member);
    member
}

/// Who gets which directed message.
fn directed(member: &mut Member) -> Vec<(PeerId, Vec<u8>)> {
    let sent = |output| match output {
        Output::Send { peer, flow_type: flow_type::DIRECTED, message } => Some((peer, message)),
        _ => None,
    };
    outputs(member).into_iter().filter_map(sent).collect()
}

const VALUE: &[u8] = b"\x02\x00\x01x";
const SENT: &[u8] = b"\x01\x02\x00\x01x";

#[test]
fn a_message_goes_to_the_neighbour_nearest_to_an_address_or_to_oneself() {
    let now = Instant::now();
    let numbers = [1, 2, 3, 4, 5, 6];
    let mut member = with_neighbors(now, &numbers);
    let mut places: Vec<_> = numbers.map(|number| PeerId([number; 32])).to_vec();
    places.push(A);
    for number in 0..200u8 {
        let address = GroupAddress::of(&PeerId([0x33 ^ number; 32]));
        let nearest = *places.iter().min_by_key(|peer| GroupAddress::of(peer).distance(address)).unwrap();
        assert_eq!(member.send_to_nearest(address, VALUE), Sent::Sent);
        if nearest == A {
            let own = GroupEvent::Directed { from: GroupAddress::of(&A), is_local: true, value: VALUE.to_vec() };
            assert_eq!(outputs(&mut member), [Output::Event(own)]);
        } else {
            assert_eq!(directed(&mut member), [(nearest, SENT.to_vec())]);
        }
    }
    let mut alone = with_neighbors(now, &[]);
    assert_eq!(alone.send_to_nearest(GroupAddress([7; 32]), VALUE), Sent::Sent);
    assert!(matches!(outputs(&mut alone)[..], [Output::Event(GroupEvent::Directed { is_local: true, .. })]));
}

#[test]
fn a_message_goes_to_the_next_neighbour_or_to_all() {
    let now = Instant::now();
    let numbers = [1, 2, 3, 4, 5, 6];
    let mut member = with_neighbors(now, &numbers);
    let mut ring: Vec<_> = numbers.map(|number| PeerId([number; 32])).to_vec();
    ring.push(A);
    ring.sort_by_key(GroupAddress::of);
    let own = ring.iter().position(|peer| *peer == A).unwrap();
    for (direction, step) in [(Direction::Increasing, 1), (Direction::Decreasing, ring.len() - 1)] {
        assert_eq!(member.send_to_neighbor(direction, VALUE), Sent::Sent);
        assert_eq!(directed(&mut member), [(ring[(own + step) % ring.len()], SENT.to_vec())]);
    }
    assert_eq!(member.send_to_all_neighbors(VALUE), Sent::Sent);
    assert_eq!(directed(&mut member).len(), 6);
    let mut alone = with_neighbors(now, &[]);
    assert_eq!(alone.send_to_neighbor(Direction::Increasing, VALUE), Sent::NoRoute);
    assert_eq!(alone.send_to_all_neighbors(VALUE), Sent::NoRoute);
    let long = vec![0; MAX_DIRECTED + 1];
    assert_eq!(member.send_to_all_neighbors(&long), Sent::TooLong);
    assert_eq!(member.send_to_neighbor(Direction::Decreasing, &long), Sent::TooLong);
    assert_eq!(member.send_to_nearest(GroupAddress([7; 32]), &long), Sent::TooLong);
    assert!(outputs(&mut member).is_empty());
}

#[test]
fn directed_messages_of_neighbours_are_taken_and_of_others_not() {
    let now = Instant::now();
    let mut member = neighbors(now);
    member.on_message(now, B, flow_type::DIRECTED, SENT);
    let event = GroupEvent::Directed { from: GroupAddress::of(&B), is_local: false, value: VALUE.to_vec() };
    assert_eq!(outputs(&mut member), [Output::Event(event)]);
    // Another kind, and one that is too long.
    for message in [&[][..], b"\x02x", &[&[1][..], &vec![0; MAX_DIRECTED + 1]].concat()] {
        member.on_message(now, B, flow_type::DIRECTED, message);
    }
    assert!(outputs(&mut member).is_empty());
    assert_eq!(member.take_counters().directed_dropped, 3);
    let mut stranger = Member::new(now, &spec("g"), A, [1; 32]);
    stranger.on_session(now, facts(B, 1, 2));
    stranger.on_message(now, B, flow_type::DIRECTED, SENT);
    assert!(outputs(&mut stranger).is_empty());
}

#[test]
fn a_neighbour_sends_directed_messages_at_a_bounded_rate_and_others_are_unharmed() {
    let start = Instant::now();
    for (value, most) in [(vec![0; 10], 512 + 500 * 10), (vec![0; MAX_DIRECTED], (4 + 2 * 10) * 16)] {
        let mut member = with_neighbors(start, &[1, 2]);
        let message = [&[1][..], &value].concat();
        let (mut taken, mut honest) = (0, 0);
        for step in 0..1000u64 {
            let now = start + Duration::from_millis(step * 10);
            for _ in 0..20 {
                member.on_message(now, PeerId([1; 32]), flow_type::DIRECTED, &message);
            }
            taken += outputs(&mut member).len();
            member.on_message(now, PeerId([2; 32]), flow_type::DIRECTED, SENT);
            honest += outputs(&mut member).len();
        }
        assert!((most * 9 / 10..=most).contains(&taken), "{taken}");
        assert_eq!(honest, 1000);
        assert_eq!(member.take_counters().directed_dropped, 20_000 - taken as u64);
    }
}

#[test]
fn members_cover_the_ring_without_gap_or_overlap() {
    let now = Instant::now();
    let all: Vec<PeerId> = (1..=6).map(|number| PeerId([number; 32])).chain([A]).collect();
    let mut covered: Vec<_> = all
        .iter()
        .map(|own| {
            let mut member = with_neighbors(now, &[]);
            member.near = *own;
            member.place = GroupAddress::of(own);
            for other in all.iter().filter(|other| *other != own) {
                let mut connect = right();
                connect.receiver = *own;
                member.on_session(now, facts(*other, 1, 2));
                member.on_message(now, *other, flow_type::CONTROL, &ControlMessage::Connect(connect).write());
            }
            let (from, to) = member.local_coverage();
            assert!(from.way_to(member.place) < from.way_to(to), "it covers itself");
            (from, to)
        })
        .collect();
    covered.sort();
    for at in 0..covered.len() {
        assert_eq!(covered[at].1.next(), covered[(at + 1) % covered.len()].0);
    }
    let (from, to) = with_neighbors(now, &[]).local_coverage();
    assert_eq!((from, to.next()), (GroupAddress::of(&A), from), "the whole ring");
}

#[test]
fn a_change_of_the_coverage_is_told_once_in_a_while() {
    let start = Instant::now();
    let mut member = Member::new(start, &spec("g"), A, [1; 32]);
    let told = |member: &mut Member, now: Instant| {
        member.handle_timeout(now);
        outputs(member).iter().filter(|output| **output == Output::Event(GroupEvent::LocalCoverage)).count()
    };
    let comes = |member: &mut Member, now, number| {
        member.on_session(now, facts(PeerId([number; 32]), 1, 2));
        member.on_message(now, PeerId([number; 32]), flow_type::CONTROL, &ControlMessage::Connect(right()).write());
        outputs(member);
    };
    comes(&mut member, start, 1);
    assert_eq!(member.poll_timeout(), start);
    assert_eq!((told(&mut member, start), told(&mut member, start)), (1, 0));
    // Many changes within a second are one, and one that is undone is none.
    for number in 2..30 {
        comes(&mut member, start, number);
    }
    let later = start + Duration::from_secs(1);
    assert_eq!((told(&mut member, start), member.poll_timeout(), told(&mut member, later)), (0, later, 1));
    comes(&mut member, later, 30);
    member.on_session_closed(later, PeerId([30; 32]));
    outputs(&mut member);
    assert_eq!(told(&mut member, later + Duration::from_secs(1)), 0);
}
