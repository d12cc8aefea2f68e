//! Notices that the file of the program was replaced, and starts the new program, which takes the place of this process.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// The program of this process, as it was when the process started.
#[derive(Debug)]
pub(super) struct Program {
    path: PathBuf,
    /// `None` if the file could not be looked at: then it is never taken for replaced.
    was: Option<FileIdentity>,
    arguments: Vec<OsString>,
}

/// What tells a file from another one at the same path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileIdentity {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl FileIdentity {
    fn of(path: &Path) -> Option<Self> {
        let file = std::fs::metadata(path).ok()?;
        let modified = (file.mtime(), file.mtime_nsec());
        Some(Self { device: file.dev(), inode: file.ino(), length: file.len(), modified })
    }
}

impl Program {
    /// The program of this process. This must be called when the process starts.
    pub(super) fn of_this_process() -> Self {
        let mut arguments = std::env::args_os();
        // Where it was started from, which may be a link to the program of this version.
        let started = arguments.next().map(PathBuf::from).filter(|path| path.is_absolute());
        let path = started.or_else(|| std::env::current_exe().ok()).unwrap_or_default();
        Self { was: FileIdentity::of(&path), path, arguments: arguments.collect() }
    }

    /// Whether there is another file at its path by now.
    pub(super) fn is_replaced(&self) -> bool {
        FileIdentity::of(&self.path).is_some_and(|now| self.was.is_some_and(|was| was != now))
    }

    /// Starts the file that is there now, with the arguments of this process.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(super) fn start(&self) -> std::io::Result<Child> {
        let mut command = Command::new(&self.path);
        // The watchdog of the service manager will be for the new process, and sockets were passed to this one.
        for variable in ["WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] {
            command.env_remove(variable);
        }
        command.args(&self.arguments).spawn()
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_replaced_or_written_is_another_program() {
        let folder = std::env::temp_dir().join(format!("introd-program-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("introd");
        std::fs::write(&path, "one").unwrap();
        let program =
            |path: &Path| Program { was: FileIdentity::of(path), path: path.to_owned(), arguments: Vec::new() };
        let first = program(&path);
        assert!(!first.is_replaced());
        std::fs::write(folder.join("new"), "two").unwrap();
        std::fs::rename(folder.join("new"), &path).unwrap();
        assert!(first.is_replaced());
        let second = program(&path);
        std::fs::write(&path, "three").unwrap();
        assert!(second.is_replaced());
        // While there is none, nothing can be started.
        std::fs::remove_file(&path).unwrap();
        assert!(!second.is_replaced());
        assert!(second.start().is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
