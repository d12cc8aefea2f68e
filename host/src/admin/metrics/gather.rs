//! Gathers the values of all metrics.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::UNIX_EPOCH;

use introd_native::PluginMetric;
use introd_relay::{DropReason, End, Refusal};

use super::table::{self, Kind, Metric};
use crate::admin::inspector::Inspector;
use crate::admin::system::{System, cpu_time};
use crate::http_requests::HttpOutcome;
use crate::introducer::Counter;
use crate::meetings::{NatKind, Outcome, VerdictCount, pairs};
use crate::relay::RelayFigures;
use crate::serve::{HistogramCounts, WorkerReport};

/// The value of a sample.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Whole(u64),
    Number(f64),
    Histogram(HistogramCounts),
}

/// The values of the labels of a sample, in the order of the metric's labels, and its own value.
pub(super) type Sample = (Vec<String>, Value);

/// A metric with its samples.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) metric: Metric,
    pub(super) samples: Vec<Sample>,
}

/// The values of all metrics now, in the order of the table; those of plugins behind them.
pub(super) async fn gather(inspector: &Inspector) -> Vec<Family> {
    let reports = inspector.worker_reports().await;
    let mut samples = Samples(BTreeMap::new());
    samples.counters(inspector);
    samples.process(inspector);
    samples.applications(inspector);
    samples.workers(inspector, &reports);
    samples.latencies(inspector);
    samples.net_connections(inspector);
    samples.http(inspector);
    samples.relay(inspector);
    samples.meetings(inspector);
    let mut families: Vec<Family> = Vec::new();
    for metric in table::all() {
        let samples = samples.0.remove(&metric.name).unwrap_or_default();
        families.push(Family { metric, samples });
    }
    families.extend(inspector.services.applications.plugins().metrics().into_iter().map(of_plugin));
    families
}

/// The metric of a plugin.
fn of_plugin(PluginMetric { name, help, is_gauge, value }: PluginMetric) -> Family {
    // `_total` is appended to the names of counters; a plugin may have appended it already.
    let name = if is_gauge { name.as_str() } else { name.strip_suffix("_total").unwrap_or(&name) };
    let kind = if is_gauge { Kind::Gauge } else { Kind::Counter };
    let meaning = help.replace(char::is_control, " ").replace('\\', "/");
    let meaning = if meaning.is_empty() { "Of a plugin".to_owned() } else { meaning };
    let metric = Metric { name: format!("introd_{name}").into(), kind, labels: &[], meaning: meaning.into() };
    let value = if is_gauge { Value::Number(value as f64) } else { Value::Whole(u64::try_from(value).unwrap_or(0)) };
    Family { metric, samples: vec![(Vec::new(), value)] }
}

