//! Members of groups find each other across servers.

use std::collections::{BTreeMap, HashSet};

use introd_plugin::{GroupMember, PeerId, RingPosition};
use registry_redis::{Failure, Registry, Settings};

use crate::harness::*;

/// What the neighbours of a member must be: those that follow it and those that precede it, alternately.
fn expected(ring: &BTreeMap<[u8; 32], PeerId>, member: &GroupMember, near: usize) -> Vec<PeerId> {
    let at = member.position.0;
    let others = |peer: &&PeerId| **peer != member.peer;
    let after: Vec<&PeerId> =
        ring.range(at..).chain(ring.range(..at)).map(|(_, peer)| peer).filter(others).take(near).collect();
    let before: Vec<&PeerId> =
        ring.range(..at).rev().chain(ring.range(at..).rev()).map(|(_, peer)| peer).filter(others).take(near).collect();
    let mut found = Vec::new();
    for peer in after.into_iter().zip(before).flat_map(|(after, before)| [*after, *before]) {
        if !found.contains(&peer) {
            found.push(peer);
        }
    }
    found
}

/// Joins and leaves at random at several registries, and compares each answer with a model.
fn like_a_model(settings: impl Fn() -> Settings, steps: u32) {
    let registries: Vec<Registry> = (0..3).map(|_| registry(settings())).collect();
    registries.iter().for_each(connected);
    let mut rings = [BTreeMap::new(), BTreeMap::new()];
    let (mut state, mut moved) = (7, 0);
    for step in 0..steps {
        let number = random(&mut state) as u32 % 600;
        let place = random(&mut state) as usize % 2;
        let own = member(group(place as u8 + 1), number);
        let at = &registries[number as usize % 3];
        let ring = &mut rings[place];
        // The second group stays small.
        let is_full = place == 1 && ring.len() >= 6;
        if ring.remove(&own.position.0).is_some() {
            at.leave_group(&own);
        } else if !is_full {
            at.join_group(&own).unwrap();
            ring.insert(own.position.0, own.peer);
            // Some are at another server for a moment, because they move.
            if number.is_multiple_of(7) {
                registries[(number as usize + 1) % 3].join_group(&own).unwrap();
                registries[(number as usize + 1) % 3].leave_group(&own);
                moved += 1;
            }
        }
        if step % 100 != 99 {
            continue;
        }
        registries.iter().for_each(flushed);
        for _ in 0..20 {
            let place = random(&mut state) as usize % 2;
            let asker = member(group(place as u8 + 1), random(&mut state) as u32 % 700);
            let from = &registries[random(&mut state) as usize % 3];
            let near = random(&mut state) as usize % 17;
            let found = neighbors(from, &asker, near, 0).unwrap();
            assert_eq!(found, expected(&rings[place], &asker, near), "step {step}, {near}");
            // Far ones are others, and as many as are wanted if there are enough.
            let all = neighbors(from, &asker, near, 4).unwrap();
            let different: HashSet<&PeerId> = all.iter().collect();
            assert_eq!((different.len(), &all[..found.len()]), (all.len(), &found[..]));
            assert!(!all.contains(&asker.peer) && all.iter().all(|peer| rings[place].values().any(|it| it == peer)));
            assert!(all.len() <= found.len() + 4);
        }
    }
    assert!(moved > 0);
}

#[test]
fn the_ring_is_that_of_a_model_whatever_comes_and_goes() {
    let redis = Redis::start();
    like_a_model(|| settings(&redis.url()), 6000);
}

#[test]
fn so_is_the_ring_in_a_cluster() {
    let cluster = Cluster::start(true);
    like_a_model(|| cluster.settings(), 600);
}

#[test]
fn far_members_come_from_all_of_a_large_group() {
    let redis = Redis::start();
    let a = registry(settings(&redis.url()));
    (0..1000).for_each(|number| a.join_group(&member(group(1), number)).unwrap());
    flushed(&a);
    let asker = member(group(1), 5000);
    let near: HashSet<PeerId> = neighbors(&a, &asker, 3, 0).unwrap().into_iter().collect();
    let mut far = HashSet::new();
    for _ in 0..200 {
        let found = neighbors(&a, &asker, 3, 3).unwrap();
        assert_eq!(found.len(), 9);
        far.extend(found.into_iter().skip(6));
    }
    // Of 600 draws from a thousand, some 450 differ.
    assert!(far.len() > 300 && far.is_disjoint(&near), "{}", far.len());
}

