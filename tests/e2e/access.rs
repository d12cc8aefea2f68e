//! `Allow` and `Deny` are checked before the server does anything for an address: before a handshake, before a lookup, and when a
//! client moves.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use introd_client::Client;
use introd_flash::client::Incoming;
use introd_tests::program::{Files, Server};
use introd_udp::Ports;
use rtmfp::{Event, PeerId};

use crate::harness::clients::{TIMEOUT, connect, create_stream, socket};
use introd_tests::startup_packets::{Answer, answer, hello, lookup};

const DENIED: &str = "127.0.0.9";
const DENY: &str = "<Allow>all</Allow><Deny>127.0.0.9</Deny><Order>Allow,Deny</Order>";

fn from(ip: &str) -> SocketAddr {
    SocketAddr::new(ip.parse().expect("an address"), 0)
}

/// Does the server, which has one worker, answer this packet when it comes from that address? That is known when it has answered
/// hellos that come later, from an address that nothing denies. There are two: the first may come together with the packet, and hellos
/// are answered before what comes with them.
fn is_answered(server: &Server, ip: &str, packet: &[u8]) -> bool {
    let socket = UdpSocket::bind(from(ip)).expect("a port");
    socket.send_to(packet, server.addresses[0]).expect("it is sent");
    let other = UdpSocket::bind(from("127.0.0.7")).expect("a port");
    other.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
    let mut bytes = [0; 2048];
    for tag in [2, 3] {
        other.send_to(&hello(&server.uri(0), [tag; 16]), server.addresses[0]).expect("it is sent");
        let length = other.recv(&mut bytes).expect("an answer to the other");
        assert_eq!(answer(&mut bytes[..length]), Some(Answer::Hello));
    }
    socket.set_nonblocking(true).expect("a socket");
    socket.recv(&mut bytes).is_ok_and(|length| answer(&mut bytes[..length]).is_some())
}

fn is_greeted(server: &Server, ip: &str) -> bool {
    is_answered(server, ip, &hello(&server.uri(0), [1; 16]))
}

fn finds(server: &Server, ip: &str, id: PeerId) -> bool {
    is_answered(server, ip, &lookup(id, [1; 16]))
}

#[tokio::test]
async fn an_address_denied_by_the_adaptor_gets_no_answer() {
    let files = Files::new();
    files.adaptor(DENY);
    let mut server = Server::configured(files.path(), 1);
    let uri = server.uri(0);
    let client = connect(&uri, from("127.0.0.1"), 1).await;
    for _ in 0..3 {
        assert!(!is_greeted(&server, DENIED));
        assert!(!finds(&server, DENIED, client.id()));
    }
    assert!(is_greeted(&server, "127.0.0.8"));
    assert!(finds(&server, "127.0.0.8", client.id()));
    files.adaptor("<Allow>all</Allow>");
    assert!(server.reload());
    assert!(is_greeted(&server, DENIED));
    connect(&uri, from(DENIED), 2).await.close().await;
    files.adaptor(DENY);
    assert!(server.reload());
    assert!(!is_greeted(&server, DENIED));
    let ended = server.stop();
    assert_eq!(ended.counter("rtmfp_addresses_denied"), 7, "{ended:?}");
    let told = ended.stderr.matches("the adaptor's access rules deny the address").count();
    assert!((1..=2).contains(&told), "{told}: {ended:?}");
    // Packets of denied addresses count neither as lookups nor as sessions.
    assert_eq!(ended.counter("rtmfp_lookups"), 1, "{ended:?}");
}

#[tokio::test]
async fn an_address_denied_by_the_virtual_host_finds_none_of_its_clients() {
    let files = Files::new();
    files.vhost(DENY);
    files.write("_defaultRoot_/open.example/Vhost.xml", "<VirtualHost><Allow>all</Allow></VirtualHost>");
    let mut server = Server::configured(files.path(), 1);
    let uri = server.uri(0);
    let client = connect(&uri, from("127.0.0.1"), 1).await;
    assert!(finds(&server, "127.0.0.8", client.id()));
    assert!(!finds(&server, DENIED, client.id()));
    assert!(!finds(&server, DENIED, PeerId([9; 32])), "an unknown peer");
    // A client that connected before the rules changed stays connected, and finds no peer any more.
    files.vhost("<Allow>all</Allow>");
    assert!(server.reload());
    let mut other = connect(&uri, from(DENIED), 2).await;
    files.vhost(DENY);
    assert!(server.reload());
    assert!(create_stream(&mut other, 2.0).await > 0.0, "a reload disconnects nobody");
    let failure = other.meet(client.id(), Duration::from_millis(1200)).await.expect_err("a refusal");
    assert!(failure.problem.contains("did not introduce"), "{failure}");
    let ended = server.stop();
    assert!(ended.counter("rtmfp_lookups_denied") >= 3, "{ended:?}");
    assert_eq!(ended.counter("rtmfp_redirects"), 1, "{ended:?}");
}

/// Waits until the client is told why it is disconnected, and is closed.
async fn is_disconnected(client: &mut Client) {
    let mut why = None;
    loop {
        let event = tokio::time::timeout(TIMEOUT, client.next()).await.expect("in time").expect("its sockets work");
        if matches!(event, Event::Closed { session, .. } if session == client.session()) {
            break;
        }
        if let Some(Incoming::Status(status)) = client.server_message(&event) {
            why = Some(status.code);
        }
    }
    assert_eq!(why.as_deref(), Some("NetConnection.Connect.Rejected"));
}

#[tokio::test]
async fn a_client_that_moves_to_a_denied_address_is_disconnected() {
    for is_adaptor in [true, false] {
        let files = Files::new();
        if is_adaptor {
            files.adaptor(DENY)
        } else {
            files.vhost(DENY)
        };
        let server = Server::configured(files.path(), 1);
        let mut client = connect(&server.uri(0), from("127.0.0.1"), 1).await;
        let id = client.id();
        client.peer().ports = Ports::new(vec![socket(from("127.0.0.8"))]).expect("a port");
        assert!(create_stream(&mut client, 2.0).await > 0.0, "the address is allowed");
        client.peer().ports = Ports::new(vec![socket(from(DENIED))]).expect("a port");
        client.publish("anything");
        let _ = client.send_to_server(
            introd_flash::command::Command::new("createStream", 3.0, Vec::new())
                .to_message(introd_flash::command::Encoding::Amf0, 0)
                .expect("a command"),
        );
        is_disconnected(&mut client).await;
        assert!(!finds(&server, "127.0.0.1", id));
        let log = server.log();
        assert!(log.contains("client has moved to an address that the access rules deny"), "{log}");
    }
}
