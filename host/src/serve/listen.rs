//! Binds the sockets of all workers, as the configuration says.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::Context as _;

use crate::network::Listener;
use crate::service_manager::PassedSockets;
use introd_config::{Config, Listen, PortSet};
use introd_udp::{BindError, BufferSizes, UdpSocket, adopt_workers, bind_workers};

/// The sockets of each worker with their listeners. Sockets that all workers share have the same place in each list; the sockets of
/// one worker alone come behind them.
pub type Listening = Vec<Vec<(Listener, UdpSocket)>>;

/// The addresses that all workers share: those in the configuration, or the addresses in `instead` if there are any.
pub fn listening_addresses(config: &Config, instead: &[SocketAddr]) -> Vec<SocketAddr> {
    if !instead.is_empty() {
        return instead.to_vec();
    }
    config.all_adaptors().flat_map(|adaptor| &adaptor.listen).map(|listen| listen.local).collect()
}

/// Binds the addresses in the configuration, or the addresses in `instead` if there are any. Where sockets were passed for an address,
/// these are used.
///
/// # Errors
/// If an address that is not optional cannot be bound, or if sockets were passed for it that cannot be used. The error names the first one.
pub fn listen(
    config: &Config,
    instead: &[SocketAddr],
    passed: &PassedSockets,
    workers: usize,
) -> Result<Listening, BindError> {
    let mut listening = Listening::new();
    listening.resize_with(workers, Vec::new);
    if !instead.is_empty() {
        for address in instead {
            let listen = Listen { local: *address, public: None, is_optional: false };
            bind_shared(&mut listening, &listen, 0, passed)?;
        }
        tell_of_ipv6_only(&listening);
        return Ok(listening);
    }
    for (index, adaptor) in config.all_adaptors().enumerate() {
        for listen in &adaptor.listen {
            bind_shared(&mut listening, listen, index, passed)?;
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

/// The sockets of another process, if they are those that the configuration wants: where others reach them is as the configuration says.
///
/// # Errors
/// If the configuration names other addresses.
pub fn as_configured(config: &Config, instead: &[SocketAddr], mut listening: Listening) -> anyhow::Result<Listening> {
    let shared: Vec<_> = if instead.is_empty() {
        let adaptors = config.all_adaptors().enumerate();
        let of = |(index, adaptor): (usize, &'_ introd_config::Adaptor)| {
            let listen = adaptor.listen.iter();
            listen.map(|listen| (index, listen.local, listen.public, listen.is_optional)).collect::<Vec<_>>()
        };
        adaptors.flat_map(of).collect()
    } else {
        instead.iter().map(|address| (0, *address, None, false)).collect()
    };
    for worker in &mut listening {
        let mut is_missing = vec![true; shared.len()];
        for (listener, socket) in worker {
            let local = socket.local_address();
            let fits = |wanted: SocketAddr| wanted.ip() == local.ip() && [0, local.port()].contains(&wanted.port());
            let place = shared.iter().zip(&is_missing).position(|((adaptor, wanted, ..), is_missing)| {
                *is_missing && *adaptor == listener.adaptor && fits(*wanted)
            });
            if let Some(place) = place {
                is_missing[place] = false;
                listener.public = shared[place].2;
                continue;
            }
            let mut sets =
                config.all_adaptors().nth(listener.adaptor).into_iter().flat_map(|adaptor| &adaptor.core_ports);
            let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
            let has =
                |set: &&PortSet| set.local.iter().any(|(ip, port)| fits(SocketAddr::new(ip.unwrap_or(any), port)));
            let set = sets.find(has).filter(|_| instead.is_empty());
            let set = set.with_context(|| format!("the server that runs listens at {local} too: {OTHER_ADDRESSES}"))?;
            listener.public = set.public_of(local);
        }
        let missing = shared.iter().zip(is_missing).find(|((.., is_optional), is_missing)| *is_missing && !is_optional);
        if let Some(((_, local, ..), _)) = missing {
            anyhow::bail!("the server that runs does not listen at {local}: {OTHER_ADDRESSES}");
        }
    }
    Ok(listening)
}

const OTHER_ADDRESSES: &str = "a takeover cannot change addresses, so restart the server without --takeover";

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
    listen: &Listen,
    adaptor: usize,
    passed: &PassedSockets,
) -> Result<(), BindError> {
    let (address, workers) = (listen.local, listening.len());
    let sockets = passed.udp_at(address).map_err(|source| BindError { address, source })?;
    let bound = if sockets.is_empty() {
        bind_workers(address, workers, BufferSizes::default())
    } else {
        adopt_workers(address, sockets, workers, BufferSizes::default())
    };
    let Some(bound) = unless_missing(bound, listen.is_optional)? else { return Ok(()) };
    for (worker, socket) in listening.iter_mut().zip(bound) {
        worker.push((Listener { adaptor, local: socket.local_address(), public: listen.public }, socket));
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
