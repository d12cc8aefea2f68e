//! What passes between the workers and the application instances that have a policy of their own.
//!
//! A worker tells an instance of its clients by [`AppEvent`]s, over a bounded channel, in the order in which things happened to
//! each client. The instance decides about what waits for it by [`Verdict`]s, and acts on its clients by [`ClientCommand`]s; both go to the
//! worker that has the request or the client. Neither waits for the other: a slow script delays its own application and nothing else.

use std::net::SocketAddr;
use std::sync::Arc;

use rtmfp::{InterfaceId, PeerId, SessionId, TaggedAddress};
use smallvec::SmallVec;

use introd_flash::amf::Value;
use introd_flash::server::{Call, ConnectRequest};

use crate::{RequestId, Verdict};

/// A client, wherever it is: the worker that has its session, and the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId {
    /// The number of the worker.
    pub worker: u8,
    /// The session at that worker.
    pub session: SessionId,
}

/// What is known of a client when it asks to connect, under the names that AMS gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientInfo {
    /// `farID`: the client's peer id.
    pub far_id: PeerId,
    /// Whether the client has proven that this is its id, which takes a certificate with lasting keys.
    pub is_proven: bool,
    /// `nearID`: the server's.
    pub near_id: PeerId,
    /// `farNonce`: the client's nonce (RFC 7425 §4.6.5).
    pub far_nonce: [u8; 32],
    /// `nearNonce`: the server's.
    pub near_nonce: [u8; 32],
    /// `farAddress`: where the client's packets come from.
    pub far_address: SocketAddr,
    /// `nearAddress`: the public address at which the client reached the server.
    pub near_address: SocketAddr,
    /// `potentialNearAddresses`: all public addresses of the server.
    pub potential_near_addresses: Arc<[SocketAddr]>,
    /// What the client said in `connect`: `uri`, `agent`, `referrer`, `pageUrl`, and the arguments of its program.
    pub request: ConnectRequest,
}

/// Something that an instance's policy is told.
#[derive(Debug)]
pub enum AppEvent {
    /// A client wants to connect. It waits for a verdict ([`Commands::decide`]).
    Connect {
        /// What the verdict is for.
        request: RequestId,
        /// The client.
        client: ClientId,
        /// What is known of it.
        info: Box<ClientInfo>,
    },
    /// A client was accepted although the script has not decided so: it failed or was late, and the settings say `continue` for that.
    Accepted {
        /// The client.
        client: ClientId,
    },
    /// A client that wanted to connect, accepted or not, is gone. Comes exactly once for each [`AppEvent::Connect`], as the
    /// last that is said of the client.
    Disconnect {
        /// The client.
        client: ClientId,
    },
    /// A client calls a method. If [`Call::wants_answer`], it waits for [`ClientCommand::Answer`].
    Call {
        /// The client.
        client: ClientId,
        /// The call.
        call: Call,
    },
    /// A client answers an [`ClientCommand::Call`].
    Answer {
        /// The client.
        client: ClientId,
        /// The token of the call.
        token: u64,
        /// The arguments of `_result`, or of `_error`. A call that could not be made, or whose client left, gets an error
        /// without arguments.
        outcome: Result<Vec<Value>, Vec<Value>>,
    },
    /// A client has moved to another address.
    FarAddressChange {
        /// The client.
        client: ClientId,
        /// Where it is now.
        address: SocketAddr,
    },
    /// A client says which addresses it has; they replace the earlier ones.
    ReportedAddressesChange {
        /// The client.
        client: ClientId,
        /// The addresses.
        addresses: Vec<SocketAddr>,
    },
    /// An asker looks for a peer, and the policy is to decide ([`Commands::decide`]) before the deadline of the application's settings.
    PeerLookup(PeerLookup),
    /// A client has joined a group.
    GroupJoin {
        /// The client.
        client: ClientId,
        /// Names this membership: a client may be in several groups.
        membership: u64,
        /// The digest of the group's canonical groupspec.
        groupspec_digest: [u8; 32],
    },
    /// A client has left a group, or is gone. Comes before [`AppEvent::Disconnect`].
    GroupLeave {
        /// The client.
        client: ClientId,
        /// The membership.
        membership: u64,
        /// The digest of the group's canonical groupspec.
        groupspec_digest: [u8; 32],
    },
    /// What the worker answers to [`ClientCommand::GetStats`].
    Stats {
        /// The client.
        client: ClientId,
        /// The token of the question.
        token: u64,
        /// What was counted; `None` if the client is gone.
        stats: Option<ClientStats>,
    },
    /// The settings or the script have changed: load anew, and keep the clients.
    Reload,
    /// The server stops: `onAppStop`, then end.
    Stop,
}

