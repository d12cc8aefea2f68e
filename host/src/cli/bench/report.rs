//! The report of a run, as text and as JSON.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::process::{Process, own_cpu};
use crate::cli::output;

/// Longer latencies count as this one: the benches do not wait for an answer as long.
const MAX_LATENCY: Duration = Duration::from_secs(100);

/// Latencies, kept to three digits.
pub(super) struct Latencies(Option<Histogram<u64>>);

impl Default for Latencies {
    fn default() -> Self {
        Self(Histogram::new_with_max(MAX_LATENCY.as_nanos() as u64, 3).ok())
    }
}

impl Latencies {
    pub(super) fn add(&mut self, latency: Duration) {
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(latency.as_nanos() as u64);
        }
    }

    /// Adds all those of another.
    pub(super) fn add_all(&mut self, other: &Self) {
        if let (Some(histogram), Some(other)) = (&mut self.0, &other.0) {
            // Both have the same bounds.
            let _ = histogram.add(other);
        }
    }

    pub(super) fn percentiles(&self) -> Percentiles {
        let at = |quantile| self.0.as_ref().map_or(0.0, |all| all.value_at_quantile(quantile) as f64 / 1000.0);
        Percentiles { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: at(1.0) }
    }
}

/// In microseconds.
#[derive(Debug, Serialize)]
pub(super) struct Percentiles {
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
    pub(super) max: f64,
}

impl std::fmt::Display for Percentiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { p50, p90, p99, p999, max } = self;
        write!(f, "p50 {p50:.0}  p90 {p90:.0}  p99 {p99:.0}  p99.9 {p999:.0}  max {max:.0} us")
    }
}

/// The counts of one kind of operation.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) done: u64,
    /// Begun and not answered.
    pub(super) lost: u64,
    pub(super) latencies: Latencies,
}

impl Tally {
    /// Counts an operation that took so long.
    pub(super) fn add(&mut self, latency: Duration) {
        self.done += 1;
        self.latencies.add(latency);
    }
}

/// One kind of the operations of a run.
#[derive(Debug, Serialize)]
struct Kind {
    operation: &'static str,
    done: u64,
    lost: u64,
    latency_us: Percentiles,
}

/// The results of a run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// What was done.
    operation: &'static str,
    /// How many were done.
    done: u64,
    /// How many were begun and not answered.
    lost: u64,
    seconds: f64,
    per_second: f64,
    latency_us: Percentiles,
    /// Server CPU time for each, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    server_cpu_us: Option<f64>,
    /// The share of one processor that the server took.
    #[serde(skip_serializing_if = "Option::is_none")]
    server_busy: Option<f64>,
    /// The share of one processor that making the load took. Near 1, the load was the limit.
    load_busy: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_bytes_per_session: Option<f64>,
    /// Bytes of messages, in millions, that the server takes in a second of its CPU time.
    #[serde(skip_serializing_if = "Option::is_none")]
    server_megabytes_per_cpu_second: Option<f64>,
    /// The clients that were connected meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    connections: Option<usize>,
    /// Hellos that the server forwarded to the targets.
    #[serde(skip_serializing_if = "Option::is_none")]
    forwarded: Option<u64>,
    /// If the operations are of several kinds: those of each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    kinds: Vec<Kind>,
}

impl Report {
    /// Adds by how many bytes the server's memory grew for each session.
    pub(super) fn with_memory(mut self, bytes_per_session: Option<f64>) -> Self {
        self.server_bytes_per_session = bytes_per_session;
        self
    }

    /// Adds how many bytes the server received.
    pub(super) fn with_bytes(mut self, bytes: u64) -> Self {
        let cpu = self.server_cpu_us.map(|cpu| cpu * self.done as f64);
        self.server_megabytes_per_cpu_second = cpu.filter(|cpu| *cpu > 0.0).map(|cpu| bytes as f64 / cpu);
        self
    }

    /// Adds how many clients were connected meanwhile.
    pub(super) fn with_connections(mut self, connections: usize) -> Self {
        self.connections = Some(connections);
        self
    }

    /// Adds one kind of the operations.
    pub(super) fn with_kind(mut self, operation: &'static str, tally: &Tally) -> Self {
        let Tally { done, lost, latencies } = tally;
        self.kinds.push(Kind { operation, done: *done, lost: *lost, latency_us: latencies.percentiles() });
        self
    }

    /// Adds how many hellos the targets received.
    pub(super) fn with_forwarded(mut self, forwarded: u64) -> Self {
        self.forwarded = Some(forwarded);
        self
    }

    /// Prints it.
    pub(super) fn print(&self, as_json: bool) -> anyhow::Result<()> {
        if as_json {
            output::say(&format!("{}\n", serde_json::to_string(self)?));
            return Ok(());
        }
        let mut text = String::new();
        writeln!(text, "{} {} in {:.2} s: {:.0} per second", self.done, self.operation, self.seconds, self.per_second)?;
        if self.lost > 0 {
            writeln!(text, "  not answered  {}", self.lost)?;
        }
        if let Some(forwarded) = self.forwarded {
            writeln!(text, "  forwarded     {forwarded} hellos reached the targets")?;
        }
        if let Some(connections) = self.connections {
            writeln!(text, "  connected     {connections} clients")?;
        }
        writeln!(text, "  latency       {}", self.latency_us)?;
        for Kind { operation, done, lost, latency_us } in &self.kinds {
            writeln!(text, "  {operation:<13} {done}, {lost} not answered; {latency_us}")?;
        }
        if let (Some(cpu), Some(busy)) = (self.server_cpu_us, self.server_busy) {
            writeln!(text, "  server CPU    {cpu:.2} us each; {:.0} % of a processor", 100.0 * busy)?;
        }
        if let Some(bytes) = self.server_bytes_per_session {
            writeln!(text, "  server memory {bytes:.0} bytes per session")?;
        }
        if let Some(rate) = self.server_megabytes_per_cpu_second {
            writeln!(text, "  server reads  {rate:.0} MB per second of its CPU time")?;
        }
        writeln!(text, "  load          {:.0} % of a processor", 100.0 * self.load_busy)?;
        output::say(&text);
        Ok(())
    }
}

