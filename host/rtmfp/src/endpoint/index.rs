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

/// An index shrinks when it has more than this many times as many places as sessions,
const SPARE: usize = 8;
/// and so many besides.
const SMALL: usize = 4096;

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

    /// Makes room for so many sessions at once.
    pub(super) fn reserve(&mut self, sessions: usize, slots: &Slots<Occupant>) {
        let seed = &self.seed;
        self.ids.reserve(sessions, |other| key_of::<K>(*other, slots).map_or(0, |key| seed.hash_one(key)));
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
    pub(super) fn remove(&mut self, key: &K, id: SessionId, slots: &Slots<Occupant>) {
        let Ok(entry) = self.ids.find_entry(self.seed.hash_one(key), |other| *other == id) else { return };
        entry.remove();
        // After many sessions have ended, the memory of their entries is given back.
        if self.ids.num_buckets() > SPARE * self.ids.len() + SMALL {
            let seed = &self.seed;
            let rehash = |other: &SessionId| key_of::<K>(*other, slots).map_or(0, |key| seed.hash_one(key));
            self.ids.shrink_to(2 * self.ids.len(), rehash);
        }
    }
}

fn key_of<K: Key>(id: SessionId, slots: &Slots<Occupant>) -> Option<K> {
    match slots.get(id) {
        Some(Occupant::Session(session)) => Some(K::of(session)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::config::Config;
    use crate::crypto::{Group, Identity, SessionKeys};
    use crate::session::Established;
    use crate::test_clock::test_clock;
    use crate::transmit::{InterfaceId, Transmit};
    use crate::wire::Mode;

    fn address(number: u32) -> SocketAddr {
        (number.to_be_bytes(), 1935).into()
    }

    #[test]
    fn sessions_are_found_while_the_index_grows_and_shrinks_and_it_gives_memory_back() {
        const COUNT: u32 = 30_000;
        let identity = Identity::ephemeral(&[Group::Modp2], None, false, &mut ChaCha20Rng::from_seed([1; 32]));
        let config = Config::peer(Arc::new(identity));
        let keys = SessionKeys {
            encrypt_key: [1; 16],
            decrypt_key: [1; 16],
            hmac_send_key: [2; 32],
            hmac_receive_key: [2; 32],
            near_nonce: [0; 32],
            far_nonce: [0; 32],
            verification: Default::default(),
        };
        let mut slots = Slots::new(0, usize::MAX);
        let mut index = Index::<SocketAddr>::new();
        let ids: Vec<SessionId> = (0..COUNT)
            .map(|number| {
                let established = Established {
                    role: Mode::Responder,
                    far_id: number,
                    transmit: Transmit { interface: InterfaceId(0), to: address(number) },
                    keys: keys.clone(),
                    certificate: config.identities[0].certificate(),
                };
                let session = Session::new(test_clock(), &config, established);
                let id = slots.insert(Occupant::Session(session)).unwrap();
                index.insert(id, &slots);
                id
            })
            .collect();
        let most = index.ids.num_buckets();
        for (number, id) in (0..COUNT).zip(&ids) {
            assert_eq!(index.get(&address(number), &slots), Some(*id));
            index.remove(&address(number), *id, &slots);
            assert_eq!(index.get(&address(number), &slots), None);
            slots.remove(*id);
            let last = COUNT - 1;
            assert!(number == last || index.get(&address(last), &slots).is_some());
        }
        assert!(index.len() == 0 && index.ids.num_buckets() <= SMALL && most > 2 * SMALL, "{most}");
    }
}
