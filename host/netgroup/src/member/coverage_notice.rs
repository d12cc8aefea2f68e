//! What was told of the part of the ring that is nearest to a member.

use std::time::Instant;

use crate::ring::GroupAddress;

/// What was told of the coverage.
#[derive(Debug, Default)]
pub(super) struct CoverageNotice {
    pub(super) told: Option<(GroupAddress, GroupAddress)>,
    /// No change is told before this time.
    pub(super) next: Option<Instant>,
    /// There may be a change to tell.
    pub(super) due: Option<Instant>,
}
