//! How long a run is.

use std::time::Duration;

/// When a run ends, and how much of it is under way at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) duration: Duration,
    pub(super) count: Option<u64>,
    pub(super) window: usize,
}
