//! Lists the sessions that the directory knows, part by part.

use std::net::SocketAddr;
use std::sync::PoisonError;

use rtmfp::{PeerId, SessionId};

use super::entry::Entry;
use super::{Directory, SHARDS};

/// A session that the directory knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The id that the session shows.
    pub peer: PeerId,
    /// The session.
    pub session: SessionId,
    /// The number of its instance.
    pub instance: u16,
    /// The address that its packets come from.
    pub observed: SocketAddr,
    /// Whether it waits for its id, which another session holds. Lookups find only the session that holds the id.
    pub is_waiting: bool,
}

impl Listed {
    fn new(entry: &Entry, is_waiting: bool) -> Self {
        Self { peer: entry.id, session: entry.owner, instance: entry.instance, observed: entry.observed(), is_waiting }
    }
}

impl Directory {
    /// In how many parts the directory is listed.
    pub const PARTS: usize = SHARDS;

    /// All sessions of one part of the directory, those that wait for their id included, in no order. A session stays in one part. No
    /// part has more than a small share of all sessions: who lists them all lets others work between two parts.
    ///
    /// `visit` is called with the lock of the part held: it must be quick, and must not use the directory.
    pub fn list(&self, part: usize, mut visit: impl FnMut(Listed)) {
        let Some(shard) = self.shards.get(part) else { return };
        let tables = shard.0.read().unwrap_or_else(PoisonError::into_inner);
        tables.entries.iter().for_each(|entry| visit(Listed::new(entry, false)));
        let rivals = tables.rivals.iter().flat_map(|rivals| rivals.iter());
        rivals.flat_map(|rivals| &rivals.waiting).for_each(|entry| visit(Listed::new(entry, true)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_session_is_in_one_part_and_those_that_wait_are_marked() {
        let directory = Directory::new();
        let address = SocketAddr::from(([192, 0, 2, 1], 5));
        for number in 0..1000u32 {
            let mut id = [0; 32];
            id[..4].copy_from_slice(&number.to_be_bytes());
            directory.connect(PeerId(id), SessionId::from_wire(number), 3, address, false);
        }
        let waiting = SessionId::from_wire(5000);
        directory.connect(PeerId([0; 32]), waiting, 4, address, false);
        let mut all = Vec::new();
        for part in 0..Directory::PARTS {
            let before = all.len();
            directory.list(part, |listed| all.push(listed));
            assert!(all.len() - before < 50, "the parts are of a size");
        }
        directory.list(Directory::PARTS, |listed| panic!("{listed:?}"));
        all.sort_by_key(|listed| listed.session);
        assert_eq!(all.len(), 1001);
        assert!(all.iter().take(1000).all(|listed| !listed.is_waiting && listed.instance == 3));
        let last = Listed { peer: PeerId([0; 32]), session: waiting, instance: 4, observed: address, is_waiting: true };
        assert_eq!(all[1000], last);
    }
}
