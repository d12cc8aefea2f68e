//! Verdicts on their way from plugins' threads to the worker that waits for them.

use super::sync::{AtomicBool, Mutex, Ordering, PoisonError};

/// A queue for one reader. It holds no more than there are tokens, so that it needs no bound of its own and no verdict is lost.
pub(super) struct Completions<T> {
    queue: Mutex<Vec<T>>,
    /// Whether there may be something: looked at often, and by the reader only.
    is_filled: AtomicBool,
}

impl<T> Default for Completions<T> {
    fn default() -> Self {
        Self { queue: Mutex::new(Vec::new()), is_filled: AtomicBool::new(false) }
    }
}

impl<T> Completions<T> {
    /// Puts something in. True if it was empty: the reader is to be woken.
    pub(super) fn push(&self, what: T) -> bool {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.push(what);
        self.is_filled.store(true, Ordering::Release);
        queue.len() == 1
    }

    /// Takes everything out.
    pub(super) fn take(&self) -> Vec<T> {
        if !self.is_filled.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_filled.store(false, Ordering::Relaxed);
        std::mem::take(&mut *queue)
    }
}
