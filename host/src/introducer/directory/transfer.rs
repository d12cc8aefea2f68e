//! Which session holds an id after a session comes or goes.

use std::net::SocketAddr;

use rtmfp::SessionId;

/// The result of a session's arrival that shows an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It holds the id: no other session had it.
    Holds,
    /// It holds the id, because it has proven that the id is its own. The session named here held the id before, and waits now.
    Replaced(SessionId),
    /// It waits: another session holds the id already, and nothing proves that the newcomer has more right to it.
    Waits {
        /// The session that holds the id.
        holder: SessionId,
        /// Where the holder's packets come from.
        observed: SocketAddr,
    },
}

/// An id has passed to another session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Succession {
    /// The session that holds the id now.
    pub holder: SessionId,
    /// Where the holder's packets come from.
    pub observed: SocketAddr,
    /// Whether other sessions wait for the id that may be alive while the holder is not.
    pub is_contested: bool,
}

/// The result of a session's end for its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// Nothing: the session held no id. It may have waited for one.
    Nothing,
    /// No session holds the id.
    Vacant,
    /// The next session holds the id.
    Passed(Succession),
}
