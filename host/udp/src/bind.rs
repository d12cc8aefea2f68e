//! The sockets of all workers.

use std::io;
use std::net::SocketAddr;

use super::socket::{BufferSizes, UdpSocket};

/// A listening address that cannot be bound; says what can be done about it.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on UDP {address}: {source}{}", advice(*address, source))]
pub struct BindError {
    /// The address, as it was asked for.
    pub address: SocketAddr,
    /// What the system said.
    pub source: io::Error,
}

impl BindError {
    /// The machine has no IPv6 at all, which a default of listening on it should not be held against.
    pub fn is_ipv6_missing(&self) -> bool {
        let codes = [libc::EAFNOSUPPORT, libc::EADDRNOTAVAIL, libc::EPROTONOSUPPORT];
        self.address.is_ipv6() && self.source.raw_os_error().is_some_and(|code| codes.contains(&code))
    }
}

/// Binds every one of `addresses` once for each of `workers` workers; the result holds a list of sockets for each
/// worker, in the order of `addresses`. With port 0 all workers share the free port that the first one got.
///
/// An address that any other socket has is refused, even if that socket shares it: another server on the same port
/// would take half of the clients without a word.
///
/// # Errors
/// The first address that cannot be bound.
pub fn bind_workers(
    addresses: &[SocketAddr],
    workers: usize,
    buffers: BufferSizes,
) -> Result<Vec<Vec<UdpSocket>>, BindError> {
    let mut sockets: Vec<Vec<UdpSocket>> = (0..workers).map(|_| Vec::with_capacity(addresses.len())).collect();
    for &address in addresses {
        bind_address(address, &mut sockets, buffers).map_err(|source| BindError { address, source })?;
    }
    Ok(sockets)
}

fn bind_address(address: SocketAddr, workers: &mut [Vec<UdpSocket>], buffers: BufferSizes) -> io::Result<()> {
    let Some((worker, siblings)) = workers.split_first_mut() else {
        return Ok(());
    };
    // The first binds alone, which finds out whether the port is free, and opens it to the others afterwards.
    let first = UdpSocket::bind(address, buffers)?;
    log_bound(&first, 1 + siblings.len(), buffers);
    if !siblings.is_empty() {
        first.share()?;
    }
    for sibling in siblings {
        sibling.push(first.bind_sibling(buffers)?);
    }
    worker.push(first);
    Ok(())
}

fn log_bound(socket: &UdpSocket, workers: usize, wanted: BufferSizes) {
    let address = socket.local_address();
    let BufferSizes { receive, send } = socket.granted();
    tracing::info!(%address, workers, receive_buffer = receive, send_buffer = send, "listening on UDP");
    if receive < wanted.receive || send < wanted.send {
        tracing::warn!(
            %address,
            "socket buffers are smaller than asked for ({} and {} bytes): bursts of datagrams may be lost; raise the \
             system's net.core.rmem_max and net.core.wmem_max",
            wanted.receive,
            wanted.send
        );
    }
}

fn advice(address: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "; another program has this port, perhaps a server that is still running, or the same address is \
             configured twice: `ss -lunp sport = :{}` names the program; stop it or choose another port",
            address.port()
        ),
        io::ErrorKind::PermissionDenied => format!(
            "; port {} needs privileges this process lacks: choose a port of 1024 or above, or grant it \
             CAP_NET_BIND_SERVICE",
            address.port()
        ),
        io::ErrorKind::AddrNotAvailable => {
            "; this machine has no such address: `ip address` lists those it has; 0.0.0.0 and [::] stand for all".into()
        }
        _ if error.raw_os_error() == Some(libc::EAFNOSUPPORT) && address.is_ipv6() => {
            "; this machine has no IPv6: leave the address out".into()
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: [&str; 2] = ["127.0.0.1:0", "[::1]:0"];

    #[test]
    fn workers_share_each_port() {
        let addresses = LOOPBACK.map(|text| text.parse().unwrap());
        let workers = bind_workers(&addresses, 3, BufferSizes::default()).unwrap();
        assert_eq!(workers.len(), 3);
        for sockets in &workers {
            assert_eq!(sockets.len(), 2);
            for (socket, first) in sockets.iter().zip(&workers[0]) {
                assert_eq!(socket.local_address(), first.local_address());
                assert_ne!(socket.local_address().port(), 0);
            }
        }
        assert!(workers[0][0].granted().receive > 0);
    }

    #[test]
    fn a_port_that_others_share_is_still_in_use() {
        let addresses = ["127.0.0.1:0".parse().unwrap()];
        let held = bind_workers(&addresses, 2, BufferSizes::default()).unwrap();
        let taken = held[0][0].local_address();
        let error = bind_workers(&[taken], 2, BufferSizes::default()).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
        let message = error.to_string();
        assert!(message.contains(&taken.to_string()), "{message}");
        assert!(message.contains(&format!("ss -lunp sport = :{}", taken.port())), "{message}");
    }

    #[test]
    fn both_wildcards_fit_one_port() {
        // Someone else may hold the IPv6 half of a port whose IPv4 half is free; not of all of eight.
        let fits = (0..8).any(|_| {
            let held = bind_workers(&["0.0.0.0:0".parse().unwrap()], 2, BufferSizes::default()).unwrap();
            let v6 = SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, held[0][0].local_address().port()));
            bind_workers(&[v6], 2, BufferSizes::default()).is_ok()
        });
        assert!(fits);
    }

    #[test]
    fn foreign_addresses_and_privileged_ports_are_explained() {
        let error = bind_workers(&["203.0.113.1:0".parse().unwrap()], 1, BufferSizes::default()).unwrap_err();
        assert!(error.to_string().contains("no such address"), "{error}");
        let error =
            BindError { address: "0.0.0.0:843".parse().unwrap(), source: io::Error::from_raw_os_error(libc::EACCES) };
        assert!(error.to_string().contains("port 843 needs privileges"), "{error}");
    }

    #[test]
    fn no_workers_and_no_addresses_bind_nothing() {
        assert!(bind_workers(&["127.0.0.1:0".parse().unwrap()], 0, BufferSizes::default()).unwrap().is_empty());
        assert!(bind_workers(&[], 1, BufferSizes::default()).unwrap()[0].is_empty());
    }
}
