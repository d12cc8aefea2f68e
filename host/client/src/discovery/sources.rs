//! From which addresses an endpoint announces itself, and at which network interfaces it listens: those that its sockets are bound to.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use introd_udp::InterfaceAddress;

/// At how many addresses an endpoint announces itself. Those after them are left out.
const MAX_SOURCES: usize = 16;

/// An address at which the endpoint is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// The kernel's index of the network interface that has the address.
    pub(super) interface: u32,
    /// The address with the endpoint's port. A link-local IPv6 address has its scope.
    pub(super) address: SocketAddr,
}

/// The addresses at which an endpoint is reached whose sockets are bound to `bound`. A socket that is bound to all addresses of its family
/// is reached at each network interface, except loopback, by one address: of IPv6 rather not by a link-local one, which is of no use to
/// others.
pub(super) fn sources(bound: &[SocketAddr], present: &[InterfaceAddress]) -> Vec<Source> {
    let mut sources: Vec<Source> = Vec::new();
    for own in bound {
        let of_family = present.iter().filter(|known| known.address.is_ipv4() == own.is_ipv4());
        if own.ip().is_unspecified() {
            let everywhere = of_family.filter(|known| known.is_multicast && !known.is_loopback);
            let mut seen = BTreeSet::new();
            let (global, link_local): (Vec<_>, Vec<_>) =
                everywhere.partition(|known| !is_link_local(known.address.ip()));
            let each =
                global.into_iter().chain(link_local).filter(|known: &&InterfaceAddress| seen.insert(known.interface));
            sources.extend(each.map(|known| source(known, own.port())));
        } else {
            let scope = scope_of(own);
            let mut those = of_family
                .filter(|known| known.address.ip() == own.ip() && scope.is_none_or(|scope| scope == known.interface));
            sources.extend(those.next().map(|known| source(known, own.port())));
        }
    }
    sources.truncate(MAX_SOURCES);
    sources
}

fn source(known: &InterfaceAddress, port: u16) -> Source {
    let mut address = known.address;
    address.set_port(port);
    Source { interface: known.interface, address }
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

/// The index of the interface that the address names.
fn scope_of(address: &SocketAddr) -> Option<u32> {
    match address {
        SocketAddr::V6(address) if address.scope_id() != 0 => Some(address.scope_id()),
        _ => None,
    }
}

/// The addresses to bind for receivers of a multicast address, with the interfaces at which each joins. IPv6 addresses whose scope is a link or
/// an interface need one for each interface (RFC 4007 §6).
pub(super) fn receivers(group: SocketAddr, sources: &[Source]) -> Vec<(SocketAddr, BTreeSet<u32>)> {
    let of_family = sources.iter().filter(|source| source.address.is_ipv4() == group.is_ipv4());
    let interfaces: BTreeSet<u32> = of_family.map(|source| source.interface).collect();
    match group {
        SocketAddr::V6(v6) if v6.ip().segments()[0] & 0xf <= 2 => {
            let with_scope = |interface: u32| {
                let mut scoped = v6;
                scoped.set_scope_id(interface);
                (scoped.into(), BTreeSet::from([interface]))
            };
            interfaces.into_iter().map(with_scope).collect()
        }
        _ if interfaces.is_empty() => Vec::new(),
        _ => vec![(group, interfaces)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(interface: u32, address: &str) -> InterfaceAddress {
        let address: SocketAddr = address.parse().unwrap();
        InterfaceAddress {
            interface,
            address,
            prefix_len: if address.is_ipv4() { 24 } else { 64 },
            is_loopback: address.ip().is_loopback(),
            is_multicast: !address.ip().is_loopback(),
        }
    }

    fn present() -> Vec<InterfaceAddress> {
        let tunnel = InterfaceAddress { is_multicast: false, ..known(4, "10.9.0.1:0") };
        let all = [
            known(1, "127.0.0.1:0"),
            known(1, "[::1]:0"),
            known(2, "192.0.2.1:0"),
            known(2, "192.0.2.2:0"),
            known(2, "[fe80::2%2]:0"),
            known(2, "[2001:db8::2]:0"),
            known(3, "198.51.100.1:0"),
            known(3, "[fe80::2%3]:0"),
        ];
        all.into_iter().chain([tunnel]).collect()
    }

    fn found(bound: &[&str]) -> Vec<(u32, String)> {
        let bound: Vec<SocketAddr> = bound.iter().map(|address| address.parse().unwrap()).collect();
        sources(&bound, &present()).into_iter().map(|source| (source.interface, source.address.to_string())).collect()
    }

    fn all(expected: &[(u32, &str)]) -> Vec<(u32, String)> {
        expected.iter().map(|(interface, address)| (*interface, (*address).to_owned())).collect()
    }

    #[test]
    fn a_socket_for_all_addresses_is_announced_at_each_network_once() {
        assert_eq!(found(&["0.0.0.0:5"]), all(&[(2, "192.0.2.1:5"), (3, "198.51.100.1:5")]));
        assert_eq!(found(&["[::]:6"]), all(&[(2, "[2001:db8::2]:6"), (3, "[fe80::2%3]:6")]));
        assert_eq!(found(&["0.0.0.0:5", "[::]:6"]).len(), 4);
    }

    #[test]
    fn a_socket_for_one_address_is_announced_there_and_nowhere_else() {
        assert_eq!(found(&["192.0.2.2:5"]), all(&[(2, "192.0.2.2:5")]));
        assert_eq!(found(&["127.0.0.1:5", "[::1]:6"]), all(&[(1, "127.0.0.1:5"), (1, "[::1]:6")]));
        assert_eq!(found(&["10.9.0.1:5"]), all(&[(4, "10.9.0.1:5")]));
        assert_eq!(found(&["[fe80::2%3]:5"]), all(&[(3, "[fe80::2%3]:5")]));
        assert_eq!(found(&["203.0.113.1:5"]), all(&[]), "the address is gone");
    }

    #[test]
    fn the_number_of_addresses_is_bounded() {
        let many: Vec<_> = (1..=40).map(|number| known(number, &format!("10.0.{number}.1:0"))).collect();
        assert_eq!(sources(&["0.0.0.0:5".parse().unwrap()], &many).len(), MAX_SOURCES);
    }

    #[test]
    fn link_scoped_addresses_have_a_receiver_for_each_interface() {
        let bound = ["0.0.0.0:5".parse().unwrap(), "[::]:6".parse().unwrap()];
        let sources = sources(&bound, &present());
        let shown = |group: &str| -> Vec<(String, Vec<u32>)> {
            let all = receivers(group.parse().unwrap(), &sources).into_iter();
            all.map(|(bind, interfaces)| (bind.to_string(), interfaces.into_iter().collect())).collect()
        };
        let owned = |text: &str, interfaces: &[u32]| (text.to_owned(), interfaces.to_vec());
        assert_eq!(shown("224.0.0.254:7"), [owned("224.0.0.254:7", &[2, 3])]);
        assert_eq!(shown("[ff05::1]:7"), [owned("[ff05::1]:7", &[2, 3])]);
        assert_eq!(shown("[ff02::1]:7"), [owned("[ff02::1%2]:7", &[2]), owned("[ff02::1%3]:7", &[3])]);
        assert_eq!(shown("[ff11::1]:7"), [owned("[ff11::1%2]:7", &[2]), owned("[ff11::1%3]:7", &[3])]);
        assert!(receivers("224.0.0.254:7".parse().unwrap(), &sources[2..]).is_empty(), "no address of the family");
    }
}
