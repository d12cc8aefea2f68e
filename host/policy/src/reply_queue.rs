//! Replies on their way from other threads to the worker that waits for them.

use super::sync::{AtomicBool, Mutex, Ordering, PoisonError};

/// A queue for one reader. There is at most one reply for each request that waits, and the requests are bounded, so that the queue
/// needs no bound of its own and loses nothing.
pub(crate) struct ReplyQueue<T> {
    queue: Mutex<Vec<T>>,
    /// Whether there may be replies. The reader, and no other thread, reads this often.
    is_filled: AtomicBool,
}

impl<T> Default for ReplyQueue<T> {
    fn default() -> Self {
        Self { queue: Mutex::new(Vec::new()), is_filled: AtomicBool::new(false) }
    }
}

impl<T> ReplyQueue<T> {
    /// Adds a reply. True if the queue was empty: then the reader must be woken.
    pub(crate) fn push(&self, what: T) -> bool {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.push(what);
        self.is_filled.store(true, Ordering::Release);
        queue.len() == 1
    }

    /// Whether there may be replies: a reply is seen if it was added before a message that the reader has just received.
    pub(crate) fn is_filled(&self) -> bool {
        self.is_filled.load(Ordering::Acquire)
    }

    /// Takes all replies out. `empty` is used for the next ones: a reader that brings the memory of those that it took before spares the
    /// writers from allocating.
    pub(crate) fn take(&self, empty: Vec<T>) -> Vec<T> {
        debug_assert!(empty.is_empty());
        if !self.is_filled() {
            return empty;
        }
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_filled.store(false, Ordering::Relaxed);
        std::mem::replace(&mut *queue, empty)
    }
}
