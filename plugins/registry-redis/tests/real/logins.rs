//! The login changes while a registry runs.

use std::sync::atomic::{AtomicBool, Ordering};

use registry_redis::{Registry, Settings};

use crate::harness::*;

/// Gives the user these passwords and no others.
fn set_passwords(redis: &Redis, passwords: &[&str]) {
    let passwords: Vec<String> = passwords.iter().map(|password| format!(">{password}")).collect();
    let rules = ["ACL", "SETUSER", "introd", "reset", "on", "allkeys", "+@all"];
    let words: Vec<&str> = rules.into_iter().chain(passwords.iter().map(String::as_str)).collect();
    assert_eq!(redis.command(&words), "OK\n");
}

fn login(redis: &Redis, password: &str) -> Settings {
    Settings { username: "introd".to_owned(), password: password.to_owned(), ..settings(&redis.url()) }
}

/// The ids of the connections of the user.
fn connections(redis: &Redis) -> Vec<String> {
    let list = redis.command(&["CLIENT", "LIST"]);
    let own = list.lines().filter(|line| line.contains("user=introd"));
    own.map(|line| line.split(' ').next().unwrap().replace("id=", "")).collect()
}

#[test]
fn a_password_that_changes_replaces_the_connection_and_loses_nothing() {
    let redis = Redis::start();
    set_passwords(&redis, &["old", "new"]);
    let lines = Lines::default();
    let a = Registry::start(login(&redis, "old"), lines.log()).unwrap();
    let b = registry(Settings { positive_cache: 0, negative_cache: 0, ..settings(&redis.url()) });
    for number in 0..100 {
        a.publish(peer(number), &addresses(1)).unwrap();
    }
    eventually("all are written", || metric(&a, "published") == 100);
    let before = connections(&redis);
    assert_eq!(before.len(), 1);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Peers come, and are looked up, all the time.
        let busy = scope.spawn(|| {
            let mut number = 1000;
            while !is_over.load(Ordering::SeqCst) {
                a.publish(peer(number), &addresses(1)).unwrap();
                assert_eq!(find(&a, peer(number + 1_000_000)), Ok(None));
                assert!((0..100).all(|number| is_at(&b, peer(number), 1)));
                number += 1;
            }
            number
        });
        assert!(matches!(a.reconfigure(&login(&redis, "new")), Ok(true)));
        eventually("another connection takes over", || lines.contain("Info: a new connection to Redis has replaced"));
        eventually("the earlier one is closed", || {
            let now = connections(&redis);
            now.len() == 1 && now != before
        });
        is_over.store(true, Ordering::SeqCst);
        let last = busy.join().unwrap();
        eventually("all are found", || (1000..last).all(|number| is_at(&b, peer(number), 1)));
    });
    set_passwords(&redis, &["new"]);
    assert_eq!((metric(&a, "breaks"), metric(&a, "republished"), metric(&a, "failed")), (0, 0, 0));
    // The same again changes nothing.
    let now = connections(&redis);
    assert!(matches!(a.reconfigure(&login(&redis, "new")), Ok(true)));
    let beats = metric(&a, "heartbeats");
    eventually("it goes on", || metric(&a, "heartbeats") >= beats + 2);
    assert_eq!(connections(&redis), now);
}

#[test]
fn a_wrong_password_is_reported_and_the_earlier_connection_goes_on() {
    let redis = Redis::start();
    set_passwords(&redis, &["right"]);
    let lines = Lines::default();
    let a = Registry::start(login(&redis, "right"), lines.log()).unwrap();
    let b = registry(settings(&redis.url()));
    connected(&a);
    assert!(matches!(a.reconfigure(&login(&redis, "wrong")), Ok(true)));
    eventually("it is reported", || {
        lines.contain("Error: a new connection to Redis is refused") && lines.contain("SIGHUP")
    });
    a.publish(peer(1), &addresses(1)).unwrap();
    eventually("it is found", || is_at(&b, peer(1), 1));
    assert_eq!((metric(&a, "connected"), metric(&a, "breaks")), (1, 0));
    // The password changes on both sides.
    set_passwords(&redis, &["later"]);
    for id in connections(&redis) {
        redis.command(&["CLIENT", "KILL", "ID", &id]);
    }
    eventually("it is cut off", || metric(&a, "connected") == 0 && lines.contain("the connection to Redis is"));
    eventually("it says what to do", || lines.contain("Redis rejects the login"));
    assert!(matches!(a.reconfigure(&login(&redis, "later")), Ok(true)));
    eventually("it is back", || metric(&a, "connected") == 1);
    eventually("it is found", || is_at(&b, peer(1), 1));
    assert!(!lines.contain("wrong") && !lines.contain("later"), "no password is logged");
}

#[test]
fn what_is_not_of_the_connection_takes_effect_at_the_next_start() {
    let (redis, other) = (Redis::start(), Redis::start());
    let a = registry(settings(&redis.url()));
    let b = registry(settings(&other.url()));
    a.publish(peer(1), &addresses(1)).unwrap();
    connected(&a);
    assert!(a.reconfigure(&settings("")).is_err(), "they are invalid");
    let changed = Settings { namespace: "other".to_owned(), ..settings(&other.url()) };
    assert!(matches!(a.reconfigure(&changed), Ok(false)));
    // Another Redis has nothing yet: everything is written there, in the old namespace.
    eventually("it is found there", || is_at(&b, peer(1), 1));
}
