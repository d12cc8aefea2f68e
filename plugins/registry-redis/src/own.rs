//! The peers that this server publishes, and what of it is still to be written.

use std::collections::{HashMap, VecDeque};

use introd_plugin::{PeerId, PeerSession};

use crate::entry::Claim;

/// What is to be done about a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    /// It is here.
    Publish {
        claim: Claim,
        /// Whether it has just come: its time is to be later than that of all others which have it.
        is_new: bool,
        /// Whether nothing is known to stand there yet.
        is_first: bool,
        addresses: Box<[u8]>,
    },
    /// It is not here any more.
    Withdraw,
}

/// What became of what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// It stands there.
    Done,
    /// It stands there, with this time.
    Since(u64),
    /// Something stood there already: it is to be entered beside that.
    Occupied,
}

struct Own {
    /// `None`: it has left, and that is to be written.
    here: Option<Here>,
    is_written: bool,
    /// Whether something of it may stand in Redis.
    may_stand: bool,
}

struct Here {
    claim: Claim,
    /// Whether no answer has confirmed or changed the time yet.
    is_new: bool,
    /// The session that has it; 0 if it is not known which.
    session: u64,
    /// The session that had it first, and since when, if that is another one.
    first: Option<Box<(u64, u64)>>,
    addresses: Box<[u8]>,
}

impl Here {
    /// Of whom nobody says by which session it is here, is as good as proven: it is for a policy to know.
    fn new(since: u64, standing: Option<PeerSession>, addresses: Box<[u8]>) -> Self {
        let PeerSession { id: session, is_proven, is_silent } =
            standing.unwrap_or(PeerSession { is_proven: true, ..PeerSession::default() });
        Self { claim: Claim { is_proven, is_silent, since }, is_new: true, session, first: None, addresses }
    }

    /// It is said anew, at `now`.
    fn say(&mut self, now: u64, standing: Option<PeerSession>) {
        let Some(PeerSession { id: session, is_proven, is_silent }) = standing else {
            if self.session == 0 {
                (self.claim.since, self.is_new) = (now, true);
            }
            return;
        };
        if session != self.session {
            // One that comes back to what it had first is as old as it was.
            match &self.first {
                Some(first) if first.0 == session => (self.claim.since, self.is_new) = (first.1, false),
                first => {
                    if first.is_none() && self.session != 0 {
                        self.first = Some(Box::new((self.session, self.claim.since)));
                    }
                    (self.claim.since, self.is_new) = (now, true);
                }
            }
            self.session = session;
        }
        self.claim = Claim { is_proven, is_silent, since: self.claim.since };
    }
}

/// They all.
#[derive(Default)]
pub(crate) struct Table {
    peers: HashMap<PeerId, Own>,
    unwritten: VecDeque<PeerId>,
    here: usize,
}

impl Table {
    /// Where a peer is that this server publishes, and how its session stands.
    pub(crate) fn get(&self, peer: &PeerId) -> Option<(&[u8], Claim)> {
        self.peers.get(peer)?.here.as_ref().map(|here| (&*here.addresses, here.claim))
    }

    /// A peer is here. Without addresses, only how its session stands has changed, if the peer is known to be here. False if there are too
    /// many.
    pub(crate) fn publish(
        &mut self,
        peer: PeerId,
        now: u64,
        standing: Option<PeerSession>,
        addresses: Option<Box<[u8]>>,
        most: usize,
    ) -> bool {
        let own = self.peers.get_mut(&peer);
        match (own.and_then(|own| own.here.as_mut()), addresses) {
            (None, None) => return true,
            (Some(here), addresses) => {
                let before = here.claim;
                here.say(now, standing);
                match addresses {
                    Some(addresses) => here.addresses = addresses,
                    None if here.claim == before => return true,
                    None => (),
                }
            }
            (None, Some(_)) if self.here >= most => return false,
            (None, Some(addresses)) => {
                self.here += 1;
                let here = Some(Here::new(now, standing, addresses));
                let own = self.peers.entry(peer).or_insert(Own { here: None, is_written: true, may_stand: false });
                own.here = here;
            }
        }
        self.is_to_be_written(peer);
        true
    }

