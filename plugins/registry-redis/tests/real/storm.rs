//! Many lookups at a time.

use std::sync::mpsc::channel;

use registry_redis::Failure;

use crate::harness::*;

#[test]
fn a_hundred_thousand_lookups_are_not_a_hundred_thousand_calls() {
    const LOOKUPS: u32 = 100_000;
    let redis = Redis::start();
    let proxy = Proxy::to(redis.port);
    // As if Redis were in another city: that is when calls pile up.
    proxy.slow(std::time::Duration::from_millis(5));
    let b = registry(settings(&proxy.url()));
    connected(&b);
    let before = redis.calls("mget");
    let (sender, answers) = channel();
    let (mut busy, mut at_once) = (0, 0);
    for number in 0..LOOKUPS {
        let sender = sender.clone();
        match b.find(peer(number), || Some(Box::new(move |answer| drop(sender.send(answer))))) {
            None => (),
            Some(Err(Failure::Busy)) => busy += 1,
            Some(answer) => {
                assert_eq!(answer, Ok(None));
                at_once += 1;
            }
        }
        assert!(metric(&b, "pending") <= 8192);
    }
    for _ in 0..LOOKUPS - busy - at_once {
        assert_eq!(answers.recv_timeout(DEADLINE).unwrap(), Ok(None));
    }
    let calls = redis.calls("mget") - before;
    println!("{LOOKUPS} lookups: {busy} refused as too many, {calls} calls of Redis");
    assert!(calls < u64::from(LOOKUPS) / 20, "{calls}");
    assert!(metric(&b, "remembered") <= 100_000 && metric(&b, "pending") == 0);
    // The same peer, asked for by many at a time, is one call.
    let before = redis.calls("mget");
    let id = peer(LOOKUPS);
    for _ in 0..1000 {
        let sender = sender.clone();
        if let Some(answer) = b.find(id, || Some(Box::new(move |answer| drop(sender.send(answer))))) {
            assert_eq!(answer, Ok(None));
            answers.try_iter().for_each(drop);
            break;
        }
    }
    assert_eq!(find(&b, id), Ok(None));
    assert!(redis.calls("mget") - before <= 2);
}