#[test]
fn a_peer_at_several_servers_is_named_once() {
    let redis = Redis::start();
    let registries: Vec<Registry> = (0..8).map(|_| registry(settings(&redis.url()))).collect();
    for registry in &registries {
        (1..=20).for_each(|number| registry.join_group(&member(group(1), number)).unwrap());
    }
    registries.iter().for_each(flushed);
    let ring = (1..=20).map(|number| member(group(1), number)).map(|it| (it.position.0, it.peer)).collect();
    for number in 1..=20 {
        let asker = member(group(1), number);
        assert_eq!(neighbors(&registries[0], &asker, 3, 0).unwrap(), expected(&ring, &asker, 3));
    }
}

#[test]
fn of_two_members_that_join_at_the_same_time_one_at_least_is_told_of_the_other() {
    let redis = Redis::start();
    let registries = [registry(settings(&redis.url())), registry(settings(&redis.url()))];
    registries.iter().for_each(connected);
    for round in 0..200_u32 {
        let members = [2 * round, 2 * round + 1].map(|number| {
            let mut member = member(group(1), number);
            member.group.0[..4].copy_from_slice(&round.to_be_bytes());
            member
        });
        let barrier = std::sync::Barrier::new(2);
        let told: Vec<bool> = std::thread::scope(|scope| {
            let joins: Vec<_> = (0..2)
                .map(|place| {
                    let (barrier, own, other) = (&barrier, &members[place], &members[1 - place]);
                    let registry = &registries[place];
                    scope.spawn(move || {
                        barrier.wait();
                        registry.join_group(own).unwrap();
                        neighbors(registry, own, 3, 3).unwrap().contains(&other.peer)
                    })
                })
                .collect();
            joins.into_iter().map(|join| join.join().unwrap()).collect()
        });
        assert!(told.contains(&true), "{round}");
    }
}

#[test]
fn a_join_and_its_query_take_one_round_trip() {
    let redis = Redis::start();
    let (a, b) = (registry(settings(&redis.url())), registry(settings(&redis.url())));
    for number in 0..100 {
        a.join_group(&member(group(1), number)).unwrap();
    }
    flushed(&a);
    connected(&b);
    // The first query learns which servers there are.
    neighbors(&b, &member(group(1), 1000), 3, 3).unwrap();
    let before = metric(&b, "group_batches");
    for number in 1000..1100 {
        b.join_group(&member(group(1), number)).unwrap();
        assert_eq!(neighbors(&b, &member(group(1), number), 3, 3).unwrap().len(), 9);
    }
    // The write may be on its way before the query comes.
    let batches = metric(&b, "group_batches") - before;
    assert!((100..=200).contains(&batches), "{batches}");
    assert_eq!(metric(&b, "memberships_written"), 100);
    let before = metric(&b, "group_batches");
    for number in 1000..1100 {
        neighbors(&b, &member(group(1), number), 3, 3).unwrap();
    }
    assert_eq!(metric(&b, "group_batches") - before, 100);
}

#[test]
fn many_joins_are_few_round_trips_and_what_ends_at_once_is_not_written() {
    let redis = Redis::start();
    let proxy = Proxy::to(redis.port);
    // At its end, a registry withdraws as much as it can within the timeout.
    let a = registry(Settings { timeout: 60_000, ..settings(&proxy.url()) });
    connected(&a);
    flushed(&a);
    proxy.slow(std::time::Duration::from_millis(20));
    let before = metric(&a, "group_batches");
    for number in 0..20_000 {
        a.join_group(&member(group(1), number)).unwrap();
    }
    // These come and go while others are on their way.
    for number in 20_000..25_000 {
        a.join_group(&member(group(2), number)).unwrap();
        a.leave_group(&member(group(2), number));
    }
    proxy.slow(std::time::Duration::ZERO);
    flushed(&a);
    assert!(metric(&a, "group_batches") - before < 200, "{}", metric(&a, "group_batches") - before);
    assert!(metric(&a, "memberships_withdrawn") < 2500, "{}", metric(&a, "memberships_withdrawn"));
    let size = |number| redis.command(&["ZCARD", &format!("introd:group:{}", group(number))]);
    assert_eq!((size(1).trim(), size(2).trim(), metric(&a, "memberships")), ("20000", "0", 20_000));
    drop(a);
    assert_eq!(redis.command(&["KEYS", "introd:group:*"]).trim(), "", "a server that stops cleans up");
}

