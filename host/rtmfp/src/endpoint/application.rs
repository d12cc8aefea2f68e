//! What an application does with its sessions and their flows.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::occupant::Occupant;
use super::state::Endpoint;
use crate::crypto::PeerId;
use crate::event::{CloseReason, OpenFailure};
use crate::flow::{Delivery, FlowError, FlowOptions, Flows, MessageId, SendFlowId};
use crate::session_id::SessionId;
use crate::transmit::InterfaceId;
use crate::wire::Mode;

/// What is known of an open session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    /// The fingerprint of the far end's certificate.
    pub peer_id: PeerId,
    /// Whether the far end has proven that the peer id is its own. An id whose certificate accepts ephemeral keys is never proven:
    /// every peer that has seen the certificate can show it. An id whose certificate has static keys (RFC 7425 §4.3.3.5) is proven as
    /// soon as a packet has come, because only the holder of a private key can make one. Certificates with the same fingerprint are of
    /// the same kind.
    pub is_proven: bool,
    /// Where the far end is.
    pub far_address: SocketAddr,
    /// The interface by which it is reached.
    pub interface: InterfaceId,
    /// Whether this end began.
    pub is_initiator: bool,
    /// The smoothed round trip time, once measured.
    pub smoothed_rtt: Option<Duration>,
    /// This end's nonce (RFC 7425 §4.6.5); zeros after [`Endpoint::forget_nonces`].
    pub near_nonce: [u8; 32],
    /// The far end's nonce; zeros likewise.
    pub far_nonce: [u8; 32],
    /// When the last packet came.
    pub heard: Instant,
}

impl Endpoint {
    /// What is known of a session, if it is open.
    pub fn session(&self, id: SessionId) -> Option<SessionInfo> {
        let Some(Occupant::Session(session)) = self.slots.get(id) else { return None };
        session.is_open().then(|| SessionInfo {
            peer_id: session.identity().peer_id,
            is_proven: session.is_proven(),
            far_address: session.transmit().to,
            interface: session.transmit().interface,
            is_initiator: session.role() == Mode::Initiator,
            smoothed_rtt: session.rtt().smoothed(),
            near_nonce: session.identity().nonces().near,
            far_nonce: session.identity().nonces().far,
            heard: session.heard(),
        })
    }

    /// The hostname in the certificate of a session's far end (RFC 7425 §4.3.3.1), if the session is open. A far end whose certificate has
    /// no static keys has not proven that the name is its own. Names of more than 255 bytes are not kept.
    pub fn far_hostname(&self, id: SessionId) -> Option<&[u8]> {
        let Some(Occupant::Session(session)) = self.slots.get(id) else { return None };
        session.is_open().then(|| session.identity().hostname()).flatten()
    }

    /// When the last packet of a session came, if it is open: [`SessionInfo::heard`] alone, for callers that ask often.
    pub fn heard(&self, id: SessionId) -> Option<Instant> {
        let Some(Occupant::Session(session)) = self.slots.get(id) else { return None };
        session.is_open().then(|| session.heard())
    }

    /// Where the packets of a session come from, if it is open: [`SessionInfo::far_address`] alone, for callers that ask often.
    pub fn far_address(&self, id: SessionId) -> Option<SocketAddr> {
        let Some(Occupant::Session(session)) = self.slots.get(id) else { return None };
        session.is_open().then(|| session.transmit().to)
    }

    /// Frees the memory of a session's nonces. An application that has used them, or never will, has no need of them any more.
    pub fn forget_nonces(&mut self, id: SessionId) {
        if let Some(Occupant::Session(session)) = self.slots.get_mut(id) {
            session.forget_nonces();
        }
    }

    /// The open session with a peer.
    pub fn session_of(&self, peer: &PeerId) -> Option<SessionId> {
        self.by_peer.get(peer, &self.slots)
    }

    /// How many sessions there are: opening, open and closing.
    pub fn session_count(&self) -> usize {
        self.slots.len()
    }

    /// The sessions that there are: opening, open and closing.
    pub fn session_ids(&self) -> impl Iterator<Item = SessionId> + '_ {
        self.slots.iter().map(|(id, _)| id)
    }

    /// Closes a session in an orderly way (RFC 7016 §3.5.5); one that is still opening is given up.
    pub fn close(&mut self, now: Instant, id: SessionId) {
        self.fail(id, OpenFailure::Aborted);
        self.with_session(now, id, |session, context| session.close(context));
    }

    /// Ends a session at once; the far end is told, and need not answer.
    pub fn abort(&mut self, now: Instant, id: SessionId) {
        self.fail(id, OpenFailure::Aborted);
        self.with_session(now, id, |session, context| session.abort(context, CloseReason::Near, true));
    }

    /// Ends every session at once; the far ends are told.
    pub fn abort_all(&mut self, now: Instant) {
        let all: Vec<SessionId> = self.slots.iter().map(|(id, _)| id).collect();
        all.into_iter().for_each(|id| self.abort(now, id));
    }

    /// Closes every session in an orderly way.
    pub fn close_all(&mut self, now: Instant) {
        let all: Vec<SessionId> = self.slots.iter().map(|(id, _)| id).collect();
        all.into_iter().for_each(|id| self.close(now, id));
    }

    /// Adds to what a session has cost, if [`Config::max_work`](crate::Config::max_work) limits that: what the application does for it
    /// with what it sent. The engine itself counts 2 units for a datagram, 1 for a chunk, 40 for a flow that opens, and 1 for each
    /// eight steps of a search, so that a unit is some 0.1 us of a core's time; what it does for bytes alone costs nothing.
    pub fn charge(&mut self, id: SessionId, units: u32) {
        if let Some(limit) = self.config.max_work
            && let Some(Occupant::Session(session)) = self.slots.get_mut(id)
        {
            session.charge(units, limit.get());
        }
    }

    /// Sends a ping; the reply becomes an [`Event::Pong`](crate::Event::Pong). False when the session is not open or has too much waiting.
    pub fn ping(&mut self, now: Instant, id: SessionId, message: &[u8]) -> bool {
        self.with_session(now, id, |session, _| session.ping(message)).unwrap_or(false)
    }

    /// Opens a sending flow.
    ///
    /// # Errors
    /// [`FlowError::NoSession`] unless the session is open, and as [`Flows::open`].
    pub fn open_flow(
        &mut self,
        now: Instant,
        session: SessionId,
        metadata: &[u8],
        options: FlowOptions,
    ) -> Result<SendFlowId, FlowError> {
        self.with_flows(now, session, |flows| flows.open(metadata, options))?
    }

    /// Queues a message on a sending flow.
    ///
    /// # Errors
    /// [`FlowError::NoSession`] unless the session is open, and as [`Flows::send`].
    pub fn send(
        &mut self,
        now: Instant,
        session: SessionId,
        flow: SendFlowId,
        message: impl Into<Vec<u8>>,
        delivery: Delivery,
    ) -> Result<MessageId, FlowError> {
        self.with_flows(now, session, |flows| flows.send(flow, message, delivery))?
    }

    /// Works on a session's flows in ways that have no method here: what is queued is sent as usual.
    ///
    /// # Errors
    /// [`FlowError::NoSession`] unless the session is open.
    pub fn with_flows<T>(
        &mut self,
        now: Instant,
        session: SessionId,
        work: impl FnOnce(&mut Flows) -> T,
    ) -> Result<T, FlowError> {
        self.with_session(now, session, |session, context| {
            let result = work(session.flows()?);
            session.drain_flow_events(context);
            Some(result)
        })
        .flatten()
        .ok_or(FlowError::NoSession)
    }
}
