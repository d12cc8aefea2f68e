//! Redis answers lookups but refuses writes: lookups go on, the log says what to do, and everything is written when it accepts writes again.

use registry_redis::{Failure, Registry};

use crate::harness::*;

/// Two registries on one Redis. The first one logs, and has published peer 1.
fn two(redis: &Redis) -> (Registry, Lines, Registry) {
    let lines = Lines::default();
    let a = Registry::start(settings(&redis.url()), lines.log()).unwrap();
    let b = registry(settings(&redis.url()));
    a.publish(peer(1), &addresses(1)).unwrap();
    eventually("it is found", || is_at(&b, peer(1), 1));
    (a, lines, b)
}

/// While Redis refuses writes with that code: lookups go on, no connection is lost, and the first server says so once and counts as dead
/// in the end.
fn refuses(code: &str, a: &Registry, lines: &Lines, b: &Registry) {
    eventually("it is logged", || lines.contain("Warning: Redis refuses the heartbeats"));
    assert!(lines.contain(code), "{code}");
    let breaks = [a, b].map(|registry| metric(registry, "breaks"));
    a.publish(peer(2), &addresses(2)).unwrap();
    eventually("its key expires", || {
        metric(a, "alive") == 0 && lines.contain("Error: the key of this server has expired")
    });
    eventually("the other takes it for dead", || find(b, peer(1)) == Ok(None));
    for number in 100..200 {
        assert_eq!(find(a, peer(number)), Ok(None));
        assert_eq!(find(b, peer(number)), Ok(None));
    }
    let before = metric(a, "writes_refused");
    eventually("it goes on trying", || metric(a, "writes_refused") >= before + 3);
    assert_eq!(lines.count("refuses the heartbeats"), 1);
    assert_eq!([a, b].map(|registry| metric(registry, "breaks")), breaks);
    assert_eq!([a, b].map(|registry| metric(registry, "connected")), [1, 1]);
}

/// Redis accepts writes again: everything is there, also what was published meanwhile.
fn accepts(a: &Registry, lines: &Lines, b: &Registry) {
    eventually("all is found again", || is_at(b, peer(1), 1) && is_at(b, peer(2), 2));
    eventually("it is logged", || lines.contain("Info: Redis accepts the heartbeats of this server again"));
    eventually("all is written", || metric(a, "unwritten") == 0 && metric(a, "alive") == 1);
}

#[test]
fn redis_that_is_full_answers_lookups() {
    let redis = Redis::start();
    let (a, lines, b) = two(&redis);
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]);
    refuses("OOM", &a, &lines, &b);
    // A server that starts meanwhile connects, and finds peers of servers that live.
    let late = Lines::default();
    let c = Registry::start(settings(&redis.url()), late.log()).unwrap();
    connected(&c);
    assert_eq!(find(&c, peer(9)), Ok(None));
    assert!(late.contain("but it refuses writes") && late.contain("maxmemory"));
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]);
    accepts(&a, &lines, &b);
}

#[test]
fn redis_that_cannot_save_answers_lookups() {
    let folder = Folder::new();
    let place = folder.path().join("gone");
    std::fs::create_dir(&place).unwrap();
    let redis = Redis::with(&["--dir", &place.to_string_lossy()]);
    let (a, lines, b) = two(&redis);
    std::fs::remove_dir(&place).unwrap();
    redis.command(&["CONFIG", "SET", "save", "3600 1"]);
    redis.command(&["BGSAVE"]);
    refuses("MISCONF", &a, &lines, &b);
    redis.command(&["CONFIG", "SET", "stop-writes-on-bgsave-error", "no"]);
    accepts(&a, &lines, &b);
}

#[test]
fn redis_that_has_become_a_replica_answers_lookups_until_it_is_the_master_again() {
    let redis = Redis::start();
    let (a, lines, b) = two(&redis);
    // Its master does not exist, so that it keeps what it has.
    redis.command(&["REPLICAOF", "127.0.0.1", &free_port().to_string()]);
    eventually("it is logged", || lines.contain("READONLY"));
    assert!(lines.contain("give the address of the master in <url>"));
    assert_eq!(find(&b, peer(9)), Ok(None));
    a.publish(peer(2), &addresses(2)).unwrap();
    redis.command(&["REPLICAOF", "NO", "ONE"]);
    accepts(&a, &lines, &b);
}

#[test]
fn a_command_that_is_not_permitted_fails_alone() {
    let redis = Redis::start();
    let allow = |rules: &str| {
        let words: Vec<&str> = ["ACL", "SETUSER", "introd"].into_iter().chain(rules.split(' ')).collect();
        assert_eq!(redis.command(&words), "OK\n");
    };
    allow("on >secret ~introd:* +set +get +mget +client|tracking +client|caching +hello");
    let lines = Lines::default();
    let login = registry_redis::Settings {
        username: "introd".to_owned(),
        password: "secret".to_owned(),
        ..settings(&redis.url())
    };
    let (a, b) = (Registry::start(login, lines.log()).unwrap(), registry(settings(&redis.url())));
    a.publish(peer(1), &addresses(1)).unwrap();
    eventually("it is found", || is_at(&b, peer(1), 1));
    // This takes a script.
    a.publish(peer(1), &addresses(2)).unwrap();
    eventually("it is logged", || lines.contain("Redis refuses to store entries") && lines.contain("NOPERM"));
    // The next entry is written all the same, and lookups are answered.
    a.publish(peer(3), &addresses(3)).unwrap();
    eventually("it is found", || is_at(&b, peer(3), 3));
    assert_eq!(find(&a, peer(9)), Ok(None));
    assert_eq!((metric(&a, "breaks"), metric(&a, "alive")), (0, 1));
    allow("+eval");
    eventually("the change is found", || is_at(&b, peer(1), 2));
    assert_eq!(lines.count("Redis refuses to store entries"), 1);
    eventually("it is logged", || lines.contain("Info: Redis stores entries again"));
}

#[test]
fn a_script_of_another_program_delays_and_breaks_nothing() {
    let redis = Redis::with(&["--busy-reply-threshold", "50"]);
    let (a, lines, b) = two(&redis);
    let mut endless = std::process::Command::new("redis-cli");
    endless.args(["-p", &redis.port.to_string(), "EVAL", "while true do end", "0"]);
    let endless = Process::start(&mut endless);
    eventually("lookups are refused", || match find(&b, peer(7)) {
        Err(Failure::Refused(why)) => why.contains("BUSY"),
        _ => false,
    });
    assert!(is_at(&a, peer(1), 1), "a server finds its own peers");
    eventually("it is logged", || lines.contain("BUSY"));
    redis.command(&["SCRIPT", "KILL"]);
    drop(endless);
    eventually("all is found", || is_at(&b, peer(1), 1));
    assert_eq!([&a, &b].map(|registry| metric(registry, "breaks")), [0, 0]);
}
