//! A group of many members in memory, in virtual time: a server with the built-in bootstrap, and members that join in random order, leave
//! and crash. Everything follows from a seed, which is printed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use rtmfp::PeerId;
use slab::Slab;

use crate::groups::Memberships;
use crate::groups::bootstrap::{BootstrapSettings, Hint};
use introd_netgroup::member::{
    GroupEvent, MAX_GUESTS, MAX_NEIGHBORS, Member, Output, Refusal, SessionFacts, flow_type,
};
use introd_netgroup::{GroupDigest, GroupKey, GroupSpecifier, Groupspec, channel};

/// How long a message takes, at least; up to as much again is added.
const LATENCY: Duration = Duration::from_millis(20);
/// How long until a session with a peer that has crashed is given up.
pub(super) const SILENCE: Duration = Duration::from_secs(30);

/// An event of the simulation.
pub(super) enum Happening {
    Join,
    /// A member goes: it leaves, or it crashes without a word.
    Go {
        crash: bool,
    },
    Timeout {
        at: PeerId,
        due: Instant,
    },
    FromServer {
        to: PeerId,
        message: Vec<u8>,
    },
    GoneAtServer {
        peer: PeerId,
    },
    /// An attempt to open a session has come to its end.
    Opened {
        by: PeerId,
        with: PeerId,
    },
    Message {
        from: PeerId,
        to: PeerId,
        flow_type: u8,
        message: Vec<u8>,
    },
    Closed {
        at: PeerId,
        with: PeerId,
        session: bool,
    },
}

pub(super) struct Overlay {
    start: Instant,
    pub(super) now: Instant,
    /// The happenings by time and order, as their keys in `happenings`.
    queue: BinaryHeap<Reverse<(Instant, u64, usize)>>,
    pub(super) happenings: Slab<Happening>,
    number: u64,
    spec: Groupspec,
    group: GroupDigest,
    /// The key under which the server knows the group.
    key: GroupKey,
    pub(super) server: Memberships<u32>,
    pub(super) members: BTreeMap<PeerId, Member>,
    /// The timeouts that are set.
    timeouts: HashMap<PeerId, Instant>,
    /// The peers with which each member has a session.
    sessions: BTreeMap<PeerId, BTreeSet<PeerId>>,
    rng: ChaCha8Rng,
    pub(super) seed: u64,
    hints: Vec<Hint<u32>>,
    /// Hints of one join or leave, at most and in all.
    most_hints: usize,
    all_hints: usize,
    joins: usize,
    pub(super) postings: usize,
    too_many: usize,
    delivered: u64,
}

impl Overlay {
    pub(super) fn new(seed: u64) -> Self {
        println!("seed {seed}");
        let spec = GroupSpecifier::new("overlay").unwrap().with_authorizations().unwrap();
        let now = Instant::now();
        Self {
            start: now,
            now,
            queue: BinaryHeap::new(),
            happenings: Slab::new(),
            number: 0,
            group: spec.digest(),
            key: GroupKey::of(&spec.digest(), &[]),
            spec,
            server: Memberships::new(1, BootstrapSettings::default(), [3; 32]),
            members: BTreeMap::new(),
            timeouts: HashMap::new(),
            sessions: BTreeMap::new(),
            rng: ChaCha8Rng::seed_from_u64(seed),
            seed,
            hints: Vec::new(),
            most_hints: 0,
            all_hints: 0,
            joins: 0,
            postings: 0,
            too_many: 0,
            delivered: 0,
        }
    }

    fn at(&mut self, when: Instant, what: Happening) {
        self.number += 1;
        let place = self.happenings.insert(what);
        self.queue.push(Reverse((when, self.number, place)));
    }

    fn soon(&mut self, what: Happening) {
        let delay = LATENCY + Duration::from_micros(self.rng.next_u64() % LATENCY.as_micros() as u64);
        self.at(self.now + delay, what);
    }

    pub(super) fn in_random_order(&mut self, count: usize, over: Duration, what: impl Fn() -> Happening) {
        for _ in 0..count {
            let when = self.now + Duration::from_micros(self.rng.next_u64() % over.as_micros() as u64);
            self.at(when, what());
        }
    }

