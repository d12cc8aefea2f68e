//! What entries, lookups and memberships cost, with several servers on one Redis.
//! `cargo test --release -p registry-redis --test real -- --ignored --nocapture costs` measures with many entries; the smaller run is
//! a test like any other.

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use introd_plugin::{GroupId, GroupMember, NeighborQuery};
use registry_redis::{Registry, Settings};
use rustix::time::{ClockId, clock_gettime};

use crate::harness::*;

const SERVERS: u32 = 4;

#[test]
fn costs_of_a_few_entries() {
    measure(4_000, 1_000);
}

#[test]
#[ignore = "takes long, and measures: run it alone, in a release build"]
fn costs_of_many_entries() {
    measure(200_000, 20_000);
}

#[test]
fn costs_of_a_few_memberships() {
    measure_groups(4_000, 200);
}

#[test]
#[ignore = "takes long, and measures: run it alone, in a release build"]
fn costs_of_many_memberships() {
    measure_groups(200_000, 20_000);
}

/// The group of a member: a quarter of all are in one group, a quarter in ten, and the others in groups of ten.
fn group_of(number: u32) -> GroupId {
    let group = match number % 4 {
        0 => 0,
        1 => 1 + number / 4 % 10,
        _ => 100 + number / 20,
    };
    let mut id = [7; 32];
    id[..4].copy_from_slice(&group.to_be_bytes());
    GroupId(id)
}

fn measure_groups(memberships: u32, joins: u32) {
    let redis = Redis::start();
    let proxy = Proxy::to(redis.port);
    let settings = |url: &str| Settings { heartbeat: 2000, sweep: 86_400, ..settings(url) };
    let servers: Vec<Registry> = (0..SERVERS)
        .map(|server| registry(settings(&if server + 1 == SERVERS { proxy.url() } else { redis.url() })))
        .collect();
    let last = servers.last().unwrap();
    servers.iter().for_each(connected);
    servers.iter().for_each(flushed);

    let (memory, own, other, bytes) = (resident(), own_cpu(), redis.cpu(), proxy.bytes());
    let (batches, began) = (metric(last, "group_batches"), Instant::now());
    for number in 0..memberships {
        // The members of each group are spread over the servers.
        servers[(number / 4 % SERVERS) as usize].join_group(&member(group_of(number), number)).unwrap();
    }
    servers.iter().for_each(flushed);
    let of_last = f64::from(memberships / SERVERS);
    println!(
        "{memberships} memberships of {SERVERS} servers written in {:.2} s: each {:.4} round trips, {:.0} bytes, {:.1} us of a \
         server's processor time, {:.1} us of Redis's, {:.0} bytes of a server's memory",
        began.elapsed().as_secs_f64(),
        (metric(last, "group_batches") - batches) as f64 / of_last,
        (proxy.bytes() - bytes) as f64 / of_last,
        (own_cpu() - own) * 1e6 / f64::from(memberships),
        (redis.cpu() - other) * 1e6 / f64::from(memberships),
        (resident().saturating_sub(memory)) as f64 / f64::from(memberships),
    );
    let used = redis.command(&["INFO", "memory"]);
    let used = used.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap().parse::<u64>().unwrap();
    println!("Redis holds {:.0} bytes for each membership", used as f64 / f64::from(memberships));

    // Newcomers in the large group, one after the other, and many at a time.
    for (how, at_a_time) in [("one at a time", 1), ("a thousand at a time", 1000)] {
        let (own, other, bytes, batches) = (own_cpu(), redis.cpu(), proxy.bytes(), metric(last, "group_batches"));
        let began = Instant::now();
        let (sender, answers) = channel();
        let mut open = 0;
        for number in 0..joins {
            let newcomer = member(group_of(0), 1_000_000 * (at_a_time + 1) + number);
            last.join_group(&newcomer).unwrap();
            let GroupMember { group, peer, position } = newcomer;
            let query = NeighborQuery { group, peer, position, near: 3, far: 3 };
            let sender = sender.clone();
            assert!(last.group_neighbors(&query, || Some(Box::new(move |answer| drop(sender.send(answer))))).is_none());
            open += 1;
            if open == at_a_time {
                assert_eq!(answers.recv_timeout(DEADLINE).unwrap().unwrap().len(), 9);
                open -= 1;
            }
        }
        for _ in 0..open {
            assert_eq!(answers.recv_timeout(DEADLINE).unwrap().unwrap().len(), 9);
        }
        let each = f64::from(joins);
        println!(
            "{joins} joins with neighbours in a group of {}, {how}, in {:.2} s: each {:.3} round trips, {:.0} bytes, {:.1} us of a \
             server's processor time, {:.1} us of Redis's",
            memberships / 4,
            began.elapsed().as_secs_f64(),
            (metric(last, "group_batches") - batches) as f64 / each,
            (proxy.bytes() - bytes) as f64 / each,
            (own_cpu() - own) * 1e6 / each,
            (redis.cpu() - other) * 1e6 / each,
        );
    }
}

