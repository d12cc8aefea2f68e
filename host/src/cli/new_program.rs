//! Notices that the file of the program was replaced, and starts the new program, which takes the place of this process.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// How long a new program may take before it begins to take over. It reads its configuration in this time. Afterwards the takeover itself
/// has limits.
const BEGIN: Duration = Duration::from_secs(60);
/// How often to look whether it has ended.
const LOOK: Duration = Duration::from_millis(50);

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

    /// Starts the file that is there now, which is to take over. Gives what to say when it has ended without that; if it takes over, this
    /// process ends. `is_under_way`: whether another process is taking over. `None`: the new program is not started, or not waited for.
    pub(super) fn start_successor(&self, is_under_way: Arc<AtomicBool>) -> Option<oneshot::Receiver<String>> {
        let path = self.path.clone();
        let mut successor = match self.start() {
            Ok(successor) => successor,
            Err(error) => {
                not_taken_over(&path, &error.to_string());
                return None;
            }
        };
        tracing::info!(program = %path.display(), process = successor.id(), "the program was replaced: the new one is to take over");
        let (done, is_done) = oneshot::channel();
        let waiting = std::thread::Builder::new().name("successor".to_owned()).spawn(move || {
            let why = end_of(&mut successor, &is_under_way, BEGIN).unwrap_or_else(|error| error.to_string());
            not_taken_over(&path, &why);
            let _ = done.send("introd goes on: the new program has not taken over\n".to_owned());
        });
        if let Err(error) = waiting {
            tracing::error!(%error, "no thread can be started to wait for the new program: only its own log says what becomes of it");
            return None;
        }
        Some(is_done)
    }

    /// Starts the file that is there now, with the arguments of this process.
    fn start(&self) -> std::io::Result<Child> {
        let mut command = Command::new(&self.path);
        // The watchdog of the service manager will be for the new process, and sockets were passed to this one.
        for variable in ["WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] {
            command.env_remove(variable);
        }
        command.args(&self.arguments).spawn()
    }
}

/// Waits until a new program has ended, and says how. One that does not even begin to take over within that time hangs, and is killed: it
/// would hold up every later reload.
fn end_of(successor: &mut Child, is_under_way: &AtomicBool, begin: Duration) -> std::io::Result<String> {
    let until = Instant::now() + begin;
    loop {
        if let Some(status) = successor.try_wait()? {
            return Ok(format!("it has ended with {status}"));
        }
        // Never in the middle of a takeover: it may have the clients.
        if Instant::now() >= until && !is_under_way.load(Ordering::Acquire) {
            successor.kill()?;
            successor.wait()?;
            return Ok(format!("it hung, and was killed after {} s", begin.as_secs()));
        }
        std::thread::sleep(LOOK);
    }
}

fn not_taken_over(program: &Path, why: &str) {
    tracing::error!(
        program = %program.display(),
        "the program was replaced, and the new one does not take over: {why}. This process goes on, with its configuration"
    );
    introd_log::say("introd goes on: the new program has not taken over\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_replaced_or_written_is_another_program() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
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
    }

    #[test]
    fn a_new_program_that_hangs_is_killed_and_one_that_takes_over_is_not() {
        let start = |script: &str| Command::new("/bin/sh").args(["-c", script]).spawn().unwrap();
        let hangs = end_of(&mut start("exec sleep 1000"), &AtomicBool::new(false), Duration::ZERO).unwrap();
        assert_eq!(hangs, "it hung, and was killed after 0 s");
        let takes_over = end_of(&mut start("exec sleep 0.2"), &AtomicBool::new(true), Duration::ZERO).unwrap();
        assert_eq!(takes_over, "it has ended with exit status: 0");
        // It has all of its time.
        let ends = end_of(&mut start("exit 3"), &AtomicBool::new(false), BEGIN).unwrap();
        assert_eq!(ends, "it has ended with exit status: 3");
    }
}
