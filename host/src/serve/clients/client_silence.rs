//! How long a client has said nothing, and may.

use std::time::{Duration, Instant};

/// How a client keeps its promise to speak.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ClientSilence {
    /// When it is looked at next: its deadline in the agenda.
    pub(super) due: Option<Instant>,
    /// How long it may say nothing, in milliseconds.
    pub(super) interval: u32,
    pub(super) stage: Stage,
    /// Pings sent since somebody looked for it; of one that is silent, how often it has been looked at since.
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
    /// After how much silence it is asked, and after how much more it counts as silent.
    pub(super) fn intervals(&self, silence_limit: Duration) -> (Duration, Duration) {
        let interval = Duration::from_millis(self.interval.into());
        // Where the endpoint gives up sooner than that, there must be time to find it elsewhere before.
        let limit = (2 * interval).min(silence_limit * 3 / 4);
        (interval.min(limit / 2), limit)
    }
}
