//! The extension `introd.metrics/1`: counters and gauges.

use std::ffi::CStr;

use super::host::introd_host;
use super::values::introd_bytes;

/// Extension: the plugin's own metrics appear among the server's. The host's table is `introd_host_metrics`.
pub const INTROD_EXT_METRICS: &CStr = c"introd.metrics/1";

/// Kind of metric: it only grows.
pub const INTROD_METRIC_COUNTER: u32 = 1;
/// Kind of metric: it goes up and down.
pub const INTROD_METRIC_GAUGE: u32 = 2;

/// The host's functions for INTROD_EXT_METRICS.
#[repr(C)]
pub struct introd_host_metrics {
    /// sizeof(introd_host_metrics) at the host
    pub struct_size: u32,
    /// Unused.
    pub reserved: u32,
    /// Returns the number of the metric of this name and kind, which it creates if there is none yet. The name has up to 64 of a-z, 0-9
    /// and `_`; the metric appears as `plugin_PLUGIN_NAME`. The host copies both texts. Returns 0 if the name is invalid or belongs to
    /// a metric of another kind, or if the instance has 256 metrics already.
    ///
    /// Thread: any, at any time.
    pub metric: Option<
        unsafe extern "C" fn(host: *const introd_host, kind: u32, name: introd_bytes, help: introd_bytes) -> u32,
    >,
    /// Adds to a counter or a gauge. It is cheap enough to call for every lookup.
    ///
    /// Thread: any, at any time.
    pub add: Option<unsafe extern "C" fn(host: *const introd_host, metric: u32, amount: i64)>,
    /// Sets a gauge.
    ///
    /// Thread: any, at any time.
    pub set: Option<unsafe extern "C" fn(host: *const introd_host, metric: u32, value: i64)>,
}
