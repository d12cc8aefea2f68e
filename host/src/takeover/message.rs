//! What the two processes of a takeover say to each other.

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use introd_policy::registry::RegistryState;
use rtmfp::handover::CookieJarState;
use serde::{Deserialize, Serialize};

/// Every message of the new process begins with this, so that no other program is taken for one.
pub(super) const GREETING: &str = "introd takeover";

/// What this program can: 1, the state at once; 2, sessions in advance besides; 3, what the registry and the relay hand over besides. All have version 1 of the
/// state.
pub(super) const VERSIONS: RangeInclusive<u32> = 1..=3;
/// The first version in which sessions are copied in advance.
pub(super) const WITH_COPIES: u32 = 2;
/// The first version in which the registry and the relay hand something over.
pub(super) const WITH_SERVICES: u32 = 3;
/// All of it changes when the state does.
const _: () = assert!(super::STATE_VERSION == 1, "state of another version is another version of the takeover");

/// A message. New kinds are added at the end.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Message {
    /// From the new process: it speaks this version.
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
    /// From the old process: so many bytes follow, which are sessions as they are now. They may change before the state follows.
    Copies { length: u64 },
    /// From the old process: all sessions have been copied once more. The new process says the same when it has prepared them.
    Copied,
    /// From the old process, after its offer, and once more before the state: what its registry hands over.
    Registry(Option<RegistryRecord>),
    /// From the old process, after the first [`Self::Registry`]: the addresses of the sockets of each of its relay's ports. Their descriptors
    /// follow, in the same order.
    Relay { ports: Vec<Vec<SocketAddr>> },
}

/// What the registry of the old process hands over.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RegistryRecord {
    pub(super) by: String,
    pub(super) state: Vec<u8>,
}

impl From<RegistryState> for RegistryRecord {
    fn from(RegistryState { by, state }: RegistryState) -> Self {
        Self { by, state }
    }
}

impl From<RegistryRecord> for RegistryState {
    fn from(RegistryRecord { by, state }: RegistryRecord) -> Self {
        Self { by, state }
    }
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
