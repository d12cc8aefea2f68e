//! An endpoint's state as a value, for another process that goes on with its sessions.
//!
//! [`Endpoint::hand_over`](crate::Endpoint::hand_over) gives an [`EndpointState`], and [`Endpoint::take_over`](crate::Endpoint::take_over)
//! makes an endpoint go on where another one was. The far ends notice nothing: keys, session ids, sequence numbers, flows with all that
//! waits in them, round trip times and timers stay as they were.
//!
//! Three things begin anew. What was in the network is sent again, and its acknowledgements count as before. Congestion control begins
//! with its first window, as after a pause. Searches for a larger datagram size begin again. Sessions that this end was opening, and
//! handshakes whose keys are being computed, are left out: initiators repeat their packets.
//!
//! With many sessions that takes a while, in which nobody is served. So most of the work can be done before: while the first endpoint
//! still serves, [`Endpoint::session_changes`](crate::Endpoint::session_changes) gives the records of some sessions after others, of which
//! [`Endpoint::prepare`](crate::Endpoint::prepare) makes the sessions of the second one. Then only those that have changed since go with the state.
//!
//! The state is made of plain records (`records`) that serde can write, apart from what the engine works with: the engine may change,
//! and the records stay. A change of a record is a new [`STATE_VERSION`]. Records hold the keys of sessions: they are for a channel that
//! nobody else can read, and never for a disk. What is read is checked: a record that contradicts itself is an error, and never a panic.

mod clock;
mod error;
mod records;

pub use clock::Clock;
pub use error::StateError;
pub(crate) use records::*;
pub use records::{CookieJarState, EndpointState, SessionRecord};

/// The version of the records in [`EndpointState`]. State of another version is not read.
pub const STATE_VERSION: u32 = 1;
