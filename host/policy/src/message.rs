//! The messages between the workers and the application instances that have a policy of their own.
//!
//! A worker tells an instance of its clients by [`AppEvent`]s, over a bounded channel, in the order in which things happened to
//! each client. The instance answers requests by [`Verdict`]s, and acts on its clients by [`ClientCommand`]s; both go to the
//! worker that has the request or the client. Neither waits for the other: a slow script delays its own application and nothing else.

use std::net::SocketAddr;
use std::sync::Arc;

use rtmfp::{InterfaceId, PeerId, SessionId, TaggedAddress};
use smallvec::SmallVec;

use introd_flash::amf::Value;
use introd_flash::server::{Call, ConnectRequest, Publication};

use crate::{RequestId, ServerMethod, Verdict};

/// Identifies a client among all workers: by the worker that has its session, and the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say it all")]
pub struct ClientId {
    pub worker: u8,
    pub session: SessionId,
}

/// The properties of a client that asks to connect, under the names that AMS gives them.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientInfo {
    /// `farID`: the client's peer id.
    pub far_id: PeerId,
    /// Whether the client has proven that this is its id, which takes a certificate with lasting keys.
    pub is_proven: bool,
    /// `nearID`: the server's peer id.
    pub near_id: PeerId,
    /// `farNonce`: the client's nonce (RFC 7425 §4.6.5).
    pub far_nonce: [u8; 32],
    /// `nearNonce`: the server's nonce.
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

/// An event of which an instance's policy is told.
#[derive(Debug)]
#[allow(missing_docs, reason = "the names say it all")]
pub enum AppEvent {
    /// A client wants to connect. It waits for a verdict ([`Commands::decide`]).
    Connect {
        /// The request that the verdict answers.
        request: RequestId,
        client: ClientId,
        info: Arc<ClientInfo>,
    },
    /// A client was accepted although the script has not decided so: the script failed or was late, and the settings say `continue`.
    Accepted { client: ClientId },
    /// A client that wanted to connect, accepted or not, is gone. This comes exactly once for each [`AppEvent::Connect`], as the
    /// last event of the client.
    Disconnect { client: ClientId },
    /// A client calls a method. If [`Call::wants_answer`], it waits for [`ClientCommand::Answer`].
    Call { client: ClientId, call: Call },
    /// A client wants to publish a stream to the server. It waits for [`ClientCommand::Publish`].
    Publish { client: ClientId, publication: Publication },
    /// A client wants a publication no more that was not refused. This does not come for what it publishes when it disconnects.
    Unpublish { client: ClientId, publication: Publication },
    /// A client answers an [`ClientCommand::Call`].
    Answer {
        client: ClientId,
        token: u64,
        /// The arguments of `_result`, or of `_error`. A call that could not be made, or whose client left, gets an error
        /// without arguments.
        outcome: Result<Vec<Value>, Vec<Value>>,
    },
    /// A client has moved to another address.
    FarAddressChange { client: ClientId, address: SocketAddr },
    /// A client reports its addresses, which replace the earlier ones.
    ReportedAddressesChange { client: ClientId, addresses: Vec<SocketAddr> },
    /// An asker looks for a peer, and the policy is to decide ([`Commands::decide`]) before the deadline of the application's settings.
    PeerLookup(PeerLookup),
    /// A client has joined a group.
    GroupJoin {
        client: ClientId,
        /// Names this membership: a client may be in several groups.
        membership: u64,
        /// The digest of the group's canonical groupspec.
        groupspec_digest: [u8; 32],
    },
    /// A client has left a group, or is gone. This comes before [`AppEvent::Disconnect`].
    GroupLeave {
        client: ClientId,
        membership: u64,
        /// The digest of the group's canonical groupspec.
        groupspec_digest: [u8; 32],
    },
    /// The worker's answer to [`ClientCommand::GetStats`].
    Stats {
        client: ClientId,
        token: u64,
        /// `None` if the client is gone.
        stats: Option<ClientStats>,
    },
    /// The settings or the script have changed: load the script again, and keep the clients.
    Reload,
    /// The instance is to end: disconnect its clients, run `onAppStop`, then end.
    Stop,
}

/// A lookup that the script of an instance decides about: `event` in `onPeerLookup`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it all")]
pub struct PeerLookup {
    /// The request that the verdict answers.
    pub request: RequestId,
    /// The peer that is looked for, if the hello names one by its fingerprint.
    pub target: Option<PeerId>,
    /// Where the hello came from.
    pub initiator: SocketAddr,
    pub tag: SmallVec<[u8; 16]>,
    /// How many times the asker has made this lookup, with this time: 1 if it does not repeat an earlier one.
    pub attempt: u32,
    /// The interface by which the hello came in.
    pub interface: InterfaceId,
    /// The asker, if it is a client of the instance that is asked.
    pub asker: Option<ClientId>,
    /// The proposal to which this instance is asked to agree, if it is the target's and the asker's application has agreed. `None`
    /// if the instance is the asker's own, or the asker has none.
    pub proposal: Option<Box<Proposal>>,
}

