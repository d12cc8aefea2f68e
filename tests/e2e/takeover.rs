//! A new process takes over the sockets and sessions of one that serves, and the clients notice nothing.

mod midway;
mod numbered;
mod plugins;
mod told;

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use introd_client::Client;
use introd_flash::amf::Value;
use introd_tests::folder::Folder;
use introd_tests::program::{Files, GroupMember, Peer, Process, Server, groupspec, introd, probe};
use introd_tests::redis::free_port;
use introd_tests::waiting::eventually;
use rustix::process::Signal;
use tokio::task::JoinSet;

use crate::harness::clients::{LOOPBACK, TIMEOUT, connect};

/// Clients that send and receive while the process is replaced.
const CLIENTS: u64 = 40;
/// How many times the process is replaced meanwhile.
const TAKEOVERS: usize = 3;
/// A method that workers answer by themselves.
const METHOD: &str = "introd.connectivity";

/// The command of a server that listens there, is reached at this Unix socket, and has these arguments besides.
fn command(socket: &Path, listen: &str, more: &[&str]) -> Command {
    let takeover = format!("--takeover={}", socket.display());
    let mut command =
        introd(&["run", "--log-limit", "0", "--workers", "2", "--admin", "none", "--listen", listen, &takeover]);
    command.args(more);
    command
}

/// Replaces a server by another process with this command, and waits for the end of the old one.
fn replace(old: Server, command: &mut Command) -> Server {
    let new = Server::by(command);
    assert_eq!(new.addresses, old.addresses);
    let ended = old.ended();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("another process has taken over"), "{ended:?}");
    new
}

/// With how many sessions of another process a server has begun.
fn sessions_taken_over(server: &Server) -> usize {
    server.logged().wait_for("the sessions are taken over", 1);
    let log = server.log();
    let (_, sessions) = log.split_once(" sessions=").expect("it says how many");
    sessions.split(' ').next().and_then(|number| number.parse().ok()).expect("a number")
}

async fn answers(client: &mut Client) -> bool {
    let answer = client.call(METHOD, Vec::new(), TIMEOUT).await;
    answer.expect("the client is connected").is_ok()
}

#[tokio::test]
async fn clients_keep_their_sessions_flows_groups_and_names_while_processes_replace_each_other() {
    let folder = Folder::new();
    let socket = folder.join("takeover");
    let mut server = Server::by(&mut command(&socket, "127.0.0.1:0", &[]));
    let uri = server.uri(0);
    let spec = groupspec("takeover", false);
    let members: Vec<_> = (0..3).map(|_| GroupMember::start(&uri, &spec)).collect();
    eventually("the members know each other", || {
        members.iter().all(|member| member.neighbors().is_some_and(|(_, neighbors)| neighbors.len() == 2))
    });
    let staying = Peer::stay(&uri);

    let (over, is_over) = tokio::sync::watch::channel(false);
    let mut tasks = JoinSet::new();
    let (here, mut are_here) = tokio::sync::mpsc::unbounded_channel();
    for number in 0..CLIENTS {
        let (uri, is_over, here) = (uri.clone(), is_over.clone(), here.clone());
        tasks.spawn(async move {
            let mut client = connect(&uri, LOOPBACK, 500 + number).await;
            here.send(()).expect("the test goes on");
            let mut calls = 0_u32;
            // Each call is a message on a flow, and its answer another: none may be lost.
            while !*is_over.borrow() {
                assert!(answers(&mut client).await);
                calls += 1;
            }
            client.close().await;
            calls
        });
    }
    for _ in 0..CLIENTS {
        are_here.recv().await.expect("the clients connect");
    }
    for round in 1..=TAKEOVERS {
        let mut next = command(&socket, "127.0.0.1:0", &[]);
        server = tokio::task::spawn_blocking(move || replace(server, &mut next)).await.expect("a takeover");
        // The clients, the members and the peer that stays.
        let (sessions, all) = (sessions_taken_over(&server), CLIENTS as usize + members.len() + 1);
        assert!(sessions >= all, "round {round}: {sessions} of {all}");
    }
    over.send(true).expect("the clients are there");
    while let Some(calls) = tasks.join_next().await {
        assert!(calls.expect("no client is disturbed") > 0);
    }

    // A client of the first process is found and met, and a group goes on.
    let (id, uri) = (staying.id.clone(), server.uri(0));
    let found = tokio::task::spawn_blocking(move || probe(&["--peer", &id, "--json", &uri])).await.expect("a probe");
    assert_eq!(found.json()["introduced"], true, "{found:?}");
    let newcomer = GroupMember::start(&server.uri(0), &spec);
    eventually("the newcomer meets the members from before", || {
        newcomer.neighbors().is_some_and(|(_, neighbors)| neighbors.len() == 3)
    });
    assert_eq!(staying.leave().code, Some(0));
    for member in members {
        assert_eq!(member.end(Signal::TERM).code, Some(0));
    }
    assert_eq!(newcomer.end(Signal::TERM).code, Some(0));
    let ended = server.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!socket.exists(), "the socket is gone with the last server");
}

