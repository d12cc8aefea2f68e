//! Blocks of IP addresses.

use std::net::IpAddr;

/// A block of IP addresses. IPv4 addresses count as the IPv6 addresses that they are mapped to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AddressRange {
    first: u128,
    bits: u32,
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().into(),
        IpAddr::V6(address) => address.into(),
    }
}

fn mask(bits: u32) -> u128 {
    u128::MAX.checked_shl(128 - bits).unwrap_or(0)
}

impl AddressRange {
    /// Reads `192.0.2.0/24`, `2001:db8::/32`, or a single address.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.trim().parse().ok()?;
        let max = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => max,
            Some(bits) => bits.trim().parse().ok().filter(|bits| *bits <= max)?,
        };
        let bits = if address.is_ipv4() { bits + 96 } else { bits };
        Some(Self { first: number(address) & mask(bits), bits })
    }

    pub(crate) fn contains(self, address: IpAddr) -> bool {
        number(address) & mask(self.bits) == self.first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_contain_the_addresses_of_their_network() {
        let range = |text| AddressRange::parse(text);
        assert!(range("2001:db8::/32").unwrap().contains("2001:db8:7::1".parse().unwrap()));
        assert!(!range("2001:db8::/32").unwrap().contains("2001:db9::1".parse().unwrap()));
        assert!(range("0.0.0.0/0").unwrap().contains("255.255.255.255".parse().unwrap()));
        assert!(!range("0.0.0.0/0").unwrap().contains("2001:db8::1".parse().unwrap()));
        assert!(range("::/0").unwrap().contains("192.0.2.1".parse().unwrap()));
        assert!(range("192.0.2.1").unwrap().contains("192.0.2.1".parse().unwrap()));
        for bad in ["", "192.0.2.0/33", "192.0.2/24", "host", "::/129", "192.0.2.0/-1", "192.0.2.0/"] {
            assert_eq!(range(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_edges_of_a_network_are_its_first_and_last_address() {
        for (range, inside, outside) in [
            ("192.0.2.77/24", ["192.0.2.0", "192.0.2.255"], ["192.0.1.255", "192.0.3.0"]),
            ("192.0.2.4/31", ["192.0.2.4", "192.0.2.5"], ["192.0.2.3", "192.0.2.6"]),
            ("192.0.2.4/32", ["192.0.2.4", "::ffff:192.0.2.4"], ["192.0.2.3", "192.0.2.5"]),
            ("2001:db8::4/128", ["2001:db8::4", "2001:db8::4"], ["2001:db8::3", "2001:db8::5"]),
            ("2001:db8::/127", ["2001:db8::", "2001:db8::1"], ["2001:db8::2", "2001:db7::"]),
            ("128.0.0.0/1", ["128.0.0.0", "255.255.255.255"], ["127.255.255.255", "::1"]),
        ] {
            let network = AddressRange::parse(range).unwrap();
            let contains = |address: &str| network.contains(address.parse().unwrap());
            assert_eq!((inside.map(contains), outside.map(contains)), ([true; 2], [false; 2]), "{range}");
        }
    }
}
