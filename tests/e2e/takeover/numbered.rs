//! Numbered messages between clients and a script, members of a group that stay, and lookups, while processes replace each other.
//!
//! `INTROD_MESSAGES=10000 INTROD_CROWD=20000 cargo test -p introd-tests --test e2e numbered` sends so many messages each way, while so many other
//! clients are connected.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use introd_client::Client;
use introd_flash::amf::Value;
use introd_flash::client::Incoming;
use introd_flash::command::{Command as Call, Encoding};
use introd_tests::folder::Folder;
use introd_tests::program::{Files, GroupMember, Peer, Process, Server, groupspec, introd, probe};
use introd_tests::waiting::eventually;
use rtmfp::Event;
use rustix::process::Signal;
use tokio::task::JoinSet;

use super::{command, replace, sessions_taken_over};
use crate::harness::clients::{LOOPBACK, TIMEOUT, connect};

const CLIENTS: u64 = 5;
/// How many messages go each way at least.
const MESSAGES: u64 = 1500;
/// So many calls of a client wait for their answers at a time.
const WINDOW: u64 = 8;
const TAKEOVERS: usize = 2;

/// Says to the client what the client has said, and answers.
const SCRIPT: &str = "
    function Client:take(number)
        self:call('got', nil, number)
        return number
    end
";

fn number(value: Option<&Value>) -> Option<u64> {
    match value {
        Some(Value::Number(number)) => Some(*number as u64),
        _ => None,
    }
}

/// Sends numbered calls until it is over, and at least so many. Each must come back once as a message of its own and once as an answer, and
/// all in order. Gives their number.
async fn exchange(mut client: Client, least: u64, is_over: Arc<AtomicBool>, all: Arc<AtomicU64>) -> u64 {
    let (mut sent, mut got, mut answered) = (0, 0, 0);
    loop {
        let is_enough = sent >= least && is_over.load(Ordering::Acquire);
        while !is_enough && sent < answered + WINDOW {
            sent += 1;
            let call = Call::new("take", 1000.0 + sent as f64, vec![Value::Number(sent as f64)]);
            client.send_to_server(call.to_message(Encoding::Amf0, 0).unwrap()).expect("the flow has room");
        }
        if is_enough && got == sent && answered == sent {
            client.close().await;
            return sent;
        }
        let event = tokio::time::timeout(TIMEOUT, client.next()).await;
        let event = event.unwrap_or_else(|_| panic!("of {sent}, {got} have come and {answered} are answered")).unwrap();
        if let Event::Closed { session, reason } = &event {
            assert!(*session != client.session(), "closed: {reason}");
        }
        match client.server_message(&event) {
            Some(Incoming::Call(call)) if call.name == "got" => {
                got += 1;
                assert_eq!(number(call.arguments.first()), Some(got), "the next one of the messages");
                all.fetch_add(1, Ordering::AcqRel);
            }
            Some(Incoming::Result { transaction, values, .. }) => {
                answered += 1;
                assert_eq!(transaction, 1000.0 + answered as f64, "the next one of the answers");
                assert_eq!(number(values.last()), Some(answered));
            }
            Some(Incoming::Error { transaction, status }) => panic!("call {transaction} failed: {status:?}"),
            _ => (),
        }
    }
}

/// A number in the environment.
fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|number| number.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// So many idle clients of a server, in a process of their own. They are gone when it is dropped.
fn crowd(server: &Server, count: u64) -> Process {
    let (address, clients) = (server.addresses[0].to_string(), count.to_string());
    let mut bench = introd(&["bench", "sessions", "--server", &address, "--count", &clients, "--idle", "3600"]);
    let crowd = Process::start(&mut bench);
    let is_there = || server.logged().count("client connected") as u64 >= count;
    while !is_there() {
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
    crowd
}

#[tokio::test]
async fn no_message_is_lost_doubled_or_late_while_processes_replace_each_other() {
    let messages = variable("INTROD_MESSAGES").unwrap_or(MESSAGES);
    let (folder, files) = (Folder::new(), Files::new());
    files.script("numbers", SCRIPT, "");
    let conf = files.path().to_string_lossy().into_owned();
    let socket = folder.join("takeover");
    let mut server = Server::by(&mut command(&socket, "127.0.0.1:0", &["--conf", &conf]));
    let crowded = variable("INTROD_CROWD").unwrap_or_default();
    let crowd = (crowded > 0).then(|| crowd(&server, crowded));
    let spec = groupspec("numbered", false);
    let members: Vec<_> = (0..3).map(|_| GroupMember::start(&server.uri_of("groups"), &spec)).collect();
    let staying = Peer::stay(&server.uri_of("others"));

    let (is_over, all) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut exchanges = JoinSet::new();
    for number in 0..CLIENTS {
        let client = connect(&server.uri_of("numbers"), LOOPBACK, 900 + number).await;
        exchanges.spawn(exchange(client, messages.div_ceil(CLIENTS), Arc::clone(&is_over), Arc::clone(&all)));
    }
    for _ in 0..TAKEOVERS {
        // Some messages go before each takeover.
        let before = all.load(Ordering::Acquire);
        while all.load(Ordering::Acquire) < before + messages / 5 && !exchanges.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        let mut next = command(&socket, "127.0.0.1:0", &["--conf", &conf]);
        let (id, uri) = (staying.id.clone(), server.uri_of("others"));
        let lookup = tokio::task::spawn_blocking(move || probe(&["--peer", &id, "--json", &uri]));
        server = tokio::task::spawn_blocking(move || replace(server, &mut next)).await.expect("a takeover");
        let sessions = sessions_taken_over(&server) as u64;
        assert!(sessions >= crowded + CLIENTS, "{sessions}");
        let found = lookup.await.expect("a probe");
        assert_eq!(found.json()["introduced"], true, "{found:?}");
    }
    is_over.store(true, Ordering::Release);
    let mut exchanged = 0;
    while let Some(sent) = exchanges.join_next().await {
        exchanged += sent.expect("none is lost");
    }
    assert!(exchanged >= messages, "{exchanged}");
    println!("{exchanged} messages each way, beside {crowded} clients: each came once and in order");
    eventually("the members have stayed", || {
        members.iter().all(|member| member.neighbors().is_some_and(|(_, neighbors)| neighbors.len() == 2))
    });
    for member in members {
        assert_eq!(member.end(Signal::TERM).code, Some(0));
    }
    assert_eq!(staying.leave().code, Some(0));
    drop(crowd);
    assert_eq!(server.stop().code, Some(0));
}
