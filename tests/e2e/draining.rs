//! A server that drains: it takes no new clients, and ends when those that it has are gone.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use introd_client::Client;
use introd_tests::program::{Process, Server};
use rtmfp::{CloseReason, Event, PeerId};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::harness::clients::{LOOPBACK, TIMEOUT, client, connect, create_stream};
use crate::harness::command_line::{administrated, as_admin, ask};
use crate::harness::http::fetch;
use introd_tests::startup_packets::{Answer, hello, lookup, tagged_answer};

/// How many clients connect at a time.
const WINDOW: usize = 32;

/// Clients that stay until they are told to leave.
struct Crowd {
    leave: watch::Sender<bool>,
    tasks: JoinSet<()>,
    ids: Vec<PeerId>,
}

impl Crowd {
    async fn come(uri: &str, count: u64) -> Self {
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("as many files as the system allows");
        let (leave, left) = watch::channel(false);
        let (window, mut tasks) = (Arc::new(Semaphore::new(WINDOW)), JoinSet::new());
        let (here, mut are_here) = tokio::sync::mpsc::unbounded_channel();
        for number in 0..count {
            let (uri, window, here, mut left) = (uri.to_owned(), Arc::clone(&window), here.clone(), left.clone());
            tasks.spawn(async move {
                let place = window.acquire().await.expect("it is never closed");
                let mut client = connect(&uri, LOOPBACK, 1000 + number).await;
                here.send(client.id()).expect("the test goes on");
                drop(place);
                tokio::select! {
                    _ = left.changed() => client.close().await,
                    failure = client.stay() => panic!("client {number} is disturbed: {failure}"),
                }
            });
        }
        let mut ids = Vec::new();
        while ids.len() < count as usize {
            tokio::select! {
                id = are_here.recv() => ids.extend(id),
                // A client ends before it is told to only if it fails.
                ended = tasks.join_next() => ended.expect("clients").expect("a client stays"),
            }
        }
        Self { leave, tasks, ids }
    }

    async fn leave(mut self) {
        self.leave.send(true).expect("they are there");
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("it was not disturbed");
        }
    }
}

/// What answers a hello to the server, sent before a lookup whose answer shows that the hello had its turn.
fn greeted(server: SocketAddr, known: PeerId) -> Option<Answer> {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
    let (greeting, asking) = ([1; 16], [2; 16]);
    socket.send_to(&hello("rtmfp://server.example/app", greeting), server).expect("it can be sent");
    socket.send_to(&lookup(known, asking), server).expect("it can be sent");
    let (mut datagram, mut greeted, mut is_redirected) = ([0; 2048], None, false);
    // The known peer answers as well.
    while !is_redirected {
        let length = socket.recv(&mut datagram).expect("an answer to the lookup");
        match tagged_answer(&mut datagram[..length]) {
            Some((tag, answer)) if tag == greeting => greeted = Some(answer),
            Some((tag, Answer::Redirect(_))) if tag == asking => is_redirected = true,
            _ => (),
        }
    }
    greeted
}

/// `asker` meets a client that does not expect it.
async fn meet(asker: &mut Client, target: PeerId) {
    let meeting = asker.meet(target, TIMEOUT).await.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(asker.echo(meeting.session, TIMEOUT).await.is_ok());
}

