//! The result of `--group`, for people and for scripts.

use serde::Serialize;

/// The result of `--group`.
#[derive(Serialize, Default)]
pub(super) struct GroupReport {
    pub(super) groupspec_digest: String,
    /// Whether the server accepted the join.
    pub(super) joined: bool,
    /// The members that the server has named.
    pub(super) hints: Vec<String>,
    /// The members with which this one has a session: those that the server named, and those that members named.
    pub(super) neighbors_connected: Vec<String>,
    /// The members that the server named and that could not be reached, and peers that were refused.
    pub(super) neighbors_failed: Vec<FailedNeighbor>,
    pub(super) estimated_members: u64,
    /// Whether a neighbour requested the posting; null if the group allows none, or if there is no neighbour.
    pub(super) posting_taken: Option<bool>,
    /// Whether another probe answered it.
    pub(super) posting_exchanged: Option<bool>,
}

#[derive(Serialize)]
pub(super) struct FailedNeighbor {
    pub(super) peer_id: String,
    pub(super) reason: String,
}

impl GroupReport {
    pub(super) fn text(&self) -> String {
        let mut lines = Vec::new();
        let joined = if self.joined { "joined group" } else { "not joined: group" };
        lines.push(format!("{joined} {}", self.groupspec_digest));
        lines.push(format!("  members      about {}, with this one", self.estimated_members));
        let list = |lines: &mut Vec<String>, label: &str, peers: &[String]| {
            if peers.is_empty() {
                lines.push(format!("  {label:<12} none"));
            }
            lines.extend(peers.iter().map(|peer| format!("  {label:<12} {peer}")));
        };
        list(&mut lines, "named", &self.hints);
        list(&mut lines, "neighbour", &self.neighbors_connected);
        lines.extend(
            self.neighbors_failed.iter().map(|failed| format!("  not reached  {}: {}", failed.peer_id, failed.reason)),
        );
        match (self.posting_taken, self.posting_exchanged) {
            (_, Some(true)) => lines.push("  posting      sent, answered by a neighbour".to_owned()),
            (Some(true), _) => lines.push("  posting      sent, requested by a neighbour".to_owned()),
            (Some(false), _) => {
                lines.push(
                    "  posting      sent, but no neighbour requested it: only introd's members are known to request postings".to_owned(),
                );
            }
            _ => (),
        }
        lines.join("\n")
    }
}
