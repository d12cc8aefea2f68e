//! An address of this machine.

use std::net::{IpAddr, SocketAddr};

/// How many addresses are looked at.
pub(crate) const MAX_ADDRESSES: usize = 1024;

/// An address of a network interface that is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The kernel's index of the interface.
    pub interface: u32,
    /// The address, with port 0. A link-local IPv6 address has its scope.
    pub address: SocketAddr,
    /// How many bits of the address are those of the interface's network: hosts whose addresses begin with the same bits are its
    /// neighbours.
    pub prefix_len: u8,
    /// Whether the interface is the loopback interface.
    pub is_loopback: bool,
    /// Whether the interface carries multicast.
    pub is_multicast: bool,
}

/// The bits of a network's mask. Without one, the address is a network by itself.
pub(crate) fn prefix_len(ip: IpAddr, netmask: Option<IpAddr>) -> u8 {
    let bits = match (ip, netmask) {
        (IpAddr::V4(_), Some(IpAddr::V4(mask))) => mask.to_bits().leading_ones(),
        (IpAddr::V6(_), Some(IpAddr::V6(mask))) => mask.to_bits().leading_ones(),
        (IpAddr::V4(_), _) => u32::BITS,
        (IpAddr::V6(_), _) => u128::BITS,
    };
    bits as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_has_as_many_bits_as_it_begins_with() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for (address, mask, expected) in [
            ("192.0.2.1", Some("255.255.255.0"), 24),
            ("192.0.2.1", Some("0.0.0.0"), 0),
            ("192.0.2.1", Some("255.255.255.255"), 32),
            ("192.0.2.1", None, 32),
            ("192.0.2.1", Some("ffff::"), 32),
            ("2001:db8::1", Some("ffff:ffff:ffff:ffff::"), 64),
            ("2001:db8::1", None, 128),
        ] {
            assert_eq!(prefix_len(ip(address), mask.map(ip)), expected, "{address} {mask:?}");
        }
    }

    #[test]
    fn the_loopback_interface_is_there() {
        let all = crate::interface_addresses().unwrap();
        let loopback = all.iter().find(|address| address.address == "127.0.0.1:0".parse().unwrap()).unwrap();
        assert!(loopback.is_loopback && loopback.interface != 0 && loopback.prefix_len == 8);
        assert!(
            all.iter().all(|address| address.is_loopback == address.address.ip().is_loopback() || address.is_loopback)
        );
    }
}
