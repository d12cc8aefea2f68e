//! Plugins at the start and at reloads of the configuration; plugins that hold up the server.

use std::time::Duration;

use introd_tests::libraries::library;
use introd_tests::program::{Files, Process, Server, introd};

use super::{plugin, puppet};
use crate::harness::clients::{TIMEOUT, client};
use crate::harness::log::logged;

#[test]
fn a_server_does_not_start_without_its_plugins() {
    let files = Files::new();
    let start = |inside: &str| {
        files.application(&format!("<Plugins>{inside}</Plugins>"));
        let conf = files.path().to_string_lossy().into_owned();
        Process::start(&mut introd(&["run", "--admin", "none", "--listen", "127.0.0.1:0", "--conf", &conf])).ended()
    };
    let ended = start("<Plugin path=\"libmissing.so\"/>");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("plugins/libmissing.so: No such file"), "{ended:?}");
    let ended = start(&plugin(&library("lookup-filter"), "<rule action=\"deny\" target=\"abc\"/>"));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("could not be made: rule 1: abc is not 64 hexadecimal digits"), "{ended:?}");
}

#[tokio::test]
async fn a_reload_replaces_plugins_and_keeps_clients() {
    let files = Files::new();
    let with = |name: &str, verdict: &str| {
        let config = format!("<name>{name}</name><lookup>{verdict}</lookup>");
        files.application(&format!("<Plugins>{}</Plugins>", puppet(&config)));
    };
    with("old", "deny");
    let mut server = Server::configured(files.path(), 2);
    let (mut asker, mut target) = (client(server.addresses[0], 1).await, client(server.addresses[0], 2).await);
    let id = target.id();
    tokio::select! {
        () = async {
            asker.meet(id, Duration::from_millis(700)).await.expect_err("it is denied");
            files.application("<Plugins><Plugin path=\"libmissing.so\"/></Plugins>");
            assert!(!server.reload(), "such a configuration is not taken");
            asker.meet(id, Duration::from_millis(700)).await.expect_err("it is denied still");
            with("new", "continue");
            assert!(server.reload());
            asker.meet(id, TIMEOUT).await.expect("an introduction");
        } => (),
        failure = target.stay() => panic!("{failure}"),
    }
    logged(&server, "<<old destroyed>>", 1).await;
    asker.close().await;
    target.close().await;
    let ended = server.stop();
    assert!(ended.stderr.contains("the old configuration stays: "), "{ended:?}");
    assert_eq!(ended.stderr.matches("<<new disconnect").count(), 2, "{ended:?}");
    assert_eq!(ended.stderr.matches("<<old disconnect").count(), 0, "{ended:?}");
}

#[tokio::test]
async fn a_plugin_that_blocks_is_named() {
    let files = Files::new();
    files.application(&format!("<Plugins>{}</Plugins>", puppet("<lookup>block 1000</lookup>")));
    let server = Server::configured(files.path(), 1);
    let (mut asker, mut target) = (client(server.addresses[0], 1).await, client(server.addresses[0], 2).await);
    let id = target.id();
    tokio::select! {
        () = async {
            asker.meet(id, TIMEOUT).await.expect("late, but answered");
        } => (),
        failure = target.stay() => panic!("{failure}"),
    }
    let ended = server.stop();
    let line = ended.stderr.lines().find(|line| line.contains("holds up the network")).expect("it is told of");
    assert!(line.contains("plugin=\"puppet\"") && line.contains("callback=\"lookup\""), "{line}");
    assert!(ended.counter("plugin_puppet_slow_calls") >= 1, "{ended:?}");
    assert!(ended.counter("plugin_puppet_call_microseconds") >= 1_000_000, "{ended:?}");
}
