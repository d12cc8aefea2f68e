//! The files of applications that scripts read: below the application's folder, and not on the scripts' threads, which never wait for a disk.

mod beneath;
mod thread;

use std::future::Future;
use std::path::Path;
use std::pin::Pin;

pub(crate) use beneath::{FileState, is_below, read, state};
pub(crate) use thread::DiskThread;

/// The bytes of a file, or why it cannot be read, for the script.
pub(crate) type Contents = Result<Vec<u8>, String>;

/// A file that is being read.
pub(crate) type Reading = Pin<Box<dyn Future<Output = Contents> + Send>>;

/// A file that is waited for to change: its new state, or why it cannot be watched. Dropping it ends the watch.
pub(crate) type Watching = Pin<Box<dyn Future<Output = Result<FileState, String>> + Send>>;

/// Reads and watches files below folders. No method blocks.
pub(crate) trait Files: Send + Sync {
    /// Reads a whole regular file of at most `max` bytes.
    fn read(&self, folder: &Path, name: &str, max: u64) -> Reading;

    /// Waits until a file is not in that state any more. `None` is the state in which it is found at first.
    fn watch(&self, folder: &Path, name: &str, known: Option<FileState>) -> Watching;
}

/// Why there is no such file that a script may read.
pub(crate) fn leads_out(name: &str) -> String {
    format!("{name:?} is not below the application's folder: only files in it can be read, by a name without \"..\"")
}

/// Reads no files: for scripts that are only checked.
pub(crate) struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &Path, _: &str, _: u64) -> Reading {
        Box::pin(std::future::ready(Err("this program reads no files for scripts".to_owned())))
    }

    fn watch(&self, _: &Path, _: &str, _: Option<FileState>) -> Watching {
        Box::pin(std::future::pending())
    }
}
