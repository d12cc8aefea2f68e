//! Rules.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use introd_plugin::PeerId;
use serde::Deserialize;

use crate::config::RuleSettings;
use crate::list::{ListError, Watched};

/// What happens to a lookup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    /// Whoever is next decides.
    #[default]
    Allow,
    /// No, counted.
    Deny,
    /// Silence.
    Ignore,
}

/// A lookup, as rules see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// Who is looked for.
    pub target: Option<PeerId>,
    /// Who looks, if it is a client.
    pub asker: Option<PeerId>,
    /// Where from.
    pub address: IpAddr,
    /// The application.
    pub application: &'a str,
}

/// A block of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    first: u128,
    bits: u32,
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().into(),
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address)).into(),
    }
}

impl Range {
    /// `192.0.2.0/24`, `2001:db8::/32`, or one address.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.trim().parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) => bits.trim().parse().ok().filter(|bits| *bits <= most)?,
        };
        let bits = if address.is_ipv4() { bits + 96 } else { bits };
        Some(Self { first: number(address) & mask(bits), bits })
    }

    pub(crate) fn contains(self, address: IpAddr) -> bool {
        number(address) & mask(self.bits) == self.first
    }
}

fn mask(bits: u32) -> u128 {
    u128::MAX.checked_shl(128 - bits).unwrap_or(0)
}

/// A value, or a file of them.
#[derive(Debug)]
enum OneOf<T> {
    This(T),
    List(Arc<Watched>),
}

/// A rule.
#[derive(Debug)]
pub(crate) struct Rule {
    action: Action,
    target: Option<OneOf<PeerId>>,
    asker: Option<OneOf<PeerId>>,
    address: Option<OneOf<Range>>,
    application: Option<OneOf<String>>,
}

impl Rule {
    pub(crate) fn new(
        settings: &RuleSettings,
        list: &mut impl FnMut(&str) -> Result<Arc<Watched>, ListError>,
    ) -> Result<Self, String> {
        let mut one_of = |text: &Option<String>| match text.as_deref().map(str::trim) {
            None => Ok(None),
            Some(text) => match text.strip_prefix('@') {
                Some(file) => list(file.trim()).map(|list| Some(OneOf::List(list))).map_err(|error| error.to_string()),
                None => Ok(Some(OneOf::This(text.to_owned()))),
            },
        };
        let peer = |value: Option<OneOf<String>>| {
            read(value, |text| text.parse().map_err(|error| format!("{text} is {error}")))
        };
        Ok(Self {
            action: settings.action,
            target: peer(one_of(&settings.target)?)?,
            asker: peer(one_of(&settings.asker)?)?,
            address: read(one_of(&settings.address)?, |text| {
                Range::parse(&text).ok_or_else(|| format!("{text} is no address and no block like 192.0.2.0/24"))
            })?,
            application: one_of(&settings.application)?,
        })
    }

    pub(crate) fn action(&self) -> Action {
        self.action
    }

    pub(crate) fn matches(&self, asked: &Asked<'_>) -> bool {
        matches_peer(&self.target, asked.target)
            && matches_peer(&self.asker, asked.asker)
            && match &self.address {
                None => true,
                Some(OneOf::This(range)) => range.contains(asked.address),
                Some(OneOf::List(list)) => list.with(|entries| entries.has_address(asked.address)),
            }
            && match &self.application {
                None => true,
                Some(OneOf::This(application)) => application == asked.application,
                Some(OneOf::List(list)) => list.with(|entries| entries.has_text(asked.application)),
            }
    }
}

fn read<T>(
    value: Option<OneOf<String>>,
    read: impl FnOnce(String) -> Result<T, String>,
) -> Result<Option<OneOf<T>>, String> {
    Ok(match value {
        None => None,
        Some(OneOf::This(text)) => Some(OneOf::This(read(text)?)),
        Some(OneOf::List(list)) => Some(OneOf::List(list)),
    })
}

fn matches_peer(wanted: &Option<OneOf<PeerId>>, peer: Option<PeerId>) -> bool {
    match wanted {
        None => true,
        Some(OneOf::This(wanted)) => peer == Some(*wanted),
        Some(OneOf::List(list)) => peer.is_some_and(|peer| list.with(|entries| entries.has_peer(&peer))),
    }
}

#[cfg(test)]
mod tests {
    use introd_plugin::Config;

    use super::*;
    use crate::config::Settings;

    fn rules(xml: &str) -> Result<Vec<Rule>, String> {
        let settings: Settings = Config::new(xml, "").parse().map_err(|error| error.to_string())?;
        settings.rules(|path| Watched::read(path.into()).map(Arc::new))
    }

