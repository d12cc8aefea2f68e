//! The sockets of all workers, as the configuration wants them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::listener::Listener;
use introd_config::{Config, PortSet};
use introd_udp::{BindError, BufferSizes, UdpSocket, bind_workers};

/// The sockets of each worker, and what they stand for. All workers have those that they share at the same places; sockets
/// of a worker's own come after those.
pub type Listening = Vec<Vec<(Listener, UdpSocket)>>;

/// Binds what the configuration says, or `instead` if that names anything.
///
/// # Errors
/// The first address that cannot be bound, unless the server runs without it too.
pub fn listen(config: &Config, instead: &[SocketAddr], workers: usize) -> Result<Listening, BindError> {
    let mut listening = Listening::new();
    listening.resize_with(workers, Vec::new);
    if !instead.is_empty() {
        for address in instead {
            bind_shared(&mut listening, *address, 0, None, false)?;
        }
        return Ok(listening);
    }
    for (index, adaptor) in config.all_adaptors().enumerate() {
        for listen in &adaptor.listen {
            bind_shared(&mut listening, listen.local, index, listen.public, listen.is_optional)?;
        }
    }
    for (index, adaptor) in config.all_adaptors().enumerate() {
        for set in &adaptor.core_ports {
            bind_cores(&mut listening, set, index)?;
        }
    }
    Ok(listening)
}

/// An address that all workers share.
fn bind_shared(
    listening: &mut Listening,
    address: SocketAddr,
    adaptor: usize,
    public: Option<SocketAddr>,
    is_optional: bool,
) -> Result<(), BindError> {
    let bound = match bind_workers(address, listening.len(), BufferSizes::default()) {
        Err(error) if is_optional && error.is_ipv6_missing() => {
            tracing::warn!(%address, "this machine has no IPv6: not listened on");
            return Ok(());
        }
        bound => bound?,
    };
    for (worker, socket) in listening.iter_mut().zip(bound) {
        worker.push((Listener { adaptor, local: socket.local_address(), public }, socket));
    }
    Ok(())
}

/// A port for each worker from a set: the first that is free.
fn bind_cores(listening: &mut Listening, set: &PortSet, adaptor: usize) -> Result<(), BindError> {
    let mut free = set.local.iter();
    for worker in listening {
        let mut last_error = None;
        let bound = free.by_ref().find_map(|(host, port)| {
            let address = SocketAddr::new(host.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), port);
            UdpSocket::bind(address, BufferSizes::default())
                .map_err(|source| last_error = Some(BindError { address, source }))
                .ok()
        });
        match (bound, last_error) {
            (Some(socket), _) => {
                let local = socket.local_address();
                worker.push((Listener { adaptor, local, public: set.public_of(local) }, socket));
            }
            (None, Some(error)) => return Err(error),
            (None, None) => {
                tracing::warn!(%set, "has fewer ports than there are workers: some have none of it");
                return Ok(());
            }
        }
    }
    Ok(())
}
