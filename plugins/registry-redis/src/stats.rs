//! What the registry has done, counted.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! figures {
    ($($(#[$doc:meta])* $name:ident: $kind:ident = $text:literal, $help:literal;)*) => {
        /// The figures. Counters only grow; gauges are as they are now.
        #[derive(Debug, Default)]
        pub struct Stats {
            $($(#[$doc])* pub $name: AtomicU64,)*
        }

        /// A figure's kind.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind {
            /// It only grows.
            Counter,
            /// It goes up and down.
            Gauge,
        }

        impl Stats {
            /// Name, kind, help and value of each.
            pub fn all(&self) -> impl Iterator<Item = (&'static str, Kind, &'static str, u64)> + '_ {
                [$(($text, Kind::$kind, $help, self.$name.load(Ordering::Relaxed)),)*].into_iter()
            }
        }
    };
}

figures! {
    /// Peers looked up.
    lookups: Counter = "lookups", "Peers looked up";
    /// Of these, answered from what was remembered.
    cached: Counter = "cached", "Lookups answered from memory";
    /// Of these, found.
    found: Counter = "found", "Lookups that found the peer";
    /// Lookups that found an entry of a server that is dead.
    orphans: Counter = "orphans", "Lookups that found what a dead server had left";
    /// Lookups that failed.
    failed: Counter = "failed", "Lookups that failed";
    /// Batches of lookups sent: each is a round trip.
    lookup_batches: Counter = "lookup_batches", "Batches of lookups sent to Redis";
    /// Entries written.
    published: Counter = "published", "Entries written";
    /// Entries taken back.
    withdrawn: Counter = "withdrawn", "Entries taken back";
    /// Batches of entries sent: each is a round trip.
    write_batches: Counter = "write_batches", "Batches of entries sent to Redis";
    /// Heartbeats.
    heartbeats: Counter = "heartbeats", "Heartbeats sent to Redis";
    /// Connections made.
    connections: Counter = "connections", "Connections made to Redis";
    /// Connections that broke, and attempts that failed.
    breaks: Counter = "breaks", "Connections to Redis that broke or could not be made";
    /// Times that everything was published anew.
    republished: Counter = "republished", "Times that all entries were written anew";
    /// 1 while Redis can be reached.
    connected: Gauge = "connected", "1 while Redis can be reached";
    /// Peers that this server has published.
    entries: Gauge = "entries", "Peers that this server publishes";
    /// Entries that wait to be written.
    unwritten: Gauge = "unwritten", "Entries that wait to be written";
    /// Lookups that wait.
    pending: Gauge = "pending", "Lookups that wait for Redis";
    /// Peers that are remembered.
    remembered: Gauge = "remembered", "Peers that are remembered, found or not";
}

pub(crate) fn count(counter: &AtomicU64, amount: usize) {
    counter.fetch_add(amount as u64, Ordering::Relaxed);
}

pub(crate) fn set(gauge: &AtomicU64, value: usize) {
    gauge.store(value as u64, Ordering::Relaxed);
}
