//! `${NAME}`: from introd.ini (`NAME = value` lines), then from the environment.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::names;
use super::problem::{Findings, Place, Problem};
use super::xml::Element;

/// Variables that refer to variables that refer to ...: deeper than that is a mistake.
const MAX_DEPTH: usize = 16;
/// The longest value with all its variables filled in, in bytes. Without it, doubling thirty times makes gigabytes.
const MAX_VALUE: usize = 16 * 1024;

/// The most references in one value, those in the variables it refers to included. Empty variables cost time, not bytes.
const MAX_REFERENCES: usize = 1000;

/// Where variables that no file sets come from.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The variables of a configuration.
pub(super) struct Variables<'a> {
    lines: BTreeMap<String, Line>,
    environment: Environment<'a>,
    /// The values of variables whose names say that they are secret.
    secrets: RefCell<Vec<String>>,
}

/// Parts of the names of variables whose values are not repeated in messages.
const SECRET: [&str; 5] = ["PASS", "SECRET", "TOKEN", "KEY", "CREDENTIAL"];
/// Shorter values are no secrets, and stand in many words.
const MIN_SECRET: usize = 4;

/// The values of variables whose names say that they are secret: no message repeats them.
#[derive(Clone, Default)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// A text without secrets: a password in the wrong element belongs into no log.
    pub fn conceal(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
    }
}

/// The number of secrets: they are in no log.
impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

/// A value on its way from `${A}` to what A stands for.
#[derive(Default)]
struct Filled {
    text: String,
    references: usize,
}

struct Line {
    value: String,
    place: Place,
}

impl<'a> Variables<'a> {
    /// No file sets any.
    pub(super) fn new(environment: Environment<'a>) -> Self {
        Self { lines: BTreeMap::new(), environment, secrets: RefCell::default() }
    }

    /// Adds the lines of a file. What an earlier file sets stays; within a file the last line counts.
    pub(super) fn add(&mut self, file: &Arc<Path>, text: &str, findings: &mut Findings) {
        for (index, line) in text.lines().enumerate() {
            let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
            let place = Place { file: Arc::clone(file), position: Some((number, 1)) };
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((name, value)) = line.split_once('=') else {
                findings.push(Problem::error(&place, "this is neither `NAME = value` nor a comment (`# ...`)"));
                continue;
            };
            let name = name.trim();
            if !is_name(name) {
                let message = format!("`{name}` is not a name: letters, digits, `.`, `_` and `-` make one");
                findings.push(Problem::error(&place, message));
                continue;
            }
            if let Some(earlier) = self.lines.get(name) {
                let is_same_file = earlier.place.file == *file;
                let winner = if is_same_file { "this line" } else { "it" };
                let message = format!("{name} is set in {} already; {winner} wins", earlier.place);
                findings.push(Problem::warning(&place, message));
                if !is_same_file {
                    continue;
                }
            }
            self.lines.insert(name.into(), Line { value: unquote(value.trim()).into(), place });
        }
    }

    /// Reports the lines that can never be filled in, whether or not anything uses them.
    pub(super) fn check(&self, findings: &mut Findings) {
        for (name, line) in &self.lines {
            if let Err(message) = self.fill(&line.value, &mut vec![name.as_str()], &mut Filled::default()) {
                findings.push(Problem::error(&line.place, message));
            }
        }
    }

    /// Fills in all texts and attributes of an element and of those in it.
    pub(super) fn expand(&self, element: &mut Element, findings: &mut Findings) {
        self.expand_value(&mut element.text, &element.text_place, findings);
        for attribute in &mut element.attributes {
            self.expand_value(&mut attribute.value, &attribute.place, findings);
        }
        // Not deeper than the parser allows.
        element.children.iter_mut().for_each(|child| self.expand(child, findings));
    }

    fn expand_value(&self, value: &mut String, place: &Place, findings: &mut Findings) {
        if !value.contains("${") {
            return;
        }
        let mut filled = Filled::default();
        let result = self.fill(value, &mut Vec::new(), &mut filled);
        // Nothing more is said about a value that cannot be known: as if it were left out.
        *value = if result.is_ok() { filled.text.trim().into() } else { String::new() };
        if let Err(message) = result {
            findings.push(Problem::error(place, message));
        }
    }

