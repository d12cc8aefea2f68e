//! Carries out what the members of a participant ask for.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use rtmfp::crypto::Epd;
use rtmfp::flow::{Delivery, FlowOptions, SendFlowId};
use rtmfp::{InterfaceId, Origin, PeerId, SessionId, TaggedAddress};

use super::context::{EndpointContext, Notice};
use super::flows::reject;
use super::peer_session::{Outgoing, facts};
use super::state::{OPENING_TIMEOUT, Opening, Participant};
use crate::digest::GroupDigest;
use crate::member::{GroupEvent, Output, flow_type};
use introd_flash::metadata::FlowKind;

impl Participant {
    pub(super) fn pump_all(&mut self, context: &mut EndpointContext<'_>) {
        let groups: Vec<GroupDigest> = self.memberships.keys().copied().collect();
        groups.iter().for_each(|group| self.pump(context, group));
    }

    /// Carries out what a member asks for, and what follows from that.
    pub(super) fn pump(&mut self, context: &mut EndpointContext<'_>, group: &GroupDigest) {
        while let Some(output) = self.memberships.get_mut(group).and_then(|own| own.member.poll_output()) {
            match output {
                Output::SendToServer(message) => self.send_to_server(context, group, message),
                Output::Connect { peer, addresses } => self.connect(context, group, peer, &addresses),
                Output::Send { peer, flow_type, message } => self.send(context, group, peer, flow_type, message),
                Output::Release(peer) => {
                    self.named_released(context.now, group, peer);
                    if let Some(session) = self.by_peer.get(&peer).copied() {
                        self.release(context, session, group);
                    }
                }
                Output::Event(event) => {
                    match event {
                        GroupEvent::NeighborConnected(peer) => self.named_connected(context, group, peer),
                        GroupEvent::NeighborDisconnected(peer) => self.named_disconnected(context.now, group, peer),
                        _ => (),
                    }
                    self.note(*group, Notice::Event(event));
                }
            }
        }
        if let Some(membership) = self.memberships.get_mut(group) {
            self.counters.take_from(&mut membership.member.take_counters());
        }
    }

    fn send_to_server(&mut self, context: &mut EndpointContext<'_>, group: &GroupDigest, message: Vec<u8>) {
        let (Some(server), Some(membership)) = (self.server, self.memberships.get_mut(group)) else { return };
        let (now, metadata) = (context.now, FlowKind::GroupControl.metadata());
        let options = FlowOptions { return_of: Some(server.control), ..FlowOptions::default() };
        let sent = context.endpoint.open_flow(now, server.session, &metadata, options).and_then(|flow| {
            membership.joining = Some((flow, None));
            let delivery = Delivery { notify: true, ..Delivery::default() };
            let message = context.endpoint.send(now, server.session, flow, message, delivery)?;
            membership.joining = Some((flow, Some(message)));
            Ok(())
        });
        if let Err(error) = sent {
            tracing::debug!(%group, %error, "group not joined at the server");
            self.note(*group, Notice::JoinRefused);
        }
    }

    fn connect(
        &mut self,
        context: &mut EndpointContext<'_>,
        group: &GroupDigest,
        peer: PeerId,
        addresses: &[TaggedAddress],
    ) {
        let now = context.now;
        let open = self.by_peer.get(&peer).and_then(|session| context.endpoint.session(*session));
        if let Some(info) = open {
            if let Some(membership) = self.memberships.get_mut(group) {
                membership.member.on_session(now, facts(&info));
            }
            return;
        }
        if self.opening.values().any(|opening| opening.peer == peer) {
            return;
        }
        let mut candidates = self.candidates(context, addresses);
        self.add_introducers(context, group, &peer, &mut candidates);
        let opening = (!candidates.is_empty())
            .then(|| context.endpoint.open(now, Epd::fingerprint(peer).to_vec(), &candidates))
            .flatten();
        match opening {
            Some(session) => {
                self.opening.insert(session, Opening { peer, until: now + OPENING_TIMEOUT });
            }
            None => {
                if let Some(membership) = self.memberships.get_mut(group) {
                    membership.member.on_open_failed(now, peer);
                }
            }
        }
    }

