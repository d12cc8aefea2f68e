//! What a value may be: how it is described, how it is read, and what it is when it is left out.
//!
//! The functions that make a syntax run when introd is compiled: a default that the syntax does not allow does not compile.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use crate::duration::Unit;

/// The longest text of a value that needs no syntax, in bytes.
const MAX_TEXT: usize = 4096;

/// How a value looks in a file.
pub(crate) trait Described {
    /// Whether it is an element with elements of any name in it.
    const IS_TREE: bool = false;

    /// In words, as in "must be ...".
    fn describe(&self) -> String;

    /// The default, as it would stand in the file.
    fn default_text(&self) -> String;
}

/// How a value is read from its text.
pub(crate) trait Syntax: Described {
    /// What it is read into.
    type Value;

    /// Reads a text.
    fn parse(&self, text: &str) -> Result<Self::Value, Wrong>;

    /// What holds where the value is left out, empty, or wrong.
    fn default(&self) -> Self::Value;
}

/// What is wrong with a text.
#[derive(Debug)]
pub(crate) enum Wrong {
    /// It is not what the syntax describes.
    Syntax,
    /// This is wrong with it.
    Because(String),
}

impl From<String> for Wrong {
    fn from(why: String) -> Self {
        Self::Because(why)
    }
}

/// `true` or `false`.
pub(crate) struct Flag(bool);

pub(crate) const fn flag(default: bool) -> Flag {
    Flag(default)
}

impl Described for Flag {
    fn describe(&self) -> String {
        "`true` or `false`".into()
    }

    fn default_text(&self) -> String {
        self.0.to_string()
    }
}

impl Syntax for Flag {
    type Value = bool;

    fn parse(&self, text: &str) -> Result<bool, Wrong> {
        match text {
            _ if text.eq_ignore_ascii_case("true") => Ok(true),
            _ if text.eq_ignore_ascii_case("false") => Ok(false),
            _ => Err(Wrong::Syntax),
        }
    }

    fn default(&self) -> bool {
        self.0
    }
}

/// A whole number.
pub(crate) struct Whole {
    least: usize,
    most: usize,
    default: usize,
}

pub(crate) const fn whole(bounds: RangeInclusive<usize>, default: usize) -> Whole {
    let (least, most) = (*bounds.start(), *bounds.end());
    assert!(least <= default && default <= most, "the default is within the bounds");
    Whole { least, most, default }
}

impl Described for Whole {
    fn describe(&self) -> String {
        format!("a whole number from {} to {}", self.least, self.most)
    }

    fn default_text(&self) -> String {
        self.default.to_string()
    }
}

impl Syntax for Whole {
    type Value = usize;

    fn parse(&self, text: &str) -> Result<usize, Wrong> {
        let number = digits(text).and_then(|number| usize::try_from(number).ok());
        number.filter(|number| (self.least..=self.most).contains(number)).ok_or(Wrong::Syntax)
    }

    fn default(&self) -> usize {
        self.default
    }
}

/// A whole number, or -1 for no limit.
pub(crate) struct Limit {
    most: u64,
    default: Option<u64>,
}

pub(crate) const fn limit(most: u64, default: Option<u64>) -> Limit {
    if let Some(default) = default {
        assert!(default <= most, "the default is within the bounds");
    }
    Limit { most, default }
}

impl Described for Limit {
    fn describe(&self) -> String {
        format!("a whole number from 0 to {}, or -1 for no limit", self.most)
    }

    fn default_text(&self) -> String {
        self.default.map_or_else(|| "-1".into(), |limit| limit.to_string())
    }
}

impl Syntax for Limit {
    type Value = Option<u64>;

    fn parse(&self, text: &str) -> Result<Option<u64>, Wrong> {
        if text == "-1" {
            return Ok(None);
        }
        digits(text).filter(|number| *number <= self.most).map(Some).ok_or(Wrong::Syntax)
    }

    fn default(&self) -> Option<u64> {
        self.default
    }
}

/// A time, as a number of units.
pub(crate) struct Time {
    unit: Unit,
    least: u64,
    most: u64,
    default: u64,
}

pub(crate) const fn seconds(bounds: RangeInclusive<u64>, default: u64) -> Time {
    time(Unit::Seconds, bounds, default)
}

pub(crate) const fn milliseconds(bounds: RangeInclusive<u64>, default: u64) -> Time {
    time(Unit::Milliseconds, bounds, default)
}

