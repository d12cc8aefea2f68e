//! Why a peer that the server introduced was not reached, as far as addresses tell it.

use std::net::{IpAddr, SocketAddr};

use rtmfp::{Origin, TaggedAddress, is_private};

use crate::failure::list;

/// What is known when an introduction has failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts<'a> {
    /// The address at which the server sees this client, if the server says it.
    pub(super) seen: Option<SocketAddr>,
    /// This client's own addresses.
    pub(super) own: &'a [SocketAddr],
    /// The server's address.
    pub(super) server: SocketAddr,
    /// The addresses that the server named, at least one, unless a hello was answered.
    pub(super) named: &'a [TaggedAddress],
    /// Those of them that are the addresses of a relay.
    pub(super) relays: &'a [SocketAddr],
    /// Whether an address answered a hello: then packets pass in both directions.
    pub(super) is_answered: bool,
}

/// The most likely reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// An address answered, and no session opened.
    Unfinished,
    /// The addresses are of a family that this client has no address of.
    OtherFamily,
    /// Both ends have one public address.
    SameAddress,
    /// The server sees the other peer at a private address: it is in the server's own network.
    PeerBesideServer,
    /// The server sees this client at a private address, and the other peer at a public one.
    ClientBesideServer,
    /// The server named no address at which it sees the other peer.
    NothingSeen,
    /// At least one of the two is behind no NAT.
    NoNat,
    /// Both are behind NATs, and the NATs of these kept another port than that of the socket.
    PortsChanged {
        /// This client's NAT did.
        own: bool,
        /// The other peer's did.
        other: bool,
    },
    /// Both are behind NATs that kept the ports.
    PortsKept,
    /// Nothing is known of the NAT of one.
    Unknown,
}

/// What stands between an end and the others, as its addresses show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nat {
    None,
    Keeps,
    Changes,
    Unknown,
}

impl Nat {
    fn of(seen: SocketAddr, own: &[SocketAddr]) -> Self {
        let own = || own.iter().filter(|own| own.is_ipv4() == seen.is_ipv4());
        match (own().next(), own().any(|own| *own == seen), own().any(|own| own.port() == seen.port())) {
            (None, ..) => Self::Unknown,
            (_, true, _) => Self::None,
            (_, _, true) => Self::Keeps,
            _ => Self::Changes,
        }
    }

    fn is_nat(self) -> bool {
        matches!(self, Self::Keeps | Self::Changes)
    }
}

/// What to check where a relay was offered: by it any two peers meet that reach the server.
const CHECK_OF_RELAY: &str = "that UDP passes to and from the ports of the server's relay (RTMFP/Relay/Ports in Adaptor.xml; a NAT in front of \
     the server has to forward them), and that the server names them right (PublicIP in Server.xml, or public at RTMFP/Relay/Ports)";

