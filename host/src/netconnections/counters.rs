//! What the NetConnections of scripts have refused and lost.

use std::sync::atomic::{AtomicU64, Ordering};

use introd_netgroup::member::GroupCounters;
use parking_lot::Mutex;

/// The counters of all NetConnections.
#[derive(Debug, Default)]
pub struct NetConnectionCounters {
    counts: [AtomicU64; 3],
    groups: Mutex<GroupCounters>,
}

/// The values of the counters, in the order of [`NetConnectionCounts::iter`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it, with `iter`, `GroupCounters` and `DiscoveryCounters`")]
pub struct NetConnectionCounts {
    /// NetConnections that were opened.
    pub opened: u64,
    /// Events that a script had no room for.
    pub events_dropped: u64,
    /// Commands of scripts that found a full queue.
    pub commands_refused: u64,
    pub groups: GroupCounters,
}

/// What happens to a NetConnection, apart from its groups.
#[derive(Clone, Copy, Debug)]
pub(super) enum Count {
    Opened,
    EventDropped,
    CommandRefused,
}

impl NetConnectionCounters {
    pub(super) fn add(&self, count: Count) {
        self.counts[count as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_groups(&self, mut groups: GroupCounters) {
        self.groups.lock().take_from(&mut groups);
    }

    /// The values at present.
    pub fn counts(&self) -> NetConnectionCounts {
        let [opened, events_dropped, commands_refused] =
            self.counts.each_ref().map(|counter| counter.load(Ordering::Relaxed));
        NetConnectionCounts { opened, events_dropped, commands_refused, groups: *self.groups.lock() }
    }
}

impl NetConnectionCounts {
    /// Names, as in administration and metrics, and values.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("netconnections_opened", self.opened),
            ("netconnection_events_dropped", self.events_dropped),
            ("netconnection_commands_refused", self.commands_refused),
            ("netgroup_peers_refused", self.groups.peers_refused),
            ("netgroup_postings_dropped", self.groups.postings_dropped),
            ("netgroup_directed_dropped", self.groups.directed_dropped),
            ("netgroup_control_dropped", self.groups.control_dropped),
            ("netgroup_members_ignored", self.groups.members_ignored),
            ("netgroup_introductions", self.groups.introductions),
            ("netgroup_introductions_refused", self.groups.introductions_refused),
            ("netgroup_announcements_sent", self.groups.discovery.sent),
            ("netgroup_announcements_accepted", self.groups.discovery.accepted),
            ("netgroup_announcements_foreign", self.groups.discovery.foreign),
            ("netgroup_announcements_forged", self.groups.discovery.forged),
            ("netgroup_announcements_replayed", self.groups.discovery.replayed),
            ("netgroup_announcements_over_rate", self.groups.discovery.over_rate),
        ]
        .into_iter()
    }
}

#[cfg(test)]
mod tests {
    use introd_netgroup::discovery::DiscoveryCounters;

    use super::*;

    #[test]
    fn each_counter_has_a_place_and_a_name_of_its_own() {
        let counters = NetConnectionCounters::default();
        let groups = GroupCounters {
            peers_refused: 4,
            postings_dropped: 5,
            directed_dropped: 6,
            control_dropped: 7,
            members_ignored: 8,
            introductions: 9,
            introductions_refused: 10,
            discovery: DiscoveryCounters {
                sent: 11,
                accepted: 12,
                foreign: 13,
                forged: 14,
                replayed: 15,
                over_rate: 16,
            },
        };
        counters.add_groups(groups);
        counters.add(Count::Opened);
        (0..2).for_each(|_| counters.add(Count::EventDropped));
        (0..3).for_each(|_| counters.add(Count::CommandRefused));
        assert_eq!(counters.counts().groups, groups);
        assert!(counters.counts().iter().map(|(_, value)| value).eq(1..=16));
        let names: std::collections::BTreeSet<_> = counters.counts().iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), 16);
    }
}
