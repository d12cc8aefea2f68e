//! Words as values of the files, each with what it stands for.

use crate::syntax::{Described, Syntax, Wrong, one_of};

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

/// `true`, which is the default, or anything else, which stands for `false`.
pub(crate) struct OnlyTrue;

impl Described for OnlyTrue {
    fn describe(&self) -> String {
        "`true`, or anything else for no".into()
    }

    fn default_text(&self) -> String {
        "true".into()
    }
}

impl Syntax for OnlyTrue {
    type Value = bool;

    fn parse(&self, text: &str) -> Result<bool, Wrong> {
        Ok(text.eq_ignore_ascii_case("true"))
    }

    fn default(&self) -> bool {
        true
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

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn a_default_that_is_no_word_ends_the_compilation() {
        // Called here while the program runs, it panics; the keys call it while introd is compiled.
        assert!(catch_unwind(|| words(&[("deny", 1), ("ignore", 2)], "den")).is_err());
        assert_eq!(words(&[("deny", 1), ("ignore", 2)], "ignore").default(), 2);
    }
}
