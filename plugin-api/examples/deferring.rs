//! A plugin that leaves its verdicts pending: the verdict on a lookup is in a file, and reading a file may take long.
//!
//! An administrator writes `deny`, `ignore` or `continue` into the file `<folder>/PEERID`, while the server runs. If there is no such
//! file, the lookup goes on. Callbacks must not block, and a disk may: so `lookup` only puts a job into a queue, and a thread of the
//! plugin reads the file and gives the verdict. If nobody waits for the verdict any more, `cancel` takes the job out of the queue.
//!
//! `<Config>` has the element `<folder>`. `plugins/c-example/deferring.c` is the same in C.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use introd_plugin::{
    Completion, Config, CreateError, Host, Later, Lookup, LookupVerdict, PeerId, Plugin, Reply, Token,
};

/// How many lookups may wait. Beyond that a lookup fails at once, and `Policy/OnFailure` decides.
const MAX_WAITING: usize = 1024;

/// A lookup that waits for its verdict.
struct Job {
    target: PeerId,
    completion: Completion<LookupVerdict>,
}

/// What the callbacks and the thread share.
#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    is_over: bool,
}

impl Queue {
    /// The lock is held for moments only, never while a file is read: the callbacks wait for it.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next job; `None` when the plugin ends.
    fn next(&self) -> Option<Job> {
        let state = self.state();
        let wait = self.changed.wait_while(state, |state| state.waiting.is_empty() && !state.is_over);
        let mut state = wait.unwrap_or_else(PoisonError::into_inner);
        if state.is_over { None } else { state.waiting.pop_front() }
    }
}

/// Reads the verdict on lookups of a peer.
fn read_verdict(folder: &std::path::Path, target: PeerId) -> Result<LookupVerdict, String> {
    let file = folder.join(target.to_string());
    match std::fs::read_to_string(&file) {
        Ok(text) => match text.trim() {
            "deny" => Ok(LookupVerdict::Deny),
            "ignore" => Ok(LookupVerdict::Ignore),
            "continue" => Ok(LookupVerdict::Continue),
            _ => Err(format!("{} holds neither deny nor ignore nor continue", file.display())),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(LookupVerdict::Continue),
        Err(error) => Err(format!("{}: {error}", file.display())),
    }
}

struct Deferring {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
    cancelled: introd_plugin::Counter,
}

impl Plugin for Deferring {
    const NAME: &'static str = "deferring";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str = "Decides about lookups by files that it reads on a thread of its own";

    fn create(host: Host, config: &Config<'_>) -> Result<Self, CreateError> {
        let folder: PathBuf = config.path(config.text("folder").ok_or("<folder> is missing")?);
        let cancelled = host.counter("cancelled", "Lookups that nobody waited for any more")?;
        let queue = Arc::new(Queue::default());
        let jobs = Arc::clone(&queue);
        let thread = std::thread::Builder::new().name("deferring".to_owned()).spawn(move || {
            while let Some(Job { target, completion }) = jobs.next() {
                // It is no error if the verdict comes too late: the lookup's deadline has passed.
                let _ = match read_verdict(&folder, target) {
                    Ok(verdict) => completion.complete(verdict),
                    Err(why) => completion.fail(&why),
                };
            }
        });
        Ok(Self { queue, thread: Some(thread?), cancelled })
    }

    fn lookup(&self, lookup: &Lookup<'_>, later: Later<'_, LookupVerdict>) -> Reply<LookupVerdict> {
        let Some(target) = lookup.target() else { return LookupVerdict::Continue.into() };
        let mut state = self.queue.state();
        if state.waiting.len() >= MAX_WAITING {
            return Reply::Failed("too many lookups wait".to_owned());
        }
        let (completion, reply) = match later.defer() {
            Ok(deferred) => deferred,
            Err(error) => return Reply::Failed(error.to_string()),
        };
        state.waiting.push_back(Job { target, completion });
        self.queue.changed.notify_one();
        reply
    }

    /// The job may be under way, and not in the queue any more: then its verdict comes too late, which does no harm.
    fn cancel(&self, token: Token) {
        let mut state = self.queue.state();
        let found = state.waiting.iter().position(|job| job.completion.token() == token);
        let job = found.and_then(|place| state.waiting.remove(place));
        drop(state);
        if job.is_some() {
            self.cancelled.increment();
        }
    }
}

impl Drop for Deferring {
    /// When this returns, no thread of the plugin may be running.
    fn drop(&mut self) {
        self.queue.state().is_over = true;
        self.queue.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

introd_plugin::export!(Deferring);
