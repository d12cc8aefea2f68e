//! Log lines (`introd.log/1`).

use super::handle::Host;
use crate::abi;
use crate::raw::{function, raw};

/// How much a log line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Level {
    /// Something does not work.
    Error = abi::INTROD_LOG_ERROR,
    /// Something may not work.
    Warn = abi::INTROD_LOG_WARN,
    /// Something that an operator wants to know.
    Info = abi::INTROD_LOG_INFO,
    /// Something that helps to find a fault.
    Debug = abi::INTROD_LOG_DEBUG,
    /// Every step.
    Trace = abi::INTROD_LOG_TRACE,
}

impl Host {
    /// Whether the host would write a line of this level anywhere.
    pub fn logs(self, level: Level) -> bool {
        let table = self.extension::<abi::introd_host_log>(abi::INTROD_EXT_LOG);
        let is_enabled = table.and_then(|table| function!(table, abi::introd_host_log, is_enabled));
        // SAFETY: the table is the host's.
        is_enabled.is_some_and(|is_enabled| unsafe { is_enabled(self.table(), level as u32) } != 0)
    }

    /// Writes one log line with the plugin's name. The host cuts it off after 4096 bytes.
    pub fn log(self, level: Level, text: &str) {
        let table = self.extension::<abi::introd_host_log>(abi::INTROD_EXT_LOG);
        if let Some(log) = table.and_then(|table| function!(table, abi::introd_host_log, log)) {
            // SAFETY: the table is the host's, and the text is valid for the call.
            unsafe { log(self.table(), level as u32, raw(text.as_bytes())) }
        }
    }
}
