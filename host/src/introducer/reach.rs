//! Which addresses are of use to an asker.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// How useful a reported address is to an asker, the best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    First,
    Second,
    Third,
}

/// How useful `address` is to the asker, `None` if not at all. The target is observed at `target_ip`.
pub(super) fn rank(address: SocketAddr, target_ip: IpAddr, asker_ip: IpAddr) -> Option<Rank> {
    let ip = address.ip();
    // No packet reaches the first two; one to a multicast or broadcast address reaches hosts that have nothing to do with the lookup.
    if address.port() == 0 || ip.is_unspecified() || ip.is_multicast() || is_broadcast(ip) {
        return None;
    }
    // An asker on another host would talk to itself.
    if ip.is_loopback() {
        return asker_ip.is_loopback().then_some(Rank::Third);
    }
    // Such an address is complete only with the name of an interface, which is different on each host and is not sent.
    if matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local()) {
        return None;
    }
    // Two peers behind one NAT reach each other best by their private addresses: many NATs do not pass on what comes from inside
    // for their own outside address. For any other asker private addresses are the last hope (a tunnel, a second network).
    let same_site = asker_ip == target_ip;
    Some(if is_private(ip) == same_site { Rank::First } else { Rank::Second })
}

/// The address, as an IPv4 address if it is one that is mapped into IPv6.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn is_broadcast(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(ip) if ip.is_broadcast())
}

/// Whether the address is meant for use within one site: private (RFC 1918), shared behind a carrier's NAT (RFC 6598), link
/// local (RFC 3927), or unique local (RFC 4193).
pub(super) fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [first, second, ..] = ip.octets();
            ip.is_private() || ip.is_link_local() || (first == 100 && second & 0xc0 == 64)
        }
        IpAddr::V6(ip) => Ipv6Addr::is_unique_local(&ip),
    }
}