    /// The addresses to try for a peer: its own before those of its introducers, and this end's server last.
    pub(super) fn candidates(
        &mut self,
        context: &EndpointContext<'_>,
        addresses: &[TaggedAddress],
    ) -> Vec<(InterfaceId, SocketAddr)> {
        let server = self.server.and_then(|server| context.endpoint.session(server.session));
        let (relays, direct): (Vec<TaggedAddress>, Vec<TaggedAddress>) =
            self.attempts.take(context.now, addresses).into_iter().partition(|address| address.origin == Origin::Relay);
        let named = direct.iter().chain(&relays).filter_map(|named: &TaggedAddress| {
            let is_server = server.is_some_and(|info| info.far_address == named.address);
            if is_server { None } else { Some(((context.route)(named.address)?, named.address)) }
        });
        // The server knows this end by the interface and address of its session.
        let mut all: Vec<_> = named.chain(server.map(|info| (info.interface, info.far_address))).collect();
        let mut seen = BTreeSet::new();
        all.retain(|(_, address)| seen.insert(*address));
        all
    }

    /// Sends what a member would not.
    #[cfg(test)]
    pub(super) fn inject(
        &mut self,
        context: &mut EndpointContext<'_>,
        group: &GroupDigest,
        peer: PeerId,
        flow_type: u8,
        message: Vec<u8>,
    ) {
        self.send(context, group, peer, flow_type, message);
    }

    /// Adds the neighbours that have named a peer: without a server, they may be able to introduce it.
    fn add_introducers(
        &self,
        context: &EndpointContext<'_>,
        group: &GroupDigest,
        peer: &PeerId,
        candidates: &mut Vec<(InterfaceId, SocketAddr)>,
    ) {
        let Some(membership) = self.memberships.get(group).filter(|_| self.server.is_none()) else { return };
        for namer in membership.member.introducers(peer).filter(|namer| membership.member.is_neighbor(namer)) {
            let session = self.by_peer.get(&namer).and_then(|session| context.endpoint.session(*session));
            // The neighbour knows this end by the interface and address of its session.
            if let Some(info) = session.filter(|info| !candidates.iter().any(|known| known.1 == info.far_address)) {
                candidates.push((info.interface, info.far_address));
            }
        }
    }

    fn send(
        &mut self,
        context: &mut EndpointContext<'_>,
        group: &GroupDigest,
        peer: PeerId,
        flow_type: u8,
        message: Vec<u8>,
    ) {
        let now = context.now;
        let Some(id) = self.by_peer.get(&peer).copied() else { return };
        let Some(flow) = self.flow(context, id, group, flow_type) else { return };
        let delivery = Delivery { notify: flow_type == flow_type::POSTING, ..Delivery::default() };
        if let Err(error) = context.endpoint.send(now, id, flow, message, delivery) {
            // The neighbour acknowledges nothing: more messages would not reach it either.
            tracing::debug!(%group, %peer, flow_type, %error, "message to a neighbour not sent");
        }
    }

    /// This end's flow of a type to a peer, which is opened if there is none. `None` if the peer rejects it.
    fn flow(
        &mut self,
        context: &mut EndpointContext<'_>,
        id: SessionId,
        group: &GroupDigest,
        flow_type: u8,
    ) -> Option<SendFlowId> {
        let session = self.sessions.get_mut(&id)?;
        if let Some(own) = session.outgoing(group, flow_type) {
            return own.flow;
        }
        let return_of = match flow_type::in_return_to(flow_type) {
            None => None,
            // Without that flow the peer would not know the group of this one.
            Some(theirs) => Some(session.incoming(group, theirs)?),
        };
        let options = FlowOptions { return_of, ..FlowOptions::default() };
        match context.endpoint.open_flow(context.now, id, &FlowKind::GroupPeer(flow_type).metadata(), options) {
            Ok(flow) => {
                session.sending.push(Outgoing { group: *group, flow_type, flow: Some(flow) });
                Some(flow)
            }
            Err(error) => {
                tracing::debug!(%group, peer = %session.peer, flow_type, %error, "flow to a neighbour not opened");
                None
            }
        }
    }

    /// Closes a group's flows to a peer, and rejects the peer's flows of that group.
    pub(super) fn release(&mut self, context: &mut EndpointContext<'_>, id: SessionId, group: &GroupDigest) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let now = context.now;
        for own in session.sending.extract_if(.., |own| own.group == *group) {
            if let Some(flow) = own.flow {
                let _ = context.endpoint.with_flows(now, id, |flows| flows.close(flow));
            }
        }
        let theirs: Vec<_> = session
            .receiving
            .iter()
            .filter(|(_, incoming)| incoming.group == Some(*group))
            .map(|(flow, _)| *flow)
            .collect();
        for flow in theirs {
            session.receiving.remove(&flow);
            reject(context, id, flow);
        }
    }
}
