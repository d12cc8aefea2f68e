//! The server's own network, behind the NAT whose public address others reach the server by.
//!
//! A client in that network (in the same home or office, in the same cloud, or on the server's own machine) sends to the server without
//! passing the NAT, so that the server sees an address that is of no use outside. The NAT shows the client to others at the server's public
//! address. Most NATs keep the port of a client's socket, so the client is looked for there at the port that the server sees.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rtmfp::is_private;
use smallvec::SmallVec;

use super::reach::canonical;

/// How many public addresses of the server a client of its network is looked for at: those of two lines to the internet.
const MAX_PUBLIC: usize = 2;

/// The addresses at which a client in the server's network may be reached from outside.
pub type Outside = SmallVec<[SocketAddr; MAX_PUBLIC]>;

/// The server's own network, by the public addresses of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Site {
    /// Networks of IPv6 have no NAT: a client there has an address of its own for others, and reports it.
    public: SmallVec<[Ipv4Addr; MAX_PUBLIC]>,
    near_addresses: Arc<[SocketAddr]>,
}

impl Site {
    /// The network of a server that others reach at these addresses. If none of them is public, nobody is looked for there.
    pub fn new(near_addresses: Arc<[SocketAddr]>) -> Self {
        let mut public = SmallVec::new();
        for address in near_addresses.iter() {
            let IpAddr::V4(ip) = address.ip().to_canonical() else { continue };
            if is_outside(ip.into()) && public.len() < MAX_PUBLIC && !public.contains(&ip) {
                public.push(ip);
            }
        }
        Self { public, near_addresses }
    }

    /// Where `other` may reach a peer that the server sees at `observed`, if the peer stands in the server's network and `other` does not.
    pub fn outside(&self, observed: SocketAddr, other: SocketAddr) -> Outside {
        if is_outside(other.ip().to_canonical()) { self.outside_of(observed) } else { Outside::new() }
    }

    /// Where others outside may reach a peer that the server sees at `observed`, if the peer stands in the server's network.
    pub fn outside_of(&self, observed: SocketAddr) -> Outside {
        let observed = canonical(observed);
        if observed.is_ipv6() || observed.port() == 0 || observed.ip().is_unspecified() || is_outside(observed.ip()) {
            return Outside::new();
        }
        let public = self.public.iter().map(|ip| SocketAddr::new((*ip).into(), observed.port()));
        // What comes to the server's own port does not come to the peer.
        public.filter(|address| !self.near_addresses.contains(address)).collect()
    }

    /// Whether peers that the server sees at these addresses are behind one NAT: they have the same address, or one of them stands in the
    /// server's network and the other comes back to it by the public address (hairpin).
    pub(super) fn is_one(&self, one: IpAddr, other: IpAddr) -> bool {
        let is_public = |ip| matches!(ip, IpAddr::V4(ip) if self.public.contains(&ip));
        one == other
            || is_public(one) && other.is_ipv4() && !is_outside(other)
            || is_public(other) && one.is_ipv4() && !is_outside(one)
    }
}

/// Whether the address is one of the internet, and not of a network of its own or of a single machine.
pub fn is_outside(ip: IpAddr) -> bool {
    !(is_private(ip) || ip.is_loopback() || ip.is_unspecified() || ip.is_multicast())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn site(near_addresses: &[&str]) -> Site {
        Site::new(near_addresses.iter().map(|text| address(text)).collect())
    }

    fn outside(site: &Site, observed: &str, other: &str) -> Vec<String> {
        site.outside(address(observed), address(other)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_peer_in_the_servers_network_is_looked_for_at_the_public_address_and_its_own_port() {
        let home = site(&["203.0.113.1:1935", "[2001:db8::1]:1935"]);
        for observed in [
            "192.168.1.5:4000",
            "10.1.2.3:4000",
            "172.17.0.2:4000",
            "100.64.0.9:4000",
            "127.0.0.1:4000",
            "[::ffff:192.168.1.5]:4000",
        ] {
            for other in ["198.51.100.7:1", "[2001:db8:7::1]:1", "[::ffff:198.51.100.7]:1"] {
                assert_eq!(outside(&home, observed, other), ["203.0.113.1:4000"], "{observed} {other}");
            }
            for other in ["192.168.1.6:1", "10.0.0.1:1", "127.0.0.1:2", "[fd00::1]:1", "[fe80::1]:1", "[::1]:1"] {
                assert!(outside(&home, observed, other).is_empty(), "both are inside: {observed} {other}");
            }
        }
        for observed in
            ["198.51.100.9:4000", "[2001:db8::5]:4000", "[fd00::5]:4000", "[::1]:4000", "0.0.0.0:4000", "192.168.1.5:0"]
        {
            assert!(outside(&home, observed, "198.51.100.7:1").is_empty(), "{observed}");
        }
    }

    #[test]
    fn a_server_without_a_public_address_knows_of_no_way_from_outside() {
        for near_addresses in
            [&[][..], &["192.168.1.2:1935"], &["[2001:db8::1]:1935"], &["127.0.0.1:1935", "100.64.0.2:1935"]]
        {
            assert!(outside(&site(near_addresses), "192.168.1.5:4000", "198.51.100.7:1").is_empty());
        }
    }

    #[test]
    fn the_port_of_the_server_itself_leads_to_no_peer() {
        let home = site(&["203.0.113.1:1935", "203.0.113.2:1935", "203.0.113.1:2935"]);
        assert_eq!(outside(&home, "192.168.1.5:4000", "198.51.100.7:1"), ["203.0.113.1:4000", "203.0.113.2:4000"]);
        assert_eq!(outside(&home, "192.168.1.5:2935", "198.51.100.7:1"), ["203.0.113.2:2935"]);
        assert!(outside(&home, "192.168.1.5:1935", "198.51.100.7:1").is_empty());
    }

    #[test]
    fn a_peer_is_looked_for_at_a_bounded_number_of_addresses() {
        let many: Vec<String> = (1..=9).map(|host| format!("203.0.113.{host}:1935")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let found = outside(&site(&many), "192.168.1.5:4000", "198.51.100.7:1");
        assert_eq!(found, ["203.0.113.1:4000", "203.0.113.2:4000"]);
    }

    #[test]
    fn who_comes_back_by_the_public_address_is_behind_the_same_nat() {
        let home = site(&["203.0.113.1:1935"]);
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for (one, other, expected) in [
            ("203.0.113.1", "192.168.1.5", true),
            ("127.0.0.1", "203.0.113.1", true),
            ("198.51.100.7", "198.51.100.7", true),
            ("192.168.1.5", "192.168.1.6", false),
            ("203.0.113.1", "198.51.100.7", false),
            ("192.168.1.5", "198.51.100.7", false),
            ("203.0.113.1", "fd00::1", false),
        ] {
            assert_eq!(home.is_one(ip(one), ip(other)), expected, "{one} {other}");
            assert_eq!(home.is_one(ip(other), ip(one)), expected, "{other} {one}");
        }
        assert!(!Site::default().is_one(ip("203.0.113.1"), ip("192.168.1.5")));
    }
}
