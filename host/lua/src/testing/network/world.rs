//! The endpoints of the network of tests, and what becomes of their commands.

use std::collections::{BTreeMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use introd_flash::amf::Value;
use introd_netgroup::member::posting::PostingId;
use introd_netgroup::{GroupAddress, GroupDigest, Groupspec};
use introd_policy::net_connection::{
    CommandRefused, ConnectionCommand, ConnectionEvent, ConnectionEvents, GroupCommand, GroupEvent, GroupFacts,
    GroupId, OpenError,
};
use rtmfp::PeerId;

use super::events::{Agenda, Happening};
use super::ground::{ANNOUNCED_EVERY, DEAD_AFTER, EndpointId, LATENCY, RETRY_AFTER};
use super::membership::{Membership, Posting};

struct Endpoint {
    server: String,
    name: Option<String>,
    bound: Vec<SocketAddr>,
    peer: PeerId,
    events: Arc<dyn ConnectionEvents>,
    groups: BTreeMap<GroupId, Membership>,
}

impl Endpoint {
    /// Whether packets to this address reach it.
    fn is_at(&self, address: &SocketAddr) -> bool {
        self.bound
            .iter()
            .any(|bound| bound == address || (bound.ip().is_unspecified() && bound.port() == address.port()))
    }

    fn membership(&mut self, digest: &GroupDigest) -> Option<(GroupId, &mut Membership)> {
        self.groups.iter_mut().find(|(_, group)| group.digest == *digest).map(|(id, group)| (*id, group))
    }
}

/// All there is.
pub(super) struct World {
    now: Instant,
    agenda: Agenda,
    endpoints: BTreeMap<EndpointId, Endpoint>,
    last: u32,
    /// The servers that are cut off from the others.
    island: HashSet<String>,
}

impl World {
    pub(super) fn new(now: Instant) -> Self {
        let (agenda, endpoints, island) = Default::default();
        Self { now, agenda, endpoints, last: 0, island }
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.agenda.next()
    }

    /// Lets everything happen that is due, each at its time.
    pub(super) fn run(&mut self, now: Instant) {
        while let Some((at, happening)) = self.agenda.take(now) {
            self.now = at.max(self.now);
            self.happen(happening);
        }
        self.now = now.max(self.now);
    }

    fn later(&mut self, after: Duration, happening: Happening) {
        self.agenda.add(self.now + after, happening);
    }

    fn tell(&mut self, endpoint: EndpointId, event: ConnectionEvent) {
        self.later(LATENCY, Happening::Tell { endpoint, event });
    }

    /// Tells of something that happens now.
    fn say(&self, endpoint: EndpointId, event: ConnectionEvent) {
        if let Some(endpoint) = self.endpoints.get(&endpoint) {
            // A stage takes everything.
            let _ = endpoint.events.tell(event);
        }
    }

    pub(super) fn open(
        &mut self,
        server: &str,
        name: Option<String>,
        bind: &[SocketAddr],
        is_serverless: bool,
        events: Arc<dyn ConnectionEvents>,
    ) -> Result<EndpointId, OpenError> {
        self.last += 1;
        let (id, number) = (EndpointId(self.last), self.last);
        let [_, _, high, low] = number.to_be_bytes();
        let port = 49_152 + u16::from_be_bytes([high, low]) % 16_384;
        let anywhere = [SocketAddr::from((Ipv4Addr::new(192, 0, 2, low), 0))];
        let bound: Vec<SocketAddr> = if bind.is_empty() { &anywhere } else { bind }
            .iter()
            .map(|address| SocketAddr::new(address.ip(), if address.port() == 0 { port } else { address.port() }))
            .collect();
        let taken = |address: &&SocketAddr| {
            let is_own = |other: &&Endpoint| !address.ip().is_unspecified() || other.server == server;
            self.endpoints.values().filter(is_own).any(|other| other.bound.contains(address))
        };
        if let Some(address) = bound.iter().find(taken) {
            return Err(OpenError::System(format!("the address {address} is in use")));
        }
        let mut peer = [0xe0; 32];
        peer[28..].copy_from_slice(&number.to_be_bytes());
        let peer = PeerId(peer);
        let groups = BTreeMap::new();
        self.endpoints
            .insert(id, Endpoint { server: server.to_owned(), name, bound: bound.clone(), peer, events, groups });
        let event = if is_serverless {
            ConnectionEvent::Connected { near_id: peer, far_id: None, nonces: None, bound, info: Value::Null }
        } else {
            ConnectionEvent::Closed {
                code: "NetConnection.Connect.Failed".to_owned(),
                description: "in the network of tests there are no servers to connect to, only endpoints without one"
                    .to_owned(),
                info: Value::Null,
            }
        };
        self.tell(id, event);
        Ok(id)
    }

    /// A connection is closed: the neighbours are told.
    pub(super) fn close(&mut self, id: EndpointId) {
        if let Some(endpoint) = self.endpoints.remove(&id) {
            self.gone(id, &endpoint, LATENCY);
        }
    }

    /// The neighbours of an endpoint that is gone notice it after so long.
    fn gone(&mut self, id: EndpointId, endpoint: &Endpoint, after: Duration) {
        for membership in endpoint.groups.values() {
            self.left(id, membership, after);
        }
    }

    fn left(&mut self, id: EndpointId, membership: &Membership, after: Duration) {
        for other in membership.links.keys() {
            self.later(after, Happening::Part { one: id, other: *other, digest: membership.digest });
        }
    }

    pub(super) fn crash(&mut self, server: &str) {
        for (id, endpoint) in self.endpoints.extract_if(.., |_, endpoint| endpoint.server == server).collect::<Vec<_>>()
        {
            self.gone(id, &endpoint, DEAD_AFTER);
        }
    }

    pub(super) fn cut(&mut self, servers: Vec<String>) {
        self.island = servers.into_iter().collect();
        let links: Vec<(EndpointId, EndpointId, GroupDigest)> = self
            .endpoints
            .iter()
            .flat_map(|(id, endpoint)| endpoint.groups.values().map(|group| (*id, group)))
            .flat_map(|(id, group)| group.links.keys().map(move |other| (id, *other, group.digest)))
            .collect();
        for (one, other, digest) in links {
            if !self.reaches(one, other) {
                self.later(DEAD_AFTER, Happening::Part { one, other, digest });
            }
        }
    }

    pub(super) fn heal(&mut self) {
        self.island.clear();
    }

    /// Whether two endpoints exist and reach each other.
    fn reaches(&self, one: EndpointId, other: EndpointId) -> bool {
        let is_on_island = |id| self.endpoints.get(&id).map(|endpoint| self.island.contains(&endpoint.server));
        is_on_island(one).is_some_and(|one| is_on_island(other) == Some(one))
    }

    pub(super) fn facts(&self, id: EndpointId, group: GroupId) -> Option<GroupFacts> {
        self.endpoints.get(&id)?.groups.get(&group).map(Membership::facts)
    }

    pub(super) fn command(&mut self, id: EndpointId, command: ConnectionCommand) -> Result<(), CommandRefused> {
        let endpoint = self.endpoints.get_mut(&id).ok_or(CommandRefused::Closed)?;
        match command {
            ConnectionCommand::Call { token, .. } => {
                if let Some(token) = token {
                    self.tell(id, ConnectionEvent::Answer { token, outcome: Err(Vec::new()) });
                }
            }
            ConnectionCommand::Join { group, groupspec } => {
                let event = match Groupspec::parse(&groupspec) {
                    Ok(spec) if endpoint.membership(&spec.digest()).is_none() => {
                        endpoint.groups.insert(group, Membership::new(&spec, &endpoint.peer));
                        self.later(LATENCY, Happening::Announce { endpoint: id, group });
                        GroupEvent::Connected
                    }
                    Ok(_) => refused("the connection is a member of this group already".to_owned()),
                    Err(error) => refused(error.to_string()),
                };
                self.tell(id, ConnectionEvent::Group { group, event });
            }
            ConnectionCommand::Group { group, command } => self.group_command(id, group, command),
        }
        Ok(())
    }

    fn group_command(&mut self, id: EndpointId, group: GroupId, command: GroupCommand) {
        let Some(endpoint) = self.endpoints.get_mut(&id) else { return };
        let own = GroupAddress::of(&endpoint.peer);
        let Some(membership) = endpoint.groups.get_mut(&group) else { return };
        let digest = membership.digest;
        match command {
            GroupCommand::Post { value } => {
                let posting = Posting { id: PostingId::of(&value).0, value: value.into() };
                if membership.take(&posting) {
                    self.spread(id, digest, &posting, None);
                }
            }
            GroupCommand::SendToNearest { message, address } => match membership.nearest(GroupAddress(address)) {
                Some(to) => self.later(LATENCY, Happening::Message { from: id, to, digest, message }),
                None => {
                    let event = GroupEvent::SendTo { from: own.0, from_local: true, message };
                    self.tell(id, ConnectionEvent::Group { group, event });
                }
            },
            GroupCommand::SendToNeighbor { message, direction } => {
                if let Some(to) = membership.next(direction) {
                    self.later(LATENCY, Happening::Message { from: id, to, digest, message });
                }
            }
            GroupCommand::SendToAllNeighbors { message } => {
                for to in membership.links.keys().copied().collect::<Vec<_>>() {
                    let message = message.clone();
                    self.later(LATENCY, Happening::Message { from: id, to, digest, message });
                }
            }
            GroupCommand::AddNeighbor(peer) | GroupCommand::AddMemberHint(peer) => {
                let other = self.endpoints.iter().find(|(_, other)| other.peer == peer).map(|(other, _)| *other);
                if let Some(other) = other {
                    self.later(LATENCY, Happening::Meet { one: id, other, digest });
                }
            }
            GroupCommand::AddPermanentNeighbor { name, addresses } => {
                membership.permanent.insert(name.clone(), addresses);
                self.later(LATENCY, Happening::Reach { endpoint: id, group, name });
            }
            GroupCommand::RemovePermanentNeighbor { name } => {
                membership.permanent.remove(&name);
            }
            GroupCommand::Close => {
                if let Some(membership) = endpoint.groups.remove(&group) {
                    self.left(id, &membership, LATENCY);
                }
            }
        }
    }

    /// Sends a posting on to all neighbours but one.
    fn spread(&mut self, from: EndpointId, digest: GroupDigest, posting: &Posting, but: Option<EndpointId>) {
        let Some((_, membership)) = self.endpoints.get_mut(&from).and_then(|endpoint| endpoint.membership(&digest))
        else {
            return;
        };
        for to in membership.links.keys().copied().filter(|to| Some(*to) != but).collect::<Vec<_>>() {
            self.later(LATENCY, Happening::Posting { from, to, digest, posting: posting.clone() });
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Tell { endpoint, event } => self.say(endpoint, event),
            Happening::Meet { one, other, digest } => self.meet(one, other, digest),
            Happening::Part { one, other, digest } => {
                if !self.reaches(one, other) || !self.are_members(one, other, &digest) {
                    self.part(one, other, &digest);
                    self.part(other, one, &digest);
                }
            }
            Happening::Reach { endpoint, group, name } => self.reach(endpoint, group, name),
            Happening::Announce { endpoint, group } => self.announce(endpoint, group),
            Happening::Posting { from, to, digest, posting } => {
                let is_reached = self.reaches(from, to);
                let Some((group, membership)) = self.linked(to, from, &digest).filter(|_| is_reached) else { return };
                if membership.take(&posting) {
                    let event = GroupEvent::Posting { id: posting.id, value: posting.value.to_vec() };
                    self.say(to, ConnectionEvent::Group { group, event });
                    self.spread(to, digest, &posting, Some(from));
                }
            }
            Happening::Message { from, to, digest, message } => {
                let (is_reached, peer) = (self.reaches(from, to), self.endpoints.get(&from).map(|from| from.peer));
                let Some((group, _)) = self.linked(to, from, &digest).filter(|_| is_reached) else { return };
                if let Some(peer) = peer {
                    let event = GroupEvent::SendTo { from: GroupAddress::of(&peer).0, from_local: false, message };
                    self.say(to, ConnectionEvent::Group { group, event });
                }
            }
        }
    }

    /// The membership of an endpoint that is linked to that other one.
    fn linked(
        &mut self,
        id: EndpointId,
        other: EndpointId,
        digest: &GroupDigest,
    ) -> Option<(GroupId, &mut Membership)> {
        self.endpoints.get_mut(&id)?.membership(digest).filter(|(_, group)| group.links.contains_key(&other))
    }

    fn are_members(&mut self, one: EndpointId, other: EndpointId, digest: &GroupDigest) -> bool {
        let mut is_member =
            |id| self.endpoints.get_mut(&id).is_some_and(|endpoint| endpoint.membership(digest).is_some());
        is_member(one) && is_member(other)
    }

    /// Links two members, each of which proves that it knows the groupspec. Both tell each other of the members that they know.
    fn meet(&mut self, one: EndpointId, other: EndpointId, digest: GroupDigest) {
        let is_linked = self.linked(one, other, &digest).is_some();
        if one == other || is_linked || !self.reaches(one, other) || !self.are_members(one, other, &digest) {
            return;
        }
        let known = [self.link(one, other, digest), self.link(other, one, digest)];
        for (id, known) in [one, other].into_iter().zip(known.into_iter().rev()) {
            for third in known {
                self.later(LATENCY, Happening::Meet { one: id, other: third, digest });
            }
        }
    }

    /// Makes one side of a link. Gives back whom this side knew before.
    fn link(&mut self, id: EndpointId, other: EndpointId, digest: GroupDigest) -> Vec<EndpointId> {
        let Some((peer, name)) = self.endpoints.get(&other).map(|other| (other.peer, other.name.clone())) else {
            return Vec::new();
        };
        let Some((group, membership)) = self.endpoints.get_mut(&id).and_then(|endpoint| endpoint.membership(&digest))
        else {
            return Vec::new();
        };
        let known = membership.links.keys().copied().collect();
        let name = name.filter(|name| membership.permanent.contains_key(name));
        membership.link(other, peer, name.clone());
        let kept = membership.kept();
        self.say(id, ConnectionEvent::Group { group, event: GroupEvent::NeighborConnected { peer, name } });
        self.say(id, ConnectionEvent::Group { group, event: GroupEvent::LocalCoverage });
        for posting in kept {
            self.later(LATENCY, Happening::Posting { from: id, to: other, digest, posting });
        }
        known
    }

    /// Takes one side of a link away. A permanent neighbour is tried again.
    fn part(&mut self, id: EndpointId, other: EndpointId, digest: &GroupDigest) {
        let Some((group, membership)) = self.endpoints.get_mut(&id).and_then(|endpoint| endpoint.membership(digest))
        else {
            return;
        };
        let Some((peer, name)) = membership.unlink(other) else { return };
        let again = name.clone().filter(|name| membership.permanent.contains_key(name));
        self.say(id, ConnectionEvent::Group { group, event: GroupEvent::NeighborDisconnected { peer, name } });
        self.say(id, ConnectionEvent::Group { group, event: GroupEvent::LocalCoverage });
        if let Some(name) = again {
            self.later(RETRY_AFTER, Happening::Reach { endpoint: id, group, name });
        }
    }

    /// A member announces itself to those that listen at one of its multicast addresses.
    fn announce(&mut self, id: EndpointId, group: GroupId) {
        let Some(membership) = self.endpoints.get(&id).and_then(|endpoint| endpoint.groups.get(&group)) else { return };
        if membership.multicast.is_empty() {
            return;
        }
        let digest = membership.digest;
        let hears = |other: &Membership| {
            other.digest == digest && other.multicast.iter().any(|address| membership.multicast.contains(address))
        };
        let listeners = self.endpoints.iter().filter(|(_, endpoint)| endpoint.groups.values().any(hears));
        let listeners: Vec<EndpointId> = listeners.map(|(other, _)| *other).collect();
        for other in listeners {
            self.later(LATENCY, Happening::Meet { one: id, other, digest });
        }
        self.later(ANNOUNCED_EVERY, Happening::Announce { endpoint: id, group });
    }

    /// A member looks for a permanent neighbour at its addresses, or among the members if it knows none.
    fn reach(&mut self, id: EndpointId, group: GroupId, name: String) {
        let Some(membership) = self.endpoints.get(&id).and_then(|endpoint| endpoint.groups.get(&group)) else { return };
        let Some(addresses) = membership.permanent.get(&name) else { return };
        let digest = membership.digest;
        let is_there = |(other, endpoint): &(&EndpointId, &Endpoint)| {
            endpoint.name.as_deref() == Some(&*name)
                && (addresses.is_empty() || addresses.iter().any(|address| endpoint.is_at(address)))
                && endpoint.groups.values().any(|other| other.digest == digest)
                && self.reaches(id, **other)
        };
        let found = self.endpoints.iter().find(is_there).map(|(other, _)| *other);
        match found {
            Some(other) => {
                self.meet(id, other, digest);
                // It may be a neighbour already that has become permanent.
                if let Some((_, membership)) = self.linked(id, other, &digest) {
                    membership.links.insert(other, Some(name));
                }
            }
            None => self.later(RETRY_AFTER, Happening::Reach { endpoint: id, group, name }),
        }
    }
}

fn refused(description: String) -> GroupEvent {
    GroupEvent::Closed { code: "NetGroup.Connect.Failed".to_owned(), description }
}
