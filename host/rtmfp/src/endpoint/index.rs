//! Finds sessions by address and by peer id.
//!
//! An index holds session ids alone: the key of an entry stands in its session, which a look-up reads to be sure. A map from
//! keys would hold each key a second time, and take ten times the memory.

use std::hash::{BuildHasher, Hash, RandomState};
use std::marker::PhantomData;
use std::net::SocketAddr;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::occupant::Occupant;
use super::slots::Slots;
use crate::crypto::PeerId;
use crate::session::Session;
use crate::session_id::SessionId;

/// A key that sessions are found by.
pub(super) trait Key: Hash + Eq + Sized {
    /// The session's present key.
    fn of(session: &Session) -> Self;
}

impl Key for SocketAddr {
    fn of(session: &Session) -> Self {
        session.transmit().to
    }
}

impl Key for PeerId {
    fn of(session: &Session) -> Self {
        session.identity().peer_id
    }
}

/// At most one session for each key.
pub(super) struct Index<K> {
    ids: HashTable<SessionId>,
    seed: RandomState,
    key: PhantomData<fn() -> K>,
}

impl<K: Key> Index<K> {
    pub(super) fn new() -> Self {
        Self { ids: HashTable::new(), seed: RandomState::new(), key: PhantomData }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn get(&self, key: &K, slots: &Slots<Occupant>) -> Option<SessionId> {
        self.ids.find(self.seed.hash_one(key), |id| key_of::<K>(*id, slots).as_ref() == Some(key)).copied()
    }

    /// Enters a session under its present key; another session that has the entry loses it.
    pub(super) fn insert(&mut self, id: SessionId, slots: &Slots<Occupant>) {
        let Some(key) = key_of::<K>(id, slots) else { return };
        let seed = &self.seed;
        let is_same = |other: &SessionId| key_of::<K>(*other, slots).as_ref() == Some(&key);
        // Every entry has a session: it is removed before that is.
        let rehash = |other: &SessionId| key_of::<K>(*other, slots).map_or(0, |key| seed.hash_one(key));
        match self.ids.entry(seed.hash_one(&key), is_same, rehash) {
            Entry::Occupied(mut entry) => *entry.get_mut() = id,
            Entry::Vacant(entry) => {
                entry.insert(id);
            }
        }
    }

    /// Removes a session that was entered under `key`, unless another has the entry by now.
    pub(super) fn remove(&mut self, key: &K, id: SessionId) {
        if let Ok(entry) = self.ids.find_entry(self.seed.hash_one(key), |other| *other == id) {
            entry.remove();
        }
    }
}

fn key_of<K: Key>(id: SessionId, slots: &Slots<Occupant>) -> Option<K> {
    match slots.get(id) {
        Some(Occupant::Session(session)) => Some(K::of(session)),
        _ => None,
    }
}
