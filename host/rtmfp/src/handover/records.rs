//! The records that a state is made of. Times are as [`Clock`](super::clock::Clock) writes them.
//!
//! The order and the types of the fields are the format: a change of them is a new version.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::session_id::SessionId;

/// Numbers that this end counts up, such as sequence numbers, are below this: no session lives for so long, and counting never overflows.
pub(crate) const MAX_NUMBER: u64 = 1 << 60;

/// The state of an endpoint: sessions with their keys, flows and timers. Only [`Endpoint`](crate::Endpoint) looks into it; serde writes and
/// reads it, in any format that serde has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointState {
    pub(crate) prefix: u8,
    /// How often each slot was used, modulo the generations: ids are not used again soon.
    pub(crate) generations: Vec<u8>,
    /// The free slots, the one that has been free for longest first.
    pub(crate) free: Vec<u32>,
    pub(crate) sessions: Vec<SessionRecord>,
    /// Cookies that came back and opened a session that is not confirmed.
    pub(crate) cookies: Vec<CookieRecord>,
}

impl EndpointState {
    /// How many sessions it has.
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// Takes the sessions out, for [`Endpoint::prepare`](crate::Endpoint::prepare).
    #[must_use]
    pub fn take_sessions(&mut self) -> Self {
        Self::of_sessions(self.prefix, std::mem::take(&mut self.sessions))
    }

    /// The ids of the sessions.
    pub fn session_ids(&self) -> impl Iterator<Item = SessionId> {
        self.sessions.iter().map(|session| SessionId::from_wire(session.id))
    }

    /// The state with these sessions besides those that it has.
    #[must_use]
    pub fn with_sessions(mut self, sessions: Vec<SessionRecord>) -> Self {
        self.sessions.extend(sessions);
        self
    }

    /// These sessions, and nothing else of the endpoint: for [`Endpoint::prepare`](crate::Endpoint::prepare).
    pub fn of_sessions(prefix: u8, sessions: Vec<SessionRecord>) -> Self {
        Self { prefix, generations: Vec::new(), free: Vec::new(), sessions, cookies: Vec::new() }
    }
}

/// What recognises the cookies that were given out, so that handshakes under way go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CookieJarState {
    pub(crate) made: i64,
    pub(crate) keyed: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CookieRecord {
    pub(crate) cookie: [u8; 16],
    pub(crate) keying_hash: [u8; 16],
    pub(crate) entered: i64,
    pub(crate) from: SocketAddr,
    pub(crate) session: u32,
}

/// The state of a session. Only the engine looks into it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord {
    pub(crate) id: u32,
    pub(crate) is_initiator: bool,
    pub(crate) phase: PhaseRecord,
    pub(crate) far_id: u32,
    pub(crate) interface: u32,
    pub(crate) address: SocketAddr,
    pub(crate) sealer: SealerRecord,
    pub(crate) opener: OpenerRecord,
    pub(crate) rtt: RttRecord,
    pub(crate) flows: FlowsRecord,
    pub(crate) path: PathRecord,
    pub(crate) control: Vec<u8>,
    pub(crate) identity: IdentityRecord,
    pub(crate) mobility: Option<MobilityRecord>,
    pub(crate) rikeying: Option<Vec<u8>>,
    pub(crate) is_confirmed: bool,
    pub(crate) heard: i64,
    pub(crate) pinged: Option<i64>,
    pub(crate) suspect_until: Option<i64>,
    pub(crate) budget: BudgetRecord,
    pub(crate) forwards: u64,
}

