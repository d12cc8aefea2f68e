//! Who may come in: Allow, Deny and Order.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};

use super::view::{View, shown_value};

/// The most rules in one list.
const MOST_RULES: usize = 4096;

/// Which of the two lists has the last word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Refused is who is denied, or not allowed. Without a list of allowed ones, all are allowed.
    AllowDeny,
    /// Refused is who is denied and not allowed. Without a list of allowed ones, nobody is allowed in particular.
    DenyAllow,
}

impl Order {
    fn permits(self, allowed: bool, denied: bool) -> bool {
        match self {
            Self::AllowDeny => allowed && !denied,
            Self::DenyAllow => allowed || !denied,
        }
    }

    /// The list of allowed ones that holds where that list stands in the file, which may be left out or empty.
    fn allowed<T>(self, list: Vec<T>, all: T) -> Vec<T> {
        if list.is_empty() && self == Self::AllowDeny { vec![all] } else { list }
    }
}

/// Addresses let in and kept out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    allow: Vec<Rule>,
    deny: Vec<Rule>,
    order: Order,
}

/// Some addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    All,
    Block {
        first: IpAddr,
        bits: u8,
    },
    /// A host's name and the addresses that it had when it was looked up.
    Host {
        name: String,
        addresses: Vec<IpAddr>,
    },
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
    fn new(allow: Vec<Rule>, deny: Vec<Rule>, order: Order) -> Self {
        Self { allow: order.allowed(allow, Rule::All), deny, order }
    }

    /// Everyone may come.
    pub fn everyone() -> Self {
        Self::new(Vec::new(), Vec::new(), Order::AllowDeny)
    }

    /// Nobody may come.
    pub fn nobody() -> Self {
        Self { allow: Vec::new(), deny: vec![Rule::All], order: Order::AllowDeny }
    }

    /// The elements Allow, Deny and Order.
    pub(super) fn read(view: &View<'_>, parent: &str) -> Self {
        let rules = |name: &str| view.parsed(&format!("{parent}{name}"), |_, text| parse_rules(text).map_err(Some));
        Self::new(rules("Allow"), rules("Deny"), read_order(view, parent))
    }

    /// As [`Self::read`], for clients: an element Allow with nothing in it may be meant to shut everybody out, and does not.
    pub(super) fn read_for_clients(view: &View<'_>) -> Self {
        let access = Self::read(view, "");
        if access.order == Order::AllowDeny {
            let message = "Allow is empty, which allows everyone, as it does on Adobe's servers; to keep everyone out, write `all` into Deny";
            view.warning_if_empty("Allow", message);
        }
        access
    }

    /// Whether that address may come in. An IPv4 address inside an IPv6 one counts as what it is.
    pub fn permits(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        let names = |rules: &[Rule]| rules.iter().any(|rule| rule.names(ip));
        self.order.permits(names(&self.allow), names(&self.deny))
    }

    /// Whether nobody at all is kept out, as far as can be told without knowing an address.
    pub fn lets_everyone_in(&self) -> bool {
        self.deny.is_empty() && (self.order == Order::DenyAllow || self.allow.contains(&Rule::All))
    }

    /// Looks up the hosts that stand there by name, which may take seconds; until then they match nothing. `of` says what these
    /// rules belong to. Gives back the names that have no address now.
    pub fn resolve(&mut self, of: &str) -> Vec<UnknownHost> {
        self.resolve_with(of, |name| {
            (name, 0).to_socket_addrs().into_iter().flatten().map(|address| address.ip()).collect()
        })
    }

    fn resolve_with(&mut self, of: &str, lookup: impl Fn(&str) -> Vec<IpAddr>) -> Vec<UnknownHost> {
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

    /// Whether hosts stand there by name: then [`Self::resolve`] has work to do.
    pub fn has_host_names(&self) -> bool {
        self.allow.iter().chain(&self.deny).any(|rule| matches!(rule, Rule::Host { .. }))
    }
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
            (Order::DenyAllow, false) => write!(f, "everyone but {deny}, of whom {allow} may come all the same"),
        }
    }
}

