//! A flood of lookups for unknown peers.

use std::time::Duration;

use introd_tests::folder::Folder;
use introd_tests::program::Server;
use introd_tests::redis::Redis;
use introd_tests::waiting::eventually;
use rtmfp::PeerId;

use super::{Asker, configured, server};
use crate::harness::clients::client;
use introd_tests::startup_packets::lookup;

const LOOKUPS: u32 = 100_000;

#[tokio::test]
async fn lookups_of_a_hundred_thousand_unknown_peers_make_few_calls_of_redis() {
    let (redis, folder) = (Redis::start(), Folder::new());
    let conf = configured(&folder, &redis.url(), "a", "<LookupTimeout>10000</LookupTimeout>");
    // All come from one address, on a fast computer more of them in a second than an address may send.
    let (file, limit) = (conf.join("Server.xml"), "<MaxLookupRatePerAddress>-1</MaxLookupRatePerAddress>");
    let limits = format!("<ResourceLimits><Protocol><RTMFP>{limit}</RTMFP></Protocol></ResourceLimits></Server>");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("</Server>", &limits)).unwrap();
    let (a, b) = (Server::configured(&conf, 2), server(&folder, &redis.url(), "b"));
    let (known, here) = (client(b.addresses[0], 1).await, client(a.addresses[0], 2).await);
    let asker = Asker::new(a.addresses[0]);
    asker.finds_all(b.addresses[0], &[known.id()]);
    let (memory, calls) = (a.resident(), redis.calls("mget"));
    for number in 0..LOOKUPS {
        let mut id = [9; 32];
        id[..4].copy_from_slice(&number.to_be_bytes());
        asker.socket.send_to(&lookup(PeerId(id), [1; 16]), a.addresses[0]).unwrap();
        // No more at once than a socket holds: a lookup that the kernel drops would prove nothing.
        if number % 100 == 99 {
            asker.is_read(here.id());
        }
    }
    // It answers meanwhile, and afterwards.
    asker.finds_all(b.addresses[0], &[known.id()]);
    let mut last = 0;
    eventually("the storm is over", || {
        std::thread::sleep(Duration::from_millis(300));
        std::mem::replace(&mut last, redis.calls("mget")) == last
    });
    let (calls, grown) = (redis.calls("mget") - calls, a.resident().saturating_sub(memory));
    let ended = a.stop();
    let (lookups, busy) = (ended.counter("registry_lookups"), ended.counter("registry_busy"));
    println!(
        "{lookups} lookups, {busy} of them too many at a time: {calls} calls of Redis; the server grew by {grown} KiB"
    );
    assert!(lookups >= u64::from(LOOKUPS), "{lookups} arrived");
    assert!(calls * 4 < lookups, "{calls} of {lookups}");
    assert!(grown < 128 << 10, "{grown} KiB");
    assert_eq!(ended.counter("registry_timeouts") + ended.counter("registry_failures"), 0, "{ended:?}");
}
