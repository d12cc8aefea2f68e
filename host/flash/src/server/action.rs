//! What a connection asks its owner to do, and what it reports.

use super::request::ConnectRequest;
use crate::amf::{EncodeError, Value};
use crate::peer_info::PeerInfo;
use crate::uri::PathError;

/// Something for the owner of a connection to do or to know, in this order.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Action {
    /// Open a sending flow for a stream with this metadata, in return to the client's flow `return_of`. It comes once for a stream
    /// number, and again after an [`Action::CloseFlow`].
    OpenFlow {
        /// The stream, which later [`Action::Send`]s name.
        stream: u32,
        /// The client's NetConnection control flow.
        return_of: u64,
        /// The flow's user metadata.
        metadata: Vec<u8>,
    },
    /// Send a message on the stream's flow, reliably and in order.
    Send {
        /// The stream of an earlier [`Action::OpenFlow`].
        stream: u32,
        /// The whole message.
        message: Vec<u8>,
    },
    /// Close the stream's sending flow when all messages sent on it have arrived.
    CloseFlow {
        /// The stream of an earlier [`Action::OpenFlow`].
        stream: u32,
    },
    /// The client wants to connect. Answer with [`NetConnection::accept`](super::NetConnection::accept) or
    /// [`NetConnection::reject`](super::NetConnection::reject), now or later. It comes at most once.
    Connect(Box<ConnectRequest>),
    /// The client reports its addresses, which replace earlier ones. It wants no answer.
    SetPeerInfo(PeerInfo),
    /// The client calls a method. If [`Call::wants_answer`], answer with
    /// [`NetConnection::answer`](super::NetConnection::answer) or
    /// [`NetConnection::refuse_call`](super::NetConnection::refuse_call).
    Call(Call),
    /// The client answers a [`NetConnection::call`](super::NetConnection::call).
    Answer {
        /// The number that that call returned.
        transaction: u64,
        /// The arguments of `_result` or of `_error`.
        outcome: Result<Vec<Value>, Vec<Value>>,
    },
    /// The client answers a [`NetConnection::ping`](super::NetConnection::ping).
    PingResponse {
        /// The timestamp of that ping.
        timestamp: u32,
    },
    /// The client has sent a message of group control.
    GroupMessage {
        flow: u64,
        /// The whole message.
        message: Vec<u8>,
    },
    /// A group control flow has ended: the client has left the group that it joined there.
    GroupFlowClosed { flow: u64 },
    /// Close all sending flows. Reject the client's control flow with exception 0, since AIR notices the end only by that. Close the
    /// session when all messages are acknowledged or too late. No action follows.
    CloseSession {
        reason: CloseReason,
        /// The client's control flow, if there was one.
        control_flow: Option<u64>,
    },
    /// The client has asked to connect to a path that names no application. It was refused with `NetConnection.Connect.InvalidApp`, and
    /// [`Action::CloseSession`] follows.
    InvalidApp {
        /// The path as the client sent it.
        path: String,
        error: PathError,
    },
    /// Nothing to do: something to log or count.
    Report(Irregularity),
    /// The client wants to publish a stream to the server, which drops its media. Answer with
    /// [`NetConnection::allow_publication`](super::NetConnection::allow_publication) or
    /// [`NetConnection::refuse_publication`](super::NetConnection::refuse_publication), now or later.
    Publish(Publication),
    /// The client wants a publication no more that was not refused: it has stopped it, or deleted its stream. This does not come for those
    /// that end with the connection.
    Unpublish(Publication),
}

/// A call of a method by the client.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Call {
    /// The name of the method.
    pub name: String,
    /// The transaction number, which the answer repeats.
    pub transaction: f64,
    /// The command object. It is usually null.
    pub object: Value,
    pub arguments: Vec<Value>,
}

impl Call {
    /// Whether the client waits for an answer.
    pub fn wants_answer(&self) -> bool {
        self.transaction != 0.0
    }
}

/// A stream that a client wants to publish, or publishes, to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// Identifies it among all that the client has begun.
    pub number: u64,
    /// The name of the stream, with its query. A long one is cut.
    pub name: String,
    /// How the client publishes: `live` as a rule, `record` or `append`.
    pub kind: String,
}

/// Why a session is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The client has closed its control flow (RFC 7425 §5.3.6).
    Client,
    /// The client has rejected the server's control flow: an abrupt end (RFC 7425 §5.3.6).
    ClientAbrupt,
    /// `connect` was refused.
    Rejected,
    /// The owner has called [`NetConnection::close`](super::NetConnection::close).
    Local,
}

/// Something that the connection has dropped, refused or left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Irregularity {
    /// A message is not of the form of its type. It was dropped.
    #[error("malformed message on flow {flow}: {error}")]
    Malformed {
        flow: u64,
        /// What is wrong with it.
        error: String,
    },
    /// A command message is longer than allowed. It was dropped.
    #[error("command of {length} bytes on flow {flow} dropped")]
    TooLong {
        flow: u64,
        /// The length of the payload in bytes.
        length: usize,
    },
    /// A message has come on a flow that was not accepted, or has ended.
    #[error("message on unknown flow {flow}")]
    UnknownFlow { flow: u64 },
    /// A command has come before the connection was established. It was refused.
    #[error("command {name:?} before the connection is established")]
    NotConnected { name: String },
    /// A second `connect` has come. It was refused.
    #[error("second connect")]
    SecondConnect,
    /// An answer has come to a call that does not wait for one.
    #[error("unexpected answer to transaction {transaction}")]
    UnexpectedAnswer {
        /// The transaction number, cut to a whole number.
        transaction: u64,
    },
    /// The client has asked for more streams than it may have. It got an error.
    #[error("too many streams")]
    TooManyStreams,
    /// An answer could not be written and was not sent.
    #[error("answer {name:?} not sent: {error}")]
    Unsendable {
        name: String,
        /// What is wrong with it.
        error: EncodeError,
    },
}

/// A name that came from the client, cut to a length that is fit for messages and logs.
pub(super) fn abridged(name: &str) -> String {
    const KEPT_CHARS: usize = 64;
    name.chars().take(KEPT_CHARS).collect()
}
