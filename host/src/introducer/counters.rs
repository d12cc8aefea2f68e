//! The introducer's counters, under the names that AMS gave them in `getServerStats`.

use std::sync::atomic::{AtomicU64, Ordering};

/// A counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Counter {
    /// A peer was looked up.
    Lookups,
    /// A redirect was sent to an asker.
    Redirects,
    /// The hello of a lookup was forwarded to the target: once for a lookup, to however many addresses the target is to answer.
    Forwards,
    /// A policy denied a lookup.
    LookupsDenied,
    /// A lookup was for a peer that is not connected here. AMS has no such counter.
    UnknownTargets,
    /// A lookup was not answered because the settings leave it to a script, and the application has none. AMS has no such counter.
    Unanswered,
    /// A lookup came too soon after others of the same asker or address, and was dropped. AMS has no such counter.
    OverRate,
    /// A hello, a lookup or a keying came from an address that the adaptor's access rules deny, and was ignored. AMS has no such counter.
    AddressesDenied,
    /// A client joined a group.
    GroupJoins,
    /// A client left a group, or its session ended.
    GroupLeaves,
    /// A client's message on a group control flow was no join, or one too many, and the flow was rejected. AMS has no such
    /// counter.
    GroupJoinsRefused,
    /// A member of a group was sent a hint that names another. AMS has no such counter.
    GroupHints,
    /// An application's queue was full: a request to it was refused, or an event for it dropped. AMS has no such counter.
    ApplicationBusy,
    /// A plugin let the deadline of a verdict pass. AMS has no such counter.
    PluginTimeouts,
    /// A message to a worker was dropped because the worker's mailbox was full. AMS has no such counter.
    MailboxFull,
    /// A datagram of a session was dropped because the worker was behind, and had put aside as many as it may. AMS has no such counter.
    BacklogFull,
    /// The hello of a lookup was not forwarded because too many had been forwarded to the target. AMS has no such counter.
    ForwardsDenied,
    /// A client caused more work than it may: its packets were dropped for a while. AMS has no such counter.
    ClientsSlowed,
    /// A client was rejected because it needed a new application instance, and there were too many. AMS has no such counter.
    InstancesRefused,
    /// A client was accepted.
    Connects,
    /// A client that had been accepted is gone.
    Disconnects,
    /// A client was rejected by a policy or by the settings. AMS has no such counter.
    ConnectsRejected,
    /// A message of a client was received.
    MessagesIn,
    /// A message was sent to a client.
    MessagesOut,
    /// A message to a client was given up.
    MessagesDropped,
    /// A byte of clients' messages was received; what the protocol adds does not count.
    BytesIn,
    /// A byte of messages was sent to clients; what the protocol adds does not count.
    BytesOut,
    /// A lookup went to the shared registry, because the peer is not connected here. AMS has none of the counters from here on.
    RegistryLookups,
    /// The shared registry was asked. Simultaneous lookups of one peer share a call.
    RegistryCalls,
    /// A lookup was not answered because the shared registry failed.
    RegistryFailures,
    /// A lookup was not answered because the shared registry took too long.
    RegistryTimeouts,
    /// A lookup was not made because too many waited for the shared registry.
    RegistryBusy,
    /// The shared registry did not take the addresses of a peer.
    RegistryUnpublished,
    /// The shared registry was asked for members of a group.
    RegistryGroupQueries,
    /// The shared registry did not answer such a query in time, or did not take a membership.
    RegistryGroupFailures,
    /// A member was to be sent a hint that names a member of another server.
    RegistryGroupHints,
    /// A client called another by `relay`.
    RelayCalls,
    /// Such a call did not reach the other client.
    RelayCallsFailed,
}

impl Counter {
    /// All counters: first those of AMS, in its order.
    pub const ALL: [Counter; 38] = [
        Self::Lookups,
        Self::Redirects,
        Self::Forwards,
        Self::LookupsDenied,
        Self::UnknownTargets,
        Self::Unanswered,
        Self::OverRate,
        Self::AddressesDenied,
        Self::GroupJoins,
        Self::GroupLeaves,
        Self::GroupJoinsRefused,
        Self::GroupHints,
        Self::ApplicationBusy,
        Self::PluginTimeouts,
        Self::MailboxFull,
        Self::BacklogFull,
        Self::ForwardsDenied,
        Self::ClientsSlowed,
        Self::InstancesRefused,
        Self::Connects,
        Self::Disconnects,
        Self::ConnectsRejected,
        Self::MessagesIn,
        Self::MessagesOut,
        Self::MessagesDropped,
        Self::BytesIn,
        Self::BytesOut,
        Self::RegistryLookups,
        Self::RegistryCalls,
        Self::RegistryFailures,
        Self::RegistryTimeouts,
        Self::RegistryBusy,
        Self::RegistryUnpublished,
        Self::RegistryGroupQueries,
        Self::RegistryGroupFailures,
        Self::RegistryGroupHints,
        Self::RelayCalls,
        Self::RelayCallsFailed,
    ];

