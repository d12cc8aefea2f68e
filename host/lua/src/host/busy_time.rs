//! For how long scripts have kept their threads busy, for other threads to read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A time that only grows.
#[derive(Debug, Default)]
pub(crate) struct BusyTime(AtomicU64);

impl BusyTime {
    pub(crate) fn add(&self, time: Duration) {
        self.0.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}