/// The proposal to which the target's application is asked to agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// `application/instance` of the asker, if it is a client.
    pub initiator_application: Option<Box<str>>,
    /// The introduction or redirect that is proposed.
    pub offer: Offer,
}

/// What the asker's application has decided, and the target's application has yet to agree to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    /// The server introduces the two to each other.
    Introduction,
    /// The server redirects the asker to these addresses.
    Redirect(Arc<[TaggedAddress]>),
}

/// The result of `client:getStats()`, under the names that AMS gives it. It counts messages since the client asked to connect, and
/// their bytes without the overhead of the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClientStats {
    /// `bytes_in`: bytes received from the client.
    pub bytes_in: u64,
    /// `bytes_out`: bytes sent to the client.
    pub bytes_out: u64,
    /// `msg_in`: messages received.
    pub msg_in: u64,
    /// `msg_out`: messages sent.
    pub msg_out: u64,
    /// `msg_dropped`: messages that were given up.
    pub msg_dropped: u64,
    /// `ping_rtt`: the smoothed round trip time in milliseconds, 0 while unknown.
    pub ping_rtt: u64,
}

/// A command of an instance's script to one of its clients.
#[derive(Debug)]
#[allow(missing_docs, reason = "the names say it all")]
pub enum ClientCommand {
    /// Close a client's connection.
    Disconnect {
        client: ClientId,
        /// Why, for the log and the story: the client is not told.
        reason: Option<Box<str>>,
    },
    /// Call a method of a client.
    Call {
        client: ClientId,
        method: String,
        arguments: Vec<Value>,
        /// The token for [`AppEvent::Answer`]; `None` if the script wants no answer.
        token: Option<u64>,
    },
    /// Answer a client's call.
    Answer {
        client: ClientId,
        /// [`Call::transaction`].
        transaction: f64,
        /// The value, or the error.
        outcome: Result<Value, Value>,
    },
    /// Answer a client's call of a method of the server, which the script does not define.
    AnswerByServer {
        client: ClientId,
        /// [`Call::transaction`].
        transaction: f64,
        method: ServerMethod,
    },
    /// Allow or refuse what a client wants to publish.
    Publish {
        client: ClientId,
        /// [`Publication::number`].
        publication: u64,
        is_allowed: bool,
    },
    /// `client.ping()`: send the client a ping.
    Ping { client: ClientId },
    /// `client:getStats()`: send the client's counters by [`AppEvent::Stats`].
    GetStats { client: ClientId, token: u64 },
    /// `client.introducePeer`: forward a hello to the client.
    Introduce {
        client: ClientId,
        /// The address of the asker.
        initiator: SocketAddr,
        tag: SmallVec<[u8; 16]>,
    },
    /// `groupControl.addNeighbor` and `.addMemberHint`: name a peer to a member of a group.
    Hint { client: ClientId, membership: u64, peer: PeerId },
}

impl ClientCommand {
    /// The client that the command is for.
    pub fn client(&self) -> ClientId {
        match self {
            Self::Disconnect { client, .. }
            | Self::Call { client, .. }
            | Self::Answer { client, .. }
            | Self::AnswerByServer { client, .. }
            | Self::Publish { client, .. }
            | Self::Ping { client }
            | Self::GetStats { client, .. }
            | Self::Introduce { client, .. }
            | Self::Hint { client, .. } => *client,
        }
    }

    /// About how many bytes of memory the command takes on the heap.
    pub fn bytes(&self) -> usize {
        let all = |values: &[Value]| values.iter().map(Value::size).sum::<usize>();
        match self {
            Self::Call { method, arguments, .. } => method.len() + all(arguments),
            Self::Answer { outcome: Ok(value) | Err(value), .. } => value.size(),
            _ => 0,
        }
    }
}

/// Takes the verdicts and commands of an instance's script to the workers.
pub trait Commands: Send + Sync {
    /// Gives the verdict on a request. It has no effect if the request's deadline has passed or its client is gone.
    fn decide(&self, request: RequestId, verdict: Verdict);

    /// Sends a command to the worker that has the client, without waiting.
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
    /// The worker has no room now. This gives the command back.
    Full(Box<ClientCommand>),
    /// The worker has stopped, or there is none of that number.
    Stopped,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_takes_what_its_text_and_values_take() {
        let client = ClientId { worker: 0, session: SessionId::from_wire(1) };
        let values = [Value::String("four".to_owned()), Value::Number(1.0)];
        let sizes: usize = values.iter().map(Value::size).sum();
        let call = |method: &str, arguments: &[Value]| {
            let (method, arguments) = (method.to_owned(), arguments.to_vec());
            ClientCommand::Call { client, method, arguments, token: None }.bytes()
        };
        assert!(sizes > 4);
        assert_eq!((call("", &[]), call("move", &[]), call("move", &values)), (0, 4, 4 + sizes));
        for outcome in [Ok(values[0].clone()), Err(values[0].clone())] {
            let answer = ClientCommand::Answer { client, transaction: 1.0, outcome };
            assert_eq!(answer.bytes(), values[0].size());
        }
        assert_eq!(ClientCommand::Ping { client }.bytes(), 0);
    }
}
