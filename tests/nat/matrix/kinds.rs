//! The kinds of peers in the matrix, and which two of them can reach each other without a relay.

use self::Kind::{
    AddressRestricted, BesideServer, Carrier, Double, FullCone, Ipv4Only, Ipv6Only, Open, PortRestricted, Symmetric,
};
use self::Path::{Direct, Relay};

/// Where a peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Open,
    Ipv4Only,
    Ipv6Only,
    FullCone,
    AddressRestricted,
    PortRestricted,
    Symmetric,
    Double,
    Carrier,
    BesideServer,
}

/// How two peers meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Path {
    Direct,
    Relay,
}

impl Kind {
    pub(super) const ALL: [Self; 10] = [
        Open,
        Ipv4Only,
        Ipv6Only,
        FullCone,
        AddressRestricted,
        PortRestricted,
        Symmetric,
        Double,
        Carrier,
        BesideServer,
    ];

    /// Its name in the table.
    pub(super) fn name(self) -> &'static str {
        match self {
            Open => "open",
            Ipv4Only => "IPv4 only",
            Ipv6Only => "IPv6 only",
            FullCone => "full cone",
            AddressRestricted => "address-restricted",
            PortRestricted => "port-restricted",
            Symmetric => "symmetric",
            Double => "double",
            Carrier => "carrier",
            BesideServer => "beside the server",
        }
    }
}

/// How two peers meet at best, by what their NATs and networks do.
///
/// - Between IPv4 and IPv6 there is no path: only a peer that has both reaches both.
/// - One of two packets gets through if each peer sends to the port that the other one's NAT has for it. The server knows the port that a
///   NAT has for the server. Where the mapping is endpoint-independent, that is the port for the other peer, too. A symmetric NAT has
///   another port for the other peer, which nobody knows before a packet has come from it: so a packet has to come, and the other
///   peer's NAT must let it in without knowing its port. Open peers, full cones and address-restricted NATs do.
/// - Two homes behind one carrier's NAT have one outside address, and packets to it do not come back without hairpinning.
/// - Two NATs behind each other are as strict as the stricter one.
/// - A peer beside a server at home is behind the home's NAT for all others, and reaches those at home directly.
pub(super) fn at_best(asker: Kind, target: Kind) -> Path {
    let lets_in_unknown_ports = |kind| matches!(kind, Open | Ipv4Only | FullCone | AddressRestricted);
    match (asker, target) {
        (Open, _) | (_, Open) | (Ipv6Only, Ipv6Only) => Direct,
        (Ipv6Only, _) | (_, Ipv6Only) => Relay,
        (Carrier, Carrier) => Relay,
        (Symmetric, other) | (other, Symmetric) if lets_in_unknown_ports(other) => Direct,
        (Symmetric, _) | (_, Symmetric) => Relay,
        _ => Direct,
    }
}
