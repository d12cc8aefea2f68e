//! The memberships that have changed since the driver last looked.

use std::collections::HashMap;

use introd_netgroup::{GroupDigest, GroupKey};
use parking_lot::Mutex;
use rtmfp::PeerId;
use tokio::sync::Notify;

/// The number of parts, each with a lock of its own.
const SHARDS: usize = 16;

/// What is not in the table of memberships.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// The group as its members know it.
    pub(super) digest: GroupDigest,
    /// Whether the built-in bootstrap names the peer to others.
    pub(super) is_named: bool,
}

/// The marked memberships. Each is there once, with its last mark: their number is bounded by that of the memberships that there were
/// since the driver last looked.
#[derive(Default)]
pub(super) struct Marks {
    shards: [Mutex<HashMap<(GroupKey, PeerId), Mark>>; SHARDS],
    notify: Notify,
}

impl Marks {
    pub(super) fn insert(&self, key: GroupKey, peer: PeerId, mark: Mark) {
        // All members of one group may come at a time, so that the peer chooses the part.
        if let Some(shard) = self.shards.get(usize::from(peer.0[0]) % SHARDS) {
            shard.lock().insert((key, peer), mark);
        }
        self.notify.notify_one();
    }

    /// Takes all marks, the parts one after the other.
    pub(super) fn take(&self) -> Vec<(GroupKey, PeerId, Mark)> {
        let take = |shard: &Mutex<HashMap<_, _>>| std::mem::take(&mut *shard.lock());
        self.shards.iter().flat_map(take).map(|((key, peer), mark)| (key, peer, mark)).collect()
    }

    /// Waits until there may be marks.
    pub(super) async fn wait(&self) {
        self.notify.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_marks_of_one_membership_the_last_counts() {
        let (marks, key) = (Marks::default(), GroupKey([1; 32]));
        let mark = |is_named| Mark { digest: GroupDigest([2; 32]), is_named };
        for number in [1, 2, 1] {
            marks.insert(key, PeerId([number; 32]), mark(number == 2));
        }
        marks.insert(key, PeerId([1; 32]), mark(true));
        let mut taken = marks.take();
        taken.sort_by_key(|(_, peer, _)| peer.0);
        assert_eq!(taken, [1, 2].map(|number| (key, PeerId([number; 32]), mark(true))));
        assert!(marks.take().is_empty());
    }
}
