//! The events of an endpoint, and the reasons in them.

use std::net::SocketAddr;

use smallvec::SmallVec;

use crate::crypto::{Epd, PeerId};
use crate::flow::FlowEvent;
use crate::session_id::SessionId;
use crate::startup::keying_job::KeyingJob;
use crate::startup::revealed_keys::RevealedKeys;
use crate::transmit::InterfaceId;

/// Something for the driver or the application.
#[derive(Debug)]
#[allow(missing_docs, reason = "fields whose names say it all")]
pub enum Event {
    /// A hello that selects none of the endpoint's identities: an initiator looks for a peer (RFC 7016 §3.5.1.4, §3.5.1.5). The
    /// answers are [`Endpoint::redirect`](crate::Endpoint::redirect) and [`Endpoint::forward`](crate::Endpoint::forward); neither
    /// is implied.
    Lookup(Lookup),
    /// Public-key work. Run it, here or on another thread, and give what it returns to
    /// [`Endpoint::keying_done`](crate::Endpoint::keying_done).
    Keying(KeyingJob),
    /// A session is open, whether this end or the far end began it.
    Opened {
        session: SessionId,
        /// Whether this end was the initiator.
        is_initiator: bool,
    },
    /// A session that this end began did not open.
    OpenFailed { session: SessionId, reason: OpenFailure },
    /// A keying from a proven address was dropped for want of room. The initiator will repeat it.
    Refused { from: SocketAddr, reason: Refusal },
    /// Something happened to a flow.
    Flow { session: SessionId, event: FlowEvent },
    /// The far end is proven to be at another address (RFC 7016 §3.5.4.2).
    AddressChanged { session: SessionId, from: SocketAddr, to: SocketAddr },
    /// A ping that the application sent came back.
    Pong { session: SessionId, message: Vec<u8> },
    /// A session has made more work than [`Config::max_work`](crate::Config::max_work) allows: its datagrams are dropped until it is
    /// within its share again.
    Overspent {
        session: SessionId,
        /// For many seconds more was dropped than taken: the far end does not slow down, and the session should be closed. The
        /// event comes once a second then. It is not set the first time, nor when it happens again after a while.
        is_persistent: bool,
    },
    /// A session is over; its flows are gone. No event about it follows.
    Closed { session: SessionId, reason: CloseReason },
    /// The keys of a session that has just opened, when [`Config::keying`](crate::Config::keying) asks for them.
    Keys { session: SessionId, keys: Box<RevealedKeys> },
}

/// A hello that looks for an endpoint that is not this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// The peer that is wanted: the fingerprint in the hello's endpoint discriminator, if it has one.
    pub target: Option<PeerId>,
    /// The endpoint discriminator as it came.
    pub epd: SmallVec<[u8; 64]>,
    /// Where the hello came from.
    pub initiator: SocketAddr,
    /// The hello's tag.
    pub tag: SmallVec<[u8; 16]>,
    /// The interface by which the hello came in.
    pub interface: InterfaceId,
    /// The open session with the address that the hello came from, if there is one.
    pub asker: Option<SessionId>,
    /// The bytes of the datagram that the hello came in: what is sent because of it stays below three times as many, unless
    /// there is an `asker`.
    pub received: usize,
}

impl Lookup {
    /// Looks for another peer instead: the hello that is forwarded must select that one.
    pub fn set_target(&mut self, target: PeerId) {
        self.target = Some(target);
        self.epd = SmallVec::from_slice(&Epd::fingerprint(target));
    }
}

/// The bound that left no room for a keying.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum Refusal {
    /// [`Config::max_sessions`](crate::Config::max_sessions).
    #[error("too many sessions in all")]
    Sessions,
    /// [`Config::max_sessions_per_prefix`](crate::Config::max_sessions_per_prefix).
    #[error("too many sessions of this address")]
    SessionsOfPrefix,
    /// [`Config::max_keying_jobs`](crate::Config::max_keying_jobs).
    #[error("too many handshakes wait in all")]
    Keyings,
    /// The quarter of these that one network may have.
    #[error("too many handshakes of this address wait")]
    KeyingsOfPrefix,
}

/// Why a session did not open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenFailure {
    /// No hello was answered in time (95 s, RFC 7016 §3.5.1.1.1).
    #[error("no answer from any address tried")]
    NoAnswer,
    /// An endpoint answered the hello, but not the keying.
    #[error("{0} answered the hello but did not complete the handshake")]
    KeyingUnanswered(SocketAddr),
    /// There is a session with the same endpoint already (RFC 7016 §3.5.1.1.1, §3.5.1.3).
    #[error("session {0} with the same endpoint exists")]
    Duplicate(SessionId),
    /// The two ends do not agree on keys.
    #[error("keying failed: {0}")]
    Keying(String),
    /// The application closed it.
    #[error("closed before it opened")]
    Aborted,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// This end closed it.
    Near,
    /// The far end closed the session in an orderly way.
    Far,
    /// The far end ended the session at once.
    FarAbrupt,
    /// The far end has been silent for too long.
    Silence,
    /// It has not acknowledged what was sent to it on a flow, for [`Config::unacknowledged_limit`](crate::Config::unacknowledged_limit).
    Unacknowledged,
    /// All sessions together held more than [`Config::max_buffered`](crate::Config::max_buffered), and this one the most.
    Buffers,
    /// The same endpoint opened a new session (RFC 7425 §4.3.7).
    Overridden,
}

impl CloseReason {
    /// The reason in words.
    pub fn text(self) -> &'static str {
        match self {
            Self::Near => "closed by this end",
            Self::Far => "closed by the far end",
            Self::FarAbrupt => "ended abruptly by the far end",
            Self::Silence => "the far end fell silent",
            Self::Unacknowledged => "the far end does not acknowledge what it is sent",
            Self::Buffers => "too much was waiting for the far end, or came in parts from it",
            Self::Overridden => "replaced by a new session of the same endpoint",
        }
    }
}

impl std::fmt::Display for CloseReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for CloseReason {}

/// Why a lookup was not forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Deny {
    /// The session is not open.
    #[error("no such session")]
    NoSession,
    /// The session has more waiting than it may.
    #[error("the session's queue is full")]
    QueueFull,
    /// As many hellos were forwarded to the session already as [`Config::max_forwards`](crate::Config::max_forwards) allows.
    #[error("too many hellos for the session")]
    TooOften,
}
