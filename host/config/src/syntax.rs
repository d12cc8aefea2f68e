//! What a value may be: how it is described, how it is read, and what it is when it is left out.
//!
//! The functions that make a syntax run when introd is compiled: a default that the syntax does not allow does not compile.

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

/// `a`, `b` or `c`.
pub(crate) fn one_of(words: impl Iterator<Item = String>) -> String {
    let words: Vec<_> = words.collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_joined_as_a_sentence_has_them() {
        let joined = |words: &[&str]| one_of(words.iter().map(|word| (*word).to_owned()));
        assert_eq!([joined(&["a"]), joined(&["a", "b"]), joined(&["a", "b", "c"])], ["a", "a or b", "a, b or c"]);
    }
}