    /// The name in administration and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lookups => "rtmfp_lookups",
            Self::Redirects => "rtmfp_redirects",
            Self::Forwards => "rtmfp_forwards",
            Self::LookupsDenied => "rtmfp_lookups_denied",
            Self::UnknownTargets => "rtmfp_lookups_unknown",
            Self::Unanswered => "rtmfp_lookups_unanswered",
            Self::OverRate => "rtmfp_lookups_over_rate",
            Self::AddressesDenied => "rtmfp_addresses_denied",
            Self::GroupJoins => "group_join",
            Self::GroupLeaves => "group_leave",
            Self::GroupJoinsRefused => "group_join_refused",
            Self::GroupHints => "group_hints",
            Self::ApplicationBusy => "application_busy",
            Self::PluginTimeouts => "plugin_timeouts",
            Self::MailboxFull => "worker_mailbox_full",
            Self::BacklogFull => "worker_backlog_full",
            Self::ForwardsDenied => "rtmfp_forwards_denied",
            Self::ClientsSlowed => "clients_slowed",
            Self::InstancesRefused => "instances_refused",
            Self::Connects => "total_connects",
            Self::Disconnects => "total_disconnects",
            Self::ConnectsRejected => "connects_rejected",
            Self::MessagesIn => "msg_in",
            Self::MessagesOut => "msg_out",
            Self::MessagesDropped => "msg_dropped",
            Self::BytesIn => "bytes_in",
            Self::BytesOut => "bytes_out",
            Self::RegistryLookups => "registry_lookups",
            Self::RegistryCalls => "registry_calls",
            Self::RegistryFailures => "registry_failures",
            Self::RegistryTimeouts => "registry_timeouts",
            Self::RegistryBusy => "registry_busy",
            Self::RegistryUnpublished => "registry_unpublished",
            Self::RegistryGroupQueries => "registry_group_queries",
            Self::RegistryGroupFailures => "registry_group_failures",
            Self::RegistryGroupHints => "registry_group_hints",
            Self::RelayCalls => "relay_calls",
            Self::RelayCallsFailed => "relay_calls_failed",
        }
    }
}

/// The counters of all workers.
#[derive(Debug)]
pub struct Counters(Box<[WorkerCounters]>);

/// The counters of one worker. They fill pairs of cache lines of their own, because processors fetch lines in pairs: no worker's counting
/// slows another.
#[derive(Debug)]
#[repr(align(128))]
pub struct WorkerCounters([AtomicU64; Counter::ALL.len()]);

impl Default for WorkerCounters {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; Counter::ALL.len()])
    }
}

impl Counters {
    /// Counters for workers that are numbered from 0. There is at least one.
    pub fn new(workers: u8) -> Self {
        Self((0..workers.max(1)).map(|_| WorkerCounters::default()).collect())
    }

    /// The counters of one worker. A number that is too high gives the counters of another worker: the sum is still right.
    pub fn worker(&self, worker: u8) -> &WorkerCounters {
        &self.0[usize::from(worker) % self.0.len()]
    }

    /// The counters of each worker, in the order of their numbers.
    pub fn each_worker(&self) -> &[WorkerCounters] {
        &self.0
    }

    /// The sums over all workers.
    pub fn snapshot(&self) -> Snapshot {
        let sum = |counter| self.0.iter().fold(0u64, |sum, worker| sum.wrapping_add(worker.get(counter)));
        Snapshot(Counter::ALL.map(sum))
    }
}

impl WorkerCounters {
    /// Counts the result of forwarding the hello of a lookup.
    pub fn forwarded(&self, result: Result<(), rtmfp::Deny>) {
        match result {
            Ok(()) => self.add(Counter::Forwards),
            Err(rtmfp::Deny::TooOften) => self.add(Counter::ForwardsDenied),
            Err(_) => (),
        }
    }

