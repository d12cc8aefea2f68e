//! Names of what `introd new` makes.

use std::fmt;
use std::str::FromStr;

use introd_config::CATCH_ALL;

/// The longest name, in characters: a plugin's name has no more (`INTROD_E_ARGUMENT` of the C ABI).
const MAX_LENGTH: usize = 64;

/// What no crate can be called, or what would hide a crate that a plugin needs.
const RESERVED: [&str; 53] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "introd_plugin",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "serde",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "unsafe",
    "use",
    "where",
    "while",
];

/// The name of an application or of a plugin: letters, digits, `-` and `_`, a letter first. So it is a name of a folder, of an
/// application, of a plugin and of a crate, and nothing that a template would have to quote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name(String);

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_part = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_');
        if !text.starts_with(|char: char| char.is_ascii_alphabetic()) || !text.chars().all(is_part) {
            return Err("a name is made of letters, digits, `-` and `_`, and begins with a letter".to_owned());
        }
        if text.len() > MAX_LENGTH {
            return Err(format!("a name has {MAX_LENGTH} characters at most"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of an application: a name, or that of the application which serves all that have no folder.
#[derive(Clone, Debug)]
pub(super) struct AppName(String);

impl FromStr for AppName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == CATCH_ALL {
            return Ok(Self(text.to_owned()));
        }
        let name = text
            .parse::<Name>()
            .map_err(|error| format!("{error}; or it is {CATCH_ALL}, for all that have no folder"))?;
        Ok(Self(name.0))
    }
}

impl AppName {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The name by which clients connect.
    pub(super) fn shown(&self) -> &str {
        if self.0 == CATCH_ALL { "ANY-NAME" } else { &self.0 }
    }
}

impl Name {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as an identifier of Rust and C, as Cargo makes it of a crate's name.
    ///
    /// # Errors
    /// If there can be no crate of that name.
    pub(super) fn identifier(&self) -> anyhow::Result<String> {
        let identifier = self.0.replace('-', "_");
        anyhow::ensure!(!RESERVED.contains(&identifier.as_str()), "no crate can be called {self}: choose another name");
        Ok(identifier)
    }
}

#[test]
fn a_name_needs_no_quotes_anywhere() {
    for good in ["club", "Club-2", "a", "keep_out", &"x".repeat(64)] {
        assert_eq!(good.parse::<Name>().map(|name| name.to_string()).as_deref(), Ok(good));
    }
    for bad in ["", "2club", "-club", "_club", ".", "..", "a/b", "a b", "ä", "a.b", "a\"b", &"x".repeat(65)] {
        assert!(bad.parse::<Name>().is_err(), "{bad}");
    }
}

#[test]
fn an_application_may_be_the_one_for_all_that_have_no_folder() {
    for (name, shown) in [("club", "club"), ("_default_", "ANY-NAME")] {
        let name = name.parse::<AppName>().expect("a name");
        assert_eq!(name.shown(), shown);
    }
    for bad in ["", "_club", "_default", "a/_default_"] {
        assert!(bad.parse::<AppName>().is_err_and(|error| error.contains("_default_")), "{bad}");
    }
}

#[test]
fn a_crate_cannot_be_called_as_a_word_of_the_language() {
    let identifier = |name: &str| name.parse::<Name>().expect("a name").identifier();
    assert_eq!(identifier("keep-out").expect("an identifier"), "keep_out");
    for reserved in ["fn", "std", "introd-plugin", "proc-macro"] {
        assert!(identifier(reserved).is_err(), "{reserved}");
    }
}
