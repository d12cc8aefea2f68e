//! The counters that the server prints when it stops are right.

use introd_tests::program::Server;
use rtmfp::{Origin, PeerId, TaggedAddress};
use tokio::net::UdpSocket;

use crate::harness::clients::{TIMEOUT, client};
use introd_tests::startup_packets::{Answer, answer, lookup};

const UNKNOWN: u64 = 30;
const KNOWN: u64 = 50;

#[tokio::test]
async fn lookups_redirects_and_forwards_are_counted() {
    let server = Server::on_loopback(4);
    let mut target = client(server.addresses[0], 1).await;
    let id = target.id();
    let target_is_at = target.peer().ports.local_addresses().next().unwrap();
    let asker = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let asking = async {
        for number in 0..UNKNOWN {
            let datagram = lookup(PeerId([number as u8; 32]), [1; 16]);
            asker.send_to(&datagram, server.addresses[0]).await.unwrap();
        }
        let mut from_server = 0;
        for number in 0..KNOWN {
            asker.send_to(&lookup(id, [number as u8; 16]), server.addresses[0]).await.unwrap();
            // One redirect from the server, and a hello from the target, to which the lookup was forwarded.
            for _ in 0..2 {
                let mut bytes = [0; 2048];
                let (len, from) = asker.recv_from(&mut bytes).await.unwrap();
                match answer(&mut bytes[..len]) {
                    Some(Answer::Redirect(to)) => {
                        assert_eq!(from, server.addresses[0]);
                        assert_eq!(to, [TaggedAddress::new(target_is_at, Origin::Observed)], "it reports the same");
                        from_server += 1;
                    }
                    Some(Answer::Hello) => assert_eq!(from, target_is_at),
                    None => panic!("not an answer"),
                }
            }
        }
        from_server
    };
    let redirects = tokio::select! {
        result = tokio::time::timeout(TIMEOUT, asking) => result.expect("all lookups are answered"),
        failure = target.stay() => panic!("{failure}"),
    };
    assert_eq!(redirects, KNOWN);
    target.close().await;
    let ended = server.stop();
    for (name, count) in [
        ("rtmfp_lookups", UNKNOWN + KNOWN),
        ("rtmfp_lookups_unknown", UNKNOWN),
        ("rtmfp_redirects", KNOWN),
        ("rtmfp_forwards", KNOWN),
        ("rtmfp_lookups_denied", 0),
        ("worker_mailbox_full", 0),
    ] {
        assert_eq!(ended.counter(name), count, "{name} {ended:?}");
    }
}
