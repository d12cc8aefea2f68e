//! The plugin's own metrics among the server's (`introd.metrics/1`).

use std::fmt;

use super::error::HostError;
use super::handle::Host;
use crate::abi;
use crate::raw::{function, raw};

/// A metric that only grows.
#[derive(Clone, Copy, Debug)]
pub struct Counter(Metric);

/// A metric that goes up and down.
#[derive(Clone, Copy, Debug)]
pub struct Gauge(Metric);

#[derive(Clone, Copy)]
struct Metric {
    host: Host,
    table: &'static abi::introd_host_metrics,
    id: u32,
}

impl fmt::Debug for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "metric {}", self.id)
    }
}

// SAFETY: the table does not change and its functions can be called from any thread, as the ABI demands.
unsafe impl Send for Metric {}
// SAFETY: as above.
unsafe impl Sync for Metric {}

impl Metric {
    fn add(self, amount: i64) {
        if let Some(add) = function!(self.table, abi::introd_host_metrics, add) {
            // SAFETY: the table is the host's.
            unsafe { add(self.host.table(), self.id, amount) }
        }
    }
}

impl Counter {
    /// Adds one.
    pub fn increment(&self) {
        self.0.add(1);
    }

    /// Adds `amount`.
    pub fn add(&self, amount: u32) {
        self.0.add(i64::from(amount));
    }
}

impl Gauge {
    /// Replaces the value.
    pub fn set(&self, value: i64) {
        if let Some(set) = function!(self.0.table, abi::introd_host_metrics, set) {
            // SAFETY: the table is the host's.
            unsafe { set(self.0.host.table(), self.0.id, value) }
        }
    }

    /// Adds `amount`, which may be negative.
    pub fn add(&self, amount: i64) {
        self.0.add(amount);
    }
}

impl Host {
    /// The counter of this name, which the host creates if there is none yet. It appears as `plugin_PLUGIN_NAME`.
    ///
    /// # Errors
    /// If the name is not of a-z, 0-9 and `_`, if a gauge has it, or if the plugin has 256 metrics already.
    pub fn counter(self, name: &str, help: &str) -> Result<Counter, HostError> {
        self.metric(abi::INTROD_METRIC_COUNTER, name, help).map(Counter)
    }

    /// The gauge of this name, which the host creates if there is none yet. It appears as `plugin_PLUGIN_NAME`.
    ///
    /// # Errors
    /// If the name is not of a-z, 0-9 and `_`, if a counter has it, or if the plugin has 256 metrics already.
    pub fn gauge(self, name: &str, help: &str) -> Result<Gauge, HostError> {
        self.metric(abi::INTROD_METRIC_GAUGE, name, help).map(Gauge)
    }

    fn metric(self, kind: u32, name: &str, help: &str) -> Result<Metric, HostError> {
        let table = self.extension::<abi::introd_host_metrics>(abi::INTROD_EXT_METRICS);
        let table = table.ok_or(HostError::Unsupported)?;
        let metric = function!(table, abi::introd_host_metrics, metric).ok_or(HostError::Unsupported)?;
        // SAFETY: the table is the host's, and the texts are valid for the call.
        let id = unsafe { metric(self.table(), kind, raw(name.as_bytes()), raw(help.as_bytes())) };
        if id == 0 { Err(HostError::Argument) } else { Ok(Metric { host: self, table, id }) }
    }
}
