//! The addresses of this machine's network interfaces.

use std::io;
use std::net::SocketAddr;

use crate::syscall::{InterfaceEntry, interface_entries};

/// How many addresses are looked at.
const MAX_ADDRESSES: usize = 1024;

/// An address of a network interface that is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The kernel's index of the interface.
    pub interface: u32,
    /// The address, with port 0. A link-local IPv6 address has its scope.
    pub address: SocketAddr,
    /// Whether the interface is the loopback interface.
    pub is_loopback: bool,
    /// Whether the interface carries multicast.
    pub is_multicast: bool,
}

/// The addresses of the network interfaces that are up, in the kernel's order, as they are now. It makes some system calls, and does not
/// wait.
///
/// # Errors
/// If the kernel does not say.
pub fn interface_addresses() -> io::Result<Vec<InterfaceAddress>> {
    let is = |flags: u32, flag: i32| flags & flag.cast_unsigned() != 0;
    let entries = interface_entries(MAX_ADDRESSES)?.into_iter();
    let up = entries.filter(|entry| entry.index != 0 && is(entry.flags, libc::IFF_UP));
    let address = |InterfaceEntry { index, flags, address }| InterfaceAddress {
        interface: index,
        address,
        is_loopback: is(flags, libc::IFF_LOOPBACK),
        is_multicast: is(flags, libc::IFF_MULTICAST),
    };
    Ok(up.map(address).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_is_there() {
        let all = interface_addresses().unwrap();
        let loopback = all.iter().find(|address| address.address == "127.0.0.1:0".parse().unwrap()).unwrap();
        assert!(loopback.is_loopback && loopback.interface != 0);
        assert!(
            all.iter().all(|address| address.is_loopback == address.address.ip().is_loopback() || address.is_loopback)
        );
    }
}
