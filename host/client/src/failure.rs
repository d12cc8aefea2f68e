//! Why a client did not reach a server or a peer.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use introd_flash::client::Status;

/// A step on the way to a server, a peer or a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientStep {
    /// Resolving the URI to addresses.
    Resolve,
    /// Opening a session with the server (RFC 7016 §3.5.1).
    Handshake,
    /// Making the session a NetConnection (RFC 7425 §5.3).
    Connect,
    /// Calling a method of the server.
    Call,
    /// Opening a session with a peer that the server introduces (RFC 7016 §3.5.1.4, §3.5.1.5).
    Introduction,
    /// Sending a message directly to a peer, and receiving its reply (RFC 7425 §5.4).
    Message,
    /// Joining a group through the server.
    Join,
    /// Connecting to other members of a group.
    Neighbors,
    /// Making a neighbour take a posting.
    Posting,
    /// Staying connected to the server.
    Stay,
}

impl ClientStep {
    /// The name, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Handshake => "handshake",
            Self::Connect => "connect",
            Self::Call => "call",
            Self::Introduction => "introduction",
            Self::Message => "message",
            Self::Join => "join",
            Self::Neighbors => "neighbors",
            Self::Posting => "posting",
            Self::Stay => "stay",
        }
    }
}

/// A step that failed.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientFailure {
    /// The step.
    pub step: ClientStep,
    /// What happened.
    pub problem: String,
    /// What the user can check.
    pub check: &'static str,
    /// The server's status, if the server refused the connection.
    pub status: Option<Box<Status>>,
}

impl ClientFailure {
    /// A failure of that step.
    pub fn new(step: ClientStep, problem: impl Into<String>, check: &'static str) -> Self {
        Self { step, problem: problem.into(), check, status: None }
    }

    pub(super) fn io(step: ClientStep, error: &io::Error) -> Self {
        Self::new(step, format!("a socket failed: {error}"), "this machine's network")
    }
}

impl fmt::Display for ClientFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed: {}", self.step.name(), self.problem)
    }
}

impl std::error::Error for ClientFailure {}

/// Addresses, for a message to the user.
pub(super) fn list(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
