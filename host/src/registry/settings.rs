//! The limits on lookups in a registry.

use std::time::Duration;

/// The limits on a server's lookups in its registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResolverSettings {
    /// The timeout of a call.
    pub timeout: Duration,
    /// The maximum number of peers that are looked up at a time. A further lookup is not made.
    pub max_calls: usize,
    /// The maximum number of lookups that wait for the answer about one peer.
    pub max_waiting: usize,
    /// How long the resolver remembers that a peer is unknown. The time is short: clients repeat their lookups for seconds, and the
    /// next repetition should find a peer that has just connected.
    pub negative: Duration,
    /// The maximum number of unknown peers that are remembered.
    pub max_negative: usize,
}

impl Default for ResolverSettings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_millis(500),
            max_calls: 4096,
            max_waiting: 64,
            negative: Duration::from_millis(250),
            max_negative: 65_536,
        }
    }
}
