//! What scripts wait for comes to something: lookups in the registry, HTTP requests, files.

use std::time::Instant;

use mlua::{MultiValue, Result, Value};

use super::Runtime;
use crate::api::address_list;
use crate::api::script::Purpose;
use crate::disk::FileState;
use crate::engine::failure::Failure;
use crate::instance::queries::QueryResult;
use crate::libraries::http;

impl Runtime {
    /// A query has a result; `None` if it was given up.
    pub(crate) fn handle_query(&mut self, now: Instant, token: u64, result: Option<QueryResult>) {
        self.instance.begin(now);
        self.instance.queries.done(token);
        match result {
            Some(QueryResult::Changed(state)) => self.file_changed(token, state),
            Some(result) => {
                let results = self.results_of(result).or_else(|error| self.problem(&Failure::from(&error).message));
                self.wake(token, results.unwrap_or_default());
            }
            None => (),
        }
        self.settle();
    }

    /// What the handler that waits for a query receives.
    fn results_of(&self, result: QueryResult) -> Result<MultiValue> {
        let lua = self.script.lua();
        let value = match result {
            QueryResult::Addresses(Ok(Some(addresses))) => Value::Table(address_list::to_lua(lua, &addresses)?),
            QueryResult::Addresses(Ok(None)) => Value::Nil,
            QueryResult::Members(Ok(members)) => {
                Value::Table(lua.create_sequence_from(members.iter().map(ToString::to_string))?)
            }
            QueryResult::Addresses(Err(error)) | QueryResult::Members(Err(error)) => {
                return self.problem(&error.to_string());
            }
            QueryResult::Http(Ok(response)) => Value::Table(http::response(lua, &response)?),
            QueryResult::Http(Err(failure)) => return self.problem(&failure.to_string()),
            QueryResult::File(Ok(bytes), _) => Value::String(lua.create_string(bytes)?),
            QueryResult::File(Err(problem), _) => return self.problem(&problem),
            QueryResult::Changed(_) => Value::Nil,
        };
        Ok(MultiValue::from_iter([value]))
    }

    /// Nil, and the reason.
    fn problem(&self, why: &str) -> Result<MultiValue> {
        Ok(MultiValue::from_iter([Value::Nil, Value::String(self.script.lua().create_string(why)?)]))
    }

    /// A file that the script watches has changed. It is watched again when the handler has ended, from this state on.
    fn file_changed(&mut self, token: u64, state: std::result::Result<FileState, String>) {
        let watches = &self.script.state.watches;
        let state = match state {
            Ok(state) => state,
            Err(message) => {
                watches.borrow_mut().remove(token);
                self.report("file.watch", &Failure { message, ..Failure::default() });
                return;
            }
        };
        let Some((name, handler)) = watches.borrow_mut().changed(token, state) else { return };
        match self.script.lua().create_string(name) {
            Ok(name) => {
                let arguments = MultiValue::from_iter([Value::String(name)]);
                let progress = self.script.start(Purpose::Watch(token), &handler, arguments);
                self.go_on(progress);
            }
            Err(error) => {
                self.report("file.watch", &Failure::from(&error));
                self.watch_again(token);
            }
        }
    }

    /// Waits for the next change of a file that the script watches.
    pub(super) fn watch_again(&self, token: u64) {
        if let Some((name, known)) = self.script.state.watches.borrow().get(token) {
            self.instance.queries.begin_of_script(token, self.instance.files.watch(name, known));
        }
    }
}
