//! `introd.log/1`

use std::ffi::CStr;

use super::host::introd_host;
use super::values::introd_bytes;

/// The host writes log lines for the plugin: `introd_host_log`.
pub const INTROD_EXT_LOG: &CStr = c"introd.log/1";

/// Something does not work.
pub const INTROD_LOG_ERROR: u32 = 1;
/// Something may not work.
pub const INTROD_LOG_WARN: u32 = 2;
/// Something that operators want to know.
pub const INTROD_LOG_INFO: u32 = 3;
/// Something that helps to find mistakes.
pub const INTROD_LOG_DEBUG: u32 = 4;
/// Every step.
pub const INTROD_LOG_TRACE: u32 = 5;

/// What the host offers for INTROD_EXT_LOG. Any thread.
#[repr(C)]
pub struct introd_host_log {
    /// sizeof(introd_host_log) at the host
    pub struct_size: u32,
    /// Nothing yet.
    pub reserved: u32,
    /// Whether a line of that level would be written anywhere: 1 or 0.
    pub is_enabled: Option<unsafe extern "C" fn(host: *const introd_host, level: u32) -> u32>,
    /// Writes a line, with the plugin's name. Copies the text; of more than 4096 bytes the rest is cut off.
    pub log: Option<unsafe extern "C" fn(host: *const introd_host, level: u32, text: introd_bytes)>,
}
