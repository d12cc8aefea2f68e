//! The members that a member knows.

use std::time::{Duration, Instant};

use rtmfp::{PeerId, TaggedAddress};

use crate::ring::Ring;

/// How many members are remembered. A member needs some tens. Beyond the limit the one that was heard least recently is forgotten.
pub const MAX_KNOWN: usize = 256;
/// A member that was not heard for this long is forgotten (WIRE.md §3.5).
pub const FORGOTTEN: Duration = Duration::from_secs(300);
/// The time between a failed attempt to connect and the next one. It doubles with each failure, up to [`FORGOTTEN`].
const RETRY: Duration = Duration::from_secs(10);

/// What is known of a member.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) addresses: Box<[TaggedAddress]>,
    /// When some member last heard it.
    pub(super) heard: Instant,
    pub(super) rtt: Option<Duration>,
    /// How many attempts to connect have failed since the last success.
    failures: u32,
    /// No attempt is made before this time.
    retry: Option<Instant>,
}

impl Known {
    /// Whether an attempt to connect may be made now.
    pub(super) fn is_reachable(&self, now: Instant) -> bool {
        self.retry.is_none_or(|retry| retry <= now)
    }
}

/// All members that a member knows.
#[derive(Debug, Default)]
pub(super) struct KnownMembers(Ring<Known>);

impl KnownMembers {
    /// Some member has heard this one. Returns whether it was unknown. Older news changes nothing, and news without addresses leaves
    /// the known addresses as they are.
    pub(super) fn hear(&mut self, peer: PeerId, heard: Instant, addresses: &[TaggedAddress]) -> bool {
        if let Some(known) = self.0.get_mut(&peer) {
            if heard >= known.heard {
                known.heard = heard;
                if !addresses.is_empty() && *known.addresses != *addresses {
                    known.addresses = addresses.into();
                }
            }
            return false;
        }
        self.0.insert(peer, Known { addresses: addresses.into(), heard, rtt: None, failures: 0, retry: None });
        true
    }

    /// The member has answered: earlier failures do not count any more.
    pub(super) fn succeeded(&mut self, peer: &PeerId) {
        if let Some(known) = self.0.get_mut(peer) {
            (known.failures, known.retry) = (0, None);
        }
    }

    pub(super) fn failed(&mut self, peer: &PeerId, now: Instant) {
        if let Some(known) = self.0.get_mut(peer) {
            let wait = RETRY.saturating_mul(1 << known.failures.min(8)).min(FORGOTTEN);
            known.failures = known.failures.saturating_add(1);
            known.retry = now.checked_add(wait);
        }
    }

    pub(super) fn set_rtt(&mut self, peer: &PeerId, rtt: Duration) {
        if let Some(known) = self.0.get_mut(peer) {
            known.rtt = Some(rtt);
        }
    }

    pub(super) fn forget(&mut self, peer: &PeerId) {
        self.0.remove(peer);
    }

    /// Forgets members that were not heard for [`FORGOTTEN`], and those beyond [`MAX_KNOWN`] that were heard least recently. Members for
    /// which `keep` is true are never forgotten.
    pub(super) fn expire(&mut self, now: Instant, keep: impl Fn(&PeerId) -> bool) {
        self.0.retain(|peer, known| now.saturating_duration_since(known.heard) <= FORGOTTEN || keep(peer));
        let excess = self.0.len().saturating_sub(MAX_KNOWN);
        if excess > 0 {
            let mut by_age: Vec<_> = self
                .0
                .iter()
                .filter(|member| !keep(&member.peer))
                .map(|member| (member.value.heard, member.peer))
                .collect();
            by_age.sort_unstable();
            for (_, peer) in by_age.into_iter().take(excess) {
                self.0.remove(&peer);
            }
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= 2 * MAX_KNOWN
    }

    pub(super) fn get(&self, peer: &PeerId) -> Option<&Known> {
        self.0.get(peer)
    }

    pub(super) fn ring(&self) -> &Ring<Known> {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use rtmfp::Origin;

    use super::*;

    #[test]
    fn newer_news_counts() {
        let now = Instant::now();
        let mut known = KnownMembers::default();
        let peer = PeerId([1; 32]);
        let address = |port| [TaggedAddress::new(([192, 0, 2, 1], port).into(), Origin::Observed)];
        assert!(known.hear(peer, now, &address(1)));
        let later = now + Duration::from_secs(1);
        assert!(!known.hear(peer, later, &address(2)));
        known.hear(peer, now, &address(3));
        known.hear(peer, later, &[]);
        assert_eq!(*known.get(&peer).unwrap().addresses, address(2));
        known.expire(later + FORGOTTEN, |_| false);
        assert!(known.get(&peer).is_some());
        let over = later + FORGOTTEN + Duration::from_secs(1);
        known.expire(over, |_| true);
        assert!(known.get(&peer).is_some());
        known.expire(over, |_| false);
        assert!(known.get(&peer).is_none());
    }

    #[test]
    fn of_too_many_members_those_heard_least_recently_are_forgotten() {
        let now = Instant::now();
        let mut known = KnownMembers::default();
        let peer = |number: usize| {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&number.to_be_bytes());
            PeerId(id)
        };
        for number in 0..2 * MAX_KNOWN {
            assert!(!known.is_full());
            known.hear(peer(number), now + Duration::from_millis(number as u64), &[]);
        }
        assert!(known.is_full());
        known.expire(now, |kept| *kept == peer(0));
        assert_eq!(known.ring().len(), MAX_KNOWN);
        assert!(known.get(&peer(0)).is_some() && known.get(&peer(MAX_KNOWN)).is_none());
        assert!(known.get(&peer(MAX_KNOWN + 1)).is_some());
    }

    #[test]
    fn attempts_that_fail_become_rarer() {
        let now = Instant::now();
        let mut known = KnownMembers::default();
        let peer = PeerId([1; 32]);
        known.hear(peer, now, &[]);
        let mut waits = Vec::new();
        for _ in 0..40 {
            known.failed(&peer, now);
            let state = known.get(&peer).unwrap();
            assert!(!state.is_reachable(now));
            waits.push(state.retry.unwrap().duration_since(now).as_secs());
        }
        assert_eq!(waits[..6], [10, 20, 40, 80, 160, 300]);
        assert_eq!(waits[39], 300);
        known.succeeded(&peer);
        assert!(known.get(&peer).unwrap().is_reachable(now));
    }
}
