//! Pinging sessions as the server's Set Keepalive Timers message asks for it (RFC 7425 §5.3.4).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use introd_flash::user_control::MIN_KEEPALIVE_MS;
use rtmfp::{Endpoint, SessionId};

/// The advised periods, and when each session was pinged last.
#[derive(Debug, Default)]
pub(super) struct Keepalive {
    advised: Option<(u32, u32)>,
    pinged: HashMap<SessionId, Instant>,
}

impl Keepalive {
    pub(super) fn advise(&mut self, server: u32, peer: u32) {
        self.advised = Some((server, peer));
    }

    pub(super) fn advised(&self) -> Option<(u32, u32)> {
        self.advised
    }

    pub(super) fn forget(&mut self, session: SessionId) {
        self.pinged.remove(&session);
    }

    /// The period for a session. Until the server advises one, the endpoint's own keepalive has to do.
    fn period(&self, is_server: bool) -> Option<Duration> {
        let (server, peer) = self.advised?;
        let advised = if is_server { server } else { peer };
        // A client may keep to five seconds or more (RFC 7425 §5.3.4).
        Some(Duration::from_millis(u64::from(advised.max(MIN_KEEPALIVE_MS))))
    }

    fn due(&self, endpoint: &Endpoint, id: SessionId, server: SessionId) -> Option<Instant> {
        let heard = endpoint.session(id)?.heard;
        let last = self.pinged.get(&id).map_or(heard, |pinged| heard.max(*pinged));
        Some(last + self.period(id == server)?)
    }

    /// When [`Self::ping`] is to be called.
    pub(super) fn next(&self, endpoint: &Endpoint, server: SessionId) -> Option<Instant> {
        endpoint.session_ids().filter_map(|id| self.due(endpoint, id, server)).min()
    }

    /// Pings the sessions that have been silent for their period.
    pub(super) fn ping(&mut self, now: Instant, endpoint: &mut Endpoint, server: SessionId) {
        let all: Vec<SessionId> = endpoint.session_ids().collect();
        for id in all {
            if self.due(endpoint, id, server).is_some_and(|due| due <= now) {
                endpoint.ping(now, id, &[]);
                self.pinged.insert(id, now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session_pair::SessionPair;
    use rtmfp::InterfaceId;

    #[test]
    fn advice_is_obeyed_down_to_five_seconds() {
        let mut keepalive = Keepalive::default();
        assert_eq!((keepalive.period(true), keepalive.period(false)), (None, None));
        keepalive.advise(15_000, 0);
        assert_eq!(keepalive.advised(), Some((15_000, 0)));
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!((keepalive.period(true), keepalive.period(false)), (seconds(15), seconds(5)));
    }

    #[test]
    fn a_session_that_was_silent_for_its_period_is_pinged_once_in_a_period() {
        let mut pair = SessionPair::new();
        let (start, session) = (pair.now, pair.session);
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut keepalive = Keepalive::default();
        keepalive.ping(at(60), &mut pair.near, session);
        assert_eq!(keepalive.next(&pair.near, session), None, "the server has not advised any period");
        keepalive.advise(15_000, 10_000);
        assert_eq!(keepalive.next(&pair.near, session), Some(at(15)));
        let mut pings = |keepalive: &mut Keepalive, now| {
            keepalive.ping(now, &mut pair.near, session);
            let mut datagram = Vec::new();
            let sent = std::iter::from_fn(|| pair.near.poll_transmit(now, &mut datagram)).count();
            (sent, keepalive.next(&pair.near, session))
        };
        assert_eq!(pings(&mut keepalive, at(14)), (0, Some(at(15))));
        assert_eq!(pings(&mut keepalive, at(15)), (1, Some(at(30))));
        assert_eq!(pings(&mut keepalive, at(20)), (0, Some(at(30))), "the ping is not repeated at once");
        keepalive.forget(session);
        assert_eq!(keepalive.pinged.len(), 0);
        // If another session is the one with the server, this one is with a peer.
        let server = pair.near.open(start, vec![2, 0x0f, 1], &[(InterfaceId(0), ([192, 0, 2, 3], 1).into())]).unwrap();
        assert_eq!(keepalive.next(&pair.near, server), Some(at(10)));
    }
}
