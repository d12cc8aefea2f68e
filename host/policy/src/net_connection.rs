//! The NetConnections and NetGroups of scripts, as the host of scripts sees them.
//!
//! A script's `NetConnection` is an endpoint of its own, with sockets and threads apart from the workers: the server provides
//! [`NetConnections`], the host of scripts gives [`ConnectionCommand`]s, and [`ConnectionEvent`]s come back through [`ConnectionEvents`].
//! No call blocks. Names and status codes are those of AMS (`NetConnection.Connect.*`, `NetGroup.*`).

use std::net::SocketAddr;
use std::sync::Arc;

use introd_config::Application;
use introd_flash::amf::Value;
use rtmfp::PeerId;

use crate::InstanceName;

/// Names a group among those that one connection has joined. The host of scripts chooses it, and does not use it again on that connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u64);

/// What a script has set before it calls `connect`, and the arguments of the call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConnectionOptions {
    /// `rtmfp:` for an endpoint without a server (serverless), or the URI of a server and its application: `rtmfp://host:port/app`.
    pub uri: String,
    /// The further arguments of `connect`, which the server's application receives.
    pub arguments: Vec<Value>,
    /// `rtmfpBindAddresses`: the local addresses to bind, each an IP address with or without a port. If there are none, the system
    /// chooses a port on all addresses.
    pub bind_addresses: Vec<String>,
    /// `rtmfpEndpointName`: the name by which others find this endpoint at an address that they know
    /// (`addPermanentNeighborByName`). It is the hostname of the endpoint's certificate (RFC 7425 §4.3.3.1).
    pub endpoint_name: Option<String>,
}

/// Opens connections for scripts.
pub trait NetConnections: Send + Sync {
    /// Opens a connection, or begins to: [`ConnectionEvent::Connected`] or [`ConnectionEvent::Closed`] follows. Events go to `events`
    /// until the connection is dropped.
    ///
    /// The limits on connections, groups and queues are those of `settings`, the settings of the script's application.
    ///
    /// # Errors
    /// If the options make no sense, or a limit is reached. The message says what to change.
    fn open(
        &self,
        owner: &InstanceName,
        settings: &Arc<Application>,
        options: ConnectionOptions,
        events: Arc<dyn ConnectionEvents>,
    ) -> Result<Box<dyn NetConnection>, OpenError>;
}

/// A connection of a script. Dropping it closes it, and leaves its groups; no event comes afterwards.
pub trait NetConnection: Send + Sync {
    /// Gives the connection a command, which is carried out later and in order.
    ///
    /// # Errors
    /// If too many commands wait, or the connection is closed. The command has no effect then.
    fn send(&self, command: ConnectionCommand) -> Result<(), CommandRefused>;

    /// What is known of a group at present. `None` if the connection has not joined it, or has left it.
    fn group(&self, group: GroupId) -> Option<GroupFacts>;
}

/// Receives the events of one connection, in their order, on any thread.
pub trait ConnectionEvents: Send + Sync {
    /// Passes an event on without waiting.
    ///
    /// # Errors
    /// Gives the event back if there is no room for it. An event that begins or ends something (see
    /// [`ConnectionEvent::must_arrive`]) is always taken.
    fn tell(&self, event: ConnectionEvent) -> Result<(), Box<ConnectionEvent>>;
}

/// What a script wants of a connection.
#[allow(missing_docs, reason = "the names say it all")]
#[derive(Clone, Debug, PartialEq)]
pub enum ConnectionCommand {
    /// `nc:call`: calls a method of the server's application.
    Call {
        method: String,
        arguments: Vec<Value>,
        /// The token for [`ConnectionEvent::Answer`]; `None` if the script wants no answer.
        token: Option<u64>,
    },
    /// `NetGroup(nc, groupspec)`: joins a group. [`GroupEvent::Connected`] or [`GroupEvent::Closed`] follows.
    Join { group: GroupId, groupspec: String },
    /// Something for a group that was joined.
    Group { group: GroupId, command: GroupCommand },
}

