//! The report of `introd bench storm`, as text and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::process::Process;
use super::report::{Percentiles, Stopped};
use crate::cli::output;

/// What became of the clients that came back, and of those that were connected before.
#[derive(Debug, Serialize)]
pub(super) struct StormReport {
    /// The clients that came back.
    pub(super) clients: usize,
    /// Those that are in: connected, in their group, and with an answer to their lookup.
    pub(super) arrived: u64,
    /// Those that gave up, were refused, or lost their connection.
    pub(super) gave_up: u64,
    /// Those that were neither when the run ended.
    pub(super) not_arrived: u64,
    /// Why clients gave up, and how many did for that reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) reasons: BTreeMap<String, u64>,
    /// From the beginning of the storm until the last client was in.
    pub(super) seconds: f64,
    /// From a client's first hello until it was in.
    pub(super) arrival_us: Percentiles,
    /// Hellos and keyings that clients sent again, because they were not answered in time.
    pub(super) repeated: u64,
    /// The same, of their lookups.
    pub(super) repeated_lookups: u64,
    /// Members of groups that the server named to the clients.
    pub(super) hints: u64,
    pub(super) others: Others,
    /// The share of one processor that making the load took. Near 1, the load was the limit.
    pub(super) load_busy: f64,
    /// The memory of this program with all the clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) load_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) server: Option<ServerCost>,
}

/// The clients that were connected before the storm, and their lookups of each other while it lasted.
#[derive(Debug, Serialize)]
pub(super) struct Others {
    pub(super) clients: usize,
    /// Those that lost their connection.
    pub(super) closed: u64,
    /// The lookups that were answered.
    pub(super) lookups: u64,
    /// Those that were not answered within a second.
    pub(super) lost: u64,
    /// Lookups that were not answered count as a second.
    pub(super) latency_us: Percentiles,
}

/// What the storm cost the server.
#[derive(Debug, Serialize)]
pub(super) struct ServerCost {
    /// CPU time for each client that is in, in microseconds.
    cpu_us: f64,
    /// The processors that the server may use.
    cores: usize,
    /// The share of them that it used.
    busy: f64,
    /// How many times as long the storm lasted as its processors need for the work. 1 means that nothing held the server back but its
    /// processors.
    times_ideal: f64,
    /// By how much its memory grew, for each client that is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<f64>,
}

impl StormReport {
    /// Adds what the storm cost the server, whose memory has grown by that many bytes.
    pub(super) fn with_server(
        mut self,
        stopped: &Stopped,
        process: Option<Process>,
        grown: Option<u64>,
    ) -> anyhow::Result<Self> {
        anyhow::ensure!(self.arrived > 0, "no client is in: {:?}", self.reasons);
        if let Some((process, used)) = process.zip(stopped.server_cpu()?) {
            let cores = process.cores()?;
            let (used, per_client) = (used.as_secs_f64(), 1.0 / self.arrived as f64);
            self.server = Some(ServerCost {
                cpu_us: used * 1e6 * per_client,
                cores,
                busy: used / (stopped.elapsed().as_secs_f64() * cores as f64),
                times_ideal: self.seconds * cores as f64 / used,
                bytes: grown.map(|grown| grown as f64 * per_client),
            });
        }
        Ok(self)
    }

    /// Prints it.
    pub(super) fn print(&self, as_json: bool) -> anyhow::Result<()> {
        if as_json {
            output::say(&format!("{}\n", serde_json::to_string(self)?));
            return Ok(());
        }
        let mut text = String::new();
        writeln!(text, "{} of {} clients are in after {:.2} s", self.arrived, self.clients, self.seconds)?;
        writeln!(text, "  gave up       {}; {} were not in at the end", self.gave_up, self.not_arrived)?;
        for (reason, count) in &self.reasons {
            writeln!(text, "    {count} times: {reason}")?;
        }
        writeln!(text, "  time of each  {}", self.arrival_us)?;
        writeln!(text, "  sent again    {} hellos and keyings, {} lookups", self.repeated, self.repeated_lookups)?;
        writeln!(text, "  groups        {} members were named to clients", self.hints)?;
        let Others { clients, closed, lookups, lost, latency_us } = &self.others;
        writeln!(
            text,
            "  others        {lookups} lookups of {clients} clients were answered, {lost} were not; {closed} connections ended"
        )?;
        writeln!(text, "  their lookups {latency_us}")?;
        if let Some(ServerCost { cpu_us, cores, busy, times_ideal, bytes }) = &self.server {
            writeln!(text, "  server CPU    {cpu_us:.1} us a client; {:.0} % of {cores} processors", 100.0 * busy)?;
            writeln!(text, "  time          {times_ideal:.2} times what the processors need for this work")?;
            if let Some(bytes) = bytes {
                writeln!(text, "  server memory {bytes:.0} bytes a client")?;
            }
        }
        let memory = self.load_bytes.map_or_else(String::new, |bytes| format!("; {} MB", bytes >> 20));
        writeln!(text, "  load          {:.0} % of a processor{memory}", 100.0 * self.load_busy)?;
        output::say(&text);
        Ok(())
    }
}
