//! The peers that this server publishes, and the writes to Redis that are due for them.

use std::collections::{HashMap, VecDeque};

use introd_plugin::{PeerId, PeerSession};

use crate::claim::Claim;
use crate::presence::Presence;

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

/// How many peers may be in the queue although they have been removed, besides as many as there are peers.
const MAX_STALE: usize = 1024;

struct PublishedPeer {
    /// `None`: the peer has left, and its entry is to be deleted.
    presence: Option<Presence>,
    is_written: bool,
    /// Whether Redis may have an entry of this server.
    may_exist: bool,
    /// The place in the order.
    place: usize,
}

/// All peers that this server publishes.
#[derive(Default)]
pub(crate) struct PublishedPeers {
    peers: HashMap<PeerId, PublishedPeer>,
    unwritten: VecDeque<PeerId>,
    len: usize,
    /// All peers of `peers`. They are verified from the last to the first. If one is removed, the last one takes its place, so that one
    /// may be verified twice, but none is left out.
    order: Vec<PeerId>,
    /// How many peers of the order are still to be verified.
    unverified: usize,
}

impl PublishedPeers {
    /// The encoded addresses of a peer that this server publishes, and the state of its session.
    pub(crate) fn get(&self, peer: &PeerId) -> Option<(&[u8], Claim)> {
        self.peers.get(peer)?.presence.as_ref().map(|presence| (&*presence.addresses, presence.claim))
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
        let published = self.peers.get_mut(&peer);
        match (published.and_then(|published| published.presence.as_mut()), addresses) {
            (None, None) => return true,
            (Some(presence), addresses) => {
                let before = presence.claim;
                presence.update(now, session);
                match addresses {
                    Some(addresses) => presence.addresses = addresses,
                    None if presence.claim == before => return true,
                    None => (),
                }
            }
            (None, Some(_)) if self.len >= max => return false,
            (None, Some(addresses)) => {
                self.len += 1;
                let presence = Some(Presence::new(now, session, addresses));
                self.entry(peer, false).presence = presence;
            }
        }
        self.schedule_write(peer);
        true
    }

    pub(crate) fn withdraw(&mut self, peer: PeerId) {
        if let Some(published) = self.peers.get_mut(&peer)
            && published.presence.take().is_some()
        {
            self.len -= 1;
            if published.may_exist {
                self.schedule_write(peer);
            } else {
                // Redis has never heard of it: however many peers come and go during an outage, nothing is left of them.
                self.remove(&peer);
            }
        }
    }

    /// The peer in the table; one that is added has no presence.
    fn entry(&mut self, peer: PeerId, may_exist: bool) -> &mut PublishedPeer {
        self.peers.entry(peer).or_insert_with(|| {
            self.order.push(peer);
            PublishedPeer { presence: None, is_written: true, may_exist, place: self.order.len() - 1 }
        })
    }

    fn remove(&mut self, peer: &PeerId) {
        let Some(removed) = self.peers.remove(peer) else { return };
        self.order.swap_remove(removed.place);
        if let Some(moved) = self.order.get(removed.place).and_then(|moved| self.peers.get_mut(moved)) {
            moved.place = removed.place;
        }
        self.unverified = self.unverified.min(self.order.len());
        // Removed peers that are still in the queue.
        if self.unwritten.len() > 2 * self.peers.len() + MAX_STALE {
            self.unwritten.retain(|peer| self.peers.get(peer).is_some_and(|published| !published.is_written));
        }
    }

    fn schedule_write(&mut self, peer: PeerId) {
        if let Some(published) = self.peers.get_mut(&peer)
            && std::mem::replace(&mut published.is_written, false)
        {
            self.unwritten.push_back(peer);
        }
    }

    /// The next peers whose entries are to be verified in Redis, `max` at most. After the last one it begins again. Entries that are to be
    /// written anyway are left out.
    pub(crate) fn next_to_verify(&mut self, max: usize) -> Vec<PeerId> {
        if self.unverified == 0 {
            self.unverified = self.order.len();
        }
        let end = self.unverified;
        self.unverified = end.saturating_sub(max);
        let is_due = |peer: &&PeerId| self.peers.get(*peer).is_some_and(|it| it.is_written && it.presence.is_some());
        self.order[self.unverified..end].iter().filter(is_due).copied().collect()
    }

    /// Redis has lost the entry of a peer. Returns whether it is to be written again.
    pub(crate) fn lost(&mut self, peer: PeerId) -> bool {
        let is_due =
            self.peers.get(&peer).is_some_and(|published| published.is_written && published.presence.is_some());
        if is_due {
            self.schedule_write(peer);
        }
        is_due
    }

    /// Takes the next writes that are due, `max` at most.
    pub(crate) fn take(&mut self, max: usize) -> Vec<(PeerId, Write)> {
        let mut writes = Vec::new();
        while writes.len() < max
            && let Some(peer) = self.unwritten.pop_front()
        {
            let Some(published) = self.peers.get_mut(&peer).filter(|published| !published.is_written) else { continue };
            published.is_written = true;
            let write = match &published.presence {
                None => Write::Withdraw,
                Some(presence) => Write::Publish {
                    claim: presence.claim,
                    is_new: presence.is_new,
                    is_first: !std::mem::replace(&mut published.may_exist, true),
                    addresses: presence.addresses.clone(),
                },
            };
            if published.presence.is_none() {
                self.remove(&peer);
            }
            writes.push((peer, write));
        }
        writes
    }

