//! Settings act on real clients, with the status codes of AMS, and a configuration that changes disconnects no client.

use std::net::SocketAddr;
use std::time::Duration;

use introd_client::{Client, ClientStep};
use introd_flash::client::Incoming;
use introd_tests::program::{Files, Server};
use rtmfp::Event;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::harness::clients::{LOOPBACK, TIMEOUT, connect, create_stream, peer_on, rejection, try_connect};
use crate::harness::stranger::Stranger;

fn from(ip: &str) -> SocketAddr {
    SocketAddr::new(ip.parse().expect("an address"), 0)
}

/// The server rejects the client's connect with this status.
async fn is_rejected(uri: &str, address: SocketAddr, number: u64, code: &str) {
    let problem = rejection(uri, address, number, Vec::new()).await;
    assert!(problem.contains(code), "{problem}");
}

#[tokio::test]
async fn a_denied_address_is_rejected() {
    let files = Files::new();
    files.vhost("<Allow>all</Allow><Deny>127.0.0.9</Deny><Order>Allow,Deny</Order>");
    let server = Server::configured(files.path(), 1);
    is_rejected(&server.uri(0), from("127.0.0.9"), 1, "NetConnection.Connect.Rejected").await;
    connect(&server.uri(0), from("127.0.0.8"), 2).await.close().await;
}

#[tokio::test]
async fn a_full_virtual_host_rejects_clients_until_one_leaves() {
    let files = Files::new();
    files.vhost("<ResourceLimits><MaxConnections>1</MaxConnections></ResourceLimits>");
    let server = Server::configured(files.path(), 2);
    let first = connect(&server.uri(0), LOOPBACK, 1).await;
    is_rejected(&server.uri(0), LOOPBACK, 2, "NetConnection.Connect.Rejected").await;
    first.close().await;
    // The server learns of the close when its packet arrives.
    for number in 3.. {
        match try_connect(&server.uri(0), LOOPBACK, number, Vec::new()).await {
            Ok(client) => return client.close().await,
            Err(failure) => assert!(number < 200 && failure.step == ClientStep::Connect, "{failure}"),
        }
    }
}

#[tokio::test]
async fn a_connect_to_an_unregistered_application_is_rejected() {
    let files = Files::new();
    files.vhost("<UnregisteredApplications>reject</UnregisteredApplications>");
    let server = Server::configured(files.path(), 1);
    is_rejected(&server.uri(0), LOOPBACK, 1, "NetConnection.Connect.InvalidApp").await;
}

#[tokio::test]
async fn an_idle_client_is_told_and_closed() {
    let files = Files::new();
    files.server("<AutoCloseIdleClients enable=\"true\"><CheckInterval>1</CheckInterval><MaxIdleTime>1</MaxIdleTime></AutoCloseIdleClients>");
    let server = Server::configured(files.path(), 1);
    let mut client = connect(&server.uri(0), LOOPBACK, 1).await;
    let mut told = false;
    loop {
        let event = tokio::time::timeout(TIMEOUT, client.next()).await.expect("in time").expect("its sockets work");
        if let Event::Closed { session, .. } = event
            && session == client.session()
        {
            break;
        }
        if let Some(Incoming::Status(status)) = client.server_message(&event) {
            told |= status.code == "NetConnection.Connect.IdleTimeout";
        }
    }
    assert!(told);
    let ended = server.stop();
    assert!(ended.stderr.contains("idle for too long"), "{ended:?}");
}

/// Many clients take many sockets.
fn allow_sockets(count: u64) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < count) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(count), maximum }).expect("so many files may be open");
    }
}

/// Whether the asker is introduced to the target.
async fn meet(asker: &mut Client, target: &mut Client, timeout: Duration) -> bool {
    let id = target.id();
    tokio::select! {
        meeting = asker.meet(id, timeout) => meeting.is_ok(),
        () = async { while target.next().await.is_ok() {} } => false,
    }
}

/// A client that goes on living, in a task of its own, until it is told to end. It still has its session then.
async fn live(mut client: Client, mut end: watch::Receiver<()>) {
    tokio::select! {
        failure = client.stay() => panic!("{failure}"),
        _ = end.changed() => (),
    }
    assert!(create_stream(&mut client, 2.0).await > 0.0);
    client.close().await;
}

