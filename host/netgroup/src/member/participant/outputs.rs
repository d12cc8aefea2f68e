//! Doing what the members of a participant ask for.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use rtmfp::crypto::Epd;
use rtmfp::flow::{Delivery, FlowOptions, SendFlowId};
use rtmfp::{InterfaceId, Origin, PeerId, SessionId, TaggedAddress};

use super::super::{GroupDigest, Output, about};
use super::flows::{Outgoing, reject};
use super::{Ground, Notice, OPENING_PATIENCE, Opening, Participant, facts};
use introd_flash::metadata::FlowKind;

impl Participant {
    pub(super) fn pump_all(&mut self, ground: &mut Ground<'_>) {
        let groups: Vec<GroupDigest> = self.memberships.keys().copied().collect();
        groups.iter().for_each(|group| self.pump(ground, group));
    }

    /// Does what a member asks for, and what that leads to.
    pub(super) fn pump(&mut self, ground: &mut Ground<'_>, group: &GroupDigest) {
        while let Some(output) = self.memberships.get_mut(group).and_then(|own| own.member.poll_output()) {
            match output {
                Output::SendToServer(message) => self.send_to_server(ground, group, message),
                Output::Connect { peer, addresses } => self.connect(ground, group, peer, &addresses),
                Output::Send { peer, about, message } => self.send(ground, group, peer, about, message),
                Output::Release(peer) => {
                    if let Some(session) = self.by_peer.get(&peer).copied() {
                        self.release(ground, session, group);
                    }
                }
                Output::Event(event) => self.note(*group, Notice::Event(event)),
            }
        }
    }

    fn send_to_server(&mut self, ground: &mut Ground<'_>, group: &GroupDigest, message: Vec<u8>) {
        let (Some(server), Some(membership)) = (self.server, self.memberships.get_mut(group)) else { return };
        let (now, metadata) = (ground.now, FlowKind::GroupControl.metadata());
        let options = FlowOptions { return_of: Some(server.control), ..FlowOptions::default() };
        let sent = ground.endpoint.open_flow(now, server.session, &metadata, options).and_then(|flow| {
            membership.joining = Some((flow, None));
            let delivery = Delivery { notify: true, ..Delivery::default() };
            let message = ground.endpoint.send(now, server.session, flow, message, delivery)?;
            membership.joining = Some((flow, Some(message)));
            Ok(())
        });
        if let Err(error) = sent {
            tracing::debug!(%group, %error, "group not joined at the server");
            self.note(*group, Notice::JoinRefused);
        }
    }

    fn connect(&mut self, ground: &mut Ground<'_>, group: &GroupDigest, peer: PeerId, addresses: &[TaggedAddress]) {
        let now = ground.now;
        let open = self.by_peer.get(&peer).and_then(|session| ground.endpoint.session(*session));
        if let Some(info) = open {
            if let Some(membership) = self.memberships.get_mut(group) {
                membership.member.on_session(now, facts(&info));
            }
            return;
        }
        if self.opening.values().any(|opening| opening.peer == peer) {
            return;
        }
        let candidates = self.candidates(ground, addresses);
        let opening = (!candidates.is_empty())
            .then(|| ground.endpoint.open(now, Epd::fingerprint(peer).to_vec(), &candidates))
            .flatten();
        match opening {
            Some(session) => {
                self.opening.insert(session, Opening { peer, until: now + OPENING_PATIENCE });
            }
            None => {
                if let Some(membership) = self.memberships.get_mut(group) {
                    membership.member.on_open_failed(now, peer);
                }
            }
        }
    }

    /// Where a peer may be: its own addresses before those of its introducers, and this end's server last.
    fn candidates(&mut self, ground: &Ground<'_>, addresses: &[TaggedAddress]) -> Vec<(InterfaceId, SocketAddr)> {
        let server = self.server.and_then(|server| ground.endpoint.session(server.session));
        let (relays, direct): (Vec<TaggedAddress>, Vec<TaggedAddress>) =
            self.aims.take(ground.now, addresses).into_iter().partition(|address| address.origin == Origin::Relay);
        let named = direct.iter().chain(&relays).filter_map(|named: &TaggedAddress| {
            let is_server = server.is_some_and(|info| info.far_address == named.address);
            if is_server { None } else { Some(((ground.route)(named.address)?, named.address)) }
        });
        // The server knows this end by the path of its session.
        let mut all: Vec<_> = named.chain(server.map(|info| (info.interface, info.far_address))).collect();
        let mut seen = BTreeSet::new();
        all.retain(|(_, address)| seen.insert(*address));
        all
    }

    fn send(&mut self, ground: &mut Ground<'_>, group: &GroupDigest, peer: PeerId, about: u8, message: Vec<u8>) {
        let now = ground.now;
        let Some(id) = self.by_peer.get(&peer).copied() else { return };
        let Some(flow) = self.flow(ground, id, group, about) else { return };
        let delivery = Delivery { notify: about == about::POSTING, ..Delivery::default() };
        if let Err(error) = ground.endpoint.send(now, id, flow, message, delivery) {
            // A neighbour that takes nothing in has no use for more.
            tracing::debug!(%group, %peer, about, %error, "message to a neighbour not sent");
        }
    }

    /// The flow of that kind to a peer; it is opened if there is none. `None` if the peer will have none.
    fn flow(&mut self, ground: &mut Ground<'_>, id: SessionId, group: &GroupDigest, about: u8) -> Option<SendFlowId> {
        let session = self.sessions.get_mut(&id)?;
        if let Some(own) = session.outgoing(group, about) {
            return own.flow;
        }
        let return_of = match about::in_return_to(about) {
            None => None,
            // Without it the peer would not know which group this is about.
            Some(theirs) => Some(session.incoming(group, theirs)?),
        };
        let options = FlowOptions { return_of, ..FlowOptions::default() };
        match ground.endpoint.open_flow(ground.now, id, &FlowKind::GroupPeer(about).metadata(), options) {
            Ok(flow) => {
                session.sending.push(Outgoing { group: *group, about, flow: Some(flow) });
                Some(flow)
            }
            Err(error) => {
                tracing::debug!(%group, peer = %session.peer, about, %error, "flow to a neighbour not opened");
                None
            }
        }
    }

    /// Closes a group's flows to a peer, and rejects the peer's.
    pub(super) fn release(&mut self, ground: &mut Ground<'_>, id: SessionId, group: &GroupDigest) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let now = ground.now;
        for own in session.sending.extract_if(.., |own| own.group == *group) {
            if let Some(flow) = own.flow {
                let _ = ground.endpoint.with_flows(now, id, |flows| flows.close(flow));
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
            reject(ground, id, flow);
        }
    }
}
