//! Peers meet through the server.

use std::collections::HashSet;
use std::net::SocketAddr;

use introd_client::{Client, EchoReply};
use introd_tests::program::{Server, probe};
use tokio::task::JoinSet;

use crate::harness::clients::{ServerSession, TIMEOUT, client, connect, create_stream};

#[test]
fn the_probe_meets_itself() {
    for workers in [1, 4] {
        let server = Server::on_loopback(workers);
        for (index, family) in [(0, "-4"), (1, "-6")] {
            let ended = probe(&["--meet", "--json", family, &server.uri(index)]);
            assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
            let json = ended.json();
            for step in ["connected", "introduced", "message_exchanged"] {
                assert_eq!(json[step], true, "{step}");
            }
            let target = &json["target"];
            // There is none when the target's own hello arrived before the redirect.
            if let Some(redirect) = target["redirects"].as_array().unwrap().first() {
                assert_eq!(redirect, &target["address"], "the observed address comes first and works");
            }
            let address: SocketAddr = target["address"].as_str().unwrap().parse().unwrap();
            assert_eq!(address.ip(), server.addresses[index].ip());
            assert_ne!(target["peer_id"], json["peer_id"]);
        }
        let ended = server.stop();
        assert!(ended.counter("rtmfp_redirects") >= 2, "{ended:?}");
        assert!(ended.counter("rtmfp_forwards") >= 2, "{ended:?}");
        assert_eq!(ended.counter("rtmfp_lookups_unknown"), 0, "{ended:?}");
    }
}

/// Clients until at least two workers have some, with their workers.
async fn spread(server: SocketAddr, first: u64) -> Vec<(Client, u8)> {
    let mut clients = Vec::new();
    // The kernel spreads clients by a hash of their addresses: that all these meet one worker of four does not happen.
    for number in first..first + 40 {
        let mut client = client(server, number).await;
        let session = ServerSession::watch(&mut client);
        create_stream(&mut client, 2.0).await;
        clients.push((client, session.worker()));
        let workers: HashSet<u8> = clients.iter().map(|(_, worker)| *worker).collect();
        if workers.len() > 2 {
            break;
        }
    }
    clients
}

/// `asker` finds `target`, which does not expect it.
async fn meet(asker: &mut Client, target: &mut Client) {
    let id = target.id();
    let address = tokio::select! {
        address = async {
            let meeting = asker.meet(id, TIMEOUT).await.expect("an introduction");
            assert_eq!(asker.echo(meeting.session, TIMEOUT).await, Ok(EchoReply::Echoed));
            meeting.address
        } => address,
        failure = target.stay() => panic!("{failure}"),
    };
    let own: Vec<SocketAddr> = target.peer().ports.local_addresses().collect();
    assert_eq!(own, [address]);
    assert!(target.echoed_peers().contains(&asker.id()));
}

#[tokio::test]
async fn peers_on_different_workers_meet() {
    let server = Server::on_loopback(4);
    let mut meetings = 0;
    for (index, first) in [(0, 100), (1, 200)] {
        let clients = spread(server.addresses[index], first).await;
        let workers: HashSet<u8> = clients.iter().map(|(_, worker)| *worker).collect();
        assert!(workers.len() > 2 && workers.iter().all(|worker| *worker < 4), "{workers:?}");
        // One of each worker, each with each.
        let mut seen = HashSet::new();
        let (mut clients, others): (Vec<_>, Vec<_>) = clients.into_iter().partition(|(_, worker)| seen.insert(*worker));
        for asker in 0..clients.len() {
            for target in 0..asker {
                let (front, back) = clients.split_at_mut(asker);
                meet(&mut back[0].0, &mut front[target].0).await;
                meetings += 1;
            }
        }
        // At the same time: they have sessions with each other.
        let mut closing: JoinSet<()> = clients.into_iter().chain(others).map(|(client, _)| client.close()).collect();
        while closing.join_next().await.is_some() {}
    }
    let ended = server.stop();
    assert_eq!(ended.counter("worker_mailbox_full"), 0, "{ended:?}");
    // The hello of the last meeting, or one that was repeated, may have come when its target was gone already.
    assert!(ended.counter("rtmfp_redirects") >= meetings, "{ended:?}");
    assert!(ended.counter("rtmfp_forwards") > 0, "{ended:?}");
}

#[tokio::test]
async fn peers_on_one_worker_meet_both_ways() {
    let server = Server::on_loopback(1);
    let mut first = client(server.addresses[0], 1).await;
    let mut second = client(server.addresses[0], 2).await;
    meet(&mut first, &mut second).await;
    // The session is there already: it is used again.
    let id = first.id();
    tokio::select! {
        meeting = second.meet(id, std::time::Duration::from_secs(5)) => { meeting.expect("the open session"); }
        failure = first.stay() => panic!("{failure}"),
    }
}

#[tokio::test]
async fn a_server_on_every_address_answers_from_the_one_it_was_asked_at() {
    let server = Server::start(2, &["0.0.0.0:0"]);
    let port = server.addresses[0].port();
    let mut clients = Vec::new();
    for (number, host) in [(1, "127.0.0.1"), (2, "127.0.0.2"), (3, "127.1.2.3")] {
        let uri = format!("rtmfp://{host}:{port}/app");
        let client = connect(&uri, "0.0.0.0:0".parse().unwrap(), number).await;
        // The handshake is continued with the address that the first answer came from.
        assert_eq!(client.connect_info().server_address, format!("{host}:{port}").parse().unwrap());
        clients.push(client);
    }
    let mut clients = clients.iter_mut();
    let (Some(first), Some(second), Some(third)) = (clients.next(), clients.next(), clients.next()) else { panic!() };
    for (number, client) in [&mut *first, &mut *second, &mut *third].into_iter().enumerate() {
        assert!(create_stream(client, 2.0 + number as f64).await > 0.0);
    }
    // Clients of different server addresses meet too.
    let id = third.id();
    tokio::select! {
        meeting = first.meet(id, TIMEOUT) => { meeting.expect("an introduction"); }
        failure = third.stay() => panic!("{failure}"),
    }
}
