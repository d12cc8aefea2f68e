//! Where to listen, and the addresses by which others reach it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::ports::PortList;

/// Ports to listen at, and what to tell others that they are: the nth to the nth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortSet {
    /// Where to listen.
    pub local: PortList,
    /// What others reach it by, port by port; `None` is what it is. As many as there are local ones.
    pub public: Option<PortList>,
}

impl PortSet {
    /// What others reach a port of the set by, if that was configured.
    pub fn public_of(&self, local: SocketAddr) -> Option<SocketAddr> {
        let (host, port) = self.public.as_ref()?.get(self.local.position(local)?)?;
        host.map(|host| SocketAddr::new(host, port))
    }
}

impl fmt::Display for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.public {
            Some(public) => write!(f, "{} (public {public})", self.local),
            None => self.local.fmt(f),
        }
    }
}

/// An address to listen at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The address to bind. An unspecified IP address is all of its family.
    pub local: SocketAddr,
    /// The address to tell others, if the port has one of its own.
    pub public: Option<SocketAddr>,
    /// Whether the server runs without it too: every IPv6 address of a machine that may have none.
    pub is_optional: bool,
}

impl Listen {
    /// Every address of a set; a port on any host is one address for each family in use.
    pub(super) fn all(set: &PortSet, is_ipv6_on: bool) -> Vec<Self> {
        Self::by_port(set, is_ipv6_on).into_iter().flatten().collect()
    }

    /// The same, port by port.
    pub(super) fn by_port(set: &PortSet, is_ipv6_on: bool) -> Vec<Vec<Self>> {
        let mut all = Vec::new();
        for (index, (host, port)) in set.local.iter().enumerate() {
            let public = set.public.as_ref().and_then(|public| public.get(index));
            let public = public.and_then(|(host, port)| Some(SocketAddr::new(host?, port)));
            let hosts: &[IpAddr] = match &host {
                Some(host) => std::slice::from_ref(host),
                None if is_ipv6_on => &[IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)],
                None => &[IpAddr::V4(Ipv4Addr::UNSPECIFIED)],
            };
            let listen = hosts.iter().map(|&host| {
                let public = public.filter(|public| hosts.len() == 1 || public.is_ipv4() == host.is_ipv4());
                Self { local: SocketAddr::new(host, port), public, is_optional: hosts.len() > 1 && host.is_ipv6() }
            });
            all.push(listen.collect());
        }
        all
    }

    /// Whether both cannot be bound: the same port, of the same address or one of all of the family.
    pub(super) fn collides(&self, other: &Self) -> bool {
        let (a, b) = (self.local, other.local);
        a.port() == b.port()
            && a.port() != 0
            && a.is_ipv4() == b.is_ipv4()
            && (a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified())
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.public {
            Some(public) => write!(f, "{} (public {public})", self.local),
            None => self.local.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> PortList {
        PortList::parse(text, (1935, 1935)).unwrap()
    }

    #[test]
    fn the_nth_port_has_the_nth_public_one() {
        // The example of the manual: port 1005 of 1000-2000 is 4005 of 4000-5000.
        let set = PortSet { local: list("192.0.2.1:1000-2000"), public: Some(list("203.0.113.1:4000-5000")) };
        assert_eq!(set.public_of("192.0.2.1:1005".parse().unwrap()), Some("203.0.113.1:4005".parse().unwrap()));
        assert_eq!(set.public_of("192.0.2.1:999".parse().unwrap()), None);
        assert_eq!(set.public_of("192.0.2.9:1005".parse().unwrap()), None);
        let any = PortSet { local: list(":1-2,9"), public: Some(list("203.0.113.1:5;203.0.113.2:6-7")) };
        assert_eq!(any.public_of("192.0.2.1:9".parse().unwrap()), Some("203.0.113.2:7".parse().unwrap()));
    }

    #[test]
    fn any_host_is_one_address_for_each_family() {
        let set = PortSet { local: list(":1935"), public: Some(list("203.0.113.1:2000")) };
        let shown =
            |is_ipv6_on, set: &PortSet| Listen::all(set, is_ipv6_on).iter().map(Listen::to_string).collect::<Vec<_>>();
        assert_eq!(shown(false, &set), ["0.0.0.0:1935 (public 203.0.113.1:2000)"]);
        assert_eq!(shown(true, &set), ["0.0.0.0:1935 (public 203.0.113.1:2000)", "[::]:1935"]);
        let set = PortSet { public: Some(list("[2001:db8::5]:2000")), ..set };
        assert_eq!(shown(true, &set), ["0.0.0.0:1935", "[::]:1935 (public [2001:db8::5]:2000)"]);
    }

    #[test]
    fn the_same_port_of_overlapping_addresses_collides() {
        let listen = |text: &str| Listen { local: text.parse().unwrap(), public: None, is_optional: false };
        for (a, b, expected) in [
            ("192.0.2.1:5", "192.0.2.1:5", true),
            ("192.0.2.1:5", "192.0.2.1:6", false),
            ("192.0.2.1:5", "192.0.2.2:5", false),
            ("0.0.0.0:5", "192.0.2.2:5", true),
            ("192.0.2.1:5", "0.0.0.0:5", true),
            ("0.0.0.0:5", "[::]:5", false),
            ("[2001:db8::1]:5", "[::]:5", true),
            ("0.0.0.0:0", "0.0.0.0:0", false),
        ] {
            assert_eq!(listen(a).collides(&listen(b)), expected, "{a} {b}");
        }
    }

    #[test]
    fn only_any_ipv6_address_may_be_missing() {
        let optional = |text: &str, is_ipv6_on| -> Vec<bool> {
            let set = PortSet { local: list(text), public: None };
            Listen::all(&set, is_ipv6_on).iter().map(|listen| listen.is_optional).collect()
        };
        assert_eq!(optional(":1935", true), [false, true]);
        assert_eq!(optional(":1935", false), [false]);
        assert_eq!(optional("[2001:db8::1]:1", true), [false]);
    }

    #[test]
    fn what_the_file_says_of_one_port_holds_whatever_the_family() {
        let set = PortSet { local: list("192.0.2.1:5"), public: Some(list("[2001:db8::9]:7")) };
        let shown: Vec<_> = Listen::all(&set, true).iter().map(Listen::to_string).collect();
        assert_eq!(shown, ["192.0.2.1:5 (public [2001:db8::9]:7)"]);
    }
}
