//! Where in a value something is wrong.

use std::cell::RefCell;

use introd_log::text::shown;

/// The longest path that a message shows, in characters.
const MAX_SHOWN: usize = 200;

/// The way to a value: names and positions, noted from the inside out while an error passes.
#[derive(Default)]
pub(super) struct Path(RefCell<Vec<String>>);

impl Path {
    /// The value is under this name.
    pub(super) fn add_name(&self, name: &str) {
        self.0.borrow_mut().push(format!(".{name}"));
    }

    /// The value is at this position of a list, counted from 1.
    pub(super) fn add_position(&self, position: usize) {
        self.0.borrow_mut().push(format!("[{position}]"));
    }

    /// The way in words: ` at .users[2].name`, or nothing for the outermost value.
    pub(super) fn describe(&self) -> String {
        let parts = self.0.borrow();
        let mut text = String::new();
        for part in parts.iter().rev() {
            text.push_str(&shown(part));
            if text.len() > MAX_SHOWN {
                let cut: String = text.chars().take(MAX_SHOWN).collect();
                return format!(" at {cut}...");
            }
        }
        if text.is_empty() { text } else { format!(" at {text}") }
    }
}
