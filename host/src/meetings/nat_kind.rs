//! The kinds of NAT as a server can tell them.

use std::net::{IpAddr, SocketAddr};

/// What kind of NAT an end of an introduction is behind, as far as the server can tell from where the packets come from and from the
/// addresses that the peer reports (`setPeerInfo`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum NatKind {
    /// No NAT: the peer reports the address that its packets come from.
    None,
    /// A NAT that has kept the port of the peer's socket. Most of them keep it for every destination.
    PortPreserving,
    /// A NAT that has chosen another port. It may choose one for each destination (a symmetric NAT); then a peer behind another NAT that
    /// filters by port cannot be reached.
    PortChanging,
    /// Both ends have the same public address: they are behind one NAT, or on one host.
    SameAddress,
    /// Its packets come from an IPv6 address.
    Ipv6,
    /// The peer has reported no IPv4 address, or is no client of this server.
    Unknown,
}

impl NatKind {
    /// All kinds.
    pub const ALL: [Self; 6] =
        [Self::None, Self::PortPreserving, Self::PortChanging, Self::SameAddress, Self::Ipv6, Self::Unknown];

    /// The name in metrics and in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::PortPreserving => "port_preserving",
            Self::PortChanging => "port_changing",
            Self::SameAddress => "same_address",
            Self::Ipv6 => "ipv6",
            Self::Unknown => "unknown",
        }
    }

    /// The kind of NAT of a client whose packets come from `observed`, and which reports these addresses.
    pub fn of(observed: SocketAddr, reported: &[SocketAddr]) -> Self {
        let canonical = |address: &SocketAddr| (address.ip().to_canonical(), address.port());
        let seen = canonical(&observed);
        if seen.0.is_ipv6() {
            return Self::Ipv6;
        }
        let (mut is_any, mut is_preserving) = (false, false);
        for own in reported.iter().map(canonical).filter(|own| own.0.is_ipv4()) {
            if own == seen {
                return Self::None;
            }
            is_any = true;
            is_preserving |= own.1 == seen.1;
        }
        match (is_any, is_preserving) {
            (false, _) => Self::Unknown,
            (true, true) => Self::PortPreserving,
            (true, false) => Self::PortChanging,
        }
    }

    /// The kinds of the two ends of an introduction: those of each end, unless both have the same address.
    pub fn of_pair(asker: (Self, IpAddr), target: (Self, IpAddr)) -> (Self, Self) {
        if asker.1.to_canonical() == target.1.to_canonical() {
            return (Self::SameAddress, Self::SameAddress);
        }
        (asker.0, target.0)
    }

    /// Whether it is a NAT.
    pub fn is_nat(self) -> bool {
        matches!(self, Self::PortPreserving | Self::PortChanging)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(observed: &str, reported: &[&str]) -> &'static str {
        let reported: Vec<SocketAddr> = reported.iter().map(|text| text.parse().unwrap()).collect();
        NatKind::of(observed.parse().unwrap(), &reported).name()
    }

    #[test]
    fn the_kind_comes_from_the_address_that_is_seen_and_those_that_are_reported() {
        for (observed, reported, expected) in [
            ("203.0.113.5:1935", &["203.0.113.5:1935"][..], "none"),
            ("203.0.113.5:1935", &["192.168.1.5:1935", "203.0.113.5:1935"], "none"),
            ("[::ffff:203.0.113.5]:1935", &["203.0.113.5:1935"], "none"),
            ("203.0.113.5:1935", &["192.168.1.5:1935"], "port_preserving"),
            ("203.0.113.5:1935", &["10.0.0.1:7", "192.168.1.5:1935"], "port_preserving"),
            ("203.0.113.5:40000", &["192.168.1.5:1935"], "port_changing"),
            // The port of an IPv6 address says nothing about a NAT of IPv4.
            ("203.0.113.5:1935", &["[2001:db8::1]:1935"], "unknown"),
            ("203.0.113.5:1935", &["[2001:db8::1]:1935", "192.168.1.5:7"], "port_changing"),
            ("203.0.113.5:1935", &[], "unknown"),
            ("[2001:db8::1]:1935", &["[2001:db8::1]:1935"], "ipv6"),
            ("[2001:db8::1]:1935", &[], "ipv6"),
        ] {
            assert_eq!(of(observed, reported), expected, "{observed} {reported:?}");
        }
    }

    #[test]
    fn two_ends_with_one_address_are_of_a_kind_of_their_own() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let (one, other) = (NatKind::PortPreserving, NatKind::Unknown);
        assert_eq!(NatKind::of_pair((one, ip("203.0.113.5")), (other, ip("203.0.113.6"))), (one, other));
        let same = (NatKind::SameAddress, NatKind::SameAddress);
        assert_eq!(NatKind::of_pair((one, ip("203.0.113.5")), (other, ip("::ffff:203.0.113.5"))), same);
    }

    #[test]
    fn each_kind_has_a_place_and_a_name_of_its_own() {
        for (place, kind) in NatKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place);
            assert_eq!(NatKind::ALL.iter().filter(|other| other.name() == kind.name()).count(), 1);
        }
        let nats: Vec<_> = NatKind::ALL.into_iter().filter(|kind| kind.is_nat()).collect();
        assert_eq!(nats, [NatKind::PortPreserving, NatKind::PortChanging]);
    }
}
