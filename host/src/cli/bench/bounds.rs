//! The bounds of a run.

use std::time::Duration;

/// When a run ends, and how many of its operations are pending at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) duration: Duration,
    pub(super) count: Option<u64>,
    pub(super) window: usize,
}
