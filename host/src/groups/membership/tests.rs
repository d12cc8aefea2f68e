use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::groups::members::MAX_NEWEST;
use introd_netgroup::ring::GroupAddress;

const A: GroupKey = GroupKey([1; 32]);
const B: GroupKey = GroupKey([2; 32]);

fn peer(number: u8) -> PeerId {
    PeerId([number; 32])
}

fn tables() -> Memberships<u32> {
    Memberships::new(64, BootstrapSettings::default(), [7; 32])
}

/// Whether no peer is remembered.
fn is_forgotten(tables: &Memberships<u32>) -> bool {
    tables.joined.iter().all(|part| part.lock().is_empty())
}

#[test]
fn a_session_that_was_replaced_has_nothing_to_leave() {
    let tables = tables();
    assert_eq!(tables.join(A, peer(1), 10), Ok(Joined::New));
    assert_eq!(tables.join(A, peer(1), 11), Ok(Joined::Again));
    assert!(!tables.leave(&A, &peer(1), 10));
    assert_eq!(tables.handle(&A, &peer(1)), Some(11));
    tables.join(B, peer(1), 11).unwrap();
    assert_eq!(tables.groups_of(&peer(1))[..], [A, B]);
    assert!(tables.leave(&A, &peer(1), 11) && tables.leave(&B, &peer(1), 11));
    assert!(tables.is_empty() && is_forgotten(&tables), "nothing is left of the peer");
}

#[test]
fn a_peer_is_in_a_bounded_number_of_groups() {
    let tables = tables();
    let mut accepted = 0;
    for number in 0..10_000u32 {
        let mut group = [0; 32];
        group[..4].copy_from_slice(&number.to_be_bytes());
        match tables.join(GroupKey(group), peer(1), 1) {
            Ok(_) => accepted += 1,
            Err(TooManyGroups) => assert_eq!(accepted, 64),
        }
    }
    assert_eq!((accepted, tables.len(), tables.groups_of(&peer(1)).len()), (64, 64, 64));
    for group in tables.groups_of(&peer(1)).to_vec() {
        assert!(tables.leave(&group, &peer(1), 1));
    }
    assert!(tables.is_empty());
}

#[test]
fn a_member_whose_handle_may_not_be_replaced_stays() {
    let tables = tables();
    tables.join(A, peer(1), 10).unwrap();
    assert_eq!(tables.join_if(A, peer(1), 11, |other| other != 10), Ok(None));
    assert_eq!((tables.handle(&A, &peer(1)), tables.groups_of(&peer(1)).len()), (Some(10), 1));
    assert_eq!(tables.join_if(A, peer(1), 11, |other| other == 10), Ok(Some(Joined::Again)));
    assert_eq!(tables.join_if(B, peer(1), 11, |_| false), Ok(Some(Joined::New)), "it is no member there");
    assert_eq!((tables.handle(&A, &peer(1)), tables.awake(&A, &peer(1))), (Some(11), Some(11)));
    tables.set_silent(&peer(1), 11, true);
    assert_eq!((tables.handle(&A, &peer(1)), tables.awake(&A, &peer(1))), (Some(11), None));
}

#[test]
fn joins_of_different_groups_and_peers_go_on_while_one_is_held_up() {
    // The peer's and the group's parts of the table are locked, as if another worker was at work there.
    let tables = std::sync::Arc::new(tables());
    let (_peer, _group) = (tables.joined(&peer(1)), tables.shard(&A));
    let others = std::sync::Arc::clone(&tables);
    let joined = std::thread::spawn(move || others.join(B, peer(2), 2)).join().unwrap();
    assert_eq!(joined, Ok(Joined::New));
}

#[test]
fn workers_that_join_and_leave_at_a_time_leave_exact_books() {
    let tables = std::sync::Arc::new(tables());
    let workers = [1, 2, 3, 4].map(|worker| {
        let tables = std::sync::Arc::clone(&tables);
        std::thread::spawn(move || {
            for round in 0..200u8 {
                let (group, who) = (GroupKey([round % 5; 32]), peer(round % 7));
                let _ = tables.join(group, who, worker);
                tables.set_silent(&who, worker, round % 2 == 0);
                tables.leave(&group, &who, worker);
            }
        })
    });
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    // Each member is left by the worker that was its handle last, so that nobody is left.
    for (group, _) in tables.groups() {
        for member in tables.members(&group) {
            assert!(tables.leave(&group, &member.peer, member.value));
        }
    }
    assert!(tables.is_empty() && is_forgotten(&tables));
}

