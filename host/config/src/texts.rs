//! Texts, paths, addresses and elements of free form as values of the files.

use std::path::PathBuf;

use crate::syntax::{Described, Syntax, Wrong};

/// The longest text of a value that needs no syntax, in bytes.
const MAX_TEXT: usize = 4096;

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

fn short(text: &str) -> Result<&str, Wrong> {
    if text.len() <= MAX_TEXT { Ok(text) } else { Err(Wrong::Syntax) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_so_many_bytes_and_no_more() {
        let long = "x".repeat(MAX_TEXT);
        assert_eq!(text("").parse(&long).unwrap(), long);
        assert!(text("").parse(&format!("{long}x")).is_err());
        assert!(path("").parse(&format!("{long}x")).is_err() && paths("").parse(&format!("{long}x")).is_err());
    }

    #[test]
    fn defaults_are_what_they_say() {
        assert_eq!((text("a").default(), text("a").default_text()), ("a".to_owned(), "a".to_owned()));
        assert_eq!((path("").default(), path("a").default()), (None, Some(PathBuf::from("a"))));
        assert_eq!(path("").parse("").unwrap(), None);
        assert_eq!(paths("a;b; ;").default(), [PathBuf::from("a"), PathBuf::from("b")]);
    }
}
