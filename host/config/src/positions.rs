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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_in_any_order() {
        let file: Arc<Path> = Path::new("x.xml").into();
        let text = "ab\n\u{e9}c\nd";
        let mut positions = Positions::new(&file, text);
        let mut at = |offset| positions.place(offset).position.unwrap();
        assert_eq!([at(0), at(2), at(3), at(5), at(7)], [(1, 1), (1, 3), (2, 1), (2, 2), (3, 1)]);
        // Back, the same again, and beyond the end.
        assert_eq!([at(1), at(1), at(5), at(100)], [(1, 2), (1, 2), (2, 2), (3, 2)]);
    }

    #[test]
    fn only_a_piece_of_the_text_has_a_place() {
        let file: Arc<Path> = Path::new("x.xml").into();
        let whole = "before the text and after".to_owned();
        let (before, rest) = whole.split_at(11);
        let (text, after) = rest.split_at(4);
        let mut positions = Positions::new(&file, text);
        let mut column = |piece: &str| positions.place_of(piece).map(|place| place.position.unwrap());
        assert_eq!([column(text), column(&text[3..])], [Some((1, 1)), Some((1, 4))]);
        assert_eq!([column(before), column(after)], [None, None]);
    }
}
