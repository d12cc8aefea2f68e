//! Which addresses may be a side of a pair.

use std::net::{IpAddr, SocketAddr};

use rtmfp::{NetworkPrefix, is_private};

/// The addresses of this server. Nothing is relayed to one of its sockets: two ports of the relay that send to each other would never stop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnAddresses {
    ips: Vec<IpAddr>,
    ports: Vec<u16>,
}

/// How an address fits what the server knows of the client at a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The server sees the client at that IP address, or in that IPv6 network.
    Known,
    /// The address is one of the Internet, and not where the server sees the client. Some NATs have several addresses.
    Foreign,
}

impl OwnAddresses {
    /// The server's sockets have all of these `ports`, at all of these addresses.
    pub fn new(ips: impl IntoIterator<Item = IpAddr>, ports: impl IntoIterator<Item = u16>) -> Self {
        let mut own = Self {
            ips: ips.into_iter().map(|ip| ip.to_canonical()).filter(|ip| !ip.is_unspecified()).collect(),
            ports: ports.into_iter().collect(),
        };
        own.ips.sort_unstable();
        own.ips.dedup();
        own.ports.sort_unstable();
        own.ports.dedup();
        own
    }

    fn has_ip(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || self.ips.binary_search(&ip).is_ok()
    }

    fn is_socket(&self, ip: IpAddr, port: u16) -> bool {
        self.ports.binary_search(&port).is_ok() && self.has_ip(ip)
    }

    /// The standing of a source address at a side whose client the server sees at `known`; `None` if it may be no side.
    pub(crate) fn standing(&self, source: SocketAddr, known: IpAddr) -> Option<Standing> {
        let ip = source.ip().to_canonical();
        if is_nobody(ip, source.port()) || self.is_socket(ip, source.port()) {
            return None;
        }
        let is_near = self.has_ip(ip) || is_local(ip);
        match ip == known || (!is_near && NetworkPrefix::of(ip) == NetworkPrefix::of(known)) {
            true => Some(Standing::Known),
            // What is inside this server's network is none of the clients' business.
            false => (!is_near).then_some(Standing::Foreign),
        }
    }
}

/// Whether no single host can be reached there.
fn is_nobody(ip: IpAddr, port: u16) -> bool {
    let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    port == 0 || ip.is_unspecified() || ip.is_multicast() || is_broadcast
}

/// Whether the address means another host in each network: loopback, private (RFC 1918), shared (RFC 6598), link-local, unique local, and the
/// network 0.0.0.0/8 of RFC 1122.
fn is_local(ip: IpAddr) -> bool {
    is_private(ip) || ip.is_loopback() || matches!(ip, IpAddr::V4(ip) if ip.octets()[0] == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> OwnAddresses {
        let ips = ["198.51.100.1", "10.0.0.1", "2001:db8:5::1", "0.0.0.0"].map(|ip| ip.parse().unwrap());
        OwnAddresses::new(ips, [1935, 19400, 19401])
    }

    #[test]
    fn a_side_is_where_its_client_is_or_elsewhere_in_the_internet_and_nowhere_else() {
        let standing = |source: &str, known: &str| own().standing(source.parse().unwrap(), known.parse().unwrap());
        for (source, known, expected) in [
            ("203.0.113.5:7", "203.0.113.5", Some(Standing::Known)),
            ("203.0.113.6:7", "203.0.113.5", Some(Standing::Foreign)),
            ("[2001:db8::1]:7", "2001:db8::2", Some(Standing::Known)),
            ("[2001:db8:1::1]:7", "2001:db8::2", Some(Standing::Foreign)),
            // Nobody.
            ("203.0.113.5:0", "203.0.113.5", None),
            ("0.0.0.0:7", "0.0.0.0", None),
            ("224.0.0.1:7", "224.0.0.1", None),
            ("[ff02::1]:7", "ff02::1", None),
            ("255.255.255.255:7", "255.255.255.255", None),
            // Networks of which there are many: the client's own alone.
            ("10.0.0.7:7", "203.0.113.5", None),
            ("10.0.0.7:7", "10.0.0.8", None),
            ("10.0.0.7:7", "10.0.0.7", Some(Standing::Known)),
            ("100.64.0.7:7", "203.0.113.5", None),
            ("169.254.169.254:80", "203.0.113.5", None),
            ("0.1.2.3:80", "203.0.113.5", None),
            ("[fe80::7]:7", "2001:db8::2", None),
            ("[fd00::7]:7", "fd00::8", None),
            ("[fe80::7]:7", "fe80::7", Some(Standing::Known)),
            ("127.0.0.1:7", "203.0.113.5", None),
            ("127.0.0.1:7", "127.0.0.1", Some(Standing::Known)),
            ("[::1]:7", "2001:db8::2", None),
            ("[::ffff:127.0.0.1]:7", "203.0.113.5", None),
            // The server itself, and programs on its machine.
            ("198.51.100.1:7", "203.0.113.5", None),
            ("198.51.100.1:7", "198.51.100.1", Some(Standing::Known)),
            ("198.51.100.1:1935", "198.51.100.1", None),
            ("198.51.100.1:19401", "198.51.100.1", None),
            ("127.0.0.1:19400", "127.0.0.1", None),
            ("[2001:db8:5::1]:1935", "2001:db8:5::1", None),
            ("[2001:db8:5::2]:7", "2001:db8:5::1", Some(Standing::Known)),
            ("[2001:db8:5::1]:7", "2001:db8:5::2", None),
            ("203.0.113.5:1935", "203.0.113.5", Some(Standing::Known)),
        ] {
            assert_eq!(standing(source, known), expected, "{source} for a client at {known}");
        }
    }
}
