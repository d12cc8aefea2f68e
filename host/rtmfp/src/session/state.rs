//! The states of a session that has been open (RFC 7016 §3.5, Figure 8).

use std::time::{Duration, Instant};

use crate::moment::Moment;

/// A Close Request is repeated at this interval (§3.5.5).
const CLOSE_INTERVAL: Duration = Duration::from_secs(5);
/// S_NEARCLOSE lasts at most this long.
const NEAR_CLOSE: Duration = Duration::from_secs(90);
/// S_FARCLOSE_LINGER lasts this long.
const FAR_CLOSE_LINGER: Duration = Duration::from_secs(19);

/// Where a session stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// S_OPEN
    Open,
    /// S_NEARCLOSE: this end has asked for the close.
    NearClose(Box<Closing>),
    /// S_FARCLOSE_LINGER: the far end has asked for the close, and may ask again.
    FarCloseLinger {
        /// When it ends.
        until: Moment,
    },
    /// S_CLOSED
    Closed,
}

/// The times of an orderly close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closing {
    /// When the next request is due.
    pub(crate) next_request: Instant,
    /// When waiting for an answer ends.
    pub(crate) until: Instant,
}

impl Closing {
    /// A request goes out now.
    pub(crate) fn repeat(&mut self, now: Instant) {
        self.next_request = now + CLOSE_INTERVAL;
    }
}

impl State {
    pub(crate) fn near_close(now: Instant) -> Self {
        State::NearClose(Box::new(Closing { next_request: now + CLOSE_INTERVAL, until: now + NEAR_CLOSE }))
    }

    pub(crate) fn far_close_linger(now: Instant) -> Self {
        State::FarCloseLinger { until: (now + FAR_CLOSE_LINGER).into() }
    }
}
