//! Where something stands in the text of a file.

use std::path::Path;
use std::sync::Arc;

use super::problem::Place;

/// Turns offsets into lines and columns. Offsets that grow cost one pass over the text altogether.
pub(super) struct Positions<'a> {
    file: &'a Arc<Path>,
    text: &'a str,
    offset: usize,
    line: u32,
    column: u32,
}

impl<'a> Positions<'a> {
    /// At the beginning of a file.
    pub(super) fn new(file: &'a Arc<Path>, text: &'a str) -> Self {
        Self { file, text, offset: 0, line: 1, column: 1 }
    }

    /// The place of an offset.
    pub(super) fn place(&mut self, at: usize) -> Place {
        if at < self.offset {
            *self = Self::new(self.file, self.text);
        }
        for character in self.text.get(self.offset..).unwrap_or_default().chars() {
            if self.offset >= at {
                break;
            }
            self.offset += character.len_utf8();
            (self.line, self.column) =
                if character == '\n' { (self.line + 1, 1) } else { (self.line, self.column + 1) };
        }
        Place { file: Arc::clone(self.file), position: Some((self.line, self.column)) }
    }

    /// The place of a piece of the text itself.
    pub(super) fn place_of(&mut self, piece: &str) -> Option<Place> {
        let at = (piece.as_ptr() as usize).checked_sub(self.text.as_ptr() as usize)?;
        (at < self.text.len()).then(|| self.place(at))
    }
}
