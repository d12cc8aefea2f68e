//! What happens after the driver stood still: its silence is not that of its peers.
//!
//! A process that is stopped, suspended, or not given a processor receives nothing for that time. What arrived meanwhile waits in its
//! sockets as far as there was room; the rest is lost. Neither says anything about the peers.

use std::time::{Duration, Instant};

use super::occupant::Occupant;
use super::state::Endpoint;

/// If a deadline is noticed so much later than it was due, the driver stood still.
const MIN_STANDSTILL: Duration = Duration::from_secs(1);

impl Endpoint {
    /// For how long the driver has stood still: the time since the endpoint's first deadline was due, if that is long ago. What was
    /// due in this time may be due only because nothing was received. A driver that finds this out reads its sockets empty
    /// before it calls [`Self::handle_timeout`]. What the last call left for the next one does not count before that.
    pub fn standstill(&self, now: Instant) -> Option<Duration> {
        let due = self.timers.next()?;
        let late = now.saturating_duration_since(self.left_due.map_or(due, |left| due.max(left)));
        (late >= MIN_STANDSTILL).then_some(late)
    }

    /// Subtracts the time for which the driver stood still from the silence of the peers.
    pub(super) fn forgive_standstill(&mut self, now: Instant) {
        let Some(stood) = self.standstill(now) else { return };
        for (id, occupant) in self.slots.iter_mut() {
            match occupant {
                Occupant::Session(session) => {
                    session.stood_still(now, stood, &self.config);
                    let deadline = session.deadline(&self.config);
                    self.timers.arm(now, id, &mut session.armed, deadline);
                }
                Occupant::Initiation(initiation) => initiation.stood_still(stood),
            }
        }
    }
}
