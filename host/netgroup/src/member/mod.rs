//! A member of a group: the peers' own side (wire facts §8).
//!
//! [`Member`] is one membership of one peer. It owns no session, no flow and no clock: its driver tells it what happened, then
//! takes [`Member::poll_output`] until there is nothing, and calls [`Member::handle_timeout`] at [`Member::poll_timeout`]. A peer
//! that is in several groups has a member for each; a peer's first message on a flow tells which it concerns
//! ([`message::Connect::group_of`]).
//!
//! ```text
//! server: 47 43   join ->  <- hints                      channel
//! peer:   47 52 1C  01 proof ->  <- 01 proof, 02, 0E     admission
//!                   02, 0E ->  <- 0A report  0A ->       gossip
//!                   every 10 s a report to somebody      upkeep
//! ```

pub mod about;
mod admission;
mod gossip;
mod known;
mod link;
pub mod media;
pub mod message;
mod output;
pub mod participant;
pub mod posting;
mod postings;
pub mod proof;
pub mod report;
#[cfg(test)]
mod tests;
mod topology;
mod upkeep;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use rtmfp::wire::Malformed;
use rtmfp::{Origin, PeerId, TaggedAddress};

use self::known::KnownMembers;
pub use self::known::{FORGOTTEN, MAX_KNOWN};
use self::link::{Link, Phase};
use self::message::ControlMessage;
pub use self::output::{GroupEvent, Output, Refusal};
pub use self::participant::Participant;
use self::posting::KeyMessage;
pub use self::posting::PostingId;
pub use self::postings::MAX_POSTING;
use self::postings::Postings;
use self::proof::Prover;
pub use self::topology::target_neighbors;
pub use self::upkeep::{MAX_NEIGHBORS, PERIOD};
use super::channel::{self, Received};
use super::{GroupAddress, GroupDigest, Groupspec};

/// What the driver knows of a session that is open.
#[derive(Clone, Copy, Debug)]
pub struct SessionFacts {
    /// The far end.
    pub peer: PeerId,
    /// This end's nonce (RFC 7425 §4.6.5).
    pub near_nonce: [u8; 32],
    /// The far end's nonce.
    pub far_nonce: [u8; 32],
    /// Where the far end is.
    pub far_address: SocketAddr,
    /// The smoothed round trip time, if it is known already.
    pub rtt: Option<Duration>,
}

/// One peer's membership in one group.
#[derive(Debug)]
pub struct Member {
    group: GroupDigest,
    prover: Prover,
    near: PeerId,
    place: GroupAddress,
    /// Where others can reach this peer: its servers, and what others have seen.
    server: Option<SocketAddr>,
    observed: Option<SocketAddr>,
    known: KnownMembers,
    links: BTreeMap<PeerId, Link>,
    permanent: BTreeSet<PeerId>,
    /// Those wanted for neighbours, as of the last upkeep.
    best: Vec<PeerId>,
    random: Option<PeerId>,
    estimated: u64,
    target: usize,
    next_upkeep: Instant,
    postings: Postings,
    rng: ChaCha8Rng,
    outputs: VecDeque<Output>,
}

impl Member {
    /// A member of `group` that knows nobody. The seed is for choices that nobody should foresee.
    pub fn new(now: Instant, group: &Groupspec, near: PeerId, seed: [u8; 32]) -> Self {
        Self {
            group: group.digest(),
            prover: Prover::new(group),
            near,
            place: GroupAddress::of(&near),
            server: None,
            observed: None,
            known: KnownMembers::default(),
            links: BTreeMap::new(),
            permanent: BTreeSet::new(),
            best: Vec::new(),
            random: None,
            estimated: 0,
            target: target_neighbors(0),
            next_upkeep: now + PERIOD,
            postings: Postings::default(),
            rng: ChaCha8Rng::from_seed(seed),
            outputs: VecDeque::new(),
        }
    }

    /// The group.
    pub fn group(&self) -> GroupDigest {
        self.group
    }

