//! What stands behind a session id.

use crate::session::Session;
use crate::startup::initiation::Initiation;

/// What stands behind a session id.
#[expect(clippy::large_enum_variant, reason = "nearly all are sessions, and each is in a box")]
pub(super) enum Occupant {
    /// A session that this end opens.
    Initiation(Initiation),
    /// A session that is, or was, open.
    Session(Session),
}
