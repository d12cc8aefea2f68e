//! Cookies in order of age, those of all networks and those of each.
//!
//! There is an entry for every handshake of the last minute and a half, so that each byte of one counts. The entries stand close
//! together in one list, without holes: they are linked by their places in it, and the last one moves where one is removed.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use super::initiator_keying::CookieKey;
use crate::network_prefix::NetworkPrefix;
use crate::session_id::SessionId;

/// No place: the end of a chain.
const END: u32 = u32::MAX;
/// The chain of all entries, and that of the entries of one network.
const OF_ALL: usize = 0;
const OF_NETWORK: usize = 1;

/// A cookie that came back.
pub(super) struct Entry {
    pub(super) cookie: CookieKey,
    /// Of the keying: session id, certificate and component (RFC 7016 §3.5.1.1.2, point 2.1).
    pub(super) keying_hash: [u8; 16],
    /// The id of the session that the keying opened. 0: none.
    session: u32,
    /// When it was entered, in seconds.
    pub(super) second: u32,
    pub(super) prefix: NetworkPrefix,
    links: [Links; 2],
}

impl Entry {
    /// The session that the keying opened.
    pub(super) fn session(&self) -> Option<SessionId> {
        (self.session != 0).then_some(SessionId(self.session))
    }

    pub(super) fn set_session(&mut self, session: SessionId) {
        self.session = session.get();
    }
}

/// The neighbours in a chain.
#[derive(Clone, Copy)]
struct Links {
    older: u32,
    newer: u32,
}

/// The ends of a chain.
#[derive(Clone, Copy)]
struct Chain {
    oldest: u32,
    newest: u32,
}

const EMPTY: Chain = Chain { oldest: END, newest: END };

/// The entries of one network.
struct Holder {
    chain: Chain,
    count: u32,
}

/// Cookies, found by their bytes and by their age.
pub(super) struct CookieTable {
    entries: Vec<Entry>,
    places: HashTable<u32>,
    seed: RandomState,
    chain: Chain,
    holders: HashMap<NetworkPrefix, Holder>,
}

