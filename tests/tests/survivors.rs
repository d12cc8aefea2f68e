//! `tests/mutants/survivors.txt` lists faults that no test notices: of code that is there, each with a reason.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;

/// What is wrong with a line of the list.
fn wrong(line: &str, read: impl Fn(&str) -> Option<String>) -> Option<&'static str> {
    // The name of a fault may have a bar of its own, as in "replace | with &".
    let Some((fault, reason)) = line.rsplit_once(" | ") else { return Some("there is no reason") };
    let Some((path, change)) = fault.split_once(": ") else { return Some("there is no file") };
    let Some(source) = read(path) else { return Some("the file does not exist") };
    // The function that is replaced, or the one that the change is in.
    let named = change.rsplit_once(" in ").map_or(change, |(_, function)| function);
    let named = named.strip_prefix("replace ").unwrap_or(named);
    let named = named.split(" -> ").next().and_then(|name| name.split(" with ").next()).unwrap_or(named);
    let function = named.rsplit("::").next().unwrap_or(named);
    let is_there = source.lines().any(|line| {
        let mut words = line.split(|char: char| !(char.is_alphanumeric() || char == '_'));
        words.any(|word| word == "fn") && words.next() == Some(function)
    });
    let has_reason = reason.split_whitespace().count() >= 3;
    if !is_there {
        Some("the function does not exist")
    } else if !has_reason {
        Some("the reason says nothing")
    } else {
        None
    }
}

#[test]
fn every_survivor_is_of_code_that_is_there_and_has_a_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let list = fs::read_to_string(root.join("tests/mutants/survivors.txt")).expect("the list");
    let read = |path: &str| fs::read_to_string(root.join(path)).ok();
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    let wrong: Vec<String> =
        lines.filter_map(|line| wrong(line, read).map(|problem| format!("{problem}: {line}"))).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn lines_without_code_or_reason_are_noticed() {
    let read = |path: &str| (path == "a.rs").then(|| "impl A {\n    pub fn there(&self) {}\n}".to_owned());
    let problem = |line| wrong(line, read);
    assert_eq!(problem("a.rs: replace < with <= in A::there | both are the same"), None);
    assert_eq!(problem("a.rs: replace | with & in A::there | both are the same"), None);
    assert_eq!(problem("a.rs: replace | with & in A::gone | both are the same"), Some("the function does not exist"));
    assert_eq!(problem("a.rs: replace A::there -> u8 with 0 | it is only shown"), None);
    assert_eq!(problem("a.rs: replace < with <= in A::gone | both are the same"), Some("the function does not exist"));
    assert_eq!(problem("b.rs: replace < with <= in A::there | both are the same"), Some("the file does not exist"));
    assert_eq!(problem("a.rs: replace < with <= in A::there | equal"), Some("the reason says nothing"));
    assert_eq!(problem("a.rs: replace < with <= in A::there"), Some("there is no reason"));
}
