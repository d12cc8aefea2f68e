//! The list of network interfaces.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use if_addrs::{IfAddr, IfOperStatus, Interface};

use crate::interface_address::{InterfaceAddress, MAX_ADDRESSES, prefix_len};

/// The addresses of the network interfaces that are up, in the system's order, as they are now. It makes some system calls, and does not
/// wait.
///
/// # Errors
/// If the system does not say.
pub fn interface_addresses() -> io::Result<Vec<InterfaceAddress>> {
    let all = if_addrs::get_if_addrs()?;
    Ok(all.iter().filter_map(address).take(MAX_ADDRESSES).collect())
}

fn address(interface: &Interface) -> Option<InterfaceAddress> {
    let index = interface.index?;
    if matches!(interface.oper_status, IfOperStatus::Down | IfOperStatus::NotPresent | IfOperStatus::LowerLayerDown) {
        return None;
    }
    let (address, netmask): (SocketAddr, IpAddr) = match &interface.addr {
        IfAddr::V4(v4) => ((v4.ip, 0).into(), v4.netmask.into()),
        IfAddr::V6(v6) => {
            let scope = if v6.ip.is_unicast_link_local() { index } else { 0 };
            (SocketAddrV6::new(v6.ip, 0, 0, scope).into(), v6.netmask.into())
        }
    };
    let is_loopback = interface.is_loopback();
    Some(InterfaceAddress {
        interface: index,
        address,
        prefix_len: prefix_len(address.ip(), Some(netmask)),
        is_loopback,
        // The library does not say. Tunnels between two ends have no neighbours to reach.
        is_multicast: !is_loopback && !interface.is_p2p(),
    })
}
