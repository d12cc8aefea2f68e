//! What a member asks its driver to do, and what it reports.

use rtmfp::{PeerId, TaggedAddress};

use super::posting::PostingId;
use crate::ring::GroupAddress;

/// Something for the driver to do or to know, in this order.
#[allow(missing_docs, reason = "the names say it")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Open a flow with the metadata of group control to the server, in return to the server's control flow, and send this message on it.
    /// Give messages that the server sends in return to that flow to [`Member::on_server_message`](super::Member::on_server_message).
    SendToServer(Vec<u8>),
    /// Open a session with a peer: try these addresses, relays last (WIRE.md §3.5), and then the server. Answer with
    /// [`Member::on_session`](super::Member::on_session), at once if there is a session, or with
    /// [`Member::on_open_failed`](super::Member::on_open_failed).
    Connect {
        peer: PeerId,
        /// Addresses at which the peer may be. There may be none.
        addresses: Vec<TaggedAddress>,
    },
    /// Send a message on this group's flow of a type to the peer. The first message of a type opens the flow, with the metadata
    /// of [`FlowKind::GroupPeer`](introd_flash::metadata::FlowKind::GroupPeer), in return to the peer's flow of the type
    /// [`flow_type::in_return_to`](super::flow_type::in_return_to).
    Send {
        peer: PeerId,
        flow_type: u8,
        /// The whole message.
        message: Vec<u8>,
    },
    /// Close this group's flows to the peer, and reject the peer's flows of this group. The session may be closed if nothing else
    /// uses it; report that with [`Member::on_session_closed`](super::Member::on_session_closed).
    Release(PeerId),
    /// Something has happened in the group.
    Event(GroupEvent),
}

/// What has happened in a group.
#[allow(missing_docs, reason = "the names say it")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupEvent {
    /// A peer has become a neighbour: `NetGroup.Neighbor.Connect`.
    NeighborConnected(PeerId),
    /// A peer is no longer a neighbour: `NetGroup.Neighbor.Disconnect`.
    NeighborDisconnected(PeerId),
    /// A peer that wanted to be a neighbour was refused.
    Refused { peer: PeerId, reason: Refusal },
    /// A posting has come: `NetGroup.Posting.Notify`.
    Posting {
        /// The neighbour that sent it, which need not be its author.
        from: PeerId,
        id: PostingId,
        /// One AMF value.
        value: Vec<u8>,
    },
    /// A directed message has come: `NetGroup.SendTo.Notify`.
    Directed {
        /// The place of the member that sent it.
        from: GroupAddress,
        /// Whether that is this member itself.
        is_local: bool,
        /// One AMF value.
        value: Vec<u8>,
    },
    /// The part of the ring that is nearest to this member has changed: `NetGroup.LocalCoverage.Notify`.
    LocalCoverage,
}

/// Why a peer is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The peer asks for admission to another group.
    #[error("another group")]
    Group,
    /// The peer's message names another receiver.
    #[error("meant for another peer")]
    Receiver,
    /// The peer's proof does not show that it knows the groupspec.
    #[error("wrong proof")]
    Proof,
    /// The peer has not sent a proof in time.
    #[error("no proof in time")]
    Late,
    /// There are [`MAX_NEIGHBORS`](super::MAX_NEIGHBORS) neighbours, and as many guests as there may be.
    #[error("too many neighbours")]
    TooMany,
    /// The peer has sent a malformed message.
    #[error("malformed message")]
    Malformed,
}
