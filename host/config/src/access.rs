//! Which addresses may connect: Allow, Deny and Order.

use std::fmt;
use std::net::{IpAddr, ToSocketAddrs};

use super::choices::Order;
use super::key::{Key, Scope};
use super::rule::{Hosts, Rule};
use super::view::View;

/// The addresses that may connect, and those that may not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    allow: Vec<Rule>,
    deny: Vec<Rule>,
    order: Order,
}

/// A host that a rule names and that has no address now.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnknownHost {
    /// What the rule belongs to: `adaptor _defaultRoot_`.
    pub of: String,
    /// The host's name.
    pub name: String,
    /// Whether the rule is one of Deny: then the host would not be kept out.
    pub is_denied: bool,
}

impl fmt::Display for UnknownHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, name, is_denied } = self;
        let (list, outcome) =
            if *is_denied { ("Deny", "nobody is kept out by it") } else { ("Allow", "it lets nobody in") };
        write!(f, "{of}: {list} names the host {name}, which has no address now: {outcome}")
    }
}

impl Access {
    pub(super) fn new(allow: Vec<Rule>, deny: Vec<Rule>, order: Order) -> Self {
        Self { allow: order.allowed(allow, Rule::All), deny, order }
    }

    /// All addresses may connect.
    pub fn everyone() -> Self {
        Self::new(Vec::new(), Vec::new(), Order::AllowDeny)
    }

    /// No address may connect.
    pub fn deny_all() -> Self {
        Self { allow: Vec::new(), deny: vec![Rule::All], order: Order::AllowDeny }
    }

    /// Warns of an Allow list with nothing in it, which may be meant to keep everyone out, and does not.
    pub(super) fn warn_of_empty_allow<S: Scope>(&self, view: &View<'_, S>, allow: &Key<S, Hosts>) {
        if self.order == Order::AllowDeny {
            let message = "Allow is empty, which allows everyone, as it does on Adobe's servers; to keep everyone out, write `all` into Deny";
            view.warning_if_empty(allow, message);
        }
    }

    /// Whether that address may connect. An IPv4 address inside an IPv6 one counts as what it is.
    pub fn permits(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        let names = |rules: &[Rule]| rules.iter().any(|rule| rule.names(ip));
        self.order.permits(names(&self.allow), names(&self.deny))
    }

    /// Whether every address may connect, as far as the lists tell without an address.
    pub fn permits_all(&self) -> bool {
        self.deny.is_empty() && (self.order == Order::DenyAllow || self.allow.contains(&Rule::All))
    }

    /// Looks up the hosts that stand there by name; until then they match nothing. `of` says what these rules belong to. Returns the
    /// names that have no address now.
    pub(super) fn resolve(&mut self, of: &str, lookup: &dyn Fn(&str) -> Vec<IpAddr>) -> Vec<UnknownHost> {
        let mut unknown = Vec::new();
        for (rules, is_denied) in [(&mut self.allow, false), (&mut self.deny, true)] {
            for rule in rules {
                if let Rule::Host { name, addresses } = rule {
                    *addresses = lookup(name).iter().map(IpAddr::to_canonical).collect();
                    if addresses.is_empty() {
                        unknown.push(UnknownHost { of: of.to_owned(), name: name.clone(), is_denied });
                    }
                }
            }
        }
        unknown
    }

    /// Whether hosts stand there by name: then there is something to look up.
    pub fn has_host_names(&self) -> bool {
        self.allow.iter().chain(&self.deny).any(|rule| matches!(rule, Rule::Host { .. }))
    }
}

