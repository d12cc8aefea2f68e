//! A script is loaded again and again while clients come and go.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use introd_client::Client;
use introd_flash::amf::Value;
use introd_tests::program::{Files, Server};
use tokio::task::JoinSet;

use super::ask;
use crate::harness::clients::{LOOPBACK, TIMEOUT, connect};
use crate::harness::log::said;

const RELOADS: u32 = 50;
const CLIENTS_PER_RELOAD: u64 = 20;

/// Some clients decide at once, some while the script is replaced; all are told of once when they are gone.
fn version(number: u32) -> String {
    format!(
        "-- {number}
        function application.onConnect(client)
            if client.farID:byte() % 2 == 0 then sleep(20) end
            return true
        end
        function application.onDisconnect(client) trace('<<gone ' .. client.farID .. '>>') end
        function Client:who()
            assert(application.clients[self.farID] == self)
            return self.farID
        end"
    )
}

/// The script still knows the client by its id.
async fn is_well(client: &mut Client) {
    assert_eq!(ask(client, "who", Vec::new()).await, Ok(Value::from(client.id().to_string())));
}

/// A client comes, stays for a while and goes. Gives back its id.
async fn come_and_go(uri: String, number: u64) -> String {
    let mut client = connect(&uri, LOOPBACK, number).await;
    // How long depends on the client: some see no new version of the script, some several.
    for _ in 0..number % 4 {
        is_well(&mut client).await;
        let pause = Duration::from_millis(50 + number * 7 % 100);
        tokio::select! {
            () = tokio::time::sleep(pause) => (),
            failure = client.stay() => panic!("{failure}"),
        }
    }
    is_well(&mut client).await;
    let id = client.id().to_string();
    client.close().await;
    id
}

#[tokio::test]
async fn a_thousand_clients_survive_fifty_reloads_of_the_script() {
    let files = Files::new();
    files.script("app", &version(0), "<Policy><Deadline>60000</Deadline></Policy>");
    let main = files.of_application("app", "main.lua");
    let server = Server::configured(files.path(), 2);
    let uri = server.uri(0);
    // These stay for all reloads.
    let mut constant = Vec::new();
    for number in 0..10 {
        constant.push(connect(&uri, LOOPBACK, number).await);
    }
    // Waiting for the server's word would hold up the clients.
    let (ask_for_one, wanted) = channel();
    let reloads = tokio::task::spawn_blocking(move || reload(server, &main, &wanted));
    let mut coming = JoinSet::new();
    let mut ids = Vec::new();
    for number in 100..100 + u64::from(RELOADS) * CLIENTS_PER_RELOAD {
        coming.spawn(come_and_go(uri.clone(), number));
        // So many at a time.
        while coming.len() >= 40 {
            ids.push(coming.join_next().await.expect("one").expect("nobody is dropped"));
        }
        if number % CLIENTS_PER_RELOAD == 0 {
            ask_for_one.send(()).expect("all versions load");
        }
    }
    while let Some(gone) = coming.join_next().await {
        ids.push(gone.expect("nobody is dropped"));
    }
    let server = reloads.await.expect("all versions load");
    for client in &mut constant {
        is_well(client).await;
    }
    for client in constant {
        ids.push(client.id().to_string());
        client.close().await;
    }
    let ended = tokio::time::timeout(TIMEOUT, tokio::task::spawn_blocking(|| server.stop()));
    let ended = ended.await.expect("it stops").expect("it stops");
    let mut gone: HashMap<&str, u32> = HashMap::new();
    for line in said(&ended.stderr) {
        *gone.entry(line.strip_prefix("gone ").expect("nothing else is said")).or_default() += 1;
    }
    assert_eq!(ids.len(), 1010);
    for id in &ids {
        assert_eq!(gone.remove(id.as_str()), Some(1), "onDisconnect of {id}");
    }
    assert!(gone.is_empty(), "{gone:?}");
    assert_eq!(ended.stderr.matches("the script is reloaded").count(), RELOADS as usize);
    assert_eq!(ended.counter("application_busy"), 0);
    assert!(!ended.stderr.contains("ERROR"), "{}", ended.stderr);
}

/// One version after the other, each when it is wanted.
fn reload(mut server: Server, main: &PathBuf, wanted: &Receiver<()>) -> Server {
    for number in 1..=RELOADS {
        wanted.recv().expect("so many are wanted");
        std::fs::write(main, version(number)).expect("a file");
        assert!(server.reload());
        // The next is not to overtake it.
        server.logged().wait_for("the script is reloaded", number as usize);
    }
    server
}
