//! How many connections each instance has.

use std::collections::HashMap;
use std::sync::Arc;

use introd_policy::InstanceName;
use parking_lot::Mutex;

/// The seats that are taken.
#[derive(Clone, Default)]
pub(super) struct Seats(Arc<Mutex<HashMap<InstanceName, usize>>>);

/// A place among the connections of an instance, as long as it is held.
pub(super) struct Seat {
    owner: InstanceName,
    seats: Seats,
}

impl Seats {
    /// Takes a seat, if the instance has fewer than `max`.
    pub(super) fn take(&self, owner: &InstanceName, max: usize) -> Option<Seat> {
        let mut counts = self.0.lock();
        let count = counts.get(owner).copied().unwrap_or_default();
        if count >= max {
            return None;
        }
        counts.insert(owner.clone(), count + 1);
        Some(Seat { owner: owner.clone(), seats: self.clone() })
    }

    /// Whether the instance has any.
    pub(super) fn is_used(&self, owner: &InstanceName) -> bool {
        self.0.lock().contains_key(owner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self.seats.0.lock();
        match counts.get_mut(&self.owner) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(counts.remove(&self.owner)),
        }
    }
}
