//! What scenarios ask about a run.

use rtmfp::flow::{Delivery, FlowOptions, SendFlowId};
use rtmfp::{CloseReason, Event, OpenFailure, SessionId};

use super::{NodeId, Sim};

impl Sim {
    /// Both ends have an open session with each other, and the same one: their nonces match.
    pub(crate) fn is_connected(&self, a: NodeId, b: NodeId) -> bool {
        let one = self.session_of(a, b).and_then(|id| self.get(a).endpoint.session(id));
        let other = self.session_of(b, a).and_then(|id| self.get(b).endpoint.session(id));
        one.zip(other).is_some_and(|(one, other)| {
            (one.near_nonce, one.far_nonce) == (other.far_nonce, other.near_nonce)
                && one.is_initiator != other.is_initiator
        })
    }

    /// The open session of `node` with `with`.
    pub(crate) fn session_of(&self, node: NodeId, with: NodeId) -> Option<SessionId> {
        self.get(node).endpoint.session_of(&self.peer_id(with))
    }

    /// As [`Self::session_of`], where there is one.
    pub(crate) fn session(&self, node: NodeId, with: NodeId) -> SessionId {
        self.session_of(node, with).expect("an open session")
    }

    /// How many sessions a node has, opening and closing ones included.
    pub(crate) fn session_count(&self, node: NodeId) -> usize {
        self.get(node).endpoint.session_count()
    }

    /// How often a session opened at a node.
    pub(crate) fn times_opened(&self, node: NodeId) -> usize {
        self.get(node).events.iter().filter(|(_, event)| matches!(event, Event::Opened { .. })).count()
    }

    /// Why a session did not open, if it is known by now.
    pub(crate) fn failure(&self, node: NodeId, id: SessionId) -> Option<OpenFailure> {
        self.get(node).events.iter().find_map(|(_, event)| match event {
            Event::OpenFailed { session, reason } if *session == id => Some(reason.clone()),
            _ => None,
        })
    }

    /// Why a session closed, if it has.
    pub(crate) fn closed(&self, node: NodeId, id: SessionId) -> Option<CloseReason> {
        self.get(node).events.iter().find_map(|(_, event)| match event {
            Event::Closed { session, reason } if *session == id => Some(*reason),
            _ => None,
        })
    }

    /// How many lookups a node has seen.
    pub(crate) fn lookups(&self, node: NodeId) -> usize {
        self.get(node).events.iter().filter(|(_, event)| matches!(event, Event::Lookup(_))).count()
    }

    /// Opens a flow in the session with another node.
    pub(crate) fn open_flow(&mut self, node: NodeId, to: NodeId, metadata: &[u8]) -> SendFlowId {
        let session = self.session(node, to);
        self.with(node, |endpoint, now| endpoint.open_flow(now, session, metadata, FlowOptions::default()))
            .expect("a flow")
    }

    /// Sends a message, to be delivered in any case.
    pub(crate) fn send(&mut self, node: NodeId, to: NodeId, flow: SendFlowId, message: &[u8]) {
        let session = self.session(node, to);
        self.with(node, |endpoint, now| endpoint.send(now, session, flow, message, Delivery::default()))
            .expect("a message queued");
    }

    /// The messages that have come to a node, in the order of their coming.
    pub(crate) fn messages(&self, node: NodeId) -> Vec<&[u8]> {
        self.get(node).messages.iter().map(|message| message.data.as_slice()).collect()
    }

    /// Tells what every node has seen, for a run that failed.
    pub(crate) fn describe(&self) {
        eprintln!("after {:?} of virtual time:", self.elapsed());
        for (place, node) in self.nodes.iter().enumerate() {
            let sessions = node.endpoint.session_count();
            eprintln!("node {place} at {:?}: {sessions} sessions, {:?}", node.addresses, node.endpoint.counters());
            for (at, event) in node.events.iter().rev().take(20).rev() {
                eprintln!("  {:?} {event:?}", *at - self.start);
            }
        }
    }
}
