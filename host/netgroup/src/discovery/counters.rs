//! What was announced and heard.

/// How many announcements were sent, and what became of the datagrams that came, since the counts were last taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiscoveryCounters {
    /// Announcements that were sent: one for each multicast address and interface.
    pub sent: u64,
    /// Announcements of members that were believed.
    pub accepted: u64,
    /// Datagrams that are of other groups or none, or not from the only source that is accepted.
    pub foreign: u64,
    /// Datagrams that claim to be of the group without knowing its groupspec, or come from another address than their sender's.
    pub forged: u64,
    /// Announcements that have come before, or whose time is more than [`MAX_SKEW`](super::MAX_SKEW) away from now.
    pub replayed: u64,
    /// Datagrams beyond the rate at which they are read.
    pub over_rate: u64,
}

impl DiscoveryCounters {
    /// Adds other counts to these.
    pub fn add(&mut self, other: Self) {
        let Self { sent, accepted, foreign, forged, replayed, over_rate } = other;
        self.sent += sent;
        self.accepted += accepted;
        self.foreign += foreign;
        self.forged += forged;
        self.replayed += replayed;
        self.over_rate += over_rate;
    }
}