    pub(super) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.queue.peek().is_some_and(|Reverse((when, _, _))| *when <= end) {
            let Reverse((when, _, place)) = self.queue.pop().unwrap();
            self.now = when;
            let what = self.happenings.remove(place);
            self.happen(what);
        }
        self.now = end;
    }

    fn happen(&mut self, what: Happening) {
        let now = self.now;
        self.delivered += 1;
        match what {
            Happening::Join => self.join(),
            Happening::Go { crash } => self.go(crash),
            Happening::Timeout { at, due } => {
                if self.timeouts.get(&at) == Some(&due) {
                    self.timeouts.remove(&at);
                    self.tell(at, |member| member.handle_timeout(now));
                }
            }
            Happening::FromServer { to, message } => {
                self.tell(to, |member| member.on_server_message(now, &message).unwrap());
            }
            Happening::GoneAtServer { peer } => self.gone_at_server(peer),
            Happening::Opened { by, with } => self.opened(by, with),
            Happening::Message { from, to, flow_type, message } => {
                if self.sessions.get(&from).is_some_and(|with| with.contains(&to)) {
                    self.tell(to, |member| member.on_message(now, from, flow_type, &message));
                }
            }
            Happening::Closed { at, with, session } => self.tell(at, |member| {
                if session {
                    member.on_session_closed(now, with);
                } else {
                    member.on_flow_closed(now, with, flow_type::CONTROL);
                }
            }),
        }
    }

    fn join(&mut self) {
        let mut id = [0; 32];
        self.rng.fill_bytes(&mut id);
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        let peer = PeerId(id);
        self.members.insert(peer, Member::new(self.now, &self.spec, peer, seed));
        let now = self.now;
        // The server is told of the join at once.
        self.server.join(self.key, peer, 0).unwrap();
        self.joins += 1;
        self.server.hints_for_newcomer(&self.key, peer, &mut self.hints);
        assert!(self.hints.len() <= BootstrapSettings::default().max_hints_per_join());
        self.pass_on_hints();
        self.tell(peer, |member| {
            member.on_server_connected(([192, 0, 2, 1], 1935).into());
            assert!(member.poll_timeout() > now);
        });
    }

    fn pass_on_hints(&mut self) {
        self.most_hints = self.most_hints.max(self.hints.len());
        self.all_hints += self.hints.len();
        for Hint { to, about, .. } in std::mem::take(&mut self.hints) {
            self.soon(Happening::FromServer { to, message: channel::hint(&about).to_vec() });
        }
    }

    pub(super) fn go(&mut self, crash: bool) {
        if self.members.len() <= 1 {
            return;
        }
        let at = (self.rng.next_u64() % self.members.len() as u64) as usize;
        let peer = *self.members.keys().nth(at).unwrap();
        if !crash {
            let now = self.now;
            self.tell(peer, |member| member.leave(now));
        }
        self.members.remove(&peer);
        self.timeouts.remove(&peer);
        let after = if crash { SILENCE } else { LATENCY };
        for at in self.sessions.remove(&peer).unwrap_or_default() {
            self.sessions.get_mut(&at).unwrap().remove(&peer);
            self.at(self.now + after, Happening::Closed { at, with: peer, session: true });
        }
        self.at(self.now + after, Happening::GoneAtServer { peer });
    }

    fn gone_at_server(&mut self, peer: PeerId) {
        assert!(self.server.leave(&self.key, &peer, 0));
        self.server.hints_after_leave(&self.key, peer, &mut self.hints);
        assert!(self.hints.len() <= BootstrapSettings::default().max_hints_per_leave());
        self.pass_on_hints();
    }

    fn opened(&mut self, by: PeerId, with: PeerId) {
        let now = self.now;
        if !self.members.contains_key(&by) {
            return;
        }
        if !self.members.contains_key(&with) {
            return self.tell(by, |member| member.on_open_failed(now, with));
        }
        self.sessions.entry(with).or_default().insert(by);
        let is_new = self.sessions.entry(by).or_default().insert(with);
        // Only the two ends of a session know its nonces. The group does not depend on their values.
        let facts = |near: PeerId, far: PeerId| SessionFacts {
            peer: far,
            near_nonce: near.0,
            far_nonce: far.0,
            far_address: ([192, 0, 2, far.0[0]], u16::from_be_bytes([far.0[1], far.0[2]])).into(),
            rtt: None,
        };
        if is_new {
            self.tell(with, |member| member.on_session(now, facts(with, by)));
        }
        self.tell(by, |member| member.on_session(now, facts(by, with)));
    }

    /// Passes an input to a member, if it is still there, and executes its outputs.
    pub(super) fn tell(&mut self, peer: PeerId, what: impl FnOnce(&mut Member)) {
        let Some(member) = self.members.get_mut(&peer) else { return };
        what(member);
        let mut outputs = Vec::new();
        while let Some(output) = member.poll_output() {
            outputs.push(output);
        }
        let due = member.poll_timeout();
        if self.timeouts.get(&peer) != Some(&due) {
            self.timeouts.insert(peer, due);
            self.at(due, Happening::Timeout { at: peer, due });
        }
        for output in outputs {
            match output {
                Output::SendToServer(message) => assert_eq!(channel::read_join(&message), Ok(self.group)),
                Output::Connect { peer: with, .. } => self.soon(Happening::Opened { by: peer, with }),
                Output::Send { peer: to, flow_type, message } => {
                    // Flows keep their order: everything takes equally long here.
                    let message = Happening::Message { from: peer, to, flow_type, message };
                    self.at(self.now + LATENCY, message);
                }
                Output::Release(with) => {
                    self.at(self.now + LATENCY, Happening::Closed { at: with, with: peer, session: false });
                }
                Output::Event(GroupEvent::Posting { .. }) => self.postings += 1,
                // A member that has crashed cannot answer in time.
                Output::Event(GroupEvent::Refused { reason: Refusal::Late, peer })
                    if !self.members.contains_key(&peer) => {}
                Output::Event(GroupEvent::Refused { reason: Refusal::TooMany, .. }) => self.too_many += 1,
                Output::Event(GroupEvent::Refused { peer, reason }) => {
                    panic!("seed {}: {peer} refused: {reason}", self.seed)
                }
                Output::Event(_) => {}
            }
        }
    }

    /// The sizes of the parts of the overlay that are not connected with each other, by links that both ends know.
    pub(super) fn parts(&self) -> Vec<usize> {
        let links: BTreeMap<PeerId, BTreeSet<PeerId>> =
            self.members.iter().map(|(peer, member)| (*peer, member.neighbors().collect())).collect();
        let mut unseen: BTreeSet<PeerId> = links.keys().copied().collect();
        let mut parts = Vec::new();
        while let Some(first) = unseen.pop_first() {
            let (mut part, mut open) = (1, vec![first]);
            while let Some(peer) = open.pop() {
                for other in &links[&peer] {
                    if links.get(other).is_some_and(|back| back.contains(&peer)) && unseen.remove(other) {
                        part += 1;
                        open.push(*other);
                    }
                }
            }
            parts.push(part);
        }
        parts
    }

    pub(super) fn assert_connected(&self) {
        let parts = self.parts();
        let degrees: Vec<_> = self.members.values().map(Member::neighbor_count).collect();
        println!(
            "{} members after {:?}: {} part(s), {} to {} neighbours, {:.1} on average; {} joins, at most {} hints for one, \
             {:.1} on average ({} bytes); {} refused for being too many; {} happenings",
            self.members.len(),
            self.now - self.start,
            parts.len(),
            degrees.iter().min().unwrap(),
            degrees.iter().max().unwrap(),
            degrees.iter().sum::<usize>() as f64 / degrees.len() as f64,
            self.joins,
            self.most_hints,
            self.all_hints as f64 / self.joins as f64,
            33 * self.all_hints / self.joins,
            self.too_many,
            self.delivered,
        );
        assert_eq!(parts.len(), 1, "seed {}: parts of {parts:?}", self.seed);
        assert!(degrees.iter().all(|degree| *degree <= MAX_NEIGHBORS + MAX_GUESTS), "seed {}", self.seed);
        assert_eq!(self.server.members(&self.key).len(), self.members.len(), "seed {}", self.seed);
    }
}
