//! Of each client that a script is asked about, a script hears once that it is gone: be it that of another process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use introd_tests::folder::Folder;
use introd_tests::program::{Files, Server};
use introd_tests::waiting::eventually;
use tokio::task::JoinSet;

use super::{command, replace};
use crate::harness::clients::{LOOPBACK, connect, rejection, try_connect};

/// So many clients at a time are rejected, and then others.
const REJECTED: u64 = 4;

/// It accepts, rejects, or, until another process takes over, has the client wait.
const SCRIPT: &str = "
    local is_new = false
    function application.onAppStart(info)
        is_new = info.reason == 'takeover'
        trace('begins by', info.reason, 'with', #application.clients)
    end
    function application.onConnect(client, wish)
        trace('asked', client.id)
        if wish == 'wait' and not is_new then return nil end
        return wish == nil
    end
    function application.onDisconnect(client) trace('gone', client.id) end
";

/// Waits until the script was asked about so many clients, which go on meanwhile.
async fn asked(server: &Server, clients: usize) {
    let log = server.logged().clone();
    tokio::task::spawn_blocking(move || log.wait_for("asked", clients)).await.expect("it is asked");
}

/// How often a log says each of two things about each client.
fn told(log: &str) -> BTreeMap<String, (usize, usize)> {
    let mut told = BTreeMap::<String, (usize, usize)>::new();
    for line in log.lines() {
        let mut words = line.split_whitespace().skip_while(|word| !matches!(*word, "asked" | "gone"));
        let (Some(what), Some(id)) = (words.next(), words.next()) else { continue };
        // As 1:04400000.
        if id.contains(':') {
            let (asked, gone) = told.entry(id.to_owned()).or_default();
            *(if what == "asked" { asked } else { gone }) += 1;
        }
    }
    told
}

#[tokio::test]
async fn scripts_hear_once_that_a_client_is_gone_also_of_those_that_are_rejected_or_wait_when_processes_change() {
    let (folder, files) = (Folder::new(), Files::new());
    files.script("game", SCRIPT, "");
    let conf = files.path().to_string_lossy().into_owned();
    let socket = folder.join("takeover");
    let old = Server::by(&mut command(&socket, "127.0.0.1:0", &["--conf", &conf]));
    let uri = old.uri_of("game");
    let staying = connect(&uri, LOOPBACK, 1).await;
    let waits = tokio::spawn({
        let uri = uri.clone();
        async move { rejection(&uri, LOOPBACK, 2, vec!["wait".into()]).await }
    });
    asked(&old, 2).await;
    // Clients that are rejected and say nothing more: their sessions end a while later.
    let is_over = Arc::new(AtomicBool::new(false));
    let mut rejected = JoinSet::new();
    for row in 1..=REJECTED {
        let (uri, is_over) = (uri.clone(), Arc::clone(&is_over));
        rejected.spawn(async move {
            for number in 0.. {
                let failure = try_connect(&uri, LOOPBACK, row * 1000 + number, vec!["no".into()]).await.err();
                assert!(failure.is_some(), "the script rejects it");
                if is_over.load(Ordering::Acquire) {
                    return;
                }
            }
        });
    }
    asked(&old, 2 + REJECTED as usize).await;
    let before = old.logged().clone();
    let mut next = command(&socket, "127.0.0.1:0", &["--conf", &conf]);
    let new = tokio::task::spawn_blocking(move || replace(old, &mut next)).await.expect("a takeover");
    is_over.store(true, Ordering::Release);
    while let Some(row) = rejected.join_next().await {
        row.expect("all are rejected");
    }
    assert!(waits.await.expect("a rejection").contains("Rejected"));
    new.logged().wait_for("begins by takeover with 1", 1);
    staying.close().await;

    let all = || told(&format!("{}{}", before.so_far(), new.log()));
    eventually("each client is gone", || all().values().all(|(asked, gone)| *asked > 0 && *gone > 0));
    let (in_old, in_new) = (told(&before.so_far()), told(&new.log()));
    // Those of whom the old process has not heard that they are gone.
    let over = in_old.iter().filter(|(_, (_, gone))| *gone == 0).map(|(id, _)| id);
    let over: Vec<_> = over.filter(|id| in_new.contains_key(*id)).collect();
    assert!(over.len() > 2, "the one that stays, the one that waits, and some that were rejected: {over:?}");
    let ended = new.stop();
    assert_eq!(ended.code, Some(0));
    let all = told(&format!("{}{}", before.so_far(), ended.stderr));
    assert!(all.values().all(|(_, gone)| *gone == 1), "{all:?}");
}
