//! A receiver that stops reading makes its sender wait; neither keeps more than it may, and nothing is lost when it goes on
//! (RFC 7016 §3.6.2.9, §3.6.3.5).

use std::sync::Arc;
use std::time::Duration;

use rtmfp::flow::{Delivery, FlowConfig, FlowError, Flows, SendFlowId};
use rtmfp::{Config, InterfaceId};

use crate::network::{Link, NodeId, Sim, for_seeds, seal_startup};

const RECEIVE_BUFFER: usize = 100_000;
const SEND_BUFFER: usize = 300_000;

/// Two peers with small buffers, and so many flows from the first to the second, each of which has been used once.
fn stall(sim: &mut Sim, link: Link, flows: u8) -> (NodeId, NodeId, Vec<SendFlowId>) {
    let limits = FlowConfig { receive_buffer: RECEIVE_BUFFER, send_buffer: SEND_BUFFER, ..FlowConfig::default() };
    let flow = Arc::new(limits);
    let [a, b] = [0, 1].map(|_| {
        let identity = sim.new_identity();
        sim.node(Config { flow: Arc::clone(&flow), ..Config::peer(identity) })
    });
    sim.connect(a, b);
    sim.all_links(link);
    let flows: Vec<_> = (0..flows).map(|name| sim.open_flow(a, b, &[name])).collect();
    for flow in &flows {
        sim.send(a, b, *flow, b"first");
    }
    sim.run_until(|sim| sim.messages(b).len() == flows.len());
    let receiving: Vec<_> = sim.get(b).messages.iter().map(|message| message.flow).collect();
    sim.get_mut(b).messages.clear();
    flows_of(sim, b, a, |flows| receiving.iter().for_each(|flow| flows.pause(*flow)));
    (a, b, flows)
}

/// Works on the flows of the session with another node.
fn flows_of<T>(sim: &mut Sim, node: NodeId, with: NodeId, work: impl FnOnce(&mut Flows) -> T) -> T {
    let session = sim.session(node, with);
    sim.with(node, |endpoint, now| endpoint.with_flows(now, session, work)).expect("an open session")
}

/// Sends numbered messages until there is no room; gives the number of the next.
fn send_all(sim: &mut Sim, a: NodeId, b: NodeId, flow: SendFlowId, mut number: u32) -> u32 {
    let session = sim.session(a, b);
    loop {
        let mut message = vec![3; 5000];
        message[..4].copy_from_slice(&number.to_be_bytes());
        match sim.with(a, |endpoint, now| endpoint.send(now, session, flow, message, Delivery::default())) {
            Ok(_) => number += 1,
            Err(error) => {
                assert_eq!(error, FlowError::Full);
                return number;
            }
        }
    }
}

#[test]
fn what_each_end_holds_stays_bounded_and_everything_comes_afterwards() {
    for_seeds(15, |sim| {
        let loss = sim.dice.below(16) as f64 / 100.0;
        let (a, b, flows) = stall(sim, Link::default().loss(loss).jitter(20).duplicate(0.05), 3);
        let mut next = vec![0; flows.len()];
        for _ in 0..90 {
            for (flow, next) in flows.iter().zip(&mut next) {
                *next = send_all(sim, a, b, *flow, *next);
                let queued = flows_of(sim, a, b, |flows| flows.bytes_queued(*flow));
                assert!(queued <= SEND_BUFFER + 64, "{queued}");
            }
            sim.run_for(Duration::from_secs(1));
            let buffered = flows_of(sim, b, a, |flows| flows.bytes_buffered());
            // One packet more per flow: the advertisement is never zero.
            assert!(buffered <= flows.len() * (RECEIVE_BUFFER + 2 * 1200), "{buffered}");
        }
        assert_eq!(sim.messages(b).len(), 0);
        assert!(sim.is_connected(a, b), "a full buffer is no reason to end");
        let receiving: Vec<_> = sim.get(b).events.iter().filter_map(|(_, event)| opened(event)).collect();
        flows_of(sim, b, a, |flows| receiving.iter().for_each(|flow| flows.resume(*flow)));
        let total: u32 = next.iter().sum();
        sim.run_until(|sim| sim.messages(b).len() == total as usize);
        for flow in receiving {
            let came = sim.get(b).messages.iter().filter(|message| message.flow == flow);
            let numbers = came.map(|message| u32::from_be_bytes(message.data[..4].try_into().expect("four bytes")));
            assert!(numbers.enumerate().all(|(place, number)| place as u32 == number));
        }
        assert_eq!(flows_of(sim, b, a, |flows| flows.bytes_buffered()), 0);
    });
}

fn opened(event: &rtmfp::Event) -> Option<rtmfp::flow::RecvFlowId> {
    match event {
        rtmfp::Event::Flow { event: rtmfp::flow::FlowEvent::Opened { flow, .. }, .. } => Some(*flow),
        _ => None,
    }
}

#[test]
fn a_sender_that_waits_says_little() {
    for_seeds(3, |sim| {
        let (a, b, flows) = stall(sim, Link::default(), 1);
        send_all(sim, a, b, flows[0], 0);
        sim.run_for(Duration::from_secs(30));
        sim.recorded = Some(Vec::new());
        sim.run_for(Duration::from_secs(600));
        // Two keepalive pings in half a minute, now and then an attempt, and the answers.
        let packets = sim.recorded.as_ref().map_or(0, Vec::len);
        assert!(packets < 150, "{packets}");
        assert!(sim.is_connected(a, b));
    });
}

#[test]
fn a_stalled_flow_does_not_hold_up_the_others() {
    for_seeds(5, |sim| {
        let (a, b, flows) = stall(sim, Link::default().loss(0.02), 1);
        send_all(sim, a, b, flows[0], 0);
        sim.run_for(Duration::from_secs(5));
        let other = sim.open_flow(a, b, b"other");
        for _ in 0..50 {
            sim.send(a, b, other, &[8; 4000]);
        }
        let begun = sim.elapsed();
        sim.run_until(|sim| sim.messages(b).len() == 50);
        assert!(sim.elapsed() - begun < Duration::from_secs(20), "{:?}", sim.elapsed() - begun);
        assert!(sim.messages(b).iter().all(|message| *message == [8; 4000]));
    });
}

#[test]
fn a_driver_that_does_not_drain_makes_no_heap_of_answers() {
    for_seeds(1, |sim| {
        let server = sim.server();
        let epd = rtmfp::crypto::Epd::fingerprint(sim.peer_id(server));
        let hello = seal_startup(0, |out| {
            rtmfp::wire::chunk::IHello { epd: &epd, tag: &[7; 16] }.put(out);
        });
        let (mut answers, from) = (0u64, "192.0.2.9:9".parse().expect("an address"));
        sim.with(server, |endpoint, now| {
            for _ in 0..50_000 {
                endpoint.handle_datagram(now, InterfaceId(0), from, &mut hello.clone());
            }
            while endpoint.poll_transmit(now, &mut Vec::new()).is_some() {
                answers += 1;
            }
        });
        let counters = *sim.get(server).endpoint.counters();
        assert!((1000..10_000).contains(&answers), "{answers}");
        assert_eq!(counters.outbox_full + answers, 50_000);
    });
}
