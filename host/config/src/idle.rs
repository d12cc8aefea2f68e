//! AutoCloseIdleClients: said by the server, and said otherwise by virtual hosts and applications.

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
    /// The same with what the level below says, if it says anything.
    pub(super) fn refined(self, enable: Option<bool>, max_idle_time: Option<Duration>) -> Self {
        Self { enable: enable.unwrap_or(self.enable), max_idle_time: max_idle_time.unwrap_or(self.max_idle_time) }
    }
}
