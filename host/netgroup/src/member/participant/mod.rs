//! All memberships of one endpoint: between its sessions with their flows and its [`Member`]s.
//!
//! [`Participant`] works on an [`Endpoint`] that its owner drives. It is told of every event of the endpoint, opens and closes
//! sessions and flows as its members ask for it, and leaves alone what is not about groups. It takes part in any number of groups,
//! with a server, through which members join and are introduced, or without.

mod aims;
mod flows;
mod outputs;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use rtmfp::flow::{MessageId, RecvFlowId, SendFlowId};
use rtmfp::{Endpoint, Event, InterfaceId, OpenFailure, PeerId, SessionId, SessionInfo};

use self::aims::Aims;
use self::flows::PeerSession;
use super::{GroupEvent, Member, SessionFacts};
use crate::{GroupDigest, Groupspec};

/// How long a peer may take to answer before another is tried in its place.
const OPENING_PATIENCE: Duration = Duration::from_secs(30);
/// How long a session that this end opened for a group stays when no group uses it.
const IDLE_PATIENCE: Duration = Duration::from_secs(60);
/// How often idle sessions are looked for.
const IDLE_CHECK: Duration = Duration::from_secs(10);

/// How many of the members that a groupspec names are tried.
const MAX_BOOTSTRAP_PEERS: usize = 16;
/// How many notices are kept.
const MAX_NOTICES: usize = 4096;

/// What a participant works on.
pub struct Ground<'a> {
    /// The time.
    pub now: Instant,
    /// The endpoint.
    pub endpoint: &'a mut Endpoint,
    /// By which interface an address is reached; `None` if by none.
    pub route: &'a dyn Fn(SocketAddr) -> Option<InterfaceId>,
}

/// A connection to a server through which groups are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerConnection {
    /// The session.
    pub session: SessionId,
    /// The flow on which the server sends for the connection: flows that join are in return to it (wire facts §7.1).
    pub control: RecvFlowId,
}

/// Something to know about a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The server has received the join. It says nothing to that; if it will have none of it, [`Notice::JoinRefused`] follows.
    Joined,
    /// The server has rejected the join.
    JoinRefused,
    /// The server names a member.
    Hint(PeerId),
    /// A neighbour has received a posting that it asked for.
    PostingTaken(PeerId),
    /// The group's own.
    Event(GroupEvent),
}

/// A membership and its flow to the server.
#[derive(Debug)]
struct Membership {
    member: Member,
    /// The flow to the server, and the join on it.
    joining: Option<(SendFlowId, Option<MessageId>)>,
    /// The server's flow in return.
    hints: Option<RecvFlowId>,
}

/// A session that is being opened for a group.
#[derive(Clone, Copy, Debug)]
struct Opening {
    peer: PeerId,
    until: Instant,
}

/// The memberships of one endpoint.
#[derive(Debug)]
pub struct Participant {
    near: PeerId,
    memberships: BTreeMap<GroupDigest, Membership>,
    server: Option<ServerConnection>,
    sessions: BTreeMap<SessionId, PeerSession>,
    /// The session with each peer: the last to open.
    by_peer: BTreeMap<PeerId, SessionId>,
    opening: BTreeMap<SessionId, Opening>,
    aims: Aims,
    next_idle_check: Option<Instant>,
    notices: VecDeque<(GroupDigest, Notice)>,
    rng: ChaCha8Rng,
}

impl Participant {
    /// A participant that is in no group. `near` is the endpoint's own id; the seed is for choices that nobody should foresee.
    pub fn new(near: PeerId, seed: [u8; 32]) -> Self {
        Self {
            near,
            memberships: BTreeMap::new(),
            server: None,
            sessions: BTreeMap::new(),
            by_peer: BTreeMap::new(),
            opening: BTreeMap::new(),
            aims: Aims::default(),
            next_idle_check: None,
            notices: VecDeque::new(),
            rng: ChaCha8Rng::from_seed(seed),
        }
    }

