//! Servers find what others publish, for as long as those live.

use crate::harness::*;

#[test]
fn servers_find_what_others_publish() {
    let redis = Redis::start();
    let (a, b) = (registry(settings(&redis.url())), registry(settings(&redis.url())));
    connected(&b);
    assert_eq!(find(&b, peer(1)), Ok(None));
    a.publish(peer(1), &addresses(1)).unwrap();
    // The cached answer that there is no such peer is dropped as soon as Redis reports the change.
    eventually("it is found", || is_at(&b, peer(1), 1));
    a.publish(peer(1), &addresses(2)).unwrap();
    eventually("it is found where it is now", || is_at(&b, peer(1), 2));
    a.withdraw(peer(1));
    eventually("it is gone", || find(&b, peer(1)) == Ok(None));
    assert!(is_at(&a, peer(1), 1) || find(&a, peer(1)) == Ok(None));
    assert_eq!((metric(&a, "published"), metric(&a, "withdrawn"), metric(&a, "entries")), (2, 1, 0));
}

#[test]
fn cached_lookups_cost_no_call_and_are_dropped_when_they_change() {
    let redis = Redis::start();
    let long = |url: &str| registry_redis::Settings {
        positive_cache: 600_000,
        negative_cache: 600_000,
        heartbeat: 60_000,
        ..settings(url)
    };
    let (a, b) = (registry(long(&redis.url())), registry(long(&redis.url())));
    connected(&b);
    a.publish(peer(1), &addresses(1)).unwrap();
    eventually("it is written", || metric(&a, "published") == 1);
    assert!(is_at(&b, peer(1), 1));
    assert_eq!(find(&b, peer(2)), Ok(None));
    let calls = redis.calls("mget");
    for _ in 0..1000 {
        assert!(is_at(&b, peer(1), 1));
        assert_eq!(find(&b, peer(2)), Ok(None));
    }
    assert_eq!(redis.calls("mget"), calls);
    a.publish(peer(2), &addresses(2)).unwrap();
    a.withdraw(peer(1));
    eventually("the changes are seen", || is_at(&b, peer(2), 2) && find(&b, peer(1)) == Ok(None));
    redis.command(&["FLUSHALL"]);
    eventually("the loss of all keys is seen", || find(&b, peer(2)) == Ok(None));
}

#[test]
fn the_peers_of_a_dead_server_are_gone_within_two_heartbeats() {
    let redis = Redis::start();
    let proxy = Proxy::to(redis.port);
    let (a, b) = (registry(settings(&proxy.url())), registry(settings(&redis.url())));
    for number in 0..100 {
        a.publish(peer(number), &addresses(1)).unwrap();
    }
    eventually("all are written", || metric(&a, "published") == 100);
    connected(&b);
    eventually("all are found", || (0..100).all(|number| is_at(&b, peer(number), 1)));
    proxy.cut();
    // Its last sign of life counts for one and a half heartbeats, and others know of it for a quarter longer.
    let key = format!("introd:server:{}", a.server());
    let left: i64 = redis.command(&["PTTL", &key]).trim().parse().unwrap();
    assert!(left <= 1500, "{left} ms");
    eventually("it is noticed", || find(&b, peer(0)) == Ok(None));
    assert_eq!(redis.command(&["EXISTS", &key]).trim(), "0", "not before");
    assert!((0..100).all(|number| find(&b, peer(number)) == Ok(None)));
    assert!(metric(&b, "orphans") > 0);
    // A peer that has moved to another server is found there at once.
    let c = registry(settings(&redis.url()));
    c.publish(peer(7), &addresses(3)).unwrap();
    eventually("it is found at the other", || is_at(&b, peer(7), 3));
    // The first server was only cut off. It does not withdraw a peer that has moved away meanwhile.
    proxy.mend();
    eventually("it is back", || is_at(&b, peer(8), 1));
    eventually("all is written again", || metric(&a, "unwritten") == 0 && metric(&a, "published") >= 200);
    assert!(is_at(&b, peer(7), 3));
    a.withdraw(peer(7));
    eventually("it is withdrawn", || metric(&a, "withdrawn") == 1);
    assert!(is_at(&b, peer(7), 3), "a server withdraws only its own entry");
}

