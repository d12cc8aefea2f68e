//! What stands behind a session id.

use crate::session::Session;
use crate::startup::initiation::Initiation;

/// What stands behind a session id.
pub(super) enum Occupant {
    /// A session that this end opens.
    Initiation(Box<Initiation>),
    /// A session that is, or was, open.
    Session(Box<Session>),
}
