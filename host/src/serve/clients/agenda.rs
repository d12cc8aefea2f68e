//! What the clients of a worker are due for, and how long it takes to close them.

use std::time::Duration;

use introd_flash::server::Action;
use introd_policy::Deadlines;
use rtmfp::SessionId;

/// How long a client that is being closed has to take in the last messages.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a client has to take in that its control flow is rejected.
pub(super) const EXCEPTION_TIMEOUT: Duration = Duration::from_millis(250);

/// What the clients of a worker are due for.
#[derive(Default)]
pub(super) struct Agenda {
    /// Sessions to be closed when their time comes, if they have not closed by then.
    pub(super) closing: Deadlines<SessionId>,
    /// When to pass on what clients say of their addresses, if that was too soon.
    pub(super) address_changes: Deadlines<SessionId>,
    /// When to look whether a client still speaks.
    pub(super) silence: Deadlines<SessionId>,
    /// What the connection of the client whose turn it is wants done.
    pub(super) actions: Vec<Action>,
}
