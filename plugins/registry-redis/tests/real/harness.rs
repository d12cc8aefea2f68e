//! Starts registries, and looks peers up in them.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use introd_plugin::{Address, GroupId, GroupMember, NeighborQuery, Origin, PeerId, RingPosition};
pub(crate) use introd_tests::folder::Folder;
pub(crate) use introd_tests::program::Process;
pub(crate) use introd_tests::redis::{Proxy, Redis, command, free_port};
pub(crate) use introd_tests::waiting::{DEADLINE, eventually};
use registry_redis::{Answer, Log, Mode, Neighbors, Registry, Settings};

/// Settings with which a registry notices the death of a server quickly.
pub(crate) fn settings(url: &str) -> Settings {
    Settings { url: vec![url.to_owned()], heartbeat: 1000, timeout: 1000, ..Settings::default() }
}

/// The lines that a registry has logged.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    pub(crate) fn log(&self) -> Log {
        let lines = self.clone();
        Box::new(move |severity, text| lines.0.lock().unwrap().push(format!("{severity:?}: {text}")))
    }

    pub(crate) fn contain(&self, text: &str) -> bool {
        self.count(text) > 0
    }

    pub(crate) fn count(&self, text: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|line| line.contains(text)).count()
    }
}

pub(crate) fn registry(settings: Settings) -> Registry {
    Registry::start(settings, Lines::default().log()).unwrap()
}

pub(crate) fn peer(number: u32) -> PeerId {
    let mut id = [0x5a; 32];
    id[..4].copy_from_slice(&number.to_be_bytes());
    PeerId(id)
}

pub(crate) fn addresses(host: u8) -> Vec<Address> {
    vec![
        Address::new(([203, 0, 113, host], 40_000).into(), Origin::Observed),
        Address::new(([198, 51, 100, host], 1935).into(), Origin::Relay),
    ]
}

/// Looks a peer up and waits for the answer.
pub(crate) fn find(registry: &Registry, peer: PeerId) -> Answer {
    let (sender, answered) = channel();
    let reply = move |answer| drop(sender.send(answer));
    match registry.find(peer, || Some(Box::new(reply))) {
        Some(answer) => answer,
        None => answered.recv_timeout(DEADLINE).expect("an answer"),
    }
}

pub(crate) fn is_at(registry: &Registry, peer: PeerId, host: u8) -> bool {
    find(registry, peer) == Ok(Some(addresses(host)))
}

pub(crate) fn metric(registry: &Registry, name: &str) -> u64 {
    registry.stats().all().find(|(known, ..)| *known == name).unwrap().3
}

pub(crate) fn connected(registry: &Registry) {
    eventually("it is connected", || metric(registry, "connected") == 1);
}

/// A cluster of three masters.
pub(crate) struct Cluster(pub(crate) Vec<Redis>);

impl Cluster {
    /// Starts it. With `needs_all`, it serves nothing while a master is gone.
    pub(crate) fn start(needs_all: bool) -> Self {
        let full = if needs_all { "yes" } else { "no" };
        let arguments = ["--cluster-enabled", "yes", "--cluster-require-full-coverage", full];
        let nodes: Vec<Redis> = (0..3).map(|_| Redis::with(&arguments)).collect();
        for (node, slots) in nodes.iter().zip(["0 5460", "5461 10922", "10923 16383"]) {
            let words: Vec<&str> = ["CLUSTER", "ADDSLOTSRANGE"].into_iter().chain(slots.split(' ')).collect();
            assert_eq!(node.command(&words), "OK\n");
        }
        for node in &nodes[1..] {
            nodes[0].command(&["CLUSTER", "MEET", "127.0.0.1", &node.port.to_string()]);
        }
        eventually("the cluster stands", || {
            nodes.iter().all(|node| {
                let info = node.command(&["CLUSTER", "INFO"]);
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
            })
        });
        Self(nodes)
    }

    /// Settings of a registry in it.
    pub(crate) fn settings(&self) -> Settings {
        Settings { mode: Mode::Cluster, url: self.0.iter().map(Redis::url).collect(), ..settings("") }
    }

    /// Whether a node has the slot of that key. The last node is asked.
    pub(crate) fn has(&self, node: usize, key: &str) -> bool {
        let slot: u32 = self.0[2].command(&["CLUSTER", "KEYSLOT", key]).trim().parse().unwrap();
        [0..=5460, 5461..=10922, 10923..=16383][node].contains(&slot)
    }
}

/// A group.
pub(crate) fn group(number: u8) -> GroupId {
    GroupId([number; 32])
}

/// A peer as a member of a group, somewhere on its ring.
pub(crate) fn member(group: GroupId, number: u32) -> GroupMember {
    let mut state = u64::from(number) + 1;
    let mut position = [0; 32];
    for part in position.chunks_mut(8) {
        part.copy_from_slice(&random(&mut state).to_be_bytes());
    }
    GroupMember { group, peer: peer(number), position: RingPosition(position) }
}

/// The next number of a sequence (SplitMix64).
pub(crate) fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Asks for the neighbours of a member and waits for the answer.
pub(crate) fn neighbors(registry: &Registry, member: &GroupMember, near: usize, far: usize) -> Neighbors {
    let (sender, answered) = channel();
    let query = NeighborQuery { group: member.group, peer: member.peer, position: member.position, near, far };
    match registry.group_neighbors(&query, || Some(Box::new(move |answer| drop(sender.send(answer))))) {
        Some(answer) => answer,
        None => answered.recv_timeout(DEADLINE).expect("an answer"),
    }
}

/// Waits until all memberships of a registry are written.
pub(crate) fn flushed(registry: &Registry) {
    eventually("all memberships are sent", || metric(registry, "memberships_unwritten") == 0);
    // A batch is answered before the next one is sent.
    eventually("they are written", || neighbors(registry, &member(group(0), 0), 0, 0).is_ok());
}
