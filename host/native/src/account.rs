//! The callbacks of plugins, and how much time an instance takes for them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The least time between two log lines about slow callbacks of one instance, and between two about failures.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

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
    /// `reconfigure` of the registry
    Reconfigure,
    /// `servers` of the registry
    Servers,
    /// `hand_over` of the registry
    HandOver,
    /// `took_over` of the registry
    TookOver,
    /// `handed_over` of the registry
    HandedOver,
    /// `join` of the registry of groups
    PublishMember,
    /// `leave` of the registry of groups
    WithdrawMember,
    /// `neighbors` of the registry of groups
    FindMembers,
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
            Self::Reconfigure => "registry reconfigure",
            Self::Servers => "registry servers",
            Self::HandOver => "registry hand_over",
            Self::TookOver => "registry took_over",
            Self::HandedOver => "registry handed_over",
            Self::PublishMember => "group registry join",
            Self::WithdrawMember => "group registry leave",
            Self::FindMembers => "group registry neighbors",
            Self::Join => "group join",
            Self::Leave => "group leave",
        }
    }

    /// Whether it may block: the others run on threads that serve clients.
    pub(super) fn may_block(self) -> bool {
        matches!(
            self,
            Self::Create | Self::Destroy | Self::Timer | Self::Reconfigure | Self::HandOver | Self::HandedOver
        )
    }
}

/// The calls of an instance, their time, and how many of them failed or were slow.
#[derive(Debug, Default)]
pub struct Account {
    calls: AtomicU64,
    nanos: AtomicU64,
    failures: AtomicU64,
    slow: AtomicU64,
    timeouts: AtomicU64,
    /// When a slow call was logged last, in nanoseconds after the start of the instance; 0 is never.
    logged: AtomicU64,
}

impl Account {
    /// How many calls there were.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// How long all calls together took.
    pub fn time(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(Ordering::Relaxed))
    }

    /// How many calls failed.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// How many calls took longer than they should.
    pub fn slow(&self) -> u64 {
        self.slow.load(Ordering::Relaxed)
    }

    /// How many deadlines of verdicts it has let pass.
    pub fn timeouts(&self) -> u64 {
        self.timeouts.load(Ordering::Relaxed)
    }

    pub(super) fn add_timeout(&self) {
        self.timeouts.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add(&self, took: Duration) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn add_failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a slow call, so long after the start of the instance. Gives how many there have been if this one is to be logged.
    pub(super) fn add_slow(&self, at: Duration) -> Option<u64> {
        let slow = self.slow.fetch_add(1, Ordering::Relaxed) + 1;
        // At least 1, so that 0 stands for never.
        let now = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX).saturating_add(1);
        let logged = self.logged.load(Ordering::Relaxed);
        let is_due = logged == 0 || now.saturating_sub(logged) >= LOG_INTERVAL.as_nanos() as u64;
        let is_mine = is_due && self.logged.compare_exchange(logged, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        is_mine.then_some(slow)
    }
}

/// Which failures of an instance are logged: one in a while.
#[derive(Debug, Default)]
pub(super) struct FailureLog {
    last: Option<Instant>,
    unlogged: u64,
}

impl FailureLog {
    /// Whether a failure is to be logged now: if so, how many have not been since the last one.
    pub(super) fn admit(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now - last < LOG_INTERVAL) {
            self.unlogged += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.unlogged))
    }
}

#[cfg(test)]
mod tests;
