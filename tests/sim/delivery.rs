//! Reliable messages arrive once, in order and intact, whatever the network does to packets.

use std::sync::Arc;
use std::time::Duration;

use rtmfp::Config;
use rtmfp::flow::FlowConfig;

use crate::network::{Dice, Link, NodeId, Sim, for_seeds};

/// Sends messages of all sizes on many flows both ways, and checks what comes.
fn exchange(sim: &mut Sim, link: Link, flows: usize, messages: usize) {
    let (a, b) = (sim.peer(), sim.peer());
    sim.connect(a, b);
    sim.all_links(link);
    let mut sent = Vec::new();
    for (from, to) in [(a, b), (b, a)] {
        let open: Vec<_> = (0..flows).map(|flow| sim.open_flow(from, to, &[flow as u8])).collect();
        for (name, flow) in open.iter().enumerate() {
            for number in 0..messages {
                let message = content(&mut sim.dice, name, number);
                sim.send(from, to, *flow, &message);
                sent.push((to, name, message));
            }
        }
    }
    let total = flows * messages;
    sim.run_until(|sim| sim.messages(a).len() >= total && sim.messages(b).len() >= total);
    sim.run_for(Duration::from_secs(10));
    for node in [a, b] {
        assert_eq!(sim.messages(node).len(), total);
        for name in 0..flows {
            let expected: Vec<_> =
                sent.iter().filter(|(to, of, _)| (*to, *of) == (node, name)).map(|(.., m)| m).collect();
            assert_eq!(of_flow(sim, node, name), expected);
        }
    }
}

/// A message that can be told from all others.
fn content(dice: &mut Dice, flow: usize, number: usize) -> Vec<u8> {
    let most = [20, 2000, 12_000][dice.below(3) as usize];
    let len = 3 + dice.below(most) as usize;
    let mut message = vec![0; len];
    dice.fill(&mut message);
    message[..3].copy_from_slice(&[flow as u8, (number >> 8) as u8, number as u8]);
    message
}

fn of_flow(sim: &Sim, node: NodeId, flow: usize) -> Vec<&Vec<u8>> {
    let messages = sim.get(node).messages.iter().map(|message| &message.data);
    messages.filter(|data| usize::from(data[0]) == flow).collect()
}

#[test]
fn over_paths_that_lose_up_to_a_third() {
    for_seeds(24, |sim| {
        let loss = sim.dice.below(31) as f64 / 100.0;
        exchange(sim, Link::default().loss(loss).jitter(20), 8, 12);
    });
}

#[test]
fn over_paths_that_lose_in_bursts_double_and_reorder() {
    for_seeds(16, |sim| {
        exchange(sim, Link::default().burst(0.02, 800).duplicate(0.1).reorder(0.1).jitter(50), 6, 12);
    });
}

#[test]
fn through_a_narrow_bottleneck_with_a_short_queue() {
    for_seeds(6, |sim| {
        exchange(sim, Link::default().rate(60_000, 12_000), 4, 10);
    });
}

#[test]
fn over_a_path_with_the_least_mtu_of_ipv6() {
    for_seeds(4, |sim| {
        exchange(sim, Link::default().mtu(1280 - 48), 4, 10);
    });
}

#[test]
fn over_paths_with_long_delays() {
    for_seeds(4, |sim| {
        exchange(sim, Link::default().delay(700).jitter(300).loss(0.02), 4, 10);
    });
}

#[test]
fn to_a_receiver_that_pauses_until_its_buffer_is_full() {
    for_seeds(6, |sim| {
        let identity = sim.new_identity();
        let flow = Arc::new(FlowConfig { receive_buffer: 100_000, ..FlowConfig::default() });
        let (a, b) = (sim.peer(), sim.node(Config { flow, ..Config::peer(identity) }));
        let (_, at_b) = sim.connect(a, b);
        sim.all_links(Link::default().loss(0.05));
        let flow = sim.open_flow(a, b, b"");
        sim.send(a, b, flow, b"first");
        sim.run_until(|sim| sim.messages(b).len() == 1);
        let receiving = sim.get(b).messages[0].flow;
        sim.with(b, |endpoint, now| endpoint.with_flows(now, at_b, |flows| flows.pause(receiving))).unwrap();
        for _ in 0..12 {
            sim.send(a, b, flow, &[9; 80_000]);
        }
        sim.run_for(Duration::from_secs(60));
        let at_a = sim.session(a, b);
        let queued = sim.with(a, |endpoint, now| endpoint.with_flows(now, at_a, |flows| flows.bytes_queued(flow)));
        // What does not fit into the receiver's buffer still waits at the sender.
        assert!(queued.unwrap() >= 960_000 - 2 * 100_000);
        assert_eq!(sim.messages(b).len(), 1);
        sim.with(b, |endpoint, now| endpoint.with_flows(now, at_b, |flows| flows.resume(receiving))).unwrap();
        sim.run_until(|sim| sim.messages(b).len() == 13);
        assert!(sim.messages(b)[1..].iter().all(|message| *message == [9; 80_000]));
    });
}
