//! The peers that this server publishes, and the writes to Redis that are due for them.

use std::collections::HashMap;

use introd_plugin::{PeerId, PeerSession};

use crate::claim::Claim;
use crate::presence::{Beginnings, Presence};
use crate::table::Table;

/// A write to Redis that is due for a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    /// Write the entry of this server.
    Publish {
        claim: Claim,
        /// Whether the peer has just come: the beginning of its session must be later than that of all other entries.
        is_new: bool,
        /// Whether this server has not written an entry yet.
        is_first: bool,
        addresses: Box<[u8]>,
    },
    /// Delete the entry of this server.
    Withdraw,
}

/// The outcome of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteOutcome {
    /// Redis has the entry, unchanged.
    Done,
    /// Redis has the entry, with this beginning of the session.
    Since(u64),
    /// Other servers have entries of this peer: write again, beside them.
    Occupied,
}

/// All peers that this server publishes.
#[derive(Default)]
pub(crate) struct PublishedPeers {
    table: Table<PeerId, Presence>,
    /// Those that another process has published as this server, and this one has not yet.
    inherited: HashMap<PeerId, Beginnings>,
}

impl PublishedPeers {
    /// The encoded addresses of a peer that this server publishes, and the state of its session.
    pub(crate) fn get(&self, peer: &PeerId) -> Option<(&[u8], Claim)> {
        self.table.get(peer).map(|presence| (&*presence.addresses, presence.claim))
    }

    /// Publishes a peer. Without addresses, it only changes the session of a peer that is published already. Returns false if there are
    /// `max` peers already.
    pub(crate) fn publish(
        &mut self,
        peer: PeerId,
        now: u64,
        session: Option<PeerSession>,
        addresses: Option<Box<[u8]>>,
        max: usize,
    ) -> bool {
        let len = self.table.len();
        match (self.table.get_mut(&peer), addresses) {
            (None, None) => return true,
            (Some(presence), addresses) => {
                let before = presence.claim;
                presence.update(now, session);
                match addresses {
                    Some(addresses) => presence.addresses = addresses,
                    None if presence.claim == before => return true,
                    None => (),
                }
                self.table.schedule(peer);
            }
            (None, Some(_)) if len >= max => return false,
            (None, Some(addresses)) => match self.inherited.remove(&peer) {
                Some(beginnings) => {
                    let presence = Presence::resumed(beginnings, now, session, addresses);
                    self.table.insert_inherited(peer, presence);
                }
                None => self.table.insert(peer, Presence::new(now, session, addresses)),
            },
        }
        true
    }

    pub(crate) fn withdraw(&mut self, peer: PeerId) {
        self.inherited.remove(&peer);
        self.table.remove(peer);
    }

    /// The peers that sessions have here, with their beginnings, `max` at most.
    pub(crate) fn beginnings(&self, max: usize) -> Vec<(PeerId, Beginnings)> {
        let own = self.table.iter().filter_map(|(peer, presence)| Some((*peer, presence.beginnings()?)));
        let others = self.inherited.iter().map(|(peer, beginnings)| (*peer, beginnings.clone()));
        own.chain(others).take(max).collect()
    }

    /// The next peers whose entries are to be verified in Redis, `max` at most.
    pub(crate) fn next_to_verify(&mut self, max: usize) -> Vec<PeerId> {
        self.table.next_to_verify(max)
    }

    /// Redis has lost the entry of a peer. Returns whether it is to be written again.
    pub(crate) fn lost(&mut self, peer: PeerId) -> bool {
        self.table.lost(peer)
    }

    /// The peers whose entries are to be deleted, or may just have been.
    pub(crate) fn withdrawals(&self) -> Vec<PeerId> {
        self.table.deletions()
    }

    /// The entry of a peer is to be deleted, which another process has written as this server, unless the peer is published.
    pub(crate) fn withdraw_inherited(&mut self, peer: PeerId) {
        self.table.failed(peer, true);
    }

    /// Takes the next writes that are due, `max` at most: one batch at a time.
    pub(crate) fn take(&mut self, max: usize) -> Vec<(PeerId, Write)> {
        self.table.begin_batch();
        self.table.take(max, |peer, presence, is_first| {
            let write = match presence {
                None => Write::Withdraw,
                Some(presence) => Write::Publish {
                    claim: presence.claim,
                    is_new: presence.is_new,
                    is_first,
                    addresses: presence.addresses.clone(),
                },
            };
            (peer, write)
        })
    }

    /// These writes have failed, or may have: schedules them again, unless newer ones are due.
    pub(crate) fn failed(&mut self, writes: Vec<(PeerId, Write)>) {
        for (peer, write) in writes {
            self.table.failed(peer, write == Write::Withdraw);
        }
    }

    /// Redis has refused a write, so that it has changed nothing: schedules it again, unless a newer one is due.
    pub(crate) fn refused(&mut self, peer: PeerId, write: &Write) {
        let is_first = matches!(write, Write::Publish { is_first: true, .. });
        self.table.refused(peer, *write == Write::Withdraw, is_first);
    }

