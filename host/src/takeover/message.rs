//! What the two processes of a takeover say to each other.

use std::net::SocketAddr;

use rtmfp::handover::CookieJarState;
use serde::{Deserialize, Serialize};

/// Every message of the new process begins with this, so that no other program is taken for one.
pub(super) const GREETING: &str = "introd takeover";

/// A message. New kinds are added at the end.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Message {
    /// From the new process: it reads this version of the state.
    Hello { greeting: String, version: u32, program: String },
    /// From the old process, which shares its sockets. Their descriptors follow, in the order of `listeners`.
    Offer(OfferRecord),
    /// From the old process: no takeover, and why. The old process goes on.
    Refused(String),
    /// From the new process: all is ready but the sessions.
    Ready,
    /// From the old process: so many bytes follow, which are the state as [`ServerState`](super::state::ServerState) writes it.
    State { length: u64 },
    /// From the new process: it could go on with that many sessions.
    Imported { sessions: u64 },
    /// From the old process: the sessions are the new one's.
    Yours,
    /// From the new process: it serves.
    Serving,
}

/// What the old process shares before the sessions.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct OfferRecord {
    pub(super) program: String,
    pub(super) process: u32,
    /// For each worker its sockets.
    pub(super) listeners: Vec<Vec<ListenerRecord>>,
    /// The certificates of the server's identities.
    pub(super) certificates: Vec<Vec<u8>>,
    pub(super) cookies: CookieJarState,
    /// The time from which the time in `cookies` counts.
    pub(super) at: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ListenerRecord {
    pub(super) adaptor: u32,
    pub(super) local: SocketAddr,
    pub(super) public: Option<SocketAddr>,
}
