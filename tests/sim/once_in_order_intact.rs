//! On any path, of any sizes, on any number of flows and both ways at once: every message arrives once, in order and intact
//! (RFC 7016 §3.6.1.2, §3.6.3.3).

use std::collections::HashMap;
use std::time::Duration;

use rtmfp::Event;
use rtmfp::flow::FlowEvent;

use crate::network::{Dice, Link, NodeId, Sim, for_seeds};

/// Any path, and how many bytes it can be expected to carry in the time that a run has.
fn any_link(dice: &mut Dice) -> (Link, u64) {
    let loss = if dice.chance(0.3) { 0 } else { dice.below(31) };
    let delay = 1 + dice.below(150);
    let mut link = Link::default().loss(loss as f64 / 100.0).delay(delay).jitter(dice.below(100));
    let mut budget = if loss <= 5 { 250_000 } else { 40_000 };
    if dice.chance(0.3) {
        link = link.burst(0.01, dice.below(1500));
        budget = budget.min(40_000);
    }
    if dice.chance(0.4) {
        link = link.duplicate(dice.below(30) as f64 / 100.0);
    }
    if dice.chance(0.4) {
        link = link.reorder(dice.below(30) as f64 / 100.0);
        budget = budget.min(100_000);
    }
    if dice.chance(0.2) {
        link = link.rate(20_000 + dice.below(200_000), 8_000 + dice.below(50_000));
    }
    (link, budget)
}

/// Mostly short, sometimes nothing at all, now and then very long.
fn any_length(dice: &mut Dice) -> u64 {
    match dice.below(20) {
        0..4 => 0,
        4..8 => 1 + dice.below(20),
        8..16 => dice.below(3000),
        16..19 => dice.below(20_000),
        _ => dice.below(100_001),
    }
}

/// What was sent to each node, by the name of the flow that it was sent on.
type Sent = HashMap<(NodeId, Vec<u8>), Vec<Vec<u8>>>;

/// Queues messages on several flows; some of them only after a while.
fn send_some(sim: &mut Sim, from: NodeId, to: NodeId, mut budget: u64, takeovers: Option<f64>, sent: &mut Sent) {
    let flows: Vec<_> =
        (0..1 + sim.dice.below(12) as u8).map(|name| (name, sim.open_flow(from, to, &[name]))).collect();
    // Every flow opens.
    for turn in 0..flows.len() as u64 + sim.dice.below(40) {
        let index = if turn < flows.len() as u64 { turn } else { sim.dice.below(flows.len() as u64) };
        let (name, flow) = flows[index as usize];
        let length = any_length(&mut sim.dice).min(budget);
        budget -= length;
        let mut message = vec![0; length as usize];
        sim.dice.fill(&mut message);
        sim.send(from, to, flow, &message);
        sent.entry((to, vec![name])).or_default().push(message);
        if sim.dice.chance(0.2) {
            let pause = sim.dice.below(400);
            sim.run_for(Duration::from_millis(pause));
        }
        if let Some(chance) = takeovers
            && sim.dice.chance(chance)
        {
            let node = if sim.dice.chance(0.5) { from } else { to };
            // Some are told of the sessions in advance, once or several times.
            if sim.dice.chance(0.6) { sim.copy(node) } else { sim.take_over(node) }
        }
    }
}

/// What has come to a node, by the name of the flow that it came on.
fn received(sim: &Sim, node: NodeId) -> HashMap<Vec<u8>, Vec<Vec<u8>>> {
    let events = sim.get(node).events.iter();
    let names: HashMap<_, _> = events
        .filter_map(|(_, event)| match event {
            Event::Flow { event: FlowEvent::Opened { flow, metadata, .. }, .. } => Some((*flow, metadata.clone())),
            _ => None,
        })
        .collect();
    let mut received: HashMap<_, Vec<_>> = HashMap::new();
    for message in &sim.get(node).messages {
        received.entry(names[&message.flow].clone()).or_default().push(message.data.clone());
    }
    received
}

#[test]
fn whatever_the_path_does() {
    for_seeds(4000, |sim| any_transfer(sim, None));
}

/// As when a server is replaced by a newer one while its clients send and receive.
#[test]
fn whatever_the_path_does_while_other_processes_take_the_endpoints_over() {
    for_seeds(250, |sim| any_transfer(sim, Some(0.3)));
}

/// Sends messages both ways on a path, at each of whose ends other processes take the endpoint over, with this chance after each message.
fn any_transfer(sim: &mut Sim, takeovers: Option<f64>) {
    let (a, b) = (sim.peer(), sim.peer());
    let (at_a, at_b) = sim.connect(a, b);
    let mut sent = Sent::new();
    let ways = [(a, b), (b, a)].map(|(from, to)| {
        let (link, budget) = any_link(&mut sim.dice);
        sim.one_way(from, to, link);
        (from, to, budget)
    });
    for (from, to, budget) in ways {
        send_some(sim, from, to, budget, takeovers, &mut sent);
    }
    let count = |node| sent.iter().filter(|((to, _), _)| *to == node).map(|(_, messages)| messages.len()).sum();
    let (to_a, to_b): (usize, usize) = (count(a), count(b));
    sim.run_until(|sim| sim.get(a).messages.len() >= to_a && sim.get(b).messages.len() >= to_b);
    // Packets that still arrive deliver nothing new.
    sim.run_for(Duration::from_secs(15));
    for node in [a, b] {
        let received = received(sim, node);
        let expected: HashMap<_, _> = sent
            .iter()
            .filter(|((to, _), _)| *to == node)
            .map(|((_, name), messages)| (name.clone(), messages.clone()))
            .collect();
        assert!(received == expected, "not what was sent to {node:?}");
    }
    // In the end everything is acknowledged, and no flow holds anything.
    for (node, session) in [(a, at_a), (b, at_b)] {
        let flows = |sim: &mut Sim| {
            sim.with(node, |endpoint, now| {
                endpoint.with_flows(now, session, |flows| (flows.is_idle(), flows.bytes_buffered()))
            })
        };
        let mut turns = 0;
        while flows(sim) != Ok((true, 0)) {
            turns += 1;
            assert!(turns < 120, "{:?}", flows(sim));
            sim.run_for(Duration::from_secs(1));
        }
    }
    // Each packet takes a few steps of the simulation: an endless loop would show.
    let bytes: usize = sent.values().flatten().map(|message| message.len() + 300).sum();
    assert!(sim.steps() < 2000 + bytes as u64 / 20, "{} steps for {bytes} bytes", sim.steps());
}
