//! A member of a group in the network of tests.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use introd_netgroup::discovery::wanted_addresses;
use introd_netgroup::groupspec::MulticastAddress;
use introd_netgroup::ring::Ring;
use introd_netgroup::{GroupAddress, GroupDigest, Groupspec};
use introd_policy::net_connection::{Direction, GroupFacts};
use rtmfp::PeerId;

use super::ground::EndpointId;

/// How many of the last postings a member keeps for those that it meets, as on a server.
const MAX_KEPT: usize = 64;

/// A posting on its way.
#[derive(Clone)]
pub(super) struct Posting {
    pub(super) id: [u8; 32],
    pub(super) value: Arc<[u8]>,
}

/// What an endpoint knows of a group that it has joined.
pub(super) struct Membership {
    pub(super) digest: GroupDigest,
    /// Where it announces itself on the local network.
    pub(super) multicast: Box<[MulticastAddress]>,
    place: GroupAddress,
    /// The permanent neighbours: endpoint names, with addresses.
    pub(super) permanent: BTreeMap<String, Vec<SocketAddr>>,
    /// The other members that it is linked to, with their endpoint names if they are permanent.
    pub(super) links: BTreeMap<EndpointId, Option<String>>,
    ring: Ring<EndpointId>,
    seen: BTreeSet<[u8; 32]>,
    kept: VecDeque<Posting>,
}

impl Membership {
    pub(super) fn new(group: &Groupspec, own: &PeerId) -> Self {
        Self {
            digest: group.digest(),
            multicast: wanted_addresses(group),
            place: GroupAddress::of(own),
            permanent: BTreeMap::new(),
            links: BTreeMap::new(),
            ring: Ring::default(),
            seen: BTreeSet::new(),
            kept: VecDeque::new(),
        }
    }

    /// Links to another member.
    pub(super) fn link(&mut self, other: EndpointId, peer: PeerId, name: Option<String>) {
        self.links.insert(other, name);
        self.ring.insert(peer, other);
    }

    /// Takes a link away. `None` if there is none.
    pub(super) fn unlink(&mut self, other: EndpointId) -> Option<(PeerId, Option<String>)> {
        let name = self.links.remove(&other)?;
        let peer = self.ring.iter().find(|member| member.value == other)?.peer;
        self.ring.remove(&peer);
        Some((peer, name))
    }

    /// A posting has come. False if it is known.
    pub(super) fn take(&mut self, posting: &Posting) -> bool {
        let is_new = self.seen.insert(posting.id);
        if is_new {
            self.kept.push_back(posting.clone());
            if self.kept.len() > MAX_KEPT {
                self.kept.pop_front();
            }
        }
        is_new
    }

    pub(super) fn kept(&self) -> Vec<Posting> {
        self.kept.iter().cloned().collect()
    }

    /// The next neighbour on the ring.
    pub(super) fn next(&self, direction: Direction) -> Option<EndpointId> {
        match direction {
            Direction::Increasing => self.ring.after(self.place).next().map(|member| member.value),
            Direction::Decreasing => self.ring.before(self.place).next().map(|member| member.value),
        }
    }

    /// The neighbour nearest to an address; `None` if this member is nearer than each.
    pub(super) fn nearest(&self, address: GroupAddress) -> Option<EndpointId> {
        let distance = |place: GroupAddress| {
            let one = place.top().wrapping_sub(address.top());
            one.min(one.wrapping_neg())
        };
        let nearest = self.ring.places().min_by_key(|(place, _)| distance(*place))?;
        (distance(nearest.0) < distance(self.place)).then_some(nearest.1.value)
    }

    pub(super) fn facts(&self) -> GroupFacts {
        let between = |from: GroupAddress, to: GroupAddress| {
            let middle = from.top().wrapping_add(to.top().wrapping_sub(from.top()) / 2);
            let mut address = [0; 32];
            address[..8].copy_from_slice(&middle.to_be_bytes());
            address
        };
        let place = |direction| {
            let neighbor = self.next(direction)?;
            self.ring.places().find(|(_, member)| member.value == neighbor).map(|(place, _)| place)
        };
        let local_coverage = match (place(Direction::Decreasing), place(Direction::Increasing)) {
            (Some(before), Some(after)) => (between(before, self.place), between(self.place, after)),
            _ => ([0; 32], [0xff; 32]),
        };
        let neighbor_count = self.links.len();
        GroupFacts { neighbor_count, estimated_member_count: neighbor_count as f64 + 1.0, local_coverage }
    }
}
