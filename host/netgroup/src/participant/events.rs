//! What happens at the endpoint, and what is due.

use std::time::Duration;

use rtmfp::{Event, OpenFailure, PeerId, SessionId};

use super::context::EndpointContext;
use super::peer_session::{PeerSession, facts};
use super::state::{OPENING_TIMEOUT, Opening, Participant};

/// How long a session that this end opened for a group stays open while no group uses it.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How often idle sessions are looked for.
pub(super) const IDLE_CHECK: Duration = Duration::from_secs(10);

impl Participant {
    /// Takes an event of the endpoint. Call it for every event, also for those that are not about groups.
    pub fn handle_event(&mut self, context: &mut EndpointContext<'_>, event: &Event) {
        let now = context.now;
        match event {
            Event::Opened { session, .. } => self.opened(context, *session),
            Event::OpenFailed { session, reason } => self.open_failed(context, *session, reason),
            Event::Flow { session, event } => self.handle_flow(context, *session, event),
            Event::AddressChanged { session, to, .. } => {
                if let Some(peer) = self.sessions.get(session).map(|session| session.peer) {
                    self.tell_all(context, |member| member.on_address(now, &peer, *to));
                }
            }
            Event::Closed { session, .. } => {
                if self.server.is_some_and(|server| server.session == *session) {
                    self.set_server(context, None);
                }
                let Some(PeerSession { peer, .. }) = self.sessions.remove(session) else { return };
                // Another session may have replaced it.
                if self.by_peer.get(&peer) == Some(session) {
                    self.by_peer.remove(&peer);
                    self.tell_all(context, |member| member.on_session_closed(now, peer));
                }
            }
            Event::Lookup(lookup) => self.introduce(context, lookup),
            Event::Keying(_) | Event::Keys { .. } => (),
            Event::Pong { .. } | Event::Refused { .. } | Event::Overspent { .. } => (),
        }
    }

    fn opened(&mut self, context: &mut EndpointContext<'_>, session: SessionId) {
        let is_own = self.opening.remove(&session).is_some() || self.is_for_name(session);
        let Some(info) = context.endpoint.session(session) else { return };
        self.attempts.answered(info.far_address.ip());
        self.sessions.insert(session, PeerSession::new(context.now, info.peer_id, is_own));
        self.by_peer.insert(info.peer_id, session);
        if is_own && self.next_idle_check.is_none() {
            self.next_idle_check = Some(context.now + IDLE_CHECK);
        }
        let now = context.now;
        self.tell_all(context, |member| member.on_session(now, facts(&info)));
        self.named_opened(context, session, info.peer_id);
    }

    fn open_failed(&mut self, context: &mut EndpointContext<'_>, session: SessionId, reason: &OpenFailure) {
        self.named_failed(context, session, reason);
        let Some(Opening { peer, .. }) = self.opening.remove(&session) else { return };
        let now = context.now;
        match reason {
            OpenFailure::Duplicate(existing) => {
                // The other end was faster. If its session is not open yet, the endpoint reports it when it is.
                if let Some(info) = context.endpoint.session(*existing) {
                    self.tell_all(context, |member| member.on_session(now, facts(&info)));
                }
            }
            _ => self.tell_all(context, |member| member.on_open_failed(now, peer)),
        }
    }

    /// Does what is due. Call it at [`Participant::poll_timeout`].
    pub fn handle_timeout(&mut self, context: &mut EndpointContext<'_>) {
        let now = context.now;
        let late: Vec<SessionId> =
            self.opening.iter().filter(|(_, opening)| opening.until <= now).map(|(session, _)| *session).collect();
        for session in late {
            // It is closed once: the endpoint then reports that it did not open.
            if let Some(opening) = self.opening.get_mut(&session) {
                opening.until = now + OPENING_TIMEOUT;
            }
            context.endpoint.close(now, session);
        }
        for membership in self.memberships.values_mut() {
            if membership.member.poll_timeout() > now {
                continue;
            }
            let neighbors: Vec<PeerId> = membership.member.neighbors().collect();
            for peer in neighbors {
                let info = self.by_peer.get(&peer).and_then(|session| context.endpoint.session(*session));
                if let Some(rtt) = info.and_then(|info| info.smoothed_rtt) {
                    membership.member.on_rtt(&peer, rtt);
                }
            }
            membership.member.handle_timeout(now);
        }
        self.pump_all(context);
        self.seek(context);
        if self.next_idle_check.is_some_and(|due| due <= now) {
            self.close_idle(context);
        }
    }

    /// Closes sessions that this end opened for a group and that no group uses.
    fn close_idle(&mut self, context: &mut EndpointContext<'_>) {
        let now = context.now;
        let memberships = &self.memberships;
        let mut has_own = false;
        for (id, session) in self.sessions.iter_mut().filter(|(_, session)| session.is_own) {
            has_own = true;
            if memberships.values().any(|membership| membership.member.uses(&session.peer)) {
                session.idle_since = None;
            } else if now.saturating_duration_since(*session.idle_since.get_or_insert(now)) >= IDLE_TIMEOUT {
                context.endpoint.close(now, *id);
            }
        }
        self.next_idle_check = has_own.then_some(now + IDLE_CHECK);
    }
}
