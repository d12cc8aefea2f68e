//! The directory of connected peers, which all workers share: they ask it on every lookup, and change it when a peer connects, moves,
//! reports its addresses or leaves.
//!
//! It is a hash table in shards, each behind a lock of its own. A shard is locked for one probe of its table, or for the
//! growth of a table of some thousand entries, so that no worker waits for long. An entry is one cache line: at a million peers,
//! where the caches hold none of it, a lookup costs the line of the entry, the line that tells where it is, and one more if
//! the peer has reported more than two addresses of IPv4, or is at one of IPv6.
//!
//! # Which session holds an id
//!
//! An id belongs to the session that has proven it last. Where an id cannot be proven (its certificate has no static keys, so that any
//! peer that has seen the certificate can show it) it belongs to the session that came first, for as long as that lives. Other sessions
//! that show the id wait ([`Directory::connect`]), up to [`MAX_WAITING`] of them: lookups do not find them. When the holder goes
//! ([`Directory::remove`]) or does not answer pings ([`Directory::pass_over`]), the id passes to the session
//! that came last of those that are not silent. A session that was passed over and lives after all takes its id back
//! ([`Directory::take_back`]).

mod entry;
mod handover;
mod listing;
mod rivals;
mod transfer;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::SocketAddr;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Slot;
use rtmfp::{PeerId, SessionId};
use smallvec::SmallVec;

use entry::{Entry, PackedAddress};
use introd_policy::{MAX_REPORTED, Peer, PeerIds};
use rivals::Rivals;

pub use handover::{Dispute, RivalsRecord};
pub use listing::Listed;
pub use rivals::MAX_WAITING;
pub use transfer::{Arrival, Departure, Succession};

/// The number of shards: enough that the workers of a large computer seldom meet in one, few enough that the locks
/// themselves stay in the nearest caches.
const SHARDS: usize = 256;
/// How many shards [`Directory::read_ahead`] locks at a time: about as many as the misses that a processor's core can wait for.
const READ_TOGETHER: usize = 16;
/// A table shrinks when it has more than this many times as many places as entries, and more than [`SMALL`] places. Places count, not
/// the room that is left: places of entries that have gone are no room until the table grows or shrinks.
const SPARE: usize = 8;
/// Tables with up to this many places do not shrink, unless they are empty.
const SMALL: usize = 64;

/// The connected peers by their ids.
#[derive(Debug)]
pub struct Directory {
    shards: Box<[Shard; SHARDS]>,
    /// Peers choose their ids, by trying certificates until they like the fingerprint: without a secret seed they could
    /// choose to collide.
    seed: RandomState,
}

/// Shards that different workers lock must not share a cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Shard(RwLock<Tables>);

#[derive(Debug, Default)]
struct Tables {
    entries: HashTable<Entry>,
    /// Ids that more than one session shows, or whose sessions are silent. In most shards there are none.
    rivals: Option<Box<HashTable<Rivals>>>,
}

impl Tables {
    fn rivals(&self, hash: u64, id: &PeerId) -> Option<&Rivals> {
        self.rivals.as_ref()?.find(hash, |rivals| rivals.id == *id)
    }

    /// The entry of an id, and the rivals for the id if there are any.
    fn both(&mut self, hash: u64, id: &PeerId) -> Option<(&mut Entry, Option<&mut Rivals>)> {
        let entry = self.entries.find_mut(hash, |entry| entry.id == *id)?;
        Some((entry, self.rivals.as_mut().and_then(|rivals| rivals.find_mut(hash, |rivals| rivals.id == *id))))
    }
}

impl Default for Directory {
    fn default() -> Self {
        Self::new()
    }
}

impl PeerIds for Directory {
    fn holder(&self, id: &PeerId) -> Option<SessionId> {
        let hash = self.hash(id);
        self.read(hash).entries.find(hash, |entry| entry.id == *id).map(|entry| entry.owner)
    }
}

impl Directory {
    /// An empty directory.
    pub fn new() -> Self {
        Self { shards: Box::new(std::array::from_fn(|_| Shard::default())), seed: RandomState::new() }
    }

    /// The entry of a connected peer.
    pub fn lookup(&self, id: &PeerId) -> Option<Peer> {
        let hash = self.hash(id);
        let tables = self.read(hash);
        let entry = tables.entries.find(hash, |entry| entry.id == *id)?;
        Some(entry.peer(tables.rivals(hash, id).is_some_and(|rivals| rivals.is_silent(entry.owner))))
    }

    /// Brings the entries of some peers, which are about to be looked up, into the processor's caches, and says which sessions hold their ids.
    ///
    /// Entries that are looked up one after the other are waited for one after the other if the caches do not hold them, because a lock
    /// lets no read overtake it. Here some locks are taken first and some entries read then. A shard that a writer has or waits for is
    /// left out.
    pub fn read_ahead(&self, ids: &[PeerId], mut found: impl FnMut(SessionId)) {
        for some in ids.chunks(READ_TOGETHER) {
            let mut locked = SmallVec::<[_; READ_TOGETHER]>::new();
            for id in some {
                let hash = self.hash(id);
                if let Ok(tables) = self.shard(hash).0.try_read() {
                    locked.push((hash, id, tables));
                }
            }
            for (hash, id, tables) in &locked {
                if let Some(entry) = tables.entries.find(*hash, |entry| entry.id == **id) {
                    found(entry.owner);
                }
            }
        }
    }

