//! The flows of a participant's sessions, and the messages on them.

use rtmfp::SessionId;
use rtmfp::flow::{FlowEvent, RecvFlowId, SendFlowId};

use super::context::{EndpointContext, Notice};
use super::peer_session::{Incoming, Outgoing};
use super::state::{Membership, Participant};
use crate::channel::{Received, read_hint};
use crate::member::flow_type;
use crate::member::message::Connect;
use introd_flash::metadata::FlowKind;

impl Participant {
    pub(super) fn handle_flow(&mut self, context: &mut EndpointContext<'_>, session: SessionId, event: &FlowEvent) {
        match event {
            FlowEvent::Opened { flow, metadata, return_of } => match FlowKind::classify(metadata) {
                Some(FlowKind::GroupControl) => self.server_flow_opened(session, *flow, *return_of),
                Some(FlowKind::GroupPeer(flow_type))
                    if !self.peer_flow_opened(session, *flow, flow_type, *return_of) =>
                {
                    reject(context, session, *flow);
                }
                // It was accepted, or is not a flow of groups.
                _ => (),
            },
            FlowEvent::Message { flow, data, .. } => {
                if self.server.is_some_and(|server| server.session == session) {
                    self.server_sent(context, *flow, data);
                } else {
                    self.peer_sent(context, session, *flow, data);
                }
            }
            FlowEvent::Ended { flow, .. } => self.incoming_ended(context, session, *flow),
            FlowEvent::Rejected { flow, .. } => self.rejected(context, session, *flow),
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
                    && own.flow_type == flow_type::POSTING
                {
                    self.note(own.group, Notice::PostingTaken(session.peer));
                }
            }
            FlowEvent::Writable { .. } | FlowEvent::Dropped { .. } => (),
        }
    }

    /// The server has opened a flow. If it is not in return to a flow of this participant, it may be in return to one of its owner.
    fn server_flow_opened(&mut self, session: SessionId, flow: RecvFlowId, return_of: Option<SendFlowId>) {
        if self.server.is_none_or(|server| server.session != session) {
            return;
        }
        let is_it = |own: &&mut Membership| own.joining.is_some_and(|(flow, _)| Some(flow) == return_of);
        if let Some(membership) = self.memberships.values_mut().find(is_it) {
            membership.hints = Some(flow);
        }
    }

    /// Takes a flow of a peer. Returns false if the flow must be rejected.
    pub(super) fn peer_flow_opened(
        &mut self,
        session: SessionId,
        flow: RecvFlowId,
        flow_type: u8,
        return_of: Option<SendFlowId>,
    ) -> bool {
        let Some(session) = self.sessions.get_mut(&session) else { return false };
        let answered = session.sending.iter().find(|own| own.flow.is_some() && own.flow == return_of);
        let group = answered.map(|own| own.group);
        // Only a control flow may be in return to no flow of a group.
        let may_begin = group.is_some() || flow_type == flow_type::CONTROL;
        if !flow_type::is_known(flow_type) || !may_begin || self.memberships.is_empty() {
            return false;
        }
        session.receiving.insert(flow, Incoming { flow_type, group });
        true
    }

    /// The server has sent a message.
    fn server_sent(&mut self, context: &mut EndpointContext<'_>, flow: RecvFlowId, message: &[u8]) {
        let of = self.memberships.iter().find(|(_, membership)| membership.hints == Some(flow));
        let Some(group) = of.map(|(group, _)| *group) else { return };
        if let Ok(Received::Hint(peer)) = read_hint(message) {
            self.note(group, Notice::Hint(peer));
        }
        let now = context.now;
        if let Some(Err(error)) = self.tell(context, &group, |member| member.on_server_message(now, message)) {
            tracing::debug!(%group, %error, "the server has sent a malformed message about a group");
        }
    }

    /// A peer has sent a message.
    fn peer_sent(&mut self, context: &mut EndpointContext<'_>, session: SessionId, flow: RecvFlowId, message: &[u8]) {
        let Some(known) = self.sessions.get_mut(&session) else { return };
        let peer = known.peer;
        let Some(incoming) = known.receiving.get_mut(&flow) else { return };
        let flow_type = incoming.flow_type;
        if incoming.group.is_none() {
            incoming.group = Connect::group_of(message).filter(|group| self.memberships.contains_key(group));
        }
        match incoming.group {
            Some(group) => {
                let now = context.now;
                let is_used = self.tell(context, &group, |member| {
                    member.on_message(now, peer, flow_type, message);
                    member.uses(&peer)
                });
                // A peer that was refused may open as many flows as it likes: none of them is kept.
                if is_used == Some(false)
                    && let Some(known) = self.sessions.get_mut(&session)
                    && known.receiving.remove(&flow).is_some()
                {
                    reject(context, session, flow);
                }
            }
            // This participant is not in the group, or the peer has not named a group first.
            None => {
                known.receiving.remove(&flow);
                reject(context, session, flow);
            }
        }
    }

    fn incoming_ended(&mut self, context: &mut EndpointContext<'_>, session: SessionId, flow: RecvFlowId) {
        if self.server.is_some_and(|server| server.session == session) {
            for membership in self.memberships.values_mut() {
                membership.hints.take_if(|own| *own == flow);
            }
        }
        let Some(known) = self.sessions.get_mut(&session) else { return };
        let Some(Incoming { flow_type, group: Some(group) }) = known.receiving.remove(&flow) else { return };
        if known.incoming(&group, flow_type).is_none() {
            let (now, peer) = (context.now, known.peer);
            self.tell(context, &group, |member| member.on_flow_closed(now, peer, flow_type));
        }
    }

    /// The far end has rejected a flow of this end.
    fn rejected(&mut self, context: &mut EndpointContext<'_>, session: SessionId, flow: SendFlowId) {
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
        let Outgoing { group, flow_type, .. } = *own;
        let now = context.now;
        self.tell(context, &group, |member| member.on_flow_closed(now, peer, flow_type));
        if flow_type == flow_type::CONTROL {
            // The link is closed: either end may ask again.
            self.release(context, session, &group);
        }
    }
}

pub(super) fn reject(context: &mut EndpointContext<'_>, session: SessionId, flow: RecvFlowId) {
    // No exception codes for groups are known.
    let _ = context.endpoint.with_flows(context.now, session, |flows| flows.reject(flow, 0));
}