/// A lookup that the script of an instance decides about: `event` in `onPeerLookup`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerLookup {
    /// What the verdict is for.
    pub request: RequestId,
    /// The peer that is looked for, if the hello names one by its fingerprint.
    pub target: Option<PeerId>,
    /// Where the hello came from.
    pub initiator: SocketAddr,
    /// The hello's tag.
    pub tag: SmallVec<[u8; 16]>,
    /// The interface by which the hello came in.
    pub interface: InterfaceId,
    /// The asker, if it is a client of the instance that is asked.
    pub asker: Option<ClientId>,
    /// What there is to agree to, where the instance that is asked is that of the target and the asker's application has agreed. `None`
    /// where it is the asker's own, or the asker has none.
    pub proposal: Option<Box<Proposal>>,
}

/// What the target's application is asked to agree to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// `application/instance` of the asker, if it is a client.
    pub initiator_application: Option<Box<str>>,
    /// What is to happen.
    pub offer: Offer,
}

/// What the asker's application would have happen, and the target's application has yet to agree to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    /// The server introduces the two to each other.
    Introduction,
    /// The asker is sent to these addresses.
    Redirect(Arc<[TaggedAddress]>),
}

/// What `client:getStats()` tells, under the names that AMS gives it. Counted are messages since the
/// client asked to connect; bytes are those of the messages, without what the protocol adds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClientStats {
    /// `bytes_in`: bytes received from the client.
    pub bytes_in: u64,
    /// `bytes_out`: bytes sent to it.
    pub bytes_out: u64,
    /// `msg_in`: messages received.
    pub msg_in: u64,
    /// `msg_out`: messages sent.
    pub msg_out: u64,
    /// `msg_dropped`: messages given up.
    pub msg_dropped: u64,
    /// `ping_rtt`: the smoothed round trip time in milliseconds, 0 while unknown.
    pub ping_rtt: u64,
}

/// Something that an instance's script wants done with one of its clients.
#[derive(Debug)]
pub enum ClientCommand {
    /// Close a client's connection.
    Disconnect {
        /// The client.
        client: ClientId,
    },
    /// Call a method of a client.
    Call {
        /// The client.
        client: ClientId,
        /// The method.
        method: String,
        /// The arguments.
        arguments: Vec<Value>,
        /// Comes back in [`AppEvent::Answer`]; `None` when no answer is wanted.
        token: Option<u64>,
    },
    /// Answer a client's call.
    Answer {
        /// The client.
        client: ClientId,
        /// [`Call::transaction`].
        transaction: f64,
        /// The value, or the error.
        outcome: Result<Value, Value>,
    },
    /// `client.ping()`: send the client a ping.
    Ping {
        /// The client.
        client: ClientId,
    },
    /// `client:getStats()`: tell what was counted, by [`AppEvent::Stats`].
    GetStats {
        /// The client.
        client: ClientId,
        /// Comes back in the answer.
        token: u64,
    },
    /// `client.introducePeer`: tell a client of somebody who looks for it.
    Introduce {
        /// The client.
        client: ClientId,
        /// Where the other is.
        initiator: SocketAddr,
        /// The tag of the lookup.
        tag: SmallVec<[u8; 16]>,
    },
    /// `groupControl.addNeighbor` and `.addMemberHint`: name a peer to a member of a group.
    Hint {
        /// The client.
        client: ClientId,
        /// The membership.
        membership: u64,
        /// The peer.
        peer: PeerId,
    },
}

impl ClientCommand {
    /// The client that it is about.
    pub fn client(&self) -> ClientId {
        match self {
            Self::Disconnect { client }
            | Self::Call { client, .. }
            | Self::Answer { client, .. }
            | Self::Ping { client }
            | Self::GetStats { client, .. }
            | Self::Introduce { client, .. }
            | Self::Hint { client, .. } => *client,
        }
    }

    /// About how many bytes of memory it takes beside itself.
    pub fn bytes(&self) -> usize {
        let all = |values: &[Value]| values.iter().map(Value::size).sum::<usize>();
        match self {
            Self::Call { method, arguments, .. } => method.len() + all(arguments),
            Self::Answer { outcome: Ok(value) | Err(value), .. } => value.size(),
            _ => 0,
        }
    }
}

/// Takes what the script of an instance decides and commands to the workers.
pub trait Commands: Send + Sync {
    /// Gives the verdict on a request. One that waits no more, since its deadline has passed or its client is gone, needs none.
    fn decide(&self, request: RequestId, verdict: Verdict);

    /// Sends a command to the worker that has the client. It never waits.
    ///
    /// # Errors
    /// If the worker has no room for the command now, or has stopped.
    fn send(&self, command: ClientCommand) -> Result<(), SendError>;

    /// Counts a command that is given up because this worker has had no room for it.
    fn count_lost(&self, worker: u8);
}

/// Why a command was not sent.
#[derive(Debug)]
pub enum SendError {
    /// The worker has no room now. Gives the command back.
    Full(Box<ClientCommand>),
    /// The worker has stopped, or there is none of that number.
    Stopped,
}
