//! A server with clients is taken over by another process: other servers see one server that goes on, with clients that are there as long as
//! before.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use introd_client::Client;
use introd_tests::folder::Folder;
use introd_tests::program::{Server, introd};
use introd_tests::redis::Redis;
use introd_tests::waiting::eventually;

use super::{Asker, clients, configured, published, server};
use crate::harness::clients::{client, proven_client};

const CLIENTS: u32 = 300;
const TAKEOVERS: usize = 3;

fn command(conf: &Path, socket: &Path) -> Command {
    let takeover = format!("--takeover={}", socket.display());
    let mut command =
        introd(&["run", "--log-limit", "0", "--workers", "2", "--admin", "none", "--listen", "127.0.0.1:0"]);
    command.arg("--conf").arg(conf).arg(takeover);
    command
}

#[tokio::test]
async fn what_a_server_has_published_stays_valid_while_processes_replace_each_other() {
    let (redis, folder) = (Redis::start(), Folder::new());
    let (conf, socket) = (configured(&folder, &redis.url(), "a", ""), folder.join("takeover"));
    let mut a = Server::by(&mut command(&conf, &socket));
    let at_a = a.addresses[0];
    let b = server(&folder, &redis.url(), "b");
    let _clients = clients(at_a, CLIENTS);
    let (leaving, staying) = (client(at_a, 77).await, client(at_a, 78).await);
    let (gone, stays) = (leaving.id(), staying.id());
    eventually("all are published", || published(&redis).len() == CLIENTS as usize + 2);
    let peers = published(&redis);
    let asker = Asker::new(b.addresses[0]);
    asker.finds_all(at_a, &peers);

    let is_over = AtomicBool::new(false);
    let (epochs, logs) = std::thread::scope(|scope| {
        // An entry counts as long as the server's key holds its epoch.
        let watching = scope.spawn(|| {
            let mut epochs = BTreeSet::new();
            while !is_over.load(Ordering::Relaxed) {
                epochs.insert(redis.command(&["GET", "introd:server:a"]));
            }
            epochs
        });
        let mut logs = Vec::new();
        for _ in 0..TAKEOVERS {
            let new = Server::by(&mut command(&conf, &socket));
            assert_eq!(new.addresses, [at_a]);
            let old = std::mem::replace(&mut a, new).ended();
            assert_eq!(old.code, Some(0), "{old:?}");
            logs.push(old.stderr);
            asker.finds_all(at_a, &peers);
        }
        is_over.store(true, Ordering::Relaxed);
        (watching.join().expect("it watches"), logs)
    });
    assert_eq!(epochs.len(), 1, "other servers took entries for invalid: {epochs:?}");
    // A client that leaves is gone, and one that stays is not.
    leaving.close().await;
    eventually("the client is gone", || !published(&redis).contains(&gone));
    asker.finds_all(at_a, &[stays]);
    for log in logs.iter().map(String::as_str).chain([&*a.log()]) {
        assert!(!log.contains("ERROR") && !log.contains("another server"), "{log}");
    }
    // A server that stops says goodbye, however often it has been replaced.
    assert_eq!(a.stop().code, Some(0));
    eventually("it has withdrawn its peers", || published(&redis).is_empty());
    assert_eq!(redis.command(&["EXISTS", "introd:server:a"]).trim(), "0");
}

/// Keeps a client connected until the task is ended.
fn stays(mut client: Client) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            client.next().await.expect("its sockets work");
        }
    })
}

#[tokio::test]
async fn a_peer_that_has_moved_is_found_where_it_is_although_the_server_that_it_left_was_taken_over() {
    let (redis, folder) = (Redis::start(), Folder::new());
    let (conf, socket) = (configured(&folder, &redis.url(), "a", ""), folder.join("takeover"));
    let mut a = Server::by(&mut command(&conf, &socket));
    let (b, at_a) = (server(&folder, &redis.url(), "b"), a.addresses[0]);
    let at_b = b.addresses[0];
    // Whom another server than both is sent to. It starts now, and has remembered nothing.
    let leads_to = |relay, peer, name: &str| {
        let other = server(&folder, &redis.url(), name);
        Asker::new(other.addresses[0]).finds_all(relay, &[peer]);
    };
    let first = proven_client(&a.uri_of("app"), 7).await;
    let peer = first.id();
    leads_to(at_a, peer, "c");
    let first = stays(first);
    let second = proven_client(&b.uri_of("app"), 7).await;
    assert_eq!(second.id(), peer);
    leads_to(at_b, peer, "d");
    let second = stays(second);
    for name in ["e", "f"] {
        let (writes, new) = (redis.calls("eval"), Server::by(&mut command(&conf, &socket)));
        let old = std::mem::replace(&mut a, new).ended();
        assert_eq!(old.code, Some(0), "{old:?}");
        eventually("the new process has written its entry", || redis.calls("eval") > writes);
        leads_to(at_b, peer, name);
    }
    // When it leaves the other server, the one that was taken over has it still.
    assert!(!first.is_finished() && !second.is_finished());
    drop(b);
    leads_to(at_a, peer, "g");
    first.abort();
    assert_eq!(a.stop().code, Some(0));
}
