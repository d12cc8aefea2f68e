//! The end of a worker: its clients have some seconds to close.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use rtmfp::{CloseReason, Endpoint, Event, SessionId};

/// How long closing clients are waited for when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);

/// A worker that waits for its clients to close.
pub(super) struct Stopping {
    /// When it stops waiting.
    pub(super) until: Instant,
    /// Sessions that the far end has closed. They stay for a while to answer a repeated close (RFC 7016 §3.5.5), and are not
    /// worth waiting for.
    lingering: HashSet<SessionId>,
}

impl Stopping {
    pub(super) fn new(now: Instant, endpoint: &Endpoint) -> Self {
        let lingering = endpoint.session_ids().filter(|id| endpoint.session(*id).is_none()).collect();
        Self { until: now + STOP_TIMEOUT, lingering }
    }

    pub(super) fn note(&mut self, event: &Event) {
        if let Event::Closed { session, reason: CloseReason::Far | CloseReason::FarAbrupt } = event {
            self.lingering.insert(*session);
        }
    }

    pub(super) fn is_done(&self, now: Instant, endpoint: &Endpoint) -> bool {
        now >= self.until || endpoint.session_ids().all(|id| self.lingering.contains(&id))
    }
}