    fn asked(target: u8, asker: Option<u8>, address: &str, application: &'static str) -> Asked<'static> {
        let peer = |number| PeerId([number; 32]);
        Asked { target: Some(peer(target)), asker: asker.map(peer), address: address.parse().unwrap(), application }
    }

    #[test]
    fn all_that_a_rule_names_must_match() {
        let xml = format!(
            "<Config><rule><action>deny</action><target>{}</target><address>192.0.2.0/24</address></rule>\
             <rule><action>ignore</action><asker>{}</asker><application>chat</application></rule></Config>",
            PeerId([1; 32]),
            PeerId([2; 32])
        );
        let rules = rules(&xml).unwrap();
        let [deny, ignore] = &rules[..] else { panic!("{rules:?}") };
        assert!(deny.matches(&asked(1, None, "192.0.2.9", "x")));
        assert!(deny.matches(&asked(1, None, "::ffff:192.0.2.9", "x")));
        assert!(!deny.matches(&asked(1, None, "192.0.3.9", "x")));
        assert!(!deny.matches(&asked(3, None, "192.0.2.9", "x")));
        assert!(ignore.matches(&asked(1, Some(2), "192.0.2.9", "chat")));
        assert!(!ignore.matches(&asked(1, None, "192.0.2.9", "chat")));
        assert!(!ignore.matches(&asked(1, Some(2), "192.0.2.9", "chats")));
        assert_eq!((deny.action(), ignore.action()), (Action::Deny, Action::Ignore));
    }

    #[test]
    fn ranges() {
        let range = |text| Range::parse(text);
        assert!(range("2001:db8::/32").unwrap().contains("2001:db8:7::1".parse().unwrap()));
        assert!(!range("2001:db8::/32").unwrap().contains("2001:db9::1".parse().unwrap()));
        assert!(range("0.0.0.0/0").unwrap().contains("255.255.255.255".parse().unwrap()));
        assert!(!range("0.0.0.0/0").unwrap().contains("2001:db8::1".parse().unwrap()));
        assert!(range("::/0").unwrap().contains("192.0.2.1".parse().unwrap()));
        assert!(range("192.0.2.1").unwrap().contains("192.0.2.1".parse().unwrap()));
        for bad in ["", "192.0.2.0/33", "192.0.2/24", "host", "::/129", "192.0.2.0/-1", "192.0.2.0/"] {
            assert_eq!(range(bad), None, "{bad}");
        }
    }

    #[test]
    fn mistakes_are_told() {
        for (xml, what) in [
            ("<Config><rule><action>deny</action><target>abc</target></rule></Config>", "rule 1: abc is not 64"),
            ("<Config><rule><action>deny</action><address>x</address></rule></Config>", "rule 1: x is no address"),
            ("<Config><rule><target>abc</target></rule></Config>", "missing field `action`"),
            ("<Config><rule><action>no</action></rule></Config>", "unknown variant `no`"),
            ("<Config><rules/></Config>", "unknown field `rules`"),
            (
                "<Config><rule><action>deny</action><asker>@/nonexistent/x</asker></rule></Config>",
                "/nonexistent/x: No such",
            ),
        ] {
            let error = rules(xml).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn lists_are_read_anew_when_they_have_changed() {
        let path = std::env::temp_dir().join(format!("introd-lookup-filter-{}", std::process::id()));
        std::fs::write(&path, format!("# banned\n{}\n\n198.51.100.0/24\nchat\n", PeerId([5; 32]))).unwrap();
        let xml = format!("<Config><rule><action>deny</action><asker>@{}</asker></rule></Config>", path.display());
        let settings: Settings = Config::new(&xml, "").parse().unwrap();
        let mut lists = Vec::new();
        let rules = settings.rules(|path| {
            let list = Arc::new(Watched::read(path.into())?);
            lists.push(Arc::clone(&list));
            Ok(list)
        });
        let (rule, list) = (&rules.unwrap()[0], &lists[0]);
        assert!(rule.matches(&asked(1, Some(5), "192.0.2.9", "")));
        assert!(!rule.matches(&asked(1, Some(6), "192.0.2.9", "")));
        assert!(list.with(|entries| entries.has_address("198.51.100.7".parse().unwrap()) && entries.has_text("chat")));
        assert_eq!(list.refresh().unwrap(), None);
        std::fs::write(&path, format!("{}\n", PeerId([6; 32]))).unwrap();
        assert_eq!(list.refresh().unwrap(), Some(1));
        assert!(!rule.matches(&asked(1, Some(5), "192.0.2.9", "")));
        assert!(rule.matches(&asked(1, Some(6), "192.0.2.9", "")));
        std::fs::remove_file(&path).unwrap();
        assert!(list.refresh().is_err(), "told once");
        assert!(list.refresh().unwrap().is_none());
        assert!(rule.matches(&asked(1, Some(6), "192.0.2.9", "")), "the old entries hold");
    }
}
