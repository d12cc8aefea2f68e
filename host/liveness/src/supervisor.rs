//! Watches the threads, and ends the process when one that clients depend on has failed or stands still.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::failure::{CHANGED, ENDING, LAST_WORDS, fail, log_apart};
use super::pace::BEAT;
use super::watched::{AtStandstill, Watched, watched};

/// The exit status when a thread has failed: EX_SOFTWARE of sysexits.h.
pub const EXIT_STATUS: i32 = 70;

/// How often the supervisor looks at the threads.
const TICK: Duration = Duration::from_millis(500);
/// The maximum time that counts between two looks: a thread is not blamed for a time in which the supervisor itself did not run.
const MAX_TICK: Duration = Duration::from_secs(1);
/// A thread that has not beaten for this long stands still.
const STANDSTILL_LIMIT: Duration = Duration::from_secs(5);
/// A thread that has beaten within this time goes on. It is longer than [`BEAT`], since a look may come just before a beat.
const ALIVE_LIMIT: Duration = BEAT.saturating_mul(2);
/// How long the server may take to close its clients after a thread has failed.
const GOODBYE: Duration = Duration::from_secs(3);

/// Ends the process at once.
fn exit() -> ! {
    let exiting = std::thread::Builder::new().spawn(|| std::process::exit(EXIT_STATUS));
    if exiting.is_ok() {
        // The exit handlers of a process may wait for a thread that stands still.
        std::thread::sleep(LAST_WORDS);
    }
    std::process::abort()
}

/// The supervisor of this process.
pub struct Supervisor {
    failed: watch::Receiver<bool>,
    good_looks: Arc<AtomicU64>,
}

impl Supervisor {
    /// Starts the supervisor's thread, which watches the others.
    ///
    /// # Errors
    /// If its thread cannot be started.
    pub fn start() -> std::io::Result<Self> {
        let (fails, failed) = watch::channel(false);
        let good_looks = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&good_looks);
        std::thread::Builder::new().name("supervisor".to_owned()).spawn(move || supervise(&fails, &counted))?;
        Ok(Self { failed, good_looks })
    }

    /// How many times the supervisor has looked at the threads and found that each on which clients depend goes on. As long as this
    /// grows, the process serves: it grows at least every second, but not while a thread stands still, nor after one has failed, nor
    /// when the supervisor itself stands still.
    pub fn good_looks(&self) -> u64 {
        self.good_looks.load(Ordering::Relaxed)
    }

    /// Waits until a thread has failed, or until the supervisor itself has.
    pub async fn failed(&mut self) {
        // An error means that the supervisor has panicked.
        let _ = self.failed.wait_for(|failed| *failed).await;
    }

    /// Notes that the process is stopping: if it has not stopped within this time, it is ended.
    pub fn stop_within(&self, limit: Duration) {
        ENDING.lock().stop_limit = Some(limit);
        CHANGED.notify_all();
    }

    /// Ends the process after a thread has failed.
    pub fn end(&self) -> ! {
        exit()
    }
}

fn supervise(fails: &watch::Sender<bool>, good_looks: &AtomicU64) {
    let mut last = Instant::now();
    let mut heartbeats = Heartbeats::default();
    // This counts the time in which this process ran, without the times in which it was stopped.
    let (mut failing, mut stopping) = (Duration::ZERO, Duration::ZERO);
    loop {
        let (has_failed, stop_limit) = {
            let mut ending = ENDING.lock();
            CHANGED.wait_while_for(&mut ending, |ending| ending.failure.is_none() || *fails.borrow(), TICK);
            (ending.failure.is_some(), ending.stop_limit)
        };
        let now = Instant::now();
        let passed = now.saturating_duration_since(last).min(MAX_TICK);
        last = now;
        if has_failed {
            let _ = fails.send(true);
            failing += passed;
            if failing > GOODBYE {
                exit();
            }
        }
        if let Some(limit) = stop_limit {
            stopping += passed;
            if stopping > limit {
                log_apart(format!("the server does not stop within {} seconds and is ended", limit.as_secs()));
                exit();
            }
        }
        let look = heartbeats.look(&watched(), passed);
        if look.is_good && !has_failed {
            good_looks.fetch_add(1, Ordering::Relaxed);
        }
        for name in look.failed {
            fail(&format!("the thread {name} stands still"));
        }
    }
}

/// How long ago each thread has beaten.
#[derive(Default)]
pub(super) struct Heartbeats {
    threads: HashMap<usize, Seen>,
}

/// What a look at the threads has shown.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// The threads that stand still and without which the process cannot go on.
    pub(super) failed: Vec<String>,
    /// Whether all threads on which clients depend go on.
    pub(super) is_good: bool,
}

struct Seen {
    beats: u64,
    still: Duration,
    is_said: bool,
}

impl Heartbeats {
    /// Looks at the threads after this time. A thread that stands still is named once.
    pub(super) fn look(&mut self, threads: &[Arc<Watched>], passed: Duration) -> Look {
        let mut known = std::mem::take(&mut self.threads);
        let mut look = Look { is_good: true, ..Look::default() };
        for thread in threads {
            let (key, beats) = (Arc::as_ptr(thread).addr(), thread.beats.load(Ordering::Relaxed));
            let mut seen = known.remove(&key).unwrap_or(Seen { beats, still: Duration::ZERO, is_said: false });
            if seen.beats == beats {
                seen.still += passed;
            } else {
                if std::mem::take(&mut seen.is_said) {
                    tracing::warn!(thread = thread.name, "the thread goes on again");
                }
                (seen.beats, seen.still) = (beats, Duration::ZERO);
            }
            look.is_good &= seen.still <= ALIVE_LIMIT || thread.at_standstill != AtStandstill::EndProcess;
            if seen.still >= STANDSTILL_LIMIT && !seen.is_said && thread.at_standstill != AtStandstill::Ignore {
                seen.is_said = true;
                match thread.at_standstill {
                    AtStandstill::EndProcess => look.failed.push(thread.name.clone()),
                    _ => log_apart(format!("the thread {} stands still, and its work waits", thread.name)),
                }
            }
            self.threads.insert(key, seen);
        }
        look
    }
}
