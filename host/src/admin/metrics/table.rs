//! The metrics by name. Names are stable: programs of others rely on them.

use std::borrow::Cow;

use crate::introducer::Counter;

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It only grows. `_total` is appended to its name.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Times by buckets. `_bucket`, `_sum` and `_count` are appended to its name.
    Histogram,
}

/// A metric.
#[derive(Clone, Debug)]
pub(super) struct Metric {
    pub(super) name: Cow<'static, str>,
    pub(super) kind: Kind,
    /// The names of its labels.
    pub(super) labels: &'static [&'static str],
    pub(super) meaning: Cow<'static, str>,
}

impl Metric {
    /// The name under which its main value is found.
    #[cfg(test)]
    pub(super) fn full_name(&self) -> String {
        match self.kind {
            Kind::Counter => format!("{}_total", self.name),
            Kind::Gauge => self.name.to_string(),
            Kind::Histogram => format!("{}_bucket", self.name),
        }
    }
}

const WORKER: &[&str] = &["worker"];
const APPLICATION: &[&str] = &["application"];

/// The metrics that are no counters of [`Counter`].
const OTHERS: [(&str, Kind, &[&str], &str); 38] = [
    ("introd_build_info", Kind::Gauge, &["version"], "1; the version is the label"),
    ("introd_start_time_seconds", Kind::Gauge, &[], "When the server started, in seconds since 1970"),
    ("introd_cpu_seconds", Kind::Counter, &[], "Time that processors spent on the process, in seconds"),
    ("introd_resident_memory_bytes", Kind::Gauge, &[], "Memory of the process"),
    ("introd_threads", Kind::Gauge, &[], "Threads of the process"),
    (
        "introd_log_lines_dropped",
        Kind::Counter,
        &[],
        "Lines of the log and the output that were dropped because nothing read them",
    ),
    ("introd_clients", Kind::Gauge, &[], "Clients that have a seat in an application instance"),
    ("introd_peers", Kind::Gauge, &[], "Peers that lookups find here"),
    ("introd_instances", Kind::Gauge, &[], "Application instances"),
    (
        "introd_draining",
        Kind::Gauge,
        &[],
        "Whether the server takes no new clients and stops when the last one is gone: 1 or 0",
    ),
    (
        "introd_application_clients",
        Kind::Gauge,
        APPLICATION,
        "Clients of a registered application; all others together have an empty label",
    ),
    ("introd_application_instances", Kind::Gauge, APPLICATION, "Instances, in the same way"),
    ("introd_application_script_memory_bytes", Kind::Gauge, APPLICATION, "Memory of scripts, in the same way"),
    (
        "introd_script_busy_seconds",
        Kind::Counter,
        &[],
        "Time for which scripts kept their threads busy, in seconds: each of `ScriptThreads` threads adds one second in a second at most",
    ),
    (
        "introd_http_requests",
        Kind::Counter,
        &["outcome"],
        "HTTP requests of scripts, by what came of them: `answered`, `malformed`, `not_allowed`, `too_large`, `busy`, `timed_out`, `failed`, `canceled`",
    ),
    (
        "introd_relay_pairs",
        Kind::Gauge,
        &["state"],
        "Pairs of peers that the server relays to each other: `opening` ones, over which no session has come about yet, and `open` ones",
    ),
    ("introd_relay_pairs_made", Kind::Counter, &[], "Pairs made for peers that had not met"),
    ("introd_relay_pairs_opened", Kind::Counter, &[], "Pairs over which both peers exchanged packets of a session"),
    (
        "introd_relay_pairs_ended",
        Kind::Counter,
        &["cause"],
        "Pairs that ended: `unopened`, no session came about; `idle`, a peer was silent; `lifetime`, the time is over; `replaced`, another pair took the place; `disconnected`, the server has disconnected one of the peers",
    ),
    (
        "introd_relay_pairs_refused",
        Kind::Counter,
        &["reason"],
        "Pairs not made, by the bound that was reached (`pairs`, `client`, `network`, `port`) or because of the peers: `same_client`, `address`, `tag`; `stopped`: the server stops",
    ),
    ("introd_relay_datagrams", Kind::Counter, &[], "Datagrams passed on between peers"),
    ("introd_relay_bytes", Kind::Counter, &[], "Bytes of their payloads"),
    (
        "introd_relay_datagrams_dropped",
        Kind::Counter,
        &["reason"],
        "Datagrams at the ports of the relay that were not passed on: from nobody known (`unknown`, `tag`, `kind`, `address`, `elsewhere`), to nobody known yet (`waiting`), too much for who has not proven itself (`unproven`) or says nothing (`unheard`), over a rate (`pair_rate`, `total_rate`), or not taken by the kernel (`unsent`)",
    ),
    ("introd_worker_up", Kind::Gauge, WORKER, "Whether the worker answers within a second: 1 or 0"),
    (
        "introd_worker_mailbox_messages",
        Kind::Gauge,
        WORKER,
        "Messages that wait for the worker; there is room for 4,096",
    ),
    ("introd_sessions", Kind::Gauge, WORKER, "RTMFP sessions: opening, open and closing"),
    (
        "introd_pending_requests",
        Kind::Gauge,
        WORKER,
        "Lookups and connects that wait for a plugin, a script or the registry",
    ),
    (
        "introd_buffered_message_bytes",
        Kind::Gauge,
        WORKER,
        "Messages that sessions hold, sent and not acknowledged or received in parts",
    ),
    ("introd_datagrams", Kind::Counter, WORKER, "Datagrams received"),
    (
        "introd_datagram_events",
        Kind::Counter,
        &["worker", "event"],
        "Datagrams that were dropped or led to something, by what the engine calls it: `malformed`, `unverified`, `over_share` and so on",
    ),
    ("introd_handshakes_waiting", Kind::Gauge, &[], "Handshakes that wait for a thread"),
    (
        "introd_handshake_seconds",
        Kind::Histogram,
        &[],
        "Public-key work of a handshake, with the time that it waited for a thread",
    ),
    (
        "introd_introductions",
        Kind::Counter,
        &["outcome", "asker_nat", "target_nat"],
        "Attempts to meet a peer, by what came of them (`met`, `repeated`, `relayed`, `given_up`, `sent_elsewhere`, `denied`, `ignored`, `late_policy`, `unknown_peer`, `unanswered`) and by the NATs of both ends (`none`, `port_preserving`, `port_changing`, `same_address`, `ipv6`, `unknown`)",
    ),
    ("introd_introductions_under_way", Kind::Gauge, &[], "Attempts to meet a peer whose outcome is not known yet"),
    (
        "introd_introductions_not_followed",
        Kind::Counter,
        &[],
        "Lookups whose outcome is not counted, because the table of attempts has no room",
    ),
    (
        "introd_lookup_verdicts",
        Kind::Counter,
        &["policy", "verdict"],
        "Lookups by the policy that decided (`the server`, `script`, `registry`, or the name of a plugin) and by what was done: `introduced`, `relayed`, `redirected`, `sent_elsewhere`, `denied`, `ignored`, `late_policy`, `unknown_peer`, `unanswered`, `repeated` (the same lookup waited, or was decided about a moment ago), `over_rate`. The sum is that of `introd_rtmfp_lookups_total`, except for lookups that wait for a policy or the registry",
    ),
    (
        "introd_story_events_lost",
        Kind::Counter,
        &[],
        "Events that are missing in the stories of peers, because their worker wrote many while they were read",
    ),
    (
        "introd_decision_seconds",
        Kind::Histogram,
        &["policy"],
        "Time until a policy that did not decide at once gave its verdict, or its deadline passed: `script`, `registry`, or `plugin NAME`",
    ),
];

