//! The extension `introd.log/1`: log lines.

use std::ffi::CStr;

use super::host::introd_host;
use super::values::introd_bytes;

/// Extension: the plugin writes log lines through the host. The host's table is `introd_host_log`.
pub const INTROD_EXT_LOG: &CStr = c"introd.log/1";

/// Log level: something does not work.
pub const INTROD_LOG_ERROR: u32 = 1;
/// Log level: something may not work.
pub const INTROD_LOG_WARN: u32 = 2;
/// Log level: something that an operator wants to know.
pub const INTROD_LOG_INFO: u32 = 3;
/// Log level: something that helps to find a fault.
pub const INTROD_LOG_DEBUG: u32 = 4;
/// Log level: every step.
pub const INTROD_LOG_TRACE: u32 = 5;

/// The host's functions for INTROD_EXT_LOG.
#[repr(C)]
pub struct introd_host_log {
    /// sizeof(introd_host_log) at the host
    pub struct_size: u32,
    /// Unused.
    pub reserved: u32,
    /// Returns 1 if the host would write a line of this level anywhere, else 0.
    ///
    /// Thread: any, at any time.
    pub is_enabled: Option<unsafe extern "C" fn(host: *const introd_host, level: u32) -> u32>,
    /// Writes one log line with the plugin's name. The host copies the text, and cuts it off after 4096 bytes.
    ///
    /// Thread: any, at any time.
    pub log: Option<unsafe extern "C" fn(host: *const introd_host, level: u32, text: introd_bytes)>,
}