    /// The number of the application instance that a connected peer is in.
    pub fn instance_of(&self, id: &PeerId) -> Option<u16> {
        let hash = self.hash(id);
        self.read(hash).entries.find(hash, |entry| entry.id == *id).map(|entry| entry.instance)
    }

    /// Enters a peer whose connect has been accepted. `is_proven` says whether it has proven its id; that is so for all sessions with the
    /// same id or for none.
    pub fn connect(
        &self,
        id: PeerId,
        owner: SessionId,
        instance: u16,
        observed: SocketAddr,
        is_proven: bool,
    ) -> Arrival {
        let hash = self.hash(&id);
        let newcomer = Entry::new(id, owner, instance, observed);
        let mut tables = self.write(hash);
        let tables = &mut *tables;
        let entry = match tables.entries.entry(hash, |entry| entry.id == id, |entry| self.hash(&entry.id)) {
            Slot::Occupied(slot) => slot.into_mut(),
            Slot::Vacant(slot) => {
                slot.insert(newcomer);
                return Arrival::Holds;
            }
        };
        if entry.owner == owner {
            *entry = newcomer;
            return Arrival::Holds;
        }
        let rivals = Self::rivals_of(&self.seed, &mut tables.rivals, hash, id, entry.owner);
        if is_proven {
            let before = std::mem::replace(entry, newcomer);
            let previous = before.owner;
            rivals.wait(before);
            rivals.arrived(owner);
            return Arrival::Replaced(previous);
        }
        rivals.wait(newcomer);
        Arrival::Waits { holder: entry.owner, observed: entry.observed() }
    }

    /// Replaces the addresses that the peer reports. Duplicates and what is over [`MAX_REPORTED`] are left out.
    ///
    /// False if `owner` does not hold the id. If it waits for the id, the change takes effect when it holds the id.
    pub fn set_reported(&self, id: &PeerId, owner: SessionId, addresses: &[SocketAddr]) -> bool {
        let mut kept = SmallVec::<[PackedAddress; MAX_REPORTED]>::new();
        for address in addresses.iter().map(|address| PackedAddress::from(*address)) {
            if kept.len() < MAX_REPORTED && !kept.contains(&address) {
                kept.push(address);
            }
        }
        self.change(id, owner, |entry| entry.set_reported(&kept))
    }

    /// Replaces the address that the peer's packets come from.
    ///
    /// False if `owner` does not hold the id. If it waits for the id, the change takes effect when it holds the id.
    pub fn set_observed(&self, id: &PeerId, owner: SessionId, observed: SocketAddr) -> bool {
        self.change(id, owner, |entry| entry.set_observed(observed))
    }

    /// Removes a session that has ended. If it held its id and other sessions wait for the id, the id passes to the next one.
    pub fn remove(&self, id: &PeerId, owner: SessionId) -> Departure {
        let hash = self.hash(id);
        let mut tables = self.write(hash);
        let Some((entry, rivals)) = tables.both(hash, id) else { return Departure::Nothing };
        if entry.owner != owner {
            if let Some(rivals) = rivals {
                rivals.take(owner);
                rivals.forget(owner);
            }
            self.tidy(&mut tables, hash, id);
            return Departure::Nothing;
        }
        if let Some(rivals) = rivals {
            rivals.forget(owner);
            if let Some(next) = rivals.next().or_else(|| rivals.newest()).and_then(|next| rivals.take(next)) {
                *entry = next;
                let succession = Self::succession(entry, rivals);
                self.tidy(&mut tables, hash, id);
                return Departure::Passed(succession);
            }
            self.drop_rivals(&mut tables, hash, id);
        }
        if let Ok(found) = tables.entries.find_entry(hash, |entry| entry.id == *id) {
            found.remove();
        }
        shrink(&mut tables.entries, |entry| self.hash(&entry.id));
        Departure::Vacant
    }

    /// Passes an id on whose holder has not answered pings: to a session that waits and is not silent, if there is one.
    pub fn pass_over(&self, id: &PeerId, holder: SessionId) -> Option<Succession> {
        let hash = self.hash(id);
        let mut tables = self.write(hash);
        let (entry, rivals) = tables.both(hash, id)?;
        let rivals = rivals.filter(|_| entry.owner == holder)?;
        let next = rivals.next().and_then(|next| rivals.take(next))?;
        rivals.set_silent(holder, true);
        let before = std::mem::replace(entry, next);
        rivals.wait(before);
        Some(Self::succession(entry, rivals))
    }