/// A member beside another one, so close that no other comes between them by chance.
fn beside(member: &GroupMember, offset: i32, number: u32) -> GroupMember {
    let mut position = member.position.0;
    let low = i32::from_be_bytes([0, position[29], position[30], position[31]]) / 2 + 1_000_000 + offset;
    position[28..].copy_from_slice(&low.to_be_bytes());
    GroupMember { group: member.group, peer: peer(number), position: RingPosition(position) }
}

#[test]
fn members_of_a_dead_server_are_named_no_more_however_many_hide_the_others() {
    const DEAD: i32 = 10_000;
    let redis = Redis::start();
    let proxy = Proxy::to(redis.port);
    let (a, b) = (registry(settings(&proxy.url())), registry(settings(&redis.url())));
    let asker = beside(&member(group(1), 1_000_000), 0, 1_000_000);
    let live: Vec<GroupMember> = (0..20).map(|number| member(group(1), number)).collect();
    live.iter().for_each(|member| b.join_group(member).unwrap());
    for offset in 1..=DEAD / 2 {
        for offset in [offset, -offset] {
            let close = beside(&member(group(1), 1_000_000), offset, (2_000_000 + offset) as u32);
            a.join_group(&close).unwrap();
        }
    }
    connected(&a);
    flushed(&a);
    flushed(&b);
    let ring: BTreeMap<[u8; 32], PeerId> = live.iter().map(|member| (member.position.0, member.peer)).collect();
    let is_of_b = |peers: &[PeerId]| peers.iter().all(|peer| live.iter().any(|member| member.peer == *peer));
    assert!(!is_of_b(&neighbors(&b, &asker, 3, 0).unwrap()));
    proxy.cut();
    let key = format!("introd:server:{}", a.server());
    eventually("the server counts as dead", || redis.command(&["EXISTS", &key]).trim() == "0");
    // As soon as the state of the server is not cached any more, no member of it is named, and the others are.
    eventually("its members are named no more", || is_of_b(&neighbors(&b, &asker, 3, 0).unwrap()));
    assert_eq!(neighbors(&b, &asker, 3, 0).unwrap(), expected(&ring, &asker, 3));
    assert!(metric(&b, "dead_members_removed") >= DEAD as u64 - 200, "{}", metric(&b, "dead_members_removed"));
    let before = metric(&b, "group_batches");
    assert_eq!(neighbors(&b, &asker, 3, 0).unwrap(), expected(&ring, &asker, 3));
    assert!(metric(&b, "group_batches") - before <= 2, "nothing is in the way any more");
    // The server was only cut off: its members are there again.
    proxy.mend();
    eventually("they are named again", || neighbors(&b, &asker, 3, 0).is_ok_and(|found| !is_of_b(&found)));
    eventually("all of them", || {
        redis.command(&["ZCARD", &format!("introd:group:{}", group(1))]).trim() == format!("{}", DEAD + 20)
    });
}

