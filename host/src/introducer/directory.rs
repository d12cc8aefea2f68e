//! The directory of connected peers, shared by all workers: asked on every lookup, changed when a peer connects, moves,
//! reports its addresses or leaves.
//!
//! It is a hash table in shards, each behind a lock of its own. A shard is locked for one probe of its table, or for the
//! growth of a table of some thousand entries, so nobody waits for long. An entry is one cache line: at a million peers,
//! where the caches hold none of it, a lookup costs the line of the entry, the line that tells where it is, and one more if
//! the peer has reported addresses.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use hashbrown::HashTable;
use hashbrown::hash_table::{Entry as Slot, OccupiedEntry};
use rtmfp::{PeerId, SessionId};
use smallvec::SmallVec;
use thin_vec::ThinVec;

/// The most addresses kept of those that a peer reports of itself.
pub const MAX_REPORTED: usize = 16;

/// The number of shards: enough that the workers of a large machine seldom meet in one, few enough that the locks
/// themselves stay in the nearest caches.
const SHARDS: usize = 256;
/// A table is made smaller when it has room for this many times what is in it, and for more than [`SMALL`] entries.
const SPARE: usize = 8;
/// Tables with room for no more entries than this are left as they are.
const SMALL: usize = 64;

/// What the directory knows of a peer: a copy, as of the time of asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The session through which it is connected; its prefix is the number of the worker that has it. What concerns an entry
    /// is said by its owner: a session that the peer has since replaced by a new one has nothing to say any more.
    pub owner: SessionId,
    /// The number of the application instance that it is connected to.
    pub instance: u16,
    /// Where its packets come from. Never an IPv4 address mapped into IPv6.
    pub observed: SocketAddr,
    /// Where it says that it can be reached (`setPeerInfo`), in its order, at most [`MAX_REPORTED`], each once.
    pub reported: SmallVec<[SocketAddr; 4]>,
}

impl Peer {
    /// Whether the peer's packets come from an address that is none of its own. False as well if it has not said which
    /// its own are.
    pub fn is_translated(&self) -> bool {
        !self.reported.is_empty() && !self.reported.contains(&self.observed)
    }
}

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
struct Shard(RwLock<HashTable<Entry>>);

/// A peer. The alignment is that of a cache line.
#[derive(Debug)]
#[repr(align(64))]
struct Entry {
    id: PeerId,
    /// Without any, nothing is allocated.
    reported: ThinVec<Packed>,
    owner: SessionId,
    observed: Packed,
    instance: u16,
}

/// An address in 18 bytes instead of 32, IPv4 mapped into IPv6. Scope ids are left out: they mean nothing to another host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Packed {
    ip: Ipv6Addr,
    port: u16,
}

impl From<SocketAddr> for Packed {
    fn from(address: SocketAddr) -> Self {
        let ip = match address {
            SocketAddr::V4(address) => address.ip().to_ipv6_mapped(),
            SocketAddr::V6(address) => *address.ip(),
        };
        Self { ip, port: address.port() }
    }
}

impl From<Packed> for SocketAddr {
    fn from(packed: Packed) -> Self {
        SocketAddr::new(packed.ip.to_canonical(), packed.port)
    }
}

impl Entry {
    fn peer(&self) -> Peer {
        let reported = self.reported.iter().map(|address| SocketAddr::from(*address)).collect();
        Peer { owner: self.owner, instance: self.instance, observed: self.observed.into(), reported }
    }
}

impl Default for Directory {
    fn default() -> Self {
        Self::new()
    }
}

impl Directory {
    /// An empty directory.
    pub fn new() -> Self {
        Self { shards: Box::new(std::array::from_fn(|_| Shard::default())), seed: RandomState::new() }
    }

    /// What is known of a connected peer.
    pub fn lookup(&self, id: &PeerId) -> Option<Peer> {
        let hash = self.hash(id);
        let table = self.read(hash);
        table.find(hash, |entry| entry.id == *id).map(Entry::peer)
    }