/// The addresses that a host's name has now. Finding out may take seconds.
pub(super) fn addresses_of(name: &str) -> Vec<IpAddr> {
    (name, 0).to_socket_addrs().into_iter().flatten().map(|address| address.ip()).collect()
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |rules: &[Rule]| rules.iter().map(Rule::to_string).collect::<Vec<_>>().join(", ");
        let (allow, deny) = (list(&self.allow), list(&self.deny));
        let (allows_all, denies_all) = (self.allow.contains(&Rule::All), self.deny.contains(&Rule::All));
        match (self.order, self.deny.is_empty()) {
            (Order::AllowDeny, _) if denies_all => f.write_str("nobody"),
            (Order::AllowDeny, true) if allows_all => f.write_str("everyone"),
            (Order::AllowDeny, false) if allows_all => write!(f, "everyone but {deny}"),
            (Order::AllowDeny, true) => write!(f, "only {allow}"),
            (Order::AllowDeny, false) => write!(f, "only {allow}, but never {deny}"),
            (Order::DenyAllow, _) if allows_all => f.write_str("everyone"),
            (Order::DenyAllow, true) => f.write_str("everyone"),
            (Order::DenyAllow, false) if denies_all && self.allow.is_empty() => f.write_str("nobody"),
            (Order::DenyAllow, false) if denies_all => write!(f, "only {allow}"),
            (Order::DenyAllow, false) if self.allow.is_empty() => write!(f, "everyone but {deny}"),
            (Order::DenyAllow, false) => write!(f, "everyone but {deny}, of which {allow} may connect all the same"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::Syntax;

    fn access(allow: &str, deny: &str, order: Order) -> Access {
        Access::new(Hosts.parse(allow).unwrap(), Hosts.parse(deny).unwrap(), order)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn allow_then_deny_lets_in_what_is_allowed_and_not_denied() {
        let access = access("10.60, 192.0.2.0/25", "10.60.1.133", Order::AllowDeny);
        for (address, expected) in [
            ("10.60.0.1", true),
            ("10.60.255.255", true),
            ("10.61.0.1", false),
            ("10.60.1.133", false),
            ("192.0.2.127", true),
            ("192.0.2.128", false),
            ("::ffff:10.60.0.1", true),
            ("::ffff:10.60.1.133", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(access.permits(ip(address)), expected, "{address}");
        }
    }

    #[test]
    fn deny_then_allow_keeps_out_what_is_denied_and_not_allowed() {
        let access = access("10.60.1.133", "10, 2001:db8::/32", Order::DenyAllow);
        for (address, expected) in [
            ("10.60.1.133", true),
            ("10.60.1.134", false),
            ("11.0.0.1", true),
            ("2001:db8:ffff::1", false),
            ("2001:db9::1", true),
        ] {
            assert_eq!(access.permits(ip(address)), expected, "{address}");
        }
    }

    #[test]
    fn all_and_nobody() {
        assert!(Access::everyone().permits(ip("192.0.2.1")));
        assert!(access("", "", Order::AllowDeny).permits(ip("::1")));
        assert!(access("", "", Order::DenyAllow).permits(ip("::1")));
        assert!(!access("", "ALL", Order::AllowDeny).permits(ip("::1")));
        assert!(!access("", "all", Order::DenyAllow).permits(ip("192.0.2.1")));
        assert!(access("127.0.0.1", "all", Order::DenyAllow).permits(ip("127.0.0.1")));
        assert!(!access("all", "all", Order::AllowDeny).permits(ip("127.0.0.1")));
    }

    #[test]
    fn that_all_may_come_is_known_of_the_lists_without_an_address() {
        for (allow, deny, order, expected) in [
            ("", "", Order::AllowDeny, true),
            ("all", "", Order::AllowDeny, true),
            ("192.0.2.1, all", "", Order::AllowDeny, true),
            ("192.0.2.1", "", Order::AllowDeny, false),
            ("all", "192.0.2.1", Order::AllowDeny, false),
            ("", "", Order::DenyAllow, true),
            ("192.0.2.1", "", Order::DenyAllow, true),
            ("", "192.0.2.1", Order::DenyAllow, false),
        ] {
            assert_eq!(access(allow, deny, order).permits_all(), expected, "{allow:?} {deny:?} {order:?}");
        }
        assert!(Access::everyone().permits_all() && !Access::deny_all().permits_all());
    }

    #[test]
    fn names_of_hosts_are_known_from_addresses_in_both_lists() {
        assert!(!access("192.0.2.1, all", "2001:db8::/32", Order::AllowDeny).has_host_names());
        assert!(access("192.0.2.1, a.example.net", "", Order::AllowDeny).has_host_names());
        assert!(access("", "a.example.net", Order::DenyAllow).has_host_names());
    }

    #[test]
    fn whole_blocks_and_zero_bits() {
        assert!(access("0.0.0.0/0", "", Order::AllowDeny).permits(ip("203.0.113.9")));
        assert!(!access("0.0.0.0/0", "", Order::AllowDeny).permits(ip("2001:db8::1")));
        assert!(access("::/0", "", Order::AllowDeny).permits(ip("2001:db8::1")));
        assert!(access("2001:db8::1", "", Order::AllowDeny).permits(ip("2001:db8::1")));
        assert!(!access("2001:db8::1", "", Order::AllowDeny).permits(ip("2001:db8::2")));
        assert!(access("10.", "", Order::AllowDeny).permits(ip("10.255.0.1")));
    }

    #[test]
    fn host_names_match_what_they_were_resolved_to() {
        let mut access = access("Peer.example.net, gone.example.net", "", Order::AllowDeny);
        assert!(access.has_host_names());
        assert!(!access.permits(ip("198.51.100.7")));
        let lookup = |name: &str| if name == "peer.example.net" { vec![ip("::ffff:198.51.100.7")] } else { vec![] };
        let unknown = access.resolve("adaptor a", &lookup);
        let gone = UnknownHost { of: "adaptor a".into(), name: "gone.example.net".into(), is_denied: false };
        assert_eq!(unknown, [gone]);
        assert!(access.permits(ip("198.51.100.7")));
        assert!(!access.permits(ip("198.51.100.8")));
    }

    #[test]
    fn this_machine_has_its_addresses_by_name() {
        let found = addresses_of("localhost");
        assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback), "{found:?}");
    }

    #[test]
    fn lists_are_told_in_words() {
        let (some, other) = ("192.0.2.1, 198.51.100", "a.example.net");
        for (allow, deny, order, expected) in [
            ("", "", Order::AllowDeny, "everyone"),
            ("", other, Order::AllowDeny, "everyone but a.example.net"),
            (some, "", Order::AllowDeny, "only 192.0.2.1, 198.51.100.0/24"),
            (some, other, Order::AllowDeny, "only 192.0.2.1, 198.51.100.0/24, but never a.example.net"),
            (some, "all", Order::AllowDeny, "nobody"),
            ("all", other, Order::DenyAllow, "everyone"),
            (some, "", Order::DenyAllow, "everyone"),
            ("", "all", Order::DenyAllow, "nobody"),
            (some, "all", Order::DenyAllow, "only 192.0.2.1, 198.51.100.0/24"),
            ("", other, Order::DenyAllow, "everyone but a.example.net"),
            (
                some,
                other,
                Order::DenyAllow,
                "everyone but a.example.net, of which 192.0.2.1, 198.51.100.0/24 may connect all the same",
            ),
        ] {
            assert_eq!(access(allow, deny, order).to_string(), expected, "{allow:?} {deny:?} {order:?}");
        }
    }

    #[test]
    fn a_denied_host_without_an_address_is_told_apart() {
        let mut access = access("", "gone.example.net", Order::DenyAllow);
        let unknown = access.resolve("virtual host v", &|_| vec![]);
        assert!(unknown[0].is_denied);
        assert_eq!(
            unknown[0].to_string(),
            "virtual host v: Deny names the host gone.example.net, which has no address now: nobody is kept out by it"
        );
    }
}
