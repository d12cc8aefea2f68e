//! The plugin that filters lookups, behind the tables of the ABI.

use introd_config::XmlSettings;
use introd_policy::Verdict;
use introd_tests::folder::Folder;
use introd_tests::libraries::library;

use crate::bench::Bench;

/// An element with these children; a child without children is a text.
fn element(children: Vec<(&str, XmlSettings)>) -> XmlSettings {
    let children = children.into_iter().map(|(name, child)| (name.to_owned(), child)).collect();
    XmlSettings { text: String::new(), children }
}

fn text(text: &str) -> XmlSettings {
    XmlSettings { text: text.to_owned(), children: Vec::new() }
}

fn rule(action: &str, conditions: &[(&str, &str)]) -> (&'static str, XmlSettings) {
    let conditions = conditions.iter().map(|(name, value)| (*name, text(value)));
    ("rule", element([("action", text(action))].into_iter().chain(conditions).collect()))
}

fn rate(settings: &[(&str, &str)]) -> (&'static str, XmlSettings) {
    ("rate", element(settings.iter().map(|(name, value)| (*name, text(value))).collect()))
}

fn filter(children: Vec<(&str, XmlSettings)>) -> Result<Bench, String> {
    Bench::with(library("lookup-filter"), element(children)).map_err(|error| error.to_string())
}

/// The id of the peer whose first byte that is.
fn peer(byte: u8) -> String {
    format!("{byte:02x}{}", "00".repeat(31))
}

#[test]
fn the_first_rule_that_matches_decides_and_else_the_default() {
    // The lookups of this bench come from 192.0.2.77, for the application "app", of no client.
    let first = peer(1);
    let verdicts = |rules: Vec<(&'static str, XmlSettings)>| {
        let bench = filter(rules).unwrap();
        [1, 2].map(|target| bench.verdict(target))
    };
    let (go_on, deny, ignore) = (Verdict::Continue, Verdict::Deny(None), Verdict::Ignore);
    let target = [("target", first.as_str())];
    assert_eq!(verdicts(vec![]), [go_on.clone(), go_on.clone()]);
    assert_eq!(verdicts(vec![rule("deny", &target)]), [deny.clone(), go_on.clone()]);
    assert_eq!(verdicts(vec![rule("ignore", &target), rule("deny", &[])]), [ignore.clone(), deny.clone()]);
    assert_eq!(verdicts(vec![rule("deny", &[]), rule("ignore", &target)]), [deny.clone(), deny.clone()]);
    assert_eq!(verdicts(vec![rule("allow", &target), ("default", text("ignore"))]), [go_on.clone(), ignore]);
    for (condition, value, matches) in [
        ("address", "192.0.2.0/24", true),
        ("address", "192.0.2.78", false),
        ("application", "app", true),
        ("application", "ap", false),
        // The asker is no client.
        ("asker", &first, false),
    ] {
        let expected = if matches { &deny } else { &go_on };
        let verdict = &verdicts(vec![rule("deny", &[(condition, value)])])[0];
        assert_eq!(verdict, expected, "{condition} {value}");
    }
}

#[test]
fn lookups_beyond_the_rate_are_refused_and_only_what_is_allowed_counts() {
    let slow = [("per-second", "0.001"), ("burst", "2")];
    for (action, expected) in
        [(None, Verdict::Deny(None)), (Some("ignore"), Verdict::Ignore), (Some("allow"), Verdict::Continue)]
    {
        let settings = slow.into_iter().chain(action.map(|action| ("action", action))).collect::<Vec<_>>();
        let bench = filter(vec![rule("deny", &[("target", &peer(1))]), rate(&settings)]).unwrap();
        // What a rule denies takes no token, nor does what is asked a second time.
        assert_eq!(
            [1, 1, 1].map(|target| bench.verdict(target)),
            [Verdict::Deny(None), Verdict::Deny(None), Verdict::Deny(None)]
        );
        assert_eq!(bench.verdict(2), Verdict::Continue);
        assert_eq!(bench.verdict_again(2), Verdict::Continue);
        assert_eq!(
            [2, 2, 2].map(|target| bench.verdict(target)),
            [Verdict::Continue, expected.clone(), expected.clone()]
        );
        assert_eq!(bench.verdict_again(2), Verdict::Continue);
        assert_eq!(["denied", "ignored", "over_rate"].map(|name| bench.metric(name)), [3, 0, 2]);
    }
    let ignoring = filter(vec![rule("ignore", &[])]).unwrap();
    ignoring.verdict(1);
    assert_eq!(["denied", "ignored", "over_rate"].map(|name| ignoring.metric(name)), [0, 1, 0]);
}

#[test]
fn a_rate_that_makes_no_sense_is_refused() {
    for (per_second, is_taken) in
        [("0", false), ("-1", false), ("NaN", false), ("1000000", true), ("1000001", false), ("0.5", true)]
    {
        let made = filter(vec![rate(&[("per-second", per_second)])]);
        assert_eq!(made.is_ok(), is_taken, "{per_second}");
        if let Err(error) = made {
            assert!(error.contains("must be a number above 0 and up to 1000000"), "{error}");
        }
    }
    // One lookup in two seconds, and a burst of none: the first is permitted all the same.
    for settings in [&[("per-second", "0.0001")][..], &[("per-second", "0.0001"), ("burst", "0")]] {
        let bench = filter(vec![rate(settings)]).unwrap();
        assert_eq!([2, 2].map(|target| bench.verdict(target)), [Verdict::Continue, Verdict::Deny(None)]);
    }
}

#[test]
fn a_list_that_two_rules_name_is_read_again_when_it_changes() {
    let folder = Folder::new();
    let path = folder.join("list");
    std::fs::write(&path, peer(1)).unwrap();
    let list = format!("@{}", path.display());
    let bench = filter(vec![rule("deny", &[("target", &list)]), rule("ignore", &[("asker", &list)])]).unwrap();
    assert_eq!([1, 2].map(|target| bench.verdict(target)), [Verdict::Deny(None), Verdict::Continue]);
    std::fs::write(&path, format!("{}\n{}\n", peer(2), peer(3))).unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while bench.verdict(2) != Verdict::Deny(None) {
        assert!(std::time::Instant::now() < deadline, "the list is not read again");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert_eq!(bench.verdict(1), Verdict::Continue);
}