struct Samples(BTreeMap<Cow<'static, str>, Vec<Sample>>);

impl Samples {
    fn add(&mut self, name: impl Into<Cow<'static, str>>, labels: Vec<String>, value: Value) {
        self.0.entry(name.into()).or_default().push((labels, value));
    }

    fn whole(&mut self, name: &'static str, value: usize) {
        self.add(name, Vec::new(), Value::Whole(value as u64));
    }

    fn counters(&mut self, inspector: &Inspector) {
        for (worker, counters) in inspector.services.counters.each_worker().iter().enumerate() {
            for counter in Counter::ALL {
                let value = Value::Whole(counters.get(counter));
                self.add(table::counter(counter).name, vec![worker.to_string()], value);
            }
        }
    }

    fn process(&mut self, inspector: &Inspector) {
        let system = System::now();
        let started = inspector.launched().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let version = vec![env!("CARGO_PKG_VERSION").to_owned()];
        self.add("introd_build_info", version, Value::Whole(1));
        self.add("introd_start_time_seconds", Vec::new(), Value::Number(started));
        self.add("introd_cpu_seconds", Vec::new(), Value::Number(cpu_time().as_secs_f64()));
        self.add("introd_resident_memory_bytes", Vec::new(), Value::Whole(system.resident));
        self.add("introd_threads", Vec::new(), Value::Whole(system.threads));
        self.add("introd_log_lines_dropped", Vec::new(), Value::Whole(introd_log::dropped()));
        self.whole("introd_handshakes_waiting", inspector.waiting_handshakes());
    }

    /// Clients choose the names of applications that are not registered: they have no label of their own, so that their number does not
    /// grow without bound.
    fn applications(&mut self, inspector: &Inspector) {
        let applications = &inspector.services.applications;
        let config = applications.config();
        let registered = config.registered().map(|(_, _, name, _)| name.to_owned());
        let mut sums: BTreeMap<String, [u64; 3]> =
            registered.chain([String::new()]).map(|name| (name, [0; 3])).collect();
        let instances = applications.all_instances();
        for instance in &instances {
            let name = &instance.name().application;
            let name = if sums.contains_key(name) { name.as_str() } else { "" };
            if let Some([clients, number, memory]) = sums.get_mut(name) {
                *clients += instance.clients();
                *number += 1;
                *memory += instance.actor().map_or(0, |script| script.memory() as u64);
            }
        }
        self.add("introd_clients", Vec::new(), Value::Whole(applications.clients()));
        self.whole("introd_peers", inspector.services.directory.len());
        self.whole("introd_instances", instances.len());
        let busy = applications.script_time().as_secs_f64();
        self.add("introd_script_busy_seconds", Vec::new(), Value::Number(busy));
        self.whole("introd_draining", inspector.services.drain.order().is_some().into());
        for (name, values) in sums {
            let metrics = [
                "introd_application_clients",
                "introd_application_instances",
                "introd_application_script_memory_bytes",
            ];
            for (metric, value) in metrics.into_iter().zip(values) {
                self.add(metric, vec![name.clone()], Value::Whole(value));
            }
        }
    }

    fn workers(&mut self, inspector: &Inspector, reports: &[Option<WorkerReport>]) {
        for (worker, (report, mail)) in reports.iter().zip(inspector.waiting_mail()).enumerate() {
            let of_worker = || vec![worker.to_string()];
            self.add("introd_worker_up", of_worker(), Value::Whole(report.is_some().into()));
            self.add("introd_worker_mailbox_messages", of_worker(), Value::Whole(mail as u64));
            let Some(report) = report else { continue };
            for (name, value) in [
                ("introd_sessions", report.sessions),
                ("introd_pending_requests", report.pending),
                ("introd_buffered_message_bytes", report.buffered),
            ] {
                self.add(name, of_worker(), Value::Whole(value as u64));
            }
            self.add("introd_datagrams", of_worker(), Value::Whole(report.endpoint.datagrams));
            let unsent = [("too_long", report.too_long)];
            for (event, value) in datagram_events(&report.endpoint).into_iter().chain(unsent) {
                let labels = vec![worker.to_string(), event.to_owned()];
                self.add("introd_datagram_events", labels, Value::Whole(value));
            }
        }
    }

    /// Outcomes between ends of unknown kinds are there from the start, others when there are some: there would be 360 of them.
    fn meetings(&mut self, inspector: &Inspector) {
        let (meetings, unknown) = (&inspector.services.meetings, NatKind::Unknown);
        for (outcome, (asker, target)) in
            Outcome::ALL.into_iter().flat_map(|outcome| pairs().map(move |pair| (outcome, pair)))
        {
            let count = meetings.count(outcome, asker, target);
            if count > 0 || (asker, target) == (unknown, unknown) {
                let labels = [outcome.name(), asker.name(), target.name()].map(str::to_owned);
                self.add("introd_introductions", labels.into(), Value::Whole(count));
            }
        }
        self.add("introd_introductions_under_way", Vec::new(), Value::Whole(meetings.under_way()));
        self.add("introd_introductions_not_followed", Vec::new(), Value::Whole(meetings.not_followed()));
        for VerdictCount { policy, answer, count } in inspector.services.verdicts.totals() {
            self.add("introd_lookup_verdicts", vec![policy, answer.name().to_owned()], Value::Whole(count));
        }
        self.add("introd_story_events_lost", Vec::new(), Value::Whole(inspector.services.stories.lost()));
    }

    fn net_connections(&mut self, inspector: &Inspector) {
        for (name, value) in inspector.net_connections.counts().iter() {
            self.add(table::net_connection_name(name), Vec::new(), Value::Whole(value));
        }
    }

    fn http(&mut self, inspector: &Inspector) {
        for outcome in HttpOutcome::ALL {
            let value = Value::Whole(inspector.http.get(outcome));
            self.add("introd_http_requests", vec![outcome.name().to_owned()], value);
        }
    }

    fn relay(&mut self, inspector: &Inspector) {
        let figures = inspector.services.relay.as_ref().map(|relay| relay.figures()).unwrap_or_default();
        let RelayFigures { pairs, open, counts } = figures;
        for (state, pairs) in [("opening", pairs - open), ("open", open)] {
            self.add("introd_relay_pairs", vec![state.to_owned()], Value::Whole(pairs as u64));
        }
        self.add("introd_relay_pairs_made", Vec::new(), Value::Whole(counts.made));
        self.add("introd_relay_pairs_opened", Vec::new(), Value::Whole(counts.opened));
        self.add("introd_relay_datagrams", Vec::new(), Value::Whole(counts.datagrams));
        self.add("introd_relay_bytes", Vec::new(), Value::Whole(counts.bytes));
        for cause in End::ALL {
            let value = Value::Whole(counts.ended(cause));
            self.add("introd_relay_pairs_ended", vec![cause.label().to_owned()], value);
        }
        for reason in Refusal::ALL {
            let value = Value::Whole(counts.refused(reason));
            self.add("introd_relay_pairs_refused", vec![reason.label().to_owned()], value);
        }
        for reason in DropReason::ALL {
            let value = Value::Whole(counts.dropped(reason));
            self.add("introd_relay_datagrams_dropped", vec![reason.label().to_owned()], value);
        }
    }

    fn latencies(&mut self, inspector: &Inspector) {
        let latencies = &inspector.services.latencies;
        self.add("introd_handshake_seconds", Vec::new(), Value::Histogram(latencies.handshakes.counts()));
        let own = [("script", &latencies.scripts), ("registry", &latencies.registry)];
        let own = own.map(|(policy, histogram)| (policy.to_owned(), histogram.counts()));
        let plugins = latencies.plugins().into_iter().map(|(name, counts)| (format!("plugin {name}"), counts));
        for (policy, counts) in own.into_iter().chain(plugins) {
            self.add("introd_decision_seconds", vec![policy], Value::Histogram(counts));
        }
    }
}

/// What the engine counted, by its own names.
fn datagram_events(counters: &rtmfp::Counters) -> [(&'static str, u64); 25] {
    let rtmfp::Counters {
        datagrams: _,
        malformed,
        ignored,
        unverified,
        duplicates,
        unknown_session,
        hellos,
        unearned,
        lookups,
        turned_away,
        deferred_hellos,
        bad_cookies,
        cookie_changes,
        repeated_keyings,
        address_taken,
        overload,
        over_share,
        failed_keyings,
        sessions_opened,
        cut,
        over_budget,
        forwards_denied,
        path_probes,
        path_narrowed,
        oversized_packets,
        outbox_full,
    } = *counters;
    [
        ("malformed", malformed),
        ("ignored", ignored),
        ("unverified", unverified),
        ("duplicates", duplicates),
        ("unknown_session", unknown_session),
        ("hellos", hellos),
        ("unearned", unearned),
        ("lookups", lookups),
        ("turned_away", turned_away),
        ("deferred_hellos", deferred_hellos),
        ("bad_cookies", bad_cookies),
        ("cookie_changes", cookie_changes),
        ("repeated_keyings", repeated_keyings),
        ("address_taken", address_taken),
        ("overload", overload),
        ("over_share", over_share),
        ("failed_keyings", failed_keyings),
        ("sessions_opened", sessions_opened),
        ("cut", cut),
        ("over_budget", over_budget),
        ("forwards_denied", forwards_denied),
        ("path_probes", path_probes),
        ("path_narrowed", path_narrowed),
        ("oversized_packets", oversized_packets),
        ("outbox_full", outbox_full),
    ]
}
