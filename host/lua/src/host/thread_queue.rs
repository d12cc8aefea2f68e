//! What a thread of scripts is told: which instances it has, and which of them have something to do.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The way to a thread: new instances of type `N`, and instances of type `R` that have something to do.
pub(crate) struct ThreadQueue<N, R> {
    queued: Mutex<Queued<N, R>>,
    arrived: Notify,
    /// Whether the thread stands still and has been replaced: should it ever go on, it must end at once.
    is_given_up: AtomicBool,
}

/// What has come since the thread last looked.
pub(crate) struct Queued<N, R> {
    pub(crate) openings: Vec<N>,
    pub(crate) ready: Vec<R>,
    /// Whether nothing more will be queued.
    pub(crate) is_closed: bool,
}

impl<N, R> Default for ThreadQueue<N, R> {
    fn default() -> Self {
        let queued = Queued { openings: Vec::new(), ready: Vec::new(), is_closed: false };
        Self { queued: Mutex::new(queued), arrived: Notify::new(), is_given_up: AtomicBool::new(false) }
    }
}

impl<N, R> ThreadQueue<N, R> {
    fn queued(&self) -> MutexGuard<'_, Queued<N, R>> {
        self.queued.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more instance. False if the thread takes no more.
    pub(crate) fn open(&self, opening: N) -> bool {
        let mut queued = self.queued();
        let is_open = !queued.is_closed;
        if is_open {
            queued.openings.push(opening);
            self.arrived.notify_one();
        }
        is_open
    }

    /// An instance has something to do.
    pub(crate) fn ready(&self, instance: R) {
        self.queued().ready.push(instance);
        self.arrived.notify_one();
    }

    /// Tells the thread to end with the last of its instances.
    pub(crate) fn close(&self) {
        self.queued().is_closed = true;
        self.arrived.notify_one();
    }

    /// The thread is replaced by another.
    pub(crate) fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Release);
        self.close();
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::Acquire)
    }

    /// Takes what has been queued.
    pub(crate) fn take(&self) -> Queued<N, R> {
        let mut queued = self.queued();
        let is_closed = queued.is_closed;
        std::mem::replace(&mut *queued, Queued { openings: Vec::new(), ready: Vec::new(), is_closed })
    }

    /// Waits until something is queued.
    pub(crate) async fn arrived(&self) {
        self.arrived.notified().await;
    }
}
