//! Binds the sockets of all workers, as the configuration says.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::network::Listener;
use introd_config::{Config, PortSet};
use introd_udp::{BindError, BufferSizes, UdpSocket, bind_workers};

/// The sockets of each worker with their listeners. Sockets that all workers share have the same place in each list; the sockets of
/// one worker alone come behind them.
pub type Listening = Vec<Vec<(Listener, UdpSocket)>>;

/// Binds the addresses in the configuration, or the addresses in `instead` if there are any.
///
/// # Errors
/// If an address that is not optional cannot be bound. The error names the first one.
pub fn listen(config: &Config, instead: &[SocketAddr], workers: usize) -> Result<Listening, BindError> {
    let mut listening = Listening::new();
    listening.resize_with(workers, Vec::new);
    if !instead.is_empty() {
        for address in instead {
            bind_shared(&mut listening, *address, 0, None, false)?;
        }
        tell_of_ipv6_only(&listening);
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
    tell_of_ipv6_only(&listening);
    Ok(listening)
}

/// Says which ports IPv4 clients cannot come to, although the address may look as if it stood for all: the sockets of other programs at
/// `[::]` often take IPv4 too.
fn tell_of_ipv6_only(listening: &Listening) {
    let shared = listening.first().into_iter().flatten();
    let all: Vec<SocketAddr> = shared.map(|(listener, _)| listener.local).collect();
    for address in &all {
        let is_any = address.is_ipv6() && address.ip().is_unspecified();
        if is_any && !all.iter().any(|other| other.is_ipv4() && other.port() == address.port()) {
            let port = address.port();
            tracing::info!(
                "{address} takes IPv6 only: if IPv4 clients are to come to the port, listen at 0.0.0.0:{port} as well"
            );
        }
    }
}

/// Binds an address that all workers share.
fn bind_shared(
    listening: &mut Listening,
    address: SocketAddr,
    adaptor: usize,
    public: Option<SocketAddr>,
    is_optional: bool,
) -> Result<(), BindError> {
    let bound = bind_workers(address, listening.len(), BufferSizes::default());
    let Some(bound) = unless_missing(bound, is_optional)? else { return Ok(()) };
    for (worker, socket) in listening.iter_mut().zip(bound) {
        worker.push((Listener { adaptor, local: socket.local_address(), public }, socket));
    }
    Ok(())
}

/// What was bound; `None` if the address is optional and an IPv6 address on a machine that has no IPv6.
fn unless_missing<T>(bound: Result<T, BindError>, is_optional: bool) -> Result<Option<T>, BindError> {
    match bound {
        Err(error) if is_optional && error.is_ipv6_missing() => {
            let address = error.address;
            tracing::warn!(%address, "this machine has no IPv6: the server does not listen on this address");
            Ok(None)
        }
        bound => bound.map(Some),
    }
}

/// Binds a port of its own for each worker: the first one in the set that is free.
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
                tracing::warn!(%set, "the set has fewer ports than there are workers: some workers have no port of their own");
                return Ok(());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
