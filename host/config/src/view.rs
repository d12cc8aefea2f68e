//! Reads typed values out of a checked tree. What is left out, or wrong, is read from the defaults in the table of the file.

use std::cell::RefCell;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::problem::{Findings, Place, Problem};
use super::schema::{Entry, Kind, Schema};
use super::xml::Element;

/// The longest text of a value that needs no syntax.
const LONGEST_TEXT: usize = 4096;

/// An element, or the lack of one, seen through the table of its file.
pub(super) struct View<'a> {
    schema: &'static Schema,
    /// The path of the element with a slash behind it; empty for the root.
    path: String,
    element: Option<&'a Element>,
    findings: &'a RefCell<Findings>,
}

impl<'a> View<'a> {
    /// The root of a file.
    pub(super) fn new(schema: &'static Schema, root: Option<&'a Element>, findings: &'a RefCell<Findings>) -> Self {
        Self { schema, path: String::new(), element: root, findings }
    }

    /// The elements at a path that ends with `*`.
    pub(super) fn each(&self, path: &str) -> Vec<View<'a>> {
        let (parent, name) = path.trim_end_matches('*').rsplit_once('/').unwrap_or(("", path.trim_end_matches('*')));
        let parent = if parent.is_empty() { self.element } else { self.descend(parent) };
        let children = parent.map(|parent| parent.children.as_slice()).unwrap_or_default();
        children.iter().filter(|child| child.name == name).map(|child| self.at(path, Some(child))).collect()
    }

    /// The element at a path that ends with `*`, as if it stood there with nothing in it.
    pub(super) fn absent(&self, path: &str) -> View<'a> {
        self.at(path, None)
    }

    fn at(&self, path: &str, element: Option<&'a Element>) -> View<'a> {
        View { schema: self.schema, path: format!("{}{path}/", self.path), element, findings: self.findings }
    }

    /// Where the element is.
    pub(super) fn place(&self) -> Option<Place> {
        self.element.map(|element| element.place.clone())
    }

    /// Reports something that must be put right about a value of this element, if it is given.
    pub(super) fn problem(&self, path: &str, message: impl FnOnce(&str) -> String) {
        self.report(path, Problem::error, message);
    }

    /// Reports something that should be known about a value of this element, if it is given.
    pub(super) fn warning(&self, path: &str, message: impl FnOnce(&str) -> String) {
        self.report(path, Problem::warning, message);
    }

    fn report(&self, path: &str, severity: fn(&Place, String) -> Problem, message: impl FnOnce(&str) -> String) {
        let (_, entry) = self.entry(path);
        if let Some((_, place)) = self.find(path) {
            self.findings.borrow_mut().push(severity(place, message(&shown(entry))));
        }
    }

    /// Whether an element stands at that path, if only with nothing in it.
    pub(super) fn stands(&self, path: &str) -> bool {
        let _ = self.entry(path);
        self.descend(path).is_some()
    }

    /// Reports something that should be known about an element that stands there with nothing in it.
    pub(super) fn warning_if_empty(&self, path: &str, message: &str) {
        let _ = self.entry(path);
        if let Some(element) = self.descend(path).filter(|element| element.text.is_empty()) {
            self.findings.borrow_mut().push(Problem::warning(&element.place, message));
        }
    }

    /// Reports that this element cannot do without a value.
    pub(super) fn incomplete(&self, path: &str) {
        let (_, entry) = self.entry(path);
        if let Some(element) = self.element {
            self.findings.borrow_mut().push(Problem::error(&element.place, format!("{} is missing", shown(entry))));
        }
    }

    /// The text at a path and where it is, unless it is left out or empty. An empty path is the element itself.
    pub(super) fn find(&self, path: &str) -> Option<(&'a str, &'a Place)> {
        let (elements, attribute) =
            path.split_once('@').map_or((path, None), |(elements, name)| (elements, Some(name)));
        let element = self.descend(elements)?;
        let (text, place) = match attribute {
            Some(name) => element.attribute(name).map(|attribute| (attribute.value.as_str(), &attribute.place))?,
            None => (element.text.as_str(), &element.text_place),
        };
        (!text.is_empty()).then_some((text, place))
    }

    fn descend(&self, path: &str) -> Option<&'a Element> {
        path.split('/').filter(|name| !name.is_empty()).try_fold(self.element?, |element, name| element.child(name))
    }

    fn entry(&self, path: &str) -> (String, &'static Entry) {
        let full = match path.chars().next() {
            None | Some('@') => format!("{}{path}", self.path.trim_end_matches('/')),
            Some(_) => format!("{}{path}", self.path),
        };
        let Some(entry) = self.schema.entry(&full) else {
            unreachable!("the code asks for {full}, which the table of {} lacks", self.schema.file)
        };
        (full, entry)
    }

    /// Reads a value of any syntax: `parse` gets the text, and says what is wrong with it, or nothing but that it is.
    pub(super) fn parsed<T>(&self, path: &str, parse: impl Fn(&'static Entry, &str) -> Result<T, Option<String>>) -> T {
        let (full, entry) = self.entry(path);
        if let Some((text, place)) = self.find(path) {
            match parse(entry, text) {
                Ok(value) => return value,
                Err(detail) => {
                    // Whatever stands in the file of passwords may be one, in the wrong place: nothing of it is quoted.
                    let parts = || text.split(',').map(|part| shown_value(part.trim())).filter(|part| !part.is_empty());
                    let is_quoting = detail.as_ref().is_none_or(|detail| parts().any(|part| detail.contains(part)));
                    let detail = if self.schema.file == "Users.xml" && is_quoting {
                        Some(format!("must be {}", entry.kind.describe()))
                    } else {
                        detail
                    };
                    let detail = detail.unwrap_or_else(|| must_be(entry.kind, text));
                    let message = format!("{}: {detail}", shown(entry));
                    self.findings.borrow_mut().push(Problem::error(place, message));
                }
            }
        }
        match parse(entry, entry.default) {
            Ok(value) => value,
            Err(_) => unreachable!("the default of {full} is {}", entry.default),
        }
    }

    /// As [`Self::parsed`], for values whose text alone counts.
    fn simple<T>(&self, path: &str, parse: impl Fn(Kind, &str) -> Option<T>) -> T {
        self.parsed(path, |entry, text| parse(entry.kind, text).ok_or(None))
    }

    /// A [`Kind::Flag`].
    pub(super) fn flag(&self, path: &str) -> bool {
        self.simple(path, |_, text| match text {
            _ if text.eq_ignore_ascii_case("true") => Some(true),
            _ if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        })
    }

    /// A [`Kind::Whole`].
    pub(super) fn whole(&self, path: &str) -> u64 {
        self.simple(path, |kind, text| match kind {
            Kind::Whole { least, most } => digits(text).filter(|number| (least..=most).contains(number)),
            _ => None,
        })
    }

    /// A [`Kind::Limit`]; `None` is no limit.
    pub(super) fn limit(&self, path: &str) -> Option<u64> {
        self.simple(path, |kind, text| match kind {
            Kind::Limit { .. } if text == "-1" => Some(None),
            Kind::Limit { most } => digits(text).filter(|number| *number <= most).map(Some),
            _ => None,
        })
    }

    /// A [`Kind::Time`].
    pub(super) fn time(&self, path: &str) -> Duration {
        self.simple(path, |kind, text| match kind {
            Kind::Time { unit, least, most } => {
                let bound = |number: u64| unit.parse(&number.to_string()).unwrap_or(Duration::MAX);
                unit.parse(text).filter(|time| (bound(least)..=bound(most)).contains(time))
            }
            _ => None,
        })
    }

    /// A [`Kind::Time`] of which zero means "never" or "none".
    pub(super) fn time_or_none(&self, path: &str) -> Option<Duration> {
        Some(self.time(path)).filter(|time| !time.is_zero())
    }

    /// A [`Kind::Word`], as the value that `words` pairs with it.
    pub(super) fn word<T: Copy>(&self, path: &str, words: &[(&str, T)]) -> T {
        self.simple(path, |_, text| {
            words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, value)| *value)
        })
    }

    /// A [`Kind::Text`].
    pub(super) fn text(&self, path: &str) -> String {
        self.simple(path, |_, text| (text.len() <= LONGEST_TEXT).then(|| text.to_owned()))
    }

    /// A [`Kind::Path`] as it stands there; `None` for an empty one.
    pub(super) fn path(&self, path: &str) -> Option<PathBuf> {
        Some(self.text(path)).filter(|text| !text.is_empty()).map(PathBuf::from)
    }

    /// A [`Kind::Paths`] as it stands there.
    pub(super) fn paths(&self, path: &str) -> Vec<PathBuf> {
        self.text(path).split(';').map(str::trim).filter(|path| !path.is_empty()).map(PathBuf::from).collect()
    }

    /// A [`Kind::Address`]; `None` for an empty one.
    pub(super) fn address(&self, path: &str) -> Option<IpAddr> {
        self.simple(path, |_, text| if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) })
    }

    /// A [`Kind::Numbers`], each once, in the order given.
    pub(super) fn numbers(&self, path: &str) -> Vec<u64> {
        self.simple(path, |kind, text| {
            let Kind::Numbers(allowed) = kind else { return None };
            let mut numbers = Vec::new();
            for number in text.split(',') {
                let number = digits(number.trim()).filter(|number| allowed.contains(number))?;
                if numbers.contains(&number) {
                    return None;
                }
                numbers.push(number);
            }
            Some(numbers)
        })
    }

    /// The element of a [`Kind::Tree`].
    pub(super) fn tree(&self, path: &str) -> Option<&'a Element> {
        let _ = self.entry(path);
        self.descend(path)
    }
}