impl Facts<'_> {
    /// The addresses that are no relay's.
    fn of_peer(&self) -> impl Iterator<Item = &TaggedAddress> {
        self.named.iter().filter(|named| !self.relays.contains(&named.address))
    }

    fn of_origin(&self, origin: Origin) -> Vec<SocketAddr> {
        let mut found = Vec::new();
        for named in self.of_peer().filter(|named| named.origin == origin) {
            if !found.contains(&named.address) {
                found.push(named.address);
            }
        }
        found
    }

    /// The most likely reason, the ones that are certain first.
    pub(super) fn reason(&self) -> Reason {
        if self.is_answered {
            return Reason::Unfinished;
        }
        let has_family = |ipv4: bool| self.server.is_ipv4() == ipv4 || self.own.iter().any(|own| own.is_ipv4() == ipv4);
        if !self.of_peer().any(|named| has_family(named.address.is_ipv4())) {
            return Reason::OtherFamily;
        }
        let (observed, reported) = (self.of_origin(Origin::Observed), self.of_origin(Origin::Reported));
        let Some(first) = observed.iter().find(|observed| !is_private(observed.ip())).or(observed.first()) else {
            return Reason::NothingSeen;
        };
        let is_outside = |ip: IpAddr| !is_private(ip) && !ip.is_loopback();
        if let Some(seen) = self.seen {
            if seen.ip() == first.ip() && !seen.ip().is_loopback() {
                return Reason::SameAddress;
            }
            if is_private(first.ip()) && is_outside(seen.ip()) {
                return Reason::PeerBesideServer;
            }
            if is_private(seen.ip()) && is_private(self.server.ip()) && is_outside(first.ip()) {
                return Reason::ClientBesideServer;
            }
        }
        let own = self.seen.map_or(Nat::Unknown, |seen| Nat::of(seen, self.own));
        match (own, Nat::of(*first, &reported)) {
            (Nat::None, _) | (_, Nat::None) => Reason::NoNat,
            (Nat::Keeps, Nat::Keeps) => Reason::PortsKept,
            (own, other) if own.is_nat() && other.is_nat() => {
                Reason::PortsChanged { own: own == Nat::Changes, other: other == Nat::Changes }
            }
            _ => Reason::Unknown,
        }
    }

    /// What happened, and what to check. `failure` is the engine's reason.
    pub(super) fn explain(&self, failure: &str) -> (String, &'static str) {
        let reason = self.reason();
        let mut named: Vec<SocketAddr> = Vec::new();
        self.of_peer().for_each(|address| {
            if !named.contains(&address.address) {
                named.push(address.address);
            }
        });
        let (all, seen) =
            (list(&named), self.seen.map_or_else(|| "an unknown address".to_owned(), |seen| seen.to_string()));
        let observed = list(&self.of_origin(Origin::Observed));
        let text = match reason {
            Reason::Unfinished | Reason::Unknown => format!("the server named {all}, but: {failure}"),
            Reason::OtherFamily => {
                let (theirs, own) = if self.server.is_ipv4() { ("IPv6", "IPv4") } else { ("IPv4", "IPv6") };
                format!("the server named only {theirs} addresses of the peer ({all}), and this peer has {own} alone")
            }
            Reason::SameAddress => format!(
                "the server sees both peers at one address (this one at {seen}, the other at {observed}): they are behind one NAT or on one \
                 machine. Nothing came back from {all}: the network does not let its devices reach each other by their private \
                 addresses, and the NAT does not send packets for its own outside address back in (no hairpin)"
            ),
            Reason::PeerBesideServer => format!(
                "the server sees the peer at the private address {observed}: the peer is in the server's own network, which cannot be reached \
                 from outside by that address. The NATs are not the reason (the server named {all})"
            ),
            Reason::ClientBesideServer => format!(
                "the server sees this peer at the private address {seen}: this peer is in the server's own network, and the other, at {observed}, \
                 was told to answer to an address that it cannot reach. The NATs are not the reason (the server named {all})"
            ),
            Reason::NothingSeen => format!(
                "the server named {all}, and none of these is an address at which it sees the peer itself: the peer is on the server's own \
                 machine, or a policy chose the addresses. Nothing came back from them ({failure})"
            ),
            Reason::NoNat => {
                let seen = self.seen.map_or(Nat::Unknown, |seen| Nat::of(seen, self.own));
                let open = if seen == Nat::None { "this peer" } else { "the other peer" };
                format!(
                    "no packet came back from {all}, although {open} is behind no NAT: a firewall drops UDP between the two, or the other \
                     peer is gone ({failure})"
                )
            }
            Reason::PortsChanged { own, other } => {
                let whose = match (own, other) {
                    (true, true) => "both NATs have",
                    (true, false) => "the NAT of this peer has",
                    _ => "the NAT of the other peer has",
                };
                format!(
                    "both peers are behind NATs, and no packet of either one reached the other. The server sees this peer at {seen} and the \
                     other at {observed}, and {whose} replaced the port. If such a NAT uses another outside port for each destination (a \
                     symmetric NAT), no peer can know the port to send to, and the other NAT drops packets that it does not expect. No \
                     server can introduce these two to each other directly ({failure}; the server named {all})"
                )
            }
            Reason::PortsKept => format!(
                "both peers are behind NATs, and no packet of either one reached the other. The server sees this peer at {seen} and the other \
                 at {observed}. Both NATs kept the port, and through such NATs peers meet as a rule: a firewall drops UDP between the two, \
                 or a NAT keeps the port for one destination only ({failure}; the server named {all})"
            ),
        };
        let check =
            if self.relays.is_empty() || reason == Reason::Unfinished { reason.check() } else { CHECK_OF_RELAY };
        (format!("{text}. {}", self.relay()), check)
    }

    /// What the server offered besides addresses of the peer.
    fn relay(&self) -> String {
        if self.relays.is_empty() {
            "The server offered no relay".to_owned()
        } else {
            format!("The server offered a relay at {}, and nothing came back from there either", list(self.relays))
        }
    }
}

