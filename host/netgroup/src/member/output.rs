//! What a member asks of its driver, and what it tells.

use rtmfp::{PeerId, TaggedAddress};

use super::posting::PostingId;

/// Something for the driver to do or to know, in the order given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Open a flow with the metadata of group control to the server, in return to the flow on which it sends for the connection,
    /// and send this on it. What the server sends in return to that flow goes to
    /// [`Member::on_server_message`](super::Member::on_server_message).
    SendToServer(Vec<u8>),
    /// Open a session with a peer: try these addresses, those that are relays or introducers last (wire facts §8.4), and the
    /// server. Answer with [`Member::on_session`](super::Member::on_session), at once if there is one, or with
    /// [`Member::on_open_failed`](super::Member::on_open_failed).
    Connect {
        /// Whom.
        peer: PeerId,
        /// Where it may be.
        addresses: Vec<TaggedAddress>,
    },
    /// Send a message on this group's flow of the kind `about` to the peer. The first of a kind opens the flow: with the metadata
    /// of [`FlowKind::GroupPeer`](introd_flash::metadata::FlowKind::GroupPeer), in return to the peer's flow of
    /// [`about::in_return_to`](super::about::in_return_to).
    Send {
        /// To whom.
        peer: PeerId,
        /// The kind of the flow.
        about: u8,
        /// The whole message.
        message: Vec<u8>,
    },
    /// Close this group's flows with the peer, and reject the peer's of this group. The session may be closed if nothing else
    /// uses it; tell so with [`Member::on_session_closed`](super::Member::on_session_closed).
    Release(PeerId),
    /// Something to know.
    Event(GroupEvent),
}

/// What happened in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupEvent {
    /// A peer has become a neighbour: `NetGroup.Neighbor.Connect`.
    NeighborConnected(PeerId),
    /// A neighbour is none any more: `NetGroup.Neighbor.Disconnect`.
    NeighborDisconnected(PeerId),
    /// A peer that wanted to be a neighbour was refused.
    Refused {
        /// Who.
        peer: PeerId,
        /// Why.
        reason: Refusal,
    },
    /// A posting: `NetGroup.Posting.Notify`.
    Posting {
        /// The neighbour it came from, which need not be who wrote it.
        from: PeerId,
        /// Its id.
        id: PostingId,
        /// One AMF value.
        value: Vec<u8>,
    },
}

/// Why a peer is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It wants to be in another group.
    #[error("another group")]
    Group,
    /// What it says is meant for somebody else.
    #[error("meant for another peer")]
    Receiver,
    /// It does not know the groupspec.
    #[error("wrong proof")]
    Proof,
    /// It did not say in time that it is in the group.
    #[error("no proof in time")]
    Late,
    /// There are as many neighbours as there may be.
    #[error("too many neighbours")]
    TooMany,
    /// A message that makes no sense.
    #[error("malformed message")]
    Malformed,
}