    pub(crate) fn withdraw(&mut self, peer: PeerId) {
        if let Some(own) = self.peers.get_mut(&peer)
            && own.here.take().is_some()
        {
            self.here -= 1;
            self.is_to_be_written(peer);
        }
    }

    fn is_to_be_written(&mut self, peer: PeerId) {
        if let Some(own) = self.peers.get_mut(&peer)
            && std::mem::replace(&mut own.is_written, false)
        {
            self.unwritten.push_back(peer);
        }
    }

    /// Takes out what is to be written, so much at most.
    pub(crate) fn take(&mut self, most: usize) -> Vec<(PeerId, Write)> {
        let mut writes = Vec::new();
        while writes.len() < most
            && let Some(peer) = self.unwritten.pop_front()
        {
            let Some(own) = self.peers.get_mut(&peer) else { continue };
            own.is_written = true;
            let write = match &own.here {
                None => Write::Withdraw,
                Some(here) => Write::Publish {
                    claim: here.claim,
                    is_new: here.is_new,
                    is_first: !std::mem::replace(&mut own.may_stand, true),
                    addresses: here.addresses.clone(),
                },
            };
            if own.here.is_none() {
                self.peers.remove(&peer);
            }
            writes.push((peer, write));
        }
        writes
    }

    /// These have not been written, as far as is known: they are to be once more, unless something newer is said of them.
    pub(crate) fn failed(&mut self, writes: Vec<(PeerId, Write)>) {
        for (peer, write) in writes {
            if write == Write::Withdraw {
                let gone = Own { here: None, is_written: true, may_stand: true };
                self.peers.entry(peer).or_insert(gone).may_stand = true;
            }
            self.is_to_be_written(peer);
        }
    }

    /// What became of something that was written.
    pub(crate) fn wrote(&mut self, peer: PeerId, write: &Write, written: Written) {
        let Write::Publish { claim, .. } = write else { return };
        match (written, self.peers.get_mut(&peer).and_then(|own| own.here.as_mut())) {
            (Written::Occupied, _) => self.is_to_be_written(peer),
            (Written::Done, Some(here)) if here.claim.since == claim.since => here.is_new = false,
            (Written::Since(since), Some(here)) if here.claim.since == claim.since => {
                here.claim.since = since;
                here.is_new = false;
            }
            _ => (),
        }
    }

    /// Everything is to be written anew.
    pub(crate) fn renew_all(&mut self) {
        for (peer, own) in &mut self.peers {
            if std::mem::replace(&mut own.is_written, false) {
                self.unwritten.push_back(*peer);
            }
        }
    }

    /// Nobody is here any more.
    pub(crate) fn withdraw_all(&mut self) {
        let here: Vec<PeerId> =
            self.peers.iter().filter(|(_, own)| own.here.is_some()).map(|(peer, _)| *peer).collect();
        here.into_iter().for_each(|peer| self.withdraw(peer));
    }

    /// How many are here.
    pub(crate) fn len(&self) -> usize {
        self.here
    }

    /// How many wait to be written.
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

    fn says(table: &mut Table, peer: PeerId, now: u64, text: &str) -> bool {
        table.publish(peer, now, None, Some(address(text)), 10)
    }

    /// What was said without a word on the session.
    fn publish(since: u64, is_new: bool, is_first: bool, text: &str) -> Write {
        let claim = Claim { is_proven: true, is_silent: false, since };
        Write::Publish { claim, is_new, is_first, addresses: address(text) }
    }

    #[test]
    fn the_last_word_is_written_once() {
        let mut table = Table::default();
        assert!(table.publish(A, 1, None, Some(address("1")), 1));
        assert!(table.publish(A, 2, None, Some(address("2")), 1));
        assert!(!table.publish(B, 3, None, Some(address("3")), 1), "it is full");
        assert_eq!(table.get(&A).map(|(addresses, _)| addresses), Some(&b"2"[..]));
        assert_eq!(table.take(10), [(A, publish(2, true, true, "2"))]);
        assert_eq!(table.take(10), []);
        table.withdraw(A);
        table.withdraw(B);
        assert_eq!(table.take(10), [(A, Write::Withdraw)]);
        assert_eq!((table.len(), table.unwritten(), table.peers.len()), (0, 0, 0));
    }

