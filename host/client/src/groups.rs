//! A client's groups: it joins them through its server, and takes part in them with its peers.

use std::net::SocketAddr;
use std::time::Instant;

use rtmfp::flow::FlowEvent;
use rtmfp::{Event, PeerId};

use crate::connection::Client;
use introd_flash::metadata::FlowKind;
use introd_netgroup::member::{Member, PostingId};
use introd_netgroup::participant::{EndpointContext, Notice, Participant, ServerConnection};
use introd_netgroup::{GroupDigest, Groupspec};

impl Client {
    /// Joins a group, through the server. False if the client is in that group.
    pub fn join(&mut self, group: &Groupspec) -> bool {
        self.with_groups(|groups, context| groups.join(context, group))
    }

    /// Leaves a group. False if the client is in no such group.
    pub fn leave(&mut self, group: &GroupDigest) -> bool {
        self.with_groups(|groups, context| groups.leave(context, group))
    }

    /// Has a membership do something; `None` if the client is in no such group.
    pub fn tell_member<T>(&mut self, group: &GroupDigest, what: impl FnOnce(&mut Member) -> T) -> Option<T> {
        self.with_groups(|groups, context| groups.tell(context, group, what))
    }

    /// Posts one AMF value to all members. `None` if the client is in no such group, the value is too long, or it was posted
    /// before.
    pub fn post(&mut self, group: &GroupDigest, value: &[u8]) -> Option<PostingId> {
        self.tell_member(group, |member| member.post(value)).flatten()
    }

    /// A membership, to look at.
    pub fn member(&self, group: &GroupDigest) -> Option<&Member> {
        self.groups.member(group)
    }

    /// The neighbours that the client has in a group.
    pub fn neighbors(&self, group: &GroupDigest) -> Vec<PeerId> {
        self.groups.member(group).map_or_else(Vec::new, |member| member.neighbors().collect())
    }

    /// Something to know about a group. To be asked for after each [`Client::next`], until there is nothing.
    pub fn next_notice(&mut self) -> Option<(GroupDigest, Notice)> {
        self.groups.poll_notice()
    }

    pub(super) fn attend_groups(&mut self, event: &Event) {
        self.with_groups(|groups, context| groups.handle_event(context, event));
        let Event::Flow { session, event: FlowEvent::Opened { flow, metadata, return_of } } = event else { return };
        let is_control = *session == self.session
            && *return_of == Some(self.control)
            && FlowKind::classify(metadata) == Some(FlowKind::stream(0));
        if is_control {
            let server = ServerConnection { session: *session, control: *flow };
            self.with_groups(|groups, context| groups.set_server(context, Some(server)));
        }
    }

    pub(super) fn groups_due(&mut self) {
        self.with_groups(Participant::handle_timeout);
    }

    fn with_groups<T>(&mut self, work: impl FnOnce(&mut Participant, &mut EndpointContext<'_>) -> T) -> T {
        let (peer, groups) = (&mut self.peer, &mut self.groups);
        let (endpoint, ports) = (&mut peer.endpoint, &peer.ports);
        let route = |address: SocketAddr| ports.route(address);
        work(groups, &mut EndpointContext { now: Instant::now(), endpoint, route: &route })
    }
}
