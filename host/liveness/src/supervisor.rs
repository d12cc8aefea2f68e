//! Looks at the threads, and ends the process when clients depend on one that does not go on.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::threads::{AtStandstill, watched};

/// The exit status when a thread has failed: EX_SOFTWARE of sysexits.h.
pub const EXIT_STATUS: i32 = 70;

/// How often it looks.
const TICK: Duration = Duration::from_millis(500);
/// No look counts for more than this: a thread is not blamed for a time in which the supervisor itself did not run.
const MAX_TICK: Duration = Duration::from_secs(1);
/// A thread that has not beaten for so long stands still.
const STANDSTILL_LIMIT: Duration = Duration::from_secs(5);
/// How long the rest of the server may take for its goodbye after a thread has failed.
const GOODBYE: Duration = Duration::from_secs(3);
/// How long the last line may take to be written.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The first failure, and until when the process may stop of its own will.
#[derive(Default)]
struct State {
    failure: Option<String>,
    stop: Option<Duration>,
}

static STATE: Mutex<State> = Mutex::new(State { failure: None, stop: None });
static CHANGED: Condvar = Condvar::new();

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A thread has failed that clients depend on: the process ends, if it has a [`Supervisor`]. Without one, in tests, this is only
/// said.
pub fn fail(why: &str) {
    let mut state = state();
    if state.failure.is_none() {
        state.failure = Some(why.to_owned());
        CHANGED.notify_all();
    }
    drop(state);
    say(format!(
        "{why}: the process cannot serve its clients any more and ends; have a service manager start it again"
    ));
}

/// Says something on a thread of its own: writing the log may be what nobody can do any more.
fn say(text: String) {
    let (said, heard) = std::sync::mpsc::channel();
    let writer = std::thread::Builder::new().name("last-words".to_owned()).spawn(move || {
        tracing::error!("{text}");
        introd_log::flush(Instant::now() + LAST_WORDS);
        let _ = said.send(());
    });
    if writer.is_ok() {
        // One that hangs has had its time.
        let _ = heard.recv_timeout(2 * LAST_WORDS);
    }
}

/// Ends the process at once.
fn exit() -> ! {
    let exiting = std::thread::Builder::new().spawn(|| std::process::exit(EXIT_STATUS));
    if exiting.is_ok() {
        // What runs at the exit of a process may wait for a thread that stands still.
        std::thread::sleep(LAST_WORDS);
    }
    std::process::abort()
}

/// The supervisor of this process.
pub struct Supervisor {
    failed: watch::Receiver<bool>,
}

impl Supervisor {
    /// Begins to look after the threads.
    ///
    /// # Errors
    /// If its thread cannot be started.
    pub fn start() -> std::io::Result<Self> {
        let (fails, failed) = watch::channel(false);
        std::thread::Builder::new().name("supervisor".to_owned()).spawn(move || supervise(&fails))?;
        Ok(Self { failed })
    }

    /// Waits until a thread has failed, or nobody looks after the threads any more.
    pub async fn failed(&mut self) {
        // An error: the supervisor has panicked.
        let _ = self.failed.wait_for(|failed| *failed).await;
    }

    /// The process stops of its own will; if it has not within this time, it is ended.
    pub fn stop_within(&self, limit: Duration) {
        state().stop = Some(limit);
        CHANGED.notify_all();
    }

    /// Ends the process after a thread has failed.
    pub fn end(&self) -> ! {
        exit()
    }
}

fn supervise(fails: &watch::Sender<bool>) {
    let mut last = Instant::now();
    let mut beating = Beating::default();
    // Time that has passed for this process, without the times in which it was stopped.
    let (mut failing, mut stopping) = (Duration::ZERO, Duration::ZERO);
    loop {
        let (failed, stop) = {
            let state = state();
            let is_quiet = |state: &mut State| state.failure.is_none() || *fails.borrow();
            let waited = CHANGED.wait_timeout_while(state, TICK, |state| is_quiet(state));
            let state = waited.unwrap_or_else(PoisonError::into_inner).0;
            (state.failure.is_some(), state.stop)
        };
        let now = Instant::now();
        let passed = now.saturating_duration_since(last).min(MAX_TICK);
        last = now;
        if failed {
            let _ = fails.send(true);
            failing += passed;
            if failing > GOODBYE {
                exit();
            }
        }
        if let Some(limit) = stop {
            stopping += passed;
            if stopping > limit {
                say(format!("the server does not stop within {} seconds and is ended", limit.as_secs()));
                exit();
            }
        }
        for name in beating.look(passed) {
            fail(&format!("the thread {name} stands still"));
        }
    }
}

/// For how long which thread has not beaten.
#[derive(Default)]
pub(super) struct Beating {
    threads: HashMap<usize, Seen>,
}

struct Seen {
    beats: u64,
    still: Duration,
    is_said: bool,
}

impl Beating {
    /// Looks at all threads after this time; names those that the process cannot go on without, and that stand still.
    pub(super) fn look(&mut self, passed: Duration) -> Vec<String> {
        let mut known = std::mem::take(&mut self.threads);
        let mut failed = Vec::new();
        for thread in watched() {
            let (key, beats) = (std::sync::Arc::as_ptr(&thread).addr(), thread.beats.load(Ordering::Relaxed));
            let mut seen = known.remove(&key).unwrap_or(Seen { beats, still: Duration::ZERO, is_said: false });
            if seen.beats == beats {
                seen.still += passed;
            } else {
                if std::mem::take(&mut seen.is_said) {
                    tracing::warn!(thread = thread.name, "the thread goes on again");
                }
                (seen.beats, seen.still) = (beats, Duration::ZERO);
            }
            if seen.still >= STANDSTILL_LIMIT && !seen.is_said && thread.at_standstill != AtStandstill::Ignore {
                seen.is_said = true;
                match thread.at_standstill {
                    AtStandstill::EndProcess => failed.push(thread.name.clone()),
                    _ => say(format!("the thread {} stands still; what it does waits", thread.name)),
                }
            }
            self.threads.insert(key, seen);
        }
        failed
    }
}
