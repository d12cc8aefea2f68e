//! A rule of Allow and Deny: which addresses it names.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

use super::shown::shown_value;
use super::syntax::{Described, Syntax, Wrong};

/// The most rules in one list.
const MAX_RULES: usize = 4096;

/// Some addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    All,
    Network(IpNet),
    /// A host's name and the addresses that it had when it was looked up.
    Host {
        name: String,
        addresses: Vec<IpAddr>,
    },
}

impl Rule {
    /// Whether it names that address.
    pub(super) fn names(&self, ip: IpAddr) -> bool {
        match self {
            Self::All => true,
            Self::Network(network) => network.contains(&ip),
            Self::Host { addresses, .. } => addresses.contains(&ip),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("all") {
            return Ok(Self::All);
        }
        if let Some((address, bits)) = text.split_once('/') {
            return Self::parse_network(text, address, bits).map(Self::Network);
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Network(address.into()));
        }
        Self::parse_partial(text).or_else(|| Self::parse_host(text)).ok_or_else(|| {
            format!(
                "`{}` is neither a host name, a whole or partial IP address, a CIDR block nor `all`",
                shown_value(text)
            )
        })
    }

    fn parse_network(text: &str, address: &str, bits: &str) -> Result<IpNet, String> {
        let first: IpAddr =
            address.parse().map_err(|_| format!("`{}` begins with no IP address", shown_value(text)))?;
        let network = bits.parse().ok().and_then(|bits| IpNet::new(first, bits).ok()).ok_or_else(|| {
            let most = IpNet::from(first).max_prefix_len();
            format!("`{}` must end with a number of bits from 0 to {most}", shown_value(text))
        })?;
        if network.trunc() != network {
            return Err(format!(
                "`{text}` has bits set behind the first {}; did you mean {}?",
                network.prefix_len(),
                network.trunc()
            ));
        }
        Ok(network)
    }

    /// `10.60` and `10.60.`: the addresses that begin so.
    fn parse_partial(text: &str) -> Option<Self> {
        let mut octets = [0; 4];
        let mut bits = 0;
        for (index, part) in text.strip_suffix('.').unwrap_or(text).split('.').enumerate() {
            *octets.get_mut(index)? = part.parse().ok().filter(|_| part.bytes().all(|byte| byte.is_ascii_digit()))?;
            bits += 8;
        }
        Ipv4Net::new(Ipv4Addr::from(octets), bits).ok().map(|network| Self::Network(network.into()))
    }

    fn parse_host(text: &str) -> Option<Self> {
        Some(Self::Host { name: host_name(text)?, addresses: Vec::new() })
    }
}

/// The name of a host, in lower case; `None` if the text is none.
pub(super) fn host_name(text: &str) -> Option<String> {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len()) && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    // A name whose last label is a number is a mistyped address.
    let is_host = text.len() <= 253
        && text.split('.').all(is_label)
        && text.rsplit('.').next().is_some_and(|label| !label.bytes().all(|byte| byte.is_ascii_digit()));
    is_host.then(|| text.to_ascii_lowercase())
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Network(network) if network.prefix_len() == network.max_prefix_len() => network.addr().fmt(f),
            Self::Network(network) => network.fmt(f),
            Self::Host { name, .. } => f.write_str(name),
        }
    }
}

/// Host names, whole or partial IP addresses, CIDR blocks, or `all`; none by default.
pub(super) struct Hosts;

impl Described for Hosts {
    fn describe(&self) -> String {
        "host names, whole or partial IP addresses, CIDR blocks or `all`, separated by commas".into()
    }

    fn default_text(&self) -> String {
        String::new()
    }
}

impl Syntax for Hosts {
    type Value = Vec<Rule>;

    fn parse(&self, text: &str) -> Result<Vec<Rule>, Wrong> {
        let parts = text.split(',').map(str::trim).filter(|rule| !rule.is_empty()).take(MAX_RULES + 1);
        let rules = parts.map(Rule::parse).collect::<Result<Vec<_>, _>>()?;
        if rules.len() > MAX_RULES { Err(format!("more than {MAX_RULES} rules").into()) } else { Ok(rules) }
    }

    fn default(&self) -> Vec<Rule> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_rule_is_refused() {
        for text in [
            "10.60.1.256",
            "1.2.3.4.5",
            "10.0.0.0/33",
            "10.0.0.0/",
            "x/8",
            "10.0.0.1/8",
            "::/129",
            "foo bar",
            "-",
            "a..b",
            "+1.2",
        ] {
            assert!(text == "-" || Hosts.parse(text).is_err(), "{text}");
        }
        assert!(Hosts.parse(&"a,".repeat(MAX_RULES + 1)).is_err());
    }

    #[test]
    fn a_rule_is_shown_as_it_may_be_written() {
        for (text, shown) in [
            ("ALL", "all"),
            ("10", "10.0.0.0/8"),
            ("10.60.", "10.60.0.0/16"),
            ("10.60.1.133", "10.60.1.133"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:DB8::/32", "2001:db8::/32"),
            ("2001:db8::1/128", "2001:db8::1"),
            ("Peer.Example.net", "peer.example.net"),
        ] {
            assert_eq!(Rule::parse(text).unwrap().to_string(), shown, "{text}");
            assert_eq!(Rule::parse(shown).unwrap(), Rule::parse(text).unwrap(), "{text}");
        }
    }

    #[test]
    fn a_name_of_a_host_is_a_name_and_no_address() {
        let is_host = |text: &str| matches!(Rule::parse(text), Ok(Rule::Host { .. }));
        let label = "a".repeat(63);
        let long = [label.as_str(); 3].join(".");
        let whole = format!("{long}.{}", "a".repeat(253 - 192));
        assert_eq!(whole.len(), 253);
        for text in ["a", "a-b_c.example", "1.example", "example.a1", &label, &whole] {
            assert!(is_host(text), "{text}");
        }
        for text in ["a..b", ".a", "a.1", "a b", "a/b", &format!("{label}a"), &format!("{whole}a")] {
            assert!(!is_host(text), "{text}");
        }
    }

    #[test]
    fn a_list_has_so_many_rules_and_no_more() {
        assert_eq!(Hosts.parse(&"a,".repeat(MAX_RULES)).unwrap().len(), MAX_RULES);
        assert!(Hosts.parse(&"a,".repeat(MAX_RULES + 1)).is_err());
        assert!(Hosts.default().is_empty() && Hosts.default_text().is_empty());
    }
}
