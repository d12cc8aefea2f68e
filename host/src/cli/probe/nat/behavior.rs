//! What observations say of a NAT, in the terms of RFC 4787 (§4.1, §5) and RFC 5780.

use std::net::SocketAddr;

use serde::Serialize;

/// What the mapping of a port, or the filter in front of it, depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Behavior {
    /// It is the same for every far end.
    EndpointIndependent,
    /// It depends on the address of the far end.
    AddressDependent,
    /// It depends on the address and the port of the far end.
    AddressAndPortDependent,
}

impl Behavior {
    pub(super) const ALL: [Self; 3] =
        [Self::EndpointIndependent, Self::AddressDependent, Self::AddressAndPortDependent];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::EndpointIndependent => "endpoint-independent",
            Self::AddressDependent => "address-dependent",
            Self::AddressAndPortDependent => "address-and-port-dependent",
        }
    }
}

/// The behaviours that agree with what was observed: one if it is known, all if nothing is, and none if the observations contradict
/// each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct Possible(Vec<Behavior>);

impl Default for Possible {
    fn default() -> Self {
        Self(Behavior::ALL.to_vec())
    }
}

impl Possible {
    fn keep(&mut self, is_possible: impl Fn(Behavior) -> bool) {
        self.0.retain(|behavior| is_possible(*behavior));
    }

    /// The behaviour, if it is known.
    pub(super) fn known(&self) -> Option<Behavior> {
        match self.0[..] {
            [behavior] => Some(behavior),
            _ => None,
        }
    }

    /// Whether it is known that the far end counts, though perhaps not whether its port does.
    fn is_dependent(&self) -> bool {
        !self.0.is_empty() && !self.0.contains(&Behavior::EndpointIndependent)
    }

    pub(super) fn text(&self) -> String {
        match self.0.len() {
            0 => "irregular: it follows no rule that is known".to_owned(),
            3 => "unknown".to_owned(),
            _ => self.0.iter().map(|behavior| behavior.name()).collect::<Vec<_>>().join(" or "),
        }
    }
}

/// The address at which a server sees the port that is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Observation {
    pub(super) server: SocketAddr,
    pub(super) seen: SocketAddr,
}

/// How the NAT maps a port, by what several addresses of servers see of it.
pub(super) fn mapping(observations: &[Observation]) -> Possible {
    use Behavior::{AddressAndPortDependent, AddressDependent, EndpointIndependent};
    let mut possible = Possible::default();
    for (place, one) in observations.iter().enumerate() {
        for other in observations.iter().skip(place + 1) {
            let is_same = one.seen == other.seen;
            match (one.server.ip() == other.server.ip(), is_same) {
                _ if one.server == other.server => (),
                (true, true) => possible.keep(|behavior| behavior != AddressAndPortDependent),
                (true, false) => possible.keep(|behavior| behavior == AddressAndPortDependent),
                (false, true) => possible.keep(|behavior| behavior == EndpointIndependent),
                (false, false) => {
                    possible.keep(|behavior| matches!(behavior, AddressDependent | AddressAndPortDependent));
                }
            }
        }
    }
    possible
}

/// How the NAT, or a firewall, filters: whether packets came from another port of the server's address, and from another address. `None`
/// stands for packets that were not sent.
pub(super) fn filtering(other_port: Option<bool>, other_address: Option<bool>) -> Possible {
    use Behavior::{AddressAndPortDependent, EndpointIndependent};
    let mut possible = Possible::default();
    match other_address {
        // From an address that this end has not sent to, so that the port cannot count either.
        Some(true) => possible.keep(|behavior| behavior == EndpointIndependent),
        Some(false) => possible.keep(|behavior| behavior != EndpointIndependent),
        None => (),
    }
    match other_port {
        Some(true) => possible.keep(|behavior| behavior != AddressAndPortDependent),
        // If one from another address came, the other one was lost.
        Some(false) if other_address != Some(true) => possible.keep(|behavior| behavior == AddressAndPortDependent),
        _ => (),
    }
    possible
}

/// The name that a pair of behaviours has had since RFC 3489, with which most articles and players speak of NATs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// No NAT, and nothing that filters.
    Open,
    /// No NAT; a firewall filters.
    Firewall,
    FullCone,
    AddressRestrictedCone,
    PortRestrictedCone,
    Symmetric,
}

impl Kind {
    /// The kind, as far as it is known.
    pub(super) fn of(is_nat: bool, mapping: &Possible, filtering: &Possible) -> Option<Self> {
        use Behavior::{AddressAndPortDependent, AddressDependent, EndpointIndependent};
        Some(match (is_nat, mapping.known(), filtering.known()) {
            (false, _, Some(EndpointIndependent)) => Self::Open,
            (false, ..) if filtering.is_dependent() => Self::Firewall,
            (false, ..) => return None,
            (true, ..) if mapping.is_dependent() => Self::Symmetric,
            (true, Some(EndpointIndependent), Some(EndpointIndependent)) => Self::FullCone,
            (true, Some(EndpointIndependent), Some(AddressDependent)) => Self::AddressRestrictedCone,
            (true, Some(EndpointIndependent), Some(AddressAndPortDependent)) => Self::PortRestrictedCone,
            (true, ..) => return None,
        })
    }

