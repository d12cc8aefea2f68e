//! Messages with limits on their delivery (RFC 7016 §3.6.2.7): only what has run out is given up, the sender is told of each, and
//! what is not given up arrives in order.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rtmfp::Event;
use rtmfp::flow::{Delivery, FlowEvent, FlowOptions, MessageId, SendFlowId};

use crate::network::{Link, NodeId, Sim, for_seeds};

/// What is known of the messages sent on a flow.
type Sent = BTreeMap<MessageId, (Delivery, Vec<u8>)>;

/// Sends a message every 20 ms, each by rules of its own.
fn send_by_rules(
    sim: &mut Sim,
    [from, to]: [NodeId; 2],
    count: u32,
    mut rules: impl FnMut(&mut Sim, Instant) -> Delivery,
) -> (SendFlowId, Sent) {
    let session = sim.session(from, to);
    let options = FlowOptions::default();
    let flow = sim.with(from, |endpoint, now| endpoint.open_flow(now, session, b"partial", options)).expect("a flow");
    let mut sent = Sent::new();
    for number in 0..count {
        let length = 4 + sim.dice.below(6000) as usize;
        let mut message = vec![0; length];
        sim.dice.fill(&mut message);
        message[..4].copy_from_slice(&number.to_be_bytes());
        let now = sim.with(from, |_, now| now);
        let delivery = Delivery { notify: true, ..rules(sim, now) };
        let id = sim
            .with(from, |endpoint, now| endpoint.send(now, session, flow, message.clone(), delivery))
            .expect("a message queued");
        sent.insert(id, (delivery, message));
        sim.run_for(Duration::from_millis(20));
    }
    (flow, sent)
}

/// What became of each message, and when: true means delivered. There is one event for each.
fn outcomes(sim: &Sim, node: NodeId, of: SendFlowId) -> BTreeMap<MessageId, (Instant, bool)> {
    let mut outcomes = BTreeMap::new();
    for (at, event) in &sim.get(node).events {
        let (message, delivered) = match event {
            Event::Flow { event: FlowEvent::Delivered { flow, message }, .. } if *flow == of => (*message, true),
            Event::Flow { event: FlowEvent::Dropped { flow, message }, .. } if *flow == of => (*message, false),
            _ => continue,
        };
        assert_eq!(outcomes.insert(message, (*at, delivered)), None, "told twice of {message:?}");
    }
    outcomes
}

/// Checks what came against what was sent; gives how many were dropped.
fn check(sim: &Sim, [from, to]: [NodeId; 2], flow: SendFlowId, sent: &Sent) -> usize {
    let outcomes = outcomes(sim, from, flow);
    assert!(outcomes.keys().eq(sent.keys()), "each message ends one way or the other");
    let came: Vec<&Vec<u8>> = sim.get(to).messages.iter().map(|message| &message.data).collect();
    assert!(came.windows(2).all(|two| two[0][..4] < two[1][..4]), "in order, and once");
    for data in &came {
        let number = u32::from_be_bytes([data[0], data[1], data[2], data[3]]);
        assert!(sent[&MessageId(number.into())].1 == **data, "message {number} is not what was sent");
    }
    for (id, (delivery, message)) in sent {
        let (at, delivered) = outcomes[id];
        if delivered {
            assert!(came.contains(&message), "{id:?} is not where it is said to be");
        } else {
            let late = [delivery.start_by, delivery.finish_by].into_iter().flatten().any(|limit| limit <= at);
            assert!(late || delivery.send_once, "{id:?} was given up at {at:?} by {delivery:?}");
        }
    }
    outcomes.values().filter(|(_, delivered)| !delivered).count()
}

fn pair(sim: &mut Sim, link: Link) -> [NodeId; 2] {
    let (a, b) = (sim.peer(), sim.peer());
    sim.connect(a, b);
    sim.one_way(a, b, link.clone());
    sim.one_way(b, a, link);
    [a, b]
}

