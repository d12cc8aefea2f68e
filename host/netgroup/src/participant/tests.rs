//! Whole endpoints in memory, in virtual time, without loss.

mod abuse;
mod churn;
mod flows;
mod idle;
mod named;
mod server;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand_core::{Rng, SeedableRng};
use rtmfp::crypto::{Epd, Group, Identity};
use rtmfp::flow::{Delivery, FlowEvent, FlowOptions, RecvFlowId};
use rtmfp::{Config, Endpoint, Event, InterfaceId, PeerId};

use super::events::{IDLE_CHECK, IDLE_TIMEOUT};
use super::state::MAX_NOTICES;
use super::*;
use crate::digest::GroupDigest;
use crate::groupspec::{GroupSpecifier, Groupspec};
use crate::member::message::{Connect, ControlMessage};
use crate::member::{GroupEvent, Refusal, flow_type};
use introd_flash::metadata::FlowKind;

const ONLY: InterfaceId = InterfaceId(0);

struct Node {
    id: PeerId,
    endpoint: Endpoint,
    participant: Participant,
    notices: Vec<Notice>,
    /// What else happened.
    events: Vec<Event>,
}

/// Nodes by their addresses.
struct Network {
    now: Instant,
    nodes: BTreeMap<SocketAddr, Node>,
    /// Nodes that only those reach to which they have sent before.
    behind_nat: BTreeMap<SocketAddr, Vec<SocketAddr>>,
    /// How many datagrams were sent.
    sent: usize,
    /// Three of ten datagrams are lost, as this decides.
    loss: Option<rand_chacha::ChaCha8Rng>,
}

fn address(number: u8) -> SocketAddr {
    ([192, 0, 2, number], 1000).into()
}

fn spec(name: &str) -> Groupspec {
    GroupSpecifier::new(name).unwrap().with_authorizations().unwrap()
}

impl Network {
    fn of(count: u8) -> Self {
        let now = Instant::now();
        let node = |number: u8| {
            let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(number.into());
            let identity = Arc::new(Identity::ephemeral(&[Group::Modp2], None, false, &mut rng));
            let id = identity.peer_id();
            let endpoint = Endpoint::new(now, Config::peer(identity), [number; 32]);
            let participant = Participant::new(id, [number; 32]);
            (address(number), Node { id, endpoint, participant, notices: Vec::new(), events: Vec::new() })
        };
        Self { now, nodes: (0..count).map(node).collect(), behind_nat: BTreeMap::new(), sent: 0, loss: None }
    }

    /// An endpoint without a server starts at an address. `seed` makes its identity.
    fn start(&mut self, number: u8, name: Option<&str>, seed: u64) {
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(seed);
        let identity = Arc::new(Identity::ephemeral(&[Group::Modp2], name, false, &mut rng));
        let id = identity.peer_id();
        let seed = [seed as u8; 32];
        let endpoint = Endpoint::new(self.now, serverless_config(identity), seed);
        let mut participant = Participant::new(id, seed);
        participant.set_own_name(name.map(str::to_owned));
        let node = Node { id, endpoint, participant, notices: Vec::new(), events: Vec::new() };
        self.nodes.insert(address(number), node);
    }

    /// An endpoint is gone without a word.
    fn kill(&mut self, number: u8) {
        self.nodes.remove(&address(number));
    }

    fn node(&mut self, number: u8) -> &mut Node {
        self.nodes.get_mut(&address(number)).unwrap()
    }

    fn id(&mut self, number: u8) -> PeerId {
        self.node(number).id
    }