/// The name of a counter as a metric, and its meaning.
fn of_counter(counter: Counter) -> (Cow<'static, str>, &'static str) {
    let (name, meaning) = match counter {
        Counter::Lookups => (None, "Peers looked up"),
        Counter::Redirects => (None, "Redirects sent to askers"),
        Counter::Forwards => (None, "Lookups whose hello was forwarded to the target, directly or by the relay"),
        Counter::LookupsDenied => (None, "Lookups that a policy denied"),
        Counter::UnknownTargets => (None, "Lookups of peers that are not connected here"),
        Counter::Unanswered => (None, "Lookups left to a script that the application does not have"),
        Counter::OverRate => (None, "Lookups dropped because they came too soon after others"),
        Counter::AddressesDenied => (None, "Hellos, lookups and keyings from addresses that an adaptor denies"),
        Counter::GroupJoins => (Some("introd_group_joins"), "Clients that joined a group"),
        Counter::GroupLeaves => (Some("introd_group_leaves"), "Clients that left a group"),
        Counter::GroupJoinsRefused => (Some("introd_group_joins_refused"), "Joins of groups that were refused"),
        Counter::GroupHints => (None, "Members of groups named to others"),
        Counter::ApplicationBusy => (None, "Events and requests for which the queue of an application had no room"),
        Counter::PluginTimeouts => (None, "Deadlines that plugins let pass"),
        Counter::MailboxFull => (None, "Messages dropped because a mailbox of a worker was full"),
        Counter::BacklogFull => {
            (None, "Datagrams of sessions dropped because a worker was behind and had put many aside")
        }
        Counter::ForwardsDenied => (None, "Lookups whose hello was not forwarded because the target had got too many"),
        Counter::ClientsSlowed => (None, "Times that a client caused more work than it may"),
        Counter::InstancesRefused => (None, "Clients rejected because there were too many instances"),
        Counter::Connects => (Some("introd_connects"), "Clients that were accepted"),
        Counter::Disconnects => (Some("introd_disconnects"), "Accepted clients that are gone"),
        Counter::ConnectsRejected => (None, "Clients that were rejected"),
        Counter::MessagesIn => (Some("introd_messages_received"), "Messages of clients"),
        Counter::MessagesOut => (Some("introd_messages_sent"), "Messages to clients"),
        Counter::MessagesDropped => (Some("introd_messages_dropped"), "Messages to clients that were given up"),
        Counter::BytesIn => {
            (Some("introd_messages_received_bytes"), "Bytes of clients' messages, without what the protocol adds")
        }
        Counter::BytesOut => {
            (Some("introd_messages_sent_bytes"), "Bytes of messages to clients, without what the protocol adds")
        }
        Counter::RegistryLookups => (None, "Lookups that went to the shared registry"),
        Counter::RegistryCalls => (None, "Calls of the shared registry"),
        Counter::RegistryFailures => (None, "Lookups not answered because the shared registry failed"),
        Counter::RegistryTimeouts => (None, "Lookups not answered because the shared registry took too long"),
        Counter::RegistryBusy => (None, "Lookups not made because too many waited for the shared registry"),
        Counter::RegistryUnpublished => (None, "Peers whose addresses the shared registry did not take"),
        Counter::RegistryGroupQueries => (None, "Questions to the shared registry about members of groups"),
        Counter::RegistryGroupFailures => (None, "Such questions that the shared registry did not answer"),
        Counter::RegistryGroupHints => (None, "Members of groups at other servers that were named"),
        Counter::RelayCalls => (None, "Calls of clients by each other (`relay`)"),
        Counter::RelayCallsFailed => (None, "Such calls that did not reach the other client"),
    };
    (name.map_or_else(|| format!("introd_{}", counter.name()).into(), Cow::Borrowed), meaning)
}