#[test]
fn entries_of_an_earlier_run_are_invalid() {
    let redis = Redis::start();
    let proxy = Proxy::to(redis.port);
    let named = |url: &str| registry_redis::Settings { server: "a".to_owned(), heartbeat: 60_000, ..settings(url) };
    let (before, b) = (registry(named(&proxy.url())), registry(settings(&redis.url())));
    before.publish(peer(1), &addresses(1)).unwrap();
    eventually("it is written", || is_at(&b, peer(1), 1));
    proxy.cut();
    // Its key still exists, and now holds another epoch.
    let lines = Lines::default();
    let after = registry_redis::Registry::start(named(&redis.url()), lines.log()).unwrap();
    connected(&after);
    eventually("the entry is invalid", || find(&b, peer(1)) == Ok(None));
    assert_eq!(find(&after, peer(1)), Ok(None));
    after.publish(peer(2), &addresses(2)).unwrap();
    eventually("it is written", || is_at(&b, peer(2), 2));
    assert!(redis.command(&["EXISTS", &format!("introd:peer:{}", peer(1))]).starts_with('1'), "it is still there");
    // A server that stops in an orderly way is gone at once, whatever its heartbeat.
    drop(after);
    eventually("its peers are gone", || find(&b, peer(2)) == Ok(None));
    assert!(redis.command(&["EXISTS", &format!("introd:peer:{}", peer(2))]).starts_with('0'), "it has cleaned up");
}

#[test]
fn a_server_that_is_taken_over_goes_on_under_its_name_and_nothing_it_has_published_is_invalid_for_a_moment() {
    let redis = Redis::start();
    let lines = Lines::default();
    for server in ["a", ""] {
        let named = || registry_redis::Settings { server: server.to_owned(), heartbeat: 200, ..settings(&redis.url()) };
        let old = registry_redis::Registry::start(named(), lines.log()).unwrap();
        let other = registry(settings(&redis.url()));
        old.publish(peer(1), &addresses(1)).unwrap();
        old.publish(peer(2), &addresses(2)).unwrap();
        old.join_group(&member(group(7), 1)).unwrap();
        old.join_group(&member(group(7), 2)).unwrap();
        eventually("they are written", || is_at(&other, peer(2), 2) && metric(&old, "memberships_unwritten") == 0);
        let new = registry_redis::Registry::take_over(&old.hand_over(), named(), lines.log()).unwrap();
        assert_eq!(new.server(), old.server());
        // Both send heartbeats for a while, as in a takeover with many sessions.
        let (before, before_new) = (metric(&old, "heartbeats"), metric(&new, "heartbeats"));
        eventually("both are alive", || {
            assert!(is_at(&other, peer(1), 1) && is_at(&other, peer(2), 2));
            metric(&old, "heartbeats") > before + 2 && metric(&new, "heartbeats") > before_new + 2
        });
        new.publish(peer(1), &addresses(3)).unwrap();
        new.join_group(&member(group(7), 1)).unwrap();
        // The client has gone just before the new process serves: the old one has still to say so.
        old.withdraw(peer(2));
        old.leave_group(&member(group(7), 2));
        old.handed_over();
        eventually("who has gone is gone", || find(&other, peer(2)) == Ok(None));
        eventually("the new one publishes", || is_at(&other, peer(1), 3));
        let beats = metric(&new, "heartbeats");
        eventually("it is alive", || metric(&new, "heartbeats") > beats + 2);
        assert!(is_at(&other, peer(1), 3));
        drop(old);
        assert!(is_at(&other, peer(1), 3), "the old one says no goodbye");
        let members = redis.command(&["KEYS", "introd:group:*"]);
        assert_eq!(redis.command(&["ZCARD", members.trim()]).trim(), "1", "who has left the group is gone");
        drop(new);
        eventually("it is gone", || find(&other, peer(1)) == Ok(None));
        assert_eq!(redis.command(&["KEYS", "introd:group:*"]).trim(), "");
    }
    assert_eq!(lines.count("another server"), 0);
}