/// What a script wants of a group.
#[allow(missing_docs, reason = "the names say it all")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupCommand {
    /// `group:post`: sends a posting to all members.
    Post {
        /// One AMF0 value. The posting's ID is the SHA-256 of these bytes (host/netgroup/WIRE.md §3.7).
        value: Vec<u8>,
    },
    /// `group:sendToNearest`: sends a message one step towards a group address: to the neighbour nearest to it, or to the own script if
    /// this member is nearer than each neighbour.
    SendToNearest {
        /// One AMF0 value.
        message: Vec<u8>,
        address: [u8; 32],
    },
    /// `group:sendToNeighbor`: sends a message to the next neighbour on the ring.
    SendToNeighbor { message: Vec<u8>, direction: Direction },
    /// `group:sendToAllNeighbors`: sends a message to each neighbour.
    SendToAllNeighbors { message: Vec<u8> },
    /// `group:addNeighbor`
    AddNeighbor(PeerId),
    /// `group:addMemberHint`
    AddMemberHint(PeerId),
    /// `group:addPermanentNeighborByName`
    AddPermanentNeighbor {
        /// The endpoint name of the other member.
        name: String,
        /// Where it may be. If there are none, only the groups' other members can tell.
        addresses: Vec<SocketAddr>,
    },
    /// `group:removePermanentNeighborByName`: ends the permanent status and drops no connection.
    RemovePermanentNeighbor { name: String },
    /// `group:close`: leaves the group. No event of the group comes afterwards.
    Close,
}

/// `sendMode` of `sendToNeighbor`: which neighbour on the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// `"nextIncreasing"`: the next one with a higher group address.
    Increasing,
    /// `"nextDecreasing"`: the next one with a lower group address.
    Decreasing,
}

/// What a group's member knows of its group at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GroupFacts {
    /// `neighborCount`
    pub neighbor_count: usize,
    /// `estimatedMemberCount`, with this member
    pub estimated_member_count: f64,
    /// `localCoverageFrom` and `localCoverageTo`: the first and last group address for which this member is the nearest of those it is
    /// connected to.
    pub local_coverage: ([u8; 32], [u8; 32]),
}

/// What happens on a connection.
#[allow(missing_docs, reason = "the names say it all")]
#[derive(Clone, Debug, PartialEq)]
pub enum ConnectionEvent {
    /// The connection is open: `NetConnection.Connect.Success`.
    Connected {
        /// `nearID`
        near_id: PeerId,
        /// `farID`: the server's peer ID; `None` without a server.
        far_id: Option<PeerId>,
        /// `nearNonce` and `farNonce`, with a server
        nonces: Option<([u8; 32], [u8; 32])>,
        /// The addresses that the connection's sockets are bound to.
        bound: Vec<SocketAddr>,
        /// What the server has sent with its answer.
        info: Value,
    },
    /// The connection has not opened or is closed. Its groups are gone.
    Closed {
        /// `NetConnection.Connect.Failed`, `.Rejected`, `.Closed`, ...
        code: String,
        description: String,
        /// The server's information object, if it has sent one.
        info: Value,
    },
    /// The server calls a method of the connection.
    Call { method: String, arguments: Vec<Value> },
    /// The answer to [`ConnectionCommand::Call`]: the arguments of `_result`, or of `_error`.
    Answer { token: u64, outcome: Result<Vec<Value>, Vec<Value>> },
    /// Something has happened in a group.
    Group { group: GroupId, event: GroupEvent },
}

/// What happens in a group.
#[allow(missing_docs, reason = "the names say it all")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupEvent {
    /// The group is joined: `NetGroup.Connect.Success`.
    Connected,
    /// The group has not been joined, or is left because its connection is closed: `NetGroup.Connect.Failed`, `.Rejected` or `.Closed`.
    Closed { code: String, description: String },
    /// `NetGroup.Neighbor.Connect`
    NeighborConnected {
        peer: PeerId,
        /// The endpoint name of a permanent neighbour.
        name: Option<String>,
    },
    /// `NetGroup.Neighbor.Disconnect`
    NeighborDisconnected { peer: PeerId, name: Option<String> },
    /// `NetGroup.Posting.Notify`
    Posting {
        id: [u8; 32],
        /// One AMF0 value, from another member: it may be malformed.
        value: Vec<u8>,
    },
    /// `NetGroup.SendTo.Notify`
    SendTo {
        /// The group address of the member that sent it.
        from: [u8; 32],
        /// Whether this member has sent it itself.
        from_local: bool,
        /// One AMF0 value, from another member: it may be malformed.
        message: Vec<u8>,
    },
    /// `NetGroup.LocalCoverage.Notify`
    LocalCoverage,
}

impl ConnectionEvent {
    /// Whether the event begins or ends something, and so must not be lost. Of these there is a bounded number on each connection: the
    /// other end cannot cause as many as it likes.
    pub fn must_arrive(&self) -> bool {
        match self {
            Self::Connected { .. } | Self::Closed { .. } | Self::Answer { .. } => true,
            Self::Call { .. } => false,
            Self::Group { event, .. } => matches!(event, GroupEvent::Connected | GroupEvent::Closed { .. }),
        }
    }