/// Any mixture of rules.
fn any_rules(sim: &mut Sim, now: Instant) -> Delivery {
    let mut limit = |most| now + Duration::from_millis(sim.dice.below(most));
    let (start, finish) = (limit(500), limit(2000));
    match sim.dice.below(6) {
        0 => Delivery { start_by: Some(start), ..Delivery::default() },
        1 => Delivery { finish_by: Some(finish), ..Delivery::default() },
        2 => Delivery { send_once: true, ..Delivery::default() },
        3 => Delivery { start_by: Some(start), finish_by: Some(finish), send_once: true, notify: true },
        _ => Delivery::default(),
    }
}

#[test]
fn only_what_has_run_out_is_given_up_and_the_rest_arrives() {
    for_seeds(300, |sim| {
        let loss = sim.dice.below(31) as f64 / 100.0;
        let link = Link::default().loss(loss).duplicate(0.05).reorder(0.05).jitter(30);
        let ends = pair(sim, link);
        let (flow, sent) = send_by_rules(sim, ends, 40, any_rules);
        sim.run_for(Duration::from_secs(120));
        check(sim, ends, flow, &sent);
        let session = sim.session(ends[0], ends[1]);
        let queued = sim.with(ends[0], |endpoint, now| endpoint.with_flows(now, session, |f| f.bytes_queued(flow)));
        assert_eq!(queued, Ok(0));
    });
}

#[test]
fn on_a_clean_path_that_is_fast_enough_nothing_is_given_up() {
    for_seeds(20, |sim| {
        let ends = pair(sim, Link::default());
        let (flow, sent) = send_by_rules(sim, ends, 40, |sim, now| {
            let soon = Some(now + Duration::from_secs(3 + sim.dice.below(3)));
            Delivery { start_by: soon, finish_by: soon, send_once: true, notify: true }
        });
        sim.run_for(Duration::from_secs(10));
        assert_eq!(check(sim, ends, flow, &sent), 0);
    });
}

#[test]
fn real_time_data_does_not_pile_up_before_a_path_that_is_too_narrow() {
    for_seeds(10, |sim| {
        // About 150 kB/s are offered.
        let ends = pair(sim, Link::default().rate(50_000, 10_000));
        let (flow, sent) = send_by_rules(sim, ends, 500, |_, now| Delivery {
            start_by: Some(now + Duration::from_millis(300)),
            ..Delivery::default()
        });
        let session = sim.session(ends[0], ends[1]);
        let queued = sim.with(ends[0], |endpoint, now| endpoint.with_flows(now, session, |f| f.bytes_queued(flow)));
        assert!(queued.expect("an open session") < 150_000, "what is offered in a second at most");
        let last = sim.elapsed();
        sim.run_until(|sim| outcomes(sim, ends[0], flow).len() == sent.len());
        assert!(sim.elapsed() - last < Duration::from_secs(5), "{:?}", sim.elapsed() - last);
        sim.run_for(Duration::from_secs(2));
        let dropped = check(sim, ends, flow, &sent);
        assert!((150..450).contains(&dropped), "{dropped}");
    });
}

#[test]
fn what_was_given_up_on_a_dead_path_does_not_hold_up_what_follows() {
    for_seeds(20, |sim| {
        let ends = pair(sim, Link::default().loss(0.05));
        sim.filter(|_| false);
        let (lost, _) = send_by_rules(sim, ends, 20, |_, now| Delivery {
            finish_by: Some(now + Duration::from_secs(1)),
            ..Delivery::default()
        });
        sim.run_for(Duration::from_secs(5));
        let ended = outcomes(sim, ends[0], lost);
        assert_eq!(ended.values().filter(|(_, delivered)| !delivered).count(), 20);
        sim.filter(|_| true);
        sim.send(ends[0], ends[1], lost, b"after all");
        sim.run_until(|sim| sim.messages(ends[1]) == [b"after all"]);
    });
}
