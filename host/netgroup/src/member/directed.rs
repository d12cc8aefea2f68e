//! Messages to chosen neighbours (WIRE.md §3.8): `NetGroup.sendToNearest`, `sendToNeighbor` and `sendToAllNeighbors`.
//!
//! Each goes one step, as with Flash: a script that wants a message to go on sends it on.

use std::time::Instant;

use rtmfp::{PeerId, Rate};

use super::flow_type;
use super::output::{GroupEvent, Output};
use super::state::Member;
use crate::ring::GroupAddress;

/// The longest directed message, in bytes of its AMF value.
pub const MAX_DIRECTED: usize = 64 * 1024;
/// The first byte of a directed message.
const DIRECTED: u8 = 0x01;
/// How many directed messages of one neighbour are accepted, and how many bytes of them.
const MESSAGE_RATE: Rate = Rate { burst: 512, per_second: 500 };
const BYTE_RATE: Rate = Rate { burst: 4 << 20, per_second: 2 << 20 };

/// Which neighbour on the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// `nextIncreasing`: the next one with a higher group address.
    Increasing,
    /// `nextDecreasing`: the next one with a lower group address.
    Decreasing,
}

/// What becomes of a directed message: `NetGroupSendResult`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// `sent`: it is on its way, or it is for this member itself.
    Sent,
    /// `no route`: there is no neighbour for it.
    NoRoute,
    /// `error`: it is longer than [`MAX_DIRECTED`].
    TooLong,
}

impl Member {
    /// `NetGroup.sendToNearest`: sends one AMF value to the neighbour whose place is nearest to `address`. If this member is nearer than
    /// all of them, the message is for itself: [`GroupEvent::Directed`] with `is_local`.
    pub fn send_to_nearest(&mut self, address: GroupAddress, value: &[u8]) -> Sent {
        if value.len() > MAX_DIRECTED {
            return Sent::TooLong;
        }
        let distance = |place: GroupAddress| place.distance(address);
        let nearest = self.neighbors().min_by_key(|peer| distance(GroupAddress::of(peer)));
        match nearest.filter(|peer| distance(GroupAddress::of(peer)) < distance(self.place)) {
            Some(peer) => self.send_directed(peer, value),
            None => {
                let event = GroupEvent::Directed { from: self.place, is_local: true, value: value.to_vec() };
                self.outputs.push_back(Output::Event(event));
            }
        }
        Sent::Sent
    }

    /// `NetGroup.sendToNeighbor`: sends one AMF value to the next neighbour on the ring.
    pub fn send_to_neighbor(&mut self, direction: Direction, value: &[u8]) -> Sent {
        if value.len() > MAX_DIRECTED {
            return Sent::TooLong;
        }
        let (before, after) = self.ring_neighbors();
        let next = if direction == Direction::Increasing { after } else { before };
        let Some(peer) = next else { return Sent::NoRoute };
        self.send_directed(peer, value);
        Sent::Sent
    }

    /// `NetGroup.sendToAllNeighbors`: sends one AMF value to each neighbour.
    pub fn send_to_all_neighbors(&mut self, value: &[u8]) -> Sent {
        if value.len() > MAX_DIRECTED {
            return Sent::TooLong;
        }
        let neighbors: Vec<PeerId> = self.neighbors().collect();
        for peer in &neighbors {
            self.send_directed(*peer, value);
        }
        if neighbors.is_empty() { Sent::NoRoute } else { Sent::Sent }
    }

    fn send_directed(&mut self, peer: PeerId, value: &[u8]) {
        let message = [&[DIRECTED], value].concat();
        self.outputs.push_back(Output::Send { peer, flow_type: flow_type::DIRECTED, message });
    }

    /// A neighbour has sent a directed message. One of an unknown kind, or beyond the bounds, is dropped and counted.
    pub(super) fn on_directed(&mut self, now: Instant, peer: PeerId, message: &[u8]) {
        let Some((&DIRECTED, value)) = message.split_first() else {
            self.counters.directed_dropped += 1;
            return;
        };
        let Some(link) = self.links.get_mut(&peer) else { return };
        let at = now.saturating_duration_since(link.epoch);
        let bytes = u32::try_from(value.len()).unwrap_or(u32::MAX);
        let is_within = value.len() <= MAX_DIRECTED
            && link.directed.has(at, MESSAGE_RATE, 1)
            && link.directed_bytes.take(at, BYTE_RATE, bytes);
        if !is_within {
            self.counters.directed_dropped += 1;
            return;
        }
        link.directed.spend(at, MESSAGE_RATE, 1);
        let event = GroupEvent::Directed { from: GroupAddress::of(&peer), is_local: false, value: value.to_vec() };
        self.outputs.push_back(Output::Event(event));
    }
}
