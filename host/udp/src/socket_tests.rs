//! Real sockets on the loopback interface.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;

use crate::async_socket::AsyncUdpSocket;
use crate::local::LocalAddress;
use crate::recv_batch::{MAX_DATAGRAM, RecvBatch};
use crate::send_batch::SendBatch;
use crate::send_queue::Flushed;
use crate::socket::{BufferSizes, UdpSocket};

type TestResult = Result<(), Box<dyn std::error::Error>>;

/// Fails a test that would hang. No test's outcome depends on it otherwise.
const TIMEOUT: Duration = Duration::from_secs(20);

const LOOPBACK: [&str; 2] = ["127.0.0.1:0", "[::1]:0"];

fn bind(address: &str) -> UdpSocket {
    UdpSocket::bind(address.parse().unwrap(), BufferSizes::default()).unwrap()
}

fn register(address: &str) -> AsyncUdpSocket {
    AsyncUdpSocket::register(bind(address)).unwrap()
}

/// Receives until `count` datagrams came. Returns them with their source and the address that they came to.
async fn collect(
    socket: &AsyncUdpSocket,
    batch: &mut RecvBatch,
    count: usize,
) -> std::io::Result<Vec<(SocketAddr, LocalAddress, Vec<u8>)>> {
    let mut received = Vec::new();
    while received.len() < count {
        tokio::time::timeout(TIMEOUT, socket.receive(batch)).await??;
        received.extend(batch.datagrams().map(|datagram| (datagram.from, datagram.local, datagram.bytes.to_vec())));
    }
    Ok(received)
}

