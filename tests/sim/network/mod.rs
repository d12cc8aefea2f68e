//! A simulated network in virtual time, with whole endpoints in it. Everything that happens follows from one seed.

mod bulk;
mod identities;
mod link;
mod nat;
mod newreno;
mod node;
mod relay;
mod rng;
mod seeds;
mod startup;
mod watch;

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) use bulk::Bulk;
pub(crate) use identities::{ephemeral, fixed};
pub(crate) use link::{Bottleneck, Link};
use nat::Nat;
pub(crate) use newreno::NewReno;
pub(crate) use node::Introduction;
use node::Node;
use relay::Relay;
pub(crate) use rng::Dice;
use rtmfp::crypto::{Epd, Group, Identity};
use rtmfp::{Config, Endpoint, InterfaceId, KeyingDone, PeerId, SessionId};
pub(crate) use seeds::for_seeds;
pub(crate) use startup::{open_startup, seal_startup, startup_kind};

/// A node's place in the simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NodeId(usize);

/// A datagram on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) data: Vec<u8>,
}

enum Action {
    Arrive(Packet),
    Keyed(NodeId, KeyingDone),
}

/// What a scenario does to packets on their way: false drops one.
type Filter = Box<dyn FnMut(&Packet) -> bool>;

/// The network, the nodes and the time.
pub(crate) struct Sim {
    start: Instant,
    now: Instant,
    pub(crate) dice: Dice,
    nodes: Vec<Node>,
    peer_ids: Vec<PeerId>,
    default_link: Link,
    links: HashMap<(NodeId, NodeId), Link>,
    /// By time, then by the order in which they came to be.
    actions: BTreeMap<(Instant, u64), Action>,
    next_action: u64,
    filter: Option<Filter>,
    /// The relay of the servers, if they have one.
    pub(crate) relay: Option<Relay>,
    /// Flows of another protocol that share bottlenecks with the nodes.
    pub(crate) crossing: Vec<NewReno>,
    /// Every datagram sent, if the scenario wants them.
    pub(crate) recorded: Option<Vec<Packet>>,
    steps: u64,
    /// Steps since time last moved on.
    steps_now: u64,
}

/// A run that takes more steps than this will never end.
const MAX_STEPS: u64 = 20_000_000;
/// An instant in which more than this happens will never end.
const MAX_STEPS_NOW: u64 = 1_000_000;
/// How long [`Sim::run_until`] waits, in virtual time.
const MAX_WAIT: Duration = Duration::from_secs(300);

impl Sim {
    #[allow(clippy::disallowed_methods, reason = "an Instant cannot be made up; nothing depends on which it is")]
    pub(crate) fn new(seed: u64) -> Self {
        let start = Instant::now();
        Self {
            start,
            now: start,
            dice: Dice::new(seed),
            nodes: Vec::new(),
            peer_ids: Vec::new(),
            default_link: Link::default(),
            links: HashMap::new(),
            actions: BTreeMap::new(),
            next_action: 0,
            filter: None,
            relay: None,
            crossing: Vec::new(),
            recorded: None,
            steps: 0,
            steps_now: 0,
        }
    }

    // ---- the network

    /// A server: never the first to speak, ignores forwarded hellos, introduces those that have sessions with it.
    pub(crate) fn server(&mut self) -> NodeId {
        let identity = self.new_identity();
        let server = self.node(Config::server(vec![identity]));
        self.nodes[server.0].introduction = Introduction::FULL;
        server
    }

    /// A peer with a public address.
    pub(crate) fn peer(&mut self) -> NodeId {
        let identity = self.new_identity();
        self.node(Config::peer(identity))
    }

    /// A peer behind a NAT of its own.
    pub(crate) fn peer_behind_nat(&mut self) -> NodeId {
        let identity = self.new_identity();
        self.peer_behind_nat_with(Config::peer(identity))
    }

    /// A peer behind a NAT of its own that gives each destination another port.
    pub(crate) fn peer_behind_symmetric_nat(&mut self) -> NodeId {
        let node = self.peer_behind_nat();
        let nat = self.nodes[node.0].nat.as_mut().expect("a NAT");
        *nat = Nat::symmetric(nat.public());
        node
    }