const fn time(unit: Unit, bounds: RangeInclusive<u64>, default: u64) -> Time {
    let (least, most) = (*bounds.start(), *bounds.end());
    assert!(least <= default && default <= most, "the default is within the bounds");
    Time { unit, least, most, default }
}

impl Described for Time {
    fn describe(&self) -> String {
        format!("a number of {} from {} to {}", self.unit.name(), self.least, self.most)
    }

    fn default_text(&self) -> String {
        self.default.to_string()
    }
}

impl Syntax for Time {
    type Value = Duration;

    fn parse(&self, text: &str) -> Result<Duration, Wrong> {
        let bounds = self.unit.of(self.least)..=self.unit.of(self.most);
        self.unit.parse(text).filter(|time| bounds.contains(time)).ok_or(Wrong::Syntax)
    }

    fn default(&self) -> Duration {
        self.unit.of(self.default)
    }
}

/// A [`Time`] of which 0 means that there is none.
pub(crate) struct TimeOrNone(Time);

/// From 0 seconds, which is the default and means that there is no such time, to `most`.
pub(crate) const fn seconds_or_none(most: u64, default: u64) -> TimeOrNone {
    TimeOrNone(seconds(0..=most, default))
}

impl Described for TimeOrNone {
    fn describe(&self) -> String {
        self.0.describe()
    }

    fn default_text(&self) -> String {
        self.0.default_text()
    }
}

impl Syntax for TimeOrNone {
    type Value = Option<Duration>;

    fn parse(&self, text: &str) -> Result<Option<Duration>, Wrong> {
        Ok(Some(self.0.parse(text)?).filter(|time| !time.is_zero()))
    }

    fn default(&self) -> Option<Duration> {
        Some(self.0.default()).filter(|time| !time.is_zero())
    }
}

/// One of some words, each with the value that it stands for.
pub(crate) struct Words<T: 'static> {
    words: &'static [(&'static str, T)],
    default: &'static (&'static str, T),
}

/// `default` is one of the words.
pub(crate) const fn words<T>(words: &'static [(&'static str, T)], default: &str) -> Words<T> {
    let mut rest = words;
    while let [first, others @ ..] = rest {
        if is_same(first.0, default) {
            return Words { words, default: first };
        }
        rest = others;
    }
    panic!("the default is one of the words")
}

/// `==` is not for constants.
const fn is_same(a: &str, b: &str) -> bool {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    while let ([x, rest_of_a @ ..], [y, rest_of_b @ ..]) = (a, b) {
        if *x != *y {
            return false;
        }
        (a, b) = (rest_of_a, rest_of_b);
    }
    a.is_empty() && b.is_empty()
}

impl<T> Described for Words<T> {
    fn describe(&self) -> String {
        one_of(self.words.iter().map(|(word, _)| format!("`{word}`")))
    }

    fn default_text(&self) -> String {
        self.default.0.into()
    }
}

impl<T: Copy> Syntax for Words<T> {
    type Value = T;

    fn parse(&self, text: &str) -> Result<T, Wrong> {
        // `Allow, Deny` is one word.
        let text = if text.contains(',') { text.replace(' ', "") } else { text.into() };
        let known = self.words.iter().find(|(word, _)| word.eq_ignore_ascii_case(&text));
        known.map(|(_, value)| *value).ok_or(Wrong::Syntax)
    }

    fn default(&self) -> T {
        self.default.1
    }
}

