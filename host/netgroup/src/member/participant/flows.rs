//! The flows of a participant's sessions, and what is said on them.

use std::collections::BTreeMap;
use std::time::Instant;

use rtmfp::flow::{FlowEvent, RecvFlowId, SendFlowId};
use rtmfp::{PeerId, SessionId};

use super::super::message::Connect;
use super::super::{GroupDigest, about};
use super::{Ground, Notice, Participant};
use crate::channel::{Received, read_hint};
use introd_flash::metadata::FlowKind;

/// A session with a peer.
#[derive(Debug)]
pub(super) struct PeerSession {
    pub(super) peer: PeerId,
    /// Opened by this end, for a group.
    pub(super) is_ours: bool,
    /// Since when no group uses it.
    pub(super) idle_since: Option<Instant>,
    /// The peer's flows.
    pub(super) receiving: BTreeMap<RecvFlowId, Incoming>,
    /// This end's flows.
    pub(super) sending: Vec<Outgoing>,
}

/// A flow of a peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Incoming {
    pub(super) about: u8,
    /// Not known of a control flow until its first message says it.
    pub(super) group: Option<GroupDigest>,
}

/// A flow to a peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outgoing {
    pub(super) group: GroupDigest,
    pub(super) about: u8,
    /// `None` once the peer has rejected it: it gets no other.
    pub(super) flow: Option<SendFlowId>,
}

impl PeerSession {
    pub(super) fn new(peer: PeerId, is_ours: bool) -> Self {
        Self { peer, is_ours, idle_since: None, receiving: BTreeMap::new(), sending: Vec::new() }
    }

    pub(super) fn outgoing(&self, group: &GroupDigest, about: u8) -> Option<&Outgoing> {
        self.sending.iter().find(|own| own.group == *group && own.about == about)
    }

    /// The peer's flow of that kind.
    pub(super) fn incoming(&self, group: &GroupDigest, about: u8) -> Option<RecvFlowId> {
        let is_it = |incoming: &Incoming| incoming.group == Some(*group) && incoming.about == about;
        self.receiving.iter().find(|(_, incoming)| is_it(incoming)).map(|(flow, _)| *flow)
    }
}

fn is_known(about: u8) -> bool {
    matches!(about, about::CONTROL | about::STREAM | about::FRAGMENT | about::POSTING_KEY | about::POSTING)
}

impl Participant {
    pub(super) fn handle_flow(&mut self, ground: &mut Ground<'_>, session: SessionId, event: &FlowEvent) {
        match event {
            FlowEvent::Opened { flow, metadata, return_of } => match FlowKind::classify(metadata) {
                Some(FlowKind::GroupControl) => self.server_flow_opened(session, *flow, *return_of),
                Some(FlowKind::GroupPeer(about)) if !self.peer_flow_opened(session, *flow, about, *return_of) => {
                    reject(ground, session, *flow);
                }
                // Taken, or not about groups.
                _ => (),
            },
            FlowEvent::Message { flow, data, .. } => {
                if self.server.is_some_and(|server| server.session == session) {
                    self.server_said(ground, *flow, data);
                } else {
                    self.peer_said(ground, session, *flow, data);
                }
            }
            FlowEvent::Ended { flow, .. } => self.incoming_ended(ground, session, *flow),
            FlowEvent::Rejected { flow, .. } => self.rejected(ground, session, *flow),
            FlowEvent::Closed { flow } => {
                if let Some(session) = self.sessions.get_mut(&session) {
                    session.sending.retain(|own| own.flow != Some(*flow));
                }
            }
            FlowEvent::Delivered { flow, message } => {
                let joined = self.memberships.iter().find(|(_, membership)| {
                    self.server.is_some_and(|server| server.session == session)
                        && membership.joining == Some((*flow, Some(*message)))
                });
                if let Some((group, _)) = joined {
                    self.note(*group, Notice::Joined);
                } else if let Some(session) = self.sessions.get(&session)
                    && let Some(own) = session.sending.iter().find(|own| own.flow == Some(*flow))
                    && own.about == about::POSTING
                {
                    self.note(own.group, Notice::PostingTaken(session.peer));
                }
            }
            FlowEvent::Writable { .. } | FlowEvent::Dropped { .. } => (),
        }
    }

    /// A flow that is in return to none of this participant's may be in return to something that its owner does itself.
    fn server_flow_opened(&mut self, session: SessionId, flow: RecvFlowId, return_of: Option<SendFlowId>) {
        if self.server.is_none_or(|server| server.session != session) {
            return;
        }
        let is_it = |own: &&mut super::Membership| own.joining.is_some_and(|(flow, _)| Some(flow) == return_of);
        if let Some(membership) = self.memberships.values_mut().find(is_it) {
            membership.hints = Some(flow);
        }
    }

