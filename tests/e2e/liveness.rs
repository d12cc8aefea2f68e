//! A server serves, or it ends and says why: threads that stand still, starts that cannot serve, files that never end, a process
//! that was stopped for a while.

use std::process::Command;
use std::time::{Duration, Instant};

use introd_client::Client;
use introd_tests::program::{Files, Process, Server, binary, introd, probe};
use rtmfp::Event;
use rustix::process::Signal;

use crate::harness::clients::{TIMEOUT, client, create_stream};
use crate::harness::independent;
use crate::harness::stranger::Stranger;
use crate::plugins::puppet;

/// The exit status of a server whose thread has failed.
const THREAD_FAILED: i32 = 70;

#[tokio::test]
async fn a_worker_that_a_plugin_blocks_for_ever_ends_the_process_and_is_named() {
    let files = Files::new();
    files.application(&format!("<Plugins>{}</Plugins>", puppet("<lookup>block 3600000</lookup>")));
    let server = Server::configured(files.path(), 1);
    Stranger::new(TIMEOUT).ask(server.addresses[0], rtmfp::PeerId([7; 32]));
    let ended = server.ended();
    assert_eq!(ended.code, Some(THREAD_FAILED), "{ended:?}");
    assert!(ended.stderr.contains("the thread worker-0 stands still"), "{ended:?}");
}

#[test]
fn a_server_with_too_few_file_descriptors_says_so_or_serves() {
    let (mut failed, mut served) = (0, 0);
    for limit in (3..=24).chain([28, 32, 40, 64, 128]) {
        let start = format!("ulimit -n {limit}; exec {} run --workers 2 --listen 127.0.0.1:0", binary().display());
        let mut running = Process::start(Command::new("sh").args(["-c", &start]).env_remove("RUST_LOG"));
        let line = running.line().unwrap_or_default();
        let Some((_, address)) = line.split_once("listens on UDP ") else {
            let ended = running.ended();
            assert!(ended.code.is_some_and(|code| code != 0), "limit {limit}: {ended:?}");
            // With hardly any, the system cannot even load the program.
            assert!(ended.stderr.contains("ulimit -n") || ended.code == Some(127), "limit {limit}: {ended:?}");
            failed += 1;
            continue;
        };
        let probed = probe(&[&format!("rtmfp://{address}/app/room")]);
        assert_eq!(probed.code, Some(0), "limit {limit}: {probed:?}");
        running.signal(Signal::TERM);
        assert_eq!(running.ended().code, Some(0));
        served += 1;
    }
    assert!(failed > 0 && served > 0, "{failed} failed, {served} served");
}

fn make_fifo(path: &std::path::Path) {
    let _ = std::fs::remove_file(path);
    assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo").success());
}

#[test]
fn a_fifo_in_place_of_a_configuration_file_is_an_error_and_hangs_nothing() {
    for name in ["Server.xml", "introd.ini", "_defaultRoot_/Adaptor.xml", "_defaultRoot_/_defaultVHost_/Vhost.xml"] {
        let files = Files::new();
        make_fifo(&files.path().join(name));
        let ended = Process::start(&mut introd(&[
            "run",
            "--admin",
            "none",
            "--listen",
            "127.0.0.1:0",
            "--conf",
            &files.path().to_string_lossy(),
        ]))
        .ended();
        assert_eq!(ended.code, Some(1), "{name}: {ended:?}");
        assert!(
            ended.stderr.contains(name) && ended.stderr.contains("neither a file nor a folder"),
            "{name}: {ended:?}"
        );
    }
}

#[tokio::test]
async fn a_fifo_hangs_no_reload_and_changes_nothing() {
    let files = Files::new();
    files.server("");
    let mut server = Server::configured(files.path(), 1);
    let mut staying = client(server.addresses[0], 1).await;
    make_fifo(&files.path().join("Server.xml"));
    assert!(!server.reload());
    assert!(create_stream(&mut staying, 2.0).await > 0.0);
    assert_eq!(server.stop().code, Some(0));
}

/// Runs a client for so long.
async fn go_on(client: &mut Client, time: Duration) {
    let until = tokio::time::sleep(time);
    tokio::pin!(until);
    loop {
        tokio::select! {
            () = &mut until => return,
            event = client.next() => {
                let event = event.expect("its sockets work");
                assert!(!matches!(event, Event::Closed { .. }), "{event:?}");
            }
        }
    }
}

/// The shortest that can be configured.
const DEAD_PEER_TIMEOUT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn after_a_freeze_longer_than_the_timeout_present_clients_stay_and_vanished_ones_go() {
    let files = Files::new();
    let keepalive = "<Server>10</Server><Peers>10</Peers>";
    files.adaptor(&format!(
        "<RTMFP><KeepAliveTime><NoNAT>{keepalive}</NoNAT><NAT>{keepalive}</NAT></KeepAliveTime>\
         <DeadPeerTimeout>{}</DeadPeerTimeout></RTMFP>",
        DEAD_PEER_TIMEOUT.as_secs()
    ));
    let server = Server::configured(files.path(), 1);
    let mut staying = client(server.addresses[0], 1).await;
    let vanishing = client(server.addresses[0], 2).await;
    let vanished = vanishing.id();
    server.signal(Signal::STOP);
    // It vanishes without closing its session.
    drop(vanishing);
    go_on(&mut staying, DEAD_PEER_TIMEOUT + Duration::from_secs(5)).await;
    server.signal(Signal::CONT);
    assert!(create_stream(&mut staying, 2.0).await > 0.0);
    let address = server.addresses[0];
    let is_found = |id, within| Stranger::new(within).look_up(address, id).is_some();
    assert!(is_found(staying.id(), TIMEOUT), "a client that is there is found");
    let deadline = Instant::now() + TIMEOUT + DEAD_PEER_TIMEOUT;
    loop {
        go_on(&mut staying, Duration::from_secs(1)).await;
        if !is_found(vanished, Duration::from_secs(1)) {
            break;
        }
        assert!(Instant::now() < deadline, "a vanished client is still found");
    }
    assert!(is_found(staying.id(), TIMEOUT));
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn independent_clients_survive_a_freeze() {
    let said = independent::run("freeze.py", &[]);
    assert!(said.is_none_or(|said| said.contains("stayed")));
}
