//! Admission: a peer becomes a neighbour when both ends have proved that they know the groupspec (WIRE.md §3.3).
//!
//! The peer that asked for the session sends the first connect. The other answers only if group, receiver and proof are right; then
//! each sends 02 and 0E. If both have sent a connect, each takes the other's for the answer.

use std::time::{Duration, Instant};

use rtmfp::PeerId;

use super::flow_type;
use super::link::{Link, Phase, SessionFacts};
use super::message::{Connect, ControlMessage};
use super::output::{GroupEvent, Output, Refusal};
use super::posting::KeyMessage;
use super::state::Member;
use super::topology::MAX_NEIGHBORS;
use crate::ring::Ring;

/// How many links there are at most, those of sessions that the group does not use among them. Peers beyond that must ask in a new session.
pub(super) const MAX_LINKS: usize = 1024;
/// How many neighbours beyond [`MAX_NEIGHBORS`] are admitted for a while: a newcomer that knows nobody else learns of other members from
/// them before it is released.
pub const MAX_GUESTS: usize = 32;
/// For so long a guest stays at least.
pub(super) const GUEST_STAY: Duration = Duration::from_secs(5);
/// How many members on each side count as next on the ring (WIRE.md §3.5).
const NEXT: usize = 3;

impl Member {
    /// Begins to make this peer a neighbour, if that has not begun yet.
    pub(super) fn connect_to(&mut self, now: Instant, peer: PeerId) {
        match self.links.get(&peer).map(|link| link.phase) {
            None if self.links.len() < MAX_LINKS => {
                self.links.insert(peer, Link::opening(now));
                let addresses = self.known.get(&peer).map(|known| known.addresses.to_vec()).unwrap_or_default();
                self.outputs.push_back(Output::Connect { peer, addresses });
            }
            Some(Phase::Idle) => self.ask_admission(now, peer),
            _ => {}
        }
    }

    /// A session is open. Returns false if there are too many links.
    pub(super) fn accept_session(&mut self, now: Instant, session: SessionFacts) -> bool {
        let known = self.links.get(&session.peer);
        if known.is_some_and(|link| link.is_in(&session)) {
            return true;
        }
        let before = known.map(|link| link.phase);
        match before {
            None if self.links.len() >= MAX_LINKS => return false,
            // The old session is gone, even if that was not reported yet.
            Some(Phase::Neighbor) => self.lost(now, session.peer),
            _ => {}
        }
        let wanted = matches!(before, Some(Phase::Opening | Phase::Asked));
        let phase = if wanted { Phase::Opening } else { Phase::Idle };
        self.links.insert(session.peer, Link::with_session(now, phase, &session));
        true
    }

