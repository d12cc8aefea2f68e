//! The callbacks of plugins, and how much time an instance takes for them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The least time between two log lines about slow callbacks of one instance.
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

    /// Whether it may block: the others run on threads that serve clients.
    pub(super) fn may_block(self) -> bool {
        matches!(self, Self::Create | Self::Destroy | Self::Timer)
    }
}

/// The calls of an instance, their time, and how many of them failed or were slow.
#[derive(Debug, Default)]
pub struct Account {
    calls: AtomicU64,
    nanos: AtomicU64,
    failures: AtomicU64,
    slow: AtomicU64,
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

    pub(super) fn add(&self, took: Duration) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn add_failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a slow call. Gives how many there have been if this one is to be logged.
    pub(super) fn add_slow(&self, start: Instant) -> Option<u64> {
        let slow = self.slow.fetch_add(1, Ordering::Relaxed) + 1;
        // At least 1, so that 0 stands for never.
        let now = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX).saturating_add(1);
        let logged = self.logged.load(Ordering::Relaxed);
        let is_due = logged == 0 || now.saturating_sub(logged) >= LOG_INTERVAL.as_nanos() as u64;
        let is_mine = is_due && self.logged.compare_exchange(logged, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        is_mine.then_some(slow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_calls_are_counted_each_and_logged_once_in_a_while() {
        let (account, start) = (Account::default(), Instant::now());
        assert_eq!([0; 3].map(|_| account.add_slow(start)), [Some(1), None, None]);
        assert_eq!(account.slow(), 3);
        // The last one was logged long ago.
        account.logged.store(1, Ordering::Relaxed);
        let earlier = Instant::now().checked_sub(2 * LOG_INTERVAL).unwrap();
        assert_eq!([0; 2].map(|_| account.add_slow(earlier)), [Some(4), None]);
        account.add(Duration::from_micros(3));
        account.add(Duration::from_micros(4));
        assert_eq!((account.calls(), account.time()), (2, Duration::from_micros(7)));
    }

    #[test]
    fn callbacks_on_threads_that_serve_nobody_may_block() {
        let all = [
            Callback::Create,
            Callback::Destroy,
            Callback::Timer,
            Callback::Connect,
            Callback::Disconnect,
            Callback::AddressesChanged,
            Callback::Lookup,
            Callback::Cancel,
            Callback::Publish,
            Callback::Withdraw,
            Callback::Find,
            Callback::Join,
            Callback::Leave,
        ];
        assert_eq!(all.map(Callback::may_block).iter().filter(|may| **may).count(), 3);
        assert!(all[..3].iter().all(|callback| callback.may_block()));
    }
}
