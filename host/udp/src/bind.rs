//! One listening address for several workers.

use std::io;
use std::net::SocketAddr;

use crate::platform::{BUFFER_ADVICE, advice, is_ipv6_missing};
use crate::socket::{BufferSizes, UdpSocket};

/// A listening address that cannot be bound. The message says how to solve the problem.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on UDP {address}: {source}{}", advice(*address, source))]
pub struct BindError {
    /// The address, as it was asked for.
    pub address: SocketAddr,
    /// The system's error.
    pub source: io::Error,
}

impl BindError {
    /// Whether the machine has no IPv6 at all. A server that listens on IPv6 only by default can run without it.
    pub fn is_ipv6_missing(&self) -> bool {
        self.address.is_ipv6() && is_ipv6_missing(&self.source)
    }
}

/// Binds `address` once for each of `workers` workers. With port 0 all workers share the free port that the first one got.
///
/// The call fails if any other socket has the address, even one that shares it: another server on the same port would take half
/// of the clients, and nobody would notice.
///
/// # Errors
/// If the address cannot be bound.
pub fn bind_workers(address: SocketAddr, workers: usize, buffers: BufferSizes) -> Result<Vec<UdpSocket>, BindError> {
    bind_all(address, workers, buffers).map_err(|source| BindError { address, source })
}

fn bind_all(address: SocketAddr, workers: usize, buffers: BufferSizes) -> io::Result<Vec<UdpSocket>> {
    if workers == 0 {
        return Ok(Vec::new());
    }
    // The first socket is bound alone, which shows whether the port is free. Then it lets the others share the port.
    let first = UdpSocket::bind(address, buffers)?;
    log_bound(&first, workers, buffers);
    if workers > 1 {
        first.share()?;
    }
    let siblings = (1..workers).map(|_| first.bind_sibling(buffers)).collect::<io::Result<Vec<_>>>()?;
    Ok(std::iter::once(first).chain(siblings).collect())
}

/// Takes over the sockets that another process, such as a service manager, has bound to `address`: one for each of `workers` workers.
///
/// # Errors
/// If they are not as many as the workers, because datagrams that come to a socket without a worker would be lost, or if one of them cannot
/// be used.
pub fn adopt_workers(
    address: SocketAddr,
    sockets: Vec<std::net::UdpSocket>,
    workers: usize,
    buffers: BufferSizes,
) -> Result<Vec<UdpSocket>, BindError> {
    let refused = |source| BindError { address, source };
    if sockets.len() != workers {
        return Err(refused(io::Error::other(format!(
            "the service manager passed {} for this address, and each of the {workers} workers needs one: repeat the address in the \
             socket unit, with ReusePort=yes, or change the number of workers",
            if sockets.len() == 1 { "1 socket".to_owned() } else { format!("{} sockets", sockets.len()) },
        ))));
    }
    let adopted =
        sockets.into_iter().map(|socket| UdpSocket::adopt_foreign(socket, buffers)).collect::<io::Result<Vec<_>>>();
    let adopted = adopted.map_err(refused)?;
    if let Some(first) = adopted.first() {
        log_bound(first, workers, buffers);
    }
    Ok(adopted)
}

