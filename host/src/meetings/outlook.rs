//! What the network of a peer means for whom it meets.

use super::nat_kind::NatKind;

/// Where the server sees a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// The NAT that it is behind.
    pub nat: NatKind,
    /// Whether the address at which the server sees it is for use within one site.
    pub is_private: bool,
    /// Whether the server knows at which address others may reach it, because it stands in the server's own network and the server knows the
    /// public address of that.
    pub is_found_outside: bool,
    /// Whether the server sees it at an IPv4 address, or the peer reports one.
    pub has_ipv4: bool,
}

/// Whom a peer meets, as far as the server can tell from the NAT that it is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// A name for programs of the reason why this peer may not meet some others; `None` if there is no such reason to be seen.
    pub problem: Option<&'static str>,
    /// The same and what helps, in plain words.
    pub advice: &'static str,
}

/// The outlook of a peer that the server sees so.
pub fn outlook(sight: Sight) -> Outlook {
    let (problem, advice) = match sight.nat {
        _ if sight.is_private && sight.is_found_outside => (
            None,
            "This peer is in the network of the server. The server tells peers outside the public address of that network with the port at which it              sees this peer. They reach it if the NAT of the network keeps ports, as most do, and does not filter by port.",
        ),
        _ if sight.is_private => (
            Some("privateAddress"),
            "This peer is in the network of the server, or comes to it by a tunnel or a carrier's NAT: the server sees it at a private address. \
             Peers in that network reach it. For others the server must know its own public address (PublicIP in Server.xml, or public in \
             Adaptor.xml), or have a relay.",
        ),
        NatKind::None => (
            None,
            "This peer is behind no NAT, so all peers reach it, unless a firewall drops UDP packets from addresses that it has not sent to.",
        ),
        NatKind::PortPreserving | NatKind::SameAddress => (
            None,
            "This peer is behind a NAT that has kept its port, as NATs do that keep it for each destination. It meets peers behind no NAT, and \
             behind other NATs of this kind.",
        ),
        NatKind::PortChanging => (
            Some("portChanging"),
            "This peer is behind a NAT that has changed its port. If the NAT chooses another port for each destination (a symmetric NAT), the peer \
             does not meet peers behind NATs that filter by port. A forwarded UDP port, IPv6 or another network helps, and so does a relay of \
             the server.",
        ),
        NatKind::Ipv6 if sight.has_ipv4 => (
            None,
            "This peer is seen over IPv6, where there is no NAT as a rule. Over IPv4 it meets peers if the address that it reports is reached \
             from outside.",
        ),
        NatKind::Ipv6 => (
            Some("ipv6Only"),
            "This peer is seen over IPv6 and reports no IPv4 address. It does not meet peers that have IPv4 alone, except by a relay of the server.",
        ),
        NatKind::Unknown => (
            Some("noReportedAddresses"),
            "This peer reports no address of its own (setPeerInfo), so the server does not know its NAT, and peers in the same network do not \
             find it there. Flash Player and AIR report their addresses by themselves; another program has to do so.",
        ),
    };
    Outlook { problem, advice }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_nat_has_an_outlook_and_some_a_problem() {
        let of = |nat, is_private, has_ipv4| outlook(Sight { nat, is_private, is_found_outside: false, has_ipv4 });
        let problems = NatKind::ALL.map(|nat| [false, true].map(|has_ipv4| of(nat, false, has_ipv4).problem));
        assert_eq!(
            problems,
            [
                [None, None],
                [None, None],
                [Some("portChanging"), Some("portChanging")],
                [None, None],
                [Some("ipv6Only"), None],
                [Some("noReportedAddresses"), Some("noReportedAddresses")],
            ]
        );
        for nat in NatKind::ALL {
            assert!(of(nat, false, true).advice.starts_with("This peer "), "{nat:?}");
            assert_eq!(of(nat, true, true).problem, Some("privateAddress"), "{nat:?}");
            let beside = outlook(Sight { nat, is_private: true, is_found_outside: true, has_ipv4: true });
            assert_eq!((beside.problem, &beside.advice[..10]), (None, "This peer "), "{nat:?}");
        }
    }
}
