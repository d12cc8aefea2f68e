//! The peers that this server publishes, and what of it is still to be written.

use std::collections::{HashMap, VecDeque};

use introd_plugin::PeerId;

/// What is to be done about a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    /// It is here, whatever was said before.
    Publish { since: u64, addresses: Box<[u8]> },
    /// It was here when it was published; if another server has published it since, that stands.
    Renew { since: u64, addresses: Box<[u8]> },
    /// It is not here any more.
    Withdraw,
}

struct Own {
    /// `None`: it has left, and that is to be written.
    here: Option<(u64, Box<[u8]>)>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Written,
    /// It waits to be written, in [`Table::unwritten`].
    New,
    /// It waits to be written anew.
    Old,
}

/// They all.
#[derive(Default)]
pub(crate) struct Table {
    peers: HashMap<PeerId, Own>,
    unwritten: VecDeque<PeerId>,
    here: usize,
}

impl Table {
    /// Where a peer is that this server publishes.
    pub(crate) fn get(&self, peer: &PeerId) -> Option<&[u8]> {
        self.peers.get(peer)?.here.as_ref().map(|(_, addresses)| &**addresses)
    }

    /// False if there are too many.
    pub(crate) fn publish(&mut self, peer: PeerId, since: u64, addresses: Box<[u8]>, most: usize) -> bool {
        let is_new = self.get(&peer).is_none();
        if is_new && self.here >= most {
            return false;
        }
        self.here += usize::from(is_new);
        self.put(peer, Some((since, addresses)));
        true
    }

    pub(crate) fn withdraw(&mut self, peer: PeerId) {
        if self.get(&peer).is_some() {
            self.here -= 1;
            self.put(peer, None);
        }
    }

    fn put(&mut self, peer: PeerId, here: Option<(u64, Box<[u8]>)>) {
        let before = self.peers.insert(peer, Own { here, state: State::New });
        if before.is_none_or(|own| own.state == State::Written) {
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
            let write = match (&own.here, own.state) {
                (_, State::Written) => continue,
                (None, _) => Write::Withdraw,
                (Some((since, addresses)), State::New) => {
                    Write::Publish { since: *since, addresses: addresses.clone() }
                }
                (Some((since, addresses)), State::Old) => Write::Renew { since: *since, addresses: addresses.clone() },
            };
            own.state = State::Written;
            if own.here.is_none() {
                self.peers.remove(&peer);
            }
            writes.push((peer, write));
        }
        writes
    }

    /// These have not been written: they are to be once more, unless something newer is said of them.
    pub(crate) fn failed(&mut self, writes: Vec<(PeerId, Write)>) {
        for (peer, write) in writes {
            let (here, state) = match write {
                Write::Publish { since, addresses } => (Some((since, addresses)), State::New),
                Write::Renew { since, addresses } => (Some((since, addresses)), State::Old),
                Write::Withdraw => (None, State::New),
            };
            match self.peers.get_mut(&peer) {
                None if here.is_none() => {
                    self.peers.insert(peer, Own { here, state });
                    self.unwritten.push_back(peer);
                }
                Some(own) if own.state == State::Written => {
                    own.state = state;
                    self.unwritten.push_back(peer);
                }
                _ => (),
            }
        }
    }

    /// Everything is to be written anew.
    pub(crate) fn renew_all(&mut self) {
        for (peer, own) in &mut self.peers {
            if own.state == State::Written {
                own.state = State::Old;
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

    fn publish(since: u64, text: &str) -> Write {
        Write::Publish { since, addresses: address(text) }
    }

    fn renew(since: u64, text: &str) -> Write {
        Write::Renew { since, addresses: address(text) }
    }

    #[test]
    fn the_last_word_is_written_once() {
        let mut table = Table::default();
        assert!(table.publish(A, 1, address("1"), 1));
        assert!(table.publish(A, 2, address("2"), 1));
        assert!(!table.publish(B, 3, address("3"), 1), "it is full");
        assert_eq!(table.get(&A), Some(&b"2"[..]));
        assert_eq!(table.take(10), [(A, publish(2, "2"))]);
        assert_eq!(table.take(10), []);
        table.withdraw(A);
        table.withdraw(B);
        assert_eq!(table.take(10), [(A, Write::Withdraw)]);
        assert_eq!((table.len(), table.unwritten(), table.peers.len()), (0, 0, 0));
    }

    #[test]
    fn what_failed_is_written_later_unless_there_is_news() {
        let mut table = Table::default();
        table.publish(A, 1, address("1"), 10);
        table.publish(B, 2, address("2"), 10);
        let failed = table.take(10);
        table.publish(A, 3, address("3"), 10);
        table.failed(failed);
        assert_eq!(table.take(10), [(A, publish(3, "3")), (B, publish(2, "2"))]);
        table.withdraw(A);
        let failed = table.take(10);
        table.failed(failed);
        assert_eq!(table.take(10), [(A, Write::Withdraw)]);
        table.withdraw(B);
        let failed = table.take(10);
        table.publish(B, 4, address("4"), 10);
        table.failed(failed);
        assert_eq!(table.take(10), [(B, publish(4, "4"))]);
    }

    #[test]
    fn everything_can_be_written_anew() {
        let mut table = Table::default();
        table.publish(A, 1, address("1"), 10);
        table.take(10);
        table.publish(B, 2, address("2"), 10);
        table.renew_all();
        assert_eq!(table.take(10), [(B, publish(2, "2")), (A, renew(1, "1"))]);
    }
}
