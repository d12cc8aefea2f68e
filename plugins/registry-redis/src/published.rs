//! The peers that this server publishes, and the writes to Redis that are due for them.

use introd_plugin::{PeerId, PeerSession};

use crate::claim::Claim;
use crate::presence::Presence;
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
pub(crate) struct PublishedPeers(Table<PeerId, Presence>);

impl PublishedPeers {
    /// The encoded addresses of a peer that this server publishes, and the state of its session.
    pub(crate) fn get(&self, peer: &PeerId) -> Option<(&[u8], Claim)> {
        self.0.get(peer).map(|presence| (&*presence.addresses, presence.claim))
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
        let len = self.0.len();
        match (self.0.get_mut(&peer), addresses) {
            (None, None) => return true,
            (Some(presence), addresses) => {
                let before = presence.claim;
                presence.update(now, session);
                match addresses {
                    Some(addresses) => presence.addresses = addresses,
                    None if presence.claim == before => return true,
                    None => (),
                }
                self.0.schedule(peer);
            }
            (None, Some(_)) if len >= max => return false,
            (None, Some(addresses)) => self.0.insert(peer, Presence::new(now, session, addresses)),
        }
        true
    }

    pub(crate) fn withdraw(&mut self, peer: PeerId) {
        self.0.remove(peer);
    }

    /// The next peers whose entries are to be verified in Redis, `max` at most.
    pub(crate) fn next_to_verify(&mut self, max: usize) -> Vec<PeerId> {
        self.0.next_to_verify(max)
    }

    /// Redis has lost the entry of a peer. Returns whether it is to be written again.
    pub(crate) fn lost(&mut self, peer: PeerId) -> bool {
        self.0.lost(peer)
    }

    /// The peers whose entries are to be deleted, or may just have been.
    pub(crate) fn withdrawals(&self) -> Vec<PeerId> {
        self.0.deletions()
    }

    /// The entry of a peer is to be deleted, which another process has written as this server, unless the peer is published.
    pub(crate) fn withdraw_inherited(&mut self, peer: PeerId) {
        self.0.failed(peer, true);
    }

    /// Takes the next writes that are due, `max` at most: one batch at a time.
    pub(crate) fn take(&mut self, max: usize) -> Vec<(PeerId, Write)> {
        self.0.begin_batch();
        self.0.take(max, |peer, presence, is_first| {
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
            self.0.failed(peer, write == Write::Withdraw);
        }
    }

    /// Redis has refused a write, so that it has changed nothing: schedules it again, unless a newer one is due.
    pub(crate) fn refused(&mut self, peer: PeerId, write: &Write) {
        let is_first = matches!(write, Write::Publish { is_first: true, .. });
        self.0.refused(peer, *write == Write::Withdraw, is_first);
    }

    /// Takes note of the outcome of a write.
    pub(crate) fn wrote(&mut self, peer: PeerId, write: &Write, outcome: WriteOutcome) {
        let Write::Publish { claim, .. } = write else { return };
        match (outcome, self.0.get_mut(&peer)) {
            (WriteOutcome::Occupied, _) => self.0.schedule(peer),
            (WriteOutcome::Done, Some(presence)) if presence.claim.since == claim.since => presence.is_new = false,
            (WriteOutcome::Since(since), Some(presence)) if presence.claim.since == claim.since => {
                presence.claim.since = since;
                presence.is_new = false;
            }
            _ => (),
        }
    }

    /// Another process serves as this server, whose place this one is to take.
    pub(crate) fn begin_as_heir(&mut self) {
        self.0.begin_as_heir();
    }

    /// This process has taken the place of the other one.
    pub(crate) fn inherit(&mut self) {
        self.0.inherit();
    }

    /// Schedules the writes of all peers again.
    pub(crate) fn renew_all(&mut self) {
        self.0.renew_all();
    }

    /// Withdraws all peers.
    pub(crate) fn withdraw_all(&mut self) {
        self.0.remove_all();
    }

    /// The number of peers that are published.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The number of writes that are due, and perhaps of some that are due no more.
    pub(crate) fn unwritten(&self) -> usize {
        self.0.unwritten()
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
