//! AutoCloseIdleClients: said by the server, and said otherwise by virtual hosts and applications.

use std::time::Duration;

use super::duration::Unit;
use super::schema::Kind;
use super::view::View;

/// What happens to clients that do nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdleClients {
    /// Whether they are disconnected.
    pub enable: bool,
    /// How long a client may do nothing.
    pub max_idle_time: Duration,
}

/// `enable` below the server: it may also leave the matter to the level above.
pub(super) const ENABLE: Kind = Kind::Word(&["true", "false", "inherit"]);
/// `MaxIdleTime` below the server: 0 leaves the matter to the level above.
pub(super) const MAX_IDLE_TIME: Kind = Kind::Time { unit: Unit::Seconds, least: 0, most: 30 * 86_400 };

impl IdleClients {
    /// What the element in `view` makes of what the level above says.
    pub(super) fn refined(self, view: &View<'_>) -> Self {
        let words = [("true", Some(true)), ("false", Some(false)), ("inherit", None)];
        Self {
            enable: view.word("AutoCloseIdleClients@enable", &words).unwrap_or(self.enable),
            max_idle_time: view.time_or_none("AutoCloseIdleClients/MaxIdleTime").unwrap_or(self.max_idle_time),
        }
    }
}
