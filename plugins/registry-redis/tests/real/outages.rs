//! Redis is gone, frozen, empty or slow: lookups fail in time and with a reason, nothing grows, and everything recovers by itself.

use std::time::Duration;

use registry_redis::{Failure, Registry, Settings};

use crate::harness::*;

fn fails(registry: &Registry) -> bool {
    matches!(find(registry, peer(0xffff)), Err(Failure::Unreachable(_)))
}

/// The same, and nobody waits for it: the answer is there when the question is asked.
fn fails_at_once(registry: &Registry, peer: introd_plugin::PeerId) -> bool {
    matches!(registry.find(peer, || panic!("it waits for Redis")), Some(Err(Failure::Unreachable(_))))
}

/// Looks a peer up until there is an answer of any kind.
fn recovers(registry: &Registry) {
    eventually("lookups are answered again", || find(registry, peer(0xffff)).is_ok());
}

fn nothing_waits(registry: &Registry) {
    eventually("nothing waits", || metric(registry, "pending") == 0 && metric(registry, "unwritten") == 0);
}

#[test]
fn redis_that_is_not_there_yet() {
    let port = free_port();
    let lines = Lines::default();
    let a = Registry::start(settings(&format!("redis://127.0.0.1:{port}")), lines.log()).unwrap();
    a.publish(peer(1), &addresses(1)).unwrap();
    eventually("it is logged", || lines.contain("Warning: the connection to Redis is lost"));
    assert!(fails(&a));
    assert!(is_at(&a, peer(1), 1), "a server finds its own peers without Redis");
    assert_eq!(metric(&a, "unwritten"), 1);
}

#[test]
fn redis_that_stops_and_comes_back_empty() {
    let mut redis = Redis::start();
    let (a, b) = (registry(settings(&redis.url())), registry(settings(&redis.url())));
    for number in 0..2000 {
        a.publish(peer(number), &addresses(1)).unwrap();
    }
    eventually("all are written", || metric(&a, "published") == 2000);
    assert!(is_at(&b, peer(1), 1));
    redis.kill();
    eventually("it is noticed", || fails(&b));
    for _ in 0..1000 {
        assert!(fails_at_once(&b, peer(0xffff)));
    }
    // Peers come and go meanwhile.
    a.withdraw(peer(0));
    a.publish(peer(2000), &addresses(1)).unwrap();
    redis.restart_empty();
    recovers(&b);
    eventually("everything is there again", || {
        redis.command(&["EVAL", "return #redis.call('KEYS','introd:peer:*')", "0"]).trim() == "2000"
    });
    eventually("all are found", || [1, 1999, 2000].into_iter().all(|number| is_at(&b, peer(number), 1)));
    assert_eq!(find(&b, peer(0)), Ok(None));
    nothing_waits(&a);
    // On a machine under load, the key of the server may have expired as well.
    assert!(metric(&a, "republished") >= 1);
}

#[test]
fn redis_that_freezes() {
    let redis = Redis::start();
    let (a, b) = (registry(settings(&redis.url())), registry(settings(&redis.url())));
    a.publish(peer(1), &addresses(1)).unwrap();
    eventually("it is found", || is_at(&b, peer(1), 1));
    redis.freeze();
    // The first lookups wait until the connection is given up, the others fail at once.
    assert!(fails(&b));
    for number in 0..10_000 {
        assert!(fails_at_once(&b, peer(number)));
    }
    assert_eq!(metric(&b, "pending"), 0);
    a.publish(peer(2), &addresses(2)).unwrap();
    redis.thaw();
    recovers(&b);
    eventually("what was published meanwhile is found", || is_at(&b, peer(2), 2) && is_at(&b, peer(1), 1));
    nothing_waits(&a);
}

#[test]
fn redis_that_is_slow() {
    let redis = Redis::start();
    let proxy = Proxy::to(redis.port);
    let (a, b) = (registry(settings(&redis.url())), registry(Settings { timeout: 2000, ..settings(&proxy.url()) }));
    a.publish(peer(1), &addresses(1)).unwrap();
    connected(&b);
    proxy.slow(Duration::from_millis(200));
    // A round trip takes 400 ms, which is within the timeout. Many lookups take no longer than one, and become few calls.
    let before = redis.calls("mget");
    let (sender, answers) = std::sync::mpsc::channel();
    for number in 0..5000 {
        let sender = sender.clone();
        assert!(b.find(peer(number), || Some(Box::new(move |answer| drop(sender.send(answer))))).is_none());
    }
    let answers: Vec<_> = (0..5000).map(|_| answers.recv_timeout(DEADLINE).unwrap()).collect();
    assert!(answers.iter().all(Result::is_ok));
    assert!(redis.calls("mget") - before < 100, "{}", redis.calls("mget") - before);
    // Slower than the timeout: the connection counts as broken.
    proxy.slow(Duration::from_millis(1500));
    eventually("it counts as gone", || fails(&b));
    proxy.slow(Duration::ZERO);
    recovers(&b);
    assert!(is_at(&b, peer(1), 1));
}
