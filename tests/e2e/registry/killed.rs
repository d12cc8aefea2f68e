//! A server with clients is killed.

use std::time::Duration;

use introd_tests::folder::Folder;
use introd_tests::program::Server;
use introd_tests::redis::Redis;
use introd_tests::waiting::eventually;
use rustix::process::Signal;

use super::{Asker, HEARTBEAT, clients, configured, published, server};
use crate::harness::clients::client;

const CLIENTS: u32 = 2000;
const GAP: Duration = Duration::from_millis(100);

#[tokio::test]
async fn no_asker_is_redirected_to_a_killed_server() {
    let (redis, folder) = (Redis::start(), Folder::new());
    let [a, b, c] = ["a", "b", "c"].map(|name| server(&folder, &redis.url(), name));
    let (at_a, at_c) = (a.addresses[0], c.addresses[0]);
    let _clients = clients(at_a, CLIENTS);
    let moving = client(at_a, 77).await;
    let id = moving.id();
    eventually("all are published", || published(&redis).len() == CLIENTS as usize + 1);
    let peers = published(&redis);
    assert_eq!(peers.len(), CLIENTS as usize + 1);
    let asker = Asker::new(b.addresses[0]);
    asker.finds_all(at_a, &peers);

    a.signal(Signal::KILL);
    assert_eq!(a.ended().code, None);
    // A client that connects elsewhere is found there at once, though its old entry names a server that may still live.
    drop(moving);
    let moved = client(at_c, 77).await;
    assert_eq!(moved.id(), id);
    asker.finds_all(at_c, &[id]);

    // Its last sign of life counts for one and a half heartbeats; until others look again, a quarter passes.
    let left: i64 = redis.command(&["PTTL", "introd:server:a"]).trim().parse().unwrap();
    assert!(left <= HEARTBEAT.as_millis() as i64 * 3 / 2, "{left} ms");
    let sample = &peers[..50];
    eventually("no asker is redirected there any more", || asker.sent_to(at_a, sample, GAP).is_empty());
    assert_eq!(asker.sent_to(at_a, &peers, GAP).len(), 0);

    // It comes back, with the same name and address, and what it had published is still in Redis.
    let again = Server::configured_at(&configured(&folder, &redis.url(), "a", ""), 2, at_a);
    let back = client(at_a, 78).await;
    asker.finds_all(at_a, &[back.id()]);
    assert_eq!(published(&redis).len(), CLIENTS as usize + 2, "the old entries are there");
    assert_eq!(asker.sent_to(at_a, &peers, GAP).len(), 0, "and count for nothing");
    asker.finds_all(at_c, &[id]);
    drop(again);
}
