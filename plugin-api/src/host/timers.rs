//! Timers (`introd.timer/1`).

use std::time::Duration;

use super::error::HostError;
use super::handle::Host;
use crate::abi;
use crate::raw::function;
use crate::values::Token;

/// A timer that runs. Dropping it does not stop it.
#[derive(Clone, Copy, Debug)]
pub struct Timer {
    host: Host,
    token: Token,
}

impl Timer {
    /// Identifies the timer in [`TimerPlugin::on_timer`](crate::TimerPlugin::on_timer).
    pub fn token(&self) -> Token {
        self.token
    }

    /// Stops the timer. A call of [`TimerPlugin::on_timer`](crate::TimerPlugin::on_timer) may still be under way.
    pub fn stop(self) {
        let Some(table) = self.host.extension::<abi::introd_host_timer>(abi::INTROD_EXT_TIMER) else { return };
        if let Some(stop) = function!(table, abi::introd_host_timer, stop) {
            // SAFETY: the table is the host's.
            unsafe { stop(self.host.table(), self.token.0) };
        }
    }
}

impl Host {
    /// Starts a timer that fires after the time `after`, and then again and again if `every` gives a period. The host calls
    /// [`TimerPlugin::on_timer`](crate::TimerPlugin::on_timer) with `user`. Times below a millisecond count as one.
    ///
    /// # Errors
    /// If the plugin is not exported with `timer`, or has 1024 timers already.
    pub fn start_timer(self, after: Duration, every: Option<Duration>, user: u64) -> Result<Timer, HostError> {
        let table = self.extension::<abi::introd_host_timer>(abi::INTROD_EXT_TIMER).ok_or(HostError::Unsupported)?;
        let start = function!(table, abi::introd_host_timer, start).ok_or(HostError::Unsupported)?;
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
        // SAFETY: the table is the host's.
        let token = unsafe { start(self.table(), millis(after), every.map_or(0, millis), user) };
        if token == 0 { Err(HostError::Full) } else { Ok(Timer { host: self, token: Token(token) }) }
    }
}
