//! All clients, on one thread: they come, go, vanish, move, call, join groups, look each other up, and look at what becomes of that.

mod client;
mod crowd;
mod dice;
mod judging;
mod lookups;
mod network;
mod people;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use introd_netgroup::GroupDigest;
use rtmfp::crypto::{Group, Identity, KeyPair};

use crate::calm::{Part, SERVERS};
use crate::world::World;
use client::{Client, Happening, Number, SOCKET};
use dice::{Dice, Pace};
use lookups::{Lookups, Scene};
use network::{Network, Place};
use people::People;

/// How long the loop waits for a datagram at most.
const WAIT: Duration = Duration::from_millis(10);
/// How often all clients are looked at.
const SWEEP: Duration = Duration::from_millis(250);

/// How many clients there are and how much they do, each of these by all together in a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) clients: usize,
    pub(crate) arrivals: f64,
    /// How long a client stays, on the average.
    pub(crate) stay: Duration,
    pub(crate) moves: f64,
    pub(crate) calls: f64,
    pub(crate) meetings: f64,
    pub(crate) lookups: f64,
    /// The groups that clients join.
    pub(crate) groups: usize,
}

/// What the fleet is told.
#[derive(Debug)]
pub(crate) enum Order {
    /// A server's process has ended. The sender is dropped when all clients are noted whose sessions have ended with it: before that, no other
    /// process may take its place, whose sessions would be taken for those.
    Ended(usize, Sender<()>),
    /// A fault of that kind has ended: look for how long it takes until clients are found.
    After { kind: &'static str, part: Part, ended: Instant },
    /// No more clients come, and those that are there leave in order.
    Leave,
}

/// What the fleet tells of clients whose scripts have been asked about them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Note {
    pub(crate) number: u64,
    pub(crate) server: usize,
    /// Which of the server's processes it was.
    pub(crate) life: u32,
    pub(crate) at: Instant,
    pub(crate) what: Noted,
}

/// What is noted of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Noted {
    /// The script has been asked.
    Asked,
    /// The session has ended.
    Ended,
    /// The client has vanished without a word.
    Vanished,
}

/// The clients.
pub(crate) struct Fleet {
    world: Arc<World>,
    load: Load,
    dice: Dice,
    network: Network,
    key: KeyPair,
    groups: Vec<GroupDigest>,
    clients: HashMap<Number, Box<Client>>,
    places: HashMap<Place, Number>,
    /// Those that others may look for, and where each of them stands there.
    connected: Vec<Number>,
    positions: HashMap<Number, usize>,
    /// The life of the server that each client has asked.
    lives: HashMap<Number, u32>,
    timers: BinaryHeap<Reverse<(Instant, Number)>>,
    people: People,
    lookups: Lookups,
    /// Peers that come back elsewhere, when, and not to which server.
    returning: VecDeque<(Instant, Arc<Identity>, usize)>,
    paces: Paces,
    last_number: Number,
    last_place: u64,
    leaves: bool,
    swept: Instant,
    orders: Receiver<Order>,
    notes: Sender<Note>,
    scratch: Vec<u8>,
}

struct Paces {
    arrivals: Pace,
    moves: Pace,
    calls: Pace,
    meetings: Pace,
    lookups: Pace,
}

impl Fleet {
    pub(crate) fn new(
        world: Arc<World>,
        load: Load,
        seed: u64,
        orders: Receiver<Order>,
        notes: Sender<Note>,
    ) -> anyhow::Result<Self> {
        let now = Instant::now();
        let mut dice = Dice::new(seed);
        let groups = (0..load.groups).map(|_| GroupDigest(dice.seed())).collect();
        let paces = Paces {
            arrivals: Pace::new(now, load.arrivals),
            moves: Pace::new(now, load.moves),
            calls: Pace::new(now, load.calls),
            meetings: Pace::new(now, load.meetings),
            lookups: Pace::new(now, load.lookups),
        };
        Ok(Self {
            world,
            load,
            key: KeyPair::generate(Group::Modp2, &mut dice.0),
            dice,
            network: Network::new()?,
            groups,
            clients: HashMap::new(),
            places: HashMap::new(),
            connected: Vec::new(),
            positions: HashMap::new(),
            lives: HashMap::new(),
            timers: BinaryHeap::new(),
            people: People::default(),
            lookups: Lookups::default(),
            returning: VecDeque::new(),
            paces,
            last_number: 0,
            last_place: 0,
            leaves: false,
            swept: now,
            orders,
            notes,
            scratch: Vec::with_capacity(2048),
        })
    }

