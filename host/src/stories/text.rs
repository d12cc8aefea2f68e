//! Texts of events.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use compact_str::CompactString;

/// A text of an event. A text that the program has anyway takes no memory besides these 24 bytes, nor does one of 24 bytes or less: events outlive
/// the clients that they are about, and each small allocation would keep a page of memory that the clients have left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(CompactString);

/// The maximum number of bytes of a text. Clients, scripts and plugins give some of them.
pub const MAX_TEXT: usize = 256;

impl Text {
    /// The bytes on the heap.
    pub(super) fn on_heap(&self) -> usize {
        if self.0.is_heap_allocated() { self.0.capacity() } else { 0 }
    }
}

impl From<&'static str> for Text {
    fn from(text: &'static str) -> Self {
        Self(CompactString::const_new(text))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<Cow<'static, str>> for Text {
    fn from(text: Cow<'static, str>) -> Self {
        match text {
            Cow::Borrowed(text) => text.into(),
            Cow::Owned(text) => text.into(),
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// The text, cut to [`MAX_TEXT`] bytes.
pub fn cut(text: impl Into<Text>) -> Text {
    let Text(mut text) = text.into();
    if text.len() > MAX_TEXT {
        text.truncate(text.floor_char_boundary(MAX_TEXT));
    }
    text.shrink_to_fit();
    Text(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_two_characters() {
        assert_eq!(&*cut("short".to_owned()), "short");
        assert_eq!(cut("a".repeat(MAX_TEXT)).len(), MAX_TEXT);
        assert_eq!(&*cut("a".repeat(10 * MAX_TEXT)), "a".repeat(MAX_TEXT));
        // A character of two bytes would be cut in half.
        let long = format!("a{}", "ä".repeat(MAX_TEXT));
        let cut = cut(long);
        assert_eq!((cut.len(), cut.ends_with('ä')), (MAX_TEXT - 1, true));
    }

    #[test]
    fn what_the_program_has_anyway_and_what_is_short_takes_no_memory() {
        let fixed = "a text of the program, which is longer than 24 bytes";
        for (text, on_heap) in [
            (cut(fixed), 0),
            (cut("WIN 51,1,3,10".to_owned()), 0),
            (cut("b".repeat(24)), 0),
            (cut("b".repeat(100)), 100),
            (cut("b".repeat(1000)), MAX_TEXT),
        ] {
            assert_eq!(text.on_heap(), on_heap, "{}", &*text);
        }
        assert_eq!((&*cut(fixed), size_of::<Option<Text>>()), (fixed, 24));
    }
}