#[test]
fn hints_go_by_the_members_handles() {
    let tables = tables();
    let mut hints = Vec::new();
    assert!(tables.is_empty());
    for number in 1..=5 {
        tables.join(A, peer(number), u32::from(number)).unwrap();
        assert!(!tables.is_empty());
        hints.clear();
        tables.hints_for_newcomer(&A, peer(number), &mut hints);
    }
    assert_eq!(hints.len(), 8, "four, and each told of the other");
    assert!(hints.iter().all(|hint| peer(hint.handle as u8) == hint.to));
    hints.clear();
    tables.hints_for_newcomer(&B, peer(1), &mut hints);
    tables.hints_after_leave(&B, peer(1), &mut hints);
    assert!(hints.is_empty(), "no such group");
}

#[test]
fn when_a_member_leaves_its_neighbours_on_both_sides_are_told_of_each_other() {
    let tables = tables();
    for number in 1..=9 {
        tables.join(A, peer(number), u32::from(number)).unwrap();
    }
    assert!(tables.leave(&A, &peer(4), 4));
    let mut hints = Vec::new();
    tables.hints_after_leave(&A, peer(4), &mut hints);
    assert_eq!(hints.len(), 6, "three on each side");
    assert!(hints.iter().all(|hint| peer(hint.handle as u8) == hint.to && ![hint.to, hint.about].contains(&peer(4))));
    let told: BTreeSet<_> = hints.iter().map(|hint| (hint.to, hint.about)).collect();
    assert!(told.iter().all(|(to, about)| told.contains(&(*about, *to))), "each of the other");
}

#[test]
fn silent_members_are_named_after_all_others() {
    let tables = Memberships::new(3, BootstrapSettings::default(), [7; 32]);
    for number in 0..100 {
        tables.join(A, peer(number), u32::from(number)).unwrap();
    }
    // Two of the newest and all others but ten are silent.
    let is_alive = |number: u8| number % 10 == 3;
    for number in (0..100).filter(|number| !is_alive(*number)) {
        tables.set_silent(&peer(number), 1000, true);
        assert!(tables.members(&A).iter().any(|member| member.peer == peer(number)), "another session's silence");
        tables.set_silent(&peer(number), u32::from(number), true);
    }
    assert_eq!((tables.size(&A), tables.members(&A).len()), (100, 100));
    let newcomer = peer(200);
    tables.join(A, newcomer, 200).unwrap();
    let mut hints = Vec::new();
    tables.hints_for_newcomer(&A, newcomer, &mut hints);
    assert!(
        hints.iter().all(|hint| hint.to == newcomer || is_alive(hint.handle as u8)),
        "silent members are told nothing"
    );
    let told: Vec<u8> = hints.iter().filter(|hint| hint.to == newcomer).map(|hint| hint.about.0[0]).collect();
    assert!(told.len() >= 6 && told.iter().all(|number| is_alive(*number)), "{told:?}");
    for choice in [MemberChoice::Neighbors, MemberChoice::Newest, MemberChoice::Random] {
        let chosen = tables.choose(&A, &newcomer, choice, 4);
        assert!(chosen.len() == 4 && chosen.iter().all(|(_, number)| is_alive(*number as u8)), "{chosen:?}");
    }
    let all = tables.choose(&A, &newcomer, MemberChoice::Neighbors, 60);
    assert!(all.iter().take(10).all(|(_, number)| is_alive(*number as u8)), "{all:?}");
    assert_eq!(all.len(), 60, "silent members fill the rest");

    // A member that sends again is awake again; a member that leaves while silent is gone.
    tables.set_silent(&peer(4), 4, false);
    assert!(tables.members(&A).iter().take(12).any(|member| member.peer == peer(4)));
    assert!(tables.leave(&A, &peer(5), 5) && tables.handle(&A, &peer(5)).is_none());
    assert_eq!(tables.join(A, peer(6), 60), Ok(Joined::Again));
    assert!(tables.members(&A).iter().take(13).any(|member| member.peer == peer(6)), "a new session is not silent");
    assert_eq!((tables.size(&A), tables.members(&A).len()), (100, 100), "and is a member once");

    // If there are no others, silent members are named.
    for number in 0..3 {
        tables.join(B, peer(number), u32::from(number)).unwrap();
        tables.set_silent(&peer(number), u32::from(number), true);
    }
    tables.join(B, newcomer, 200).unwrap();
    hints.clear();
    tables.hints_for_newcomer(&B, newcomer, &mut hints);
    assert_eq!(hints.iter().filter(|hint| hint.to == newcomer).count(), 3);
    assert_eq!(tables.choose(&B, &newcomer, MemberChoice::Random, 9).len(), 3);
}

