//! A client's NetConnection with the server, message by message.

use std::net::SocketAddr;

use introd_client::Client;
use introd_flash::amf::Value;
use introd_flash::client::{ConnectOptions, Incoming, connect as connect_message};
use introd_flash::command::{Command, Encoding};
use introd_flash::user_control::UserControl;
use introd_tests::program::Server;
use rtmfp::Event;
use rtmfp::flow::{Delivery, FlowEvent, FlowOptions};
use std::time::Instant;

use crate::harness::clients::{TIMEOUT, call, client, connect, create_stream, server_says};

const BEHIND_NAT: (u32, u32) = (15_000, 10_000);
const DIRECT: (u32, u32) = (20_000, 20_000);

#[tokio::test]
async fn any_application_path_is_accepted() {
    let server = Server::on_loopback(1);
    let host = server.addresses[0];
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    for (number, path) in
        ["", "/", "/live", "/live/room/with/parts", "/0123456789abcdef-key/", "/a%20b/c?x=y"].into_iter().enumerate()
    {
        let mut client = connect(&format!("rtmfp://{host}{path}"), any, number as u64).await;
        assert!(create_stream(&mut client, 2.0).await > 0.0, "{path}");
    }
}

#[tokio::test]
async fn an_unknown_method_is_refused_and_streams_are_numbered() {
    let server = Server::on_loopback(1);
    let mut client = client(server.addresses[0], 1).await;
    match call(&mut client, "noSuchMethod", 7.0, vec!["argument".into()]).await {
        Incoming::Error { status, .. } => assert_eq!(status.code, "NetConnection.Call.Failed"),
        other => panic!("{other:?}"),
    }
    let first = create_stream(&mut client, 8.0).await;
    let second = create_stream(&mut client, 9.0).await;
    assert!(first > 0.0 && second > 0.0 && first != second);
}

#[tokio::test]
async fn a_second_connect_is_refused_and_the_first_stands() {
    let server = Server::on_loopback(1);
    let mut client = client(server.addresses[0], 1).await;
    let again = connect_message(&server.uri(0), &ConnectOptions::default()).unwrap();
    client.send_to_server(again).unwrap();
    let code = server_says(&mut client, |message| match message {
        Incoming::Error { status, .. } => Some(status.code),
        _ => None,
    });
    assert_eq!(code.await, "NetConnection.Connect.Rejected");
    assert!(create_stream(&mut client, 3.0).await > 0.0);
}

#[tokio::test]
async fn an_unknown_flow_is_rejected_and_the_session_goes_on() {
    let server = Server::on_loopback(1);
    let mut client = client(server.addresses[0], 1).await;
    let session = client.session();
    for metadata in [&b"XY\x04\0"[..], b"", b"TC", b"TC\x04\0", b"TC\x04\x07"] {
        let endpoint = &mut client.peer().endpoint;
        let flow = endpoint.open_flow(Instant::now(), session, metadata, FlowOptions::default()).unwrap();
        endpoint.send(Instant::now(), session, flow, *b"hello", Delivery::default()).unwrap();
        let rejected = tokio::time::timeout(TIMEOUT, async {
            loop {
                match client.next().await.unwrap() {
                    Event::Flow { event: FlowEvent::Rejected { flow: of, exception }, .. } if of == flow => {
                        return exception;
                    }
                    Event::Closed { reason, .. } => panic!("{reason}"),
                    _ => (),
                }
            }
        });
        assert_eq!(rejected.await, Ok(0), "{metadata:?}");
    }
    assert!(create_stream(&mut client, 3.0).await > 0.0);
}

/// Sends `setPeerInfo` and returns the keepalive advice that follows.
async fn advice(client: &mut Client, entries: Vec<Value>) -> (u32, u32) {
    let message = Command::new("setPeerInfo", 0.0, entries).to_message(Encoding::Amf0, 0).unwrap();
    client.send_to_server(message).unwrap();
    next_advice(client).await
}

async fn next_advice(client: &mut Client) -> (u32, u32) {
    server_says(client, |message| match message {
        Incoming::UserControl(UserControl::SetKeepaliveTimers { server, peer }) => Some((server, peer)),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn keepalive_advice_depends_on_the_addresses_reported() {
    let server = Server::on_loopback(1);
    let mut client = client(server.addresses[0], 1).await;
    let own = client.connect_info().seen.expect("our server says it").to_string();
    assert_eq!(client.connect_info().nat(), Some(false));
    // Until a client has said where it is, it is taken to be behind a NAT; then this one has reported its address.
    while next_advice(&mut client).await != DIRECT {}
    assert_eq!(client.advised_keepalive(), Some(DIRECT));
    assert_eq!(advice(&mut client, vec![]).await, BEHIND_NAT);
    assert_eq!(client.advised_keepalive(), Some(BEHIND_NAT));
    assert_eq!(advice(&mut client, vec![own.as_str().into()]).await, DIRECT);
    let malformed: Vec<Value> = vec![
        "".into(),
        "127.0.0.1".into(),
        "not an address".into(),
        "127.0.0.1:99999".into(),
        "x".repeat(10_000).into(),
        Value::Number(7.0),
        Value::Null,
    ];
    assert_eq!(advice(&mut client, malformed.clone()).await, BEHIND_NAT);
    assert_eq!(advice(&mut client, [malformed, vec![own.as_str().into()]].concat()).await, DIRECT);
    assert_eq!(advice(&mut client, vec!["192.0.2.1:1".into()]).await, BEHIND_NAT);
    assert!(create_stream(&mut client, 3.0).await > 0.0);
}

#[tokio::test]
async fn malformed_messages_do_no_harm() {
    let server = Server::on_loopback(1);
    let mut client = client(server.addresses[0], 1).await;
    let nested = [&[20, 0, 0, 0, 0][..], &[3, 0, 1, b'a'].repeat(10_000)].concat();
    for message in
        [vec![], vec![20], vec![20, 0, 0, 0, 0], vec![20, 0, 0, 0, 0, 2, 255, 255], vec![4, 0, 0, 0, 0], nested]
    {
        client.send_to_server(message).unwrap();
    }
    client.send_to_server(vec![0xff; 100_000]).unwrap();
    assert!(create_stream(&mut client, 3.0).await > 0.0);
}
