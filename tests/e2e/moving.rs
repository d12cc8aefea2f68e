//! Clients whose address changes: after a restart of their NAT, or in another network.

use std::net::SocketAddr;

use introd_client::Client;
use introd_tests::program::Server;
use introd_udp::Ports;
use rtmfp::{Event, Origin, TaggedAddress};

use crate::harness::clients::{LOOPBACK, ServerSession, TIMEOUT, connect, create_stream, socket};
use crate::harness::stranger::Stranger;

/// A port whose datagrams the kernel gives to another worker than `not`.
async fn port_of_another_worker(uri: &str, not: u8) -> SocketAddr {
    for number in 0..40 {
        let mut scout = connect(uri, LOOPBACK, 1000 + number).await;
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
    let mut client = connect(&uri, LOOPBACK, 1).await;
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
    let mut target = connect(&uri, LOOPBACK, 1).await;
    let session = ServerSession::watch(&mut target);
    create_stream(&mut target, 2.0).await;
    let there = port_of_another_worker(&uri, session.worker()).await;
    move_to(&mut target, there);
    // The server believes the new address only after a ping to it has come back (RFC 7016 §3.5.4.2).
    create_stream(&mut target, 3.0).await;
    let mut asker = connect(&uri, LOOPBACK, 2).await;
    let id = target.id();
    let meeting = tokio::select! {
        meeting = asker.meet(id, TIMEOUT) => meeting.expect("an introduction"),
        () = async { while !matches!(target.next().await, Ok(Event::Closed { session, .. }) if session == target.session()) {} } => {
            panic!("the target was closed")
        }
    };
    assert_eq!(meeting.address, there);

    // A lookup by a sender that is no client is redirected there too.
    let (address, stranger) = (server.addresses[0], Stranger::new(TIMEOUT));
    let to = tokio::task::spawn_blocking(move || stranger.look_up(address, id)).await.unwrap().expect("a redirect");
    assert_eq!(to.first(), Some(&TaggedAddress::new(there, Origin::Observed)), "{to:?}");
}
