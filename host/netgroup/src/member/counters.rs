//! What members refuse.

use crate::discovery::DiscoveryCounters;

/// How often something was refused, since the counts were last taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupCounters {
    /// Peers that were refused: wrong group or proof, malformed messages, no proof in time, no room.
    pub peers_refused: u64,
    /// Announcements of postings, and postings, beyond what one neighbour may send, or that nobody had asked for.
    pub postings_dropped: u64,
    /// Directed messages beyond what one neighbour may send, or of an unknown kind.
    pub directed_dropped: u64,
    /// Control messages beyond what one neighbour may send.
    pub control_dropped: u64,
    /// Members in reports beyond what one neighbour may name.
    pub members_ignored: u64,
    /// Hellos for a neighbour that were passed on to it.
    pub introductions: u64,
    /// Hellos for a neighbour beyond what one neighbour may send.
    pub introductions_refused: u64,
    /// What was announced and heard on the local network.
    pub discovery: DiscoveryCounters,
}

impl GroupCounters {
    /// Adds other counts to these, and takes them away there.
    pub fn take_from(&mut self, other: &mut Self) {
        let Self {
            peers_refused,
            postings_dropped,
            directed_dropped,
            control_dropped,
            members_ignored,
            introductions,
            introductions_refused,
            discovery,
        } = std::mem::take(other);
        self.peers_refused += peers_refused;
        self.postings_dropped += postings_dropped;
        self.directed_dropped += directed_dropped;
        self.control_dropped += control_dropped;
        self.members_ignored += members_ignored;
        self.introductions += introductions;
        self.introductions_refused += introductions_refused;
        self.discovery.add(discovery);
    }
}
