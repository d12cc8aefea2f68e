//! The metrics of the registry.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! metrics {
    ($($(#[$doc:meta])* $name:ident: $kind:ident = $text:literal, $help:literal;)*) => {
        /// The metrics of the registry: counters, which only grow, and gauges, which show a current value.
        #[derive(Debug, Default)]
        pub struct Stats {
            $($(#[$doc])* pub $name: AtomicU64,)*
        }

        /// The kind of a metric.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum MetricKind {
            /// It only grows.
            Counter,
            /// It goes up and down.
            Gauge,
        }

        impl Stats {
            /// The name, kind, help text and value of each metric.
            pub fn all(&self) -> impl Iterator<Item = (&'static str, MetricKind, &'static str, u64)> + '_ {
                [$(($text, MetricKind::$kind, $help, self.$name.load(Ordering::Relaxed)),)*].into_iter()
            }
        }
    };
}

metrics! {
    /// Peers looked up.
    lookups: Counter = "lookups", "Peers looked up";
    /// Lookups answered without asking Redis.
    cached: Counter = "cached", "Lookups answered from memory";
    /// Lookups that found the peer.
    found: Counter = "found", "Lookups that found the peer";
    /// Lookups that found only entries of dead servers.
    orphans: Counter = "orphans", "Lookups that found only entries of dead servers";
    /// Lookups that failed.
    failed: Counter = "failed", "Lookups that failed";
    /// Round trips that batches of lookups have taken: one each, or two if an entry names a server that was not named lately.
    lookup_batches: Counter = "lookup_batches", "Round trips that lookups have taken";
    /// Entries written.
    published: Counter = "published", "Entries written";
    /// Entries withdrawn.
    withdrawn: Counter = "withdrawn", "Entries withdrawn";
    /// Batches of entries sent to Redis. Each is one round trip.
    write_batches: Counter = "write_batches", "Batches of entries sent to Redis";
    /// Heartbeats and writes of entries that Redis has refused.
    writes_refused: Counter = "writes_refused", "Heartbeats and writes of entries that Redis has refused";
    /// Entries that Redis had lost, and that were written again.
    entries_lost: Counter = "entries_lost", "Entries that Redis had lost, and that were written again";
    /// Memberships written.
    memberships_written: Counter = "memberships_written", "Memberships in groups written";
    /// Memberships withdrawn.
    memberships_withdrawn: Counter = "memberships_withdrawn", "Memberships in groups withdrawn";
    /// Queries for the neighbours of a position in a group.
    neighbor_queries: Counter = "neighbor_queries", "Queries for the neighbours of a position in a group";
    /// Round trips that memberships and queries have taken, many in one.
    group_batches: Counter = "group_batches", "Round trips that memberships and queries have taken";
    /// Members of dead servers that this server has removed from groups.
    dead_members_removed: Counter = "dead_members_removed", "Members of dead servers removed from groups";
    /// Heartbeats sent to Redis.
    heartbeats: Counter = "heartbeats", "Heartbeats sent to Redis";
    /// Connections opened to Redis.
    connections: Counter = "connections", "Connections opened to Redis";
    /// Connections that broke or could not be opened.
    breaks: Counter = "breaks", "Connections to Redis that broke or could not be opened";
    /// How often all entries were written again.
    republished: Counter = "republished", "How often all entries were written again";
    /// 1 while Redis can be reached.
    connected: Gauge = "connected", "1 while Redis can be reached";
    /// 1 while Redis has accepted a heartbeat within its lifetime, so that other servers find the peers of this one.
    alive: Gauge = "alive", "1 while other servers consider this server alive";
    /// Peers that this server publishes.
    entries: Gauge = "entries", "Peers that this server publishes";
    /// Entries that wait to be written.
    unwritten: Gauge = "unwritten", "Entries that wait to be written";
    /// Memberships in groups that this server publishes.
    memberships: Gauge = "memberships", "Memberships in groups that this server publishes";
    /// Memberships that wait to be written.
    memberships_unwritten: Gauge = "memberships_unwritten", "Memberships that wait to be written";
    /// Lookups and queries that wait for Redis.
    pending: Gauge = "pending", "Lookups and queries that wait for Redis";
    /// Peers that are cached.
    remembered: Gauge = "remembered", "Peers that are cached, found or not";
}

/// Adds to a counter.
pub(crate) fn count(counter: &AtomicU64, amount: usize) {
    counter.fetch_add(amount as u64, Ordering::Relaxed);
}

/// Sets a gauge.
pub(crate) fn set(gauge: &AtomicU64, value: usize) {
    gauge.store(value as u64, Ordering::Relaxed);
}
