//! Where a client's way to a server, or to a peer, ended.

use std::fmt;
use std::io;

/// The steps of that way, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// From the URI to addresses.
    Resolve,
    /// From an address to a session with the server (RFC 7016 §3.5.1).
    Handshake,
    /// From a session to a NetConnection (RFC 7425 §5.3).
    Connect,
    /// From a peer id to a session with that peer (RFC 7016 §3.5.1.4, §3.5.1.5).
    Introduction,
    /// From a session with a peer to a message and its answer (RFC 7425 §5.4).
    Message,
    /// From a connection to a membership in a group.
    Join,
    /// From a membership to links to other members.
    Neighbors,
    /// From neighbours to a posting that one of them takes.
    Posting,
    /// Keeping the connection.
    Stay,
}

impl Step {
    /// The name, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Handshake => "handshake",
            Self::Connect => "connect",
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The step.
    pub step: Step,
    /// What happened.
    pub problem: String,
    /// What to look at.
    pub check: &'static str,
}

impl Failure {
    /// A failure of that step.
    pub fn new(step: Step, problem: impl Into<String>, check: &'static str) -> Self {
        Self { step, problem: problem.into(), check }
    }

    pub(super) fn io(step: Step, error: &io::Error) -> Self {
        Self::new(step, format!("a socket failed: {error}"), "this machine's network")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed: {}", self.step.name(), self.problem)
    }
}

impl std::error::Error for Failure {}
