//! The threads that are watched, and the pulse by which each shows that it goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

/// What happens when a thread stops beating.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtStandstill {
    /// The process ends: clients depend on the thread.
    EndProcess,
    /// The standstill is logged: the thread waits for a disk or for foreign code, and no client waits for the thread.
    Say,
    /// Nothing happens, because another thread watches this one.
    Ignore,
}

/// The supervisor's record of a thread.
pub(super) struct Watched {
    pub(super) name: String,
    pub(super) at_standstill: AtStandstill,
    pub(super) beats: AtomicU64,
    is_over: AtomicBool,
}

/// A thread's sign of life.
#[derive(Clone)]
pub struct Pulse(Arc<Watched>);

impl Pulse {
    pub(super) fn new(name: &str, at_standstill: AtStandstill) -> Self {
        let (beats, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
        Self(Arc::new(Watched { name: name.to_owned(), at_standstill, beats, is_over }))
    }

    /// Begins the watch over the thread.
    pub(super) fn watch(&self) {
        let mut threads = THREADS.lock();
        threads.retain(|thread| !thread.is_over.load(Ordering::Relaxed));
        threads.push(Arc::clone(&self.0));
    }

    pub(super) fn name(&self) -> &str {
        &self.0.name
    }

    /// A pulse for a thread that is not watched, in tests.
    pub fn unwatched() -> Self {
        Self::new("", AtStandstill::Ignore)
    }

    /// Shows that the thread goes on. This must be called at least every [`BEAT`](super::BEAT).
    pub fn beat(&self) {
        // Only this thread writes the time.
        self.0.beats.store(self.0.beats.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// Stops the watch over the thread.
    pub fn end(&self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

static THREADS: Mutex<Vec<Arc<Watched>>> = Mutex::new(Vec::new());

/// The threads that are watched now.
pub(super) fn watched() -> Vec<Arc<Watched>> {
    let mut threads = THREADS.lock();
    threads.retain(|thread| !thread.is_over.load(Ordering::Relaxed));
    threads.clone()
}

/// Watches the calling thread until its pulse ends.
pub fn this_thread(name: &str, at_standstill: AtStandstill) -> Pulse {
    let pulse = Pulse::new(name, at_standstill);
    pulse.watch();
    pulse
}
