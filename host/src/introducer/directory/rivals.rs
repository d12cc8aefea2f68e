//! The sessions that show the same id, where there is more than one: a table beside that of the entries, which is empty for most.

use std::net::SocketAddr;

use rtmfp::{NetworkPrefix, PeerId, SessionId};
use smallvec::SmallVec;

use super::Entry;

/// So many sessions of one id are known besides the one that holds it: whoever is forgotten is not found again, and copies of a
/// certificate cost those who show them a session each.
pub const MAX_WAITING: usize = 64;

/// What there is to say of an id beyond its entry.
#[derive(Debug)]
pub(super) struct Rivals {
    pub(super) id: PeerId,
    /// Who waits for the id, in no order.
    pub(super) waiting: Vec<Entry>,
    /// Those who wait and the one that holds the id, in the order in which they came, and whether nothing is heard of them.
    sessions: SmallVec<[(SessionId, bool); 2]>,
}

impl Rivals {
    pub(super) fn new(id: PeerId, holder: SessionId) -> Self {
        Self { id, waiting: Vec::new(), sessions: SmallVec::from_slice(&[(holder, false)]) }
    }

    /// One more session waits. Where there are too many, one is forgotten that is silent, else one of the address that has the most,
    /// the one that has waited longest.
    pub(super) fn wait(&mut self, entry: Entry) {
        if self.sessions.iter().all(|(session, _)| *session != entry.owner) {
            self.sessions.push((entry.owner, false));
        }
        self.waiting.push(entry);
        while self.waiting.len() > MAX_WAITING {
            let Some(session) = self.to_forget() else { return };
            self.take(session);
            self.forget(session);
        }
    }

    fn to_forget(&self) -> Option<SessionId> {
        let newest = self.waiting.last()?.owner;
        let others = || self.sessions.iter().filter(|(session, _)| *session != newest && self.waits(*session));
        let silent = others().find(|(_, is_silent)| *is_silent);
        let networks: Vec<(SessionId, NetworkPrefix)> = self
            .waiting
            .iter()
            .map(|entry| (entry.owner, NetworkPrefix::of(SocketAddr::from(entry.observed).ip())))
            .collect();
        let sessions_beside = |session: SessionId| {
            let own = networks.iter().find(|(owner, _)| *owner == session).map(|(_, network)| *network);
            networks.iter().filter(|(_, network)| Some(*network) == own).count()
        };
        let most = others().map(|(session, _)| sessions_beside(*session)).max();
        let crowded = || others().find(|(session, _)| Some(sessions_beside(*session)) == most);
        silent.or_else(crowded).map(|(session, _)| *session)
    }

    /// A newcomer holds the id from now on: it is among the sessions, the last of them.
    pub(super) fn arrived(&mut self, session: SessionId) {
        self.sessions.push((session, false));
    }

    pub(super) fn forget(&mut self, session: SessionId) {
        self.sessions.retain(|(known, _)| *known != session);
    }

    pub(super) fn waits(&self, session: SessionId) -> bool {
        self.waiting.iter().any(|entry| entry.owner == session)
    }

    /// The entry of one that waits.
    pub(super) fn take(&mut self, session: SessionId) -> Option<Entry> {
        let at = self.waiting.iter().position(|entry| entry.owner == session)?;
        Some(self.waiting.swap_remove(at))
    }

    pub(super) fn is_silent(&self, session: SessionId) -> bool {
        self.sessions.iter().any(|(known, is_silent)| *known == session && *is_silent)
    }

    pub(super) fn set_silent(&mut self, session: SessionId, is_silent: bool) {
        if let Some(known) = self.sessions.iter_mut().find(|(known, _)| *known == session) {
            known.1 = is_silent;
        }
    }

    /// The newest of those who wait and are not silent.
    pub(super) fn next(&self) -> Option<SessionId> {
        let awake = self.sessions.iter().rev().find(|(session, is_silent)| !is_silent && self.waits(*session));
        awake.map(|(session, _)| *session)
    }

    /// The newest of those who wait.
    pub(super) fn newest(&self) -> Option<SessionId> {
        self.sessions.iter().rev().find(|(session, _)| self.waits(*session)).map(|(session, _)| *session)
    }

    /// Whether `one` came before `other`.
    pub(super) fn is_senior(&self, one: SessionId, other: SessionId) -> bool {
        let place = |of| self.sessions.iter().position(|(session, _)| *session == of);
        place(one).zip(place(other)).is_some_and(|(one, other)| one < other)
    }

    /// Whether the entry says all that there is to say.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.sessions.iter().all(|(_, is_silent)| !is_silent)
    }
}
