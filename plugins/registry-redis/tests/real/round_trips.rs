//! Lookups that come singly cost one round trip each.

use std::time::Duration;

use registry_redis::Settings;

use crate::harness::*;

/// Looks up peers that two servers have, one after the other, and counts round trips.
fn one_each(settings: impl Fn() -> Settings, slow: impl FnOnce()) {
    let servers = [registry(settings()), registry(settings())];
    let b = registry(Settings { positive_cache: 0, negative_cache: 0, ..settings() });
    connected(&b);
    for number in 0..60 {
        servers[number as usize % 2].publish(peer(number), &addresses(number as u8)).unwrap();
    }
    eventually("all are written", || servers.iter().all(|server| metric(server, "published") == 30));
    // The first lookups learn which servers there are.
    assert!(is_at(&b, peer(0), 0) && is_at(&b, peer(1), 1));
    slow();
    let before = metric(&b, "lookup_batches");
    for number in 2..60 {
        assert!(is_at(&b, peer(number), number as u8));
    }
    assert_eq!(metric(&b, "lookup_batches") - before, 58);
}

#[test]
fn a_lookup_is_one_round_trip_although_the_state_of_its_server_is_cached_for_a_moment_only() {
    let redis = Redis::start();
    let proxy = Proxy::to(redis.port);
    // The state of a server is cached for a quarter of a heartbeat, in which about two lookups take place.
    one_each(|| settings(&proxy.url()), || proxy.slow(Duration::from_millis(50)));
}

#[test]
fn so_is_one_in_a_cluster() {
    let cluster = Cluster::start(true);
    // The state of a server is cached for less than a lookup takes.
    one_each(|| Settings { heartbeat: 400, ..cluster.settings() }, || ());
}
