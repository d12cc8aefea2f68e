//! The groups of an endpoint: it joins them through its server if it has one, and exchanges group messages with its peers.

use std::net::SocketAddr;
use std::time::Instant;

use introd_flash::metadata::FlowKind;
use introd_netgroup::member::{GroupCounters, Member};
use introd_netgroup::participant::{EndpointContext, NameError, Notice, Participant, ServerConnection};
use introd_netgroup::{GroupDigest, Groupspec};
use rtmfp::flow::{FlowEvent, SendFlowId};
use rtmfp::{Event, PeerId, SessionId};

use crate::discovery::{Announced, LocalDiscovery};
use crate::peer_endpoint::PeerEndpoint;

/// The groups of an endpoint, to work with. See the methods of the same names of [`Participant`].
pub struct ClientGroups<'a> {
    pub(super) groups: &'a mut Groups,
    pub(super) peer: &'a mut PeerEndpoint,
}

impl ClientGroups<'_> {
    /// Joins a group; false if the endpoint is a member.
    pub fn join(&mut self, group: &Groupspec) -> bool {
        self.groups.join(self.peer, group)
    }

    /// Leaves a group; false if the endpoint is no member.
    pub fn leave(&mut self, group: &GroupDigest) -> bool {
        self.groups.leave(self.peer, group)
    }

    /// Calls `work` with the endpoint's member of a group; `None` if there is none.
    pub fn with_member<T>(&mut self, group: &GroupDigest, work: impl FnOnce(&mut Member) -> T) -> Option<T> {
        self.groups.with_member(self.peer, group, work)
    }

    /// The endpoint's member of a group, to look at.
    pub fn member(&self, group: &GroupDigest) -> Option<&Member> {
        self.groups.member(group)
    }

    /// Adds a permanent neighbour.
    ///
    /// # Errors
    /// As [`Participant::add_named`].
    pub fn add_named(&mut self, group: &GroupDigest, name: &str, addresses: &[SocketAddr]) -> Result<(), NameError> {
        self.groups.work(self.peer, |groups, context| groups.add_named(context, group, name, addresses))
    }

    /// Ends the permanent status of a neighbour; false if the name is not known.
    pub fn remove_named(&mut self, group: &GroupDigest, name: &str) -> bool {
        self.groups.work(self.peer, |groups, context| groups.remove_named(context, group, name))
    }

    /// The next notice about a group. To be called after each event, and each call of another method, until there is none.
    pub fn next_notice(&mut self) -> Option<(GroupDigest, Notice)> {
        self.groups.poll_notice()
    }

    /// What was refused, and how many members were introduced to each other, since the last call.
    pub fn take_counters(&mut self) -> GroupCounters {
        self.groups.take_counters()
    }
}

/// An endpoint's memberships.
pub(super) struct Groups {
    participant: Participant,
    near: PeerId,
    /// Finds members on the local network.
    pub(super) discovery: LocalDiscovery,
}

impl Groups {
    /// No memberships of the client `id`.
    pub(super) fn new(id: PeerId, seed: [u8; 32]) -> Self {
        Self { participant: Participant::new(id, seed), near: id, discovery: LocalDiscovery::default() }
    }

    pub(super) fn set_own_name(&mut self, name: Option<String>) {
        self.participant.set_own_name(name);
    }

    pub(super) fn leave_all(&mut self, peer: &mut PeerEndpoint) {
        let all: Vec<GroupDigest> = self.participant.groups().collect();
        for group in all {
            self.leave(peer, &group);
        }
    }

    /// An event of an endpoint without a server.
    pub(super) fn handle_endpoint_event(&mut self, peer: &mut PeerEndpoint, event: &Event) {
        self.work(peer, |groups, context| groups.handle_event(context, event));
    }

    pub(super) fn join(&mut self, peer: &mut PeerEndpoint, group: &Groupspec) -> bool {
        let is_new = self.work(peer, |groups, context| groups.join(context, group));
        if is_new {
            self.discovery.join(group, self.near, peer.ports.local_addresses());
        }
        is_new
    }

    pub(super) fn leave(&mut self, peer: &mut PeerEndpoint, group: &GroupDigest) -> bool {
        self.discovery.leave(group);
        self.work(peer, |groups, context| groups.leave(context, group))
    }

    /// A member has announced itself on the local network.
    pub(super) fn announced(&mut self, peer: &mut PeerEndpoint, announced: Announced) {
        let Announced { group, peer: member, address } = announced;
        self.with_member(peer, &group, |own| own.on_announced(Instant::now(), member, address));
    }

    fn take_counters(&mut self) -> GroupCounters {
        let mut counters = self.participant.take_counters();
        counters.discovery.add(self.discovery.take_counters());
        counters
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
        self.participant.member(group)
    }

    pub(super) fn poll_notice(&mut self) -> Option<(GroupDigest, Notice)> {
        self.participant.poll_notice()
    }

    /// When [`Self::handle_timeout`] is to be called.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.participant.poll_timeout()
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
        work(&mut self.participant, &mut EndpointContext { now: Instant::now(), endpoint, route: &route })
    }
}