#[tokio::test]
async fn a_reload_changes_who_answers_lookups_and_drops_nobody() {
    const CLIENTS: u64 = 1000;
    allow_sockets(CLIENTS + 1000);
    let files = Files::new();
    files.application("<RTMFP><PeerLookupEvents mode=\"None\"/></RTMFP>");
    let mut server = Server::configured(files.path(), 2);
    let uri = server.uri(0);
    // On a busy computer the connects take minutes: a client that nobody attends meanwhile is taken for dead.
    let (end, ends) = watch::channel(());
    let (mut clients, mut ids) = (JoinSet::new(), Vec::new());
    for number in 0..CLIENTS {
        let client = connect(&uri, LOOPBACK, number).await;
        ids.push(client.id());
        clients.spawn(live(client, ends.clone()));
    }
    let mut asker = connect(&uri, LOOPBACK, CLIENTS).await;
    asker.meet(ids[0], TIMEOUT).await.expect("an introduction");

    files.application("<RTMFP><PeerLookupEvents mode=\"All\"/></RTMFP>");
    assert!(server.reload());
    // There is no script to answer. That is decided at once, before the hello that a stranger sends next is answered.
    let (address, target) = (server.addresses[0], ids[1]);
    let stranger = tokio::task::spawn_blocking(move || Stranger::new(TIMEOUT).look_up_at_once(address, target));
    assert_eq!(stranger.await.expect("it asks"), None);
    asker.meet(ids[1], Duration::from_secs(1)).await.expect_err("nobody answers");

    files.application("<RTMFP><PeerLookupEvents mode=\"None\"/></RTMFP>");
    assert!(server.reload());
    asker.meet(ids[2], TIMEOUT).await.expect("an introduction");

    files.application("<RTMFP><PeerLookupEvents mode=\"Nonesense\"/></RTMFP>");
    assert!(!server.reload());
    asker.meet(ids[3], TIMEOUT).await.expect("a broken configuration changes nothing");
    end.send(()).expect("they live");
    while let Some(lived) = clients.join_next().await {
        lived.expect("nobody is dropped");
    }
    let ended = server.stop();
    assert!(ended.stderr.contains("the old configuration stays"), "{ended:?}");
    assert!(ended.counter("rtmfp_lookups_unanswered") > 0);
}

#[tokio::test]
async fn connection_and_lookup_rates_are_limited() {
    let files = Files::new();
    files.server(
        "<ResourceLimits><Protocol><RTMFP><MaxConnectionRatePerAddress>2</MaxConnectionRatePerAddress></RTMFP></Protocol>\
         </ResourceLimits>",
    );
    files.application("<RTMFP><MaxLookupRate>0</MaxLookupRate></RTMFP>");
    let server = Server::configured(files.path(), 2);
    let uri = server.uri(0);
    // Clients beyond the second of a second repeat their keying and get in later, so all are there in the end. They come at once,
    // so that some are too many however slow the computer is.
    let mut coming = JoinSet::new();
    for number in 0..5 {
        let uri = uri.clone();
        coming.spawn(async move { connect(&uri, LOOPBACK, number).await });
    }
    let mut clients = coming.join_all().await;
    let (asker, target) = clients.split_at_mut(1);
    assert!(!meet(&mut asker[0], &mut target[0], Duration::from_secs(3)).await);
    let ended = server.stop();
    assert!(ended.counter("rtmfp_lookups_over_rate") > 0);
    assert_eq!(ended.counter("rtmfp_redirects"), 0);
    let refused =
        ended.stderr.lines().filter_map(|line| line.split_once("overload: ")).any(|(_, rest)| !rest.starts_with('0'));
    assert!(refused, "{ended:?}");
}

#[tokio::test]
async fn a_virtual_host_answers_hellos_to_its_name_alone() {
    let files = Files::new();
    files.vhost("<AliasList><Alias name=\"a\">chat.example</Alias></AliasList>");
    let server = Server::configured(files.path(), 1);
    let (mut peer, _) = peer_on(LOOPBACK, 1);
    let candidates = peer.candidates(&server.addresses);
    let now = std::time::Instant::now();
    // RFC 7425 §4.4.2.1: only the server of that name answers.
    let other = peer.endpoint.open(now, rtmfp::crypto::Epd::hostname("other.example"), &candidates).expect("room");
    let named = peer.endpoint.open(now, rtmfp::crypto::Epd::hostname("chat.example"), &candidates).expect("room");
    loop {
        let event = tokio::time::timeout(TIMEOUT, peer.next()).await.expect("in time").expect("its sockets work");
        if let Event::Opened { session, .. } = event {
            assert_eq!(session, named);
            assert_ne!(session, other);
            return;
        }
    }
}
