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
}
