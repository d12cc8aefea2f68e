//! What is remembered of other servers' peers, and of those servers.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use introd_plugin::{Address, PeerId};

use crate::entry::{Claim, Entry, Epoch};

/// An entry, whose server must live for it to count.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) server: Arc<[u8]>,
    pub(crate) epoch: Epoch,
    pub(crate) claim: Claim,
    pub(crate) addresses: Arc<[Address]>,
}

impl From<Entry> for Known {
    fn from(entry: Entry) -> Self {
        let Entry { epoch, claim, server, addresses } = entry;
        Self { server: server.into(), epoch, claim, addresses: addresses.into() }
    }
}

/// What other servers than that of `own` say of a peer, as far as it can be read, what counts first at the beginning.
pub(crate) fn known_of(bytes: &[u8], own: Epoch) -> Box<[Known]> {
    let mut known: Vec<Known> =
        Entry::decode_all(bytes).into_iter().filter(|entry| entry.epoch != own).map(Known::from).collect();
    known.sort_by(|one, other| {
        if one.claim.precedes(&other.claim) {
            Ordering::Less
        } else if other.claim.precedes(&one.claim) {
            Ordering::Greater
        } else {
            Ordering::Equal
        }
    });
    known.into()
}

/// Peers that were found or not, each for a short time, a bounded number of them.
#[derive(Default)]
pub(crate) struct Cache {
    /// Without any entries, the peer was not found.
    peers: HashMap<PeerId, (Instant, Box<[Known]>)>,
    order: VecDeque<(Instant, PeerId)>,
    /// Peers that are being asked for; true if Redis has said meanwhile that they have changed.
    asking: HashMap<PeerId, bool>,
}

impl Cache {
    pub(crate) fn get(&self, now: Instant, peer: &PeerId) -> Option<&[Known]> {
        self.peers.get(peer).filter(|(until, _)| now < *until).map(|(_, known)| &**known)
    }

    pub(crate) fn begin(&mut self, peer: PeerId) {
        self.asking.insert(peer, false);
    }

    /// What a peer that was asked for came to. It is remembered for `time`, unless it has changed since.
    pub(crate) fn end(&mut self, now: Instant, peer: PeerId, known: Box<[Known]>, time: Duration, most: usize) {
        let has_changed = self.asking.remove(&peer).unwrap_or(true);
        while let Some((until, oldest)) = self.order.front().copied()
            && (until <= now || self.order.len() >= most)
        {
            self.order.pop_front();
            if self.peers.get(&oldest).is_some_and(|(known, _)| *known == until) {
                self.peers.remove(&oldest);
            }
        }
        if !has_changed && !time.is_zero() && most > 0 {
            self.peers.insert(peer, (now + time, known));
            self.order.push_back((now + time, peer));
        }
    }

    /// A peer that was asked for came to nothing.
    pub(crate) fn abandon(&mut self, peer: &PeerId) {
        self.asking.remove(peer);
    }

    /// A peer has changed.
    pub(crate) fn forget(&mut self, peer: &PeerId) {
        self.peers.remove(peer);
        if let Some(has_changed) = self.asking.get_mut(peer) {
            *has_changed = true;
        }
    }

    /// Everything may have changed.
    pub(crate) fn forget_all(&mut self) {
        self.peers.clear();
        self.order.clear();
        self.asking.values_mut().for_each(|has_changed| *has_changed = true);
    }

    pub(crate) fn len(&self) -> usize {
        self.peers.len()
    }
}

/// What was heard of other servers' lives.
#[derive(Default)]
pub(crate) struct Servers(HashMap<Arc<[u8]>, (Instant, Option<Epoch>)>);

/// Servers remembered. Whoever can write to Redis can name more of them than there are.
const MAX_SERVERS: usize = 10_000;

