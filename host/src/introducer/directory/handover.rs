//! The order of the sessions that show one id as a record, and back: another process goes on with it. An id that one session shows needs no
//! record.

use std::net::SocketAddr;
use std::sync::PoisonError;

use rtmfp::{PeerId, SessionId};
use serde::{Deserialize, Serialize};

use super::Directory;
use super::entry::Entry;
use super::rivals::Rivals;

/// The sessions that show one id. The order and the types of the fields are the format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RivalsRecord {
    peer: [u8; 32],
    /// The session that holds the id.
    holder: u32,
    /// All of them in the order in which they came, and whether each is silent.
    sessions: Vec<(u32, bool)>,
}

/// An id that several sessions show in a process that has just taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispute {
    /// The id.
    pub peer: PeerId,
    /// The session that holds it.
    pub holder: SessionId,
    /// Those that wait and were silent: the id passed them over.
    pub passed_over: Vec<SessionId>,
}

impl Directory {
    /// The ids that several sessions show.
    pub fn rivals_records(&self) -> Vec<RivalsRecord> {
        self.disputed(|entry, rivals| {
            let sessions = rivals.sessions().map(|(session, is_silent)| (session.get(), is_silent)).collect();
            RivalsRecord { peer: rivals.id.0, holder: entry.owner.get(), sessions }
        })
    }

    /// Puts the sessions that show one id into the order that they had in another process, and gives the id to the session that held it there.
    /// All sessions have arrived before, in any order; those that have not are left out. Gives all ids that several sessions show, also those
    /// without a record, as an older process has none.
    pub fn take_over_rivals(&self, records: Vec<RivalsRecord>) -> Vec<Dispute> {
        for RivalsRecord { peer, holder, sessions } in records {
            let (peer, holder) = (PeerId(peer), SessionId::from_wire(holder));
            let hash = self.hash(&peer);
            let mut tables = self.write(hash);
            let Some((entry, Some(rivals))) = tables.both(hash, &peer) else { continue };
            let sessions = sessions.into_iter().map(|(session, is_silent)| (SessionId::from_wire(session), is_silent));
            rivals.put_in_order(&sessions.collect::<Vec<_>>());
            if let Some(own) = rivals.take(holder) {
                rivals.waiting.push(std::mem::replace(entry, own));
            }
            rivals.set_silent(entry.owner, false);
        }
        self.disputed(|entry, rivals| {
            let passed_over = rivals.waiting.iter().map(|entry| entry.owner).filter(|owner| rivals.is_silent(*owner));
            Dispute { peer: entry.id, holder: entry.owner, passed_over: passed_over.collect() }
        })
    }

    /// What `of` makes of each id that several sessions show.
    fn disputed<T>(&self, of: impl Fn(&Entry, &Rivals) -> T) -> Vec<T> {
        let mut found = Vec::new();
        for shard in self.shards.iter() {
            let tables = shard.0.read().unwrap_or_else(PoisonError::into_inner);
            let all = tables.rivals.iter().flat_map(|rivals| rivals.iter());
            for rivals in all.filter(|rivals| !rivals.waiting.is_empty()) {
                let entry = tables.entries.find(self.hash(&rivals.id), |entry| entry.id == rivals.id);
                found.extend(entry.map(|entry| of(entry, rivals)));
            }
        }
        found
    }

    /// The addresses that a session has reported, whether it holds its id or waits for it.
    pub fn reported_of(&self, id: &PeerId, owner: SessionId) -> Vec<SocketAddr> {
        let hash = self.hash(id);
        let tables = self.read(hash);
        let entry = tables.entries.find(hash, |entry| entry.id == *id).filter(|entry| entry.owner == owner);
        let waiting = || tables.rivals(hash, id)?.waiting.iter().find(|entry| entry.owner == owner);
        entry.or_else(waiting).map_or_else(Vec::new, |entry| entry.reported().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: PeerId = PeerId([7; 32]);

    fn session(number: u32) -> SessionId {
        SessionId::from_wire(number)
    }

    fn arrive(directory: &Directory, numbers: &[u32]) {
        for number in numbers {
            let address = SocketAddr::from(([192, 0, 2, 1], u16::try_from(*number).unwrap()));
            directory.connect(ID, session(*number), 0, address, false);
            directory.set_reported(&ID, session(*number), &[address]);
        }
    }

    #[test]
    fn the_holder_and_the_order_of_those_who_wait_are_the_same_in_another_process() {
        let before = Directory::new();
        arrive(&before, &[1, 2, 3, 4]);
        // The first does not answer; the last that came holds the id.
        before.pass_over(&ID, session(1)).unwrap();
        assert_eq!(before.lookup(&ID).unwrap().owner, session(4));
        assert_eq!(before.reported_of(&ID, session(2)), [SocketAddr::from(([192, 0, 2, 1], 2))]);
        let records = before.rivals_records();
        for order in [[1, 2, 3, 4], [4, 3, 2, 1], [2, 4, 1, 3]] {
            let after = Directory::new();
            arrive(&after, &order);
            let disputes = after.take_over_rivals(records.clone());
            assert_eq!(disputes, [Dispute { peer: ID, holder: session(4), passed_over: vec![session(1)] }]);
            assert_eq!(after.lookup(&ID).unwrap().owner, session(4));
            assert_eq!(after.rivals_records(), records);
            // It comes back, and then those that came last are next.
            assert_eq!(after.take_back(&ID, session(1)).unwrap().holder, session(1));
            for (leaves, next) in [(1, 4), (4, 3), (3, 2)] {
                after.remove(&ID, session(leaves));
                assert_eq!(after.lookup(&ID).unwrap().owner, session(next));
            }
        }
    }

    #[test]
    fn sessions_that_have_not_arrived_are_left_out() {
        let before = Directory::new();
        arrive(&before, &[1, 2, 3]);
        let records = before.rivals_records();
        let after = Directory::new();
        assert_eq!(after.take_over_rivals(records.clone()), []);
        arrive(&after, &[3]);
        assert_eq!(after.take_over_rivals(records.clone()), []);
        arrive(&after, &[2]);
        let dispute = Dispute { peer: ID, holder: session(3), passed_over: Vec::new() };
        assert_eq!(after.take_over_rivals(Vec::new()), std::slice::from_ref(&dispute), "without a record");
        assert_eq!(after.take_over_rivals(records), [dispute]);
        after.remove(&ID, session(3));
        assert_eq!(after.lookup(&ID).unwrap().owner, session(2));
    }
}
