//! Redis has lost entries while it was connected: they come back.

use registry_redis::Settings;

use crate::harness::*;

#[test]
fn entries_that_were_deleted_or_evicted_come_back() {
    let redis = Redis::start();
    let (a, b) = (
        registry(Settings { sweep: 1, ..settings(&redis.url()) }),
        registry(Settings { positive_cache: 0, negative_cache: 0, ..settings(&redis.url()) }),
    );
    for number in 0..1000 {
        a.publish(peer(number), &addresses(1)).unwrap();
    }
    eventually("all are written", || metric(&a, "published") == 1000);
    for number in 0..100 {
        redis.command(&["DEL", &format!("introd:peer:{}", peer(number * 10))]);
    }
    // An entry of another server does not count as this server's.
    b.publish(peer(5), &addresses(5)).unwrap();
    redis.command(&["DEL", &format!("introd:peer:{}", peer(5))]);
    b.publish(peer(5), &addresses(6)).unwrap();
    eventually("all are there again", || {
        redis.command(&["EVAL", "return #redis.call('KEYS','introd:peer:*')", "0"]).trim() == "1000"
            && metric(&a, "entries_lost") >= 100
    });
    assert!((0..100).all(|number| is_at(&b, peer(number * 10), 1)));
    // What was not lost is not written again.
    eventually("it is quiet", || metric(&a, "unwritten") == 0);
    assert!(metric(&a, "entries_lost") <= 102, "{}", metric(&a, "entries_lost"));
    assert_eq!(metric(&a, "republished"), 0);
}

#[test]
fn the_loss_of_everything_is_noticed_by_the_next_heartbeat() {
    let redis = Redis::start();
    // No sweep comes in time.
    let (a, b) = (
        registry(Settings { sweep: 86_400, ..settings(&redis.url()) }),
        registry(Settings { positive_cache: 0, negative_cache: 0, ..settings(&redis.url()) }),
    );
    for number in 0..1000 {
        a.publish(peer(number), &addresses(1)).unwrap();
    }
    eventually("all are written", || metric(&a, "published") == 1000);
    connected(&b);
    redis.command(&["FLUSHALL"]);
    eventually("all are found", || (0..1000).all(|number| is_at(&b, peer(number), 1)));
    assert!(metric(&a, "republished") >= 1);
    assert_eq!(metric(&a, "breaks"), 0);
}
