//! The members that a member knows.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rtmfp::{PeerId, TaggedAddress};

use crate::ring::Ring;

/// How many members are remembered. A member needs some tens. Beyond the limit the one that was heard least recently is forgotten.
pub const MAX_KNOWN: usize = 256;
/// A member that was not heard for this long is forgotten (WIRE.md §3.5).
pub const FORGOTTEN: Duration = Duration::from_secs(300);
/// How many of the members that are known only because one neighbour has named them. Beyond it, the one of them that was heard least
/// recently is forgotten: a neighbour that makes members up takes no room from what others name.
const MAX_NAMED_BY_ONE: usize = 64;
/// How many addresses of a member that announces itself at ever new ones are known.
const MAX_ANNOUNCED: usize = 8;
/// The time between a failed attempt to connect and the next one. It doubles with each failure, up to [`FORGOTTEN`].
const RETRY: Duration = Duration::from_secs(10);

/// What is known of a member.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) addresses: Box<[TaggedAddress]>,
    /// When some member last heard it.
    pub(super) heard: Instant,
    pub(super) rtt: Option<Duration>,
    /// The neighbours that have named it most recently.
    pub(super) namers: [Option<PeerId>; 2],
    /// The neighbour because of which it is known. `None`: this end has heard it itself, or its server or owner has named it.
    pub(super) named_by: Option<PeerId>,
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
pub(super) struct KnownMembers {
    members: Ring<Known>,
    /// How many are known because of each neighbour.
    by_namer: BTreeMap<PeerId, usize>,
}

impl KnownMembers {
    /// Some member has heard this one. Returns whether it was unknown. Older news changes nothing, and news without addresses leaves
    /// the known addresses as they are.
    pub(super) fn hear(&mut self, peer: PeerId, heard: Instant, addresses: &[TaggedAddress]) -> bool {
        if let Some(known) = self.members.get_mut(&peer) {
            if heard >= known.heard {
                known.heard = heard;
                if !addresses.is_empty() && *known.addresses != *addresses {
                    known.addresses = addresses.into();
                }
            }
            return false;
        }
        let known = Known {
            addresses: addresses.into(),
            heard,
            rtt: None,
            namers: [None; 2],
            named_by: None,
            failures: 0,
            retry: None,
        };
        self.members.insert(peer, known);
        true
    }

    /// A neighbour has named a member that was heard at a time. Returns whether it was unknown, or `None` if the neighbour has named so
    /// many that another was forgotten for it.
    pub(super) fn named(
        &mut self,
        namer: PeerId,
        peer: PeerId,
        heard: Instant,
        addresses: &[TaggedAddress],
    ) -> Option<bool> {
        let is_newest = self.members.get(&peer).is_none_or(|known| heard >= known.heard);
        let is_new = self.hear(peer, heard, addresses);
        let Some(known) = self.members.get_mut(&peer) else { return Some(is_new) };
        if is_newest && !known.namers.contains(&Some(namer)) {
            known.namers = [Some(namer), known.namers[0]];
        }
        if !is_new {
            return Some(false);
        }
        known.named_by = Some(namer);
        let count = self.by_namer.entry(namer).or_default();
        *count += 1;
        if *count <= MAX_NAMED_BY_ONE {
            return Some(true);
        }
        let theirs = self.members.iter().filter(|member| member.value.named_by == Some(namer));
        let oldest = theirs.min_by_key(|member| member.value.heard).map(|member| member.peer);
        if let Some(oldest) = oldest {
            self.forget(&oldest);
        }
        None
    }

    /// The member itself has said on the local network that it is at this address. Addresses that are known stay known. One that was
    /// unknown counts as named by `near`, this end itself. Returns the same as [`Self::named`].
    pub(super) fn announced(
        &mut self,
        near: PeerId,
        peer: PeerId,
        now: Instant,
        address: TaggedAddress,
    ) -> Option<bool> {
        let Some(known) = self.members.get_mut(&peer) else { return self.named(near, peer, now, &[address]) };
        known.heard = known.heard.max(now);
        if !known.addresses.iter().any(|other| other.address == address.address) {
            let others = known.addresses.iter().copied().take(MAX_ANNOUNCED - 1);
            known.addresses = std::iter::once(address).chain(others).collect();
        }
        Some(false)
    }

    /// This end has heard the member itself: it counts as named by nobody.
    pub(super) fn heard_directly(&mut self, peer: &PeerId) {
        if let Some(namer) = self.members.get_mut(peer).and_then(|known| known.named_by.take()) {
            self.uncount(namer);
        }
    }

    fn uncount(&mut self, namer: PeerId) {
        if let Some(count) = self.by_namer.get_mut(&namer) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_namer.remove(&namer);
            }
        }
    }

    /// The member has answered: earlier failures do not count any more.
    pub(super) fn succeeded(&mut self, peer: &PeerId) {
        if let Some(known) = self.members.get_mut(peer) {
            (known.failures, known.retry) = (0, None);
        }
    }

    pub(super) fn failed(&mut self, peer: &PeerId, now: Instant) {
        if let Some(known) = self.members.get_mut(peer) {
            let wait = RETRY.saturating_mul(1 << known.failures.min(8)).min(FORGOTTEN);
            known.failures = known.failures.saturating_add(1);
            known.retry = now.checked_add(wait);
        }
    }

    pub(super) fn set_rtt(&mut self, peer: &PeerId, rtt: Duration) {
        if let Some(known) = self.members.get_mut(peer) {
            known.rtt = Some(rtt);
        }
    }

    pub(super) fn forget(&mut self, peer: &PeerId) {
        self.heard_directly(peer);
        self.members.remove(peer);
    }

    /// Forgets members that were not heard for [`FORGOTTEN`], and those beyond [`MAX_KNOWN`] that were heard least recently. Members for
    /// which `keep` is true are never forgotten.
    pub(super) fn expire(&mut self, now: Instant, keep: impl Fn(&PeerId) -> bool) {
        let by_namer = &mut self.by_namer;
        self.members.retain(|peer, known| {
            let stays = now.saturating_duration_since(known.heard) <= FORGOTTEN || keep(peer);
            if !stays && let Some(count) = known.named_by.and_then(|namer| by_namer.get_mut(&namer)) {
                *count = count.saturating_sub(1);
            }
            stays
        });
        by_namer.retain(|_, count| *count > 0);
        let excess = self.members.len().saturating_sub(MAX_KNOWN);
        if excess > 0 {
            let mut by_age: Vec<_> = self
                .members
                .iter()
                .filter(|member| !keep(&member.peer))
                .map(|member| (member.value.heard, member.peer))
                .collect();
            by_age.sort_unstable();
            for (_, peer) in by_age.into_iter().take(excess) {
                self.forget(&peer);
            }
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.members.len() >= 2 * MAX_KNOWN
    }

    pub(super) fn get(&self, peer: &PeerId) -> Option<&Known> {
        self.members.get(peer)
    }

    pub(super) fn ring(&self) -> &Ring<Known> {
        &self.members
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
