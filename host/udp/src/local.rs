//! The local end of a datagram.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// The local IP address that a datagram came to, or is to leave from.
///
/// A reply must leave from the address that its request came to: a NAT in front of the client drops it otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct LocalAddress {
    ip: Option<IpAddr>,
    scope: u32,
}

impl LocalAddress {
    /// No particular address: the kernel chooses the source by its routes.
    pub const ANY: Self = Self { ip: None, scope: 0 };

    /// The address `ip` of the network interface whose kernel index is `scope`.
    ///
    /// The index is kept for IPv6 link-local addresses only, which are ambiguous without it. With any other address the index
    /// would pin replies to one interface where the routes may prefer another.
    pub fn new(ip: IpAddr, scope: u32) -> Self {
        match ip {
            _ if ip.is_unspecified() => Self::ANY,
            IpAddr::V6(v6) if v6.is_unicast_link_local() => Self { ip: Some(ip), scope },
            _ => Self { ip: Some(ip), scope: 0 },
        }
    }

    /// The address part of `address`; [`LocalAddress::ANY`] for a wildcard.
    pub(crate) fn of(address: SocketAddr) -> Self {
        let scope = match address {
            SocketAddr::V4(_) => 0,
            SocketAddr::V6(v6) => v6.scope_id(),
        };
        Self::new(address.ip(), scope)
    }

    /// The address that a datagram to `target` leaves from. Nothing leaves the machine from a loopback address, so the kernel chooses
    /// another one for it: a peer that reaches a server on its own machine answers peers elsewhere.
    pub(crate) fn fit_for(self, target: SocketAddr) -> Self {
        let is_loopback = |ip: IpAddr| ip.to_canonical().is_loopback();
        match self.ip {
            Some(ip) if is_loopback(ip) && !is_loopback(target.ip()) => Self::ANY,
            _ => self,
        }
    }

    /// The address; `None` when the kernel is to choose.
    pub fn ip(self) -> Option<IpAddr> {
        self.ip
    }

    /// The address from which the kernel would send to `target`; `None` without a route. Nothing is sent.
    pub fn towards(target: SocketAddr) -> Option<IpAddr> {
        let any: IpAddr = if target.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
        socket.connect(target).ok()?;
        let ip = socket.local_addr().ok()?.ip();
        (!ip.is_unspecified()).then_some(ip)
    }

    /// The kernel's index of the interface of an IPv6 link-local address; otherwise 0.
    pub fn scope(self) -> u32 {
        self.scope
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_link_local_addresses_keep_their_interface() {
        let link_local = LocalAddress::new("fe80::1".parse().unwrap(), 3);
        assert_eq!(link_local.scope(), 3);
        assert_ne!(link_local, LocalAddress::new("fe80::1".parse().unwrap(), 4));
        assert_eq!(LocalAddress::new("2001:db8::1".parse().unwrap(), 3).scope(), 0);
        assert_eq!(LocalAddress::new("192.0.2.1".parse().unwrap(), 3).scope(), 0);
    }

    #[test]
    fn nothing_leaves_the_machine_from_a_loopback_address() {
        let fit = |from: &str, to: &str| {
            LocalAddress::new(from.parse().unwrap(), 0).fit_for(SocketAddr::new(to.parse().unwrap(), 1)).ip()
        };
        for (from, to) in [("127.0.0.1", "192.0.2.1"), ("::1", "2001:db8::1"), ("127.0.0.2", "10.0.0.1")] {
            assert_eq!(fit(from, to), None, "{from} {to}");
        }
        for (from, to) in
            [("127.0.0.1", "127.0.0.9"), ("::1", "::1"), ("192.0.2.1", "127.0.0.1"), ("192.0.2.1", "192.0.2.9")]
        {
            assert_eq!(fit(from, to), Some(from.parse().unwrap()), "{from} {to}");
        }
    }

    #[test]
    fn a_wildcard_is_any() {
        assert_eq!(LocalAddress::of("0.0.0.0:1935".parse().unwrap()), LocalAddress::ANY);
        assert_eq!(LocalAddress::of("[::]:1935".parse().unwrap()), LocalAddress::ANY);
        let one = "192.0.2.1:1935".parse().unwrap();
        assert_eq!(LocalAddress::of(one).ip(), Some("192.0.2.1".parse().unwrap()));
    }
}
