//! How much time plugins take.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A slow callback of an instance is told of so often at most.
const EVERY: Duration = Duration::from_secs(1);

/// A callback of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callback {
    /// `create`
    Create,
    /// `destroy`
    Destroy,
    /// `connect`
    Connect,
    /// `disconnect`
    Disconnect,
    /// `addresses_changed`
    AddressesChanged,
    /// `lookup`
    Lookup,
    /// `cancel`
    Cancel,
    /// `on_timer`
    Timer,
    /// `publish` of the registry
    Publish,
    /// `withdraw` of the registry
    Withdraw,
    /// `lookup` of the registry
    Find,
    /// `join` of groups
    Join,
    /// `leave` of groups
    Leave,
}

impl Callback {
    /// Its name in the header.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Destroy => "destroy",
            Self::Connect => "connect",
            Self::Disconnect => "disconnect",
            Self::AddressesChanged => "addresses_changed",
            Self::Lookup => "lookup",
            Self::Cancel => "cancel",
            Self::Timer => "on_timer",
            Self::Publish => "registry publish",
            Self::Withdraw => "registry withdraw",
            Self::Find => "registry lookup",
            Self::Join => "group join",
            Self::Leave => "group leave",
        }
    }

    /// Whether it may take its time.
    pub(super) fn may_block(self) -> bool {
        matches!(self, Self::Create | Self::Destroy | Self::Timer)
    }
}

/// What an instance has taken and done.
#[derive(Debug, Default)]
pub struct Account {
    calls: AtomicU64,
    nanos: AtomicU64,
    failures: AtomicU64,
    slow: AtomicU64,
    /// Nanoseconds after `start`.
    told: AtomicU64,
}

impl Account {
    /// How often it was called.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// How long all of that took.
    pub fn time(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(Ordering::Relaxed))
    }

    /// How often it failed.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// How often it took longer than it should.
    pub fn slow(&self) -> u64 {
        self.slow.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, took: Duration) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn fail(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// One was slow: whether to tell of it, and how many there have been.
    pub(super) fn slow_one(&self, start: Instant) -> Option<u64> {
        let slow = self.slow.fetch_add(1, Ordering::Relaxed) + 1;
        // From 1, so that 0 is never.
        let now = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX).saturating_add(1);
        let told = self.told.load(Ordering::Relaxed);
        let is_due = told == 0 || now.saturating_sub(told) >= EVERY.as_nanos() as u64;
        let is_mine = is_due && self.told.compare_exchange(told, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        is_mine.then_some(slow)
    }
}
