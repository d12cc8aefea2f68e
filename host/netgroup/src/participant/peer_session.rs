//! A session with a peer, and its flows.

use std::collections::BTreeMap;
use std::time::Instant;

use rtmfp::flow::{RecvFlowId, SendFlowId};
use rtmfp::{PeerId, SessionInfo, TokenBucket};

use crate::digest::GroupDigest;
use crate::member::SessionFacts;

/// A session with a peer.
#[derive(Debug)]
pub(super) struct PeerSession {
    pub(super) peer: PeerId,
    /// When it opened.
    pub(super) since: Instant,
    /// Limits the peer's hellos for others.
    pub(super) lookups: TokenBucket,
    /// Whether this end opened it, for a group.
    pub(super) is_own: bool,
    /// When it was first seen that no group uses it.
    pub(super) idle_since: Option<Instant>,
    /// The peer's flows.
    pub(super) receiving: BTreeMap<RecvFlowId, Incoming>,
    /// This end's flows.
    pub(super) sending: Vec<Outgoing>,
}

/// A flow of a peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Incoming {
    pub(super) flow_type: u8,
    /// `None` for a control flow until its first message names the group.
    pub(super) group: Option<GroupDigest>,
}

/// A flow to a peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outgoing {
    pub(super) group: GroupDigest,
    pub(super) flow_type: u8,
    /// `None` if the peer has rejected the flow. No other is opened in its place.
    pub(super) flow: Option<SendFlowId>,
}

impl PeerSession {
    pub(super) fn new(now: Instant, peer: PeerId, is_own: bool) -> Self {
        Self {
            peer,
            since: now,
            lookups: TokenBucket::default(),
            is_own,
            idle_since: None,
            receiving: BTreeMap::new(),
            sending: Vec::new(),
        }
    }

    pub(super) fn outgoing(&self, group: &GroupDigest, flow_type: u8) -> Option<&Outgoing> {
        self.sending.iter().find(|own| own.group == *group && own.flow_type == flow_type)
    }

    /// The peer's flow of a group and type.
    pub(super) fn incoming(&self, group: &GroupDigest, flow_type: u8) -> Option<RecvFlowId> {
        let is_it = |incoming: &Incoming| incoming.group == Some(*group) && incoming.flow_type == flow_type;
        self.receiving.iter().find(|(_, incoming)| is_it(incoming)).map(|(flow, _)| *flow)
    }
}

/// The facts of a session that a member needs.
pub(super) fn facts(info: &SessionInfo) -> SessionFacts {
    SessionFacts {
        peer: info.peer_id,
        near_nonce: info.near_nonce,
        far_nonce: info.far_nonce,
        far_address: info.far_address,
        rtt: info.smoothed_rtt,
    }
}
