//! Permanent neighbours: members that are known by the names of their endpoints and by addresses, not by their peer IDs
//! (`NetGroup.addPermanentNeighborByName`).
//!
//! An endpoint with a name answers hellos that ask for that name (RFC 7425 §4.4.2.1), and its certificate says the name; only the proof
//! of the groupspec shows that it is a member (WIRE.md §3.3, §4.1). A name that is not found, does not prove membership, or is lost is
//! sought again for as long as it is wanted, at the latest [`MAX_WAIT`] after the last attempt.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_core::Rng;
use rtmfp::crypto::Epd;
use rtmfp::{InterfaceId, OpenFailure, PeerId, SessionId};

use super::context::{EndpointContext, Notice};
use super::names::{Named, Search};
use super::state::Participant;
use crate::digest::GroupDigest;
use crate::jitter::varied;

/// How many names one group has at most.
pub const MAX_NAMES: usize = 64;
/// How many addresses are tried for a name.
pub const MAX_NAME_ADDRESSES: usize = 16;
/// The longest name, in bytes.
pub const MAX_NAME: usize = 255;
/// How long an endpoint is called at its addresses in one attempt. Hellos go out at 0, 1, 3.5, 7.5 and 13 s.
pub(super) const ATTEMPT: Duration = Duration::from_secs(15);
/// How long an endpoint that has answered may take to prove that it is a member.
pub(super) const PROOF_TIMEOUT: Duration = Duration::from_secs(30);
/// The wait after the first failure, and after a loss. It doubles with each failure, up to [`MAX_WAIT`], and varies by a quarter.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// One that was a neighbour for this long is sought soon when it is lost, as after a first failure.
const LASTING: Duration = Duration::from_secs(30);
/// The longest wait between two attempts, but for the variation of a quarter.
pub const MAX_WAIT: Duration = Duration::from_secs(32);

/// Why a permanent neighbour is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The participant is not in the group.
    #[error("not a member of the group")]
    NoMember,
    /// The name is empty, or longer than [`MAX_NAME`].
    #[error("an endpoint name has 1 to {MAX_NAME} bytes")]
    Name,
    /// There are [`MAX_NAMES`] names.
    #[error("a group has at most {MAX_NAMES} permanent neighbours")]
    TooMany,
}

impl Participant {
    /// The name of the own endpoint, if it has one: a permanent neighbour of that name is not sought.
    pub fn set_own_name(&mut self, name: Option<String>) {
        self.own_name = name;
    }