    /// Passes an id back to a session that was passed over and is alive after all, unless a session holds it that came earlier. `None` if
    /// the session does not get the id, or holds it already.
    pub fn take_back(&self, id: &PeerId, owner: SessionId) -> Option<Succession> {
        let hash = self.hash(id);
        let mut tables = self.write(hash);
        let (entry, rivals) = tables.both(hash, id)?;
        let rivals = rivals?;
        rivals.set_silent(owner, false);
        let succession = rivals.is_senior(owner, entry.owner).then(|| rivals.take(owner)).flatten().map(|own| {
            let before = std::mem::replace(entry, own);
            rivals.wait(before);
            // The session has just sent something, so lookups need no other server.
            Succession { is_contested: false, ..Self::succession(entry, rivals) }
        });
        self.tidy(&mut tables, hash, id);
        succession
    }

    /// Notes whether a session is silent. It keeps its id; lookups of the peer go to other servers too.
    pub fn set_silent(&self, id: &PeerId, owner: SessionId, is_silent: bool) {
        let hash = self.hash(id);
        let mut tables = self.write(hash);
        let tables = &mut *tables;
        let Some(entry) = tables.entries.find(hash, |entry| entry.id == *id) else { return };
        if is_silent {
            let holder = entry.owner;
            Self::rivals_of(&self.seed, &mut tables.rivals, hash, *id, holder).set_silent(owner, true);
        } else if let Some((_, Some(rivals))) = tables.both(hash, id) {
            rivals.set_silent(owner, false);
        }
        self.tidy(tables, hash, id);
    }

    /// How many peers are connected. The shards are counted one by one, so the number may be inexact while peers come and go.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.0.read().unwrap_or_else(PoisonError::into_inner).entries.len()).sum()
    }

    /// Whether no peer is connected.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes allocated for the tables, without those for reported addresses and for ids that several sessions show.
    #[cfg(test)]
    fn allocated(&self) -> usize {
        let tables = self.shards.iter().map(|shard| shard.0.read().unwrap_or_else(PoisonError::into_inner));
        size_of_val(&*self.shards) + tables.map(|tables| tables.entries.allocation_size()).sum::<usize>()
    }

    fn change(&self, id: &PeerId, owner: SessionId, change: impl FnOnce(&mut Entry)) -> bool {
        let hash = self.hash(id);
        let mut tables = self.write(hash);
        let Some((entry, rivals)) = tables.both(hash, id) else { return false };
        if entry.owner == owner {
            change(entry);
            return true;
        }
        if let Some(waiting) = rivals.and_then(|rivals| rivals.waiting.iter_mut().find(|entry| entry.owner == owner)) {
            change(waiting);
        }
        false
    }

    fn succession(entry: &Entry, rivals: &Rivals) -> Succession {
        Succession { holder: entry.owner, observed: entry.observed(), is_contested: rivals.next().is_some() }
    }

    /// The rivals for an id, which are created if there are none.
    fn rivals_of<'a>(
        seed: &RandomState,
        table: &'a mut Option<Box<HashTable<Rivals>>>,
        hash: u64,
        id: PeerId,
        holder: SessionId,
    ) -> &'a mut Rivals {
        let rehash = |rivals: &Rivals| hash_of(seed, &rivals.id);
        let slot = table.get_or_insert_default().entry(hash, |rivals| rivals.id == id, rehash);
        slot.or_insert_with(|| Rivals::new(id, holder)).into_mut()
    }

    /// Forgets the rivals for an id if they hold nothing beyond its entry.
    fn tidy(&self, tables: &mut Tables, hash: u64, id: &PeerId) {
        if tables.rivals(hash, id).is_some_and(Rivals::is_idle) {
            self.drop_rivals(tables, hash, id);
        }
    }

    fn drop_rivals(&self, tables: &mut Tables, hash: u64, id: &PeerId) {
        let Some(table) = &mut tables.rivals else { return };
        if let Ok(found) = table.find_entry(hash, |rivals| rivals.id == *id) {
            found.remove();
        }
        if table.is_empty() {
            tables.rivals = None;
        } else {
            shrink(table, |rivals| self.hash(&rivals.id));
        }
    }

    fn hash(&self, id: &PeerId) -> u64 {
        hash_of(&self.seed, id)
    }

    // A panic cannot leave a table half changed here, so a poisoned lock can be used.
    fn read(&self, hash: u64) -> RwLockReadGuard<'_, Tables> {
        self.shard(hash).0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, hash: u64) -> RwLockWriteGuard<'_, Tables> {
        self.shard(hash).0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The table takes its position from the lowest bits of the hash and its tag from the highest: the shard comes from
    /// between them.
    fn shard(&self, hash: u64) -> &Shard {
        let index = (hash >> 40) as usize % SHARDS;
        &self.shards[index]
    }
}

/// Gives memory back if a table has far more places than it needs, or needs none.
fn shrink<T>(table: &mut HashTable<T>, hash: impl Fn(&T) -> u64) {
    if table.is_empty() {
        *table = HashTable::new();
    } else if table.num_buckets() > SMALL && table.num_buckets() / SPARE > table.len() {
        table.shrink_to(table.len() * 2, hash);
    }
}

fn hash_of(seed: &RandomState, id: &PeerId) -> u64 {
    let mut hasher = seed.build_hasher();
    hasher.write(id.as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests;