impl Rule {
    fn names(&self, ip: IpAddr) -> bool {
        match self {
            Self::All => true,
            Self::Block { first, bits } => match (first, ip) {
                (IpAddr::V4(first), IpAddr::V4(ip)) => {
                    masked(first.to_bits().into(), 96 + bits) == masked(ip.to_bits().into(), 96 + bits)
                }
                (IpAddr::V6(first), IpAddr::V6(ip)) => masked(first.to_bits(), *bits) == masked(ip.to_bits(), *bits),
                _ => false,
            },
            Self::Host { addresses, .. } => addresses.contains(&ip),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("all") {
            return Ok(Self::All);
        }
        if let Some((address, bits)) = text.split_once('/') {
            let first: IpAddr =
                address.parse().map_err(|_| format!("`{}` begins with no IP address", shown_value(text)))?;
            let most = if first.is_ipv4() { 32 } else { 128 };
            let bits = bits.parse().ok().filter(|bits| *bits <= most);
            let bits =
                bits.ok_or_else(|| format!("`{}` must end with a number of bits from 0 to {most}", shown_value(text)))?;
            if Self::first_of(first, bits) != first {
                return Err(format!(
                    "`{text}` has bits set behind the first {bits}; did you mean {}/{bits}?",
                    Self::first_of(first, bits)
                ));
            }
            return Ok(Self::Block { first, bits });
        }
        if let Ok(first) = text.parse::<IpAddr>() {
            return Ok(Self::Block { first, bits: if first.is_ipv4() { 32 } else { 128 } });
        }
        Self::parse_partial(text).or_else(|| Self::parse_host(text)).ok_or_else(|| {
            format!(
                "`{}` is neither a host name, a whole or partial IP address, a CIDR block nor `all`",
                shown_value(text)
            )
        })
    }

    /// `10.60` and `10.60.`: the addresses that begin so.
    fn parse_partial(text: &str) -> Option<Self> {
        let mut octets = [0; 4];
        let mut count = 0;
        for part in text.strip_suffix('.').unwrap_or(text).split('.') {
            *octets.get_mut(count)? = part.parse().ok().filter(|_| part.bytes().all(|byte| byte.is_ascii_digit()))?;
            count += 1;
        }
        Some(Self::Block { first: Ipv4Addr::from(octets).into(), bits: u8::try_from(count * 8).ok()? })
    }

    fn parse_host(text: &str) -> Option<Self> {
        let is_label = |label: &str| {
            (1..=63).contains(&label.len()) && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        };
        // A name whose last label is a number is a mistyped address.
        let is_host = text.len() <= 253
            && text.split('.').all(is_label)
            && text.rsplit('.').next().is_some_and(|label| !label.bytes().all(|byte| byte.is_ascii_digit()));
        is_host.then(|| Self::Host { name: text.to_ascii_lowercase(), addresses: Vec::new() })
    }

    fn first_of(address: IpAddr, bits: u8) -> IpAddr {
        match address {
            // The shift leaves 32 bits of which none is lost.
            IpAddr::V4(ip) => Ipv4Addr::from_bits(masked(ip.to_bits().into(), 96 + bits) as u32).into(),
            IpAddr::V6(ip) => Ipv6Addr::from_bits(masked(ip.to_bits(), bits)).into(),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Block { first, bits } if *bits == if first.is_ipv4() { 32 } else { 128 } => write!(f, "{first}"),
            Self::Block { first, bits } => write!(f, "{first}/{bits}"),
            Self::Host { name, .. } => f.write_str(name),
        }
    }
}

/// The first bits of an address, the others zero.
fn masked(address: u128, bits: u8) -> u128 {
    let mask = u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0);
    address & mask
}

fn read_order(view: &View<'_>, parent: &str) -> Order {
    view.parsed(&format!("{parent}Order"), |_, text| match text.replace(' ', "").to_ascii_lowercase().as_str() {
        "allow,deny" => Ok(Order::AllowDeny),
        "deny,allow" => Ok(Order::DenyAllow),
        _ => Err(None),
    })
}

