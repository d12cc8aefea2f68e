//! Members that announce themselves on the local network.

use std::net::SocketAddr;

use super::*;

fn at(host: u8) -> SocketAddr {
    ([192, 0, 2, host], 1936).into()
}

fn reported(host: u8) -> TaggedAddress {
    TaggedAddress::new(at(host), Origin::Reported)
}

fn peer(number: u32) -> PeerId {
    let mut id = [0x55; 32];
    id[..4].copy_from_slice(&number.to_be_bytes());
    PeerId(id)
}

fn fresh(now: Instant) -> Member {
    Member::new(now, &spec("g"), A, [1; 32])
}

#[test]
fn one_that_announces_itself_is_connected_to_at_its_address_once() {
    let now = Instant::now();
    let mut member = fresh(now);
    member.on_announced(now, B, at(2));
    assert_eq!(outputs(&mut member), [Output::Connect { peer: B, addresses: vec![reported(2)] }]);
    (0..100).for_each(|_| member.on_announced(now, B, at(2)));
    assert!(outputs(&mut member).is_empty(), "it is being connected to");
    // It does not answer. Announcing itself again changes nothing until it is time for another attempt.
    member.on_open_failed(now, B);
    outputs(&mut member);
    (0..100).for_each(|second| member.on_announced(now + Duration::from_millis(99 * second), B, at(2)));
    assert!(outputs(&mut member).is_empty());
    member.on_announced(now + Duration::from_secs(10), B, at(2));
    assert_eq!(outputs(&mut member).len(), 1);
    // This end itself is nobody to connect to.
    member.on_announced(now, A, at(1));
    assert!(outputs(&mut member).is_empty() && member.known.get(&A).is_none());
}

#[test]
fn the_addresses_of_a_member_are_few_and_what_neighbours_have_seen_is_kept() {
    let now = Instant::now();
    let mut member = fresh(now);
    member.heard_directly(now, B, Some(at(1)));
    member.on_announced(now, B, at(1));
    let observed = TaggedAddress::new(at(1), Origin::Observed);
    assert_eq!(*member.known.get(&B).unwrap().addresses, [observed]);
    member.on_announced(now, B, at(2));
    assert_eq!(*member.known.get(&B).unwrap().addresses, [reported(2), observed]);
    (3..100).for_each(|host| member.on_announced(now, B, at(host)));
    let known = member.known.get(&B).unwrap();
    assert_eq!((known.addresses.len(), known.addresses[0]), (8, reported(99)));
    // It is heard, and so not forgotten.
    let later = now + FORGOTTEN;
    member.on_announced(later, B, at(99));
    member.known.expire(later + FORGOTTEN, |_| false);
    assert!(member.known.get(&B).is_some());
}

#[test]
fn with_enough_neighbours_a_member_only_remembers_who_is_there() {
    let now = Instant::now();
    let mut member = fresh(now);
    let room = target_neighbors(0) as u32;
    (0..room + 5).for_each(|number| member.on_announced(now, peer(number), at(2)));
    let connects = outputs(&mut member).iter().filter(|output| matches!(output, Output::Connect { .. })).count();
    assert_eq!(connects, room as usize);
    assert!(member.known.get(&peer(room + 4)).is_some());
}

#[test]
fn a_member_that_makes_others_up_takes_no_room_from_them() {
    let now = Instant::now();
    let mut member = neighbors(now);
    for number in 0..10_000 {
        member.on_announced(now, peer(number), at(2));
    }
    // B is there as well.
    assert_eq!(member.known.ring().len(), 64 + 1);
    assert_eq!(member.take_counters().members_ignored, 10_000 - 64);
    assert_eq!(member.neighbor_count(), 1);
    // They are not named as introducers of anybody, since only neighbours are asked.
    assert!(member.introducers(&peer(9_999)).all(|namer| namer == A));
    // When there is no room at all, no more are heard.
    let mut full = fresh(now);
    for number in 0..2 * MAX_KNOWN as u32 {
        full.hear(now, peer(number), now, &[]);
    }
    full.on_announced(now, B, at(2));
    assert!(full.known.get(&B).is_none());
    full.on_announced(now, peer(1), at(2));
    assert_eq!(*full.known.get(&peer(1)).unwrap().addresses, [reported(2)]);
}

#[test]
fn the_addresses_of_the_local_network_are_not_told_to_others() {
    let now = Instant::now();
    let mut member = neighbors(now);
    let c = peer(1);
    member.on_announced(now, c, at(3));
    outputs(&mut member);
    member.on_message(now, B, flow_type::CONTROL, &[0x0e]);
    let reports = outputs(&mut member);
    let report = reports.iter().find_map(|output| match output {
        Output::Send { message, .. } => match ControlMessage::read(message) {
            Ok(ControlMessage::Report(report)) => Some(report),
            _ => None,
        },
        _ => None,
    });
    let entry = report.unwrap().entries.into_iter().find(|entry| entry.peer == c).unwrap();
    assert!(entry.addresses.is_empty(), "{entry:?}");
}
