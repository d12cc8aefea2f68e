//! Lookups by askers that are no clients: whether those who are there are found at each server, and those who are gone at none.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use introd_tests::startup_packets::{lookup, redirect};
use rtmfp::PeerId;

use super::client::{Client, Number, Phase};
use super::network::{Network, Place};
use super::people::People;
use crate::bounds::{FOUND_ELSEWHERE, FOUND_HERE};
use crate::calm::{EVERYTHING, Part};
use crate::plan::server_name;
use crate::violation::Violation;
use crate::world::World;

/// The first place of an asker; clients have those before.
pub(super) const FIRST_ASKER: u64 = 12_000_000;
/// Askers take turns.
const ASKERS: u64 = 512;
/// A lookup without an answer is repeated after so long.
const REPEAT: Duration = Duration::from_millis(700);
/// So many lookups must have found nothing before it counts.
const ENOUGH: usize = 4;
/// How long a redirect to a peer that is gone may be on its way.
const ON_ITS_WAY: Duration = Duration::from_secs(3);
/// The most lookups that are under way at a time.
const MOST: usize = 20_000;

/// What is asked.
enum Check {
    /// Whether a client is found.
    Here {
        target: Number,
        moves: u32,
        /// The fault after which it is to be found again, and when that ended.
        after: Option<(&'static str, Instant)>,
        asked_at: VecDeque<Instant>,
    },
    /// Whether a peer is named that is gone, and whether that was asked.
    Gone(PeerId, bool),
}

/// The lookups that are under way.
#[derive(Default)]
pub(super) struct Lookups {
    open: HashMap<u64, (usize, Check)>,
    due: BinaryHeap<Reverse<(Instant, u64)>>,
    last: u64,
    /// How many lookups were sent.
    sent: u64,
}

/// The clients with their places in the network.
pub(super) struct Scene<'a> {
    pub(super) clients: &'a HashMap<Number, Box<Client>>,
    pub(super) people: &'a People,
    pub(super) network: &'a mut Network,
    pub(super) world: &'a World,
}

/// What is to be done with a check.
enum Next {
    Ask,
    Drop,
    Overdue(Violation),
}

impl Lookups {
    /// How many are under way.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Looks whether a server finds a client, after this fault if there was one.
    pub(super) fn expect(
        &mut self,
        now: Instant,
        client: &Client,
        asked: usize,
        after: Option<(&'static str, Instant)>,
    ) {
        let check = Check::Here { target: client.number, moves: client.moves, after, asked_at: VecDeque::new() };
        self.add(now, asked, check);
    }

    /// Looks whether any server names a peer that is gone.
    pub(super) fn expect_nowhere(&mut self, now: Instant, peer: PeerId, servers: usize) {
        (0..servers).for_each(|asked| self.add(now, asked, Check::Gone(peer, false)));
    }

    fn add(&mut self, now: Instant, asked: usize, check: Check) {
        if self.open.len() < MOST {
            self.last += 1;
            self.open.insert(self.last, (asked, check));
            self.due.push(Reverse((now, self.last)));
        }
    }

    /// When there is something to do.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.due.peek().map(|Reverse((at, _))| *at)
    }

    /// Sends the lookups that are due.
    pub(super) fn send(&mut self, now: Instant, scene: &mut Scene<'_>) {
        while let Some(Reverse((at, id))) = self.due.peek().copied()
            && at <= now
        {
            self.due.pop();
            let Some((asked, check)) = self.open.get_mut(&id) else { continue };
            let asked = *asked;
            match next(now, asked, check, at, scene) {
                Next::Ask => {
                    let peer = match check {
                        Check::Here { target, asked_at, .. } => {
                            asked_at.push_back(now);
                            if asked_at.len() > 4 * ENOUGH {
                                asked_at.pop_front();
                            }
                            scene.clients.get(target).map(|client| client.peer)
                        }
                        Check::Gone(peer, is_asked) => {
                            *is_asked = true;
                            Some(*peer)
                        }
                    };
                    let wait = if matches!(check, Check::Gone(..)) { ON_ITS_WAY } else { REPEAT };
                    self.due.push(Reverse((now + wait, id)));
                    if let Some(peer) = peer {
                        // Another tag each time: a repeated lookup is answered once while a script decides, and counts twice.
                        scene.world.figures.count("lookups by askers that are no clients");
                        self.sent += 1;
                        let mut tag = [0; 16];
                        tag[..8].copy_from_slice(&id.to_be_bytes());
                        tag[8..].copy_from_slice(&self.sent.to_be_bytes());
                        let place = Place::new(FIRST_ASKER + id % ASKERS);
                        scene.network.send(place, scene.world.servers[asked], &lookup(peer, tag));
                    }
                }
                Next::Drop => drop(self.open.remove(&id)),
                Next::Overdue(violation) => {
                    self.open.remove(&id);
                    scene.world.report(violation);
                }
            }
        }
    }

