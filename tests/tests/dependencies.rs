//! What the workspace depends on: under which licences, and in how many versions. Works offline, on what Cargo has here.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Licences that let introd be given away under its own, in binaries too, with their notices.
const LICENCES: [&str; 11] = [
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Packages under another licence, and why that is allowed.
const EXCEPTIONS: [(&str, &str, &str); 1] =
    [("cbindgen", "MPL-2.0", "a tool of the tests that check the C header; nothing of it is in what is shipped")];

/// Packages in more than one version, and which package keeps the older ones.
const DUPLICATES: [(&str, &str); 8] = [
    ("darling", "flash-lso, which tests alone use, is at 0.21; a procedural macro of ratatui at build time is newer"),
    ("darling_core", "darling's own"),
    ("darling_macro", "darling's own"),
    ("embedded-io", "postcard can use both; it is built with neither"),
    ("getrandom", "ring, which computes the TLS of registry-redis, is at 0.2"),
    ("syn", "procedural macros move from 2 to 3 one by one; at build time only"),
    ("toml_datetime", "cbindgen's toml; tests only"),
    ("winnow", "cbindgen's toml; tests only"),
];

/// The packages of the lock file that are built for this platform.
fn packages() -> Vec<Value> {
    let metadata = introd_tests::cargo::metadata();
    let nodes = metadata["resolve"]["nodes"].as_array().expect("nodes");
    let used: BTreeSet<&str> = nodes.iter().filter_map(|node| node["id"].as_str()).collect();
    let all = metadata["packages"].as_array().expect("packages");
    let packages: Vec<Value> =
        all.iter().filter(|package| package["id"].as_str().is_some_and(|id| used.contains(id))).cloned().collect();
    assert!(packages.len() > 50, "{} packages", packages.len());
    packages
}

fn text<'a>(package: &'a Value, field: &str) -> &'a str {
    package[field].as_str().unwrap_or_default()
}

/// Is a licence expression (SPDX) satisfied by these licences? `AND` binds closer than `OR`; `/` is an old way to write `OR`.
fn is_allowed(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    any(&words, &mut at, allowed) && at == words.len()
}

fn any(words: &[&str], at: &mut usize, allowed: &[&str]) -> bool {
    let mut result = all(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        result |= all(words, at, allowed);
    }
    result
}

fn all(words: &[&str], at: &mut usize, allowed: &[&str]) -> bool {
    let mut result = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        result &= one(words, at, allowed);
    }
    result
}

fn one(words: &[&str], at: &mut usize, allowed: &[&str]) -> bool {
    let word = words.get(*at).copied().unwrap_or_default();
    *at += 1;
    if word == "(" {
        let result = any(words, at, allowed);
        *at += 1;
        return result;
    }
    // An exception only permits more.
    if words.get(*at) == Some(&"WITH") {
        *at += 2;
    }
    allowed.contains(&word)
}

#[test]
fn every_dependency_is_under_a_licence_that_is_allowed() {
    let mut unused: BTreeSet<&str> = EXCEPTIONS.iter().map(|(name, ..)| *name).collect();
    let mut refused = Vec::new();
    for package in packages() {
        let (name, licence) = (text(&package, "name"), text(&package, "license"));
        if is_allowed(licence, &LICENCES) {
            continue;
        }
        if EXCEPTIONS.iter().any(|(known, of, _)| (*known, *of) == (name, licence)) {
            unused.remove(name);
        } else {
            refused.push(format!("{name}: {licence:?}"));
        }
    }
    assert!(refused.is_empty(), "not among the licences of this test: {refused:?}");
    assert!(unused.is_empty(), "exceptions that nothing needs: {unused:?}");
}

#[test]
fn no_dependency_comes_in_two_versions_without_a_reason() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in packages() {
        versions.entry(text(&package, "name").to_owned()).or_default().insert(text(&package, "version").to_owned());
    }
    versions.retain(|_, versions| versions.len() > 1);
    let found: BTreeSet<&str> = versions.keys().map(String::as_str).collect();
    let known: BTreeSet<&str> = DUPLICATES.iter().map(|(name, _)| *name).collect();
    assert_eq!(found, known, "found, and listed with a reason: {versions:?}");
}

/// The texts in quotes of the list that follows `start` in a file of the workspace.
fn listed(file: &str, start: &str) -> Vec<String> {
    let text = std::fs::read_to_string(introd_tests::cargo::workspace().join(file)).expect(file);
    let (_, list) = text.split_once(start).unwrap_or_else(|| panic!("{file} has {start:?}"));
    let (list, _) = list.split_once("\n]").expect("the list has an end");
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_tools_that_look_at_a_release_go_by_the_same_lists() {
    assert_eq!(listed("deny.toml", "\nallow = ["), LICENCES);
    assert_eq!(listed("packaging/about.toml", "\naccepted = ["), LICENCES);
    // Name and reason by turns. What tests alone use is not in a release.
    let skipped: Vec<_> = listed("deny.toml", "\nskip = [").into_iter().step_by(2).collect();
    assert!(!skipped.is_empty(), "it is read");
    for name in skipped {
        assert!(DUPLICATES.iter().any(|(known, _)| *known == name), "{name} has a reason here");
    }
}

#[test]
fn licence_expressions_are_read_as_spdx_means_them() {
    let allowed = ["MIT", "ISC"];
    for good in
        ["MIT", "GPL-3.0 OR MIT", "MIT/Apache-2.0", "MIT AND ISC", "(GPL-3.0 OR MIT) AND ISC", "MIT WITH X-exception"]
    {
        assert!(is_allowed(good, &allowed), "{good}");
    }
    for bad in ["", "GPL-3.0", "MIT AND GPL-3.0", "GPL-3.0 OR Apache-2.0", "MIT AND (GPL-3.0 OR Apache-2.0)", "MIT MIT"]
    {
        assert!(!is_allowed(bad, &allowed), "{bad}");
    }
}
