//! What neighbours tell each other: reports (WIRE.md §3.4) and postings (WIRE.md §3.7).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rtmfp::{Origin, PeerId, Rate, TaggedAddress};

use super::flow_type;
use super::known::{FORGOTTEN, Known};
use super::link::Phase;
use super::message::ControlMessage;
use super::output::{GroupEvent, Output};
use super::posting::{KeyMessage, PostingId};
use super::report::{Entry, Report};
use super::state::Member;
use crate::ring::{GroupAddress, RingMember};

/// A neighbour gets an answer to a report or a begin only this long after the last report. So two members do not answer each other's
/// answers for ever, and a message of one byte does not cause a report each time.
const ANSWER_INTERVAL: Duration = Duration::from_secs(5);
/// How many messages about keys of postings one neighbour may send, announcements and requests.
const KEY_RATE: Rate = Rate { burst: 8192, per_second: 4000 };
/// How many bytes of postings one neighbour gets that asks for them.
const WANT_RATE: Rate = Rate { burst: 8 << 20, per_second: 4 << 20 };
/// How many members a report names at most: those next to the receiver, and random ones.
const MAX_REPORTED: usize = 20;
/// How many of them are next to the receiver on each side of the ring.
const REPORTED_SIDE: usize = 6;

impl Member {
    /// Learns that some member was heard at a time.
    pub(super) fn hear(&mut self, now: Instant, peer: PeerId, heard: Instant, addresses: &[TaggedAddress]) {
        if peer == self.near || (self.known.is_full() && self.known.get(&peer).is_none()) {
            return;
        }
        if self.known.hear(peer, heard, addresses) {
            self.soon(now);
        }
    }

    /// A neighbour names a member that was heard at a time.
    fn hear_from(&mut self, now: Instant, namer: PeerId, entry: &Entry, heard: Instant) {
        let peer = entry.peer;
        if peer == self.near || (self.known.is_full() && self.known.get(&peer).is_none()) {
            return;
        }
        match self.known.named(namer, peer, heard, &entry.addresses) {
            Some(true) => self.soon(now),
            Some(false) => {}
            None => self.counters.members_ignored += 1,
        }
    }

    /// This end has heard the peer itself.
    pub(super) fn heard_directly(&mut self, now: Instant, peer: PeerId, address: Option<SocketAddr>) {
        let observed = address.map(|address| TaggedAddress::new(address, Origin::Observed));
        let mut addresses = self.known.get(&peer).map(|known| known.addresses.to_vec()).unwrap_or_default();
        if let Some(observed) = observed
            && !addresses.iter().any(|known| known.address == observed.address)
        {
            addresses.push(observed);
        }
        self.hear(now, peer, now, &addresses);
        self.known.heard_directly(&peer);
    }

    /// Answers a begin or a report with a report, unless one was sent just before.
    pub(super) fn answer_with_report(&mut self, now: Instant, peer: PeerId) {
        let early = self.links.get(&peer).and_then(|link| link.reported);
        if early.is_none_or(|reported| now.saturating_duration_since(reported) >= ANSWER_INTERVAL) {
            self.report_to(now, peer);
        }
    }

    /// Sends a report. The neighbour's answer to it gets no answer.
    pub(super) fn report_to(&mut self, now: Instant, peer: PeerId) {
        let report = self.report_for(now, peer);
        if let Some(link) = self.links.get_mut(&peer) {
            link.reported = Some(now);
            link.awaits_report = true;
        }
        self.send(peer, &ControlMessage::Report(report));
    }