    /// Takes a datagram that came to an asker.
    pub(super) fn answered(&mut self, now: Instant, datagram: &mut [u8], scene: &Scene<'_>) {
        // The peer that is looked for may answer as well: that is no redirect.
        let Some((tag, to)) = redirect(datagram) else { return };
        let Some(id) = tag.first_chunk::<8>().map(|id| u64::from_be_bytes(*id)) else { return };
        let Some((asked, check)) = self.open.get(&id) else { return };
        let to: Vec<SocketAddr> = to.iter().map(|tagged| tagged.address).collect();
        match check {
            Check::Here { target, after, asked_at, .. } => {
                let Some(client) = scene.clients.get(target) else { return };
                let (own, server) = (scene.network.address(client.place), scene.world.servers[client.server]);
                // Its own server names the client, and the others the way to that server.
                if to.contains(&own) || (*asked != client.server && to.contains(&server)) {
                    let figures = &scene.world.figures;
                    figures.count("clients found");
                    if let Some((fault, ended)) = after {
                        let found = asked_at.back().copied().unwrap_or(now).max(*ended);
                        figures.took(&format!("until found after: {fault}"), found - *ended);
                    }
                    self.open.remove(&id);
                }
            }
            Check::Gone(peer, _) => {
                // Unless it has come back meanwhile.
                if scene.people.gone(peer).is_some() {
                    let seen = format!(
                        "server {} redirects to {to:?} for a peer that went {:.1} s ago and should be forgotten",
                        server_name(*asked),
                        scene.people.gone(peer).map_or(0.0, |gone| gone.age(now).as_secs_f64())
                    );
                    scene.world.report(Violation::new("nobody who is gone is named", seen).about(&[*peer]));
                }
                self.open.remove(&id);
            }
        }
    }
}

/// What is to be done with a check at `at`, when it is due.
fn next(now: Instant, asked: usize, check: &Check, at: Instant, scene: &Scene<'_>) -> Next {
    let world = scene.world;
    let (target, moves, asked_at) = match check {
        Check::Here { target, moves, asked_at, .. } => (target, moves, asked_at),
        // It is asked once. If no answer has come then, that is right.
        Check::Gone(peer, is_asked) if *is_asked || scene.people.gone(peer).is_none() => return Next::Drop,
        Check::Gone(..) => return Next::Ask,
    };
    let Some(client) = scene.clients.get(target) else { return Next::Drop };
    let is_there = client.phase == Phase::Connected && !client.is_orphan && !client.is_moving;
    if !is_there || client.moves != *moves {
        return Next::Drop;
    }
    // This program was late itself.
    world.patience.note(now, now.saturating_duration_since(at));
    let is_here = asked == client.server;
    let parts: &[Part] = match (is_here, client.doubted_until) {
        (_, Some(_)) => &EVERYTHING,
        (true, None) => &[Part::Server(asked)],
        (false, None) => &[Part::Server(asked), Part::Server(client.server), Part::Redis],
    };
    let Some(calm) = world.calm.since(parts) else { return Next::Ask };
    let base = client.settled.max(calm).max(client.doubted_until.unwrap_or(calm));
    let bound = if is_here { FOUND_HERE } else { FOUND_ELSEWHERE };
    let asked_since = asked_at.iter().filter(|at| **at >= base).count();
    if now > world.patience.due(base, bound) && asked_since >= ENOUGH {
        let seen = format!(
            "server {} does not find client {} ({} at server {}), which is connected since {:.1} s and has moved {} times; all \
             that matters has been calm for {:.1} s",
            server_name(asked),
            client.number,
            client.application,
            server_name(client.server),
            (now - client.settled).as_secs_f64(),
            client.moves,
            (now - calm).as_secs_f64()
        );
        let invariant = "every connected client is found at each server";
        return Next::Overdue(Violation::new(invariant, seen).about(&[client.peer]));
    }
    Next::Ask
}