    /// These writes have failed, or may have: schedules them again, unless newer ones are due.
    pub(crate) fn failed(&mut self, writes: Vec<(PeerId, Write)>) {
        for (peer, write) in writes {
            if write == Write::Withdraw {
                self.entry(peer, true).may_exist = true;
            }
            self.schedule_write(peer);
        }
    }

    /// Redis has refused a write, so that it has changed nothing: schedules it again, unless a newer one is due.
    pub(crate) fn refused(&mut self, peer: PeerId, write: Write) {
        if let (Write::Publish { is_first: true, .. }, Some(published)) = (&write, self.peers.get_mut(&peer)) {
            published.may_exist = false;
            if published.presence.is_none() {
                self.remove(&peer);
                return;
            }
        }
        self.failed(vec![(peer, write)]);
    }

    /// Takes note of the outcome of a write.
    pub(crate) fn wrote(&mut self, peer: PeerId, write: &Write, outcome: WriteOutcome) {
        let Write::Publish { claim, .. } = write else { return };
        match (outcome, self.peers.get_mut(&peer).and_then(|published| published.presence.as_mut())) {
            (WriteOutcome::Occupied, _) => self.schedule_write(peer),
            (WriteOutcome::Done, Some(presence)) if presence.claim.since == claim.since => presence.is_new = false,
            (WriteOutcome::Since(since), Some(presence)) if presence.claim.since == claim.since => {
                presence.claim.since = since;
                presence.is_new = false;
            }
            _ => (),
        }
    }

    /// Schedules the writes of all peers again.
    pub(crate) fn renew_all(&mut self) {
        for (peer, published) in &mut self.peers {
            if std::mem::replace(&mut published.is_written, false) {
                self.unwritten.push_back(*peer);
            }
        }
    }

    /// Withdraws all peers.
    pub(crate) fn withdraw_all(&mut self) {
        let peers: Vec<PeerId> =
            self.peers.iter().filter(|(_, published)| published.presence.is_some()).map(|(peer, _)| *peer).collect();
        peers.into_iter().for_each(|peer| self.withdraw(peer));
    }

    /// The number of peers that are published.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The number of writes that are due, and perhaps of some that are due no more.
    pub(crate) fn unwritten(&self) -> usize {
        self.unwritten.len()
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
        assert_eq!((table.len(), table.unwritten(), table.peers.len()), (0, 0, 0));
    }

    #[test]
    fn of_peers_that_come_and_go_while_nothing_is_written_nothing_is_left() {
        let mut table = PublishedPeers::default();
        publishes(&mut table, B, 1, "1");
        for number in 0..100_000_u32 {
            let mut id = [3; 32];
            id[..4].copy_from_slice(&number.to_be_bytes());
            publishes(&mut table, PeerId(id), 1, "1");
            table.withdraw(PeerId(id));
        }
        assert!(table.unwritten() <= MAX_STALE + 4, "{}", table.unwritten());
        assert_eq!((table.peers.len(), table.order.len()), (1, 1));
        assert_eq!(table.take(10), [(B, written(1, true, true, "1"))]);
        // One that has left and come again is written once.
        for now in 1..=3 {
            table.withdraw(A);
            publishes(&mut table, A, now, "1");
        }
        assert_eq!(table.take(10), [(A, written(3, true, true, "1"))]);
    }

    #[test]
    fn a_write_that_redis_refuses_has_left_nothing_there() {
        let mut table = PublishedPeers::default();
        publishes(&mut table, A, 1, "1");
        for (peer, write) in table.take(10) {
            table.refused(peer, write);
        }
        let writes = table.take(10);
        assert_eq!(writes, [(A, written(1, true, true, "1"))], "it is the first one still");
        // The peer leaves while the write is on its way.
        table.withdraw(A);
        for (peer, write) in writes {
            table.refused(peer, write);
        }
        assert_eq!((table.take(10), table.peers.len()), (vec![], 0));
        // What was there before the refusal is withdrawn.
        publishes(&mut table, A, 1, "1");
        table.take(10);
        table.withdraw(A);
        for (peer, write) in table.take(10) {
            table.refused(peer, write);
        }
        assert_eq!(table.take(10), [(A, Write::Withdraw)]);
    }

    #[test]
    fn each_entry_is_verified_once_in_each_round_whatever_comes_and_goes() {
        let mut table = PublishedPeers::default();
        let peers: Vec<PeerId> = (0..10).map(|number| PeerId([number; 32])).collect();
        assert_eq!(table.next_to_verify(3), []);
        for peer in &peers {
            publishes(&mut table, *peer, 1, "1");
        }
        assert_eq!(table.next_to_verify(20), [], "they are to be written anyway");
        table.take(20);
        let mut round = table.next_to_verify(4);
        assert_eq!(round, peers[6..]);
        // One that was verified leaves, one that was not does, and one comes.
        table.withdraw(peers[8]);
        table.withdraw(peers[2]);
        assert_eq!(table.take(20).len(), 2);
        let late = PeerId([99; 32]);
        publishes(&mut table, late, 1, "1");
        for _ in 0..2 {
            round.extend(table.next_to_verify(4));
        }
        let left = [0, 1, 3, 4, 5, 6, 7, 9].map(|number| PeerId([number; 32]));
        assert!(left.iter().all(|peer| round.contains(peer)), "{round:?}");
        assert!(round.len() <= 12, "{round:?}");
        // What Redis has lost is written again, but not what has left meanwhile, and not twice.
        assert!(table.lost(peers[0]) && !table.lost(peers[0]) && !table.lost(peers[2]));
        let lost = table.take(20).into_iter().map(|(peer, _)| peer).filter(|peer| *peer != late).collect::<Vec<_>>();
        assert_eq!(lost, [peers[0]]);
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
