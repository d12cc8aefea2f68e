//! The files of tests: those that the test makes up, or those of the application's folder.

use std::collections::HashMap;
use std::future::poll_fn;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use crate::disk::{self, FileState, Files, Reading, Watching};

/// Files by name, each with the number of times that any has been written; `None`: those of the folder.
#[derive(Clone, Default)]
pub(crate) struct MadeUpFiles(Arc<Mutex<Option<Table>>>);

#[derive(Default)]
struct Table {
    files: HashMap<String, (Vec<u8>, u64)>,
    writes: u64,
}

impl MadeUpFiles {
    /// Files that the test makes up.
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Some(Table::default()))))
    }

    fn table(&self) -> MutexGuard<'_, Option<Table>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a file, or removes it. False if the files are those of the folder.
    pub(super) fn write(&self, name: &str, bytes: Option<Vec<u8>>) -> bool {
        let mut table = self.table();
        let Some(table) = &mut *table else { return false };
        table.writes += 1;
        match bytes {
            Some(bytes) => drop(table.files.insert(name.to_owned(), (bytes, table.writes))),
            None => drop(table.files.remove(name)),
        }
        true
    }

    fn state(&self, folder: &Path, name: &str) -> FileState {
        match &*self.table() {
            None => disk::state(folder, name),
            Some(table) => match table.files.get(name) {
                None => FileState::Absent,
                Some((bytes, write)) => FileState::Present { inode: 0, size: bytes.len() as u64, written: (0, *write) },
            },
        }
    }
}

impl Files for MadeUpFiles {
    fn read(&self, folder: &Path, name: &str, max: u64) -> Reading {
        let contents = match &*self.table() {
            None => disk::read(folder, name, max),
            Some(table) => match table.files.get(name) {
                None => Err(format!("there is no file {name:?} in the application's folder")),
                Some((bytes, _)) if bytes.len() as u64 > max => {
                    Err(format!("{name:?} is larger than the {max} bytes that a script may read"))
                }
                Some((bytes, _)) => Ok(bytes.clone()),
            },
        };
        Box::pin(std::future::ready(contents))
    }

    fn watch(&self, folder: &Path, name: &str, known: Option<FileState>) -> Watching {
        let (files, folder, name) = (self.clone(), folder.to_owned(), name.to_owned());
        let known = known.unwrap_or_else(|| self.state(&folder, &name));
        // The stage asks again and again.
        Box::pin(poll_fn(move |_| match files.state(&folder, &name) {
            now if now == known => Poll::Pending,
            now => Poll::Ready(Ok(now)),
        }))
    }
}
