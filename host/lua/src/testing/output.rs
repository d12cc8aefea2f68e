//! What a test and the scripts that it starts print, in the order in which they do.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::instance::journal::{JournalEntry, Listener};

/// How many lines of a test are kept.
const MAX_LINES: usize = 1000;

/// The lines of one test, and the warnings of all tests of an application.
#[derive(Default)]
pub(super) struct Output {
    lines: RefCell<Vec<String>>,
    left_out: Cell<usize>,
    warnings: RefCell<Vec<String>>,
}

impl Output {
    /// Listens to a script. `server` is the name of its server, if a test has several.
    pub(super) fn listener(self: &Rc<Self>, server: &str) -> Listener {
        let (output, server) = (Rc::clone(self), server.to_owned());
        Box::new(move |entry| output.hear(&server, entry))
    }

    fn hear(&self, server: &str, entry: &JournalEntry) {
        let text = match entry {
            JournalEntry::Trace(text) => text.clone(),
            JournalEntry::Line(level, text) => format!("{}: {text}", level.name()),
            JournalEntry::Warning(text) => {
                let mut warnings = self.warnings.borrow_mut();
                if !warnings.contains(text) {
                    warnings.push(text.clone());
                }
                return;
            }
            JournalEntry::Failure(handler, failure) => format!("{handler} failed: {failure}"),
        };
        if self.lines.borrow().len() == MAX_LINES {
            self.left_out.set(self.left_out.get() + 1);
            return;
        }
        self.lines.borrow_mut().push(if server.is_empty() { text } else { format!("{server}: {text}") });
    }

    /// Takes the lines: what follows is of the next test.
    pub(super) fn take(&self) -> Vec<String> {
        let mut lines = self.lines.take();
        let left_out = self.left_out.take();
        if left_out > 0 {
            lines.push(format!("({left_out} more lines)"));
        }
        lines
    }

    /// Takes the warnings, each of which comes once.
    pub(super) fn take_warnings(&self) -> Vec<String> {
        self.warnings.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::failure::Failure;

    #[test]
    fn the_lines_of_a_test_are_bounded_and_those_of_the_next_are_its_own() {
        let output = Rc::new(Output::default());
        let (hear, of_a) = (output.listener(""), output.listener("a"));
        for number in 0..MAX_LINES + 5 {
            hear(&JournalEntry::Trace(number.to_string()));
        }
        let lines = output.take();
        assert_eq!((lines.len(), lines[MAX_LINES].as_str()), (MAX_LINES + 1, "(5 more lines)"));
        of_a(&JournalEntry::Failure(
            "onConnect".to_owned(),
            Failure { message: "main.lua:1: x".to_owned(), ..Failure::default() },
        ));
        for _ in 0..2 {
            hear(&JournalEntry::Warning("late".to_owned()));
        }
        assert_eq!(output.take(), ["a: onConnect failed: main.lua:1: x"]);
        assert_eq!((output.take_warnings(), output.take_warnings()), (vec!["late".to_owned()], vec![]));
    }
}