    /// Takes note of the outcome of a write.
    pub(crate) fn wrote(&mut self, peer: PeerId, write: &Write, outcome: WriteOutcome) {
        let Write::Publish { claim, .. } = write else { return };
        match (outcome, self.table.get_mut(&peer)) {
            (WriteOutcome::Occupied, _) => self.table.schedule(peer),
            (WriteOutcome::Done, Some(presence)) if presence.claim.since == claim.since => presence.is_new = false,
            (WriteOutcome::Since(since), Some(presence)) if presence.claim.since == claim.since => {
                presence.claim.since = since;
                presence.is_new = false;
            }
            _ => (),
        }
    }

    /// Another process serves as this server, whose place this one is to take, and has published these peers so far.
    pub(crate) fn begin_as_heir(&mut self, beginnings: Vec<(PeerId, Beginnings)>) {
        self.table.begin_as_heir();
        self.inherited = beginnings.into_iter().collect();
    }

    /// This process has taken the place of the other one, which has published these peers at last.
    pub(crate) fn inherit(&mut self, beginnings: Vec<(PeerId, Beginnings)>) {
        self.table.inherit();
        self.inherited.clear();
        for (peer, beginnings) in beginnings {
            match self.table.get_mut(&peer) {
                // It came to the other process after that had handed over for the first time, and was published here as new.
                Some(presence) if presence.session() == beginnings.session => {
                    let before = presence.beginnings();
                    if before.as_ref() != Some(&beginnings) {
                        presence.go_on(beginnings);
                        self.table.schedule(peer);
                    }
                }
                Some(_) => (),
                None => drop(self.inherited.insert(peer, beginnings)),
            }
        }
    }

    /// Schedules the writes of all peers again.
    pub(crate) fn renew_all(&mut self) {
        self.table.renew_all();
    }

    /// Withdraws all peers.
    pub(crate) fn withdraw_all(&mut self) {
        self.inherited.clear();
        self.table.remove_all();
    }

