//! Multicast on the loopback interface.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::multicast::{MulticastReceiver, send_multicast};
use crate::platform::interface_addresses;
use crate::recv_batch::RecvBatch;
use crate::socket::{BufferSizes, UdpSocket};

/// Fails a test that would hang. No test's outcome depends on it otherwise.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The loopback interface.
fn loopback() -> u32 {
    let all = interface_addresses().unwrap();
    all.iter().find(|address| address.address.ip() == Ipv4Addr::LOCALHOST).unwrap().interface
}

/// A multicast address with a port that no other program uses.
fn group(last: u8) -> SocketAddr {
    let free = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), BufferSizes::default()).unwrap();
    SocketAddr::from(([239, 255, 77, last], free.local_address().port()))
}

async fn next(receiver: &MulticastReceiver) -> (SocketAddr, Vec<u8>) {
    let mut batch = RecvBatch::new(1);
    let waiting = async {
        loop {
            poll_fn(|context| receiver.poll_receive(context, &mut batch)).await.unwrap();
            if let Some(datagram) = batch.datagrams().next() {
                return (datagram.from, datagram.bytes.to_vec());
            }
        }
    };
    tokio::time::timeout(TIMEOUT, waiting).await.expect("it comes in time")
}

fn send(to: SocketAddr, datagram: &[u8]) {
    send_multicast("127.0.0.1:7".parse().unwrap(), loopback(), to, datagram).unwrap();
}

#[tokio::test]
async fn all_receivers_that_have_joined_get_what_is_sent_and_no_others() {
    let (here, elsewhere) = (group(1), group(2));
    let mut receivers = [here, here, elsewhere].map(|group| MulticastReceiver::bind(group).unwrap());
    let interfaces = BTreeSet::from([loopback()]);
    assert_eq!(receivers[0].join(&interfaces), 0);
    if cfg!(feature = "portable") {
        // There a socket may receive what another one has joined.
        assert_eq!(receivers[1].join(&interfaces), 0);
    }
    assert_eq!(receivers[2].join(&interfaces), 0);
    send(here, b"one");
    let (from, datagram) = next(&receivers[0]).await;
    assert_eq!((from.ip(), &datagram[..]), (Ipv4Addr::LOCALHOST.into(), &b"one"[..]));
    assert_ne!(from.port(), 7, "the port is any");
    if cfg!(feature = "portable") {
        assert_eq!(next(&receivers[1]).await.1, b"one");
    }
    // The second receives from now on.
    assert_eq!(receivers[1].join(&interfaces), 0);
    // Again, as at each look at the interfaces.
    assert_eq!(receivers[1].join(&interfaces), 0);
    send(here, b"two");
    assert_eq!([next(&receivers[0]).await.1, next(&receivers[1]).await.1], [b"two", b"two"]);
    // What was sent to the others' address before this would have come before this.
    send(elsewhere, b"three");
    assert_eq!(next(&receivers[2]).await.1, b"three");
}

#[tokio::test]
async fn one_that_is_told_of_an_interface_again_has_it_still() {
    let group = group(3);
    let mut receiver = MulticastReceiver::bind(group).unwrap();
    let interfaces = BTreeSet::from([loopback()]);
    assert_eq!(receiver.join(&interfaces), 0);
    // An interface that is away and comes back, while the kernel has it joined all the time.
    assert_eq!(receiver.join(&BTreeSet::new()), 0);
    assert_eq!(receiver.join(&interfaces), 0);
    send(group, b"one");
    assert_eq!(next(&receiver).await.1, b"one");
    // One that is none.
    assert_eq!(receiver.join(&BTreeSet::from([loopback(), u32::MAX >> 1])), 1);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    assert!(MulticastReceiver::bind("192.0.2.1:7".parse().unwrap()).is_err());
    let taken = UdpSocket::bind("0.0.0.0:0".parse().unwrap(), BufferSizes::default()).unwrap();
    let port = taken.local_address().port();
    assert!(
        MulticastReceiver::bind(SocketAddr::from(([239, 255, 77, 4], port))).is_err(),
        "another program has the port"
    );
    // An address that is not this machine's.
    let to = group(5);
    assert!(send_multicast("192.0.2.1:0".parse().unwrap(), loopback(), to, b"x").is_err());
}
