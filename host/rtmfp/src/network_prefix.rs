//! The key under which all bounds by address count, and which addresses are those of a site.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The addresses that a bound by address counts as one: an IPv4 address, or an IPv6 network of 64 bits.
///
/// An IPv6 host has as many addresses as it likes in the /64 network that it is given (RFC 4291 §2.5.1), so a bound for each of its
/// addresses would not bound the host. An IPv4 address that is written as an IPv6 one (`::ffff:192.0.2.1`), as an IPv6 socket shows
/// it, is the IPv4 address.
///
/// ```
/// use rtmfp::NetworkPrefix;
///
/// let of = |text: &str| text.parse().map(NetworkPrefix::of);
/// assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:1:ffff::2"));
/// assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
/// assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
/// assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
/// # assert_eq!(of("2001:db8:0:1:ffff::2")?.to_string(), "2001:db8:0:1::/64");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NetworkPrefix(Prefix);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Prefix {
    V4([u8; 4]),
    /// The first half of the address.
    V6([u8; 8]),
}

impl NetworkPrefix {
    /// The prefix that an address belongs to.
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self(Prefix::V4(ip.octets())),
            IpAddr::V6(ip) => {
                let [a, b, c, d, e, f, g, h, ..] = ip.octets();
                Self(Prefix::V6([a, b, c, d, e, f, g, h]))
            }
        }
    }

    /// Its first address: the IPv4 address itself, or the IPv6 address whose last 64 bits are zero.
    pub fn first(self) -> IpAddr {
        match self.0 {
            Prefix::V4(octets) => Ipv4Addr::from(octets).into(),
            Prefix::V6(half) => Ipv6Addr::from(u128::from(u64::from_be_bytes(half)) << 64).into(),
        }
    }
}

/// Whether an address is for use within one site, and means another host in the next: private (RFC 1918), shared behind a carrier's NAT
/// (RFC 6598), link-local (RFC 3927, RFC 4291 §2.5.6), or unique local (RFC 4193). A loopback address is none of these. An IPv4 address that is
/// written as an IPv6 one is the IPv4 address.
///
/// ```
/// let is_private = |text: &str| text.parse().map(rtmfp::is_private);
/// assert_eq!(is_private("192.168.1.1"), Ok(true));
/// assert_eq!(is_private("192.0.2.1"), Ok(false));
/// ```
pub fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [first, second, ..] = ip.octets();
            ip.is_private() || ip.is_link_local() || (first == 100 && second & 0xc0 == 64)
        }
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// As an address, or as a network in CIDR notation: `192.0.2.1`, `2001:db8::/64`.
impl fmt::Display for NetworkPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Prefix::V4(_) => write!(f, "{}", self.first()),
            Prefix::V6(_) => write!(f, "{}/64", self.first()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> NetworkPrefix {
        NetworkPrefix::of(text.parse().unwrap())
    }

    #[test]
    fn an_ipv6_network_of_64_bits_is_one_prefix() {
        assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:1:ffff:ffff:ffff:ffff"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
        assert_eq!(of("2001:db8:0:1::1").to_string(), "2001:db8:0:1::/64");
        assert_eq!(of("2001:db8:0:1::1").first().to_string(), "2001:db8:0:1::");
    }

    #[test]
    fn an_ipv4_address_is_one_prefix_however_it_is_written() {
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_ne!(of("0.0.0.0"), of("::"));
        assert_eq!(of("::ffff:192.0.2.1").to_string(), "192.0.2.1");
        assert_eq!(of("::ffff:192.0.2.1").first(), IpAddr::from([192, 0, 2, 1]));
    }

    /// The first and the last address of each network, and those beside them.
    #[test]
    fn the_networks_of_a_site_end_where_the_rfcs_say() {
        let is = |text: &str| is_private(text.parse().unwrap());
        for (before, first, last, after) in [
            ("9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"),
            ("172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"),
            ("192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"),
            ("169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"),
            ("100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"),
            ("fbff::1", "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fe00::"),
            ("fe7f::1", "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fec0::"),
        ] {
            assert_eq!([before, first, last, after].map(is), [false, true, true, false], "{first}");
        }
        for other in ["127.0.0.1", "::1", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "2001:db8::1"] {
            assert!(!is(other), "{other}");
        }
        assert!(is("::ffff:10.0.0.1") && !is("::ffff:192.0.2.1"));
    }
}
