//! Upkeep: every ten seconds a member chooses the neighbours it wants, connects, asks others to close, reports and forgets (WIRE.md §3.5).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand_core::Rng;
use rtmfp::PeerId;

use super::link::Phase;
use super::message::ControlMessage;
use super::output::Refusal;
use super::state::{Member, PERIOD};
use super::topology::{Candidate, View, wanted_neighbors};

/// While there are too few neighbours, upkeep follows news after this time.
const SOON: Duration = Duration::from_secs(1);
/// How many sessions are being opened at a time.
const MAX_OPENING: usize = 16;
/// How many of them because of what one neighbour has named: one that makes members up leaves room for what others name.
const MAX_OPENING_FOR_ONE: usize = 8;
/// How often a neighbour is asked to close (WIRE.md §3.5).
pub(super) const ASK_INTERVAL: Duration = Duration::from_secs(90);
/// How long a peer may take to prove that it is a member.
pub(super) const ADMISSION_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a driver may take to open a session: longer than the protocol tries (95 s, RFC 7016 §3.5.1.1.1).
pub(super) const OPENING_TIMEOUT: Duration = Duration::from_secs(120);

impl Member {
    /// Does what is due. Call it at [`Member::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) {
        self.tell_coverage(now);
        if self.postings.due().is_some_and(|due| due <= now) {
            self.ask_for_postings(now);
        }
        if now < self.next_upkeep {
            return;
        }
        let jitter = self.rng.next_u64() % (PERIOD.as_millis() as u64 / 5);
        self.next_upkeep = now + PERIOD * 9 / 10 + Duration::from_millis(jitter);
        self.expire(now);
        // A neighbour counts as heard as long as its session is open: keepalives show that, not messages of the group.
        let neighbors: Vec<_> = self.neighbors().collect();
        for peer in &neighbors {
            self.known.hear(*peer, now, &[]);
        }
        let links = &self.links;
        let permanent = &self.permanent;
        self.known.expire(now, |peer| {
            permanent.contains(peer) || links.get(peer).is_some_and(|link| link.phase == Phase::Neighbor)
        });
        self.choose(now);
        self.connect(now);
        self.ask_to_close(now);
        self.release_guests(now);
        if !neighbors.is_empty() {
            let at = (self.rng.next_u64() % neighbors.len() as u64) as usize;
            if let Some(peer) = neighbors.get(at) {
                self.report_to(now, *peer);
            }
        }
    }

    /// Something has changed. If there are too few neighbours, the next upkeep comes [`SOON`].
    pub(super) fn soon(&mut self, now: Instant) {
        if self.next_upkeep > now + SOON && self.active_links() < self.target {
            self.next_upkeep = now + SOON;
        }
    }

    pub(super) fn active_links(&self) -> usize {
        self.links.values().filter(|link| link.is_active()).count()
    }

    /// Gives up sessions that do not open, and peers that do not send a proof.
    fn expire(&mut self, now: Instant) {
        let is_late = |since: Instant, timeout| now.saturating_duration_since(since) >= timeout;
        let opening: Vec<_> = self
            .links
            .iter()
            .filter(|(_, link)| link.phase == Phase::Opening && is_late(link.since, OPENING_TIMEOUT))
            .map(|(peer, _)| *peer)
            .collect();
        for peer in opening {
            self.on_open_failed(now, peer);
        }
        let asked: Vec<_> = self
            .links
            .iter()
            .filter(|(_, link)| link.phase == Phase::Asked && is_late(link.since, ADMISSION_TIMEOUT))
            .map(|(peer, _)| *peer)
            .collect();
        for peer in asked {
            self.refuse(now, peer, Refusal::Late);
        }
    }

    /// Chooses the members wanted for neighbours.
    pub(super) fn choose(&mut self, now: Instant) {
        let links = &self.links;
        let candidates = self
            .known
            .ring()
            .places()
            .filter(|(_, member)| {
                let phase = links.get(&member.peer).map(|link| link.phase);
                phase == Some(Phase::Neighbor) || (phase != Some(Phase::Refused) && member.value.is_reachable(now))
            })
            .map(|(place, member)| Candidate { place, peer: member.peer, rtt: member.value.rtt })
            .collect();
        let view = View::new(self.place, candidates);
        self.estimated = view.estimated_members();
        self.target = wanted_neighbors(self.estimated);
        self.best = view.best(self.target, &mut self.random, &mut self.rng);
        self.best.extend(self.permanent.iter().filter(|peer| !self.best.contains(peer)).copied().collect::<Vec<_>>());
    }

    pub(super) fn connect(&mut self, now: Instant) {
        let mut opening = 0;
        let mut opening_for: BTreeMap<PeerId, usize> = BTreeMap::new();
        for (peer, _) in self.links.iter().filter(|(_, link)| link.phase == Phase::Opening) {
            opening += 1;
            if let Some(namer) = self.known.get(peer).and_then(|known| known.named_by) {
                *opening_for.entry(namer).or_default() += 1;
            }
        }
        let known = &self.known;
        let wanted: Vec<PeerId> = self
            .best
            .iter()
            .filter(|peer| !self.links.get(peer).is_some_and(|link| link.phase != Phase::Idle))
            .filter(|peer| self.known.get(peer).is_none_or(|known| known.is_reachable(now)))
            .filter(|peer| {
                let Some(namer) = known.get(peer).and_then(|known| known.named_by) else { return true };
                let count = opening_for.entry(namer).or_default();
                *count += 1;
                *count <= MAX_OPENING_FOR_ONE
            })
            .take(MAX_OPENING.saturating_sub(opening))
            .copied()
            .collect();
        for peer in wanted {
            self.connect_to(now, peer);
        }
    }

    /// Asks one neighbour that is not wanted to close. The neighbour may refuse, and is not asked again soon.
    pub(super) fn ask_to_close(&mut self, now: Instant) {
        if self.neighbor_count() <= self.best.len() {
            return;
        }
        let best = &self.best;
        let asked = self.links.iter_mut().find(|(peer, link)| {
            let recently = |asked| now.saturating_duration_since(asked) < ASK_INTERVAL;
            link.phase == Phase::Neighbor
                && !recently(link.since)
                && !link.asked_to_close.is_some_and(recently)
                && !best.contains(peer)
        });
        if let Some((peer, link)) = asked {
            link.asked_to_close = Some(now);
            let peer = *peer;
            self.send(peer, &ControlMessage::AskClose);
        }
    }

    /// A neighbour asks to close. This member agrees if it has more neighbours than it wants, and does not want this one.
    pub(super) fn on_ask_close(&mut self, now: Instant, peer: PeerId) {
        if self.neighbor_count() > self.best.len() && !self.best.contains(&peer) && !self.permanent.contains(&peer) {
            self.release(now, peer);
            self.soon(now);
        }
    }
}
