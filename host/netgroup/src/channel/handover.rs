//! The groups that a client is in as a value, for another process that goes on with the client.

use std::time::Instant;

use super::{GroupChannels, JoinLimits};
use crate::digest::GroupDigest;

impl GroupChannels {
    /// The client's flows and the group that it joined on each.
    pub fn flows(&self) -> impl Iterator<Item = (u64, GroupDigest)> + '_ {
        self.flows.iter().copied()
    }

    /// A client that has joined these groups on these flows. How many joins it may send is counted anew.
    pub fn with_flows(now: Instant, limits: JoinLimits, flows: impl IntoIterator<Item = (u64, GroupDigest)>) -> Self {
        let mut channels = Self::new(now, limits);
        channels.flows = flows.into_iter().take(limits.groups).collect();
        channels
    }
}
