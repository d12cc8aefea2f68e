//! Clients whose address changes: after a restart of their NAT, or in another network.

use std::net::SocketAddr;

use introd_client::Client;
use introd_tests::program::Server;
use introd_udp::Ports;
use rtmfp::{Event, Origin, TaggedAddress};
use tokio::net::UdpSocket;

use crate::harness::clients::{ServerSession, TIMEOUT, connect, create_stream, socket};
use crate::harness::raw::{Answer, answer, lookup};

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// A port whose datagrams the kernel gives to another worker than `not`.
async fn port_of_another_worker(uri: &str, not: u8) -> SocketAddr {
    for number in 0..40 {
        let mut scout = connect(uri, ANY, 1000 + number).await;
        let session = ServerSession::watch(&mut scout);
        create_stream(&mut scout, 2.0).await;
        let address = scout.peer().ports.local_addresses().next().unwrap();
        scout.close().await;
        if session.worker() != not {
            return address;
        }
    }
    panic!("the kernel gives all clients to one worker");
}

/// The client sends from another address from now on, and packets to the old one are lost.
fn move_to(client: &mut Client, address: SocketAddr) {
    client.peer().ports = Ports::new(vec![socket(address)]).unwrap();
}

#[tokio::test]
async fn a_client_that_moves_keeps_its_session() {
    let server = Server::on_loopback(4);
    let uri = server.uri(0);
    let mut client = connect(&uri, ANY, 1).await;
    let session = ServerSession::watch(&mut client);
    create_stream(&mut client, 2.0).await;
    let (id, worker) = (session.id(), session.worker());
    for round in 0..3 {
        let there = port_of_another_worker(&uri, worker).await;
        move_to(&mut client, there);
        let session = ServerSession::watch(&mut client);
        // Each answer takes the way back through the worker that has the session.
        assert!(create_stream(&mut client, 3.0 + f64::from(round)).await > 0.0);
        assert_eq!(session.id(), id, "the session is the same");
    }
    client.close().await;
    let ended = server.stop();
    assert!(ended.stderr.matches("client has moved").count() >= 3, "{ended:?}");
}

#[tokio::test]
async fn a_client_that_has_moved_is_introduced_where_it_is_now() {
    let server = Server::on_loopback(4);
    let uri = server.uri(0);
    let mut target = connect(&uri, ANY, 1).await;
    let session = ServerSession::watch(&mut target);
    create_stream(&mut target, 2.0).await;
    let there = port_of_another_worker(&uri, session.worker()).await;
    move_to(&mut target, there);
    // The server believes the new address only after a ping to it has come back (RFC 7016 §3.5.4.2).
    create_stream(&mut target, 3.0).await;
    let mut asker = connect(&uri, ANY, 2).await;
    let id = target.id();
    let meeting = tokio::select! {
        meeting = asker.meet(id, TIMEOUT) => meeting.expect("an introduction"),
        () = async { while !matches!(target.next().await, Ok(Event::Closed { session, .. }) if session == target.session()) {} } => {
            panic!("the target was closed")
        }
    };
    assert_eq!(meeting.address, there);

    // A lookup by a sender that is no client is redirected there too.
    let stranger = UdpSocket::bind(ANY).await.unwrap();
    stranger.send_to(&lookup(id, [5; 16]), server.addresses[0]).await.unwrap();
    let mut bytes = [0; 2048];
    let redirected = tokio::time::timeout(TIMEOUT, async {
        loop {
            let (len, from) = stranger.recv_from(&mut bytes).await.unwrap();
            // The target, to which the lookup was forwarded, may answer as well.
            if from == server.addresses[0] {
                return answer(&mut bytes[..len]);
            }
        }
    });
    let Some(Answer::Redirect(to)) = redirected.await.unwrap() else { panic!("no redirect") };
    assert_eq!(to.first(), Some(&TaggedAddress::new(there, Origin::Observed)), "{to:?}");
}
