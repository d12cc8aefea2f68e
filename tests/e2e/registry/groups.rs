//! Groups whose members are at several servers that share a registry in a real Redis.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use introd_tests::folder::Folder;
use introd_tests::program::{GroupMember, groupspec, probe};
use introd_tests::redis::Redis;
use introd_tests::waiting::{DEADLINE, eventually};
use rtmfp::PeerId;
use rustix::process::Signal;
use tokio::task::LocalSet;

use super::server;
use crate::harness::clients::create_stream;
use crate::harness::members::{Member, digest};
use crate::overlay::{InProcess, Links, become_one, become_one_here, peers};

#[test]
fn members_at_two_servers_become_one_overlay_and_exchange_a_posting() {
    let (redis, folder) = (Redis::start(), Folder::new());
    let servers = ["a", "b"].map(|name| server(&folder, &redis.url(), name));
    let spec = groupspec("two servers", true);
    let members: Vec<_> = (0..6).map(|number| GroupMember::start(&servers[number % 2].uri(0), &spec)).collect();
    let links = become_one(&members);
    let ended = probe(&["--group", spec.as_str(), "--json", &servers[1].uri(0)]);
    let json = ended.json();
    assert_eq!(json["posting_exchanged"], true, "{json}");
    let hints = peers(&json["hints"]);
    assert!(hints.iter().all(|hint| links.contains_key(hint)), "{json}");
    drop(members.into_iter().map(|member| member.end(Signal::TERM)).collect::<Vec<_>>());
    let mut hints = 0;
    for server in servers {
        let ended = server.stop();
        hints += ended.counter("registry_group_hints");
        assert!(!ended.stderr.contains("ERROR"), "{}", ended.stderr);
    }
    assert!(hints > 0, "nobody else could name members of the other server");
}

#[tokio::test]
async fn fifty_members_at_three_servers_become_one_overlay() {
    LocalSet::new()
        .run_until(async {
            let (redis, folder) = (Redis::start(), Folder::new());
            let servers = ["a", "b", "c"].map(|name| server(&folder, &redis.url(), name));
            let (spec, links) = (groupspec("fifty", false), Arc::new(Mutex::new(Links::new())));
            let mut members = Vec::new();
            for number in 0..50u64 {
                members.push(InProcess::join(&servers[number as usize % 3], number, &spec, &links).await);
            }
            become_one_here(&links, 50).await;
            let [queries, hints] =
                servers.map(|server| server.stop()).iter().fold([0; 2], |[queries, hints], ended| {
                    [queries + ended.counter("registry_group_queries"), hints + ended.counter("registry_group_hints")]
                });
            println!("{queries} queries and {hints} hints from the registry for 50 members at three servers");
            assert!(hints <= 9 * queries, "{hints}");
            drop(members);
        })
        .await;
}

/// How many members the one group has in Redis, those of dead servers among them.
fn members_in(redis: &Redis) -> usize {
    let group = redis.command(&["KEYS", "introd:group:*"]);
    redis.command(&["ZCARD", group.trim()]).trim().parse().unwrap_or(0)
}

#[tokio::test]
async fn members_of_a_killed_server_are_named_no_more() {
    let (redis, folder) = (Redis::start(), Folder::new());
    let [a, b, c] = ["a", "b", "c"].map(|name| server(&folder, &redis.url(), name));
    let group = digest("chess");
    let there = Member::joined_at(&b, "app", 1, &group).await;
    let mut lost = Vec::new();
    for number in 2..5 {
        lost.push(Member::joined_at(&c, "app", number, &group).await);
    }
    let there = there.client.id();
    let lost: BTreeSet<PeerId> = lost.iter().map(|member| member.client.id()).collect();
    // A member is not told of those that Redis does not have yet.
    eventually("all members are in Redis", || members_in(&redis) == 4);
    let mut first = Member::joined_at(&a, "app", 10, &group).await;
    first.is_told_of(&lost.iter().copied().chain([there]).collect::<Vec<_>>()).await;
    c.signal(Signal::KILL);
    assert_eq!(c.ended().code, None);
    // Its last sign of life counts for a while. From then on none of its members is named: not one time by chance, but ten times in a row.
    let deadline = Instant::now() + DEADLINE;
    let mut not_told = 0;
    for number in 20.. {
        let mut newcomer = Member::joined_at(&a, "app", number, &group).await;
        newcomer.is_told_of(&[there]).await;
        // All hints of one answer come before the answer to this call does.
        assert!(create_stream(&mut newcomer.client, 3.0).await > 0.0);
        not_told = if newcomer.hints.is_disjoint(&lost) { not_told + 1 } else { 0 };
        newcomer.client.close().await;
        // Those that have left must not take the places of others in the next answer.
        eventually("the newcomer has left", || members_in(&redis) <= 5);
        if not_told == 10 {
            break;
        }
        assert!(Instant::now() < deadline, "members of the killed server are still named to newcomer {number}");
    }
}