    #[test]
    fn what_failed_is_written_later_unless_there_is_news() {
        let mut table = Table::default();
        says(&mut table, A, 1, "1");
        says(&mut table, B, 2, "2");
        let failed = table.take(10);
        says(&mut table, A, 3, "3");
        table.failed(failed);
        // It may have arrived all the same.
        assert_eq!(table.take(10), [(A, publish(3, true, false, "3")), (B, publish(2, true, false, "2"))]);
        table.withdraw(A);
        let failed = table.take(10);
        table.failed(failed);
        assert_eq!(table.take(10), [(A, Write::Withdraw)]);
        table.withdraw(B);
        let failed = table.take(10);
        says(&mut table, B, 4, "4");
        table.failed(failed);
        assert_eq!(table.take(10), [(B, publish(4, true, false, "4"))]);
    }

    #[test]
    fn everything_can_be_written_anew() {
        let mut table = Table::default();
        says(&mut table, A, 1, "1");
        let written = table.take(10);
        table.wrote(A, &written[0].1, Written::Done);
        says(&mut table, B, 2, "2");
        table.renew_all();
        assert_eq!(table.take(10), [(B, publish(2, true, true, "2")), (A, publish(1, false, false, "1"))]);
    }

    #[test]
    fn what_meets_others_is_entered_beside_them_and_has_the_time_that_it_is_given() {
        let mut table = Table::default();
        says(&mut table, A, 1, "1");
        let written = table.take(10);
        table.wrote(A, &written[0].1, Written::Occupied);
        let written = table.take(10);
        assert_eq!(written, [(A, publish(1, true, false, "1"))]);
        table.wrote(A, &written[0].1, Written::Since(8));
        assert_eq!(table.take(10), []);
        table.renew_all();
        let written = table.take(10);
        assert_eq!(written, [(A, publish(8, false, false, "1"))]);
        // What is said meanwhile is not changed by what was written before.
        says(&mut table, A, 9, "9");
        table.wrote(A, &written[0].1, Written::Since(12));
        assert_eq!(table.take(10), [(A, publish(9, true, false, "9"))]);
    }

    #[test]
    fn each_session_has_its_time_and_keeps_it() {
        let mut table = Table::default();
        let mut say = |session, is_silent, now: u64, addresses: Option<&str>| {
            let standing = PeerSession { id: session, is_proven: false, is_silent };
            assert!(table.publish(A, now, Some(standing), addresses.map(address), 10));
            let mut written = table.take(10);
            let Some((_, Write::Publish { claim, is_new, .. })) = written.first() else { return None };
            let said = (claim.since, claim.is_silent, *is_new);
            let (peer, write) = written.remove(0);
            table.wrote(peer, &write, Written::Done);
            Some(said)
        };
        assert_eq!(say(7, true, 1, None), None, "nobody has published it");
        assert_eq!(say(7, false, 1, Some("1")), Some((1, false, true)));
        assert_eq!(say(7, false, 2, Some("2")), Some((1, false, false)), "another address is no other session");
        assert_eq!(say(7, false, 3, None), None, "there is no news");
        assert_eq!(say(7, true, 4, None), Some((1, true, false)));
        assert_eq!(say(8, false, 5, Some("5")), Some((5, false, true)), "another session has come later");
        assert_eq!(say(9, false, 6, Some("6")), Some((6, false, true)));
        assert_eq!(say(7, false, 7, Some("7")), Some((1, false, false)), "the first is as old as it was");
        // A policy that says where the peer is says nothing of its session.
        assert!(table.publish(A, 8, None, Some(address("8")), 10));
        let claim = Claim { is_proven: false, is_silent: false, since: 1 };
        assert_eq!(table.get(&A), Some((&b"8"[..], claim)));
    }
}
