//! The groups of a client: it joins them through its server, and exchanges group messages with its peers.

use std::net::SocketAddr;
use std::time::Instant;

use introd_flash::metadata::FlowKind;
use introd_netgroup::member::Member;
use introd_netgroup::participant::{EndpointContext, Notice, Participant, ServerConnection};
use introd_netgroup::{GroupDigest, Groupspec};
use rtmfp::flow::{FlowEvent, SendFlowId};
use rtmfp::{Event, PeerId, SessionId};

use crate::peer_endpoint::PeerEndpoint;

/// A client's memberships.
pub(super) struct Groups(Participant);

impl Groups {
    /// No memberships of the client `id`.
    pub(super) fn new(id: PeerId, seed: [u8; 32]) -> Self {
        Self(Participant::new(id, seed))
    }

    pub(super) fn join(&mut self, peer: &mut PeerEndpoint, group: &Groupspec) -> bool {
        self.work(peer, |groups, context| groups.join(context, group))
    }

    pub(super) fn leave(&mut self, peer: &mut PeerEndpoint, group: &GroupDigest) -> bool {
        self.work(peer, |groups, context| groups.leave(context, group))
    }

    pub(super) fn with_member<T>(
        &mut self,
        peer: &mut PeerEndpoint,
        group: &GroupDigest,
        work: impl FnOnce(&mut Member) -> T,
    ) -> Option<T> {
        self.work(peer, |groups, context| groups.tell(context, group, work))
    }

    pub(super) fn member(&self, group: &GroupDigest) -> Option<&Member> {
        self.0.member(group)
    }

    pub(super) fn poll_notice(&mut self) -> Option<(GroupDigest, Notice)> {
        self.0.poll_notice()
    }

    /// When [`Self::handle_timeout`] is to be called.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.0.poll_timeout()
    }

    pub(super) fn handle_timeout(&mut self, peer: &mut PeerEndpoint) {
        self.work(peer, Participant::handle_timeout);
    }

    /// `server` is the session with the server, and `control` the flow on which the client sends commands to it.
    pub(super) fn handle_event(
        &mut self,
        peer: &mut PeerEndpoint,
        server: SessionId,
        control: SendFlowId,
        event: &Event,
    ) {
        self.work(peer, |groups, context| groups.handle_event(context, event));
        let Event::Flow { session, event: FlowEvent::Opened { flow, metadata, return_of } } = event else { return };
        let is_control = *session == server
            && *return_of == Some(control)
            && FlowKind::classify(metadata) == Some(FlowKind::stream(0));
        if is_control {
            let server = ServerConnection { session: server, control: *flow };
            self.work(peer, |groups, context| groups.set_server(context, Some(server)));
        }
    }

    fn work<T>(
        &mut self,
        peer: &mut PeerEndpoint,
        work: impl FnOnce(&mut Participant, &mut EndpointContext<'_>) -> T,
    ) -> T {
        let (endpoint, ports) = (&mut peer.endpoint, &peer.ports);
        let route = |address: SocketAddr| ports.route(address);
        work(&mut self.0, &mut EndpointContext { now: Instant::now(), endpoint, route: &route })
    }
}