    /// There is a connection to a server at this address, through which others can be introduced to this peer: joins through it
    /// (wire facts §7.1). Only for a group whose server channel is enabled; others just set the address with
    /// [`Member::set_server`].
    pub fn on_server_connected(&mut self, server: SocketAddr) {
        self.set_server(Some(server));
        self.outputs.push_back(Output::SendToServer(channel::join(&self.group)));
    }

    /// Where this peer's introducer is: others are told to ask there.
    pub fn set_server(&mut self, server: Option<SocketAddr>) {
        self.server = server;
    }

    /// A message of the server, in return to the flow of the join.
    ///
    /// # Errors
    /// If it makes no sense. Nothing has changed then.
    pub fn on_server_message(&mut self, now: Instant, message: &[u8]) -> Result<(), Malformed> {
        match channel::read_hint(message)? {
            Received::Hint(peer) => self.add_member_hint(now, peer),
            Received::Unknown(_) => {}
        }
        Ok(())
    }

    /// `NetGroup.addMemberHint`: this peer is a member. A connection is tried at once while there are few, else if upkeep finds
    /// that it is wanted.
    pub fn add_member_hint(&mut self, now: Instant, peer: PeerId) {
        if peer == self.near {
            return;
        }
        self.hear(now, peer, now, &[]);
        if self.links.values().filter(|link| link.is_active()).count() < self.target {
            self.want(now, peer);
        }
    }

    /// `NetGroup.addNeighbor`: connect to this member now.
    pub fn add_neighbor(&mut self, now: Instant, peer: PeerId) {
        if peer != self.near {
            self.hear(now, peer, now, &[]);
            self.want(now, peer);
        }
    }

    /// Whether this peer is to stay a neighbour whatever upkeep finds, and to be connected to again when it is lost. The
    /// members that `addPermanentNeighborByName` finds by their endpoint's name are set once their ids are known.
    pub fn set_permanent(&mut self, now: Instant, peer: PeerId, permanent: bool) {
        if !permanent {
            self.permanent.remove(&peer);
        } else if peer != self.near {
            self.permanent.insert(peer);
            self.add_neighbor(now, peer);
        }
    }

    /// A session with a peer is open. Without a word from the peer nothing is said to it, unless it was asked for with
    /// [`Output::Connect`]; so it does no harm to tell of sessions that serve something else.
    pub fn on_session(&mut self, now: Instant, session: SessionFacts) {
        if session.peer == self.near || !self.accept_session(now, session) {
            return;
        }
        if let Some(rtt) = session.rtt {
            self.known.set_rtt(&session.peer, rtt);
        }
        if self.links.get(&session.peer).is_some_and(|link| link.phase == Phase::Opening) {
            self.ask_admission(now, session.peer);
        }
    }

    /// A session that [`Output::Connect`] asked for did not open.
    pub fn on_open_failed(&mut self, now: Instant, peer: PeerId) {
        if self.links.get(&peer).is_some_and(|link| link.phase == Phase::Opening) {
            self.links.remove(&peer);
            self.known.failed(&peer, now);
            self.soon(now);
        }
    }

    /// A session is gone.
    pub fn on_session_closed(&mut self, now: Instant, peer: PeerId) {
        let Some(link) = self.links.remove(&peer) else { return };
        if link.phase == Phase::Neighbor {
            self.outputs.push_back(Output::Event(GroupEvent::NeighborDisconnected(peer)));
        }
        // Whoever is gone should not be tried again at once, and not be recommended to others.
        self.known.failed(&peer, now);
        self.soon(now);
    }

    /// A peer is at another address now.
    pub fn on_address(&mut self, now: Instant, peer: &PeerId, address: SocketAddr) {
        let Some(link) = self.links.get_mut(peer) else { return };
        link.far_address = Some(address);
        if link.phase == Phase::Neighbor {
            self.heard_directly(now, *peer, Some(address));
        }
    }

    /// Whether there is or is to be a link to this peer.
    pub fn uses(&self, peer: &PeerId) -> bool {
        self.links.get(peer).is_some_and(Link::is_active)
    }