impl Reason {
    fn check(self) -> &'static str {
        match self {
            Self::Unfinished => {
                "that the peer takes others like this one: introd probe --flash is to others what a Flash Player is; and the path \
                 between the two, which may drop large packets"
            }
            Self::OtherFamily => {
                "that both peers have an address of one family, IPv4 or IPv6, and report it; or let the server relay \
                 (RTMFP/Relay in Application.xml), which joins the two families"
            }
            Self::SameAddress => {
                "that the network lets its devices talk to each other (guest networks and client isolation do not), and that the \
                 other peer reports its private address (setPeerInfo); or let the server relay (RTMFP/Relay in Application.xml)"
            }
            Self::PeerBesideServer | Self::ClientBesideServer => {
                "that the server knows its public address (PublicIP in Server.xml, or public at a HostPort), so that it can name \
                 that one instead; or let the server relay (RTMFP/Relay in Application.xml)"
            }
            Self::NothingSeen => {
                "where the peer runs: one on the server's machine should connect by the server's public address; and the \
                 script or plugin that answers lookups"
            }
            Self::NoNat => {
                "the firewalls at both peers: UDP has to pass in both directions; and whether the other peer is still connected"
            }
            Self::PortsChanged { .. } => {
                "which of the two NATs is symmetric: introd probe --nat, run beside each peer, tells it. That peer needs another \
                 network, a forwarded UDP port, or IPv6; or let the server relay (RTMFP/Relay in Application.xml)"
            }
            Self::PortsKept => {
                "the firewalls at both peers; introd probe --nat, run beside each peer, tells how its NAT behaves. A server that \
                 relays (RTMFP/Relay in Application.xml) helps in any case"
            }
            Self::Unknown => {
                "firewalls and NATs between the two peers: introd probe --nat, run beside each peer, tells how its NAT behaves. \
                 Some peers take only others like themselves: introd probe --flash is to others what a Flash Player is"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: &str = "203.0.113.1:1935";
    const RELAY: &str = "203.0.113.1:19400";

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    /// The reason, with the text and the check, of a client that is seen at an address, with own addresses, for a peer with these.
    fn explained(server: &str, seen: &str, own: &[&str], named: &[(&str, Origin)]) -> (Reason, String) {
        let own = addresses(own);
        let named: Vec<_> =
            named.iter().map(|(text, origin)| TaggedAddress::new(text.parse().unwrap(), *origin)).collect();
        let (seen, server) = (seen.parse().ok(), server.parse().unwrap());
        let relays: Vec<_> =
            addresses(&[RELAY]).into_iter().filter(|relay| named.iter().any(|named| named.address == *relay)).collect();
        let facts = Facts { seen, own: &own, server, named: &named, relays: &relays, is_answered: false };
        let (text, check) = facts.explain("no answer");
        (facts.reason(), format!("{text}\n{check}"))
    }

    const OPEN: (&str, &[&str]) = ("198.51.100.5:4000", &["198.51.100.5:4000"]);
    const KEEPS: (&str, &[&str]) = ("198.51.100.5:4000", &["192.168.1.5:4000"]);
    const CHANGES: (&str, &[&str]) = ("198.51.100.5:4711", &["192.168.1.5:4000"]);

    #[test]
    fn two_nats_are_told_by_their_ports() {
        use Origin::{Observed, Reported};
        let keeps = [("192.0.2.7:5000", Observed), ("10.0.0.7:5000", Reported)];
        let changes = [("192.0.2.7:5555", Observed), ("10.0.0.7:5000", Reported)];
        let open = [("192.0.2.7:5000", Observed), ("192.0.2.7:5000", Reported)];
        let silent = [("192.0.2.7:5000", Observed)];
        for ((seen, own), named, expected, words) in [
            (KEEPS, &keeps[..], Reason::PortsKept, "Both NATs kept the port"),
            (CHANGES, &keeps, Reason::PortsChanged { own: true, other: false }, "the NAT of this peer has replaced"),
            (
                KEEPS,
                &changes,
                Reason::PortsChanged { own: false, other: true },
                "the NAT of the other peer has replaced",
            ),
            (CHANGES, &changes, Reason::PortsChanged { own: true, other: true }, "both NATs have replaced"),
            (OPEN, &changes, Reason::NoNat, "although this peer is behind no NAT"),
            (KEEPS, &open, Reason::NoNat, "although the other peer is behind no NAT"),
            (KEEPS, &silent, Reason::Unknown, "the server named 192.0.2.7:5000, but: no answer"),
            (("", &["192.168.1.5:4000"][..]), &keeps, Reason::Unknown, "introd probe --nat"),
        ] {
            let (reason, text) = explained(SERVER, seen, own, named);
            assert_eq!(reason, expected, "{text}");
            assert!(text.contains(words) && text.contains("The server offered no relay"), "{text}");
            let is_blamed = matches!(expected, Reason::PortsChanged { .. });
            assert_eq!(text.contains("symmetric NAT"), is_blamed, "{text}");
        }
    }

    #[test]
    fn a_peer_beside_the_server_is_not_blamed_on_nats() {
        use Origin::{Observed, Reported};
        // The router of the home rewrites the addresses of its own network, or does not.
        for observed in ["192.168.1.1:5000", "192.168.1.7:5000", "100.64.0.9:5000"] {
            for (seen, own) in [KEEPS, CHANGES, OPEN] {
                let named = [(observed, Observed), ("192.168.1.7:5000", Reported)];
                let (reason, text) = explained(SERVER, seen, own, &named);
                assert_eq!(reason, Reason::PeerBesideServer);
                for words in [observed, "the server's own network", "PublicIP", "NATs are not the reason"] {
                    assert!(text.contains(words), "{text}");
                }
            }
        }
        // With its public address known, the server names that as well, and the NATs count again.
        let named = [("192.168.1.7:5000", Observed), ("203.0.113.1:5000", Observed), ("192.168.1.7:5000", Reported)];
        assert_eq!(explained(SERVER, CHANGES.0, CHANGES.1, &named).0, Reason::PortsChanged { own: true, other: false });
        // The other way round: this client is at home with the server.
        let named = [("198.51.100.5:4000", Observed), ("10.0.0.5:4000", Reported)];
        let own = ["192.168.1.7:5000"];
        let (reason, text) = explained("192.168.1.2:1935", "192.168.1.7:5000", &own, &named);
        assert_eq!(reason, Reason::ClientBesideServer);
        assert!(text.contains("an address that it cannot reach") && text.contains("PublicIP"), "{text}");
    }

    #[test]
    fn addresses_that_cannot_work_are_named_as_the_reason() {
        use Origin::{Observed, Reported};
        let (seen, own) = KEEPS;
        let (reason, text) = explained(SERVER, seen, own, &[("[2001:db8::7]:5000", Observed)]);
        assert_eq!(reason, Reason::OtherFamily);
        assert!(
            text.contains("only IPv6 addresses of the peer ([2001:db8::7]:5000), and this peer has IPv4 alone"),
            "{text}"
        );
        let both = ["192.168.1.5:4000", "[2001:db8::5]:4000"];
        assert_ne!(explained(SERVER, seen, &both, &[("[2001:db8::7]:5000", Observed)]).0, Reason::OtherFamily);
        let one_nat = [("198.51.100.5:5000", Observed), ("192.168.1.7:5000", Reported)];
        let (reason, text) = explained(SERVER, seen, own, &one_nat);
        assert_eq!(reason, Reason::SameAddress);
        assert!(text.contains("no hairpin") && text.contains("guest networks"), "{text}");
        let (reason, text) = explained(SERVER, seen, own, &[("172.17.0.2:5000", Reported)]);
        assert_eq!(reason, Reason::NothingSeen);
        assert!(text.contains("the server's own machine"), "{text}");
    }

    #[test]
    fn a_relay_is_no_address_of_the_peer() {
        use Origin::{Observed, Reported};
        let relay = (RELAY, Observed);
        for (named, expected) in [
            (
                &[relay, ("192.0.2.7:5555", Observed), ("10.0.0.7:5000", Reported)][..],
                Reason::PortsChanged { own: false, other: true },
            ),
            (&[relay, ("192.168.1.7:5000", Observed), ("192.168.1.7:5000", Reported)], Reason::PeerBesideServer),
            (&[relay, ("[2001:db8::7]:5000", Observed)], Reason::OtherFamily),
        ] {
            let (reason, text) = explained(SERVER, KEEPS.0, KEEPS.1, named);
            assert_eq!(reason, expected, "{text}");
            assert!(!text.contains("The server offered no relay"), "{text}");
            assert!(text.contains("offered a relay at 203.0.113.1:19400, and nothing came back from there"), "{text}");
            assert!(text.ends_with("public at RTMFP/Relay/Ports)"), "{text}");
        }
    }

    #[test]
    fn an_answer_shows_that_packets_pass() {
        let server = SERVER.parse().unwrap();
        let facts = Facts { seen: None, own: &[], server, named: &[], relays: &[], is_answered: true };
        assert_eq!(facts.reason(), Reason::Unfinished);
        assert!(facts.explain("192.0.2.7:5 answered the hello").0.contains("192.0.2.7:5 answered the hello"));
    }

    #[test]
    fn on_one_machine_loopback_addresses_are_no_nat() {
        let named = [("127.0.0.1:5000", Origin::Observed), ("127.0.0.1:5000", Origin::Reported)];
        assert_eq!(explained("127.0.0.1:1935", "127.0.0.1:4000", &["127.0.0.1:4000"], &named).0, Reason::NoNat);
    }
}
