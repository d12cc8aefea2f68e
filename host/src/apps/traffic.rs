//! What the clients of an instance did, for the administration.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime};

use introd_policy::{InstanceTotals, Totals};

/// What the clients of an instance did since the instance was made. Any thread may count and read.
#[derive(Debug)]
pub struct Traffic {
    /// When the instance was made.
    pub launched: SystemTime,
    /// The same, to measure how long ago that is.
    pub since: Instant,
    accepted: AtomicU64,
    rejected: AtomicU64,
    disconnected: AtomicU64,
    messages_in: AtomicU64,
    messages_out: AtomicU64,
    messages_dropped: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

/// The values of [`Traffic`] at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrafficCounts {
    /// Clients that were accepted.
    pub accepted: u64,
    /// Clients that a policy of the application rejected.
    pub rejected: u64,
    /// Accepted clients that are gone.
    pub disconnected: u64,
    /// Messages received.
    pub messages_in: u64,
    /// Messages sent.
    pub messages_out: u64,
    /// Messages given up.
    pub messages_dropped: u64,
    /// Bytes of messages received, without what the protocol adds.
    pub bytes_in: u64,
    /// Bytes of messages sent, without what the protocol adds.
    pub bytes_out: u64,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            launched: SystemTime::now(),
            since: Instant::now(),
            accepted: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            disconnected: AtomicU64::new(0),
            messages_in: AtomicU64::new(0),
            messages_out: AtomicU64::new(0),
            messages_dropped: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
        }
    }
}

fn add(counter: &AtomicU64, number: u64) {
    counter.fetch_add(number, Ordering::Relaxed);
}

impl Traffic {
    /// A client was accepted.
    pub fn accepted(&self) {
        add(&self.accepted, 1);
    }

    /// A client was rejected.
    pub fn rejected(&self) {
        add(&self.rejected, 1);
    }

    /// An accepted client is gone.
    pub fn disconnected(&self) {
        add(&self.disconnected, 1);
    }

    /// A message of that length in bytes was received.
    pub fn received(&self, bytes: u64) {
        add(&self.messages_in, 1);
        add(&self.bytes_in, bytes);
    }

    /// A message of that length in bytes was sent.
    pub fn sent(&self, bytes: u64) {
        add(&self.messages_out, 1);
        add(&self.bytes_out, bytes);
    }

    /// A message was given up.
    pub fn dropped(&self) {
        add(&self.messages_dropped, 1);
    }

    /// The present values.
    pub fn counts(&self) -> TrafficCounts {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        TrafficCounts {
            accepted: get(&self.accepted),
            rejected: get(&self.rejected),
            disconnected: get(&self.disconnected),
            messages_in: get(&self.messages_in),
            messages_out: get(&self.messages_out),
            messages_dropped: get(&self.messages_dropped),
            bytes_in: get(&self.bytes_in),
            bytes_out: get(&self.bytes_out),
        }
    }
}

impl Totals for Traffic {
    fn totals(&self) -> InstanceTotals {
        let counts = self.counts();
        InstanceTotals {
            connects: counts.accepted,
            disconnects: counts.disconnected,
            messages_in: counts.messages_in,
            messages_out: counts.messages_out,
            messages_dropped: counts.messages_dropped,
            bytes_in: counts.bytes_in,
            bytes_out: counts.bytes_out,
        }
    }
}

impl std::ops::AddAssign for TrafficCounts {
    fn add_assign(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.rejected += other.rejected;
        self.disconnected += other.disconnected;
        self.messages_in += other.messages_in;
        self.messages_out += other.messages_out;
        self.messages_dropped += other.messages_dropped;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_counts_once_and_counts_add_up() {
        let traffic = Traffic::default();
        (0..1).for_each(|_| traffic.accepted());
        (0..2).for_each(|_| traffic.rejected());
        (0..3).for_each(|_| traffic.disconnected());
        (0..4).for_each(|_| traffic.received(10));
        (0..5).for_each(|_| traffic.sent(100));
        (0..6).for_each(|_| traffic.dropped());
        let told = traffic.totals();
        assert_eq!((told.connects, told.disconnects, told.messages_dropped), (1, 3, 6));
        assert_eq!((told.messages_in, told.bytes_in, told.messages_out, told.bytes_out), (4, 40, 5, 500));
        let counts = traffic.counts();
        let expected = TrafficCounts {
            accepted: 1,
            rejected: 2,
            disconnected: 3,
            messages_in: 4,
            messages_out: 5,
            messages_dropped: 6,
            bytes_in: 40,
            bytes_out: 500,
        };
        assert_eq!(counts, expected);
        let mut sum = counts;
        sum += TrafficCounts { accepted: 1, ..counts };
        assert_eq!((sum.accepted, sum.rejected, sum.disconnected), (2, 4, 6));
        assert_eq!((sum.messages_in, sum.messages_out, sum.messages_dropped), (8, 10, 12));
        assert_eq!((sum.bytes_in, sum.bytes_out), (80, 1000));
    }
}
