//! How much memory scripts use, each and all together, for other threads to read.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A smaller change of a VM's memory is not reported: handlers that take little do not touch the shared counters.
const MIN_CHANGE: usize = 4 << 10;

/// Bytes that some VMs use.
#[derive(Debug, Default)]
pub(crate) struct Used(AtomicUsize);

impl Used {
    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// One of the VMs uses `after` bytes instead of `before`.
    fn change(&self, before: usize, after: usize) {
        // The difference may wrap; the sum never falls below what any of the VMs has added.
        self.0.fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
    }
}

/// Where the VMs of an instance report how much memory they use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    /// Of this instance.
    pub(crate) own: Arc<Used>,
    /// Of all instances.
    pub(crate) all: Arc<Used>,
}

impl Memory {
    /// For an instance whose memory counts in that total, too.
    pub(crate) fn among(all: &Arc<Used>) -> Self {
        Self { own: Arc::default(), all: Arc::clone(all) }
    }

    /// Something besides the VMs uses `after` bytes instead of `before`.
    pub(crate) fn change(&self, before: usize, after: usize) {
        if before != after {
            self.own.change(before, after);
            self.all.change(before, after);
        }
    }

    /// A meter for one VM, which uses nothing yet.
    pub(crate) fn meter(&self) -> Meter {
        Meter { memory: self.clone(), said: Cell::new(0) }
    }
}

/// Reports how much memory one VM uses. Dropping it reports none.
pub(crate) struct Meter {
    memory: Memory,
    said: Cell<usize>,
}

impl Meter {
    /// The VM uses so many bytes now.
    pub(crate) fn say(&self, used: usize) {
        if used.abs_diff(self.said.get()) >= MIN_CHANGE {
            self.set(used);
        }
    }

    fn set(&self, used: usize) {
        let before = self.said.replace(used);
        self.memory.change(before, used);
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_vms_use_adds_up_and_is_gone_with_them() {
        let all = Arc::default();
        let (first, second) = (Memory::among(&all), Memory::among(&all));
        let (old, new, other) = (first.meter(), first.meter(), second.meter());
        old.say(100_000);
        new.say(50_000);
        other.say(200_000);
        assert_eq!((first.own.get(), second.own.get(), all.get()), (150_000, 200_000, 350_000));
        new.say(50_000 + MIN_CHANGE - 1);
        assert_eq!(all.get(), 350_000, "too little to be said");
        other.say(20_000);
        drop(old);
        assert_eq!((first.own.get(), second.own.get(), all.get()), (50_000, 20_000, 70_000));
        drop((new, other));
        assert_eq!((first.own.get(), second.own.get(), all.get()), (0, 0, 0));
    }
}