#[test]
fn members_of_an_earlier_run_of_a_server_do_not_count() {
    let redis = Redis::start();
    let proxy = Proxy::to(redis.port);
    let named = |url: &str| Settings { server: "a".to_owned(), heartbeat: 60_000, ..settings(url) };
    let (before, b) = (registry(named(&proxy.url())), registry(settings(&redis.url())));
    before.join_group(&member(group(1), 1)).unwrap();
    connected(&before);
    flushed(&before);
    let asker = member(group(1), 9);
    eventually("it is named", || neighbors(&b, &asker, 3, 3) == Ok(vec![peer(1)]));
    proxy.cut();
    let after = registry(named(&redis.url()));
    connected(&after);
    eventually("it is not named", || neighbors(&b, &asker, 3, 3) == Ok(vec![]));
    after.join_group(&member(group(1), 2)).unwrap();
    eventually("the new one is", || neighbors(&b, &asker, 3, 3) == Ok(vec![peer(2)]));
    eventually("the old one is removed", || {
        let _ = neighbors(&b, &asker, 3, 3);
        redis.command(&["ZCARD", &format!("introd:group:{}", group(1))]).trim() == "1"
    });
}

#[test]
fn members_come_back_after_redis_has_lost_them() {
    let mut redis = Redis::start();
    let a = registry(Settings { sweep: 1, ..settings(&redis.url()) });
    let b = registry(settings(&redis.url()));
    let key = format!("introd:group:{}", group(1));
    for number in 0..500 {
        a.join_group(&member(group(1), number)).unwrap();
    }
    connected(&a);
    flushed(&a);
    connected(&b);
    let count = |redis: &Redis| redis.command(&["ZCARD", &key]).trim().to_owned();
    assert_eq!(count(&redis), "500");
    // Some of them, while the server is connected.
    redis.command(&["ZREMRANGEBYRANK", &key, "0", "99"]);
    eventually("the sweep finds out", || count(&redis) == "500");
    assert!(metric(&a, "entries_lost") >= 100);
    // Everything.
    redis.command(&["FLUSHALL"]);
    eventually("they are there again", || count(&redis) == "500");
    // The server of Redis.
    redis.kill();
    eventually("it is noticed", || matches!(neighbors(&b, &member(group(1), 900), 3, 3), Err(Failure::Unreachable(_))));
    a.leave_group(&member(group(1), 0));
    a.join_group(&member(group(1), 500)).unwrap();
    redis.restart_empty();
    eventually("they are there again", || count(&redis) == "500");
    eventually("they are found", || neighbors(&b, &member(group(1), 900), 3, 3).is_ok_and(|found| found.len() == 9));
    assert_eq!(metric(&a, "memberships"), 500);
}

#[test]
fn redis_that_is_full_still_names_members() {
    let redis = Redis::start();
    let lines = Lines::default();
    let (a, b) = (Registry::start(settings(&redis.url()), lines.log()).unwrap(), registry(settings(&redis.url())));
    a.join_group(&member(group(1), 1)).unwrap();
    b.join_group(&member(group(1), 2)).unwrap();
    connected(&a);
    connected(&b);
    flushed(&a);
    flushed(&b);
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]);
    a.join_group(&member(group(1), 3)).unwrap();
    eventually("it is logged", || lines.contain("Redis refuses to store memberships: OOM"));
    assert!(neighbors(&a, &member(group(1), 3), 3, 3).is_ok(), "the newcomer gets an answer");
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]);
    eventually("it is written after all", || {
        neighbors(&b, &member(group(1), 2), 3, 3)
            .is_ok_and(|found| found.contains(&peer(3)) && found.contains(&peer(1)))
    });
    assert_eq!(lines.count("Redis refuses to store memberships"), 1);
    eventually("it is logged", || lines.contain("Redis stores memberships again"));
}

#[test]
fn elements_that_are_no_members_are_ignored() {
    let redis = Redis::start();
    let b = registry(settings(&redis.url()));
    connected(&b);
    let key = format!("introd:group:{}", group(1));
    for garbage in ["", "x", &"y".repeat(71), &"z".repeat(72), &"w".repeat(5000)] {
        redis.command(&["ZADD", &key, "0", garbage]);
        assert_eq!(neighbors(&b, &member(group(1), 1), 16, 16), Ok(vec![]));
    }
    // A key of another type.
    redis.command(&["SET", &format!("introd:group:{}", group(2)), "x"]);
    assert!(matches!(neighbors(&b, &member(group(2), 1), 3, 3), Err(Failure::Refused(_))));
    assert_eq!((metric(&b, "breaks"), metric(&b, "pending")), (0, 0));
}