    /// What the kind means for peers, in words.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Open => "no NAT and no filter: every peer can reach this one",
            Self::Firewall => {
                "no NAT, but a firewall that lets in only what this side has asked for: every peer can be met through a server, except \
                 where the far side is behind a symmetric NAT and the firewall goes by the port"
            }
            Self::FullCone => "a full cone NAT: every peer can be met",
            Self::AddressRestrictedCone => "an address-restricted cone NAT: every peer can be met",
            Self::PortRestrictedCone => {
                "a port-restricted cone NAT, as most homes have: every peer can be met but those behind symmetric NATs, which need a relay"
            }
            Self::Symmetric => {
                "a symmetric NAT: peers behind no NAT and behind full cone or address-restricted NATs can be met; those behind port-restricted \
                 and symmetric NATs need a relay"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Behavior::{AddressAndPortDependent as Port, AddressDependent as Address, EndpointIndependent as Any};

    fn observed(list: &[(&str, &str)]) -> Possible {
        let observation = |(server, seen): &(&str, &str)| Observation {
            server: server.parse().unwrap(),
            seen: seen.parse().unwrap(),
        };
        mapping(&list.iter().map(observation).collect::<Vec<_>>())
    }

    #[test]
    fn the_mapping_follows_from_what_several_addresses_see() {
        let (one, port, other) = ("192.0.2.1:1", "192.0.2.1:2", "192.0.2.9:1");
        for (list, expected) in [
            (&[][..], &[Any, Address, Port][..]),
            (&[(one, "198.51.100.5:7")], &[Any, Address, Port]),
            (&[(one, "198.51.100.5:7"), (one, "198.51.100.5:8")], &[Any, Address, Port]),
            (&[(one, "198.51.100.5:7"), (port, "198.51.100.5:7")], &[Any, Address]),
            (&[(one, "198.51.100.5:7"), (port, "198.51.100.5:8")], &[Port]),
            (&[(one, "198.51.100.5:7"), (other, "198.51.100.5:7")], &[Any]),
            (&[(one, "198.51.100.5:7"), (other, "198.51.100.5:8")], &[Address, Port]),
            (&[(one, "198.51.100.5:7"), (port, "198.51.100.5:7"), (other, "198.51.100.5:7")], &[Any]),
            (&[(one, "198.51.100.5:7"), (port, "198.51.100.5:7"), (other, "198.51.100.5:8")], &[Address]),
            (&[(one, "198.51.100.5:7"), (port, "198.51.100.5:8"), (other, "198.51.100.5:9")], &[Port]),
            // Another outside address is another mapping.
            (&[(one, "198.51.100.5:7"), (port, "198.51.100.6:7")], &[Port]),
            (&[(one, "198.51.100.5:7"), (port, "198.51.100.5:8"), (other, "198.51.100.5:7")], &[]),
        ] {
            assert_eq!(observed(list), Possible(expected.to_vec()), "{list:?}");
        }
    }

    #[test]
    fn the_filter_follows_from_what_came() {
        for (port, address, expected) in [
            (None, None, &[Any, Address, Port][..]),
            (Some(true), None, &[Any, Address]),
            (Some(false), None, &[Port]),
            (Some(true), Some(true), &[Any]),
            (Some(true), Some(false), &[Address]),
            (Some(false), Some(false), &[Port]),
            (Some(false), Some(true), &[Any]),
            (None, Some(true), &[Any]),
            (None, Some(false), &[Address, Port]),
        ] {
            assert_eq!(filtering(port, address), Possible(expected.to_vec()), "{port:?} {address:?}");
        }
    }

    #[test]
    fn what_is_known_is_told_from_what_is_not() {
        assert_eq!((Possible(vec![Any]).known(), Possible(vec![Any, Address]).known()), (Some(Any), None));
        assert_eq!(Possible(vec![Any, Address]).text(), "endpoint-independent or address-dependent");
        assert_eq!(Possible::default().text(), "unknown");
        assert!(Possible(vec![]).text().starts_with("irregular"));
    }

    #[test]
    fn each_kind_has_its_old_name() {
        let unknown = &[Any, Address, Port][..];
        for (is_nat, mapping, filtering, expected) in [
            (false, unknown, &[Any][..], Some(Kind::Open)),
            (false, &[Any], &[Port], Some(Kind::Firewall)),
            (false, &[Any], &[Address, Port], Some(Kind::Firewall)),
            (false, &[Any], unknown, None),
            (true, &[Any], &[Any], Some(Kind::FullCone)),
            (true, &[Any], &[Address], Some(Kind::AddressRestrictedCone)),
            (true, &[Any], &[Port], Some(Kind::PortRestrictedCone)),
            (true, &[Address], unknown, Some(Kind::Symmetric)),
            (true, &[Port], &[Any], Some(Kind::Symmetric)),
            (true, &[Address, Port], &[Port], Some(Kind::Symmetric)),
            (true, unknown, &[Port], None),
            (true, &[Any, Address], &[Port], None),
            (true, &[Any], unknown, None),
            (true, &[], &[Port], None),
        ] {
            let possible = |behaviors: &[Behavior]| Possible(behaviors.to_vec());
            assert_eq!(
                Kind::of(is_nat, &possible(mapping), &possible(filtering)),
                expected,
                "{is_nat} {mapping:?} {filtering:?}"
            );
        }
    }
}
