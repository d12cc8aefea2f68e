//! The threads that are watched.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use super::supervisor::fail;

/// A thread that panics more often than this within [`RESTART_WINDOW`] does not get well by beginning anew.
const MAX_RESTARTS: usize = 5;
const RESTART_WINDOW: Duration = Duration::from_secs(60);

/// What happens when a thread does not beat any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtStandstill {
    /// The process ends: clients depend on the thread.
    EndProcess,
    /// The log says so: the thread waits for a disk or for foreign code, and nobody who is served waits for the thread.
    Say,
    /// Somebody else looks after that.
    Ignore,
}

/// What the supervisor knows of a thread.
pub(super) struct Watched {
    pub(super) name: String,
    pub(super) at_standstill: AtStandstill,
    pub(super) beats: AtomicU64,
    is_over: AtomicBool,
}

/// By which a thread shows that it goes on.
#[derive(Clone)]
pub struct Pulse(Arc<Watched>);

impl Pulse {
    fn new(name: &str, at_standstill: AtStandstill) -> Self {
        let (beats, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
        Self(Arc::new(Watched { name: name.to_owned(), at_standstill, beats, is_over }))
    }

    fn watch(&self) {
        let mut threads = lock();
        threads.retain(|thread| !thread.is_over.load(Ordering::Relaxed));
        threads.push(Arc::clone(&self.0));
    }

    /// One for a thread that nobody watches, in tests.
    pub fn unwatched() -> Self {
        Self::new("", AtStandstill::Ignore)
    }

    /// To be called at least every [`BEAT`](super::BEAT).
    pub fn beat(&self) {
        // Only this thread writes it.
        self.0.beats.store(self.0.beats.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// The thread is to be watched no more.
    pub fn end(&self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

static THREADS: Mutex<Vec<Arc<Watched>>> = Mutex::new(Vec::new());

fn lock() -> MutexGuard<'static, Vec<Arc<Watched>>> {
    THREADS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The threads that are watched now.
pub(super) fn watched() -> Vec<Arc<Watched>> {
    let mut threads = lock();
    threads.retain(|thread| !thread.is_over.load(Ordering::Relaxed));
    threads.clone()
}

/// Watches the thread that calls, until its pulse is told to end.
pub fn this_thread(name: &str, at_standstill: AtStandstill) -> Pulse {
    let pulse = Pulse::new(name, at_standstill);
    pulse.watch();
    pulse
}

/// Starts a thread that cannot begin anew: if it panics or returns an error, the process ends.
///
/// # Errors
/// If the thread cannot be started.
pub fn spawn_once(
    name: &str,
    stack_size: Option<usize>,
    at_standstill: AtStandstill,
    work: impl FnOnce(&Pulse) -> anyhow::Result<()> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let pulse = Pulse::new(name, at_standstill);
    start(name, stack_size, move || {
        pulse.watch();
        let result = catch_unwind(AssertUnwindSafe(|| work(&pulse)));
        pulse.end();
        match result {
            Ok(Ok(())) => (),
            Ok(Err(error)) => fail(&format!("the thread {} cannot go on: {error:#}", pulse.0.name)),
            Err(panic) => fail(&format!("the thread {} panicked: {}", pulse.0.name, message(&*panic))),
        }
    })
}

/// Starts a thread that begins anew if it panics: nothing is lost by that. If that happens again and again, or if it returns an
/// error, the process ends.
///
/// # Errors
/// If the thread cannot be started.
pub fn spawn(
    name: &str,
    at_standstill: AtStandstill,
    mut work: impl FnMut(&Pulse) -> anyhow::Result<()> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let mut panics: Vec<Instant> = Vec::new();
    spawn_once(name, None, at_standstill, move |pulse| {
        loop {
            let panic = match catch_unwind(AssertUnwindSafe(|| work(pulse))) {
                Ok(result) => return result,
                Err(panic) => panic,
            };
            let now = Instant::now();
            panics.retain(|at| now.saturating_duration_since(*at) < RESTART_WINDOW);
            panics.push(now);
            let why = message(&*panic);
            anyhow::ensure!(
                panics.len() <= MAX_RESTARTS,
                "it panicked {} times within a minute, last: {why}",
                panics.len()
            );
            tracing::error!(thread = pulse.0.name, "a thread panicked and begins anew: {why}");
        }
    })
}

fn start(name: &str, stack_size: Option<usize>, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let builder = Builder::new().name(name.to_owned());
    let builder = match stack_size {
        Some(bytes) => builder.stack_size(bytes),
        None => builder,
    };
    builder.spawn(work)
}

/// What a panic said.
fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message")
}
