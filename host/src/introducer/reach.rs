//! Which addresses are of use to an asker.

use std::net::{IpAddr, SocketAddr};

use rtmfp::is_private;

/// How useful a reported address is to an asker, the best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    First,
    Second,
    Third,
}

/// How useful `address` is to the asker, `None` if not at all. `is_same_site` says whether the asker and the target are behind one NAT.
pub(super) fn rank(address: SocketAddr, is_same_site: bool, asker_ip: IpAddr) -> Option<Rank> {
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
    Some(if is_private(ip) == is_same_site { Rank::First } else { Rank::Second })
}

/// The address, as an IPv4 address if it is one that is mapped into IPv6.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn is_broadcast(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(ip) if ip.is_broadcast())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_of_use_where_packets_to_it_can_reach_the_peer_and_nobody_else() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        // An asker elsewhere, one behind the same NAT, and one on the same host.
        let ranks = |text: &str| {
            [("198.51.100.1", "203.0.113.5"), ("203.0.113.5", "203.0.113.5"), ("127.0.0.1", "127.0.0.1")].map(
                |(asker, target)| {
                    let rank = rank(text.parse().unwrap(), target == asker, ip(asker));
                    rank.map(|rank| [Rank::First, Rank::Second, Rank::Third].iter().position(|known| *known == rank))
                },
            )
        };
        let place = |place: usize| Some(Some(place));
        for useless in
            ["203.0.113.5:0", "0.0.0.0:5", "[::]:5", "224.0.0.1:5", "[ff02::1]:5", "255.255.255.255:5", "[fe80::1]:5"]
        {
            assert_eq!(ranks(useless), [None; 3], "{useless}");
        }
        for public in
            ["203.0.113.7:5", "[2001:db8::1]:5", "100.63.255.255:5", "100.128.0.1:5", "101.64.0.1:5", "99.64.0.1:5"]
        {
            assert_eq!(ranks(public), [place(0), place(1), place(1)], "{public}");
        }
        for private in
            ["10.0.0.1:5", "192.168.1.1:5", "169.254.0.1:5", "100.64.0.1:5", "100.127.255.255:5", "[fd00::1]:5"]
        {
            assert_eq!(ranks(private), [place(1), place(0), place(0)], "{private}");
        }
        for loopback in ["127.0.0.1:5", "[::1]:5"] {
            assert_eq!(ranks(loopback), [None, None, place(2)], "{loopback}");
        }
    }
}