    /// About how many bytes of memory the event takes on the heap.
    pub fn bytes(&self) -> usize {
        let all = |values: &[Value]| values.iter().map(Value::size).sum::<usize>();
        match self {
            Self::Connected { bound, info, .. } => size_of_val(&**bound) + info.size(),
            Self::Closed { code, description, info } => code.len() + description.len() + info.size(),
            Self::Call { method, arguments } => method.len() + all(arguments),
            Self::Answer { outcome: Ok(values) | Err(values), .. } => all(values),
            Self::Group { event, .. } => match event {
                GroupEvent::Posting { value, .. } => value.len(),
                GroupEvent::SendTo { message, .. } => message.len(),
                GroupEvent::Closed { code, description } => code.len() + description.len(),
                GroupEvent::NeighborConnected { name, .. } | GroupEvent::NeighborDisconnected { name, .. } => {
                    name.as_ref().map_or(0, String::len)
                }
                GroupEvent::Connected | GroupEvent::LocalCoverage => 0,
            },
        }
    }
}

/// Why a connection cannot be opened. The message says what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The URI, an address or the endpoint name makes no sense.
    #[error("{0}")]
    Options(String),
    /// A limit is reached.
    #[error("{0}")]
    Limit(String),
    /// The system gives no socket or thread, for instance because an address is in use.
    #[error("{0}")]
    System(String),
}

/// Why a connection does not take a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandRefused {
    /// Too many commands wait.
    #[error("too much waits to be sent on this connection")]
    Full,
    /// The connection is closed.
    #[error("the connection is closed")]
    Closed,
    /// The connection has joined as many groups as the application may.
    #[error("the connection has joined as many groups as MaxNetGroups allows")]
    Groups,
}

/// Opens no connection: for programs that have no network, and for tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoNetConnections;

impl NetConnections for NoNetConnections {
    fn open(
        &self,
        _: &InstanceName,
        _: &Arc<Application>,
        _: ConnectionOptions,
        _: Arc<dyn ConnectionEvents>,
    ) -> Result<Box<dyn NetConnection>, OpenError> {
        Err(OpenError::System("this program opens no NetConnections".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_takes_what_its_texts_and_values_take() {
        let (text, value) = (|| "four".to_owned(), Value::String("four".to_owned()));
        let size = value.size();
        let group = |event| ConnectionEvent::Group { group: GroupId(1), event };
        let peer = PeerId([1; 32]);
        for (event, bytes) in [
            (ConnectionEvent::Closed { code: text(), description: text(), info: value.clone() }, 8 + size),
            (ConnectionEvent::Call { method: text(), arguments: vec![value.clone(); 2] }, 4 + 2 * size),
            (ConnectionEvent::Answer { token: 1, outcome: Ok(vec![value.clone()]) }, size),
            (ConnectionEvent::Answer { token: 1, outcome: Err(vec![value.clone()]) }, size),
            (group(GroupEvent::Posting { id: [1; 32], value: vec![0; 9] }), 9),
            (group(GroupEvent::SendTo { from: [1; 32], from_local: false, message: vec![0; 7] }), 7),
            (group(GroupEvent::Closed { code: text(), description: text() }), 8),
            (group(GroupEvent::NeighborConnected { peer, name: Some(text()) }), 4),
            (group(GroupEvent::NeighborDisconnected { peer, name: None }), 0),
            (group(GroupEvent::LocalCoverage), 0),
        ] {
            assert_eq!(event.bytes(), bytes, "{event:?}");
        }
    }

    #[test]
    fn only_events_of_a_bounded_number_must_arrive() {
        let closed = || GroupEvent::Closed { code: String::new(), description: String::new() };
        let group = |event| ConnectionEvent::Group { group: GroupId(1), event };
        assert!(group(GroupEvent::Connected).must_arrive() && group(closed()).must_arrive());
        assert!(ConnectionEvent::Answer { token: 1, outcome: Ok(Vec::new()) }.must_arrive());
        let posting = GroupEvent::Posting { id: [0; 32], value: Vec::new() };
        let disconnected = GroupEvent::NeighborDisconnected { peer: PeerId([1; 32]), name: None };
        for event in [posting, disconnected, GroupEvent::LocalCoverage] {
            assert!(!group(event).must_arrive());
        }
        assert!(!ConnectionEvent::Call { method: String::new(), arguments: Vec::new() }.must_arrive());
    }
}
