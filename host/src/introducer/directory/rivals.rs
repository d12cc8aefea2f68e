//! The sessions that show the same id, where there is more than one. They are kept beside the table of entries, and most ids have none.

use std::collections::HashMap;

use rtmfp::{NetworkPrefix, PeerId, SessionId};
use smallvec::SmallVec;

use super::entry::Entry;

/// How many sessions of one id are known besides the one that holds it. A session that is forgotten is not found again; each copy of a
/// certificate costs the peer that shows it a session.
pub const MAX_WAITING: usize = 64;

/// What the directory knows of an id beyond its entry.
#[derive(Debug)]
pub(super) struct Rivals {
    pub(super) id: PeerId,
    /// The sessions that wait for the id, in no order.
    pub(super) waiting: Vec<Entry>,
    /// The sessions that wait and the one that holds the id, in the order in which they came, and whether each is silent.
    sessions: SmallVec<[(SessionId, bool); 2]>,
}

impl Rivals {
    pub(super) fn new(id: PeerId, holder: SessionId) -> Self {
        Self { id, waiting: Vec::new(), sessions: SmallVec::from_slice(&[(holder, false)]) }
    }

    /// Adds a session that waits. If there are too many, a silent session is forgotten, or else one of the network that has most of them; in
    /// either case the one that has waited longest.
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
        let network = |entry: &Entry| NetworkPrefix::of(entry.observed().ip());
        let networks: HashMap<SessionId, NetworkPrefix> =
            self.waiting.iter().map(|entry| (entry.owner, network(entry))).collect();
        let mut sizes: HashMap<NetworkPrefix, usize> = HashMap::new();
        for network in networks.values() {
            *sizes.entry(*network).or_default() += 1;
        }
        let those_who_wait = || self.sessions.iter().filter(|(session, _)| networks.contains_key(session));
        let silent = those_who_wait().find(|(_, is_silent)| *is_silent);
        // Of several with the most, the last in this order has waited longest.
        let size = |session: &SessionId| networks.get(session).and_then(|network| sizes.get(network));
        let crowded = || those_who_wait().rev().max_by_key(|(session, _)| size(session));
        silent.or_else(crowded).map(|(session, _)| *session)
    }

    /// The sessions that wait and the one that holds the id, in the order in which they came, and whether each is silent.
    pub(super) fn sessions(&self) -> impl Iterator<Item = (SessionId, bool)> {
        self.sessions.iter().copied()
    }

    /// Puts the sessions into this order, and notes which are silent. Those that it does not have come last.
    pub(super) fn put_in_order(&mut self, order: &[(SessionId, bool)]) {
        let places: HashMap<SessionId, (usize, bool)> =
            order.iter().enumerate().map(|(place, (session, is_silent))| (*session, (place, *is_silent))).collect();
        self.sessions.sort_by_key(|(session, _)| places.get(session).map_or(usize::MAX, |(place, _)| *place));
        for (session, is_silent) in &mut self.sessions {
            *is_silent = places.get(session).is_some_and(|(_, is_silent)| *is_silent);
        }
    }

    /// Makes a newcomer the holder of the id and the last of the sessions.
    pub(super) fn arrived(&mut self, session: SessionId) {
        self.sessions.push((session, false));
    }

    pub(super) fn forget(&mut self, session: SessionId) {
        self.sessions.retain(|(known, _)| *known != session);
    }

    pub(super) fn waits(&self, session: SessionId) -> bool {
        self.waiting.iter().any(|entry| entry.owner == session)
    }

    /// Takes out the entry of a session that waits.
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

    /// The newest of the sessions that wait and are not silent.
    pub(super) fn next(&self) -> Option<SessionId> {
        let awake = self.sessions.iter().rev().find(|(session, is_silent)| !is_silent && self.waits(*session));
        awake.map(|(session, _)| *session)
    }

    /// The newest of the sessions that wait.
    pub(super) fn newest(&self) -> Option<SessionId> {
        self.sessions.iter().rev().find(|(session, _)| self.waits(*session)).map(|(session, _)| *session)
    }

    /// Whether `one` came before `other`.
    pub(super) fn is_senior(&self, one: SessionId, other: SessionId) -> bool {
        let place = |of| self.sessions.iter().position(|(session, _)| *session == of);
        place(one).zip(place(other)).is_some_and(|(one, other)| one < other)
    }

    /// Whether the entry alone says all that is known of the id.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.sessions.iter().all(|(_, is_silent)| !is_silent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: PeerId = PeerId([7; 32]);

    fn session(number: u32) -> SessionId {
        SessionId::from_wire(number)
    }

    fn entry(number: u32) -> Entry {
        Entry::new(ID, session(number), 0, ([192, 0, 2, 1], 1).into())
    }

    #[test]
    fn nothing_is_kept_of_a_session_that_was_dropped_because_too_many_wait() {
        let mut rivals = Rivals::new(ID, session(0));
        (1..=1000).for_each(|number| rivals.wait(entry(number)));
        assert_eq!((rivals.waiting.len(), rivals.sessions.len()), (MAX_WAITING, 1 + MAX_WAITING));
    }

    #[test]
    fn a_silent_holder_that_is_replaced_is_forgotten_before_those_that_are_not_silent() {
        let mut rivals = Rivals::new(ID, session(0));
        let last = MAX_WAITING as u32;
        (1..=last).for_each(|number| rivals.wait(entry(number)));
        rivals.set_silent(session(0), true);
        rivals.wait(entry(0));
        assert!(!rivals.waits(session(0)));
        assert!((1..=last).all(|number| rivals.waits(session(number))));
    }
}
