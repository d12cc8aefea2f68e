//! The files that a script watches.

use std::collections::HashMap;

use mlua::Function;

use crate::disk::FileState;

/// The files that a script watches, by the tokens of the watches.
#[derive(Default)]
pub(crate) struct Watches(HashMap<u64, Watch>);

struct Watch {
    name: String,
    handler: Function,
    /// The state of which the handler was told last.
    known: Option<FileState>,
}

impl Watches {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn add(&mut self, token: u64, name: String, handler: Function) {
        self.0.insert(token, Watch { name, handler, known: None });
    }

    /// The name of a file, and the state in which it is known.
    pub(crate) fn get(&self, token: u64) -> Option<(&str, Option<FileState>)> {
        self.0.get(&token).map(|watch| (watch.name.as_str(), watch.known))
    }

    /// A file is in another state. The name and the handler that is to be told; `None` if nobody watches it any more.
    pub(crate) fn changed(&mut self, token: u64, state: FileState) -> Option<(String, Function)> {
        let watch = self.0.get_mut(&token)?;
        watch.known = Some(state);
        Some((watch.name.clone(), watch.handler.clone()))
    }

    /// False if there is none.
    pub(crate) fn remove(&mut self, token: u64) -> bool {
        self.0.remove(&token).is_some()
    }
}