/// The metric of a counter, by worker.
pub(super) fn counter(counter: Counter) -> Metric {
    let (name, meaning) = of_counter(counter);
    Metric { name, kind: Kind::Counter, labels: WORKER, meaning: meaning.into() }
}

/// What the NetConnections and NetGroups of scripts count, by the counters' own names.
const OF_NET_CONNECTIONS: [(&str, &str); 16] = [
    ("netconnections_opened", "NetConnections that scripts opened"),
    ("netconnection_events_dropped", "Events of NetConnections for which the queue of a script had no room"),
    ("netconnection_commands_refused", "Commands of scripts for which the queue of a NetConnection had no room"),
    (
        "netgroup_peers_refused",
        "Peers that did not become neighbors: wrong group or proof, malformed messages, no proof in time, or no room",
    ),
    (
        "netgroup_postings_dropped",
        "Postings, and announcements of them, beyond what one neighbor may send, or that nobody had asked for",
    ),
    (
        "netgroup_directed_dropped",
        "Messages of `sendToNearest` and others beyond what one neighbor may send, or of an unknown kind",
    ),
    ("netgroup_control_dropped", "Control messages beyond what one neighbor may send"),
    ("netgroup_members_ignored", "Members beyond what one neighbor may name"),
    ("netgroup_introductions", "Hellos for a neighbor that were passed on to it"),
    ("netgroup_introductions_refused", "Hellos for a neighbor beyond what one neighbor may send"),
    ("netgroup_announcements_sent", "Announcements sent to the local network"),
    ("netgroup_announcements_accepted", "Announcements of other members that were believed"),
    ("netgroup_announcements_foreign", "Datagrams at the multicast address that are no announcements of the group"),
    (
        "netgroup_announcements_forged",
        "Datagrams that claim to be of the group without knowing its groupspec, or come from another address than their sender's",
    ),
    (
        "netgroup_announcements_replayed",
        "Announcements that have come before, or whose time is more than two minutes off",
    ),
    ("netgroup_announcements_over_rate", "Datagrams beyond the rate at which they are read"),
];

/// The metric's name of such a counter.
pub(super) fn net_connection_name(counter: &str) -> String {
    format!("introd_{counter}")
}

/// All metrics with fixed names. Those of plugins come on top.
pub(super) fn all() -> Vec<Metric> {
    let others = OTHERS.iter().map(|(name, kind, labels, meaning)| Metric {
        name: Cow::Borrowed(*name),
        kind: *kind,
        labels,
        meaning: Cow::Borrowed(*meaning),
    });
    let of_net_connections = OF_NET_CONNECTIONS.iter().map(|(name, meaning)| Metric {
        name: net_connection_name(name).into(),
        kind: Kind::Counter,
        labels: &[],
        meaning: Cow::Borrowed(*meaning),
    });
    Counter::ALL.into_iter().map(counter).chain(others).chain(of_net_connections).collect()
}
