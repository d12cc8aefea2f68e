//! The memberships and sessions of a participant.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use rtmfp::flow::{MessageId, RecvFlowId, SendFlowId};
use rtmfp::{PeerId, SessionId};

use super::attempts::AttemptLimiter;
use super::context::{EndpointContext, Notice, ServerConnection};
use super::names::{self, Names};
use super::peer_session::{PeerSession, facts};
use crate::digest::GroupDigest;
use crate::groupspec::Groupspec;
use crate::member::{GroupCounters, Member};

/// How long a peer may take to answer before another is tried in its place.
pub(super) const OPENING_TIMEOUT: Duration = Duration::from_secs(30);
/// How many of the bootstrap peers in a groupspec are tried.
const MAX_BOOTSTRAP_PEERS: usize = 16;
/// How many notices are kept.
pub(super) const MAX_NOTICES: usize = 4096;

/// A membership and its flow to the server.
#[derive(Debug)]
pub(super) struct Membership {
    pub(super) member: Member,
    /// The flow to the server, and the join on it.
    pub(super) joining: Option<(SendFlowId, Option<MessageId>)>,
    /// The server's flow in return.
    pub(super) hints: Option<RecvFlowId>,
    /// The permanent neighbours that are known by name.
    pub(super) named: Names,
}

/// A session that is being opened for a group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening {
    pub(super) peer: PeerId,
    pub(super) until: Instant,
}

/// The memberships of one endpoint.
#[derive(Debug)]
pub struct Participant {
    pub(super) near: PeerId,
    /// The own endpoint's name.
    pub(super) own_name: Option<String>,
    pub(super) memberships: BTreeMap<GroupDigest, Membership>,
    pub(super) server: Option<ServerConnection>,
    pub(super) sessions: BTreeMap<SessionId, PeerSession>,
    /// The session with each peer: the last to open.
    pub(super) by_peer: BTreeMap<PeerId, SessionId>,
    pub(super) opening: BTreeMap<SessionId, Opening>,
    pub(super) attempts: AttemptLimiter,
    pub(super) counters: GroupCounters,
    pub(super) next_idle_check: Option<Instant>,
    pub(super) notices: VecDeque<(GroupDigest, Notice)>,
    pub(super) rng: ChaCha8Rng,
}

impl Participant {
    /// A participant that is in no group. `near` is the endpoint's own ID; the seed is for choices that others should not foresee.
    pub fn new(near: PeerId, seed: [u8; 32]) -> Self {
        Self {
            near,
            own_name: None,
            memberships: BTreeMap::new(),
            server: None,
            sessions: BTreeMap::new(),
            by_peer: BTreeMap::new(),
            opening: BTreeMap::new(),
            attempts: AttemptLimiter::default(),
            counters: GroupCounters::default(),
            next_idle_check: None,
            notices: VecDeque::new(),
            rng: ChaCha8Rng::from_seed(seed),
        }
    }

    /// Joins a group, also at the server if there is one, and connects to the bootstrap peers in the groupspec. Returns false if it is in
    /// the group already.
    pub fn join(&mut self, context: &mut EndpointContext<'_>, group: &Groupspec) -> bool {
        let digest = group.digest();
        if self.memberships.contains_key(&digest) {
            return false;
        }
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        let mut member = Member::new(context.now, group, self.near, seed);
        if let Some(address) = self.server_address(context) {
            member.on_server_connected(address);
        }
        for session in self.by_peer.values() {
            if let Some(info) = context.endpoint.session(*session) {
                member.on_session(context.now, facts(&info));
            }
        }
        for peer in group.bootstrap_peers().take(MAX_BOOTSTRAP_PEERS) {
            member.add_neighbor(context.now, peer);
        }
        self.memberships.insert(digest, Membership { member, joining: None, hints: None, named: Names::new() });
        self.pump(context, &digest);
        true
    }

    /// Leaves a group, also at the server. Returns false if it is not in the group.
    pub fn leave(&mut self, context: &mut EndpointContext<'_>, group: &GroupDigest) -> bool {
        let now = context.now;
        self.tell(context, group, |member| member.leave(now));
        let Some(membership) = self.memberships.remove(group) else { return false };
        for session in names::opening(&membership.named) {
            context.endpoint.close(now, session);
        }
        if let (Some(server), Some((flow, _))) = (self.server, membership.joining) {
            let _ = context.endpoint.with_flows(now, server.session, |flows| flows.close(flow));
        }
        let sessions: Vec<SessionId> = self.sessions.keys().copied().collect();
        sessions.into_iter().for_each(|session| self.release(context, session, group));
        true
    }

    /// Sets the connection to a server, at which groups are joined and which introduces members. `None` means that the connection is lost;
    /// the groups go on.
    pub fn set_server(&mut self, context: &mut EndpointContext<'_>, server: Option<ServerConnection>) {
        self.server = server;
        let address = self.server_address(context);
        for membership in self.memberships.values_mut() {
            (membership.joining, membership.hints) = (None, None);
            match address {
                Some(address) => membership.member.on_server_connected(address),
                None => membership.member.set_server(None),
            }
        }
        self.pump_all(context);
    }

    /// The membership in a group.
    pub fn member(&self, group: &GroupDigest) -> Option<&Member> {
        self.memberships.get(group).map(|membership| &membership.member)
    }

    /// The groups that this participant is in.
    pub fn groups(&self) -> impl Iterator<Item = GroupDigest> + '_ {
        self.memberships.keys().copied()
    }

    /// Calls `what` on the membership in a group, and carries out what the member then asks for. `None` if this participant is not in the
    /// group.
    pub fn tell<T>(
        &mut self,
        context: &mut EndpointContext<'_>,
        group: &GroupDigest,
        what: impl FnOnce(&mut Member) -> T,
    ) -> Option<T> {
        let result = what(&mut self.memberships.get_mut(group)?.member);
        self.pump(context, group);
        Some(result)
    }

    /// What was refused, and whom neighbours were introduced to, since the last call.
    pub fn take_counters(&mut self) -> GroupCounters {
        std::mem::take(&mut self.counters)
    }

    pub(super) fn note(&mut self, group: GroupDigest, notice: Notice) {
        if self.notices.len() >= MAX_NOTICES {
            self.notices.pop_front();
        }
        self.notices.push_back((group, notice));
    }

    /// The next notice. Poll it after each call of another method, until there is nothing. Only the latest few thousand are kept.
    pub fn poll_notice(&mut self) -> Option<(GroupDigest, Notice)> {
        self.notices.pop_front()
    }

    /// When to call [`Participant::handle_timeout`]. Poll it after each call of another method.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let members = self.memberships.values().map(|membership| membership.member.poll_timeout());
        let opening = self.opening.values().map(|opening| opening.until);
        let named = self.memberships.values().filter_map(|membership| names::due(&membership.named));
        members.chain(opening).chain(named).chain(self.next_idle_check).min()
    }

    pub(super) fn tell_all(&mut self, context: &mut EndpointContext<'_>, what: impl Fn(&mut Member)) {
        self.memberships.values_mut().for_each(|membership| what(&mut membership.member));
        self.pump_all(context);
    }

    pub(super) fn server_address(&self, context: &EndpointContext<'_>) -> Option<SocketAddr> {
        self.server.and_then(|server| context.endpoint.session(server.session)).map(|info| info.far_address)
    }
}
