//! The addresses at which others reach the server.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use introd_udp::LocalAddress;

use crate::serve::Listener;

/// Where others reach the server. A server that listens on every address of its computer is reached, as far as it can tell, by the
/// one from which it reaches others.
pub(super) fn near_addresses(listeners: &[Listener]) -> Arc<[SocketAddr]> {
    // Connecting a socket to any outside address shows which interface leads out. Nothing is sent.
    const BEYOND: [SocketAddr; 2] = [
        SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 1),
        SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)), 1),
    ];
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for listener in listeners {
        let leading_out = || {
            let ip = LocalAddress::towards(BEYOND[usize::from(listener.local.is_ipv6())])?;
            Some(SocketAddr::new(ip, listener.local.port()))
        };
        addresses.extend(listener.advertised().or_else(leading_out).filter(|address| !addresses.contains(address)));
    }
    addresses.into()
}