    /// False if the flow is to be rejected.
    fn peer_flow_opened(
        &mut self,
        session: SessionId,
        flow: RecvFlowId,
        about: u8,
        return_of: Option<SendFlowId>,
    ) -> bool {
        let Some(session) = self.sessions.get_mut(&session) else { return false };
        let answered = session.sending.iter().find(|own| own.flow.is_some() && own.flow == return_of);
        let group = answered.map(|own| own.group);
        // What is in return to nothing of a group can only be the beginning.
        if !is_known(about) || (group.is_none() && about != about::CONTROL) || self.memberships.is_empty() {
            return false;
        }
        session.receiving.insert(flow, Incoming { about, group });
        true
    }

    fn server_said(&mut self, ground: &mut Ground<'_>, flow: RecvFlowId, message: &[u8]) {
        let of = self.memberships.iter().find(|(_, membership)| membership.hints == Some(flow));
        let Some(group) = of.map(|(group, _)| *group) else { return };
        if let Ok(Received::Hint(peer)) = read_hint(message) {
            self.note(group, Notice::Hint(peer));
        }
        let now = ground.now;
        if let Some(Err(error)) = self.tell(ground, &group, |member| member.on_server_message(now, message)) {
            tracing::debug!(%group, %error, "the server says something about a group that cannot be read");
        }
    }

    fn peer_said(&mut self, ground: &mut Ground<'_>, session: SessionId, flow: RecvFlowId, message: &[u8]) {
        let Some(known) = self.sessions.get_mut(&session) else { return };
        let peer = known.peer;
        let Some(incoming) = known.receiving.get_mut(&flow) else { return };
        let about = incoming.about;
        if incoming.group.is_none() {
            incoming.group = Connect::group_of(message).filter(|group| self.memberships.contains_key(group));
        }
        match incoming.group {
            Some(group) => {
                let now = ground.now;
                let is_used = self.tell(ground, &group, |member| {
                    member.on_message(now, peer, about, message);
                    member.uses(&peer)
                });
                // Whoever was refused may open as many flows as it likes: none is kept.
                if is_used == Some(false)
                    && let Some(known) = self.sessions.get_mut(&session)
                    && known.receiving.remove(&flow).is_some()
                {
                    reject(ground, session, flow);
                }
            }
            // Nobody here is in that group, and whoever is says so first.
            None => {
                known.receiving.remove(&flow);
                reject(ground, session, flow);
            }
        }
    }

    fn incoming_ended(&mut self, ground: &mut Ground<'_>, session: SessionId, flow: RecvFlowId) {
        if self.server.is_some_and(|server| server.session == session) {
            for membership in self.memberships.values_mut() {
                membership.hints.take_if(|own| *own == flow);
            }
        }
        let Some(known) = self.sessions.get_mut(&session) else { return };
        let Some(Incoming { about, group: Some(group) }) = known.receiving.remove(&flow) else { return };
        if known.incoming(&group, about).is_none() {
            let (now, peer) = (ground.now, known.peer);
            self.tell(ground, &group, |member| member.on_flow_closed(now, peer, about));
        }
    }

    /// A flow of this end's was rejected.
    fn rejected(&mut self, ground: &mut Ground<'_>, session: SessionId, flow: SendFlowId) {
        if self.server.is_some_and(|server| server.session == session) {
            let refused = self
                .memberships
                .iter_mut()
                .find_map(|(group, membership)| membership.joining.take_if(|(own, _)| *own == flow).map(|_| *group));
            if let Some(group) = refused {
                self.note(group, Notice::JoinRefused);
            }
        }
        let Some(known) = self.sessions.get_mut(&session) else { return };
        let peer = known.peer;
        let Some(own) = known.sending.iter_mut().find(|own| own.flow == Some(flow)) else { return };
        own.flow = None;
        let Outgoing { group, about, .. } = *own;
        let now = ground.now;
        self.tell(ground, &group, |member| member.on_flow_closed(now, peer, about));
        if about == about::CONTROL {
            // Nothing is left of it: either end may ask again.
            self.release(ground, session, &group);
        }
    }
}

pub(super) fn reject(ground: &mut Ground<'_>, session: SessionId, flow: RecvFlowId) {
    // No exception codes are known for groups.
    let _ = ground.endpoint.with_flows(ground.now, session, |flows| flows.reject(flow, 0));
}
