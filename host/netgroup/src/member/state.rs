//! The state of one membership.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use rtmfp::{Origin, PeerId, TaggedAddress};

use super::counters::GroupCounters;
use super::coverage_notice::CoverageNotice;
use super::flow_type;
use super::known::KnownMembers;
use super::link::{Link, Phase};
use super::message::ControlMessage;
use super::output::Output;
use super::postings::Postings;
use super::proof::Prover;
use super::topology::target_neighbors;
use crate::digest::GroupDigest;
use crate::groupspec::Groupspec;
use crate::ring::GroupAddress;

/// The period of a member's upkeep (WIRE.md §3.5). It varies by a tenth, so that members do not fall into step.
pub const PERIOD: Duration = Duration::from_secs(10);

/// One peer's membership in one group.
#[derive(Debug)]
pub struct Member {
    pub(super) group: GroupDigest,
    pub(super) prover: Prover,
    pub(super) near: PeerId,
    pub(super) place: GroupAddress,
    /// This peer's introducer, which is named to others.
    pub(super) server: Option<SocketAddr>,
    /// This peer's address, as a neighbour sees it.
    pub(super) observed: Option<SocketAddr>,
    pub(super) known: KnownMembers,
    pub(super) links: BTreeMap<PeerId, Link>,
    pub(super) permanent: BTreeSet<PeerId>,
    /// The members wanted for neighbours, as of the last upkeep.
    pub(super) best: Vec<PeerId>,
    pub(super) random: Option<PeerId>,
    pub(super) estimated: u64,
    pub(super) target: usize,
    pub(super) next_upkeep: Instant,
    pub(super) postings: Postings,
    pub(super) coverage: CoverageNotice,
    pub(super) counters: GroupCounters,
    pub(super) rng: ChaCha8Rng,
    pub(super) outputs: VecDeque<Output>,
}

impl Member {
    /// A member of `group` that knows no other members. The seed is for choices that others should not foresee.
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
            postings: Postings::new(now),
            coverage: CoverageNotice::default(),
            counters: GroupCounters::default(),
            rng: ChaCha8Rng::from_seed(seed),
            outputs: VecDeque::new(),
        }
    }

    /// The digest of the group.
    pub fn group(&self) -> GroupDigest {
        self.group
    }

    /// Whether the peer is a neighbour, or about to become one.
    pub fn uses(&self, peer: &PeerId) -> bool {
        self.links.get(peer).is_some_and(Link::is_active)
    }

    /// The next output for the driver. Poll it after each call of another method, until there is nothing.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Member::handle_timeout`]. Poll it after each call of another method.
    pub fn poll_timeout(&self) -> Instant {
        let others = self.coverage.due.into_iter().chain(self.postings.due());
        others.fold(self.next_upkeep, Instant::min)
    }

    /// `NetGroup.estimatedMemberCount`: an estimate of how many members the group has, this one among them.
    pub fn estimated_members(&self) -> u64 {
        // The estimate is that of the last upkeep.
        let neighbors = u64::try_from(self.neighbor_count()).unwrap_or(u64::MAX);
        self.estimated.max(neighbors).saturating_add(1)
    }

    /// `NetGroup.neighborCount`: how many neighbours this member has.
    pub fn neighbor_count(&self) -> usize {
        self.neighbors().count()
    }

    /// Whether the peer is a neighbour.
    pub fn is_neighbor(&self, peer: &PeerId) -> bool {
        self.links.get(peer).is_some_and(|link| link.phase == Phase::Neighbor)
    }

    /// The members that have named the peer most recently: each may be able to introduce it. They need not be neighbours any more.
    pub fn introducers(&self, peer: &PeerId) -> impl Iterator<Item = PeerId> {
        self.known.get(peer).map(|known| known.namers).into_iter().flatten().flatten()
    }

    /// What was refused since the last call.
    pub fn take_counters(&mut self) -> GroupCounters {
        std::mem::take(&mut self.counters)
    }

    /// This member's neighbours.
    pub fn neighbors(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.links.iter().filter(|(_, link)| link.phase == Phase::Neighbor).map(|(peer, _)| *peer)
    }

    pub(super) fn send(&mut self, peer: PeerId, message: &ControlMessage) {
        self.outputs.push_back(Output::Send { peer, flow_type: flow_type::CONTROL, message: message.write() });
    }

    /// This peer's addresses, for others: that of its server first (WIRE.md §3.4).
    pub(super) fn own_addresses(&self) -> Vec<TaggedAddress> {
        let server = self.server.map(|server| TaggedAddress::new(server, Origin::Relay));
        let observed = self.observed.map(|observed| TaggedAddress::new(observed, Origin::Observed));
        server.into_iter().chain(observed).collect()
    }
}