    /// The number of peers that are published.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// The number of writes that are due, and perhaps of some that are due no more.
    pub(crate) fn unwritten(&self) -> usize {
        self.table.unwritten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: PeerId = PeerId([1; 32]);
    const B: PeerId = PeerId([2; 32]);

    fn address(text: &str) -> Box<[u8]> {
        text.as_bytes().into()
    }

    fn publishes(table: &mut PublishedPeers, peer: PeerId, now: u64, text: &str) -> bool {
        table.publish(peer, now, None, Some(address(text)), 10)
    }

    /// The write of a peer that was published without a session.
    fn written(since: u64, is_new: bool, is_first: bool, text: &str) -> Write {
        let claim = Claim { is_proven: true, is_silent: false, since };
        Write::Publish { claim, is_new, is_first, addresses: address(text) }
    }

    #[test]
    fn only_the_last_publication_is_written() {
        let mut table = PublishedPeers::default();
        assert!(table.publish(A, 1, None, Some(address("1")), 1));
        assert!(table.publish(A, 2, None, Some(address("2")), 1));
        assert!(!table.publish(B, 3, None, Some(address("3")), 1), "it is full");
        assert_eq!(table.get(&A).map(|(addresses, _)| addresses), Some(&b"2"[..]));
        assert_eq!(table.take(10), [(A, written(2, true, true, "2"))]);
        assert_eq!(table.take(10), []);
        table.withdraw(A);
        table.withdraw(B);
        assert_eq!(table.take(10), [(A, Write::Withdraw)]);
        assert_eq!((table.len(), table.unwritten()), (0, 0));
    }

    #[test]
    fn a_failed_write_is_repeated_unless_there_is_a_newer_one() {
        let mut table = PublishedPeers::default();
        publishes(&mut table, A, 1, "1");
        publishes(&mut table, B, 2, "2");
        let failed = table.take(10);
        publishes(&mut table, A, 3, "3");
        table.failed(failed);
        // It may have reached Redis all the same.
        assert_eq!(table.take(10), [(A, written(3, true, false, "3")), (B, written(2, true, false, "2"))]);
        table.withdraw(A);
        let failed = table.take(10);
        table.failed(failed);
        assert_eq!(table.take(10), [(A, Write::Withdraw)]);
        table.withdraw(B);
        let failed = table.take(10);
        publishes(&mut table, B, 4, "4");
        table.failed(failed);
        assert_eq!(table.take(10), [(B, written(4, true, false, "4"))]);
    }

    #[test]
    fn all_entries_can_be_written_again() {
        let mut table = PublishedPeers::default();
        publishes(&mut table, A, 1, "1");
        let writes = table.take(10);
        table.wrote(A, &writes[0].1, WriteOutcome::Done);
        publishes(&mut table, B, 2, "2");
        table.renew_all();
        assert_eq!(table.take(10), [(B, written(2, true, true, "2")), (A, written(1, false, false, "1"))]);
    }

    #[test]
    fn an_entry_beside_others_has_the_beginning_that_redis_gives_it() {
        let mut table = PublishedPeers::default();
        publishes(&mut table, A, 1, "1");
        let writes = table.take(10);
        table.wrote(A, &writes[0].1, WriteOutcome::Occupied);
        let writes = table.take(10);
        assert_eq!(writes, [(A, written(1, true, false, "1"))]);
        table.wrote(A, &writes[0].1, WriteOutcome::Since(8));
        assert_eq!(table.take(10), []);
        table.renew_all();
        let writes = table.take(10);
        assert_eq!(writes, [(A, written(8, false, false, "1"))]);
        // A newer publication is not changed by the outcome of an older write.
        publishes(&mut table, A, 9, "9");
        table.wrote(A, &writes[0].1, WriteOutcome::Since(12));
        assert_eq!(table.take(10), [(A, written(9, true, false, "9"))]);
    }

    #[test]
    fn who_came_over_from_another_process_keeps_the_beginning_and_who_comes_later_has_its_own() {
        let by = |id| Some(PeerSession { id, is_proven: true, is_silent: false });
        let since = |table: &PublishedPeers, peer: &PeerId| table.get(peer).unwrap().1.since;
        let mut old = PublishedPeers::default();
        for (number, peer) in (1..).zip([A, B]) {
            assert!(old.publish(peer, number, by(number), Some(address("1")), 10));
        }
        let first = old.beginnings(10);
        assert_eq!((first.len(), old.beginnings(1).len()), (2, 1));
        // The third comes after the state was handed over for the first time, and B goes.
        let (third, fourth) = (PeerId([3; 32]), PeerId([4; 32]));
        old.publish(third, 3, by(3), Some(address("1")), 10);
        old.withdraw(B);
        let mut new = PublishedPeers::default();
        new.begin_as_heir(first);
        for (number, peer) in [(1, A), (3, third)] {
            new.publish(peer, 50, by(number), Some(address("2")), 10);
        }
        assert_eq!((since(&new, &A), since(&new, &third)), (1, 50));
        assert!(new.take(10).iter().all(|(_, write)| matches!(write, Write::Publish { is_first: false, .. })));
        new.inherit(old.beginnings(10));
        assert_eq!((since(&new, &A), since(&new, &third)), (1, 3));
        let due: Vec<PeerId> = new.take(10).into_iter().map(|(peer, _)| peer).collect();
        assert_eq!(due, [third], "it is written as it is now");
        for (number, peer) in [(2, B), (4, fourth)] {
            new.publish(peer, 60, by(number), Some(address("2")), 10);
            assert_eq!(since(&new, &peer), 60, "it has come to this process");
        }
    }

    #[test]
    fn who_was_not_published_yet_is_handed_over_once_more_unless_it_has_gone() {
        let by = |id| Some(PeerSession { id, is_proven: true, is_silent: false });
        let mut old = PublishedPeers::default();
        old.publish(A, 1, by(1), Some(address("1")), 10);
        old.publish(B, 2, by(2), Some(address("1")), 10);
        let mut next = PublishedPeers::default();
        next.begin_as_heir(old.beginnings(10));
        next.inherit(old.beginnings(10));
        next.withdraw(B);
        let last = next.beginnings(10);
        assert_eq!(last.iter().map(|(peer, of)| (*peer, of.session, of.since)).collect::<Vec<_>>(), [(A, 1, 1)]);
        // One that goes before this process has written it is deleted: the other process has.
        next.take(10);
        next.publish(A, 9, by(1), Some(address("2")), 10);
        next.withdraw(A);
        assert_eq!(next.take(10), [(A, Write::Withdraw)]);
        assert_eq!(next.beginnings(10), []);
    }

    #[test]
    fn each_session_has_its_beginning_and_keeps_it() {
        let mut table = PublishedPeers::default();
        let mut publish = |id, is_silent, now: u64, addresses: Option<&str>| {
            let session = PeerSession { id, is_proven: false, is_silent };
            assert!(table.publish(A, now, Some(session), addresses.map(address), 10));
            let mut writes = table.take(10);
            let Some((_, Write::Publish { claim, is_new, .. })) = writes.first() else { return None };
            let published = (claim.since, claim.is_silent, *is_new);
            let (peer, write) = writes.remove(0);
            table.wrote(peer, &write, WriteOutcome::Done);
            Some(published)
        };
        assert_eq!(publish(7, true, 1, None), None, "it is not published");
        assert_eq!(publish(7, false, 1, Some("1")), Some((1, false, true)));
        assert_eq!(publish(7, false, 2, Some("2")), Some((1, false, false)), "another address is not another session");
        assert_eq!(publish(7, false, 3, None), None, "nothing has changed");
        assert_eq!(publish(7, true, 4, None), Some((1, true, false)));
        assert_eq!(publish(8, false, 5, Some("5")), Some((5, false, true)), "another session has come later");
        assert_eq!(publish(9, false, 6, Some("6")), Some((6, false, true)));
        assert_eq!(publish(7, false, 7, Some("7")), Some((1, false, false)), "the first session has its old beginning");
        // A policy that publishes the peer does not change its session.
        assert!(table.publish(A, 8, None, Some(address("8")), 10));
        let claim = Claim { is_proven: false, is_silent: false, since: 1 };
        assert_eq!(table.get(&A), Some((&b"8"[..], claim)));
    }
}