impl CookieTable {
    pub(super) fn new() -> Self {
        let (seed, holders) = (RandomState::new(), HashMap::new());
        Self { entries: Vec::new(), places: HashTable::new(), seed, chain: EMPTY, holders }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn place_of(&self, cookie: &CookieKey) -> Option<u32> {
        let is_it = |place: &u32| self.entries.get(*place as usize).is_some_and(|entry| entry.cookie == *cookie);
        self.places.find(self.seed.hash_one(cookie), is_it).copied()
    }

    pub(super) fn get(&self, cookie: &CookieKey) -> Option<&Entry> {
        self.entries.get(self.place_of(cookie)? as usize)
    }

    pub(super) fn get_mut(&mut self, cookie: &CookieKey) -> Option<&mut Entry> {
        let place = self.place_of(cookie)?;
        self.entries.get_mut(place as usize)
    }

    /// All entries, in no order.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The oldest entry.
    pub(super) fn oldest(&self) -> Option<&Entry> {
        self.entries.get(self.chain.oldest as usize)
    }

    /// The oldest entry of a network.
    pub(super) fn oldest_of(&self, prefix: NetworkPrefix) -> Option<&Entry> {
        self.entries.get(self.holders.get(&prefix)?.chain.oldest as usize)
    }

    /// How many entries a network has.
    pub(super) fn held_by(&self, prefix: NetworkPrefix) -> u32 {
        self.holders.get(&prefix).map_or(0, |holder| holder.count)
    }

    /// Enters a cookie that is not there, as the newest. There are fewer than 2^32.
    pub(super) fn insert(&mut self, second: u32, cookie: CookieKey, keying_hash: [u8; 16], prefix: NetworkPrefix) {
        let place = self.entries.len() as u32;
        let alone = Links { older: END, newer: END };
        self.entries.push(Entry { cookie, keying_hash, session: 0, second, prefix, links: [alone; 2] });
        let holder = self.holders.entry(prefix).or_insert(Holder { chain: EMPTY, count: 0 });
        holder.count += 1;
        append(&mut self.entries, &mut self.chain, OF_ALL, place);
        append(&mut self.entries, &mut holder.chain, OF_NETWORK, place);
        let (entries, seed) = (&self.entries, &self.seed);
        let hash = |place: &u32| entries.get(*place as usize).map_or(0, |entry| seed.hash_one(entry.cookie));
        self.places.insert_unique(seed.hash_one(cookie), place, hash);
    }

    /// Removes a cookie. Gives the network that it came from.
    pub(super) fn remove(&mut self, cookie: &CookieKey) -> Option<NetworkPrefix> {
        let place = self.place_of(cookie)?;
        if let Ok(entry) = self.places.find_entry(self.seed.hash_one(cookie), |other| *other == place) {
            entry.remove();
        }
        let prefix = self.entries.get(place as usize)?.prefix;
        unlink(&mut self.entries, &mut self.chain, OF_ALL, place);
        if let Some(holder) = self.holders.get_mut(&prefix) {
            unlink(&mut self.entries, &mut holder.chain, OF_NETWORK, place);
            holder.count -= 1;
            if holder.count == 0 {
                self.holders.remove(&prefix);
            }
        }
        self.entries.swap_remove(place as usize);
        self.moved(self.entries.len() as u32, place);
        self.give_memory_back();
        Some(prefix)
    }

    /// The entry at `to`, if there is one, stood at `from` before.
    fn moved(&mut self, from: u32, to: u32) {
        let Some(entry) = self.entries.get(to as usize) else { return };
        let (hash, prefix) = (self.seed.hash_one(entry.cookie), entry.prefix);
        if let Some(place) = self.places.find_mut(hash, |place| *place == from) {
            *place = to;
        }
        relink(&mut self.entries, &mut self.chain, OF_ALL, to);
        if let Some(holder) = self.holders.get_mut(&prefix) {
            relink(&mut self.entries, &mut holder.chain, OF_NETWORK, to);
        }
    }

    /// What a flood of handshakes took is not kept for ever.
    fn give_memory_back(&mut self) {
        let left = self.entries.len();
        if self.entries.capacity() > 4 * left + 1024 {
            self.entries.shrink_to(2 * left);
            let (entries, seed) = (&self.entries, &self.seed);
            let hash = |place: &u32| entries.get(*place as usize).map_or(0, |entry| seed.hash_one(entry.cookie));
            self.places.shrink_to(2 * left, hash);
            self.holders.shrink_to(2 * left);
        }
    }
}

/// Makes an entry the newest of a chain.
fn append(entries: &mut [Entry], chain: &mut Chain, which: usize, place: u32) {
    if let Some(entry) = entries.get_mut(place as usize) {
        entry.links[which] = Links { older: chain.newest, newer: END };
    }
    match entries.get_mut(chain.newest as usize) {
        Some(newest) => newest.links[which].newer = place,
        None => chain.oldest = place,
    }
    chain.newest = place;
}

/// Takes an entry out of a chain.
fn unlink(entries: &mut [Entry], chain: &mut Chain, which: usize, place: u32) {
    let Some(Links { older, newer }) = entries.get(place as usize).map(|entry| entry.links[which]) else { return };
    match entries.get_mut(older as usize) {
        Some(older) => older.links[which].newer = newer,
        None => chain.oldest = newer,
    }
    match entries.get_mut(newer as usize) {
        Some(newer) => newer.links[which].older = older,
        None => chain.newest = older,
    }
}

/// Tells the neighbours of an entry where it stands now.
fn relink(entries: &mut [Entry], chain: &mut Chain, which: usize, place: u32) {
    let Some(Links { older, newer }) = entries.get(place as usize).map(|entry| entry.links[which]) else { return };
    match entries.get_mut(older as usize) {
        Some(older) => older.links[which].newer = place,
        None => chain.oldest = place,
    }
    match entries.get_mut(newer as usize) {
        Some(newer) => newer.links[which].older = place,
        None => chain.newest = place,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_entry_is_small() {
        assert!(size_of::<Entry>() <= 68, "{}", size_of::<Entry>());
    }

    fn prefix(host: u8) -> NetworkPrefix {
        NetworkPrefix::of([192, 0, 2, host].into())
    }

    proptest! {
        /// Against a list in order of age.
        #[test]
        fn it_is_a_list_in_order_of_age(steps in prop::collection::vec((any::<bool>(), 0u8..40, 0u8..4), 1..300)) {
            let mut table = CookieTable::new();
            let mut model: Vec<(u8, u8)> = Vec::new();
            for (second, (is_insertion, number, host)) in (0..).zip(steps) {
                let cookie = [number; 16];
                let place = model.iter().position(|(other, _)| *other == number);
                if is_insertion && place.is_none() {
                    table.insert(second, cookie, [host; 16], prefix(host));
                    model.push((number, host));
                } else if !is_insertion {
                    let removed = place.map(|place| model.remove(place).1);
                    prop_assert_eq!(table.remove(&cookie), removed.map(prefix));
                }
                prop_assert_eq!(table.len(), model.len());
                prop_assert_eq!(table.oldest().map(|entry| entry.cookie[0]), model.first().map(|(number, _)| *number));
                for host in 0..4 {
                    let mut held = model.iter().filter(|(_, other)| *other == host);
                    prop_assert_eq!(table.held_by(prefix(host)) as usize, held.clone().count());
                    let oldest = table.oldest_of(prefix(host)).map(|entry| entry.cookie[0]);
                    prop_assert_eq!(oldest, held.next().map(|(number, _)| *number));
                }
                for number in 0..40 {
                    let found = table.get(&[number; 16]).map(|entry| entry.keying_hash[0]);
                    let expected = model.iter().find(|(other, _)| *other == number).map(|(_, host)| *host);
                    prop_assert_eq!(found, expected);
                }
            }
            // From the oldest to the newest, every entry once.
            for (number, _) in model {
                prop_assert_eq!(table.oldest().map(|entry| entry.cookie[0]), Some(number));
                table.remove(&[number; 16]);
            }
            prop_assert_eq!((table.len(), table.holders.len(), table.places.len()), (0, 0, 0));
        }
    }

    #[test]
    fn a_flood_leaves_no_memory_behind() {
        let mut table = CookieTable::new();
        let cookie = |number: u32| {
            let mut key = [0; 16];
            key[..4].copy_from_slice(&number.to_be_bytes());
            key
        };
        for number in 0..100_000 {
            table.insert(0, cookie(number), [0; 16], NetworkPrefix::of(std::net::Ipv4Addr::from(number).into()));
        }
        for number in 0..100_000 {
            assert!(table.remove(&cookie(number)).is_some());
            // As many as there are left may come again without an allocation.
            let left = table.len();
            let capacities = [table.entries.capacity(), table.places.capacity(), table.holders.capacity()];
            assert!(
                left > 20_000 || capacities.iter().all(|capacity| *capacity >= 2 * left),
                "{capacities:?} for {left}"
            );
            assert!(capacities[0] <= 4 * left + 1024);
        }
        assert!(
            table.entries.capacity() <= 1024 && table.places.capacity() <= 2048 && table.holders.capacity() <= 2048
        );
    }
}
