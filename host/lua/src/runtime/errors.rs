//! Errors of handlers: they are logged, and the script is told of them.

use mlua::MultiValue;
use mlua::Value;

use super::HANDLERS_AT_ONCE;
use super::MAX_UNTOLD;
use super::Runtime;
use crate::api::idle_handlers;
use crate::engine::failure::Failure;

impl Runtime {
    /// Logs an error, and tells the script of it.
    pub(super) fn report(&mut self, handler: &str, failure: &Failure) {
        self.instance.journal.failure(&self.instance.name, handler, failure);
        if handler == "onStatus" {
            return;
        }
        if self.instance.handlers.count() <= HANDLERS_AT_ONCE {
            self.tell_of(handler, failure);
        } else if self.untold.len() < MAX_UNTOLD {
            self.untold.push_back((handler.to_owned(), failure.clone()));
        }
    }

    /// Tells the script of an error.
    pub(super) fn tell_of(&mut self, handler: &str, failure: &Failure) {
        let info = self.script.lua().create_table_from([
            ("level", "error".to_owned()),
            ("code", "Application.Script.Error".to_owned()),
            ("description", failure.to_string()),
            ("filename", failure.file.clone()),
            ("lineno", failure.line.to_string()),
            ("details", handler.to_owned()),
        ]);
        if let Ok(info) = info {
            self.call("onStatus", MultiValue::from_iter([Value::Table(info)]));
        }
    }

    /// Warns of handlers that the host never calls, unless it has done so for this application.
    pub(super) fn warn_of_idle_handlers(&self) {
        let notes = idle_handlers::notes(&self.script, &self.instance.settings());
        for note in idle_handlers::news(&self.instance.name, notes) {
            tracing::warn!(app = %self.instance.name, "{note}");
        }
    }

    /// Says once that the script does not answer lookups.
    pub(super) fn warn_of_no_lookup_handler(&mut self) {
        if !std::mem::replace(&mut self.has_warned, true) {
            let app = &self.instance.name;
            tracing::error!(%app, folder = %self.folder.display(), "the script is asked about peer lookups but does not define application.onPeerLookup");
        }
    }
}