#[tokio::test]
async fn batches_round_trip() -> TestResult {
    for loopback in LOOPBACK {
        let (server, client) = (register(loopback), register(loopback));
        // More datagrams than one call of either side takes.
        let mut sent = SendBatch::new(100, 100 * 8);
        let mut batch = RecvBatch::new(16);
        let mut replies = SendBatch::new(100, 100 * 8);
        for round in 0..3_u32 {
            for n in 0..100_u32 {
                let bytes = [round.to_be_bytes(), n.to_be_bytes()].concat();
                sent.push(server.local_address(), LocalAddress::ANY, &bytes)?;
            }
            client.flush(&mut sent).await?;
            let received = collect(&server, &mut batch, 100).await?;
            assert_eq!(received.len(), 100);
            for (n, (from, local, bytes)) in received.into_iter().enumerate() {
                assert_eq!(from, client.local_address());
                assert_eq!(local, LocalAddress::of(server.local_address()));
                assert_eq!(bytes, [round.to_be_bytes(), (n as u32).to_be_bytes()].concat());
                replies.push(from, local, &bytes)?;
            }
            server.flush(&mut replies).await?;
            let echoed = collect(&client, &mut batch, 100).await?;
            assert!(echoed.iter().all(|(from, ..)| *from == server.local_address()));
            assert_eq!(echoed[99].2, [round.to_be_bytes(), 99_u32.to_be_bytes()].concat());
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_wildcard_socket_replies_from_the_address_that_the_request_came_to() -> TestResult {
    for (wildcard, client, asked) in [
        ("0.0.0.0:0", "127.0.0.1:0", "127.0.0.2"),
        ("0.0.0.0:0", "127.0.0.1:0", "127.0.0.3"),
        ("[::]:0", "[::1]:0", "::1"),
    ] {
        let (server, client) = (register(wildcard), register(client));
        let asked = SocketAddr::new(asked.parse()?, server.local_address().port());
        let (mut sent, mut batch) = (SendBatch::new(4, 64), RecvBatch::new(4));
        sent.push(asked, LocalAddress::ANY, b"request")?;
        client.flush(&mut sent).await?;
        let (from, local, _) = collect(&server, &mut batch, 1).await?.remove(0);
        assert_eq!(local.ip(), Some(asked.ip()));
        sent.push(from, local, b"reply")?;
        server.flush(&mut sent).await?;
        let (from, _, bytes) = collect(&client, &mut batch, 1).await?.remove(0);
        assert_eq!((from, bytes), (asked, b"reply".to_vec()));
    }
    Ok(())
}

#[tokio::test]
async fn refused_datagrams_do_not_hold_up_the_others() -> TestResult {
    for (wildcard, loopback, other_family) in
        [("0.0.0.0:0", "127.0.0.1:0", "[::1]:9"), ("[::]:0", "[::1]:0", "127.0.0.1:9")]
    {
        let (server, client) = (register(wildcard), register(loopback));
        let to = client.local_address();
        let nowhere = SocketAddr::new(to.ip(), 0);
        let foreign = LocalAddress::new(if to.is_ipv4() { "203.0.113.1" } else { "2001:db8::1" }.parse()?, 0);
        let too_long = vec![0; 70_000];
        let mut batch = SendBatch::new(32, 100_000);
        let mut good = 0_u8;
        for bad in 0..6 {
            batch.push(to, LocalAddress::ANY, &[good])?;
            match bad {
                0 | 1 => batch.push(nowhere, LocalAddress::ANY, b"port 0")?,
                2 => batch.push(to, foreign, b"from an address that is not ours")?,
                3 => batch.push(to, LocalAddress::ANY, &too_long)?,
                _ => batch.push(other_family.parse()?, LocalAddress::ANY, b"the other family")?,
            }
            good += 1;
        }
        batch.push(to, LocalAddress::ANY, &[good])?;
        assert_eq!(server.send_now(&mut batch), Flushed { sent: 7, left: 0 });
        assert!(batch.take_last_error().is_some() && batch.take_last_error().is_none());
        let received = collect(&client, &mut RecvBatch::new(32), 7).await?;
        assert!(received.iter().map(|(.., bytes)| bytes[0]).eq(0..=good));
    }
    Ok(())
}

#[tokio::test]
async fn truncated_datagrams_are_dropped() -> TestResult {
    let (server, client) = (register("127.0.0.1:0"), register("127.0.0.1:0"));
    let mut sent = SendBatch::new(4, 8 * MAX_DATAGRAM);
    for len in [MAX_DATAGRAM, MAX_DATAGRAM + 1, 0, 5] {
        sent.push(server.local_address(), LocalAddress::ANY, &vec![7; len])?;
    }
    client.flush(&mut sent).await?;
    let mut batch = RecvBatch::new(2);
    let received = collect(&server, &mut batch, 3).await?;
    assert!(received.iter().map(|(.., bytes)| bytes.len()).eq([MAX_DATAGRAM, 0, 5]));
    Ok(())
}

#[cfg(not(feature = "portable"))]
#[tokio::test]
async fn sharing_sockets_split_the_senders_between_them() -> TestResult {
    for loopback in LOOPBACK {
        let workers = crate::bind::bind_workers(loopback.parse()?, 2, BufferSizes::default())?;
        let server = workers[0].local_address();
        let mut sent = SendBatch::new(1, 8);
        let clients: Vec<_> = (0..64).map(|_| bind(loopback)).collect();
        for client in &clients {
            sent.push(server, LocalAddress::ANY, b"hello")?;
            assert_eq!(client.send_or_drop(&mut sent), 1);
        }
        // Loopback delivers within the call that sends. The chance that one worker gets all 64 is one in 2^63.
        let mut batch = RecvBatch::new(100);
        let counts = [workers[0].try_receive(&mut batch)?, workers[1].try_receive(&mut batch)?];
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
        assert_eq!(counts.iter().sum::<usize>(), clients.len());
    }
    Ok(())
}

#[test]
fn an_icmp_error_does_not_hide_the_next_datagram() -> TestResult {
    // No other test takes ports of this address.
    let (socket, gone) = (bind("127.0.0.1:0"), bind("127.0.0.9:0"));
    let gone_address = gone.local_address();
    drop(gone);
    // The kernel reports ICMP errors to a connected socket only.
    SockRef::from(&socket).connect(&gone_address.into())?;
    let mut sent = SendBatch::new(4, 64);
    sent.push(gone_address, LocalAddress::ANY, b"anyone?")?;
    assert_eq!(socket.send_or_drop(&mut sent), 1);
    let back = UdpSocket::bind(gone_address, BufferSizes::default())?;
    sent.push(socket.local_address(), LocalAddress::ANY, b"here again")?;
    assert_eq!(back.send_or_drop(&mut sent), 1);
    let mut batch = RecvBatch::new(4);
    assert_eq!(socket.receive(&mut batch)?, Some(1));
    assert_eq!(batch.datagrams().next().map(|datagram| datagram.bytes.to_vec()), Some(b"here again".to_vec()));
    assert_eq!(batch.take_last_error().map(|error| error.kind()), Some(ErrorKind::ConnectionRefused));
    assert_eq!(socket.receive(&mut batch)?, None);
    assert_eq!(batch.datagrams().count(), 0);
    Ok(())
}

#[tokio::test]
async fn waiting_resumes_after_the_socket_ran_dry() -> TestResult {
    let (server, client) = (register("127.0.0.1:0"), register("127.0.0.1:0"));
    let (mut sent, mut batch) = (SendBatch::new(8, 64), RecvBatch::new(2));
    // One datagram leaves a batch partly filled, two fill it exactly, three take two calls.
    for count in [1, 2, 3, 1, 2] {
        let asks = async {
            tokio::task::yield_now().await;
            for n in 0..count {
                sent.push(server.local_address(), LocalAddress::ANY, &[n])?;
            }
            client.flush(&mut sent).await?;
            TestResult::Ok(())
        };
        let (asked, received) = tokio::join!(asks, collect(&server, &mut batch, count.into()));
        asked?;
        assert!(received?.iter().map(|(.., bytes)| bytes[0]).eq(0..count));
    }
    Ok(())
}

#[test]
fn the_kernel_says_what_buffers_it_grants() {
    // Well below every system's limit.
    let wanted = BufferSizes { receive: 20_000, send: 30_000 };
    let socket = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), wanted).unwrap();
    assert_eq!(socket.granted(), wanted);
    let asked = SockRef::from(&socket);
    assert_eq!((asked.recv_buffer_size().unwrap(), asked.send_buffer_size().unwrap()), (40_000, 60_000));
}

#[test]
fn a_batch_holds_as_many_as_it_was_made_for() {
    assert_eq!([1, 2, 64].map(|size| RecvBatch::new(size).capacity()), [1, 2, 64]);
}
