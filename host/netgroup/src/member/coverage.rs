//! The part of the ring that is nearest to a member: `NetGroup.localCoverageFrom` and `localCoverageTo`.

use std::time::{Duration, Instant};

use rtmfp::PeerId;

use super::output::{GroupEvent, Output};
use super::state::Member;
use crate::ring::GroupAddress;

/// Changes of the coverage are told this long after one another at least.
const INTERVAL: Duration = Duration::from_secs(1);

impl Member {
    /// The neighbours before and after this member on the ring. With one neighbour it is both.
    pub(super) fn ring_neighbors(&self) -> (Option<PeerId>, Option<PeerId>) {
        let onwards = |peer: &PeerId| self.place.way_to(GroupAddress::of(peer));
        (self.neighbors().max_by_key(onwards), self.neighbors().min_by_key(onwards))
    }

    /// The first and the last place for which no neighbour is nearer than this member. Without neighbours it is the whole ring, from the
    /// own place on.
    pub fn local_coverage(&self) -> (GroupAddress, GroupAddress) {
        match self.ring_neighbors() {
            (Some(before), Some(after)) => {
                let (before, after) = (GroupAddress::of(&before), GroupAddress::of(&after));
                (before.midway_to(self.place).next(), self.place.midway_to(after))
            }
            _ => (self.place, self.place.previous()),
        }
    }

    /// The neighbours have changed.
    pub(super) fn coverage_may_change(&mut self, now: Instant) {
        let next = self.coverage.next.map_or(now, |next| next.max(now));
        self.coverage.due.get_or_insert(next);
    }

    pub(super) fn tell_coverage(&mut self, now: Instant) {
        if self.coverage.due.is_none_or(|due| due > now) {
            return;
        }
        self.coverage.due = None;
        let coverage = self.local_coverage();
        if self.coverage.told != Some(coverage) {
            self.coverage.told = Some(coverage);
            self.coverage.next = Some(now + INTERVAL);
            self.outputs.push_back(Output::Event(GroupEvent::LocalCoverage));
        }
    }
}
