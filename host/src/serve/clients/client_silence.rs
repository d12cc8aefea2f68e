//! How long a client has been silent, and how long it may be.

use std::time::Duration;

use rtmfp::Moment;

/// The state of the watch over a client's silence.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ClientSilence {
    /// When the client is checked next: its deadline in the agenda.
    pub(super) due: Option<Moment>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_counts_as_silent_before_the_endpoint_gives_it_up() {
        let seconds = |interval: u32, silence_limit: u64| {
            let silence = ClientSilence { interval: interval * 1000, ..ClientSilence::default() };
            let (ping, silent) = silence.intervals(Duration::from_secs(silence_limit));
            (ping.as_secs_f64(), silent.as_secs_f64())
        };
        assert_eq!(seconds(30, 120), (30.0, 60.0), "pinged after an interval, silent after two");
        assert_eq!(seconds(30, 60), (22.5, 45.0));
        assert_eq!(seconds(300, 60), (22.5, 45.0));
        assert_eq!(seconds(300, 500), (187.5, 375.0));
    }
}