    /// Goes on until all clients have left after [`Order::Leave`], or the world stops at a violation.
    ///
    /// # Errors
    /// If the socket cannot be used.
    pub(crate) fn run(mut self) -> anyhow::Result<()> {
        while !(self.leaves && self.clients.is_empty()) && self.world.problems.first().is_none() {
            self.obey();
            self.receive()?;
            let now = Instant::now();
            self.run_timers(now);
            self.act(now);
            if now.saturating_duration_since(self.swept) >= SWEEP {
                self.swept = now;
                self.sweep(now);
            }
            self.look_up(now);
            self.network.flush();
        }
        self.network.flush();
        Ok(())
    }

    fn obey(&mut self) {
        while let Ok(order) = self.orders.try_recv() {
            let now = Instant::now();
            match order {
                Order::Ended(server, _noted) => self.orphan(now, server),
                Order::After { kind, part, ended } => self.look_after(now, kind, part, ended),
                Order::Leave => self.leave_all(now),
            }
        }
    }

    fn receive(&mut self) -> anyhow::Result<()> {
        let now = Instant::now();
        let next = [self.timers.peek().map(|Reverse((at, _))| *at), self.lookups.next_timeout()];
        let next = next.into_iter().flatten().min();
        let wait = next.map_or(WAIT, |at| at.saturating_duration_since(now).min(WAIT));
        let (mut touched, mut answers) = (Vec::new(), Vec::new());
        let (clients, places) = (&mut self.clients, &self.places);
        self.network.receive(wait, |place, from, datagram| {
            match places.get(&place).and_then(|number| clients.get_mut(number)) {
                Some(client) => {
                    client.endpoint.handle_datagram(Instant::now(), SOCKET, from, datagram);
                    touched.push(client.number);
                }
                // It came to an asker, or to a place that its client has left.
                None => answers.push(datagram.to_vec()),
            }
        })?;
        let now = Instant::now();
        for mut answer in answers {
            let (clients, people, world) = (&self.clients, &self.people, &self.world);
            let scene = Scene { clients, people, network: &mut self.network, world };
            self.lookups.answered(now, &mut answer, &scene);
        }
        touched.dedup();
        for number in touched {
            self.tend(now, number);
        }
        Ok(())
    }

    fn run_timers(&mut self, now: Instant) {
        while let Some(Reverse((at, number))) = self.timers.peek().copied()
            && at <= now
        {
            self.timers.pop();
            if let Some(client) = self.clients.get_mut(&number)
                && client.armed == Some(at)
            {
                client.armed = None;
                client.endpoint.handle_timeout(now);
                self.tend(now, number);
            }
        }
    }

    /// Drains a client's endpoint.
    fn tend(&mut self, now: Instant, number: Number) {
        let Some(client) = self.clients.get_mut(&number) else { return };
        let addresses = (self.world.servers[client.server], self.network.address(client.place));
        let mut happened: Vec<Happening> = Vec::new();
        while let Some(event) = client.endpoint.poll_event() {
            client.handle(now, event, addresses, &self.key, &mut happened);
        }
        self.transmit(now, number);
        for happening in happened {
            self.judge(now, number, happening);
        }
    }

    /// Sends what a client has to send.
    fn transmit(&mut self, now: Instant, number: Number) {
        let Some(client) = self.clients.get_mut(&number) else { return };
        loop {
            self.scratch.clear();
            let Some(transmit) = client.endpoint.poll_transmit(now, &mut self.scratch) else { break };
            self.network.send(client.place, transmit.to, &self.scratch);
        }
        let deadline = client.endpoint.poll_timeout();
        if let Some(deadline) = deadline
            && client.armed.is_none_or(|armed| deadline < armed)
        {
            client.armed = Some(deadline);
            self.timers.push(Reverse((deadline, number)));
        }
    }

    /// Sends lookups of those who should be found, and of those who should not.
    fn look_up(&mut self, now: Instant) {
        for _ in 0..self.paces.lookups.due(now) {
            if let Some(client) = self.dice.one_of(&self.connected).and_then(|number| self.clients.get(number)) {
                self.lookups.expect(now, client, self.dice.below(SERVERS), None);
            }
        }
        while self.lookups.len() < 1000
            && let Some(peer) = self.people.next_forgotten(now, &self.world)
        {
            self.world.figures.count("departures verified");
            self.lookups.expect_nowhere(now, peer, SERVERS);
        }
        let (clients, people, world) = (&self.clients, &self.people, &self.world);
        self.lookups.send(now, &mut Scene { clients, people, network: &mut self.network, world });
    }
}