    /// Joins a group, through the server too if there is one, and with the members that the groupspec names. False if it is in that
    /// group.
    pub fn join(&mut self, ground: &mut Ground<'_>, group: &Groupspec) -> bool {
        let digest = group.digest();
        if self.memberships.contains_key(&digest) {
            return false;
        }
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        let mut member = Member::new(ground.now, group, self.near, seed);
        if let Some(address) = self.server_address(ground) {
            member.on_server_connected(address);
        }
        for session in self.by_peer.values() {
            if let Some(info) = ground.endpoint.session(*session) {
                member.on_session(ground.now, facts(&info));
            }
        }
        for peer in group.bootstrap_peers().take(MAX_BOOTSTRAP_PEERS) {
            member.add_neighbor(ground.now, peer);
        }
        self.memberships.insert(digest, Membership { member, joining: None, hints: None });
        self.pump(ground, &digest);
        true
    }

    /// Leaves a group, at the server too. False if it is in no such group.
    pub fn leave(&mut self, ground: &mut Ground<'_>, group: &GroupDigest) -> bool {
        let now = ground.now;
        self.tell(ground, group, |member| member.leave(now));
        let Some(membership) = self.memberships.remove(group) else { return false };
        if let (Some(server), Some((flow, _))) = (self.server, membership.joining) {
            let _ = ground.endpoint.with_flows(now, server.session, |flows| flows.close(flow));
        }
        let sessions: Vec<SessionId> = self.sessions.keys().copied().collect();
        sessions.into_iter().for_each(|session| self.release(ground, session, group));
        true
    }

    /// The connection to a server: groups are joined through it, and members are introduced by it. `None` when it is lost: the
    /// groups go on.
    pub fn set_server(&mut self, ground: &mut Ground<'_>, server: Option<ServerConnection>) {
        self.server = server;
        let address = self.server_address(ground);
        for membership in self.memberships.values_mut() {
            (membership.joining, membership.hints) = (None, None);
            match address {
                Some(address) => membership.member.on_server_connected(address),
                None => membership.member.set_server(None),
            }
        }
        self.pump_all(ground);
    }

    /// A membership, to look at.
    pub fn member(&self, group: &GroupDigest) -> Option<&Member> {
        self.memberships.get(group).map(|membership| &membership.member)
    }

