//! Replies on their way from other threads to the worker that waits for them.

use super::sync::{AtomicBool, Mutex, Ordering, PoisonError};

/// A queue for one reader. There is at most one reply for each request that waits, and the requests are bounded, so that the queue
/// needs no bound of its own and loses nothing.
pub(crate) struct ReplyQueue<T> {
    queue: Mutex<Vec<T>>,
    /// Whether there may be something: looked at often, and by the reader only.
    is_filled: AtomicBool,
}

impl<T> Default for ReplyQueue<T> {
    fn default() -> Self {
        Self { queue: Mutex::new(Vec::new()), is_filled: AtomicBool::new(false) }
    }
}

impl<T> ReplyQueue<T> {
    /// Puts something in. True if the queue was empty: the reader is to be woken.
    pub(crate) fn push(&self, what: T) -> bool {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.push(what);
        self.is_filled.store(true, Ordering::Release);
        queue.len() == 1
    }

    /// Whether there may be something: a reply that was put in before what the reader has just received is seen.
    pub(crate) fn is_filled(&self) -> bool {
        self.is_filled.load(Ordering::Acquire)
    }

    /// Takes everything out.
    pub(crate) fn take(&self) -> Vec<T> {
        if !self.is_filled() {
            return Vec::new();
        }
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_filled.store(false, Ordering::Relaxed);
        std::mem::take(&mut *queue)
    }
}
