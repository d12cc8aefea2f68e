//! The thread that reads files for all scripts, and looks at those that are watched.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use introd_liveness::{AtStandstill, BEAT, Pulse};
use tokio::sync::oneshot;

use super::{Contents, FileState, Files, Reading, Watching, read, state};

/// How often the watched files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How many jobs may wait. Each instance has few at a time.
const MAX_JOBS: usize = 16_384;
/// How many files may be watched by all scripts together.
const MAX_WATCHES: usize = 4096;

/// Reads files on a thread that starts with the first job, and ends with this.
pub(crate) struct DiskThread {
    jobs: Mutex<Option<SyncSender<Job>>>,
    look_every: Duration,
}

enum Job {
    Read { folder: PathBuf, name: String, max: u64, reply: oneshot::Sender<Contents> },
    Watch(Watch),
}

/// A file that is watched.
struct Watch {
    folder: PathBuf,
    name: String,
    /// `None`: whatever is found first.
    known: Option<FileState>,
    reply: oneshot::Sender<Result<FileState, String>>,
}

impl Default for DiskThread {
    fn default() -> Self {
        Self::looking_every(LOOK_EVERY)
    }
}

impl DiskThread {
    /// One that looks at watched files so often.
    pub(crate) fn looking_every(look_every: Duration) -> Self {
        Self { jobs: Mutex::default(), look_every }
    }

    fn send(&self, job: Job) -> Result<(), String> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = match &*jobs {
            Some(sender) => sender,
            None => jobs.insert(
                start(self.look_every).map_err(|error| format!("no thread for files can be started: {error}"))?,
            ),
        };
        sender.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(_) => "too many files wait to be read: the disk is slow".to_owned(),
            TrySendError::Disconnected(_) => "the server stops".to_owned(),
        })
    }
}

impl Files for DiskThread {
    fn read(&self, folder: &Path, name: &str, max: u64) -> Reading {
        let (reply, answer) = oneshot::channel();
        let sent = self.send(Job::Read { folder: folder.to_owned(), name: name.to_owned(), max, reply });
        Box::pin(async move {
            sent?;
            answer.await.unwrap_or_else(|_| Err("the server stops".to_owned()))
        })
    }

    fn watch(&self, folder: &Path, name: &str, known: Option<FileState>) -> Watching {
        let (reply, answer) = oneshot::channel();
        let sent = self.send(Job::Watch(Watch { folder: folder.to_owned(), name: name.to_owned(), known, reply }));
        Box::pin(async move {
            sent?;
            answer.await.unwrap_or_else(|_| Err("the server stops".to_owned()))
        })
    }
}

fn start(look_every: Duration) -> std::io::Result<SyncSender<Job>> {
    let (sender, jobs) = sync_channel(MAX_JOBS);
    let mut watched = Watched { watches: Vec::new(), look_at: Instant::now() + look_every, look_every };
    // Clients and lookups do not depend on it. After a panic it goes on with what it has.
    introd_liveness::spawn("files", AtStandstill::Say, move |pulse| {
        work(&jobs, &mut watched, pulse);
        Ok(())
    })?;
    Ok(sender)
}

/// Works until there is nobody any more who could send a job.
fn work(jobs: &Receiver<Job>, watched: &mut Watched, pulse: &Pulse) {
    loop {
        pulse.beat();
        let pause = watched.look_at.saturating_duration_since(Instant::now()).min(BEAT / 4);
        match jobs.recv_timeout(pause) {
            Ok(Job::Read { folder, name, max, reply }) => {
                // A script that has ended reads nothing.
                if !reply.is_closed() {
                    let _ = reply.send(read(&folder, &name, max));
                }
            }
            Ok(Job::Watch(watch)) => watched.add(watch),
            Err(RecvTimeoutError::Timeout) => (),
            Err(RecvTimeoutError::Disconnected) => return,
        }
        watched.look();
    }
}

/// The files that are watched.
struct Watched {
    watches: Vec<Watch>,
    look_at: Instant,
    look_every: Duration,
}

impl Watched {
    fn add(&mut self, mut watch: Watch) {
        let now = state(&watch.folder, &watch.name);
        if watch.known.is_some_and(|known| known != now) {
            let _ = watch.reply.send(Ok(now));
            return;
        }
        if self.watches.len() >= MAX_WATCHES {
            self.watches.retain(|watch| !watch.reply.is_closed());
        }
        if self.watches.len() >= MAX_WATCHES {
            let problem = format!("the scripts of this server watch {MAX_WATCHES} files, and may watch no more");
            let _ = watch.reply.send(Err(problem));
            return;
        }
        watch.known = Some(now);
        self.watches.push(watch);
    }

    /// Looks at all of them if it is time.
    fn look(&mut self) {
        if Instant::now() < self.look_at {
            return;
        }
        let mut place = 0;
        while let Some(watch) = self.watches.get(place) {
            if watch.reply.is_closed() {
                self.watches.swap_remove(place);
                continue;
            }
            let now = state(&watch.folder, &watch.name);
            if watch.known == Some(now) {
                place += 1;
            } else {
                let watch = self.watches.swap_remove(place);
                let _ = watch.reply.send(Ok(now));
            }
        }
        self.look_at = Instant::now() + self.look_every;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn files_are_read_and_changes_are_told() {
        let (folder, disk) = (tempfile::tempdir().unwrap(), DiskThread::looking_every(Duration::from_millis(5)));
        let path = folder.path().join("list");
        assert!(wait(disk.read(folder.path(), "list", 9)).unwrap_err().contains("there is no file"));
        let first = disk.watch(folder.path(), "list", None);
        // The watch has begun before the read: jobs are done in their order.
        assert!(wait(disk.read(folder.path(), "list", 9)).is_err());
        std::fs::write(&path, "a").unwrap();
        let there = wait(first).unwrap();
        assert!(matches!(there, FileState::Present { size: 1, .. }));
        assert_eq!(wait(disk.read(folder.path(), "list", 9)).unwrap(), b"a");
        // What has changed before the next watch begins is told at once.
        std::fs::remove_file(&path).unwrap();
        assert_eq!(wait(disk.watch(folder.path(), "list", Some(there))).unwrap(), FileState::Absent);
    }

    #[test]
    fn watches_are_bounded_and_those_that_nobody_waits_for_make_room() {
        let folder = tempfile::tempdir().unwrap();
        let mut watched = Watched { watches: Vec::new(), look_at: Instant::now(), look_every: Duration::ZERO };
        let add = |watched: &mut Watched| {
            let (reply, answer) = oneshot::channel();
            watched.add(Watch { folder: folder.path().to_owned(), name: "none".to_owned(), known: None, reply });
            answer
        };
        let mut answers: Vec<_> = (0..MAX_WATCHES).map(|_| add(&mut watched)).collect();
        assert!(add(&mut watched).try_recv().unwrap().unwrap_err().contains("may watch no more"));
        answers.pop();
        assert!(add(&mut watched).try_recv().is_err(), "it waits");
        drop(answers);
        watched.look();
        assert!(watched.watches.is_empty());
    }
}