    /// The groups that it is in.
    pub fn groups(&self) -> impl Iterator<Item = GroupDigest> + '_ {
        self.memberships.keys().copied()
    }

    /// Has a membership do something, and does what follows from it. `None` if it is in no such group.
    pub fn tell<T>(
        &mut self,
        ground: &mut Ground<'_>,
        group: &GroupDigest,
        what: impl FnOnce(&mut Member) -> T,
    ) -> Option<T> {
        let result = what(&mut self.memberships.get_mut(group)?.member);
        self.pump(ground, group);
        Some(result)
    }

    fn note(&mut self, group: GroupDigest, notice: Notice) {
        if self.notices.len() >= MAX_NOTICES {
            self.notices.pop_front();
        }
        self.notices.push_back((group, notice));
    }

    /// Something to know; what nobody asks for is forgotten after some thousands. Poll until there is nothing after everything that was told.
    pub fn poll_notice(&mut self) -> Option<(GroupDigest, Notice)> {
        self.notices.pop_front()
    }

    /// When [`Participant::handle_timeout`] wants to be called. Poll it after everything that was told.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let members = self.memberships.values().map(|membership| membership.member.poll_timeout());
        let opening = self.opening.values().map(|opening| opening.until);
        members.chain(opening).chain(self.next_idle_check).min()
    }

    /// Call it at [`Participant::poll_timeout`].
    pub fn handle_timeout(&mut self, ground: &mut Ground<'_>) {
        let now = ground.now;
        let late: Vec<SessionId> =
            self.opening.iter().filter(|(_, opening)| opening.until <= now).map(|(session, _)| *session).collect();
        for session in late {
            // Once is enough: the endpoint tells that it did not open.
            if let Some(opening) = self.opening.get_mut(&session) {
                opening.until = now + OPENING_PATIENCE;
            }
            ground.endpoint.close(now, session);
        }
        for membership in self.memberships.values_mut() {
            if membership.member.poll_timeout() > now {
                continue;
            }
            let neighbors: Vec<PeerId> = membership.member.neighbors().collect();
            for peer in neighbors {
                let info = self.by_peer.get(&peer).and_then(|session| ground.endpoint.session(*session));
                if let Some(rtt) = info.and_then(|info| info.smoothed_rtt) {
                    membership.member.on_rtt(&peer, rtt);
                }
            }
            membership.member.handle_timeout(now);
        }
        self.pump_all(ground);
        if self.next_idle_check.is_some_and(|due| due <= now) {
            self.close_idle(ground);
        }
    }

    /// Something has happened at the endpoint. To be told of all of it, also of what is not about groups.
    pub fn handle_event(&mut self, ground: &mut Ground<'_>, event: &Event) {
        let now = ground.now;
        match event {
            Event::Opened { session, .. } => self.opened(ground, *session),
            Event::OpenFailed { session, reason } => self.open_failed(ground, *session, reason),
            Event::Flow { session, event } => self.handle_flow(ground, *session, event),
            Event::AddressChanged { session, to, .. } => {
                if let Some(peer) = self.sessions.get(session).map(|session| session.peer) {
                    self.tell_all(ground, |member| member.on_address(now, &peer, *to));
                }
            }
            Event::Closed { session, .. } => {
                if self.server.is_some_and(|server| server.session == *session) {
                    self.set_server(ground, None);
                }
                let Some(PeerSession { peer, .. }) = self.sessions.remove(session) else { return };
                // It may have been replaced by another.
                if self.by_peer.get(&peer) == Some(session) {
                    self.by_peer.remove(&peer);
                    self.tell_all(ground, |member| member.on_session_closed(now, peer));
                }
            }
            Event::Lookup(_) | Event::Keying(_) | Event::Keys { .. } => (),
            Event::Pong { .. } | Event::Refused { .. } | Event::Overspent { .. } => (),
        }
    }

    fn opened(&mut self, ground: &mut Ground<'_>, session: SessionId) {
        let is_ours = self.opening.remove(&session).is_some();
        let Some(info) = ground.endpoint.session(session) else { return };
        self.aims.answered(info.far_address.ip());
        self.sessions.insert(session, PeerSession::new(info.peer_id, is_ours));
        self.by_peer.insert(info.peer_id, session);
        if is_ours && self.next_idle_check.is_none() {
            self.next_idle_check = Some(ground.now + IDLE_CHECK);
        }
        let now = ground.now;
        self.tell_all(ground, |member| member.on_session(now, facts(&info)));
    }

    fn open_failed(&mut self, ground: &mut Ground<'_>, session: SessionId, reason: &OpenFailure) {
        let Some(Opening { peer, .. }) = self.opening.remove(&session) else { return };
        let now = ground.now;
        match reason {
            OpenFailure::Duplicate(existing) => {
                // The other end was faster. If its session is not open yet, that is told when it is.
                if let Some(info) = ground.endpoint.session(*existing) {
                    self.tell_all(ground, |member| member.on_session(now, facts(&info)));
                }
            }
            _ => self.tell_all(ground, |member| member.on_open_failed(now, peer)),
        }
    }

    fn tell_all(&mut self, ground: &mut Ground<'_>, what: impl Fn(&mut Member)) {
        self.memberships.values_mut().for_each(|membership| what(&mut membership.member));
        self.pump_all(ground);
    }

    fn server_address(&self, ground: &Ground<'_>) -> Option<SocketAddr> {
        self.server.and_then(|server| ground.endpoint.session(server.session)).map(|info| info.far_address)
    }

    /// Closes the sessions that were opened for a group and are of no use to any.
    fn close_idle(&mut self, ground: &mut Ground<'_>) {
        let now = ground.now;
        let memberships = &self.memberships;
        let mut has_ours = false;
        for (id, session) in self.sessions.iter_mut().filter(|(_, session)| session.is_ours) {
            has_ours = true;
            if memberships.values().any(|membership| membership.member.uses(&session.peer)) {
                session.idle_since = None;
            } else if now.saturating_duration_since(*session.idle_since.get_or_insert(now)) >= IDLE_PATIENCE {
                ground.endpoint.close(now, *id);
            }
        }
        self.next_idle_check = has_ours.then_some(now + IDLE_CHECK);
    }
}

/// What a member needs to know of a session.
fn facts(info: &SessionInfo) -> SessionFacts {
    SessionFacts {
        peer: info.peer_id,
        near_nonce: info.near_nonce,
        far_nonce: info.far_nonce,
        far_address: info.far_address,
        rtt: info.smoothed_rtt,
    }
}
