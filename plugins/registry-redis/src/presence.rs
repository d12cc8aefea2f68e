//! One peer at this server: since when it is here, and by which session.

use introd_plugin::PeerSession;

use crate::claim::Claim;

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