    pub(super) fn ask_admission(&mut self, now: Instant, peer: PeerId) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        link.enter(Phase::Asked, now);
        let connect = Connect { group: self.group, proof: self.prover.prove(&link.far_nonce), receiver: peer };
        self.send(peer, &ControlMessage::Connect(connect));
    }

    pub(super) fn on_connect(&mut self, now: Instant, peer: PeerId, connect: Connect) {
        let Some(link) = self.links.get(&peer) else { return };
        let asked = match link.phase {
            Phase::Asked => true,
            Phase::Idle => false,
            // Without a session there are no nonces, and a second connect changes nothing.
            Phase::Opening | Phase::Neighbor | Phase::Refused => return,
        };
        let refusal = if connect.group != self.group {
            Some(Refusal::Group)
        } else if connect.receiver != self.near {
            Some(Refusal::Receiver)
        } else if !self.prover.accepts(&link.near_nonce, &connect.proof) {
            Some(Refusal::Proof)
        } else if self.neighbor_count() >= MAX_NEIGHBORS
            && !self.make_room(now, peer)
            && self.neighbor_count() >= MAX_NEIGHBORS + MAX_GUESTS
        {
            Some(Refusal::TooMany)
        } else {
            None
        };
        if let Some(reason) = refusal {
            return self.refuse(now, peer, reason);
        }
        if !asked {
            self.ask_admission(now, peer);
        }
        let mut address = None;
        if let Some(link) = self.links.get_mut(&peer) {
            link.enter(Phase::Neighbor, now);
            address = link.far_address;
        }
        self.heard_directly(now, peer, address);
        self.known.succeeded(&peer);
        self.send(peer, &ControlMessage::Admitted);
        self.send(peer, &ControlMessage::Begin { nearest: false });
        self.outputs.push_back(Output::Event(GroupEvent::NeighborConnected(peer)));
        self.coverage_may_change(now);
        let keys: Vec<_> = self.postings.kept().collect();
        for key in keys {
            let message = KeyMessage::Have(key).write().to_vec();
            self.outputs.push_back(Output::Send { peer, flow_type: flow_type::POSTING_KEY, message });
        }
    }

    /// There are [`MAX_NEIGHBORS`]. If the peer is permanent or next on the ring, an unwanted neighbour is released for it; otherwise the ring
    /// would not close at a member that all others know. Returns false if the peer cannot be admitted.
    fn make_room(&mut self, now: Instant, peer: PeerId) -> bool {
        let mut ring = Ring::default();
        for neighbor in self.neighbors() {
            ring.insert(neighbor, ());
        }
        ring.insert(peer, ());
        let mut next = ring.after(self.place).take(NEXT).chain(ring.before(self.place).take(NEXT));
        if !self.permanent.contains(&peer) && !next.any(|member| member.peer == peer) {
            return false;
        }
        let unwanted = self
            .links
            .iter()
            .filter(|(other, link)| {
                link.phase == Phase::Neighbor && !self.best.contains(other) && !self.permanent.contains(other)
            })
            .min_by_key(|(_, link)| link.since)
            .map(|(other, _)| *other);
        if let Some(other) = unwanted {
            self.release(now, other);
        }
        unwanted.is_some()
    }

    /// Releases the newest neighbours beyond [`MAX_NEIGHBORS`] that are not wanted and that have had time to learn of others.
    pub(super) fn release_guests(&mut self, now: Instant) {
        let excess = self.neighbor_count().saturating_sub(MAX_NEIGHBORS);
        let mut unwanted: Vec<(Instant, PeerId)> = self
            .links
            .iter()
            .filter(|(peer, link)| {
                link.phase == Phase::Neighbor
                    && now.saturating_duration_since(link.since) >= GUEST_STAY
                    && !self.best.contains(peer)
                    && !self.permanent.contains(peer)
            })
            .map(|(peer, link)| (link.since, *peer))
            .collect();
        unwanted.sort_unstable_by(|one, other| other.cmp(one));
        for (_, peer) in unwanted.into_iter().take(excess) {
            self.release(now, peer);
        }
    }

    /// Refuses a peer: for now, or for as long as its session lasts.
    pub(super) fn refuse(&mut self, now: Instant, peer: PeerId, reason: Refusal) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        let was = link.phase;
        if was == Phase::Refused {
            return;
        }
        match reason {
            // A later attempt may succeed.
            Refusal::Late | Refusal::TooMany => {
                link.enter(Phase::Idle, now);
                self.known.failed(&peer, now);
            }
            // The peer is not a member, or does not follow the protocol.
            Refusal::Group | Refusal::Receiver | Refusal::Proof | Refusal::Malformed => {
                link.enter(Phase::Refused, now);
                self.known.forget(&peer);
            }
        }
        self.outputs.push_back(Output::Release(peer));
        if was == Phase::Neighbor {
            self.lost(now, peer);
        }
        self.counters.peers_refused += 1;
        self.outputs.push_back(Output::Event(GroupEvent::Refused { peer, reason }));
        self.soon(now);
    }

    /// Releases a peer without refusing it. Its session may stay, and the group may use it again.
    pub(super) fn release(&mut self, now: Instant, peer: PeerId) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        let was = link.phase;
        if was == Phase::Opening {
            self.links.remove(&peer);
        } else {
            link.enter(Phase::Idle, now);
        }
        self.outputs.push_back(Output::Release(peer));
        if was == Phase::Neighbor {
            self.lost(now, peer);
        }
    }

    /// A peer is no neighbour any more.
    pub(super) fn lost(&mut self, now: Instant, peer: PeerId) {
        self.outputs.push_back(Output::Event(GroupEvent::NeighborDisconnected(peer)));
        self.postings.forget_peer(&peer);
        self.ask_for_postings(now);
        self.coverage_may_change(now);
    }
}
