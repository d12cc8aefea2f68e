//! Plugins in the new process are told when clients are gone that the old one had.

use introd_tests::folder::Folder;
use introd_tests::program::{Files, Server};

use super::{command, replace};
use crate::harness::clients::{LOOPBACK, TIMEOUT, connect, peer_on, try_connect};
use crate::plugins::puppet;

/// The configuration of a server with this plugin.
fn configured(plugin: &str) -> (Files, String) {
    let files = Files::new();
    files.application(&format!("<Plugins>{}</Plugins>", puppet(plugin)));
    let conf = files.path().to_string_lossy().into_owned();
    (files, conf)
}

#[tokio::test]
async fn a_plugin_hears_once_that_a_client_is_gone_that_came_from_another_process() {
    let folder = Folder::new();
    let socket = folder.join("takeover");
    let (_files, conf) = configured("<name>old</name>");
    let old = Server::by(&mut command(&socket, "127.0.0.1:0", &["--conf", &conf]));
    let uri = old.uri(0);
    let came_over = connect(&uri, LOOPBACK, 1).await;
    let (_others, conf) = configured("<name>new</name>");
    let mut next = command(&socket, "127.0.0.1:0", &["--conf", &conf]);
    let before = old.logged().clone();
    let new = tokio::task::spawn_blocking(move || replace(old, &mut next)).await.expect("a takeover");
    let id = came_over.id().to_string();
    came_over.close().await;
    new.logged().wait_for(&format!("<<new disconnect {id}"), 1);
    let ended = new.stop();
    assert_eq!(ended.code, Some(0));
    let calls = |log: &str, what: &str| log.matches(&format!("{what} {id}")).count();
    let before = before.so_far();
    assert_eq!((calls(&before, "<<old connect"), calls(&before, "<<old disconnect")), (1, 0));
    assert_eq!((calls(&ended.stderr, "<<new connect"), calls(&ended.stderr, "<<new disconnect")), (0, 1));
}

#[tokio::test]
async fn a_plugin_is_asked_about_a_client_that_waits_for_that_of_another_process() {
    let folder = Folder::new();
    let socket = folder.join("takeover");
    let (_files, conf) = configured("<name>old</name><connect>never</connect>");
    let old = Server::by(&mut command(&socket, "127.0.0.1:0", &["--conf", &conf]));
    let uri = old.uri(0);
    let (_, id) = peer_on(LOOPBACK, 7);
    let waits = tokio::spawn(async move { try_connect(&uri, LOOPBACK, 7, Vec::new()).await });
    let (before, asked) = (old.logged().clone(), format!("connect {id}"));
    let is_asked = {
        let (log, asked) = (before.clone(), asked.clone());
        tokio::task::spawn_blocking(move || log.wait_for(&asked, 1))
    };
    is_asked.await.expect("the plugin is asked");
    let (_others, conf) = configured("<name>new</name>");
    let mut next = command(&socket, "127.0.0.1:0", &["--conf", &conf]);
    let new = tokio::task::spawn_blocking(move || replace(old, &mut next)).await.expect("a takeover");
    let connected = tokio::time::timeout(TIMEOUT, waits).await.expect("it is decided on").expect("no panic");
    connected.unwrap_or_else(|failure| panic!("{failure}")).close().await;
    new.logged().wait_for(&format!("<<new disconnect {id}"), 1);
    let ended = new.stop();
    assert_eq!((before.count(&asked), ended.stderr.matches(&format!("<<new {asked}")).count()), (1, 1));
    assert_eq!(ended.stderr.matches(&format!("<<new disconnect {id}")).count(), 1);
}
