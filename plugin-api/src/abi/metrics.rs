//! `introd.metrics/1`

use std::ffi::CStr;

use super::host::introd_host;
use super::values::introd_bytes;

/// The plugin's own figures appear among the server's: `introd_host_metrics`.
pub const INTROD_EXT_METRICS: &CStr = c"introd.metrics/1";

/// A figure that only grows.
pub const INTROD_METRIC_COUNTER: u32 = 1;
/// A figure that goes up and down.
pub const INTROD_METRIC_GAUGE: u32 = 2;

/// What the host offers for INTROD_EXT_METRICS. Any thread.
#[repr(C)]
pub struct introd_host_metrics {
    /// sizeof(introd_host_metrics) at the host
    pub struct_size: u32,
    /// Nothing yet.
    pub reserved: u32,
    /// Makes a figure of that kind, or finds it: its name is a-z, 0-9 and `_`, up to 64 of them, and shows as
    /// plugin_NAME_FIGURE. Copies both texts. 0 if it is refused: a bad name, another kind, or more than 256 figures.
    pub metric: Option<
        unsafe extern "C" fn(host: *const introd_host, kind: u32, name: introd_bytes, help: introd_bytes) -> u32,
    >,
    /// Adds to a counter or to a gauge. Cheap enough for every lookup.
    pub add: Option<unsafe extern "C" fn(host: *const introd_host, metric: u32, amount: i64)>,
    /// Sets a gauge.
    pub set: Option<unsafe extern "C" fn(host: *const introd_host, metric: u32, value: i64)>,
}
