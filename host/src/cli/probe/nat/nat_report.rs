//! The result of `--nat`, for people and for scripts.

use std::net::IpAddr;

use serde::Serialize;

use super::behavior::{Behavior, Kind, Observation, Possible};
use super::lifetime::Lifetime;

/// The object `nat_behavior` that `--json` prints. Unknown values are null.
#[derive(Serialize, Default)]
pub(in crate::cli::probe) struct NatReport {
    /// The address family that was tested: `ipv4` or `ipv6`.
    pub(super) family: &'static str,
    /// Whether a NAT is between this machine and the servers.
    pub(super) behind_nat: Option<bool>,
    /// The kind by its old name: `open`, `firewall`, `full-cone`, `address-restricted-cone`, `port-restricted-cone` or `symmetric`.
    pub(super) kind: Option<Kind>,
    /// How the NAT maps ports: `endpoint-independent`, `address-dependent` or `address-and-port-dependent`.
    pub(super) mapping: Option<Behavior>,
    /// The behaviours that agree with what was observed.
    pub(super) mapping_possible: Possible,
    /// What the NAT, or a firewall, lets in: the same names.
    pub(super) filtering: Option<Behavior>,
    pub(super) filtering_possible: Possible,
    /// Where each address of a server sees the port that was tested.
    pub(super) observations: Vec<Observation>,
    /// The port of this machine that was tested.
    pub(super) port: Option<u16>,
    /// Whether the outside port is the same number.
    pub(super) port_preserved: Option<bool>,
    /// Whether all addresses of servers see one outside address.
    pub(super) one_outside_address: Option<bool>,
    /// Whether the NAT passes packets from inside to its own outside addresses back in.
    pub(super) hairpin: Option<bool>,
    /// For how long it keeps a silent port open: of `--lifetime`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) binding_lifetime: Option<Lifetime>,
    pub(super) ipv6: Ipv6Report,
    /// What could not be found out, and why.
    pub(super) notes: Vec<String>,
}

/// What is known of IPv6.
#[derive(Serialize, Default)]
pub(super) struct Ipv6Report {
    /// The IPv6 address of this machine that others can reach, if it has one.
    pub(super) address: Option<IpAddr>,
    /// Whether the server answers over IPv6; null if it has no IPv6 address.
    pub(super) server_answers: Option<bool>,
}

impl NatReport {
    /// Sets what follows from the observations.
    pub(super) fn conclude(&mut self, is_nat: Option<bool>) {
        let first = self.observations.first().map(|observation| observation.seen);
        self.port_preserved = first.zip(self.port).map(|(seen, port)| seen.port() == port);
        self.one_outside_address = first
            .filter(|_| self.observations.len() > 1)
            .map(|seen| self.observations.iter().all(|observation| observation.seen.ip() == seen.ip()));
        (self.mapping, self.filtering) = (self.mapping_possible.known(), self.filtering_possible.known());
        self.kind = is_nat.and_then(|is_nat| Kind::of(is_nat, &self.mapping_possible, &self.filtering_possible));
        self.behind_nat = is_nat;
    }

    pub(in crate::cli::probe) fn text(&self) -> String {
        let family = if self.family == "ipv6" { "IPv6" } else { "IPv4" };
        let is_nat = self.behind_nat != Some(false);
        let title = if is_nat { format!("the NAT of {family}") } else { format!("{family}, without a NAT") };
        let mut lines = vec![title];
        let mut line = |label: &str, text: String| lines.push(format!("  {label:<12} {text}"));
        line("so", self.kind.map_or("the kind is not known", Kind::text).to_owned());
        if is_nat {
            line("mapping", self.mapping_possible.text());
        }
        for Observation { server, seen } in &self.observations {
            line("", format!("{server} sees port {} at {seen}", self.port.unwrap_or_default()));
        }
        line("filtering", self.filtering_possible.text());
        let yes = |flag: Option<bool>, yes: &str, no: &str| match flag {
            Some(true) => yes.to_owned(),
            Some(false) => no.to_owned(),
            None => "unknown".to_owned(),
        };
        if is_nat {
            line("port", yes(self.port_preserved, "kept", "replaced by another one"));
            let hairpin = "yes: devices behind it reach each other by their outside addresses";
            let no_hairpin = "no: devices behind it reach each other by their private addresses alone";
            line("hairpin", yes(self.hairpin, hairpin, no_hairpin));
        }
        if self.one_outside_address == Some(false) {
            line(
                "addresses",
                "several outside addresses stand for one port: peers may see another one than the server".to_owned(),
            );
        }
        if let Some(lifetime) = self.binding_lifetime {
            line("lifetime", lifetime.text());
        }
        let address = self.ipv6.address.map_or_else(|| "no address".to_owned(), |address| address.to_string());
        let server = yes(self.ipv6.server_answers, "the server answers", "the server does not answer");
        let server = if self.ipv6.server_answers.is_none() { "not tried with this server".to_owned() } else { server };
        line("IPv6", format!("{address}; {server}"));
        for note in &self.notes {
            line("note", note.clone());
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::super::behavior::{filtering, mapping};
    use super::*;

    fn report(seen: [&str; 2], is_nat: Option<bool>) -> NatReport {
        let servers = ["192.0.2.1:1935", "192.0.2.2:1935"];
        let observation =
            |(server, seen): (&str, &str)| Observation { server: server.parse().unwrap(), seen: seen.parse().unwrap() };
        let observations: Vec<_> = servers.into_iter().zip(seen).map(observation).collect();
        let mut report = NatReport {
            family: "ipv4",
            mapping_possible: mapping(&observations),
            filtering_possible: filtering(Some(false), Some(false)),
            observations,
            port: Some(4000),
            ..NatReport::default()
        };
        report.conclude(is_nat);
        report
    }

    #[test]
    fn conclusions_follow_from_the_observations() {
        for (seen, is_nat, kind, preserved, one) in [
            (["198.51.100.5:4000", "198.51.100.5:4000"], Some(true), Some(Kind::PortRestrictedCone), true, true),
            (["198.51.100.5:4711", "198.51.100.5:4000"], Some(true), Some(Kind::Symmetric), false, true),
            (["198.51.100.5:4000", "198.51.100.6:4000"], Some(true), Some(Kind::Symmetric), true, false),
            (["198.51.100.5:4000", "198.51.100.5:4000"], Some(false), Some(Kind::Firewall), true, true),
            (["198.51.100.5:4000", "198.51.100.5:4000"], None, None, true, true),
        ] {
            let report = report(seen, is_nat);
            assert_eq!(report.kind, kind, "{seen:?}");
            assert_eq!((report.port_preserved, report.one_outside_address), (Some(preserved), Some(one)), "{seen:?}");
        }
    }

    #[test]
    fn what_is_not_known_is_said_so() {
        let mut empty = NatReport { family: "ipv4", ..NatReport::default() };
        empty.conclude(Some(true));
        let text = empty.text();
        for words in [
            "mapping      unknown",
            "filtering    unknown",
            "port         unknown",
            "hairpin      unknown",
            "the kind is not known",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        let json = serde_json::to_value(&empty).unwrap();
        for name in ["kind", "mapping", "filtering", "port", "port_preserved", "one_outside_address", "hairpin"] {
            assert!(json[name].is_null(), "{name}: {json}");
        }
        assert_eq!(json["mapping_possible"].as_array().unwrap().len(), 3);
        assert_eq!(json.get("binding_lifetime"), None);
    }
}
