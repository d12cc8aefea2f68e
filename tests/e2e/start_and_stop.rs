//! How the server starts, what it prints, and how it stops.

use std::net::UdpSocket;

use introd_client::Client;
use introd_tests::program::{Peer, Process, Server, introd, probe};
use rtmfp::flow::FlowEvent;
use rtmfp::{CloseReason, Event};
use rustix::process::Signal;

use crate::harness::clients::{TIMEOUT, client};

/// How a client sees its session close: was its control flow rejected before, and the reason.
async fn until_closed(mut client: Client) -> (bool, CloseReason) {
    let mut is_control_rejected = false;
    let closed = tokio::time::timeout(TIMEOUT, async {
        loop {
            match client.next().await.expect("its sockets work") {
                Event::Flow { event: FlowEvent::Rejected { flow, exception: 0 }, .. } if flow == client.control() => {
                    is_control_rejected = true;
                }
                Event::Closed { session, reason } if session == client.session() => return reason,
                _ => (),
            }
        }
    });
    let reason = closed.await.expect("the server closes the session");
    client.close().await;
    (is_control_rejected, reason)
}

#[tokio::test]
async fn clients_see_an_orderly_close_when_the_server_stops() {
    for signal in [Signal::TERM, Signal::INT] {
        let server = Server::on_loopback(2);
        let first = client(server.addresses[0], 1).await;
        let second = client(server.addresses[1], 2).await;
        server.signal(signal);
        let (first, second) = tokio::join!(until_closed(first), until_closed(second));
        assert_eq!(first, (true, CloseReason::Far));
        assert_eq!(second, (true, CloseReason::Far));
        let ended = server.ended();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stdout.contains("closing 2 clients"), "{ended:?}");
    }
}

#[test]
fn a_server_without_clients_stops() {
    let ended = Server::on_loopback(1).stop();
    assert_eq!((ended.code, ended.counter("rtmfp_lookups")), (Some(0), 0), "{ended:?}");
}

#[test]
fn a_server_whose_address_is_taken_fails_and_names_it() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = Process::start(&mut introd(&["run", "--listen", &address])).ended();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains(&address), "{ended:?}");
}

#[test]
fn a_probe_that_stays_is_told_when_the_server_stops() {
    let server = Server::on_loopback(1);
    let staying = Peer::stay(&server.uri(0));
    assert_eq!(server.stop().code, Some(0));
    let ended = staying.ended();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("stay failed"), "{ended:?}");
}

#[test]
fn a_probe_that_stays_ends_in_an_orderly_way() {
    for signal in [Signal::TERM, Signal::INT] {
        let server = Server::on_loopback(1);
        let staying = Peer::stay(&server.uri(0));
        let id = staying.id.clone();
        let found = probe(&["--peer", &id, "--json", &server.uri(0)]);
        assert_eq!(found.code, Some(0), "{found:?}");
        assert_eq!(found.json()["introduced"], true);
        assert_eq!(found.json()["message_exchanged"], true);
        assert_eq!(found.json()["target"]["peer_id"], id.as_str());
        let ended = staying.end(signal);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
        let ended = server.stop();
        assert!(ended.stdout.contains("closing 0 clients"), "{ended:?}");
        assert_eq!(ended.stderr.matches("closed by the far end").count(), 2, "{ended:?}");
    }
}
