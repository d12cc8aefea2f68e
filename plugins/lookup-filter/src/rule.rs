//! Rules, and the lookups that they match.

use std::net::IpAddr;
use std::sync::Arc;

use introd_plugin::PeerId;

use crate::config::{Action, RuleSettings};
use crate::list::{ListError, ListFile};
use crate::range::AddressRange;

/// What rules know about a lookup.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LookupFacts<'a> {
    pub target: Option<PeerId>,
    /// `None` if the asker is not a client of this server.
    pub asker: Option<PeerId>,
    /// The address that the lookup came from.
    pub address: IpAddr,
    pub application: &'a str,
}

/// A value, or a file with many of them.
#[derive(Debug)]
enum OneOf<T> {
    Value(T),
    List(Arc<ListFile>),
}

/// A rule: what it matches, and what happens then.
#[derive(Debug)]
pub(crate) struct Rule {
    action: Action,
    target: Option<OneOf<PeerId>>,
    asker: Option<OneOf<PeerId>>,
    address: Option<OneOf<AddressRange>>,
    application: Option<OneOf<String>>,
}

/// Makes the rules of a configuration. `list` opens the files that they name.
///
/// # Errors
/// What is wrong with which rule.
pub(crate) fn rules(
    settings: &[RuleSettings],
    mut list: impl FnMut(&str) -> Result<Arc<ListFile>, ListError>,
) -> Result<Vec<Rule>, String> {
    let rules = settings
        .iter()
        .enumerate()
        .map(|(place, rule)| Rule::new(rule, &mut list).map_err(|error| format!("rule {}: {error}", place + 1)));
    rules.collect()
}

impl Rule {
    fn new(
        settings: &RuleSettings,
        list: &mut impl FnMut(&str) -> Result<Arc<ListFile>, ListError>,
    ) -> Result<Self, String> {
        let mut one_of = |text: &Option<String>| match text.as_deref().map(str::trim) {
            None => Ok(None),
            Some(text) => match text.strip_prefix('@') {
                Some(file) => list(file.trim()).map(|list| Some(OneOf::List(list))).map_err(|error| error.to_string()),
                None => Ok(Some(OneOf::Value(text.to_owned()))),
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
                AddressRange::parse(&text).ok_or_else(|| format!("{text} is no address and no block like 192.0.2.0/24"))
            })?,
            application: one_of(&settings.application)?,
        })
    }

    pub(crate) fn action(&self) -> Action {
        self.action
    }

    pub(crate) fn matches(&self, lookup: &LookupFacts<'_>) -> bool {
        matches_peer(&self.target, lookup.target)
            && matches_peer(&self.asker, lookup.asker)
            && match &self.address {
                None => true,
                Some(OneOf::Value(range)) => range.contains(lookup.address),
                Some(OneOf::List(list)) => list.with(|entries| entries.has_address(lookup.address)),
            }
            && match &self.application {
                None => true,
                Some(OneOf::Value(application)) => application == lookup.application,
                Some(OneOf::List(list)) => list.with(|entries| entries.has_text(lookup.application)),
            }
    }
}

fn read<T>(
    value: Option<OneOf<String>>,
    read: impl FnOnce(String) -> Result<T, String>,
) -> Result<Option<OneOf<T>>, String> {
    Ok(match value {
        None => None,
        Some(OneOf::Value(text)) => Some(OneOf::Value(read(text)?)),
        Some(OneOf::List(list)) => Some(OneOf::List(list)),
    })
}

fn matches_peer(wanted: &Option<OneOf<PeerId>>, peer: Option<PeerId>) -> bool {
    match wanted {
        None => true,
        Some(OneOf::Value(wanted)) => peer == Some(*wanted),
        Some(OneOf::List(list)) => peer.is_some_and(|peer| list.with(|entries| entries.has_peer(&peer))),
    }
}

#[cfg(test)]
mod tests {
    use introd_plugin::Config;

    use super::*;
    use crate::config::Settings;

    fn parse(xml: &str) -> Result<Vec<Rule>, String> {
        let settings: Settings = Config::new(xml, "").parse().map_err(|error| error.to_string())?;
        rules(&settings.rules, |path| ListFile::read(path.into()).map(Arc::new))
    }

    fn asked(target: u8, asker: Option<u8>, address: &str, application: &'static str) -> LookupFacts<'static> {
        let peer = |number| PeerId([number; 32]);
        LookupFacts {
            target: Some(peer(target)),
            asker: asker.map(peer),
            address: address.parse().unwrap(),
            application,
        }
    }

    #[test]
    fn all_that_a_rule_names_must_match() {
        let xml = format!(
            "<Config><rule><action>deny</action><target>{}</target><address>192.0.2.0/24</address></rule>\
             <rule><action>ignore</action><asker>{}</asker><application>chat</application></rule></Config>",
            PeerId([1; 32]),
            PeerId([2; 32])
        );
        let rules = parse(&xml).unwrap();
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
            let error = parse(xml).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn lists_are_read_anew_when_they_have_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
        std::fs::write(&path, format!("# banned\n{}\n\n198.51.100.0/24\nchat\n", PeerId([5; 32]))).unwrap();
        let xml = format!("<Config><rule><action>deny</action><asker>@{}</asker></rule></Config>", path.display());
        let settings: Settings = Config::new(&xml, "").parse().unwrap();
        let mut lists = Vec::new();
        let rules = rules(&settings.rules, |path| {
            let list = Arc::new(ListFile::read(path.into())?);
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
