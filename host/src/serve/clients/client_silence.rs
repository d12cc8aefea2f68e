//! How long a client has been silent, and how long it may be.

use std::time::{Duration, Instant};

/// The state of the watch over a client's silence.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ClientSilence {
    /// When the client is checked next: its deadline in the agenda.
    pub(super) due: Option<Instant>,
    /// How long the client may be silent, in milliseconds.
    pub(super) interval: u32,
    pub(super) stage: Stage,
    /// The pings sent since a peer looked the client up. For a silent client, how often it has been checked since.
    pub(super) probes: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    #[default]
    Heard,
    Asked,
    Silent,
}

impl ClientSilence {
    /// After how much silence the client is pinged, and after how much more it counts as silent.
    pub(super) fn intervals(&self, silence_limit: Duration) -> (Duration, Duration) {
        let interval = Duration::from_millis(self.interval.into());
        // If the endpoint gives the session up sooner than that, there must be time to find the peer at another server before.
        let limit = (2 * interval).min(silence_limit * 3 / 4);
        (interval.min(limit / 2), limit)
    }
}
