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