const SCRIPT: &str = "
    function application.onAppStart(info)
        trace('begins by', info.reason, 'with', #application.clients)
    end
    function application.onAppStop(info) trace('ends by', info.reason) end
    function application.onConnect(client, name)
        client.name = name
        return true
    end
    function application.onDisconnect(client) trace('gone') end
    function Client:echo(value) return value end
";

#[tokio::test]
async fn a_script_in_the_new_process_has_the_clients_of_the_old_one() {
    let (folder, files) = (Folder::new(), Files::new());
    files.script("game", SCRIPT, "");
    let conf = files.path().to_string_lossy().into_owned();
    let socket = folder.join("takeover");
    let server = Server::by(&mut command(&socket, "127.0.0.1:0", &["--conf", &conf]));
    let uri = server.uri_of("game");
    let mut clients = Vec::new();
    for number in 0..3 {
        clients.push(connect(&uri, LOOPBACK, 700 + number).await);
    }
    server.logged().wait_for("begins by start with 0", 1);
    let mut next = command(&socket, "127.0.0.1:0", &["--conf", &conf]);
    let (old, new) = tokio::task::spawn_blocking(move || {
        let new = Server::by(&mut next);
        (server.ended(), new)
    })
    .await
    .expect("a takeover");
    assert!(old.stderr.contains("ends by takeover"), "{old:?}");
    new.logged().wait_for("begins by takeover with 3", 1);
    for (client, number) in clients.iter_mut().zip(0_i32..) {
        let value = Value::Number(f64::from(number));
        let answer = client.call("echo", vec![value.clone()], TIMEOUT).await.expect("the client is connected");
        assert_eq!(answer.ok(), Some(vec![value]));
    }
    for client in clients {
        client.close().await;
    }
    new.logged().wait_for("gone", 3);
    assert_eq!(new.stop().code, Some(0));
}

#[test]
fn the_new_process_has_the_administration_at_the_same_address() {
    let folder = Folder::new();
    let (socket, address) = (folder.join("takeover"), format!("127.0.0.1:{}", free_port()));
    let command = || {
        let mut command = introd(&["run", "--log-limit", "0", "--workers", "2", "--listen", "127.0.0.1:0"]);
        command.args(["--admin", &address]).arg(format!("--takeover={}", socket.display()));
        command
    };
    let first = Server::by(&mut command());
    let second = replace(first, &mut command());
    assert_eq!(second.admin, [address.parse().expect("an address")]);
    // That the old process has the address for some moments more is no error.
    assert!(!second.log().contains("ERROR"), "{}", second.log());
    assert_eq!(second.stop().code, Some(0));
}

#[tokio::test]
async fn a_new_process_that_fails_changes_nothing() {
    let folder = Folder::new();
    let socket = folder.join("takeover");
    let server = Server::by(&mut command(&socket, "127.0.0.1:0", &[]));
    let mut client = connect(&server.uri(0), LOOPBACK, 1).await;
    // Another address than the one that the server has.
    let mut other = command(&socket, "127.0.0.1:1", &[]);
    let ended = tokio::task::spawn_blocking(move || Process::start(&mut other).ended()).await.expect("it ends");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("restart the server without --takeover"), "{ended:?}");
    assert!(answers(&mut client).await);
    // Programs that end in the middle of what they say, or speak another protocol.
    for said in [&b""[..], b"\0\0", b"GET / HTTP/1.1\r\n\r\n"] {
        let mut stream = UnixStream::connect(&socket).expect("the server listens");
        std::io::Write::write_all(&mut stream, said).expect("it takes what is said");
    }
    assert!(answers(&mut client).await);
    // A process that has started takes over all the same.
    let mut next = command(&socket, "127.0.0.1:0", &[]);
    let server = tokio::task::spawn_blocking(move || replace(server, &mut next)).await.expect("a takeover");
    assert!(answers(&mut client).await);
    client.close().await;
    assert_eq!(server.stop().code, Some(0));
}