fn parse_rules(text: &str) -> Result<Vec<Rule>, String> {
    let rules: Vec<Rule> = text
        .split(',')
        .map(str::trim)
        .filter(|rule| !rule.is_empty())
        .take(MOST_RULES + 1)
        .map(Rule::parse)
        .collect::<Result<_, _>>()?;
    if rules.len() > MOST_RULES { Err(format!("more than {MOST_RULES} rules")) } else { Ok(rules) }
}

/// Names let in and kept out: the commands of the administration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAccess {
    allow: Vec<String>,
    deny: Vec<String>,
    order: Order,
}

impl NameAccess {
    fn new(allow: Vec<String>, deny: Vec<String>, order: Order) -> Self {
        Self { allow: order.allowed(allow, "all".to_owned()), deny, order }
    }

    /// The elements Allow, Deny and Order. Where none of the three stands, `ping` is let in and nothing else.
    pub(super) fn read(view: &View<'_>, parent: &str) -> Self {
        let names = |name: &str| view.parsed(&format!("{parent}{name}"), |_, text| parse_names(text).map_err(Some));
        if ["Allow", "Deny", "Order"].iter().any(|name| view.stands(&format!("{parent}{name}"))) {
            Self::new(names("Allow"), names("Deny"), read_order(view, parent))
        } else {
            Self::new(vec!["ping".to_owned()], vec!["all".to_owned()], Order::DenyAllow)
        }
    }

    /// Whether that name is let in. Case does not count.
    pub fn permits(&self, name: &str) -> bool {
        let names = |list: &[String]| list.iter().any(|known| known == "all" || known.eq_ignore_ascii_case(name));
        self.order.permits(names(&self.allow), names(&self.deny))
    }
}

fn parse_names(text: &str) -> Result<Vec<String>, String> {
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    let is_name = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    names
        .map(|name| {
            is_name(name)
                .then(|| name.to_ascii_lowercase())
                .ok_or_else(|| format!("`{}` is not a command's name", shown_value(name)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(allow: &str, deny: &str, order: Order) -> Access {
        Access::new(parse_rules(allow).unwrap(), parse_rules(deny).unwrap(), order)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn allow_then_deny_lets_in_the_allowed_who_are_not_denied() {
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
    fn deny_then_allow_keeps_out_the_denied_who_are_not_allowed() {
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
        let unknown = access.resolve_with("adaptor a", lookup);
        let gone = UnknownHost { of: "adaptor a".into(), name: "gone.example.net".into(), is_denied: false };
        assert_eq!(unknown, [gone]);
        assert!(access.permits(ip("198.51.100.7")));
        assert!(!access.permits(ip("198.51.100.8")));
    }

    #[test]
    fn a_denied_host_without_an_address_is_told_apart() {
        let mut access = access("", "gone.example.net", Order::DenyAllow);
        let unknown = access.resolve_with("virtual host v", |_| vec![]);
        assert!(unknown[0].is_denied);
        assert_eq!(
            unknown[0].to_string(),
            "virtual host v: Deny names the host gone.example.net, which has no address now: nobody is kept out by it"
        );
    }

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
            assert!(text == "-" || parse_rules(text).is_err(), "{text}");
        }
        assert!(parse_rules(&"a,".repeat(MOST_RULES + 1)).is_err());
    }

    #[test]
    fn commands_by_name() {
        let names =
            |allow, deny, order| NameAccess::new(parse_names(allow).unwrap(), parse_names(deny).unwrap(), order);
        let shipped = names("ping", "All", Order::DenyAllow);
        assert!(shipped.permits("ping"));
        assert!(shipped.permits("Ping"));
        assert!(!shipped.permits("getServerStats"));
        assert!(names("all", "stopServer", Order::AllowDeny).permits("getApps"));
        assert!(!names("all", "stopServer", Order::AllowDeny).permits("stopServer"));
    }
}
