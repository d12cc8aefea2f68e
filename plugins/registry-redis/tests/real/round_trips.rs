//! Lookups that come singly cost one round trip each.

use std::time::Duration;

use registry_redis::Settings;

use crate::harness::*;

/// Looks up peers that two servers have, one after the other, and counts round trips. `pause` follows each lookup, so that a round takes
/// longer than the state of a server is cached.
///
/// A computer that is busy adds round trips: where a heartbeat comes too late, a server counts as dead for a moment, and the state of a dead
/// server is asked for each time. Nothing takes a round trip away, so that one undisturbed round shows what lookups need.
fn one_each(settings: impl Fn() -> Settings, slow: impl FnOnce(), pause: Duration) {
    let servers = [registry(settings()), registry(settings())];
    let b = registry(Settings { positive_cache: 0, negative_cache: 0, ..settings() });
    connected(&b);
    for number in 0..60 {
        servers[number as usize % 2].publish(peer(number), &addresses(number as u8)).unwrap();
    }
    eventually("all are written", || servers.iter().all(|server| metric(server, "published") == 30));
    eventually("the servers are known", || is_at(&b, peer(0), 0) && is_at(&b, peer(1), 1));
    slow();
    eventually("as many round trips as lookups", || {
        let before = metric(&b, "lookup_batches");
        let all_found = (2..60).all(|number| {
            std::thread::sleep(pause);
            is_at(&b, peer(number), number as u8)
        });
        all_found && metric(&b, "lookup_batches") - before == 58
    });
}

#[test]
fn a_lookup_is_one_round_trip_although_the_state_of_its_server_is_cached_for_a_moment_only() {
    let redis = Redis::start();
    let proxy = Proxy::to(redis.port);
    // The state of a server is cached for a quarter of a heartbeat, in which about two lookups take place.
    one_each(|| settings(&proxy.url()), || proxy.slow(Duration::from_millis(50)), Duration::ZERO);
}

#[test]
fn so_is_one_in_a_cluster() {
    let cluster = Cluster::start(true);
    // The state of a server is cached for a quarter of a heartbeat, in which ten lookups take place at most.
    one_each(|| cluster.settings(), || (), Duration::from_millis(25));
}