/// Any text.
pub(crate) struct Text(&'static str);

pub(crate) const fn text(default: &'static str) -> Text {
    Text(default)
}

impl Described for Text {
    fn describe(&self) -> String {
        format!("a text of at most {MAX_TEXT} bytes")
    }

    fn default_text(&self) -> String {
        self.0.into()
    }
}

impl Syntax for Text {
    type Value = String;

    fn parse(&self, text: &str) -> Result<String, Wrong> {
        short(text).map(str::to_owned)
    }

    fn default(&self) -> String {
        self.0.into()
    }
}

/// A file or folder as it stands there, or none. A relative one counts from the folder that holds `conf`.
pub(crate) struct FilePath(&'static str);

pub(crate) const fn path(default: &'static str) -> FilePath {
    FilePath(default)
}

impl Described for FilePath {
    fn describe(&self) -> String {
        format!("a path of at most {MAX_TEXT} bytes")
    }

    fn default_text(&self) -> String {
        self.0.into()
    }
}

impl Syntax for FilePath {
    type Value = Option<PathBuf>;

    fn parse(&self, text: &str) -> Result<Option<PathBuf>, Wrong> {
        Ok(Some(short(text)?).filter(|text| !text.is_empty()).map(PathBuf::from))
    }

    fn default(&self) -> Option<PathBuf> {
        Some(self.0).filter(|text| !text.is_empty()).map(PathBuf::from)
    }
}

/// Several of them, separated by `;`.
pub(crate) struct FilePaths(&'static str);

pub(crate) const fn paths(default: &'static str) -> FilePaths {
    FilePaths(default)
}

impl FilePaths {
    fn split(text: &str) -> Vec<PathBuf> {
        text.split(';').map(str::trim).filter(|path| !path.is_empty()).map(PathBuf::from).collect()
    }
}

impl Described for FilePaths {
    fn describe(&self) -> String {
        format!("paths separated by `;`, of at most {MAX_TEXT} bytes")
    }

    fn default_text(&self) -> String {
        self.0.into()
    }
}

impl Syntax for FilePaths {
    type Value = Vec<PathBuf>;

    fn parse(&self, text: &str) -> Result<Vec<PathBuf>, Wrong> {
        short(text).map(Self::split)
    }

    fn default(&self) -> Vec<PathBuf> {
        Self::split(self.0)
    }
}

/// An IP address, or none.
pub(crate) struct Address;

impl Described for Address {
    fn describe(&self) -> String {
        "an IP address".into()
    }

    fn default_text(&self) -> String {
        String::new()
    }
}

impl Syntax for Address {
    type Value = Option<IpAddr>;

    fn parse(&self, text: &str) -> Result<Option<IpAddr>, Wrong> {
        text.parse().map(Some).map_err(|_| Wrong::Syntax)
    }

    fn default(&self) -> Option<IpAddr> {
        None
    }
}

/// Numbers out of a set, separated by commas; each once, in the order given.
pub(crate) struct Numbers {
    allowed: &'static [u64],
    default: &'static [u64],
}

pub(crate) const fn numbers(allowed: &'static [u64], default: &'static [u64]) -> Numbers {
    let mut rest = default;
    while let [first, others @ ..] = rest {
        assert!(is_among(*first, allowed), "the default is allowed");
        rest = others;
    }
    Numbers { allowed, default }
}

/// `contains` is not for constants.
const fn is_among(number: u64, mut numbers: &[u64]) -> bool {
    while let [first, others @ ..] = numbers {
        if *first == number {
            return true;
        }
        numbers = others;
    }
    false
}

impl Described for Numbers {
    fn describe(&self) -> String {
        format!("{}, separated by commas", one_of(self.allowed.iter().map(u64::to_string)))
    }

    fn default_text(&self) -> String {
        self.default.iter().map(u64::to_string).collect::<Vec<_>>().join(",")
    }
}

impl Syntax for Numbers {
    type Value = Vec<u64>;

    fn parse(&self, text: &str) -> Result<Vec<u64>, Wrong> {
        let mut numbers = Vec::new();
        for number in text.split(',') {
            let number = digits(number.trim()).filter(|number| self.allowed.contains(number)).ok_or(Wrong::Syntax)?;
            if numbers.contains(&number) {
                return Err(Wrong::Syntax);
            }
            numbers.push(number);
        }
        Ok(numbers)
    }

    fn default(&self) -> Vec<u64> {
        self.default.to_vec()
    }
}

/// Elements of any name, for a script or a plugin to read.
pub(crate) struct Tree;

impl Described for Tree {
    const IS_TREE: bool = true;

    fn describe(&self) -> String {
        "elements of any name".into()
    }

    fn default_text(&self) -> String {
        String::new()
    }
}

/// `a`, `b` or `c`.
pub(crate) fn one_of(words: impl Iterator<Item = String>) -> String {
    let words: Vec<_> = words.collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

/// Only digits: no sign, no space.
fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn short(text: &str) -> Result<&str, Wrong> {
    if text.len() <= MAX_TEXT { Ok(text) } else { Err(Wrong::Syntax) }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn a_default_that_is_not_allowed_ends_the_compilation() {
        // Called here while the program runs, these panic; the keys call them while it is compiled.
        assert!(catch_unwind(|| whole(1..=64, 0)).is_err());
        assert!(catch_unwind(|| limit(64, Some(65))).is_err());
        assert!(catch_unwind(|| seconds(5..=300, 301)).is_err());
        assert!(catch_unwind(|| numbers(&[2, 5], &[2, 14])).is_err());
        assert!(catch_unwind(|| words(&[("deny", 1), ("ignore", 2)], "den")).is_err());
        assert_eq!(words(&[("deny", 1), ("ignore", 2)], "ignore").default(), 2);
    }
}
