//! The results of recent lookups.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use introd_plugin::PeerId;

use crate::remote::RemoteEntry;

/// The results of lookups, found or not, each kept for a short time. Their number is bounded.
#[derive(Default)]
pub(crate) struct Cache {
    /// The entries of each peer, and until when they are kept. A peer without entries was not found.
    peers: HashMap<PeerId, (Instant, Box<[RemoteEntry]>)>,
    /// The peers by the end of their time. Some may have been removed since.
    order: VecDeque<(Instant, PeerId)>,
    /// Peers that Redis is being asked about; true if Redis has reported a change of them meanwhile.
    asking: HashMap<PeerId, bool>,
}

impl Cache {
    pub(crate) fn get(&self, now: Instant, peer: &PeerId) -> Option<&[RemoteEntry]> {
        self.peers.get(peer).filter(|(until, _)| now < *until).map(|(_, entries)| &**entries)
    }

    /// Redis is being asked about a peer.
    pub(crate) fn begin(&mut self, peer: PeerId) {
        self.asking.insert(peer, false);
    }

    /// Redis has answered. The entries are kept for `time`, unless they have changed since; at most `max` peers are kept.
    pub(crate) fn end(&mut self, now: Instant, peer: PeerId, entries: Box<[RemoteEntry]>, time: Duration, max: usize) {
        let has_changed = self.asking.remove(&peer).unwrap_or(true);
        while let Some((until, oldest)) = self.order.front().copied()
            && (until <= now || self.order.len() >= max)
        {
            self.order.pop_front();
            if self.peers.get(&oldest).is_some_and(|(kept_until, _)| *kept_until == until) {
                self.peers.remove(&oldest);
            }
        }
        if !has_changed && !time.is_zero() && max > 0 {
            self.peers.insert(peer, (now + time, entries));
            self.order.push_back((now + time, peer));
        }
    }

    /// Redis has not answered.
    pub(crate) fn abandon(&mut self, peer: &PeerId) {
        self.asking.remove(peer);
    }

    /// The entries of a peer have changed.
    pub(crate) fn forget(&mut self, peer: &PeerId) {
        self.peers.remove(peer);
        if let Some(has_changed) = self.asking.get_mut(peer) {
            *has_changed = true;
        }
    }

    /// The entries of all peers may have changed.
    pub(crate) fn forget_all(&mut self) {
        self.peers.clear();
        self.order.clear();
        self.asking.values_mut().for_each(|has_changed| *has_changed = true);
    }

    pub(crate) fn len(&self) -> usize {
        self.peers.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claim::Claim;
    use crate::entry::Epoch;

    const TIME: Duration = Duration::from_secs(10);

    fn entry(server: &[u8], epoch: u8) -> RemoteEntry {
        let claim = Claim { is_proven: false, is_silent: false, since: 1 };
        RemoteEntry { server: server.into(), epoch: Epoch([epoch; 8]), claim, addresses: [].into() }
    }

    #[test]
    fn what_changed_while_it_was_asked_for_is_not_remembered() {
        let (mut cache, now, peer) = (Cache::default(), Instant::now(), PeerId([1; 32]));
        cache.begin(peer);
        cache.end(now, peer, [entry(b"a", 1)].into(), TIME, 10);
        assert!(cache.get(now, &peer).is_some_and(|entries| entries.len() == 1));
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
    fn an_entry_is_kept_until_its_own_time_and_nothing_without_time_or_room() {
        let (mut cache, now, peer) = (Cache::default(), Instant::now(), PeerId([1; 32]));
        for (time, max) in [(Duration::ZERO, 10), (TIME, 0)] {
            cache.begin(peer);
            cache.end(now, peer, [].into(), time, max);
            assert_eq!((cache.len(), cache.order.len()), (0, 0));
        }
        cache.end(now, peer, [].into(), TIME, 10);
        assert_eq!(cache.len(), 0, "nobody asked");
        cache.begin(peer);
        cache.abandon(&peer);
        assert!(cache.asking.is_empty());
        // What was remembered anew does not go with what was there before.
        for at in [now, now + TIME / 2] {
            cache.begin(peer);
            cache.end(at, peer, [entry(b"a", 1)].into(), TIME, 10);
        }
        cache.begin(PeerId([2; 32]));
        cache.end(now + TIME, PeerId([2; 32]), [].into(), TIME, 10);
        assert!(cache.get(now + TIME, &peer).is_some());
        assert!(cache.get(now + TIME * 3 / 2, &peer).is_none(), "until then, and not at that time");
        cache.forget_all();
        assert_eq!((cache.len(), cache.order.len()), (0, 0));
    }
}
