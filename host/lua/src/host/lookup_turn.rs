//! The lookups about which a script is asked one after the other in one turn of its instance.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::shared::Shared;

/// After so many lookups the clock is read at the latest. It is read at once after a handler that may have taken long, one whose script was
/// interrupted: all others together have run for some milliseconds since the last interruption, at most.
const UNREAD: u32 = 8;

/// What is left of a turn for further lookups.
pub(super) struct LookupTurn {
    shared: Arc<Shared>,
    /// When the turn is over.
    until: Cell<Instant>,
    /// How many more lookups may be taken.
    left: Cell<usize>,
    /// How many were taken since the clock was read.
    unread: Cell<u32>,
}

impl LookupTurn {
    /// No lookup may follow until [`Self::begin`].
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, until: Cell::new(Instant::now()), left: Cell::new(0), unread: Cell::new(0) }
    }

    /// The script is asked about a lookup, at this time. So many may follow until so much time has passed.
    pub(super) fn begin(&self, now: Instant, time: Duration, most: usize) {
        self.until.set(now + time);
        self.left.set(most);
        self.unread.set(0);
    }

    /// No further lookup may follow. How many may have.
    pub(super) fn end(&self) -> usize {
        self.left.take()
    }

    /// The number of the next lookup. `was_long` says whether the handler before may have taken long.
    pub(super) fn next(&self, was_long: bool) -> Option<u64> {
        let left = self.left.get().checked_sub(1)?;
        let unread = self.unread.get() + 1;
        if was_long || unread >= UNREAD {
            self.unread.set(0);
            let now = Instant::now();
            if now >= self.until.get() {
                return None;
            }
            // Each handler has its time: the watchdog learns that another has begun.
            self.shared.set_busy(Some(now));
        } else {
            self.unread.set(unread);
        }
        let number = self.shared.inbox.pop_lookup()?;
        self.left.set(left);
        Some(number)
    }
}
