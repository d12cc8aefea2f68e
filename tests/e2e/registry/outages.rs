//! Redis stops, freezes, comes back empty, is slow: peers of one server go on meeting each other, those of two servers meet
//! again when it is over.

use std::time::Duration;

use introd_tests::folder::Folder;
use introd_tests::program::{Peer, Process, Server, introd};
use introd_tests::redis::{Proxy, Redis};
use introd_tests::waiting::eventually;
use rtmfp::PeerId;

use super::{Asker, server};
use introd_tests::startup_packets::lookup;

/// Introduces peers of one server to each other, and says how fast.
fn local(server: &Server, when: &str) {
    const LOOKUPS: &str = "20000";
    let (address, process) = (server.addresses[0].to_string(), server.id().to_string());
    let ended = Process::start(&mut introd(&[
        "bench",
        "lookups",
        "--server",
        &address,
        "--pid",
        &process,
        "--targets",
        "64",
        "--askers",
        "32",
        "--window",
        "64",
        "--count",
        LOOKUPS,
        "--duration",
        "60",
        "--json",
    ]))
    .ended();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let report = ended.json();
    println!(
        "Redis {when}: {} local introductions a second; the server has {} KiB",
        report["per_second"],
        server.resident()
    );
    let done = report["done"].as_u64().unwrap_or_default();
    assert!(done >= 19_900, "{when}: {report}");
}

#[test]
fn local_introductions_go_on_whatever_happens_to_redis() {
    let (mut redis, folder) = (Redis::start(), Folder::new());
    let proxy = Proxy::to(redis.port);
    let (a, b) = (server(&folder, &proxy.url(), "a"), server(&folder, &redis.url(), "b"));
    let at_b = b.addresses[0];
    let staying = Peer::stay(&b.uri(0));
    let remote: PeerId = staying.id.parse().unwrap();
    let asker = Asker::new(a.addresses[0]);
    let is_found = || !asker.sent_to(at_b, &[remote], Duration::from_millis(700)).is_empty();
    // Remote lookups fail, however many, and nothing piles up.
    let storm = || {
        for number in 0..5000u32 {
            let mut id = [9; 32];
            id[..4].copy_from_slice(&number.to_be_bytes());
            asker.socket.send_to(&lookup(PeerId(id), [1; 16]), a.addresses[0]).unwrap();
        }
    };
    eventually("it is found", is_found);
    local(&a, "is well");
    let before = a.resident();

    redis.kill();
    eventually("it is not found", || !is_found());
    storm();
    local(&a, "is gone");
    redis.restart_empty();
    eventually("it is found again, though Redis has forgotten everything", is_found);
    local(&a, "is back");

    redis.freeze();
    eventually("it is not found", || !is_found());
    storm();
    local(&a, "is frozen");
    redis.thaw();
    eventually("it is found again", is_found);

    proxy.slow(Duration::from_millis(100));
    eventually("it is found, slowly", is_found);
    local(&a, "is slow");
    proxy.slow(Duration::from_millis(400));
    eventually("it is not found in time", || !is_found());
    storm();
    local(&a, "is too slow");
    proxy.slow(Duration::ZERO);
    eventually("it is found again", is_found);
    let after = a.resident();
    println!("the server's memory: {before} KiB before, {after} KiB after");
    assert!(after < before + (64 << 10), "{before} {after}");

    let ended = a.stop();
    for name in ["registry_failures", "registry_timeouts"] {
        assert!(ended.counter(name) > 0, "{name}: {ended:?}");
    }
    assert_eq!(ended.counter("worker_mailbox_full"), 0, "{ended:?}");
    assert!(ended.stderr.contains("Redis is lost"), "{ended:?}");
}