    /// Seeks a member by the name of its endpoint at these addresses, and keeps it for a neighbour, until the name is removed. A name
    /// that is known gets the new addresses, and is sought at once if it is not found.
    ///
    /// Without addresses no endpoint is called: the member becomes permanent when it connects to this one.
    ///
    /// # Errors
    /// If the participant is no member, the name makes no sense, or there are too many. Addresses beyond [`MAX_NAME_ADDRESSES`] are
    /// left out.
    pub fn add_named(
        &mut self,
        context: &mut EndpointContext<'_>,
        group: &GroupDigest,
        name: &str,
        addresses: &[SocketAddr],
    ) -> Result<(), NameError> {
        let is_own = self.own_name.as_deref() == Some(name);
        let membership = self.memberships.get_mut(group).ok_or(NameError::NoMember)?;
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(NameError::Name);
        }
        let addresses: Vec<_> = addresses.iter().take(MAX_NAME_ADDRESSES).copied().collect();
        if let Some(named) = membership.named.get_mut(name) {
            named.addresses = addresses;
            if let Search::Waiting(until) = &mut named.search {
                *until = context.now;
            }
        } else if membership.named.len() >= MAX_NAMES {
            return Err(NameError::TooMany);
        } else {
            let search = if is_own { Search::Oneself } else { Search::Waiting(context.now) };
            membership.named.insert(name.to_owned(), Named { addresses, search, found: None, failures: 0 });
        }
        self.seek(context);
        Ok(())
    }

    /// Ends the permanent status of a name. A neighbour stays one for as long as the group has use for it. Returns false if the name
    /// is not known.
    pub fn remove_named(&mut self, context: &mut EndpointContext<'_>, group: &GroupDigest, name: &str) -> bool {
        let Some(membership) = self.memberships.get_mut(group) else { return false };
        let Some(named) = membership.named.remove(name) else { return false };
        match named.search {
            Search::Found(peer) => {
                let is_other = |other: &Named| other.search == Search::Found(peer);
                if !membership.named.values().any(is_other) {
                    membership.member.set_permanent(context.now, peer, false);
                }
            }
            Search::Opening { session, .. } => context.endpoint.close(context.now, session),
            Search::Oneself | Search::Waiting(_) | Search::Proving { .. } => (),
        }
        true
    }

    /// The permanent neighbours of a group: their names, and the peer IDs of those that are found.
    pub fn named(&self, group: &GroupDigest) -> impl Iterator<Item = (&str, Option<PeerId>)> {
        let names = self.memberships.get(group).into_iter().flat_map(|membership| &membership.named);
        names.map(|(name, named)| {
            let found = if let Search::Found(peer) = named.search { Some(peer) } else { None };
            (name.as_str(), found)
        })
    }

    /// Does what is due for the names of all groups.
    pub(super) fn seek(&mut self, context: &mut EndpointContext<'_>) {
        let now = context.now;
        let is_due = |named: &Named| named.search.due().is_some_and(|due| due <= now);
        let due: Vec<(GroupDigest, String)> = self
            .memberships
            .iter()
            .flat_map(|(group, membership)| membership.named.iter().map(move |(name, named)| (group, name, named)))
            .filter(|(_, _, named)| is_due(named))
            .map(|(group, name, _)| (*group, name.clone()))
            .collect();
        for (group, name) in due {
            self.seek_one(context, &group, &name);
        }
    }

    fn seek_one(&mut self, context: &mut EndpointContext<'_>, group: &GroupDigest, name: &str) {
        let now = context.now;
        let Some(membership) = self.memberships.get(group) else { return };
        let Some(named) = membership.named.get(name) else { return };
        match named.search {
            Search::Waiting(_) => {
                let present = membership.member.neighbors().find(|peer| {
                    let session = self.by_peer.get(peer);
                    session.and_then(|session| context.endpoint.far_hostname(*session)) == Some(name.as_bytes())
                });
                if let Some(peer) = present {
                    return self.found(context, group, name, peer);
                }
                let route = |to: &SocketAddr| Some(((context.route)(*to)?, *to));
                let candidates: Vec<(InterfaceId, SocketAddr)> = named.addresses.iter().filter_map(route).collect();
                let session = (!candidates.is_empty())
                    .then(|| context.endpoint.open(now, Epd::hostname(name), &candidates))
                    .flatten();
                match session {
                    Some(session) => {
                        self.set_search(group, name, Search::Opening { session, until: now + ATTEMPT });
                    }
                    None => self.not_found(now, group, name),
                }
            }
            // The endpoint reports that it did not open.
            Search::Opening { session, .. } => {
                self.not_found(now, group, name);
                context.endpoint.close(now, session);
            }
            Search::Proving { .. } => self.not_found(now, group, name),
            Search::Oneself | Search::Found(_) => (),
        }
    }

    fn set_search(&mut self, group: &GroupDigest, name: &str, search: Search) {
        if let Some(named) = self.memberships.get_mut(group).and_then(|own| own.named.get_mut(name)) {
            named.search = search;
        }
    }

    /// An attempt has failed: the next one comes later.
    fn not_found(&mut self, now: Instant, group: &GroupDigest, name: &str) {
        let random = self.rng.next_u64();
        if let Some(named) = self.memberships.get_mut(group).and_then(|own| own.named.get_mut(name)) {
            let wait = FIRST_WAIT.saturating_mul(1 << named.failures.min(5)).min(MAX_WAIT);
            named.failures = named.failures.saturating_add(1);
            named.search = Search::Waiting(now + varied(wait, random));
        }
    }

    /// The names for which this session is being opened.
    fn sought_by(&self, session: SessionId) -> Vec<(GroupDigest, String)> {
        let is_it = |named: &Named| matches!(named.search, Search::Opening { session: own, .. } if own == session);
        let names = self.memberships.iter().flat_map(|(group, own)| own.named.iter().map(move |of| (group, of)));
        names.filter(|(_, (_, named))| is_it(named)).map(|(group, (name, _))| (*group, name.clone())).collect()
    }

    /// Whether a session is being opened because of a name.
    pub(super) fn is_for_name(&self, session: SessionId) -> bool {
        !self.sought_by(session).is_empty()
    }

    /// A session is open: if it was opened for a name, its far end has to prove that it is a member.
    pub(super) fn named_opened(&mut self, context: &mut EndpointContext<'_>, session: SessionId, peer: PeerId) {
        for (group, name) in self.sought_by(session) {
            self.has_answered(context, &group, &name, peer);
        }
    }

    fn has_answered(&mut self, context: &mut EndpointContext<'_>, group: &GroupDigest, name: &str, peer: PeerId) {
        let now = context.now;
        let Some(membership) = self.memberships.get(group) else { return };
        if membership.member.neighbors().any(|neighbor| neighbor == peer) {
            return self.found(context, group, name, peer);
        }
        self.set_search(group, name, Search::Proving { peer, until: now + PROOF_TIMEOUT });
        self.tell(context, group, |member| member.add_neighbor(now, peer));
    }

    /// A session that was being opened for a name did not open.
    pub(super) fn named_failed(&mut self, context: &mut EndpointContext<'_>, id: SessionId, reason: &OpenFailure) {
        let now = context.now;
        for (group, name) in self.sought_by(id) {
            let existing = match reason {
                OpenFailure::Duplicate(existing) => Some(*existing),
                _ => None,
            };
            // The name's endpoint has a session with this one already, or is opening one.
            match existing.map(|existing| context.endpoint.session(existing)) {
                Some(Some(info)) => self.has_answered(context, &group, &name, info.peer_id),
                Some(None) => self.set_search(&group, &name, Search::Waiting(now + FIRST_WAIT)),
                None => self.not_found(now, &group, &name),
            }
        }
    }

    /// A peer has become a neighbour, be it that this end sought it or that it came by itself: if it has a name that is sought, it is
    /// permanent.
    pub(super) fn named_connected(&mut self, context: &mut EndpointContext<'_>, group: &GroupDigest, peer: PeerId) {
        let Some(membership) = self.memberships.get(group) else { return };
        if membership.named.is_empty() {
            return;
        }
        let hostname = self.by_peer.get(&peer).and_then(|session| context.endpoint.far_hostname(*session));
        let is_it = |(name, named): &(&String, &Named)| match named.search {
            Search::Proving { peer: proving, .. } if proving == peer => true,
            Search::Found(_) | Search::Oneself => false,
            _ => hostname == Some(name.as_bytes()),
        };
        let names: Vec<String> = membership.named.iter().filter(is_it).map(|(name, _)| name.clone()).collect();
        for name in names {
            self.found(context, group, &name, peer);
        }
    }

    fn found(&mut self, context: &mut EndpointContext<'_>, group: &GroupDigest, name: &str, peer: PeerId) {
        let now = context.now;
        let Some(membership) = self.memberships.get_mut(group) else { return };
        let Some(named) = membership.named.get_mut(name) else { return };
        let before = std::mem::replace(&mut named.search, Search::Found(peer));
        named.found = Some(now);
        membership.member.set_permanent(now, peer, true);
        self.note(*group, Notice::Named { peer, name: name.to_owned() });
        if let Search::Opening { session, .. } = before
            && self.by_peer.get(&peer) != Some(&session)
        {
            context.endpoint.close(now, session);
        }
    }

    /// A peer is no neighbour any more: if it has a name, the name is sought anew, because its endpoint may come back with another ID.
    pub(super) fn named_disconnected(&mut self, now: Instant, group: &GroupDigest, peer: PeerId) {
        let Some(membership) = self.memberships.get_mut(group) else { return };
        let is_it = |named: &Named| named.search == Search::Found(peer);
        let names: Vec<String> =
            membership.named.iter().filter(|(_, named)| is_it(named)).map(|(name, _)| name.clone()).collect();
        if !names.is_empty() {
            membership.member.set_permanent(now, peer, false);
        }
        for name in names {
            if let Some(named) = self.memberships.get_mut(group).and_then(|own| own.named.get_mut(&name)) {
                let found = named.found.take();
                // One that releases this member again and again, because it has no room, is not asked each second.
                if found.is_some_and(|found| now.saturating_duration_since(found) >= LASTING) {
                    named.failures = 0;
                }
            }
            self.not_found(now, group, &name);
        }
    }

    /// The group has released a peer: if it was to prove that it is a member, it has not done so.
    pub(super) fn named_released(&mut self, now: Instant, group: &GroupDigest, peer: PeerId) {
        let Some(membership) = self.memberships.get(group) else { return };
        let is_it = |named: &Named| matches!(named.search, Search::Proving { peer: own, .. } if own == peer);
        let names: Vec<String> =
            membership.named.iter().filter(|(_, named)| is_it(named)).map(|(name, _)| name.clone()).collect();
        for name in names {
            self.not_found(now, group, &name);
        }
    }
}