    /// Servers relay peers to each other that have not met at the third hello.
    pub(crate) fn with_relay(&mut self) {
        self.relay = Some(Relay::new(self.now));
    }

    /// A node behind a NAT of its own, with these settings.
    pub(crate) fn peer_behind_nat_with(&mut self, config: Config) -> NodeId {
        let inside = SocketAddr::from(([192, 168, self.nodes.len() as u8, 2], 50_000));
        let nat = Nat::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, self.nodes.len() as u8)));
        self.add(config, vec![inside], Some(nat))
    }

    /// A node with one public address.
    pub(crate) fn node(&mut self, config: Config) -> NodeId {
        let address = self.free_address(0);
        self.add(config, vec![address], None)
    }

    /// A peer at this public address.
    pub(crate) fn peer_at(&mut self, address: SocketAddr) -> NodeId {
        let identity = self.new_identity();
        self.add(Config::peer(identity), vec![address], None)
    }

    /// A node with so many public addresses, on as many interfaces.
    pub(crate) fn multihomed(&mut self, config: Config, count: usize) -> NodeId {
        let addresses = (0..count).map(|interface| self.free_address(interface as u8)).collect();
        self.add(config, addresses, None)
    }

    fn add(&mut self, config: Config, addresses: Vec<SocketAddr>, nat: Option<Nat>) -> NodeId {
        self.peer_ids.push(config.identities[0].peer_id());
        self.nodes.push(Node::new(self.now, config, self.dice.seed(), addresses, nat));
        NodeId(self.nodes.len() - 1)
    }

    fn free_address(&self, interface: u8) -> SocketAddr {
        SocketAddr::from(([203, 0, self.nodes.len() as u8, interface + 1], 1935))
    }

    /// An identity that no other node has.
    pub(crate) fn new_identity(&mut self) -> Arc<Identity> {
        ephemeral(self.dice.roll(), &[Group::Modp2])
    }

    /// What the paths are like that [`Self::one_way`] says nothing about. To be called before packets go.
    pub(crate) fn all_links(&mut self, link: Link) {
        self.default_link = link;
        self.links.clear();
    }

    /// What the path from one node to another is like.
    pub(crate) fn one_way(&mut self, from: NodeId, to: NodeId, link: Link) {
        self.links.insert((from, to), link);
    }

    /// Asks `filter` about every datagram sent; false drops it.
    pub(crate) fn filter(&mut self, filter: impl FnMut(&Packet) -> bool + 'static) {
        self.filter = Some(Box::new(filter));
    }

    /// The NAT in front of a node restarts.
    pub(crate) fn rebind(&mut self, node: NodeId) {
        self.nodes[node.0].nat.as_mut().expect("a node behind a NAT").rebind();
    }

    /// A node's first interface gets another address.
    pub(crate) fn readdress(&mut self, node: NodeId, address: SocketAddr) {
        self.nodes[node.0].addresses[0] = address;
    }

    /// A packet that an attacker puts into the network, with `from` as its source.
    pub(crate) fn inject(&mut self, from: SocketAddr, to: SocketAddr, data: &[u8]) {
        let at = self.now + Duration::from_millis(1);
        self.schedule(at, Action::Arrive(Packet { from, to, data: data.to_vec() }));
    }

    /// Begins a TCP transfer beside the nodes.
    pub(crate) fn cross(&mut self, there: Link, back: Link) {
        let flow = NewReno::new(self.now, there, back, &mut self.dice);
        self.crossing.push(flow);
    }

    // ---- nodes

    pub(crate) fn get(&self, node: NodeId) -> &Node {
        &self.nodes[node.0]
    }

    pub(crate) fn get_mut(&mut self, node: NodeId) -> &mut Node {
        &mut self.nodes[node.0]
    }

    /// Lets the scenario do something to an endpoint, and sends what comes of it.
    pub(crate) fn with<T>(&mut self, node: NodeId, work: impl FnOnce(&mut Endpoint, Instant) -> T) -> T {
        let result = work(&mut self.nodes[node.0].endpoint, self.now);
        self.drain(node);
        result
    }

    /// Another process, which will take a node's endpoint over, is told of its sessions in advance.
    pub(crate) fn copy(&mut self, node: NodeId) {
        let (now, seed) = (self.now, self.dice.seed());
        self.nodes[node.0].copy(now, seed);
    }

    /// Another process takes a node's endpoint over.
    pub(crate) fn take_over(&mut self, node: NodeId) {
        let (now, seed) = (self.now, self.dice.seed());
        self.nodes[node.0].take_over(now, seed);
        self.drain(node);
    }

    pub(crate) fn peer_id(&self, node: NodeId) -> PeerId {
        self.peer_ids[node.0]
    }

    /// The first address of a node, as it knows it itself.
    pub(crate) fn address(&self, node: NodeId) -> SocketAddr {
        self.nodes[node.0].addresses[0]
    }

    /// Begins to open a session from `node` to `to`, at its address.
    pub(crate) fn open(&mut self, node: NodeId, to: NodeId) -> SessionId {
        let address = self.address(to);
        self.open_by(node, to, &[address])
    }

    /// Begins to open a session from `node` to `to` by way of these addresses.
    pub(crate) fn open_by(&mut self, node: NodeId, to: NodeId, candidates: &[SocketAddr]) -> SessionId {
        self.open_epd(node, Epd::fingerprint(self.peer_id(to)).to_vec(), candidates)
    }

    /// Begins to open a session to the endpoint that the discriminator selects.
    pub(crate) fn open_epd(&mut self, node: NodeId, epd: Vec<u8>, candidates: &[SocketAddr]) -> SessionId {
        let candidates: Vec<_> = candidates.iter().map(|to| (InterfaceId(0), *to)).collect();
        self.with(node, |endpoint, now| endpoint.open(now, epd, &candidates)).expect("room for a session")
    }

    /// Opens a session and waits for both ends.
    pub(crate) fn connect(&mut self, node: NodeId, to: NodeId) -> (SessionId, SessionId) {
        self.open(node, to);
        self.run_until(|sim| sim.is_connected(node, to));
        (self.session(node, to), self.session(to, node))
    }

    // ---- time

    /// Virtual time since the run began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// How much has happened: packets that came, and timers that went off.
    pub(crate) fn steps(&self) -> u64 {
        self.steps
    }

    /// Goes on until the condition holds.
    pub(crate) fn run_until(&mut self, condition: impl Fn(&Sim) -> bool) {
        let end = self.now + MAX_WAIT;
        while !condition(self) {
            if self.now > end || !self.step(end + Duration::from_secs(1)) {
                self.describe();
                panic!("nothing more happens that could make it so");
            }
        }
    }

    /// Lets this time pass.
    pub(crate) fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.step(end) {}
        self.now = end;
    }

    /// Moves on to what happens next, unless that is after `end`.
    fn step(&mut self, end: Instant) -> bool {
        let action = self.actions.first_key_value().map(|((at, _), _)| *at);
        let wakes = self.nodes.iter().enumerate().filter(|(_, node)| !node.is_dead);
        let wake = wakes.filter_map(|(place, node)| Some((node.wake?, NodeId(place)))).min();
        let crossing = self.crossing.iter().enumerate().filter_map(|(place, flow)| Some((flow.next()?, place))).min();
        let next = [action, wake.map(|(at, _)| at), crossing.map(|(at, _)| at)].into_iter().flatten().min();
        let Some(next) = next.filter(|next| *next <= end) else { return false };
        self.count_step(next);
        if let Some((at, place)) = crossing
            && at == next
        {
            self.crossing[place].step(at, &mut self.dice);
            return true;
        }
        match wake {
            Some((at, node)) if action.is_none_or(|action| at < action) => {
                let now = self.now;
                self.nodes[node.0].endpoint.handle_timeout(now);
                self.drain(node);
            }
            _ => {
                if let Some((_, action)) = self.actions.pop_first() {
                    self.act(action);
                }
            }
        }
        true
    }

    fn count_step(&mut self, next: Instant) {
        self.steps_now = if next > self.now { 0 } else { self.steps_now + 1 };
        self.now = self.now.max(next);
        self.steps += 1;
        if self.steps > MAX_STEPS || self.steps_now > MAX_STEPS_NOW {
            self.describe();
            panic!("the run does not come to an end");
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Arrive(packet) => self.arrive(packet),
            Action::Keyed(node, done) => {
                let now = self.now;
                self.nodes[node.0].endpoint.keying_done(now, done);
                self.drain(node);
            }
        }
    }

    fn schedule(&mut self, at: Instant, action: Action) {
        self.next_action += 1;
        self.actions.insert((at, self.next_action), action);
    }

    // ---- packets

    /// Sends all that a node has to send.
    fn drain(&mut self, node: NodeId) {
        let now = self.now;
        let drained = self.nodes[node.0].drain(now);
        let most = self.nodes[node.0].keying_delay.as_micros() as u64;
        for done in drained.keyed {
            let takes = Duration::from_micros(self.dice.below(most + 1));
            self.schedule(now + takes, Action::Keyed(node, done));
        }
        for (transmit, data) in drained.datagrams {
            let sender = &mut self.nodes[node.0];
            let interface = sender.interface(transmit);
            let Some(&inside) = sender.addresses.get(interface) else { continue };
            let from = sender.nat.as_mut().map_or(inside, |nat| nat.outbound(inside, transmit.to));
            if !self.nodes[node.0].is_dead {
                self.transmit(node, Packet { from, to: transmit.to, data });
            }
        }
        let is_any = !drained.lookups.is_empty();
        if let Some(relay) = self.relay.as_mut().filter(|_| is_any) {
            for lookup in &drained.lookups {
                relay.count(now, &mut self.nodes[node.0].endpoint, lookup);
            }
            self.drain(node);
        }
    }

    fn transmit(&mut self, sender: NodeId, packet: Packet) {
        if let Some(recorded) = &mut self.recorded {
            recorded.push(packet.clone());
        }
        if self.filter.as_mut().is_some_and(|filter| !filter(&packet)) {
            return;
        }
        if self.relay.as_ref().is_some_and(|relay| relay.has(packet.to)) {
            return self.carry(packet);
        }
        let Some(receiver) = self.at(packet.to) else { return };
        let link = self.links.entry((sender, receiver)).or_insert_with(|| self.default_link.clone());
        let arrivals = link.carry(self.now, packet.data.len(), &mut self.dice);
        for at in arrivals.into_iter().flatten() {
            self.schedule(at, Action::Arrive(packet.clone()));
        }
    }

    /// Carries a packet to or from the relay.
    fn carry(&mut self, packet: Packet) {
        let arrivals = self.default_link.clone().carry(self.now, packet.data.len(), &mut self.dice);
        for at in arrivals.into_iter().flatten() {
            self.schedule(at, Action::Arrive(packet.clone()));
        }
    }

    /// The node that has this address, or whose NAT has it.
    fn at(&self, address: SocketAddr) -> Option<NodeId> {
        let place = self.nodes.iter().position(|node| match &node.nat {
            Some(nat) => nat.public() == address.ip(),
            None => node.addresses.contains(&address),
        });
        place.map(NodeId)
    }

    fn arrive(&mut self, mut packet: Packet) {
        if let Some(relay) = self.relay.as_mut().filter(|relay| relay.has(packet.to)) {
            if let Some(onward) = relay.pass_on(self.now, &packet) {
                self.carry(onward);
            }
            return;
        }
        let Some(receiver) = self.at(packet.to) else { return };
        let node = &mut self.nodes[receiver.0];
        let inside = match &node.nat {
            Some(nat) => nat.inbound(packet.from, packet.to),
            None => Some(packet.to),
        };
        let Some(interface) = node.addresses.iter().position(|address| Some(*address) == inside) else { return };
        if !node.is_dead {
            let interface = InterfaceId(interface as u32);
            node.endpoint.handle_datagram(self.now, interface, packet.from, &mut packet.data);
            self.drain(receiver);
        }
    }
}
