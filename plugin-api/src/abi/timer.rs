//! `introd.timer/1`

use std::ffi::CStr;

use super::host::introd_host;
use super::values::{introd_instance, introd_token};

/// The host calls the plugin at certain times: `introd_host_timer`, and of the plugin `introd_plugin_timer`.
pub const INTROD_EXT_TIMER: &CStr = c"introd.timer/1";

/// What the host offers for INTROD_EXT_TIMER. Any thread.
#[repr(C)]
pub struct introd_host_timer {
    /// sizeof(introd_host_timer) at the host
    pub struct_size: u32,
    /// Nothing yet.
    pub reserved: u32,
    /// Begins a timer that runs out after so many milliseconds, and then every so many more; once, if `every_ms` is 0. `user`
    /// comes back in `on_timer`. 0 if the plugin has no `introd_plugin_timer`, or more than 1024 timers.
    pub start:
        Option<unsafe extern "C" fn(host: *const introd_host, after_ms: u64, every_ms: u64, user: u64) -> introd_token>,
    /// Stops a timer: INTROD_OK, or INTROD_E_TOKEN if it has run out. It may run out one last time meanwhile.
    pub stop: Option<unsafe extern "C" fn(host: *const introd_host, timer: introd_token) -> i32>,
}

/// What a plugin offers for INTROD_EXT_TIMER.
#[repr(C)]
pub struct introd_plugin_timer {
    /// sizeof(introd_plugin_timer) at the plugin
    pub struct_size: u32,
    /// Zero.
    pub reserved: u32,
    /// A timer runs out. Comes on a thread for timers, which all plugins share, one at a time: it may take some milliseconds.
    pub on_timer: Option<unsafe extern "C" fn(instance: introd_instance, timer: introd_token, user: u64) -> i32>,
}
