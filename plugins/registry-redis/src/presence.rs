//! One peer at this server: since when it is here, and by which session.

use introd_plugin::PeerSession;

use crate::claim::Claim;

/// By which sessions a peer is at a server, and since when: what counts when several servers have the peer. A process that takes over goes on
/// with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Beginnings {
    /// The session that the peer has; not 0.
    pub(crate) session: u64,
    /// When that began, in milliseconds since 1970.
    pub(crate) since: u64,
    /// Whether Redis has not confirmed that yet.
    pub(crate) is_new: bool,
    /// The first session that the peer had there, and its beginning, if it is another one.
    pub(crate) first: Option<Box<(u64, u64)>>,
}

/// A peer at this server.
pub(crate) struct Presence {
    pub(crate) claim: Claim,
    /// Whether Redis has not confirmed the beginning yet: it must be later than that of all other entries there.
    pub(crate) is_new: bool,
    /// The session that the peer has; 0 if it is not known.
    session: u64,
    /// The first session that the peer had here, and its beginning, if it is another one.
    first: Option<Box<(u64, u64)>>,
    pub(crate) addresses: Box<[u8]>,
}

impl Presence {
    /// A peer that is published without a session counts as proven: a policy published it, and knows best.
    pub(crate) fn new(since: u64, session: Option<PeerSession>, addresses: Box<[u8]>) -> Self {
        let PeerSession { id, is_proven, is_silent } =
            session.unwrap_or(PeerSession { is_proven: true, ..PeerSession::default() });
        let claim = Claim { is_proven, is_silent, since };
        Self { claim, is_new: true, session: id, first: None, addresses }
    }

    /// A peer that was at another process with these beginnings, whose place this process has taken, and is published at the time `now`.
    pub(crate) fn resumed(
        beginnings: Beginnings,
        now: u64,
        session: Option<PeerSession>,
        addresses: Box<[u8]>,
    ) -> Self {
        let mut presence = Self::new(beginnings.since, None, addresses);
        presence.go_on(beginnings);
        presence.update(now, session);
        presence
    }

    /// The session that the peer has; 0 if it is not known.
    pub(crate) fn session(&self) -> u64 {
        self.session
    }

    /// Sets the beginnings.
    pub(crate) fn go_on(&mut self, beginnings: Beginnings) {
        let Beginnings { session, since, is_new, first } = beginnings;
        self.claim.since = since;
        (self.session, self.is_new, self.first) = (session, is_new, first);
    }

    /// The beginnings; `None` if no session has the peer: what a policy publishes is new each time.
    pub(crate) fn beginnings(&self) -> Option<Beginnings> {
        let Self { claim, is_new, session, first, .. } = self;
        (*session != 0).then(|| Beginnings {
            session: *session,
            since: claim.since,
            is_new: *is_new,
            first: first.clone(),
        })
    }

    /// The peer is published again, at the time `now`.
    pub(crate) fn update(&mut self, now: u64, session: Option<PeerSession>) {
        let Some(PeerSession { id, is_proven, is_silent }) = session else {
            if self.session == 0 {
                (self.claim.since, self.is_new) = (now, true);
            }
            return;
        };
        if id != self.session {
            // A peer that returns to its first session keeps the beginning of that.
            match &self.first {
                Some(first) if first.0 == id => (self.claim.since, self.is_new) = (first.1, false),
                first => {
                    if first.is_none() && self.session != 0 {
                        self.first = Some(Box::new((self.session, self.claim.since)));
                    }
                    (self.claim.since, self.is_new) = (now, true);
                }
            }
            self.session = id;
        }
        self.claim = Claim { is_proven, is_silent, since: self.claim.since };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(id: u64, is_proven: bool) -> Option<PeerSession> {
        Some(PeerSession { id, is_proven, is_silent: false })
    }

    #[test]
    fn a_peer_that_came_over_keeps_its_beginnings_and_another_session_of_it_does_not() {
        let state = |presence: &Presence| (presence.claim.since, presence.claim.is_proven, presence.is_new);
        let mut before = Presence::new(1, session(7, true), Box::default());
        assert_eq!(before.beginnings().unwrap(), Beginnings { session: 7, since: 1, is_new: true, first: None });
        before.is_new = false;
        before.update(2, session(8, false));
        let beginnings = before.beginnings().unwrap();
        assert_eq!(beginnings, Beginnings { session: 8, since: 2, is_new: true, first: Some(Box::new((7, 1))) });
        let after = |by| Presence::resumed(beginnings.clone(), 9, by, Box::default());
        assert_eq!(state(&after(session(8, false))), (2, false, true));
        assert_eq!(state(&after(session(7, true))), (1, true, false), "its first session");
        assert_eq!(state(&after(session(5, true))), (9, true, true), "another one");
        assert_eq!(state(&after(None)), (2, true, true), "a policy changes nothing of a session");
        assert_eq!(Presence::new(1, None, Box::default()).beginnings(), None);
    }

    #[test]
    fn what_a_policy_publishes_is_new_each_time_unless_a_session_has_the_peer() {
        let state = |presence: &Presence| (presence.claim.since, presence.claim.is_proven, presence.is_new);
        let mut presence = Presence::new(1, None, Box::default());
        assert_eq!(state(&presence), (1, true, true), "it counts as proven");
        presence.is_new = false;
        presence.update(2, None);
        assert_eq!(state(&presence), (2, true, true));
        presence.update(3, session(7, false));
        assert_eq!(state(&presence), (3, false, true));
        presence.is_new = false;
        presence.update(4, None);
        assert_eq!(state(&presence), (3, false, false));
        // A session proves its id, or another one takes over.
        presence.update(5, session(7, true));
        assert_eq!(state(&presence), (3, true, false));
        presence.update(6, session(8, false));
        assert_eq!(state(&presence), (6, false, true));
        presence.update(7, session(9, false));
        presence.update(8, session(8, false));
        assert_eq!(state(&presence), (8, false, true), "only the first session keeps its beginning");
        presence.update(9, session(7, false));
        assert_eq!(state(&presence), (3, false, false));
    }
}