/// The processor time of this process, in seconds.
fn own_cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4
}

fn measure(entries: u32, lookups: u32) {
    let redis = Redis::start();
    // All but the last write straight to Redis; what the last one sends and gets is counted.
    let proxy = Proxy::to(redis.port);
    // The entries are verified so slowly that heartbeats are measured, and not that.
    let settings = |url: &str| Settings { heartbeat: 2000, sweep: 86_400, ..settings(url) };
    let servers: Vec<Registry> = (0..SERVERS)
        .map(|server| registry(settings(&if server + 1 == SERVERS { proxy.url() } else { redis.url() })))
        .collect();
    let last = servers.last().unwrap();
    servers.iter().for_each(connected);

    // What it costs to be alive, with no peer.
    let beats = |registry: &Registry| {
        let (bytes, before) = (proxy.bytes(), metric(registry, "heartbeats"));
        eventually("it beats", || metric(registry, "heartbeats") >= before + 3);
        (proxy.bytes() - bytes) as f64 / (metric(registry, "heartbeats") - before) as f64
    };
    let idle = beats(last);

    let (memory, own, other, bytes, began) = (resident(), own_cpu(), redis.cpu(), proxy.bytes(), Instant::now());
    for number in 0..entries {
        servers[(number % SERVERS) as usize].publish(peer(number), &addresses(number as u8)).unwrap();
    }
    eventually("all are written", || servers.iter().all(|server| metric(server, "unwritten") == 0));
    eventually("all have arrived", || {
        servers.iter().map(|server| metric(server, "published")).sum::<u64>() >= u64::from(entries)
    });
    let took = began.elapsed();
    let of_last = f64::from(entries / SERVERS);
    println!(
        "{entries} entries of {SERVERS} servers written in {:.2} s: each {:.3} round trips, {:.0} bytes, {:.1} us of a server's \
         processor time, {:.1} us of Redis's, {:.2} KiB of a server's memory",
        took.as_secs_f64(),
        metric(last, "write_batches") as f64 / of_last,
        (proxy.bytes() - bytes) as f64 / of_last,
        (own_cpu() - own) * 1e6 / f64::from(entries),
        (redis.cpu() - other) * 1e6 / f64::from(entries),
        (resident().saturating_sub(memory)) as f64 / f64::from(entries),
    );

    let full = beats(last);
    println!("a heartbeat costs {idle:.0} bytes with no peer, and {full:.0} with {of_last}");
    // One entry in a second is verified besides.
    assert!(full < idle + 400.0, "{idle} {full}");

    // One after the other, as a quiet server does: each is a round trip.
    let (own, other, bytes, batches) = (own_cpu(), redis.cpu(), proxy.bytes(), metric(last, "lookup_batches"));
    let began = Instant::now();
    for number in 0..lookups {
        assert!(is_at(last, peer(number * SERVERS), (number * SERVERS) as u8));
    }
    report("one at a time", lookups, began.elapsed(), &redis, &proxy, last, (own, other, bytes, batches));

    // Many at a time, as a busy one does.
    std::thread::sleep(Duration::from_millis(1));
    let (own, other, bytes, batches) = (own_cpu(), redis.cpu(), proxy.bytes(), metric(last, "lookup_batches"));
    let (sender, answers) = channel();
    let began = Instant::now();
    let mut open = 0;
    for number in 0..lookups {
        let peer = peer(number * SERVERS + 1);
        let sender = sender.clone();
        assert!(last.find(peer, || Some(Box::new(move |answer| drop(sender.send(answer))))).is_none());
        open += 1;
        if open == 1000 {
            assert!(answers.recv_timeout(DEADLINE).unwrap().unwrap().is_some());
            open -= 1;
        }
    }
    for _ in 0..open {
        assert!(answers.recv_timeout(DEADLINE).unwrap().unwrap().is_some());
    }
    report("a thousand at a time", lookups, began.elapsed(), &redis, &proxy, last, (own, other, bytes, batches));
    let memory = redis.command(&["INFO", "memory"]);
    let used = memory.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap().parse::<u64>().unwrap();
    println!("Redis holds {:.0} bytes for each entry", used as f64 / f64::from(entries));
}

fn report(
    how: &str,
    lookups: u32,
    took: Duration,
    redis: &Redis,
    proxy: &Proxy,
    registry: &Registry,
    (own, other, bytes, batches): (f64, f64, u64, u64),
) {
    let each = f64::from(lookups);
    println!(
        "{lookups} lookups, {how}, in {:.2} s: each {:.3} round trips, {:.0} bytes, {:.1} us of a server's processor time, {:.1} us \
         of Redis's",
        took.as_secs_f64(),
        (metric(registry, "lookup_batches") - batches) as f64 / each,
        (proxy.bytes() - bytes) as f64 / each,
        (own_cpu() - own) * 1e6 / each,
        (redis.cpu() - other) * 1e6 / each,
    );
}