impl Servers {
    /// The first of these entries that counts; `None` if it is one of whose server nothing was heard for too long.
    pub(crate) fn first<'a>(&self, now: Instant, known: &'a [Known], trust: Duration) -> Option<Option<&'a Known>> {
        for known in known {
            if self.vouch(now, known, trust)? {
                return Some(Some(known));
            }
        }
        Some(None)
    }

    /// Whether an entry counts; `None` if nothing was heard of its server for too long.
    pub(crate) fn vouch(&self, now: Instant, known: &Known, trust: Duration) -> Option<bool> {
        let (heard, epoch) = self.0.get(&known.server)?;
        (now < *heard + trust).then_some(*epoch == Some(known.epoch))
    }

    pub(crate) fn hear(&mut self, now: Instant, server: Arc<[u8]>, epoch: Option<Epoch>, trust: Duration) {
        if self.0.len() >= MAX_SERVERS {
            self.0.retain(|_, (heard, _)| now < *heard + trust);
        }
        if self.0.len() < MAX_SERVERS || self.0.contains_key(&server) {
            self.0.insert(server, (now, epoch));
        }
    }

    pub(crate) fn forget(&mut self, server: &[u8]) {
        self.0.remove(server);
    }

    pub(crate) fn forget_all(&mut self) {
        self.0.clear();
    }

    /// The servers of these entries of which nothing was heard for too long, each once.
    pub(crate) fn doubtful<'a>(
        &self,
        now: Instant,
        known: impl Iterator<Item = &'a Known>,
        trust: Duration,
    ) -> Vec<Arc<[u8]>> {
        let doubtful = known.filter(|known| self.vouch(now, known, trust).is_none());
        let mut seen = HashSet::new();
        doubtful.map(|known| Arc::clone(&known.server)).filter(|server| seen.insert(Arc::clone(server))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(10);

    fn known(server: &[u8], epoch: u8) -> Known {
        let claim = Claim { is_proven: false, is_silent: false, since: 1 };
        Known { server: server.into(), epoch: Epoch([epoch; 8]), claim, addresses: [].into() }
    }

    #[test]
    fn what_changed_while_it_was_asked_for_is_not_remembered() {
        let (mut cache, now, peer) = (Cache::default(), Instant::now(), PeerId([1; 32]));
        cache.begin(peer);
        cache.end(now, peer, [known(b"a", 1)].into(), TIME, 10);
        assert!(cache.get(now, &peer).is_some_and(|known| known.len() == 1));
        assert!(cache.get(now + TIME, &peer).is_none());
        cache.forget(&peer);
        assert!(cache.get(now, &peer).is_none());
        for forget in
            [|cache: &mut Cache, peer: &PeerId| cache.forget(peer), |cache: &mut Cache, _: &PeerId| cache.forget_all()]
        {
            cache.begin(peer);
            forget(&mut cache, &peer);
            cache.end(now, peer, [].into(), TIME, 10);
            assert!(cache.get(now, &peer).is_none());
        }
        assert!(cache.asking.is_empty());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        for number in 0..100 {
            cache.begin(PeerId([number; 32]));
            cache.end(now, PeerId([number; 32]), [].into(), TIME, 10);
        }
        assert_eq!((cache.len(), cache.order.len()), (10, 10));
        assert!(cache.get(now, &PeerId([99; 32])).is_some());
        cache.begin(PeerId([0; 32]));
        cache.end(now + 2 * TIME, PeerId([0; 32]), [].into(), TIME, 10);
        assert_eq!((cache.len(), cache.order.len()), (1, 1));
    }

    #[test]
    fn entries_count_while_their_server_lives_in_their_epoch() {
        let (mut servers, now) = (Servers::default(), Instant::now());
        assert_eq!(servers.vouch(now, &known(b"a", 1), TIME), None);
        servers.hear(now, b"a".as_slice().into(), Some(Epoch([1; 8])), TIME);
        assert_eq!(servers.vouch(now, &known(b"a", 1), TIME), Some(true));
        assert_eq!(servers.vouch(now, &known(b"a", 2), TIME), Some(false), "of an earlier start");
        assert_eq!(servers.vouch(now + TIME, &known(b"a", 1), TIME), None);
        servers.hear(now, b"a".as_slice().into(), None, TIME);
        assert_eq!(servers.vouch(now, &known(b"a", 1), TIME), Some(false));
        let (a, b) = (known(b"a", 1), known(b"b", 1));
        let both = [a.clone(), b.clone()];
        assert!(servers.first(now, &both, TIME).is_none(), "nothing is known of the second, and the first is dead");
        servers.hear(now, b"b".as_slice().into(), Some(Epoch([1; 8])), TIME);
        assert!(servers.first(now, &both, TIME).flatten().is_some_and(|known| known.server == b.server));
        assert!(matches!(servers.first(now, &both[..1], TIME), Some(None)), "it is nowhere");
        servers.forget(b"b");
        let doubtful = servers.doubtful(now, [&a, &b, &b].into_iter(), TIME);
        assert_eq!(doubtful, [Arc::from(b"b".as_slice())]);
    }
}
