//! What a connection asks of its owner.

use super::super::amf::{EncodeError, Value};
use super::super::peer_info::PeerInfo;
use super::connect::ConnectRequest;

/// Something for the owner of a connection to do or to know, in the order given.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Open a sending flow for a stream with this metadata, associated in return to the client's flow `return_of`. It
    /// comes at most once for a stream number before a [`Action::CloseFlow`].
    OpenFlow {
        /// The stream: the key of later [`Action::Send`]s.
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
    /// Close the stream's sending flow once what was sent on it has arrived.
    CloseFlow {
        /// The stream of an earlier [`Action::OpenFlow`].
        stream: u32,
    },
    /// The client wants to connect. Answer with [`NetConnection::accept`](super::NetConnection::accept) or
    /// [`NetConnection::reject`](super::NetConnection::reject), now or later. It comes at most once.
    Connect(Box<ConnectRequest>),
    /// The client says which addresses it has; they replace the earlier ones. No answer is due.
    SetPeerInfo(PeerInfo),
    /// The client calls a method. If [`Call::wants_answer`], answer with
    /// [`NetConnection::answer`](super::NetConnection::answer) or
    /// [`NetConnection::refuse_call`](super::NetConnection::refuse_call).
    Call(Call),
    /// The client answers a [`NetConnection::call`](super::NetConnection::call).
    Answer {
        /// What that call returned.
        transaction: u64,
        /// The arguments of `_result` or of `_error`.
        outcome: Result<Vec<Value>, Vec<Value>>,
    },
    /// The client answers a [`NetConnection::ping`](super::NetConnection::ping).
    PingResponse {
        /// What that ping was given.
        timestamp: u32,
    },
    /// A message of group control.
    GroupMessage {
        /// The client's flow.
        flow: u64,
        /// The whole message.
        message: Vec<u8>,
    },
    /// A group control flow has ended: the client has left what it joined there.
    GroupFlowClosed {
        /// The client's flow.
        flow: u64,
    },
    /// Close all sending flows; reject the client's control flow with exception 0, which is how AIR learns of it; and
    /// close the session once what was sent has been acknowledged or has had its time. Nothing follows.
    CloseSession {
        /// Why.
        reason: CloseReason,
        /// The client's control flow, if there was one.
        control_flow: Option<u64>,
    },
    /// Nothing to do; something to log or count.
    Report(Report),
    /// The client has begun to publish a stream to the server, which was accepted. Its media go nowhere.
    Publish {
        /// The stream's name, which may have been cut short.
        name: String,
    },
}

/// A call of a method by the client.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The method.
    pub name: String,
    /// What the answer must repeat.
    pub transaction: f64,
    /// The command object, null as a rule.
    pub object: Value,
    /// The arguments.
    pub arguments: Vec<Value>,
}

impl Call {
    /// Whether the client waits for an answer.
    pub fn wants_answer(&self) -> bool {
        self.transaction != 0.0
    }
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
    /// [`NetConnection::close`](super::NetConnection::close).
    Local,
}

/// Something that was ignored or left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Report {
    /// A message that is not what its type says. It was dropped.
    #[error("malformed message on flow {flow}: {error}")]
    Malformed {
        /// The client's flow.
        flow: u64,
        /// What is wrong with it.
        error: String,
    },
    /// A command message longer than allowed. It was dropped.
    #[error("command of {length} bytes on flow {flow} dropped")]
    TooLong {
        /// The client's flow.
        flow: u64,
        /// Its payload's length in bytes.
        length: usize,
    },
    /// A message on a flow that was not accepted, or has ended.
    #[error("message on unknown flow {flow}")]
    UnknownFlow {
        /// The flow.
        flow: u64,
    },
    /// A command that may come only on an established connection. It was refused.
    #[error("command {name:?} before the connection is established")]
    NotConnected {
        /// The command.
        name: String,
    },
    /// A second `connect`. It was refused.
    #[error("second connect")]
    SecondConnect,
    /// An answer to a call that nobody waits for.
    #[error("unexpected answer to transaction {transaction}")]
    UnexpectedAnswer {
        /// The transaction, cut to a whole number.
        transaction: u64,
    },
    /// The client asks for more streams than it may have. It was told so.
    #[error("too many streams")]
    TooManyStreams,
    /// An answer could not be written and was not sent.
    #[error("answer {name:?} not sent: {error}")]
    Unsendable {
        /// The answer.
        name: String,
        /// What is wrong with it.
        error: EncodeError,
    },
}