#[test]
fn what_a_server_cannot_withdraw_any_more_is_withdrawn_by_the_one_that_takes_over() {
    let redis = Redis::start();
    let proxy = Proxy::to(redis.port);
    let named = |url: &str| registry_redis::Settings { server: "a".to_owned(), ..settings(url) };
    let (old, other) = (registry(named(&proxy.url())), registry(settings(&redis.url())));
    for number in 1..=3_u8 {
        old.publish(peer(number.into()), &addresses(number)).unwrap();
        old.join_group(&member(group(7), number.into())).unwrap();
    }
    eventually("they are written", || is_at(&other, peer(3), 3) && metric(&old, "memberships_unwritten") == 0);
    let new =
        registry_redis::Registry::take_over(&old.hand_over(), named(&redis.url()), Lines::default().log()).unwrap();
    connected(&new);
    // Redis answers the old process no more, which does not know that yet.
    proxy.slow(DEADLINE);
    for number in [1, 2_u32] {
        old.withdraw(peer(number));
        old.leave_group(&member(group(7), number));
    }
    let last = old.hand_over();
    // One of the two has come back meanwhile.
    new.publish(peer(2), &addresses(2)).unwrap();
    new.join_group(&member(group(7), 2)).unwrap();
    new.took_over(&last);
    old.handed_over();
    eventually("who has gone is gone", || find(&other, peer(1)) == Ok(None));
    eventually("all is written", || metric(&new, "unwritten") == 0 && metric(&new, "memberships_unwritten") == 0);
    assert!(is_at(&other, peer(2), 2) && is_at(&other, peer(3), 3));
    let members = redis.command(&["KEYS", "introd:group:*"]);
    assert_eq!(redis.command(&["ZCARD", members.trim()]).trim(), "2");
}

#[test]
fn a_peer_that_goes_before_the_new_process_has_published_it_is_withdrawn() {
    let redis = Redis::start();
    let named = || registry_redis::Settings { server: "a".to_owned(), heartbeat: 200, ..settings(&redis.url()) };
    let (old, other) = (registry(named()), registry(settings(&redis.url())));
    (1..=3).for_each(|number| old.publish(peer(number), &addresses(1)).unwrap());
    eventually("they are written", || is_at(&other, peer(3), 1));
    let proxy = Proxy::to(redis.port);
    let slow = registry_redis::Settings { url: vec![proxy.url()], ..named() };
    let new = registry_redis::Registry::take_over(&old.hand_over(), slow, Lines::default().log()).unwrap();
    connected(&new);
    // Nothing of the new process gets through while these go: one that it has published, and one that it has not.
    proxy.slow(std::time::Duration::from_millis(300));
    new.publish(peer(1), &addresses(1)).unwrap();
    new.withdraw(peer(1));
    new.took_over(&old.hand_over());
    new.withdraw(peer(2));
    // What the old process had sent comes late.
    old.publish(peer(2), &addresses(1)).unwrap();
    old.handed_over();
    proxy.slow(std::time::Duration::ZERO);
    for number in [1, 2] {
        eventually("it is gone", || find(&other, peer(number)) == Ok(None));
    }
    eventually("the withdrawals were repeated", || metric(&new, "withdrawn") >= 3);
    assert_eq!(find(&other, peer(2)), Ok(None));
    assert!(is_at(&other, peer(3), 1));
}

#[test]
fn a_server_that_has_another_name_than_the_one_it_takes_over_begins_anew() {
    let redis = Redis::start();
    let lines = Lines::default();
    let named = |server: &str| registry_redis::Settings { server: server.to_owned(), ..settings(&redis.url()) };
    let old = registry(named("a"));
    let new = registry_redis::Registry::take_over(&old.hand_over(), named("b"), lines.log()).unwrap();
    assert_eq!(new.server(), "b");
    assert!(lines.contain("Warning: the registry does not go on"));
}

#[test]
fn two_servers_of_the_same_name_are_reported() {
    let redis = Redis::start();
    let lines = Lines::default();
    let named = || registry_redis::Settings { server: "a".to_owned(), heartbeat: 200, ..settings(&redis.url()) };
    let _first = registry_redis::Registry::start(named(), lines.log()).unwrap();
    let _second = registry_redis::Registry::start(named(), lines.log()).unwrap();
    eventually("it is logged", || lines.contain("Error: another server has the name a too"));
}

#[test]
fn namespaces_are_separate() {
    let redis = Redis::start();
    let other = registry_redis::Settings { namespace: "other".to_owned(), ..settings(&redis.url()) };
    let (a, b) = (registry(settings(&redis.url())), registry(other));
    a.publish(peer(1), &addresses(1)).unwrap();
    eventually("it is written", || metric(&a, "published") == 1);
    assert_eq!(redis.command(&["KEYS", "introd:peer:*"]).lines().count(), 1);
    connected(&b);
    assert_eq!(find(&b, peer(1)), Ok(None));
}

#[test]
fn invalid_values_are_ignored() {
    let redis = Redis::start();
    let b = registry(settings(&redis.url()));
    connected(&b);
    for (number, garbage) in
        ["", "x", "\u{1}12345678123456781a", "\u{1}1234567812345678\u{1}a\u{ff}"].iter().enumerate()
    {
        let id = peer(number as u32);
        redis.command(&["SET", &format!("introd:peer:{id}"), garbage]);
        assert_eq!(find(&b, id), Ok(None));
    }
}
