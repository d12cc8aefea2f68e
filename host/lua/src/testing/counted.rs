//! What the made-up clients of a test did: `application.getStats()`.

use std::sync::atomic::{AtomicU64, Ordering};

use introd_policy::message::ClientCommand;
use introd_policy::{InstanceTotals, Totals};

/// Counts clients, calls and answers. Nothing on the stage has a length in bytes.
#[derive(Default)]
pub(super) struct Counted {
    connects: AtomicU64,
    disconnects: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
}

fn add(counter: &AtomicU64, number: u64) {
    counter.fetch_add(number, Ordering::Relaxed);
}

impl Counted {
    /// A client was accepted.
    pub(super) fn connects(&self) {
        add(&self.connects, 1);
    }

    /// A client has left, which had been accepted or not.
    pub(super) fn disconnects(&self, was_accepted: bool) {
        add(&self.disconnects, u64::from(was_accepted));
    }

    /// A client has called a method.
    pub(super) fn receives(&self) {
        add(&self.received, 1);
    }

    /// The script sends that to a client.
    pub(super) fn sends(&self, command: &ClientCommand) {
        let is_message = matches!(command, ClientCommand::Call { .. } | ClientCommand::Answer { .. });
        add(&self.sent, u64::from(is_message));
    }
}

impl Totals for Counted {
    fn totals(&self) -> InstanceTotals {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        InstanceTotals {
            connects: get(&self.connects),
            disconnects: get(&self.disconnects),
            messages_in: get(&self.received),
            messages_out: get(&self.sent),
            ..InstanceTotals::default()
        }
    }
}