impl SessionRecord {
    /// Its id, in wire form.
    pub fn id(&self) -> u32 {
        self.id
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum PhaseRecord {
    Open,
    NearClose { next_request: i64, until: i64 },
    FarCloseLinger { until: i64 },
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SealerRecord {
    pub(crate) key: [u8; 16],
    pub(crate) hmac: Option<HmacRecord>,
    pub(crate) next_sequence: Option<u64>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OpenerRecord {
    pub(crate) key: [u8; 16],
    pub(crate) hmac: Option<HmacRecord>,
    pub(crate) window: Option<WindowRecord>,
}

/// Keys are not shown.
macro_rules! without_keys {
    ($($name:ident),*) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )*};
}

without_keys!(SealerRecord, OpenerRecord, HmacRecord);

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HmacRecord {
    pub(crate) keyed: Vec<u8>,
    pub(crate) length: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WindowRecord {
    pub(crate) end: u64,
    pub(crate) seen: Vec<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RttRecord {
    pub(crate) epoch: i64,
    pub(crate) received: Option<(u16, u32)>,
    pub(crate) echo_sent: Option<u16>,
    pub(crate) echo_received: Option<u16>,
    pub(crate) smoothed: Option<(u32, u32)>,
    pub(crate) measured_timeout: u32,
    pub(crate) effective_timeout: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PathRecord {
    pub(crate) size: u16,
    pub(crate) suspicion: u8,
    /// Whether the far end answers probes, if that is known.
    pub(crate) answers: Option<bool>,
    pub(crate) oversized: u16,
    pub(crate) again: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IdentityRecord {
    pub(crate) peer_id: [u8; 32],
    pub(crate) other_hash: Option<[u8; 32]>,
    pub(crate) hostname: Option<Vec<u8>>,
    pub(crate) has_static_keys: bool,
    pub(crate) near_nonce: [u8; 32],
    pub(crate) far_nonce: [u8; 32],
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MobilityRecord {
    pub(crate) epoch: i64,
    pub(crate) secret: [u8; 16],
    pub(crate) checked: Option<i64>,
    pub(crate) confirmed: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BudgetRecord {
    pub(crate) second: u32,
    pub(crate) full_at: u64,
    pub(crate) taken: u32,
    pub(crate) dropped: u32,
    pub(crate) bad_seconds: u8,
    pub(crate) is_slowed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FlowsRecord {
    pub(crate) sending: Vec<SendFlowRecord>,
    pub(crate) receiving: Vec<RecvFlowRecord>,
    pub(crate) lingering: Vec<LingeringRecord>,
    pub(crate) next_id: u64,
    pub(crate) served: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SendFlowRecord {
    pub(crate) id: u64,
    pub(crate) priority: u8,
    pub(crate) time_critical: bool,
    pub(crate) closing: bool,
    pub(crate) wants_room: bool,
    pub(crate) exception: bool,
    pub(crate) startup: Option<Vec<u8>>,
    /// The numbers that the next queue goes on with: of messages, of fragments.
    pub(crate) resume: (u64, u64),
    pub(crate) queue: Option<QueueRecord>,
    pub(crate) window: u64,
    /// When the next buffer probe is due, and the time between two, in nanoseconds.
    pub(crate) probing: Option<(i64, u64)>,
    pub(crate) refused: Option<RefusedRecord>,
    pub(crate) unacknowledged: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RefusedRecord {
    pub(crate) until: i64,
    /// In nanoseconds.
    pub(crate) period: u64,
    pub(crate) held: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QueueRecord {
    pub(crate) messages: Vec<MessageRecord>,
    pub(crate) first_message: u64,
    pub(crate) uncut: u64,
    pub(crate) fragments: Vec<FragmentRecord>,
    pub(crate) settled: u64,
    pub(crate) final_number: u64,
    pub(crate) closing: bool,
    pub(crate) deadline: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MessageRecord {
    pub(crate) data: Vec<u8>,
    pub(crate) start_by: Option<i64>,
    pub(crate) finish_by: Option<i64>,
    pub(crate) send_once: bool,
    pub(crate) notify: bool,
    pub(crate) cut: u32,
    pub(crate) live: u32,
    pub(crate) abandoned: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FragmentRecord {
    /// Everything up to this number is acknowledged; `None`: the fragment itself is not.
    pub(crate) acknowledged_until: Option<u64>,
    pub(crate) message: u64,
    pub(crate) offset: u32,
    pub(crate) length: u32,
    /// Bit 0: it begins its message. Bit 1: it ends it.
    pub(crate) place: u8,
    pub(crate) abandoned: bool,
    pub(crate) ever_sent: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecvFlowRecord {
    pub(crate) id: u64,
    pub(crate) phase: RecvPhaseRecord,
    pub(crate) by_arrival: bool,
    pub(crate) paused: bool,
    pub(crate) should_ack: bool,
    pub(crate) announced: bool,
    pub(crate) advertised: u64,
    pub(crate) cumulative: u64,
    pub(crate) ranges: Vec<(u64, u64)>,
    pub(crate) final_number: u64,
    pub(crate) delivered: u64,
    pub(crate) given_up: bool,
    pub(crate) partial: Option<AssembledRecord>,
    pub(crate) segments: Vec<SegmentRecord>,
    pub(crate) expected: u32,
    pub(crate) waiting: Vec<AssembledRecord>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RecvPhaseRecord {
    Open,
    Rejected(u64),
    Complete(i64),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AssembledRecord {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) data: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SegmentRecord {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) begins: bool,
    pub(crate) ends: bool,
    pub(crate) pieces: Vec<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LingeringRecord {
    pub(crate) id: u64,
    pub(crate) cumulative: u64,
    pub(crate) until: i64,
    pub(crate) should_ack: bool,
}
