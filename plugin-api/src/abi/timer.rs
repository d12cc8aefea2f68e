//! The extension `introd.timer/1`: timers.

use std::ffi::CStr;

use super::host::introd_host;
use super::values::{introd_instance, introd_token};

/// Extension: the host calls the plugin at times that the plugin sets. The host's table is `introd_host_timer`, the plugin's is
/// `introd_plugin_timer`.
pub const INTROD_EXT_TIMER: &CStr = c"introd.timer/1";

/// The host's functions for INTROD_EXT_TIMER.
#[repr(C)]
pub struct introd_host_timer {
    /// sizeof(introd_host_timer) at the host
    pub struct_size: u32,
    /// Unused.
    pub reserved: u32,
    /// Starts a timer that fires after `after_ms` milliseconds, and then every `every_ms` milliseconds; only once if `every_ms` is 0.
    /// The host passes `user` on to `on_timer`. Returns a token, or 0 if the plugin has no `introd_plugin_timer` or the instance has
    /// 1024 timers already.
    ///
    /// Thread: any, at any time.
    pub start:
        Option<unsafe extern "C" fn(host: *const introd_host, after_ms: u64, every_ms: u64, user: u64) -> introd_token>,
    /// Stops a timer. Returns INTROD_OK, or INTROD_E_TOKEN if it has fired for the last time or was never started. A call of `on_timer`
    /// may still be under way.
    ///
    /// Thread: any, at any time.
    pub stop: Option<unsafe extern "C" fn(host: *const introd_host, timer: introd_token) -> i32>,
}

/// The plugin's functions for INTROD_EXT_TIMER.
#[repr(C)]
pub struct introd_plugin_timer {
    /// sizeof(introd_plugin_timer) at the plugin
    pub struct_size: u32,
    /// Must be 0.
    pub reserved: u32,
    /// Tells the plugin that a timer has fired. `user` is the number that `start` was called with.
    ///
    /// Thread: the timer thread, which all plugins share. It may take some milliseconds; other timers wait meanwhile.
    pub on_timer: Option<unsafe extern "C" fn(instance: introd_instance, timer: introd_token, user: u64) -> i32>,
}