    /// Adds one. Any thread may, but the worker's own thread is fastest.
    pub fn add(&self, counter: Counter) {
        self.0[counter as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Adds as many. Any thread may.
    pub fn add_many(&self, counter: Counter, times: u64) {
        self.0[counter as usize].fetch_add(times, Ordering::Relaxed);
    }

    /// The value of one counter of this worker.
    pub fn get(&self, counter: Counter) -> u64 {
        self.0[counter as usize].load(Ordering::Relaxed)
    }
}

/// The values of all counters. They are not read at the same moment while workers go on counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot([u64; Counter::ALL.len()]);

impl Default for Snapshot {
    fn default() -> Self {
        Self([0; Counter::ALL.len()])
    }
}

impl Snapshot {
    /// The value of one counter.
    pub fn get(&self, counter: Counter) -> u64 {
        self.0[counter as usize]
    }

    /// Names and values, in the order of [`Counter::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Counter::ALL.into_iter().map(|counter| (counter.name(), self.get(counter)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_all_workers_add_up() {
        let counters = Counters::new(2);
        std::thread::scope(|scope| {
            for worker in 0..3u8 {
                let own = counters.worker(worker);
                scope.spawn(move || {
                    for _ in 0..1000 {
                        own.add(Counter::Lookups);
                    }
                    own.add(Counter::LookupsDenied);
                });
            }
        });
        counters.worker(1).add(Counter::Forwards);
        counters.worker(1).add_many(Counter::RegistryGroupHints, 2);
        let counts: Vec<_> = counters.snapshot().iter().collect();
        assert_eq!(
            counts,
            [
                ("rtmfp_lookups", 3000),
                ("rtmfp_redirects", 0),
                ("rtmfp_forwards", 1),
                ("rtmfp_lookups_denied", 3),
                ("rtmfp_lookups_unknown", 0),
                ("rtmfp_lookups_unanswered", 0),
                ("rtmfp_lookups_over_rate", 0),
                ("rtmfp_addresses_denied", 0),
                ("group_join", 0),
                ("group_leave", 0),
                ("group_join_refused", 0),
                ("group_hints", 0),
                ("application_busy", 0),
                ("plugin_timeouts", 0),
                ("worker_mailbox_full", 0),
                ("worker_backlog_full", 0),
                ("rtmfp_forwards_denied", 0),
                ("clients_slowed", 0),
                ("instances_refused", 0),
                ("total_connects", 0),
                ("total_disconnects", 0),
                ("connects_rejected", 0),
                ("msg_in", 0),
                ("msg_out", 0),
                ("msg_dropped", 0),
                ("bytes_in", 0),
                ("bytes_out", 0),
                ("registry_lookups", 0),
                ("registry_calls", 0),
                ("registry_failures", 0),
                ("registry_timeouts", 0),
                ("registry_busy", 0),
                ("registry_unpublished", 0),
                ("registry_group_queries", 0),
                ("registry_group_failures", 0),
                ("registry_group_hints", 2),
                ("relay_calls", 0),
                ("relay_calls_failed", 0)
            ]
        );
    }

    #[test]
    fn each_counter_has_a_place_of_its_own() {
        for (place, counter) in Counter::ALL.into_iter().enumerate() {
            assert_eq!(counter as usize, place);
            let counters = Counters::new(0);
            counters.worker(255).add(counter);
            let counted: Vec<_> = counters.snapshot().iter().filter(|(_, count)| *count == 1).collect();
            assert_eq!(counted, [(counter.name(), 1)]);
        }
    }

    #[test]
    fn a_hello_counts_as_forwarded_or_denied_or_as_neither() {
        let counters = Counters::new(1);
        let results = [Ok(()), Ok(()), Ok(()), Err(rtmfp::Deny::TooOften), Err(rtmfp::Deny::TooOften)];
        results.into_iter().for_each(|result| counters.worker(0).forwarded(result));
        counters.worker(0).forwarded(Err(rtmfp::Deny::NoSession));
        let all: Vec<_> = counters.snapshot().iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(all, [("rtmfp_forwards", 3), ("rtmfp_forwards_denied", 2)]);
        assert_eq!(Counters::new(3).0.len(), 3);
    }

    #[test]
    fn workers_share_no_cache_line() {
        assert_eq!(size_of::<WorkerCounters>() % 128, 0);
        assert_eq!(align_of::<WorkerCounters>(), 128);
    }
}
