//! The traces and errors of scripts: they are logged, and the last of them are kept for tests.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;

use super::error_log::ErrorLog;
use crate::engine::failure::Failure;
use introd_policy::InstanceName;

/// How many entries are kept.
const MAX_ENTRIES: usize = 100;

/// The last entries of an instance.
#[derive(Default)]
pub(crate) struct Journal {
    entries: RefCell<VecDeque<JournalEntry>>,
    errors: Arc<ErrorLog>,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum JournalEntry {
    /// A line by `trace`.
    Trace(String),
    /// An error, with the handler that it ended.
    Failure(String, Failure),
}

impl Journal {
    /// A journal whose errors can be read there, too.
    pub(crate) fn with_errors(errors: Arc<ErrorLog>) -> Self {
        Self { errors, ..Self::default() }
    }

    pub(crate) fn trace(&self, app: &InstanceName, file: &str, line: usize, text: String) {
        tracing::info!(target: "introd::script", %app, file, line, "{text}");
        self.keep(JournalEntry::Trace(text));
    }

    pub(crate) fn failure(&self, app: &InstanceName, handler: &str, failure: &Failure) {
        tracing::error!(
            target: "introd::script",
            %app,
            handler,
            file = failure.file,
            line = failure.line,
            traceback = failure.calls(),
            "{failure}"
        );
        self.errors.add(format!("{handler}: {failure}"));
        self.keep(JournalEntry::Failure(handler.to_owned(), failure.clone()));
    }

    fn keep(&self, entry: JournalEntry) {
        let mut entries = self.entries.borrow_mut();
        if entries.len() == MAX_ENTRIES {
            entries.pop_front();
        }
        entries.push_back(entry);
    }

    /// Takes the entries, the oldest first.
    pub(crate) fn take(&self) -> Vec<JournalEntry> {
        self.entries.take().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_entries_are_kept() {
        let app = InstanceName {
            adaptor: String::new(),
            vhost: String::new(),
            application: String::new(),
            instance: String::new(),
        };
        let journal = Journal::default();
        for number in 0..MAX_ENTRIES + 5 {
            journal.trace(&app, "main.lua", 1, number.to_string());
        }
        let kept = journal.take();
        assert_eq!((kept.len(), &kept[0]), (MAX_ENTRIES, &JournalEntry::Trace("5".to_owned())));
        assert!(journal.take().is_empty());
    }
}
