//! Advice about two peers that did not meet.

use super::nat_kind::NatKind;

/// What is most likely the reason that two peers which the server introduced did not meet, and what helps, in plain words.
pub fn advice(asker: NatKind, target: NatKind) -> &'static str {
    use NatKind as Kind;
    match (asker, target) {
        (Kind::SameAddress, _) | (_, Kind::SameAddress) => {
            "Both peers have the same public address, so they are behind one NAT or on one host. They must reach each other by their private \
             addresses: check that both report these (setPeerInfo), and that their network lets its devices talk to each other (guest \
             networks and client isolation do not)."
        }
        (Kind::Ipv6, _) | (_, Kind::Ipv6) if asker != target => {
            "One peer is seen over IPv6 and the other over IPv4. They can meet only if both have an address of the same kind, and report it \
             (setPeerInfo), or by a relay of the server (RTMFP/Relay)."
        }
        (Kind::Ipv6, _) => {
            "Both peers are seen over IPv6, where there is no NAT as a rule: a firewall at one of them drops UDP packets from addresses \
             that its own side has not sent to."
        }
        (Kind::PortChanging, other) | (other, Kind::PortChanging) if other.is_nat() => {
            "Both peers are behind NATs, and at least one of the NATs does not keep ports: if it chooses another port for each destination (a \
             symmetric NAT), nobody can know the port to send to, and the other NAT drops what it does not expect. These two \
             meet by a relay of the server (RTMFP/Relay), or one of them needs another network, a forwarded UDP port, or IPv6."
        }
        (Kind::PortPreserving, Kind::PortPreserving) => {
            "Both peers are behind NATs that keep ports, through which peers meet as a rule. A firewall may drop UDP between the two, or the \
             NAT keeps the port for one destination only. Try each of them with a peer that is behind no NAT."
        }
        (Kind::Unknown, _) | (_, Kind::Unknown) => {
            "The server does not know what NATs the peers are behind, because at least one has reported no addresses (setPeerInfo) or is no \
             client of this server. Let both report their addresses, and look whether UDP between them is blocked."
        }
        _ => {
            "At least one of the peers is behind no NAT, so no NAT is the reason. A firewall drops UDP between the two, or the target has \
             ended without closing its connection."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pair_of_kinds_has_advice_that_is_the_same_both_ways() {
        for asker in NatKind::ALL {
            for target in NatKind::ALL {
                assert_eq!(advice(asker, target), advice(target, asker), "{asker:?} {target:?}");
            }
        }
    }

    #[test]
    fn the_advice_fits_the_kinds() {
        use NatKind::{Ipv6, None, PortChanging, PortPreserving, SameAddress, Unknown};
        for (asker, target, words) in [
            (PortChanging, PortPreserving, "symmetric"),
            (PortChanging, PortChanging, "symmetric"),
            (PortPreserving, PortPreserving, "keep ports"),
            (None, PortChanging, "behind no NAT"),
            (None, None, "behind no NAT"),
            (Unknown, PortChanging, "does not know"),
            (None, Unknown, "does not know"),
            (Ipv6, Ipv6, "Both peers are seen over IPv6"),
            (Ipv6, PortPreserving, "one peer is seen over ipv6"),
            (Unknown, Ipv6, "one peer is seen over ipv6"),
            (SameAddress, SameAddress, "private addresses"),
        ] {
            let advice = advice(asker, target);
            assert!(advice.to_lowercase().contains(&words.to_lowercase()), "{asker:?} {target:?}: {advice}");
        }
    }
}
