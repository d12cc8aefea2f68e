//! Where the server stands in its network, as it is at one time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use introd_udp::{InterfaceAddress, LocalAddress, interface_addresses};
use ipnet::IpNet;

use super::listener::Listener;
use crate::introducer::Site;

/// Where the server stands in its network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The addresses that `PublicIP` stands for.
    pub public_ips: Vec<IpAddr>,
    /// Where others reach the server, each address once, in the order of the ports that it listens on.
    pub near_addresses: Arc<[SocketAddr]>,
    /// The server's own network, as introductions need it.
    pub site: Site,
    /// The addresses of the machine's interfaces, with their networks: who is in one of these networks is a neighbour. Loopback and
    /// link-local addresses are left out: every machine has those.
    pub interfaces: Vec<IpNet>,
}

impl Standing {
    /// As the system says now. It makes some system calls, and does not wait.
    pub fn now(listeners: &[Listener], public_ips: &[IpAddr]) -> Self {
        let interfaces = interface_addresses().unwrap_or_else(|error| {
            tracing::debug!(%error, "the addresses of this machine's interfaces are not known");
            Vec::new()
        });
        Self::of(listeners, public_ips, &interfaces, LocalAddress::towards)
    }

    /// By the addresses of interfaces, and by the address from which the machine sends to another.
    fn of(
        listeners: &[Listener],
        public_ips: &[IpAddr],
        interfaces: &[InterfaceAddress],
        towards: impl Fn(SocketAddr) -> Option<IpAddr>,
    ) -> Self {
        let near_addresses = near_addresses(listeners, public_ips, towards);
        let is_link_local = |ip: IpAddr| matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
        let is_network =
            |interface: &&InterfaceAddress| !interface.is_loopback && !is_link_local(interface.address.ip());
        let networks = interfaces.iter().filter(is_network);
        let networks =
            networks.filter_map(|entry| IpNet::new(entry.address.ip().to_canonical(), entry.prefix_len).ok());
        let mut interfaces: Vec<IpNet> = networks.collect();
        // The kernel's order is of no meaning.
        interfaces.sort_unstable();
        interfaces.dedup();
        Self {
            public_ips: public_ips.to_vec(),
            site: Site::new(Arc::clone(&near_addresses)),
            near_addresses,
            interfaces,
        }
    }

    /// Where the server stands that others reach at these addresses.
    #[cfg(test)]
    pub(crate) fn at(near_addresses: Arc<[SocketAddr]>) -> Self {
        Self {
            public_ips: Vec::new(),
            site: Site::new(Arc::clone(&near_addresses)),
            near_addresses,
            interfaces: Vec::new(),
        }
    }
}

/// Where others reach the server. A server that listens on every address of its computer is reached, as far as it can tell, by the
/// one from which it reaches others.
fn near_addresses(
    listeners: &[Listener],
    public_ips: &[IpAddr],
    towards: impl Fn(SocketAddr) -> Option<IpAddr>,
) -> Arc<[SocketAddr]> {
    // Connecting a socket to any outside address shows which interface leads out. Nothing is sent.
    const BEYOND: [SocketAddr; 2] = [
        SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 1),
        SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)), 1),
    ];
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for listener in listeners {
        let leading_out = || {
            let ip = towards(BEYOND[usize::from(listener.local.is_ipv6())])?;
            Some(SocketAddr::new(ip, listener.local.port()))
        };
        let address = listener.advertised(public_ips).or_else(leading_out);
        addresses.extend(address.filter(|address| !addresses.contains(address)));
    }
    addresses.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(local: &str, public: Option<&str>) -> Listener {
        Listener { adaptor: 0, local: local.parse().unwrap(), public: public.map(|text| text.parse().unwrap()) }
    }

    fn interface(address: &str, prefix_len: u8) -> InterfaceAddress {
        let address = SocketAddr::new(address.parse().unwrap(), 0);
        let is_loopback = address.ip().is_loopback();
        InterfaceAddress { interface: 1, address, prefix_len, is_loopback, is_multicast: true }
    }

    fn near(listeners: &[Listener], public_ips: &[&str], v4: Option<&str>, v6: Option<&str>) -> Vec<String> {
        let public_ips: Vec<IpAddr> = public_ips.iter().map(|ip| ip.parse().unwrap()).collect();
        let towards = |target: SocketAddr| (if target.is_ipv4() { v4 } else { v6 }).map(|ip| ip.parse().unwrap());
        let standing = Standing::of(listeners, &public_ips, &[], towards);
        standing.near_addresses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn others_reach_the_server_by_what_is_configured_or_bound_or_by_what_leads_out() {
        let both = [listener("0.0.0.0:1935", None), listener("[::]:1935", None)];
        let (v4, v6) = (Some("10.0.0.2"), Some("2001:db8::2"));
        assert_eq!(near(&both, &[], v4, v6), ["10.0.0.2:1935", "[2001:db8::2]:1935"]);
        assert_eq!(near(&both, &[], v4, None), ["10.0.0.2:1935"]);
        assert_eq!(near(&both, &["203.0.113.1"], v4, v6), ["203.0.113.1:1935", "[2001:db8::2]:1935"]);
        assert_eq!(
            near(&both, &["2001:db8::7", "203.0.113.1"], None, None),
            ["203.0.113.1:1935", "[2001:db8::7]:1935"]
        );
        assert!(near(&both, &[], None, None).is_empty(), "before there is a network");
        let more = [
            listener("0.0.0.0:1935", Some("203.0.113.5:443")),
            listener("192.0.2.9:1936", None),
            listener("0.0.0.0:1935", Some("203.0.113.5:443")),
        ];
        assert_eq!(near(&more, &[], v4, v6), ["203.0.113.5:443", "192.0.2.9:1936"]);
    }

    #[test]
    fn the_addresses_of_interfaces_are_known_without_those_of_every_machine() {
        let all = [
            interface("172.17.0.2", 16),
            interface("127.0.0.1", 8),
            interface("fe80::5", 64),
            interface("2001:db8::5", 64),
            interface("2001:db8::6", 64),
            interface("10.9.8.7", 32),
            interface("172.17.0.2", 16),
        ];
        let interfaces = |all: &[InterfaceAddress]| Standing::of(&[], &[], all, |_| None).interfaces;
        let shown: Vec<String> = interfaces(&all).iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["10.9.8.7/32", "172.17.0.2/16", "2001:db8::5/64", "2001:db8::6/64"]);
        let mut turned = all;
        turned.reverse();
        assert_eq!(interfaces(&turned), interfaces(&all));
    }
}