fn log_bound(socket: &UdpSocket, workers: usize, wanted: BufferSizes) {
    let address = socket.local_address();
    let BufferSizes { receive, send } = socket.granted();
    tracing::info!(%address, workers, receive_buffer = receive, send_buffer = send, "listening on UDP");
    if receive < wanted.receive || send < wanted.send {
        tracing::warn!(
            %address,
            "the socket buffers are smaller than asked for ({} and {} bytes), so bursts of datagrams may be lost: {BUFFER_ADVICE}",
            wanted.receive,
            wanted.send
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::CAN_SHARE_PORTS;

    /// As many as can share a port.
    const WORKERS: usize = if CAN_SHARE_PORTS { 3 } else { 1 };

    #[test]
    fn workers_share_each_port() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let sockets = bind_workers(address.parse().unwrap(), WORKERS, BufferSizes::default()).unwrap();
            assert_eq!(sockets.len(), WORKERS);
            for socket in &sockets {
                assert_eq!(socket.local_address(), sockets[0].local_address());
                assert_ne!(socket.local_address().port(), 0);
                assert!(socket.granted().receive > 0);
            }
        }
    }

    #[test]
    fn more_workers_than_can_share_a_port_are_refused_with_a_reason() {
        let bound = bind_workers("127.0.0.1:0".parse().unwrap(), 2, BufferSizes::default());
        assert_eq!(bound.is_ok(), CAN_SHARE_PORTS);
        assert!(bound.err().is_none_or(|error| error.to_string().contains("one worker serves a port")));
    }

    #[test]
    fn a_port_that_others_share_is_still_in_use() {
        let held = bind_workers("127.0.0.1:0".parse().unwrap(), WORKERS, BufferSizes::default()).unwrap();
        let taken = held[0].local_address();
        let error = bind_workers(taken, WORKERS, BufferSizes::default()).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
        let message = error.to_string();
        assert!(message.contains(&taken.to_string()), "{message}");
        assert!(message.contains("another program has this port"), "{message}");
    }

    #[test]
    fn both_wildcards_fit_one_port() {
        // Another program may have the IPv6 half of a port whose IPv4 half is free, but hardly of eight ports.
        let fits = (0..8).any(|_| {
            let held = bind_workers("0.0.0.0:0".parse().unwrap(), WORKERS, BufferSizes::default()).unwrap();
            let v6 = SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, held[0].local_address().port()));
            bind_workers(v6, WORKERS, BufferSizes::default()).is_ok()
        });
        assert!(fits);
    }

    #[test]
    fn foreign_addresses_and_privileged_ports_are_explained() {
        let error = bind_workers("203.0.113.1:0".parse().unwrap(), 1, BufferSizes::default()).unwrap_err();
        assert!(error.to_string().contains("no such address"), "{error}");
        let error =
            BindError { address: "0.0.0.0:843".parse().unwrap(), source: io::Error::from_raw_os_error(libc::EACCES) };
        assert!(error.to_string().contains("port 843 needs privileges"), "{error}");
    }

    #[test]
    fn no_workers_bind_nothing() {
        assert!(bind_workers("127.0.0.1:0".parse().unwrap(), 0, BufferSizes::default()).unwrap().is_empty());
    }

    #[test]
    fn a_machine_without_ipv6_is_told_from_other_errors() {
        let missing = |address: &str, code| {
            let error = BindError { address: address.parse().unwrap(), source: io::Error::from_raw_os_error(code) };
            (error.is_ipv6_missing(), error.to_string().contains("this machine has no IPv6"))
        };
        assert_eq!(missing("[::]:1935", libc::EAFNOSUPPORT), (true, true));
        assert_eq!(missing("[::]:1935", libc::EADDRNOTAVAIL), (true, false));
        assert_eq!(missing("[::]:1935", libc::EPROTONOSUPPORT), (true, false));
        assert_eq!(missing("[::]:1935", libc::EADDRINUSE), (false, false));
        assert_eq!(missing("[::]:1935", libc::ENOBUFS), (false, false));
        assert_eq!(missing("0.0.0.0:1935", libc::EAFNOSUPPORT), (false, false));
    }

    /// Sockets as another process makes them: handles of one.
    fn foreign(count: usize) -> Vec<std::net::UdpSocket> {
        let first = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        (0..count).map(|_| first.try_clone().unwrap()).collect()
    }

    #[test]
    fn sockets_that_were_bound_elsewhere_receive_and_never_block() {
        let sockets = foreign(2);
        let address = sockets[0].local_addr().unwrap();
        let adopted = adopt_workers(address, sockets, 2, BufferSizes::default()).unwrap();
        assert!(adopted.iter().all(|socket| socket.local_address() == address));
        let far = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        far.send_to(b"a datagram", address).unwrap();
        let mut batch = crate::RecvBatch::new(4);
        // One of them gets it. The other one has nothing, and says so at once.
        let received: Vec<_> = adopted.iter().filter_map(|socket| socket.receive(&mut batch).unwrap()).collect();
        assert_eq!(received, [1]);
    }

    #[test]
    fn a_large_buffer_that_another_process_has_granted_stays() {
        let sockets = foreign(1);
        let before = socket2::SockRef::from(&sockets[0]).recv_buffer_size().unwrap();
        let address = sockets[0].local_addr().unwrap();
        let less = BufferSizes { receive: before / 4, send: 4096 };
        let adopted = adopt_workers(address, sockets, 1, less).unwrap();
        assert_eq!(adopted[0].granted().receive, before / 2, "Linux reports the doubled size");
    }

    #[test]
    fn there_is_a_socket_for_each_worker_or_none_is_taken() {
        for (passed, workers) in [(1, 2), (3, 2), (2, 1)] {
            let sockets = foreign(passed);
            let address = sockets[0].local_addr().unwrap();
            let error = adopt_workers(address, sockets, workers, BufferSizes::default()).unwrap_err().to_string();
            assert!(error.contains(&address.to_string()) && error.contains("ReusePort=yes"), "{error}");
        }
    }

    #[test]
    fn a_socket_for_ipv6_that_takes_ipv4_too_is_refused() {
        let both = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::DGRAM, None).unwrap();
        both.set_only_v6(false).unwrap();
        both.bind(&SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, 0)).into()).unwrap();
        let both = std::net::UdpSocket::from(both);
        let address = both.local_addr().unwrap();
        let error = adopt_workers(address, vec![both], 1, BufferSizes::default()).unwrap_err().to_string();
        assert!(error.contains("BindIPv6Only=ipv6-only"), "{error}");
    }

    #[test]
    fn one_worker_shares_its_port_with_nobody() {
        let held = bind_workers("127.0.0.1:0".parse().unwrap(), 1, BufferSizes::default()).unwrap();
        // Another program that would share the port, and get half of the clients.
        let why = if CAN_SHARE_PORTS { io::ErrorKind::AddrInUse } else { io::ErrorKind::Unsupported };
        assert_eq!(held[0].bind_sibling(BufferSizes::default()).unwrap_err().kind(), why);
    }
}
