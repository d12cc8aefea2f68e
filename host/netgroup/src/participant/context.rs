//! What a participant works on, and what it reports.

use std::net::SocketAddr;
use std::time::Instant;

use rtmfp::flow::RecvFlowId;
use rtmfp::{Endpoint, InterfaceId, PeerId, SessionId};

use crate::member::GroupEvent;

/// The endpoint that a participant works on, at one moment.
#[allow(missing_docs, reason = "the names say it")]
pub struct EndpointContext<'a> {
    pub now: Instant,
    pub endpoint: &'a mut Endpoint,
    /// Finds the interface by which an address is reached; `None` if there is none.
    pub route: &'a dyn Fn(SocketAddr) -> Option<InterfaceId>,
}

/// A connection to a server through which groups are joined.
#[allow(missing_docs, reason = "the names say it")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerConnection {
    pub session: SessionId,
    /// The server's control flow, in return to which the flows of joins are opened (WIRE.md §2.1).
    pub control: RecvFlowId,
}

/// Something has happened in a group.
#[allow(missing_docs, reason = "the names say it")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The server has received the join. It sends no answer to a join; if it rejects the join, [`Notice::JoinRefused`] follows.
    Joined,
    /// The server has rejected the join.
    JoinRefused,
    /// The server has named a member.
    Hint(PeerId),
    /// A neighbour, or a peer that becomes one with the next notice, is the permanent neighbour of this name.
    Named {
        peer: PeerId,
        /// The name of its endpoint.
        name: String,
    },
    /// A neighbour has received a posting that it had asked for.
    PostingTaken(PeerId),
    /// The member of the group reports this.
    Event(GroupEvent),
}
