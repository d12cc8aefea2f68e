//! From a session to a neighbour: both ends prove that they know the groupspec (wire facts §8.2).
//!
//! Whoever wanted the session asks. The other answers only if everything is right; then each sends 02 and 0E. If both have
//! asked, each takes the other's question for the answer.

use std::time::Instant;

use rtmfp::PeerId;

use super::link::{Link, Phase};
use super::message::{Connect, ControlMessage};
use super::output::{GroupEvent, Output, Refusal};
use super::posting::KeyMessage;
use super::upkeep::MAX_NEIGHBORS;
use super::{Member, SessionFacts, about};
use crate::ring::Ring;

/// How many sessions are kept in mind that are not the group's. The peers of others must ask again in a new session.
const MAX_LINKS: usize = 1024;
/// How many on each side are next on the ring (wire facts §8.4).
const NEXT: usize = 3;

impl Member {
    /// Wants this peer for a neighbour.
    pub(super) fn want(&mut self, now: Instant, peer: PeerId) {
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

    /// A session is open. False if it is one too many.
    pub(super) fn accept_session(&mut self, now: Instant, session: SessionFacts) -> bool {
        let known = self.links.get(&session.peer);
        if known.is_some_and(|link| link.is_in(&session)) {
            return true;
        }
        let before = known.map(|link| link.phase);
        match before {
            None if self.links.len() >= MAX_LINKS => return false,
            // The old session is gone, even if nobody has said so yet.
            Some(Phase::Neighbor) => {
                self.outputs.push_back(Output::Event(GroupEvent::NeighborDisconnected(session.peer)));
            }
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
            // Without a session there are no nonces, and once is enough.
            Phase::Opening | Phase::Neighbor | Phase::Refused => return,
        };
        let refusal = if connect.group != self.group {
            Some(Refusal::Group)
        } else if connect.receiver != self.near {
            Some(Refusal::Receiver)
        } else if !self.prover.accepts(&link.near_nonce, &connect.proof) {
            Some(Refusal::Proof)
        } else if self.neighbor_count() >= MAX_NEIGHBORS && !self.make_room(now, peer) {
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
        let keys: Vec<_> = self.postings.kept().collect();
        for key in keys {
            let message = KeyMessage::Have(key).write().to_vec();
            self.outputs.push_back(Output::Send { peer, about: about::POSTING_KEY, message });
        }
    }

    /// There are as many neighbours as there may be. For a permanent one, or one that is next on the ring, one goes that is not
    /// wanted; else the ring would not close round a member that everybody knows. False if the peer has to look elsewhere.
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

    /// Has nothing to do with this peer: for now, or in this session at all.
    pub(super) fn refuse(&mut self, now: Instant, peer: PeerId, reason: Refusal) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        let was = link.phase;
        if was == Phase::Refused {
            return;
        }
        match reason {
            // It may be better another time.
            Refusal::Late | Refusal::TooMany => {
                link.enter(Phase::Idle, now);
                self.known.failed(&peer, now);
            }
            // It is no member, whoever said so, or it does not speak as one.
            Refusal::Group | Refusal::Receiver | Refusal::Proof | Refusal::Malformed => {
                link.enter(Phase::Refused, now);
                self.known.forget(&peer);
            }
        }
        self.outputs.push_back(Output::Release(peer));
        if was == Phase::Neighbor {
            self.outputs.push_back(Output::Event(GroupEvent::NeighborDisconnected(peer)));
        }
        self.outputs.push_back(Output::Event(GroupEvent::Refused { peer, reason }));
        self.soon(now);
    }

    /// Lets a peer go that has done nothing wrong. Its session may stay and become the group's again.
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
            self.outputs.push_back(Output::Event(GroupEvent::NeighborDisconnected(peer)));
        }
    }
}
