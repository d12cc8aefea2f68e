//! How many packets go out at once (RFC 7016 §3.5.2.3).

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::chunks::{ack, at, chunks, fill};
use crate::flow::config::FlowConfig;
use crate::flow::flows::Flows;
use crate::flow::options::{Delivery, FlowOptions};
use crate::test_clock::test_clock;

/// §3.5.2.3.
#[test]
fn six_packets_at_most_go_out_in_a_burst() {
    let now = test_clock();
    let config = FlowConfig { congestion: || Box::new(Unlimited), ..FlowConfig::default() };
    let mut flows = Flows::new(Arc::new(config));
    let flow = flows.open(b"m", FlowOptions::default()).unwrap();
    flows.send(flow, vec![0; 50_000], Delivery::default()).unwrap();
    let burst = |flows: &mut Flows| {
        let mut packets = 0;
        while flows.wants_transmit(&at(now)) {
            assert!(!fill(flows, now).is_empty());
            packets += 1;
        }
        packets
    };
    assert_eq!(burst(&mut flows), 6);
    ack(&mut flows, now, flow.0, 64, 2, &[]);
    assert_eq!(burst(&mut flows), 6);
    assert!(flows.on_timeout(&at(now + Duration::from_secs(1))));
    assert_eq!(burst(&mut flows), 6);
}

/// §3.5.2.3: each acknowledgement of a batch allows its packets, up to a bound; what is left is forgotten soon after.
#[test]
fn acknowledgements_of_one_batch_add_up() {
    let start = test_clock();
    let config = FlowConfig { congestion: || Box::new(Unlimited), max_message: 8 << 20, ..FlowConfig::default() };
    let mut flows = Flows::new(Arc::new(config));
    let flow = flows.open(b"m", FlowOptions::default()).unwrap();
    flows.send(flow, vec![0; 1 << 20], Delivery::default()).unwrap();
    let burst = |flows: &mut Flows, now: Instant| {
        std::iter::from_fn(|| flows.wants_transmit(&at(now)).then(|| fill(flows, now))).count()
    };
    assert_eq!(burst(&mut flows, start), 6);
    let batch = |flows: &mut Flows, begins: Instant, acks: u32| {
        (0..acks).for_each(|ack_number| {
            ack(flows, begins + Duration::from_micros(10) * ack_number, flow.0, 4096, 1, &[]);
        });
    };
    let now = start + Duration::from_millis(10);
    batch(&mut flows, now, 3);
    assert_eq!(burst(&mut flows, now + Duration::from_micros(40)), 18);
    let now = now + Duration::from_millis(10);
    batch(&mut flows, now, 100);
    assert_eq!(burst(&mut flows, now + Duration::from_millis(1)), 48);
    let now = now + Duration::from_millis(10);
    batch(&mut flows, now, 3);
    assert_eq!(burst(&mut flows, now + Duration::from_millis(2)), 6, "not a batch any more");
    assert_eq!(burst(&mut flows, now + Duration::from_millis(20)), 0);
}

/// A receiver that reads many packets at a time acknowledges them together. Each of its acknowledgements allows what those of every second
/// packet would have allowed (§3.6.3.4.1); else the sender would never have more than six packets under way, whatever its window is.
#[test]
fn an_acknowledgement_of_many_packets_allows_as_much_as_several() {
    let now = test_clock();
    let config = FlowConfig { congestion: || Box::new(Unlimited), ..FlowConfig::default() };
    let mut flows = Flows::new(Arc::new(config));
    let flow = flows.open(b"m", FlowOptions::default()).unwrap();
    flows.send(flow, vec![0; 1 << 20], Delivery::default()).unwrap();
    let burst = |flows: &mut Flows, now: Instant| {
        std::iter::from_fn(|| flows.wants_transmit(&at(now)).then(|| fill(flows, now))).count()
    };
    let (mut sent, mut now) = (burst(&mut flows, now), now);
    let mut bursts = vec![sent];
    for _ in 0..4 {
        now += Duration::from_millis(10);
        // One fragment in each packet.
        ack(&mut flows, now, flow.0, 4096, sent as u64, &[]);
        let packets = burst(&mut flows, now);
        bursts.push(packets);
        sent += packets;
    }
    assert_eq!(bursts, [6, 18, 48, 48, 48]);
    // One that acknowledges nothing new allows six.
    now += Duration::from_millis(10);
    ack(&mut flows, now, flow.0, 4096, 6, &[]);
    assert_eq!(burst(&mut flows, now), 6);
}

/// Short chunks share packets: they do not count as packets of their own.
#[test]
fn many_short_chunks_in_a_packet_allow_no_more_than_its_bytes() {
    let now = test_clock();
    let config = FlowConfig { congestion: || Box::new(Unlimited), ..FlowConfig::default() };
    let mut flows = Flows::new(Arc::new(config));
    let flow = flows.open(b"m", FlowOptions::default()).unwrap();
    (0..2000).for_each(|_| _ = flows.send(flow, vec![0; 20], Delivery::default()).unwrap());
    let burst = |flows: &mut Flows, now: Instant| {
        let packets: Vec<_> = std::iter::from_fn(|| flows.wants_transmit(&at(now)).then(|| fill(flows, now))).collect();
        (packets.len(), packets.iter().map(|packet| chunks(packet).len() as u64).collect::<Vec<_>>())
    };
    let (packets, chunks) = burst(&mut flows, now);
    assert_eq!(packets, 6);
    assert!(chunks[0] > 20);
    let now = now + Duration::from_millis(10);
    ack(&mut flows, now, flow.0, 4096, chunks[0] + chunks[1], &[]);
    let (packets, _) = burst(&mut flows, now);
    assert!((6..=12).contains(&packets), "two packets were acknowledged: {packets}");
}

#[derive(Debug)]
pub(super) struct Unlimited;

impl crate::congestion::Controller for Unlimited {
    fn window(&self) -> usize {
        usize::MAX
    }
    fn on_sent(&mut self, _: usize) {}
    fn on_feedback(&mut self, _: &crate::congestion::Feedback) {}
    fn on_timeout(&mut self, _: usize, _: u64) {}
    fn on_restart(&mut self) {}
}
