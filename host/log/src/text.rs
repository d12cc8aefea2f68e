//! Text from outside, made harmless for a line of a log and for a terminal.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// How many bytes of a text from outside are shown: a longer one is cut.
pub const MAX_SHOWN: usize = 256;

/// The mark at the end of a text that was cut.
const CUT: char = '…';

/// The text with control characters, line breaks and everything that changes the direction of writing escaped, and cut to
/// [`MAX_SHOWN`] bytes.
pub fn shown(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_SHOWN && text.chars().all(is_harmless) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::new();
    // Writing to a string does not fail.
    let _ = Shown::new(&mut shown, MAX_SHOWN).write_str(text);
    Cow::Owned(shown)
}

fn is_harmless(character: char) -> bool {
    !character.is_control()
        && !matches!(character,
            // These are line and paragraph separators, and characters that hide or reorder text.
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Appends escaped text to a string, up to a number of bytes.
pub(super) struct Shown<'a> {
    out: &'a mut String,
    room: usize,
    is_cut: bool,
}

impl<'a> Shown<'a> {
    /// Appends at most `room` bytes to `out`, and a mark if that is not all.
    pub(super) fn new(out: &'a mut String, room: usize) -> Self {
        Self { out, room, is_cut: false }
    }
}

impl Write for Shown<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if self.is_cut {
                break;
            }
            let before = self.out.len();
            if is_harmless(character) {
                self.out.push(character);
            } else {
                self.out.extend(character.escape_default());
            }
            match self.room.checked_sub(self.out.len() - before) {
                Some(room) => self.room = room,
                None => {
                    self.out.truncate(before);
                    self.out.push(CUT);
                    self.is_cut = true;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmless_text_stays_as_it_is() {
        for text in ["", "live/room1", "Zoë's Café", "日本語", r"C:\games"] {
            assert!(matches!(shown(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn no_text_ends_a_line_or_changes_a_terminal() {
        let evil = "a\nERROR forged\r\t\0\x1b[31m\u{9b}1m\u{2028}\u{202e}\u{feff}";
        assert_eq!(shown(evil), r"a\nERROR forged\r\t\u{0}\u{1b}[31m\u{9b}1m\u{2028}\u{202e}\u{feff}");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        for text in ["é".repeat(1000), "\n".repeat(1000), "x".repeat(1000)] {
            let shown = shown(&text);
            assert!(shown.ends_with(CUT) && shown.len() <= MAX_SHOWN + CUT.len_utf8(), "{}", shown.len());
        }
        assert_eq!(shown(&"x".repeat(MAX_SHOWN)), "x".repeat(MAX_SHOWN));
    }
}