    /// How long packets take to this peer and back, smoothed.
    pub fn on_rtt(&mut self, peer: &PeerId, rtt: Duration) {
        self.known.set_rtt(peer, rtt);
    }

    /// A message of a peer on one of this group's flows of the kind `about`.
    pub fn on_message(&mut self, now: Instant, peer: PeerId, about: u8, message: &[u8]) {
        let Some(phase) = self.links.get(&peer).map(|link| link.phase) else { return };
        let read = match about {
            about::CONTROL => ControlMessage::read(message).map(|message| self.on_control(now, peer, phase, message)),
            _ if phase != Phase::Neighbor => return,
            about::POSTING_KEY => KeyMessage::read(message).map(|message| self.on_posting_key(now, peer, message)),
            about::POSTING => {
                self.on_posting(peer, message);
                Ok(())
            }
            // Streams are for those who play them.
            _ => return,
        };
        if read.is_err() {
            self.refuse(now, peer, Refusal::Malformed);
        }
    }

    fn on_control(&mut self, now: Instant, peer: PeerId, phase: Phase, message: ControlMessage) {
        match (message, phase) {
            (ControlMessage::Connect(connect), _) => self.on_connect(now, peer, connect),
            (ControlMessage::Begin { .. }, Phase::Neighbor) => self.answer_with_report(now, peer),
            (ControlMessage::Report(report), Phase::Neighbor) => self.on_report(now, peer, report),
            (ControlMessage::Member(member), Phase::Neighbor) => self.add_member_hint(now, member),
            (ControlMessage::AskClose, Phase::Neighbor) => self.on_ask_close(now, peer),
            _ => {}
        }
    }

    /// A peer has closed its flow of this kind, or rejected this end's.
    pub fn on_flow_closed(&mut self, now: Instant, peer: PeerId, about: u8) {
        if about == about::CONTROL && self.links.get(&peer).is_some_and(Link::is_active) {
            self.release(now, peer);
            self.soon(now);
        }
    }

    /// `NetGroup.post`: gives a posting, one AMF value, to all members. `None` if it is too long or has been posted already.
    pub fn post(&mut self, value: &[u8]) -> Option<PostingId> {
        let id = self.postings.add(value)?;
        self.announce(id, None);
        Some(id)
    }

    /// Something for the driver. Poll until there is nothing after everything that was told.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Member::handle_timeout`] wants to be called. Poll it after everything that was told.
    pub fn poll_timeout(&self) -> Instant {
        self.next_upkeep
    }

    /// `NetGroup.estimatedMemberCount`: how many members the group seems to have, with this one.
    pub fn estimated_members(&self) -> u64 {
        self.estimated.saturating_add(1)
    }

    /// `NetGroup.neighborCount`.
    pub fn neighbor_count(&self) -> usize {
        self.neighbors().count()
    }

    /// The neighbours.
    pub fn neighbors(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.links.iter().filter(|(_, link)| link.phase == Phase::Neighbor).map(|(peer, _)| *peer)
    }

    /// Leaves the group: lets all neighbours go. Close the flow to the server to leave there.
    pub fn leave(&mut self, now: Instant) {
        let active: Vec<_> = self.links.iter().filter(|(_, link)| link.is_active()).map(|(peer, _)| *peer).collect();
        for peer in active {
            self.release(now, peer);
        }
    }

    fn send(&mut self, peer: PeerId, message: &ControlMessage) {
        self.outputs.push_back(Output::Send { peer, about: about::CONTROL, message: message.write() });
    }

    /// Where this peer can be reached, for others: its server first (wire facts §8.3).
    fn own_addresses(&self) -> Vec<TaggedAddress> {
        let server = self.server.map(|server| TaggedAddress::new(server, Origin::Relay));
        let observed = self.observed.map(|observed| TaggedAddress::new(observed, Origin::Observed));
        server.into_iter().chain(observed).collect()
    }
}
