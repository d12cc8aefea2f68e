//! The lines and errors of scripts: they are logged, and tests keep the last of them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;

use super::error_log::ErrorLog;
use crate::engine::failure::Failure;
use introd_policy::InstanceName;

/// How many entries are kept.
const MAX_ENTRIES: usize = 100;

/// Hears each entry when it is made.
pub(crate) type Listener = Box<dyn Fn(&JournalEntry)>;

/// Where the lines and errors of an instance go.
#[derive(Default)]
pub(crate) struct Journal {
    /// The last entries, if they are kept.
    entries: Option<RefCell<VecDeque<JournalEntry>>>,
    errors: Arc<ErrorLog>,
    listener: Option<Listener>,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum JournalEntry {
    /// A line by `trace`.
    Trace(String),
    /// A line by a function of `log`.
    Line(LogLevel, String),
    /// Something that the author should know.
    Warning(String),
    /// An error, with the handler that it ended.
    Failure(String, Failure),
}

/// How important a line of a script is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

impl LogLevel {
    /// Its name in the API and in the log.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

impl Journal {
    /// A journal that keeps its last entries, for tests.
    pub(crate) fn kept() -> Self {
        Self { entries: Some(RefCell::default()), ..Self::default() }
    }

    /// A journal whose errors can be read there, too.
    pub(crate) fn with_errors(errors: Arc<ErrorLog>) -> Self {
        Self { errors, ..Self::default() }
    }

    /// The same, whose entries somebody hears.
    pub(crate) fn with_listener(self, listener: Listener) -> Self {
        Self { listener: Some(listener), ..self }
    }

    /// Whether a line of that level is wanted by the log or a test: else it need not be made.
    pub(crate) fn wants(&self, level: LogLevel) -> bool {
        self.entries.is_some()
            || self.listener.is_some()
            || match level {
                LogLevel::Debug => tracing::enabled!(target: "introd::script", tracing::Level::DEBUG),
                LogLevel::Info => tracing::enabled!(target: "introd::script", tracing::Level::INFO),
                LogLevel::Warn => tracing::enabled!(target: "introd::script", tracing::Level::WARN),
                LogLevel::Error => tracing::enabled!(target: "introd::script", tracing::Level::ERROR),
            }
    }

    /// A script writes a line, at that place of it.
    pub(crate) fn write(&self, app: &InstanceName, file: &str, line: usize, level: LogLevel, text: &str) {
        // Whether a record is wanted is found out by its level, which is a part of the program's text.
        match level {
            LogLevel::Debug => tracing::debug!(target: "introd::script", %app, file, line, "{text}"),
            LogLevel::Info => tracing::info!(target: "introd::script", %app, file, line, "{text}"),
            LogLevel::Warn => tracing::warn!(target: "introd::script", %app, file, line, "{text}"),
            LogLevel::Error => tracing::error!(target: "introd::script", %app, file, line, "{text}"),
        }
    }

    pub(crate) fn warning(&self, app: &InstanceName, file: &str, line: usize, text: String) {
        tracing::warn!(target: "introd::script", %app, file, line, "{text}");
        self.keep(JournalEntry::Warning(if file.is_empty() { text } else { format!("{file}:{line}: {text}") }));
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

    /// Keeps an entry, if there is a test that will look.
    pub(crate) fn keep(&self, entry: JournalEntry) {
        self.listener.iter().for_each(|listener| listener(&entry));
        let Some(entries) = &self.entries else { return };
        let mut entries = entries.borrow_mut();
        if entries.len() == MAX_ENTRIES {
            entries.pop_front();
        }
        entries.push_back(entry);
    }

    /// Takes the entries that were kept, the oldest first.
    pub(crate) fn take(&self) -> Vec<JournalEntry> {
        self.entries.as_ref().map(RefCell::take).unwrap_or_default().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_entries_are_kept() {
        let journal = Journal::kept();
        for number in 0..MAX_ENTRIES + 5 {
            journal.keep(JournalEntry::Trace(number.to_string()));
        }
        let kept = journal.take();
        assert_eq!((kept.len(), &kept[0]), (MAX_ENTRIES, &JournalEntry::Trace("5".to_owned())));
        assert!(journal.take().is_empty());
        let journal = Journal::default();
        journal.keep(JournalEntry::Trace(String::new()));
        assert!(journal.take().is_empty(), "a server keeps nothing");
    }
}