fn shown(entry: &Entry) -> String {
    entry.path.replace('*', "")
}

/// Only digits: no sign, no space.
fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// What a value must be, and what it is instead unless that may be a secret.
pub(super) fn must_be(kind: Kind, text: &str) -> String {
    let instead = if is_harmless(text) { format!(", not `{text}`") } else { String::new() };
    format!("must be {}{instead}", kind.describe())
}

/// A value, as messages show it: `***` for what may be a secret in the wrong element. The place of the value is always told beside it.
pub(super) fn shown_value(text: &str) -> &str {
    if is_harmless(text) { text } else { "***" }
}

/// Whether a text is hardly a secret: a number, an address, a list of these, a host's name, or a short word.
fn is_harmless(text: &str) -> bool {
    const LONGEST: usize = 40;
    /// Longer ones are passwords in bad taste.
    const LONGEST_WORD: usize = 5;
    let letters = text.bytes().filter(u8::is_ascii_alphabetic).count();
    let is_word = letters == text.len() && letters <= LONGEST_WORD;
    let is_of = |others: &str| text.chars().all(|c| c.is_ascii_digit() || others.contains(c));
    let is_address = text.contains(':') && is_of("abcdefABCDEF.:/%[],- ") && letters <= text.len() / 2;
    // With the letters of a unit.
    let is_number = letters <= 2 && is_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.:/%[],+- ");
    let host = text.split_once('/').map_or(text, |(host, _)| host);
    let is_host = host.rsplit_once('.').is_some_and(|(front, last)| {
        let is_label = |label: &str| label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        last.len() >= 2 && last.bytes().all(|byte| byte.is_ascii_alphabetic()) && front.split('.').all(is_label)
    });
    text.len() <= LONGEST && (is_word || is_address || is_number || is_host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        for secret in [
            "hunter2secret",
            "correct horse",
            "s3cr3t",
            "password",
            "a:b@c",
            "redis://:pass@host.net",
            "../etc",
            "",
            "x\ny",
        ] {
            assert_eq!(shown_value(secret).replace("***", ""), "", "{secret}");
        }
        for value in
            ["17", "-1", "1.5 s", "100%", "192.0.2.1:1935", "[2001:db8::1]:19350", "example.net/8", "yes", "1935,19350"]
        {
            assert_eq!(shown_value(value), value);
        }
    }
}