    fn fill<'n>(&'n self, value: &'n str, inside: &mut Vec<&'n str>, filled: &mut Filled) -> Result<(), String> {
        let mut rest = value;
        while let Some((before, after)) = rest.split_once("${") {
            filled.text.push_str(before);
            filled.references += 1;
            if filled.references > MAX_REFERENCES {
                return Err(format!("more than {MAX_REFERENCES} variables in one value"));
            }
            let Some((name, tail)) = after.split_once('}') else {
                return Err("`${` without `}`".to_owned());
            };
            if inside.contains(&name) {
                return Err(format!("the variables go round in a circle: {} -> {name}", inside.join(" -> ")));
            }
            if inside.len() >= MAX_DEPTH {
                return Err(format!("variables refer to each other more than {MAX_DEPTH} deep"));
            }
            let start = filled.text.len();
            if let Some(line) = self.lines.get(name) {
                inside.push(name);
                self.fill(&line.value, inside, filled)?;
                inside.pop();
            } else if let Some(value) = (self.environment)(name) {
                filled.text.push_str(&value);
            } else {
                return Err(self.missing(name));
            }
            if SECRET.iter().any(|part| name.to_ascii_uppercase().contains(part)) {
                let secret = filled.text.get(start..).unwrap_or_default();
                let mut secrets = self.secrets.borrow_mut();
                if secret.len() >= MIN_SECRET && !secrets.iter().any(|known| known == secret) {
                    secrets.push(secret.to_owned());
                }
            }
            if filled.text.len() > MAX_VALUE {
                return Err(format!("with its variables filled in, the value is longer than {MAX_VALUE} bytes"));
            }
            rest = tail;
        }
        filled.text.push_str(rest);
        Ok(())
    }

    /// The secrets that have been filled in.
    pub(super) fn secrets(&self) -> Secrets {
        Secrets(self.secrets.borrow().clone())
    }

    fn missing(&self, name: &str) -> String {
        let hint = names::nearest(name, self.lines.keys().map(String::as_str))
            .map(|known| format!("; did you mean ${{{known}}}?"))
            .unwrap_or_default();
        format!("${{{name}}} is set neither in introd.ini nor in the environment{hint}")
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

/// Quotes keep the spaces inside them.
fn unquote(value: &str) -> &str {
    value.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a value becomes with the lines of two files; `None` if it cannot be filled in.
    fn filled(first: &str, second: &str, value: &str) -> (Option<String>, Secrets) {
        let mut variables = Variables::new(&|name| (name == "HOME").then(|| "/root".into()));
        let mut findings = Findings::default();
        variables.add(&Path::new("a.ini").into(), first, &mut findings);
        variables.add(&Path::new("b.ini").into(), second, &mut findings);
        assert!(!findings.has_errors());
        let place = Place::whole(&Path::new("x.xml").into());
        let mut element = Element::empty("X", &place);
        element.text = value.to_owned();
        variables.expand(&mut element, &mut findings);
        ((!findings.has_errors()).then_some(element.text), variables.secrets())
    }

    fn value(lines: &str, value: &str) -> Option<String> {
        filled(lines, "", value).0
    }

    #[test]
    fn an_earlier_file_wins_and_in_a_file_the_last_line() {
        let (value, _) = filled("A = 1\nA = 2", "A = 3\nB = 4\nHOME = 5", "${A}${B}${HOME}");
        assert_eq!(value.as_deref(), Some("245"));
        assert_eq!(filled("", "", "${HOME}/lua").0.as_deref(), Some("/root/lua"));
        assert_eq!(filled("", "", "$HOME {x}").0.as_deref(), Some("$HOME {x}"));
    }

    #[test]
    fn spaces_count_inside_quotes_only() {
        assert_eq!(value("A =  b \n", "x${A}x").as_deref(), Some("xbx"));
        assert_eq!(value("A = \" b \"", "x${A}x").as_deref(), Some("x b x"));
        assert_eq!(value("A = \"b", "${A}").as_deref(), Some("\"b"), "a quote that is not closed is one");
    }

    #[test]
    fn the_bounds_of_a_value_are_just_inside() {
        let chain: String = (1..=MAX_DEPTH + 1).map(|n| format!("V{} = ${{V{n}}}\n", n + 1)).collect();
        let chain = format!("V1 = x\n{chain}");
        assert_eq!(value(&chain, &format!("${{V{MAX_DEPTH}}}")).as_deref(), Some("x"));
        assert_eq!(value(&chain, &format!("${{V{}}}", MAX_DEPTH + 1)), None);
        assert_eq!(value("E =", &"${E}".repeat(MAX_REFERENCES)).as_deref(), Some(""));
        assert_eq!(value("E =", &"${E}".repeat(MAX_REFERENCES + 1)), None);
        let long = format!("L = {}", "x".repeat(MAX_VALUE - 1));
        assert_eq!(value(&long, "y${L}").map(|text| text.len()), Some(MAX_VALUE));
        assert_eq!(value(&long, "yy${L}"), None);
    }

    #[test]
    fn what_is_secret_by_its_name_is_concealed_once_it_is_filled_in() {
        let lines =
            "my.Password = hunter2\nAPI_KEY = four\nPASS = abc\nPLAIN = visible\nTOKEN = hunter2\nSECRET = not used";
        let (_, secrets) = filled(lines, "", "${my.Password} ${API_KEY} ${PASS} ${PLAIN} ${TOKEN}");
        let concealed = secrets.conceal("hunter2 four abc visible not used");
        assert_eq!(concealed, "*** *** abc visible not used");
        assert_eq!(format!("{secrets:?}"), "2 secrets", "each is known once");
    }
}