    /// Enters a peer whose connect has been accepted. If it was there already, it has come back before its old session was
    /// known to be gone: the new session takes the entry over, without the old one's reported addresses, and the old owner
    /// is returned.
    pub fn connect(&self, id: PeerId, owner: SessionId, instance: u16, observed: SocketAddr) -> Option<SessionId> {
        let hash = self.hash(&id);
        let entry = Entry { id, reported: ThinVec::new(), owner, observed: observed.into(), instance };
        let mut table = self.write(hash);
        match table.entry(hash, |entry| entry.id == id, |entry| self.hash(&entry.id)) {
            Slot::Occupied(mut slot) => Some(std::mem::replace(slot.get_mut(), entry).owner),
            Slot::Vacant(slot) => {
                slot.insert(entry);
                None
            }
        }
    }

    /// Replaces the addresses that the peer reports. Duplicates and what is over [`MAX_REPORTED`] are left out.
    ///
    /// False if `owner` has no entry.
    pub fn set_reported(&self, id: &PeerId, owner: SessionId, addresses: &[SocketAddr]) -> bool {
        // Made before the lock is taken, and no longer than needed.
        let mut kept = SmallVec::<[Packed; MAX_REPORTED]>::new();
        for address in addresses.iter().map(|address| Packed::from(*address)) {
            if kept.len() < MAX_REPORTED && !kept.contains(&address) {
                kept.push(address);
            }
        }
        let mut reported = ThinVec::with_capacity(kept.len());
        reported.extend_from_slice(&kept);
        self.change(id, owner, |entry| entry.reported = reported)
    }

    /// Replaces the address that the peer's packets come from.
    ///
    /// False if `owner` has no entry.
    pub fn set_observed(&self, id: &PeerId, owner: SessionId, observed: SocketAddr) -> bool {
        self.change(id, owner, |entry| entry.observed = observed.into())
    }

    /// Removes a peer whose session is over.
    ///
    /// False if `owner` has no entry: the peer may be connected through another session by now.
    pub fn remove(&self, id: &PeerId, owner: SessionId) -> bool {
        let hash = self.hash(id);
        let mut table = self.write(hash);
        let found = table.find_entry(hash, |entry| entry.id == *id && entry.owner == owner);
        let removed = found.map(OccupiedEntry::remove).is_ok();
        if removed && table.capacity() > SMALL && table.capacity() / SPARE > table.len() {
            let room = table.len() * 2;
            table.shrink_to(room, |entry| self.hash(&entry.id));
        }
        removed
    }

    /// How many peers are connected. Counted shard by shard, so it may never have been true while peers come and go.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.0.read().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    /// Whether nobody is connected.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes allocated for the tables, without those for reported addresses.
    pub fn allocated(&self) -> usize {
        let tables = self.shards.iter().map(|shard| shard.0.read().unwrap_or_else(PoisonError::into_inner));
        size_of_val(&*self.shards) + tables.map(|table| table.allocation_size()).sum::<usize>()
    }

    fn change(&self, id: &PeerId, owner: SessionId, change: impl FnOnce(&mut Entry)) -> bool {
        let hash = self.hash(id);
        let mut table = self.write(hash);
        match table.find_mut(hash, |entry| entry.id == *id) {
            Some(entry) if entry.owner == owner => {
                change(entry);
                true
            }
            _ => false,
        }
    }

    fn hash(&self, id: &PeerId) -> u64 {
        let mut hasher = self.seed.build_hasher();
        hasher.write(id.as_bytes());
        hasher.finish()
    }

    // A panic cannot leave a table half changed here, so a poisoned lock is as good as any other.
    fn read(&self, hash: u64) -> RwLockReadGuard<'_, HashTable<Entry>> {
        self.shard(hash).0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, hash: u64) -> RwLockWriteGuard<'_, HashTable<Entry>> {
        self.shard(hash).0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The table takes its position from the lowest bits of the hash and its tag from the highest: the shard comes from
    /// between them.
    fn shard(&self, hash: u64) -> &Shard {
        let index = (hash >> 40) as usize % SHARDS;
        &self.shards[index]
    }
}

#[cfg(test)]
mod tests;
