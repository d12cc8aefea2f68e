//! AutoCloseIdleClients: the server has the setting, and virtual hosts and applications may override it.

use std::time::Duration;

/// What happens to idle clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdleClients {
    /// Whether they are disconnected.
    pub enable: bool,
    /// How long a client may be idle.
    pub max_idle_time: Duration,
}

impl IdleClients {
    /// These settings, overridden by those of a virtual host or an application where it has any.
    pub(super) fn refined(self, enable: Option<bool>, max_idle_time: Option<Duration>) -> Self {
        Self { enable: enable.unwrap_or(self.enable), max_idle_time: max_idle_time.unwrap_or(self.max_idle_time) }
    }
}
