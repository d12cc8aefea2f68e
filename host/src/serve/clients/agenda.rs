//! The deadlines of a worker's clients, and how long closing a client may take.

use std::time::{Duration, Instant};

use introd_flash::server::Action;
use introd_policy::Deadlines;
use rtmfp::SessionId;

/// How long a client that is being closed has to receive the last messages.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a client has to notice that its control flow is rejected.
pub(super) const EXCEPTION_TIMEOUT: Duration = Duration::from_millis(250);

/// The deadlines of a worker's clients.
#[derive(Default)]
pub(super) struct Agenda {
    /// Sessions to be closed when their time comes, if they have not closed by then.
    pub(super) closing: Deadlines<SessionId>,
    /// When to pass on addresses that clients reported too soon.
    pub(super) address_changes: Deadlines<SessionId>,
    /// When to check whether a client is still sending.
    pub(super) silence: Deadlines<SessionId>,
    /// The clients that are to be published again.
    pub(super) republishing: Republishing,
    /// The actions that the connection of the client in turn has asked for.
    pub(super) actions: Vec<Action>,
}

/// Clients that are to be published again, some at a time.
#[derive(Default)]
pub(super) struct Republishing {
    pub(super) waiting: Vec<SessionId>,
    /// When the next ones are to be published.
    pub(super) next: Option<Instant>,
}