/// Measures the time of a run.
pub(super) struct Meter {
    process: Option<Process>,
    begin: Instant,
    server: Option<Duration>,
    load: Duration,
}

impl Meter {
    pub(super) fn start(process: Option<Process>) -> anyhow::Result<Self> {
        let server = process.map(Process::cpu).transpose()?;
        Ok(Self { process, begin: Instant::now(), server, load: own_cpu() })
    }

    /// Stops the time of the load; the server may still have work to do.
    pub(super) fn stop(self) -> Stopped {
        let (elapsed, load) = (self.begin.elapsed(), own_cpu() - self.load);
        Stopped { elapsed, load, meter: self }
    }
}

/// A run whose load has ended.
pub(super) struct Stopped {
    elapsed: Duration,
    load: Duration,
    meter: Meter,
}

impl Stopped {
    /// Makes the report; it includes the CPU time of the server until now.
    pub(super) fn report(self, operation: &'static str, tally: &Tally) -> anyhow::Result<Report> {
        let Tally { done, lost, ref latencies } = *tally;
        anyhow::ensure!(done > 0, "the server answered nothing");
        let used = self.server_cpu()?.map(|used| used.as_secs_f64());
        let seconds = self.elapsed.as_secs_f64();
        Ok(Report {
            operation,
            done,
            lost,
            seconds,
            per_second: done as f64 / seconds,
            latency_us: latencies.percentiles(),
            server_cpu_us: used.map(|used| used * 1e6 / done as f64),
            server_busy: used.map(|used| used / seconds),
            load_busy: self.load_busy(),
            server_bytes_per_session: None,
            server_megabytes_per_cpu_second: None,
            connections: None,
            forwarded: None,
            kinds: Vec::new(),
        })
    }

    /// The CPU time of the server from the beginning of the run until now.
    pub(super) fn server_cpu(&self) -> anyhow::Result<Option<Duration>> {
        let now = self.meter.process.map(Process::cpu).transpose()?;
        Ok(now.zip(self.meter.server).map(|(now, before)| now.saturating_sub(before)))
    }

    /// How long the load took.
    pub(super) fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// The share of one processor that making the load took.
    pub(super) fn load_busy(&self) -> f64 {
        self.load.as_secs_f64() / self.elapsed.as_secs_f64()
    }
}

/// How often a long run says how far it is, if standard error is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Shows on standard error how far a run is: operations out of `total`, or without one the time out of `duration`. On a terminal it is a bar,
/// elsewhere a line from time to time.
pub(super) struct Progress {
    operation: &'static str,
    bar: ProgressBar,
    begin: Instant,
    total: Option<u64>,
    shown: Instant,
}

impl Progress {
    pub(super) fn new(operation: &'static str, total: Option<u64>, duration: Duration) -> Self {
        let bar = ProgressBar::new(total.unwrap_or(duration.as_millis() as u64)).with_message(operation);
        let template = "{bar:40} {prefix} {msg}  {elapsed} of about {duration}";
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        let now = Instant::now();
        Self { operation, bar, begin: now, total, shown: now }
    }

    pub(super) fn show(&mut self, now: Instant, done: u64) {
        let interval = if self.bar.is_hidden() { LINE_INTERVAL } else { Duration::from_millis(100) };
        if now.saturating_duration_since(self.shown) >= interval {
            self.shown = now;
            if self.bar.is_hidden() {
                let of = self.total.map_or_else(String::new, |total| format!(" of {total}"));
                let seconds = now.saturating_duration_since(self.begin).as_secs();
                introd_log::complain(&format!("introd: {done}{of} {} after {seconds} s\n", self.operation));
                return;
            }
            self.bar.set_prefix(done.to_string());
            let elapsed = now.saturating_duration_since(self.begin).as_millis() as u64;
            self.bar.set_position(if self.total.is_some() { done } else { elapsed });
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_in_microseconds() {
        let mut latencies = Latencies::default();
        (1..=1000).for_each(|micros| latencies.add(Duration::from_micros(micros)));
        latencies.add(2 * MAX_LATENCY);
        let Percentiles { p50, p99, max, .. } = latencies.percentiles();
        assert!((499.0..503.0).contains(&p50) && (985.0..996.0).contains(&p99), "{p50} {p99}");
        assert!((99e6..101e6).contains(&max), "{max}");
    }

    #[test]
    fn a_run_without_answers_is_an_error() {
        let stopped = Meter::start(None).unwrap().stop();
        assert!(stopped.report("lookups", &Tally { lost: 3, ..Tally::default() }).is_err());
        let tally = Tally { done: 2, lost: 1, ..Tally::default() };
        let report = Meter::start(None).unwrap().stop().report("lookups", &tally).unwrap();
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!((json["done"].as_u64(), json["lost"].as_u64()), (Some(2), Some(1)));
        assert!(json.get("server_cpu_us").is_none() && json.get("kinds").is_none());
        let json = serde_json::to_value(report.with_kind("handshakes", &tally)).unwrap();
        assert_eq!((&json["kinds"][0]["operation"], &json["kinds"][0]["lost"]), (&"handshakes".into(), &1.into()));
    }
}