#[test]
fn members_are_chosen_in_each_way() {
    let tables = Memberships::new(3, BootstrapSettings::default(), [7; 32]);
    for number in 0..100 {
        tables.join(A, peer(number), u32::from(number)).unwrap();
    }
    assert_eq!((tables.size(&A), tables.size(&B)), (100, 0));
    tables.leave(&A, &peer(97), 97);
    let newest: Vec<_> = tables.choose(&A, &peer(99), MemberChoice::Newest, 3);
    assert_eq!(newest, [98, 96, 95].map(|number| (peer(number), u32::from(number))));
    assert!(tables.choose(&A, &peer(99), MemberChoice::Newest, 100).len() < MAX_NEWEST);
    let mut ring: Vec<u8> = (0..100).filter(|number| *number != 97).collect();
    ring.sort_by_key(|number| GroupAddress::of(&peer(*number)));
    let place = ring.iter().position(|number| *number == 50).unwrap();
    let at = |offset: usize| u32::from(ring[(place + ring.len() + offset - 2) % ring.len()]);
    let near: Vec<u32> = tables.choose(&A, &peer(50), MemberChoice::Neighbors, 4).iter().map(|near| near.1).collect();
    assert_eq!(near, [at(3), at(1), at(4), at(0)], "the nearest first, on both sides");
    let random: BTreeSet<_> = tables.choose(&A, &peer(50), MemberChoice::Random, 10).into_iter().collect();
    assert!(random.len() == 10 && !random.contains(&(peer(50), 50)), "{random:?}");
    for choice in [MemberChoice::Neighbors, MemberChoice::Newest, MemberChoice::Random] {
        assert!(tables.choose(&B, &peer(50), choice, 10).is_empty());
        assert!(tables.choose(&A, &peer(50), choice, 0).is_empty());
    }
    for number in 0..100 {
        tables.leave(&A, &peer(number), u32::from(number));
    }
    assert!(tables.is_empty() && is_forgotten(&tables), "nothing is left behind");
    // Not even where silent members leave.
    tables.join(A, peer(1), 1).unwrap();
    tables.set_silent(&peer(1), 1, true);
    assert!(tables.leave(&A, &peer(1), 1) && tables.is_empty() && is_forgotten(&tables));
}

proptest! {
    /// Against a plain set of memberships.
    #[test]
    fn the_books_are_exact(steps in proptest::collection::vec((0u8..3, 0u8..5, 0u8..4, 0u32..3), 0..200)) {
        let tables = Memberships::new(3, BootstrapSettings::default(), [7; 32]);
        let mut model: BTreeMap<(PeerId, GroupKey), u32> = BTreeMap::new();
        for (what, who, group, handle) in steps {
            let (who, group) = (peer(who), GroupKey([group; 32]));
            match what {
                0 | 1 => {
                    let fits = model.contains_key(&(who, group))
                        || model.keys().filter(|(peer, _)| *peer == who).count() < 3;
                    prop_assert_eq!(tables.join(group, who, handle).is_ok(), fits);
                    if fits {
                        model.insert((who, group), handle);
                    }
                }
                _ => {
                    let was = model.get(&(who, group)) == Some(&handle);
                    prop_assert_eq!(tables.leave(&group, &who, handle), was);
                    if was {
                        model.remove(&(who, group));
                    }
                }
            }
            let read: BTreeMap<_, _> = tables
                .groups()
                .into_iter()
                .flat_map(|(group, _)| tables.members(&group).into_iter().map(move |of| ((of.peer, group), of.value)))
                .collect();
            prop_assert_eq!(&read, &model);
            for number in 0..5 {
                let of: BTreeSet<_> = tables.groups_of(&peer(number)).iter().copied().collect();
                let expected: BTreeSet<_> =
                    model.keys().filter(|(who, _)| *who == peer(number)).map(|(_, group)| *group).collect();
                prop_assert_eq!(of, expected);
            }
        }
    }
}