    fn with<T>(&mut self, number: u8, work: impl FnOnce(&mut Participant, &mut EndpointContext<'_>) -> T) -> T {
        let now = self.now;
        let Node { endpoint, participant, .. } = self.node(number);
        work(participant, &mut EndpointContext { now, endpoint, route: &|_| Some(ONLY) })
    }

    /// Opens a session between two nodes that no group has asked for.
    fn open(&mut self, from: u8, to: u8) {
        let (now, epd) = (self.now, Epd::fingerprint(self.id(to)).to_vec());
        self.node(from).endpoint.open(now, epd, &[(ONLY, address(to))]).unwrap();
        self.settle();
    }

    /// Delivers all packets, and the packets that follow from them.
    fn settle(&mut self) {
        loop {
            let mut datagrams = Vec::new();
            let now = self.now;
            for (from, node) in &mut self.nodes {
                while let Some(event) = node.endpoint.poll_event() {
                    match event {
                        Event::Keying(job) => node.endpoint.keying_done(now, job.run()),
                        event => {
                            let mut context =
                                EndpointContext { now, endpoint: &mut node.endpoint, route: &|_| Some(ONLY) };
                            node.participant.handle_event(&mut context, &event);
                            node.events.push(event);
                        }
                    }
                }
                node.notices.extend(std::iter::from_fn(|| Some(node.participant.poll_notice()?.1)));
                let mut datagram = Vec::new();
                while let Some(transmit) = node.endpoint.poll_transmit(now, &mut datagram) {
                    datagrams.push((*from, transmit.to, std::mem::take(&mut datagram)));
                }
            }
            if datagrams.is_empty() {
                return;
            }
            for (from, to, mut datagram) in datagrams {
                self.sent += 1;
                if self.loss.as_mut().is_some_and(|rng| rng.next_u64() % 10 < 3) {
                    continue;
                }
                if let Some(open) = self.behind_nat.get_mut(&from) {
                    open.push(to);
                }
                if self.behind_nat.get(&to).is_some_and(|open| !open.contains(&from)) {
                    continue;
                }
                if let Some(node) = self.nodes.get_mut(&to) {
                    node.endpoint.handle_datagram(now, ONLY, from, &mut datagram);
                }
            }
        }
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        self.settle();
        loop {
            let due = |node: &Node| [node.endpoint.poll_timeout(), node.participant.poll_timeout()];
            let next = self.nodes.values().flat_map(due).flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            // Something may be due again at once; time must pass nevertheless.
            self.now = next.max(self.now + Duration::from_micros(100));
            let now = self.now;
            for node in self.nodes.values_mut() {
                node.endpoint.handle_timeout(now);
                if node.participant.poll_timeout().is_some_and(|due| due <= now) {
                    let mut context = EndpointContext { now, endpoint: &mut node.endpoint, route: &|_| Some(ONLY) };
                    node.participant.handle_timeout(&mut context);
                }
            }
            self.settle();
        }
        self.now = end;
    }

    fn neighbors(&mut self, number: u8, group: &Groupspec) -> Vec<PeerId> {
        let member = self.node(number).participant.member(&group.digest());
        member.map_or_else(Vec::new, |member| member.neighbors().collect())
    }

    /// Makes one node want another for a neighbour, with which it has a session.
    fn add_neighbor(&mut self, from: u8, to: u8, group: &Groupspec) {
        let (now, peer) = (self.now, self.id(to));
        self.with(from, |groups, context| {
            groups.tell(context, &group.digest(), |member| member.add_neighbor(now, peer))
        });
        self.settle();
    }

    /// A network whose nodes are all in a group, each linked to the node before it.
    fn chain(count: u8, group: &Groupspec) -> Self {
        let mut network = Self::of(count);
        for number in 0..count {
            assert!(network.with(number, |groups, context| groups.join(context, group)));
            if number > 0 {
                network.open(number, number - 1);
                network.add_neighbor(number, number - 1, group);
            }
        }
        network
    }
}

#[test]
fn neighbours_tell_each_other_of_the_rest() {
    let group = spec("chain");
    let mut network = Network::chain(8, &group);
    let (first, second) = (network.id(0), network.id(1));
    assert_eq!(network.neighbors(0, &group), [second]);
    assert!(network.node(1).notices.contains(&Notice::Event(GroupEvent::NeighborConnected(first))));
    network.run_for(Duration::from_secs(90));
    for number in 0..8 {
        assert_eq!(network.neighbors(number, &group).len(), 7, "{number}");
        let estimate = network.node(number).participant.member(&group.digest()).unwrap().estimated_members();
        assert!((3..=40).contains(&estimate), "{estimate}");
    }
}

#[test]
fn a_posting_reaches_all_members() {
    let group = spec("posting");
    let mut network = Network::chain(5, &group);
    let value = b"\x02\x00\x05hello".to_vec();
    network.with(0, |groups, context| groups.tell(context, &group.digest(), |member| member.post(&value))).unwrap();
    network.run_for(Duration::from_secs(1));
    for number in 1..5 {
        let postings = network.node(number).notices.iter().filter(
            |notice| matches!(notice, Notice::Event(GroupEvent::Posting { value: taken, .. }) if *taken == value),
        );
        assert_eq!(postings.count(), 1, "{number}");
    }
    let second = network.id(1);
    assert!(network.node(0).notices.contains(&Notice::PostingTaken(second)));
}

#[test]
fn groups_share_a_session_and_end_one_by_one() {
    let (one, two) = (spec("one"), spec("two"));
    let mut network = Network::chain(2, &one);
    for number in 0..2 {
        network.with(number, |groups, context| groups.join(context, &two));
    }
    network.add_neighbor(0, 1, &two);
    assert_eq!((network.neighbors(0, &one).len(), network.neighbors(0, &two).len()), (1, 1));
    assert_eq!(network.node(0).endpoint.session_count(), 1);
    assert!(network.with(0, |groups, context| groups.leave(context, &one.digest())));
    network.settle();
    assert_eq!((network.neighbors(1, &one).len(), network.neighbors(1, &two).len()), (0, 1));
    let left = Notice::Event(GroupEvent::NeighborDisconnected(network.id(0)));
    assert!(network.node(1).notices.contains(&left));
    // It can join again.
    network.with(0, |groups, context| groups.join(context, &one));
    network.add_neighbor(0, 1, &one);
    assert_eq!((network.neighbors(1, &one).len(), network.neighbors(1, &two).len()), (1, 1));
}

#[test]
fn bootstrap_peers_of_the_groupspec_are_tried() {
    let mut network = Network::of(3);
    let (first, unknown) = (network.id(0), network.id(2));
    let mut specifier = GroupSpecifier::new("bootstrap").unwrap();
    let plain = specifier.with_authorizations().unwrap();
    specifier.add_bootstrap_peer(unknown);
    specifier.add_bootstrap_peer(first);
    let named = specifier.with_authorizations().unwrap();
    assert_eq!(named.bootstrap_peers().collect::<Vec<_>>(), [unknown, first]);
    network.with(0, |groups, context| groups.join(context, &plain));
    network.open(1, 0);
    network.with(1, |groups, context| groups.join(context, &named));
    network.settle();
    assert_eq!(network.neighbors(1, &named), [first]);
}

/// Node 0 in a network whose node 1 is its server, through which any peer may be tried.
fn with_server() -> Network {
    let mut network = Network::of(2);
    network.open(0, 1);
    let server = network.id(1);
    network.with(0, |groups, context| {
        let session = context.endpoint.session_of(&server).unwrap();
        groups.set_server(context, Some(ServerConnection { session, control: RecvFlowId(2) }));
    });
    network
}

#[test]
fn of_many_bootstrap_peers_some_are_tried() {
    let mut network = with_server();
    let mut specifier = GroupSpecifier::new("many").unwrap();
    (0..100).for_each(|number| specifier.add_bootstrap_peer(PeerId([number; 32])));
    let group = specifier.with_authorizations().unwrap();
    network.with(0, |groups, context| groups.join(context, &group));
    assert_eq!(network.node(0).participant.opening.len(), 16);
}

#[test]
fn groups_that_want_the_same_peer_open_one_session() {
    let mut network = with_server();
    let now = network.now;
    for group in [spec("one"), spec("two")] {
        network.with(0, |groups, context| {
            groups.join(context, &group);
            groups.tell(context, &group.digest(), |member| member.add_neighbor(now, PeerId([7; 32])))
        });
    }
    assert_eq!(network.node(0).participant.opening.len(), 1);
}

#[test]
fn a_member_that_closes_its_session_is_no_neighbour() {
    let group = spec("closed");
    let mut network = Network::chain(3, &group);
    let now = network.now;
    network.node(1).endpoint.close_all(now);
    network.settle();
    assert!(network.neighbors(0, &group).is_empty() && network.neighbors(2, &group).is_empty());
}

#[test]
fn sessions_opened_for_a_group_are_closed_when_no_group_uses_them() {
    let group = spec("idle");
    let mut network = Network::chain(3, &group);
    network.run_for(Duration::from_secs(30));
    assert_eq!(network.neighbors(0, &group).len(), 2);
    let sessions = |network: &mut Network| network.node(2).endpoint.session_ids().count();
    assert_eq!(sessions(&mut network), 2);
    for number in 0..3 {
        network.with(number, |groups, context| groups.leave(context, &group.digest()));
    }
    network.run_for(IDLE_TIMEOUT + 3 * IDLE_CHECK + Duration::from_secs(60));
    // The two sessions that no group had asked for are still open.
    let all: usize = (0..3).map(|number| network.node(number).endpoint.session_ids().count()).sum();
    assert_eq!(all, 4);
}

/// A stranger has a session with node 0, and sends these messages on flows of its own.
fn stranger_sends(flows: &[(u8, Vec<Vec<u8>>)]) -> (Network, Groupspec) {
    let group = spec("members only");
    let mut network = Network::of(2);
    network.with(0, |groups, context| groups.join(context, &group));
    network.open(1, 0);
    let (now, member) = (network.now, network.id(0));
    let stranger = &mut network.node(1).endpoint;
    let session = stranger.session_of(&member).unwrap();
    for (flow_type, messages) in flows {
        let metadata = FlowKind::GroupPeer(*flow_type).metadata();
        let flow = stranger.open_flow(now, session, &metadata, FlowOptions::default()).unwrap();
        for message in messages {
            stranger.send(now, session, flow, message.clone(), Delivery::default()).unwrap();
        }
    }
    network.settle();
    (network, group)
}

/// How many flows of node 1 were rejected.
fn rejected(network: &mut Network) -> usize {
    let is_rejection = |event: &&Event| matches!(event, Event::Flow { event: FlowEvent::Rejected { .. }, .. });
    network.node(1).events.iter().filter(is_rejection).count()
}

#[test]
fn a_peer_that_does_not_know_the_groupspec_is_rejected() {
    let group = spec("members only");
    let receiver = Network::of(1).id(0);
    let said = |group: GroupDigest, receiver: PeerId| {
        ControlMessage::Connect(Connect { group, proof: [7; 32], receiver }).write()
    };
    let right_form = said(group.digest(), receiver);
    for (message, is_told) in [
        (right_form.clone(), Some(Refusal::Proof)),
        (said(group.digest(), PeerId([1; 32])), Some(Refusal::Receiver)),
        // Of another group, or of none: this participant reports nothing.
        (said(spec("other").digest(), receiver), None),
        (right_form[..40].to_vec(), None),
        (vec![0x0e], None),
        (vec![], None),
        (vec![0x01; 100_000], None),
    ] {
        let (mut network, group) = stranger_sends(&[(flow_type::CONTROL, vec![message.clone(), vec![0x0e]])]);
        assert_eq!(rejected(&mut network), 1, "{message:x?}");
        assert!(network.neighbors(0, &group).is_empty());
        let told: Vec<_> = network.node(0).notices.drain(..).collect();
        let stranger = network.id(1);
        let refusal = is_told.map(|reason| Notice::Event(GroupEvent::Refused { peer: stranger, reason }));
        assert_eq!(told, Vec::from_iter(refusal), "{message:x?}");
        // The session is not affected.
        let member = network.id(0);
        assert!(network.node(1).endpoint.session_of(&member).is_some());
    }
}

#[test]
fn a_peer_that_was_refused_is_rejected_each_time() {
    let receiver = Network::of(1).id(0);
    let wrong = Connect { group: spec("members only").digest(), proof: [7; 32], receiver };
    let flows: Vec<_> =
        (0..5).map(|_| (flow_type::CONTROL, vec![ControlMessage::Connect(wrong).write(), vec![0x0e]])).collect();
    let (mut network, _) = stranger_sends(&flows);
    assert_eq!(rejected(&mut network), 5);
    assert!(network.node(0).participant.sessions.values().all(|session| session.receiving.is_empty()));
    assert_eq!(network.node(0).notices.len(), 1, "one refusal");
}

#[test]
fn flows_of_no_group_are_rejected() {
    let kinds = [flow_type::STREAM, flow_type::FRAGMENT, flow_type::POSTING_KEY, flow_type::POSTING, 0x55];
    let flows: Vec<_> = kinds.into_iter().map(|flow_type| (flow_type, vec![vec![1, 2, 3]])).collect();
    let (mut network, _) = stranger_sends(&flows);
    assert_eq!(rejected(&mut network), 5);
}

#[test]
fn a_stranger_with_many_flows_takes_little_memory() {
    let flows: Vec<_> = (0..60).map(|_| (flow_type::CONTROL, Vec::new())).collect();
    let (mut network, group) = stranger_sends(&flows);
    let session = network.node(0).participant.sessions.values().next().unwrap();
    assert!(session.receiving.len() <= 64);
    // The same peer can become a neighbour nevertheless.
    network.with(1, |groups, context| groups.join(context, &group));
    network.add_neighbor(1, 0, &group);
    assert_eq!(network.neighbors(0, &group).len(), 1);
}

#[test]
fn notices_that_are_not_polled_are_forgotten() {
    let mut participant = Participant::new(PeerId([1; 32]), [1; 32]);
    for _ in 0..2 * MAX_NOTICES {
        participant.note(GroupDigest([1; 32]), Notice::Joined);
    }
    assert_eq!(participant.notices.len(), MAX_NOTICES);
}
