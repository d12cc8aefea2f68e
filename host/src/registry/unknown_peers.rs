//! The peers that the registry has lately said it does not know.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use rtmfp::PeerId;

use super::settings::ResolverSettings;

/// Remembers for a short time which peers are unknown, so that repeated lookups of them do not reach the registry.
#[derive(Default)]
pub(super) struct UnknownPeers {
    /// Until when each peer counts as unknown.
    until: HashMap<PeerId, Instant>,
    /// The same peers, in the order in which they are forgotten.
    order: VecDeque<(Instant, PeerId)>,
}

impl UnknownPeers {
    /// Remembers a peer, and forgets peers whose time is over or that are too many.
    pub(super) fn insert(&mut self, now: Instant, peer: PeerId, settings: &ResolverSettings) {
        while let Some((until, peer)) = self.order.front().copied()
            && (until <= now || self.order.len() >= settings.max_negative)
        {
            self.order.pop_front();
            if self.until.get(&peer) == Some(&until) {
                self.until.remove(&peer);
            }
        }
        let until = now + settings.negative;
        if !settings.negative.is_zero() && settings.max_negative > 0 {
            self.until.insert(peer, until);
            self.order.push_back((until, peer));
        }
    }

    /// Whether a peer counts as unknown.
    pub(super) fn contains(&self, now: Instant, peer: &PeerId) -> bool {
        self.until.get(peer).is_some_and(|until| now < *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_of_unknown_peers_is_bounded() {
        let settings = ResolverSettings { max_negative: 10, ..ResolverSettings::default() };
        let mut unknown = UnknownPeers::default();
        let now = Instant::now();
        for number in 0..100 {
            unknown.insert(now, PeerId([number; 32]), &settings);
        }
        assert_eq!((unknown.until.len(), unknown.order.len()), (10, 10));
        assert!(unknown.contains(now, &PeerId([99; 32])) && !unknown.contains(now, &PeerId([89; 32])));
        unknown.insert(now + 2 * settings.negative, PeerId([0; 32]), &settings);
        assert_eq!((unknown.until.len(), unknown.order.len()), (1, 1));
    }

    #[test]
    fn a_peer_counts_as_unknown_until_its_time_is_over_and_no_longer() {
        let settings = ResolverSettings::default();
        let (mut unknown, now, peer) = (UnknownPeers::default(), Instant::now(), PeerId([1; 32]));
        unknown.insert(now, peer, &settings);
        let end = now + settings.negative;
        assert!(unknown.contains(end - std::time::Duration::from_nanos(1), &peer) && !unknown.contains(end, &peer));
    }

    #[test]
    fn a_peer_that_is_remembered_again_is_forgotten_at_the_later_time() {
        let settings = ResolverSettings::default();
        let (mut unknown, now, peer) = (UnknownPeers::default(), Instant::now(), PeerId([1; 32]));
        unknown.insert(now, peer, &settings);
        unknown.insert(now + settings.negative / 2, peer, &settings);
        // The first time is over, and another peer has it cleared away.
        unknown.insert(now + settings.negative, PeerId([2; 32]), &settings);
        assert!(unknown.contains(now + settings.negative, &peer));
        assert!(!unknown.contains(now + settings.negative * 3 / 2, &peer));
    }

    #[test]
    fn nothing_is_remembered_where_the_settings_say_so() {
        let now = Instant::now();
        for settings in [
            ResolverSettings { max_negative: 0, ..ResolverSettings::default() },
            ResolverSettings { negative: std::time::Duration::ZERO, ..ResolverSettings::default() },
        ] {
            let mut unknown = UnknownPeers::default();
            unknown.insert(now, PeerId([1; 32]), &settings);
            assert!(unknown.until.is_empty() && unknown.order.is_empty(), "{settings:?}");
        }
    }
}
