//! Texts of events.

use std::borrow::Cow;

/// A text of an event: mostly one that the program has anyway.
pub type Text = Cow<'static, str>;

/// The maximum number of bytes of a text. Clients, scripts and plugins give some of them.
pub const MAX_TEXT: usize = 256;

/// The text, cut to [`MAX_TEXT`] bytes.
pub fn cut(text: impl Into<Text>) -> Text {
    match text.into() {
        // What is the program's own is short.
        Cow::Borrowed(text) => Cow::Borrowed(text),
        Cow::Owned(mut text) => {
            text.truncate(text.floor_char_boundary(MAX_TEXT));
            text.shrink_to_fit();
            Cow::Owned(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_two_characters() {
        assert_eq!(cut("short".to_owned()), "short");
        assert_eq!(cut("a".repeat(MAX_TEXT)).len(), MAX_TEXT);
        assert_eq!(cut("a".repeat(10 * MAX_TEXT)), "a".repeat(MAX_TEXT));
        // A character of two bytes would be cut in half.
        let long = format!("a{}", "ä".repeat(MAX_TEXT));
        let cut = cut(long);
        assert_eq!((cut.len(), cut.ends_with('ä')), (MAX_TEXT - 1, true));
    }
}