    fn report_for(&mut self, now: Instant, receiver: PeerId) -> Report {
        let receiver_address = self.links.get(&receiver).and_then(|link| link.far_address);
        let mut report = Report {
            receiver: receiver_address.map(|address| TaggedAddress::new(address, Origin::Observed)),
            sender: self.own_addresses(),
            entries: Vec::new(),
        };
        let (ring, links) = (self.known.ring(), &self.links);
        let place = GroupAddress::of(&receiver);
        let near = ring.after(place).take(REPORTED_SIDE).chain(ring.before(place).take(REPORTED_SIDE));
        let rng = &mut self.rng;
        let far = std::iter::from_fn(|| ring.random(rng)).take(MAX_REPORTED);
        let mut chosen: Vec<&RingMember<Known>> = Vec::with_capacity(MAX_REPORTED);
        for member in near.chain(far) {
            if chosen.len() >= MAX_REPORTED {
                break;
            }
            let RingMember { peer, value } = member;
            let is_neighbor = links.get(peer).is_some_and(|link| link.phase == Phase::Neighbor);
            let is_alive = is_neighbor || value.is_reachable(now);
            let is_recent = now.saturating_duration_since(value.heard) < FORGOTTEN;
            let is_new = *peer != receiver && !chosen.iter().any(|known| known.peer == *peer);
            if is_alive && is_recent && is_new {
                chosen.push(member);
            }
        }
        report.entries = chosen
            .into_iter()
            .map(|member| Entry {
                peer: member.peer,
                age: now.saturating_duration_since(member.value.heard).as_secs(),
                // Addresses in a peer's own network are of no use elsewhere (WIRE.md §3.4).
                addresses: member
                    .value
                    .addresses
                    .iter()
                    .filter(|address| matches!(address.origin, Origin::Observed | Origin::Relay))
                    .copied()
                    .collect(),
            })
            .collect();
        report
    }

    pub(super) fn on_report(&mut self, now: Instant, peer: PeerId, report: Report) {
        let mut far_address = None;
        let mut answers = false;
        if let Some(link) = self.links.get_mut(&peer) {
            far_address = link.far_address;
            answers = std::mem::take(&mut link.awaits_report);
        }
        self.observed = report.receiver.map(|receiver| receiver.address).or(self.observed);
        self.hear(now, peer, now, &report.sender);
        self.heard_directly(now, peer, far_address);
        for entry in report.entries {
            let heard = now.checked_sub(Duration::from_secs(entry.age));
            if let Some(heard) = heard.filter(|_| entry.age <= FORGOTTEN.as_secs()) {
                self.hear_from(now, peer, &entry, heard);
            }
        }
        if !answers {
            self.answer_with_report(now, peer);
        }
    }

    pub(super) fn on_posting_key(&mut self, now: Instant, peer: PeerId, message: KeyMessage) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        let at = now.saturating_duration_since(link.epoch);
        if !link.keys.take(at, KEY_RATE, 1) {
            self.counters.postings_dropped += 1;
            return;
        }
        match message {
            KeyMessage::Have(key) => {
                if !self.postings.offered(key, peer) {
                    self.counters.postings_dropped += 1;
                }
                self.ask_for_postings(now);
            }
            KeyMessage::Want(key) => {
                if let Some(value) = self.postings.get(&key) {
                    // One that asks for the same again and again gets it at a bounded rate.
                    if !link.wants.take(at, WANT_RATE, u32::try_from(value.len()).unwrap_or(u32::MAX)) {
                        self.counters.postings_dropped += 1;
                        return;
                    }
                    let message = value.to_vec();
                    self.outputs.push_back(Output::Send { peer, flow_type: flow_type::POSTING, message });
                }
            }
        }
    }

    pub(super) fn on_posting(&mut self, now: Instant, from: PeerId, value: &[u8]) {
        match self.postings.receive(now, from, value) {
            Some(id) => {
                self.outputs.push_back(Output::Event(GroupEvent::Posting { from, id, value: value.to_vec() }));
                self.announce(id, Some(from));
            }
            None => self.counters.postings_dropped += 1,
        }
        self.ask_for_postings(now);
    }

    /// Asks neighbours for what they have announced.
    pub(super) fn ask_for_postings(&mut self, now: Instant) {
        for (peer, key) in self.postings.asks(now) {
            let message = KeyMessage::Want(key).write().to_vec();
            self.outputs.push_back(Output::Send { peer, flow_type: flow_type::POSTING_KEY, message });
        }
    }

    /// Announces a posting to all neighbours but one.
    pub(super) fn announce(&mut self, id: PostingId, except: Option<PeerId>) {
        let neighbors: Vec<_> = self.neighbors().filter(|peer| Some(*peer) != except).collect();
        for peer in neighbors {
            let message = KeyMessage::Have(id.key()).write().to_vec();
            self.outputs.push_back(Output::Send { peer, flow_type: flow_type::POSTING_KEY, message });
        }
    }
}
