//! Why a client's connection ends, and who ends it.

use rtmfp::CloseReason;

use crate::stories::{Text, cut};

/// Why this server ends a client's connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    /// Who wants that: `script`, `a plugin`, `an administrator`, or [`THE_SERVER`].
    pub(super) by: Text,
    pub(super) reason: Text,
}

pub(super) const SCRIPT: &str = "script";
pub(super) const THE_SERVER: &str = "the server";
const THE_CLIENT: &str = "the client";

/// Reasons of the server's own for which it wants to have nothing to do with a client any more.
pub(super) const ACCESS_DENIED: &str = "the access rules deny its address";
pub(super) const TOO_MUCH_WORK: &str = "too much work";

impl Ending {
    pub(super) fn new(by: impl Into<Text>, reason: impl Into<Text>) -> Self {
        Self { by: cut(by), reason: cut(reason) }
    }

    /// An end that the server itself wants.
    pub(super) fn by_server(reason: &'static str) -> Self {
        Self::new(THE_SERVER, reason)
    }

    /// Whether the client is not wanted any more, so that it is not relayed to others either: a policy or an administrator has disconnected it,
    /// or it is denied by the access rules or makes too much work.
    pub(super) fn ends_relaying(&self) -> bool {
        let is_of_policy = !matches!(&*self.by, THE_SERVER | THE_CLIENT);
        is_of_policy || matches!(&*self.reason, ACCESS_DENIED | TOO_MUCH_WORK)
    }

    /// The end of a session for which this server has given no reason before.
    pub(super) fn of_session(reason: CloseReason) -> Self {
        let by = match reason {
            CloseReason::Far | CloseReason::FarAbrupt | CloseReason::Overridden => THE_CLIENT,
            CloseReason::Near | CloseReason::Silence | CloseReason::Unacknowledged | CloseReason::Buffers => THE_SERVER,
        };
        Self::new(by, reason.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_sent_away_is_relayed_no_more_and_who_is_idle_or_leaves_is() {
        for (ending, ends) in [
            (Ending::new(SCRIPT, "floods"), true),
            (Ending::new("an administrator", "disconnected"), true),
            (Ending::new("the plugin filter", TOO_MUCH_WORK), true),
            (Ending::by_server(ACCESS_DENIED), true),
            (Ending::by_server(TOO_MUCH_WORK), true),
            (Ending::by_server("idle for too long"), false),
            (Ending::by_server("the server stops"), false),
            (Ending::of_session(CloseReason::Far), false),
            (Ending::of_session(CloseReason::Silence), false),
        ] {
            assert_eq!(ending.ends_relaying(), ends, "{ending:?}");
        }
    }

    #[test]
    fn who_ends_a_session_is_told_from_the_reason() {
        for (reason, by) in [
            (CloseReason::Near, THE_SERVER),
            (CloseReason::Far, THE_CLIENT),
            (CloseReason::FarAbrupt, THE_CLIENT),
            (CloseReason::Overridden, THE_CLIENT),
            (CloseReason::Silence, THE_SERVER),
            (CloseReason::Unacknowledged, THE_SERVER),
            (CloseReason::Buffers, THE_SERVER),
        ] {
            let ending = Ending::of_session(reason);
            assert_eq!((&*ending.by, ending.reason.to_string()), (by, reason.to_string()));
        }
    }
}