#[tokio::test]
async fn a_thousand_clients_are_not_disturbed_no_others_come_and_the_server_ends_when_they_have_gone() {
    let files = administrated();
    let server = Server::administered(files.path(), 2);
    let (address, admin) = (server.addresses[0], server.admin[0]);
    let mut first = client(address, 1).await;
    let crowd = Crowd::come(&server.uri(0), 999).await;
    let known = crowd.ids[0];
    let greeted_before = tokio::task::spawn_blocking(move || greeted(address, known)).await.expect("it asks");
    assert_eq!(greeted_before, Some(Answer::Hello));

    let drain: serde_json::Value = serde_json::from_str(&ask(admin, &["drain", "--json"]).await).expect("JSON");
    let drain = &drain["drain"];
    assert!(drain["left"] == 1000 && drain["until"].is_null() && drain["to"] == serde_json::json!([]), "{drain}");
    for target in [0, 500, 998] {
        let known = crowd.ids[target];
        let greeted = tokio::task::spawn_blocking(move || greeted(address, known)).await.expect("it asks");
        assert_eq!(greeted, None, "while the lookups of strangers are answered");
        meet(&mut first, known).await;
    }
    assert!(create_stream(&mut first, 2.0).await > 0.0);

    // Who asks for the health of the server learns of it.
    let ready = fetch(admin, "/readyz").await;
    assert_eq!((ready.status, fetch(admin, "/healthz").await.status), (503, 200));
    let metrics = fetch(admin, "/metrics?auser=admin&apswd=open%20sesame").await;
    assert!(metrics.body.lines().any(|line| line == "introd_draining 1"), "{}", metrics.body);
    let turned_away: u64 = metrics
        .body
        .lines()
        .filter(|line| line.starts_with("introd_datagram_events") && line.contains("\"turned_away\""))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum();
    assert!(turned_away >= 3, "{}", metrics.body);
    let status = tokio::task::spawn_blocking(move || Process::start(&mut as_admin(admin, &["status"])).ended());
    let status = status.await.expect("it is asked");
    assert_eq!(status.code, Some(1), "{status:?}");
    assert!(status.stdout.contains("the last of 1000 clients is gone"), "{status:?}");

    crowd.leave().await;
    assert!(create_stream(&mut first, 3.0).await > 0.0, "the last client is served");
    first.close().await;
    let ended = tokio::task::spawn_blocking(move || server.ended()).await.expect("it ends");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("introd has drained") && ended.stdout.contains("closing 0 clients"), "{ended:?}");
    assert_eq!((ended.counter("total_connects"), ended.counter("total_disconnects")), (1000, 1000));
}

#[tokio::test]
async fn new_clients_are_sent_to_another_server_until_the_drain_is_cancelled() {
    let files = administrated();
    let (server, other) = (Server::administered(files.path(), 2), Server::start(1, &["127.0.0.1:0"]));
    let (address, admin) = (server.addresses[0], server.admin[0]);
    let mut old = client(address, 1).await;
    let to = other.addresses[0].to_string();
    let drained = tokio::task::spawn_blocking(move || {
        crate::harness::command_line::asked(admin, &["drain", "--to", &to, "--deadline", "3600"])
    });
    let said = drained.await.expect("it is asked");
    assert!(said.contains(&format!("sends new clients to {}", other.addresses[0])), "{said}");

    let mut new = connect(&server.uri(0), LOOPBACK, 2).await;
    assert_eq!(new.connect_info().server_address, other.addresses[0]);
    assert!(create_stream(&mut new, 2.0).await > 0.0 && create_stream(&mut old, 2.0).await > 0.0);

    assert_eq!(ask(admin, &["drain", "--cancel"]).await, "the server takes new clients\n");
    assert_eq!(fetch(admin, "/readyz").await.status, 200);
    let late = client(address, 3).await;
    assert_eq!(late.connect_info().server_address, address);
    let ended = tokio::task::spawn_blocking(move || server.stop()).await.expect("it ends");
    assert!(ended.stdout.contains("closing 2 clients") && !ended.stdout.contains("has drained"), "{ended:?}");
}

#[tokio::test]
async fn at_the_deadline_the_server_closes_the_clients_that_are_left() {
    let files = administrated();
    let server = Server::administered(files.path(), 1);
    let mut staying = client(server.addresses[0], 1).await;
    ask(server.admin[0], &["drain", "--deadline", "0.5"]).await;
    let closed = tokio::time::timeout(TIMEOUT, async {
        loop {
            if let Event::Closed { session, reason } = staying.next().await.expect("its sockets work")
                && session == staying.session()
            {
                return reason;
            }
        }
    });
    assert_eq!(closed.await.expect("the server closes the session"), CloseReason::Far);
    staying.close().await;
    let ended = tokio::task::spawn_blocking(move || server.ended()).await.expect("it ends");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("introd has drained") && ended.stdout.contains("closing 1 clients"), "{ended:?}");
}
