//! How messages are cut, and how the pieces share packets (RFC 7016 §3.6.2.2, §3.6.2.3).

use std::collections::BTreeSet;
use std::time::Duration;

use super::bursts::Unlimited;
use super::chunks::{ack, at, chunks, fill, fill_up_to, flows, kinds, start, with};
use crate::flow::config::FlowConfig;
use crate::flow::flows::Flows;
use crate::flow::options::{Delivery, FlowOptions};
use crate::wire::Chunk;
use crate::wire::chunk::NextUserData;

/// The user data in a packet, with how many bytes of it each has.
fn pieces(bytes: &[u8]) -> Vec<NextUserData<'_>> {
    chunks(bytes)
        .into_iter()
        .filter_map(|chunk| match chunk {
            Chunk::UserData(chunk) => Some(chunk.fragment),
            Chunk::NextUserData(fragment) => Some(fragment),
            _ => None,
        })
        .collect()
}

/// Empties a flow into packets of `limit` bytes, at one time.
fn packets(flows: &mut Flows, limit: usize) -> Vec<Vec<u8>> {
    let packets = std::iter::from_fn(|| flows.wants_transmit(&at(start())).then(|| fill_up_to(flows, start(), limit)));
    packets.take_while(|packet| !packet.is_empty()).collect()
}

/// §3.6.2.2: although the first packets have room for more, and a chunk that follows another needs less, every fragment can be sent
/// again alone, with the longest header and the startup options, in a packet of `packet_payload` bytes.
#[test]
fn every_fragment_fits_the_smallest_packet_when_it_is_sent_again() {
    for metadata in [0, 512] {
        let mut flows = with(FlowConfig { packet_payload: 1100, ..FlowConfig::default() });
        let flow = flows.open(&vec![0; metadata], FlowOptions::default()).unwrap();
        for length in [100, 3000, 10, 700, 700] {
            flows.send(flow, vec![0; length], Delivery::default()).unwrap();
        }
        flows.transmitter.controller = Box::new(Unlimited);
        let sent: usize = packets(&mut flows, 1400).iter().map(|packet| pieces(packet).len()).sum();
        let later = start() + Duration::from_secs(1);
        flows.on_timeout(&at(later));
        let mut again = 0;
        for _ in 0..sent {
            again += pieces(&fill_up_to(&mut flows, later, 1100)).len();
            flows.transmitter.burst = 0;
        }
        assert_eq!(again, sent, "{metadata}");
    }
}

/// A message is cut to fill a packet if what fits is worth a chunk: 256 bytes at least.
#[test]
fn a_message_is_not_cut_into_small_pieces() {
    let mut least = usize::MAX;
    for first in 0..1000 {
        let mut flows = flows();
        let flow = flows.open(b"m", FlowOptions::default()).unwrap();
        flows.send(flow, vec![0; first], Delivery::default()).unwrap();
        flows.send(flow, vec![0; 5000], Delivery::default()).unwrap();
        let packet = fill(&mut flows, start());
        let room = super::channel::LIMIT - packet.len();
        match pieces(&packet)[..] {
            [_, second] => least = least.min(second.data.len()),
            // A chunk that follows has a header of 4 bytes.
            _ => assert!(room < 256 + 4, "{first} {room}"),
        }
    }
    assert_eq!(least, 256);
    // A message that is shorter, or the end of one, fits as it is.
    let mut flows = flows();
    let flow = flows.open(b"m", FlowOptions::default()).unwrap();
    for length in [1000, 10, 20] {
        flows.send(flow, vec![0; length], Delivery::default()).unwrap();
    }
    assert_eq!(pieces(&fill(&mut flows, start())).len(), 3);
}

/// What the first packet has no room for goes whole into the next one, up to 512 bytes and if that one has room for it.
#[test]
fn a_short_message_is_not_cut() {
    let second = |length: usize, limit: usize| {
        let mut flows = with(FlowConfig { packet_payload: limit, ..FlowConfig::default() });
        let flow = flows.open(b"m", FlowOptions::default()).unwrap();
        flows.send(flow, vec![0; 100], Delivery::default()).unwrap();
        flows.send(flow, vec![0; length], Delivery::default()).unwrap();
        flows.transmitter.controller = Box::new(Unlimited);
        let packets = packets(&mut flows, limit);
        packets
            .iter()
            .map(|packet| pieces(packet).iter().map(|piece| piece.data.len()).collect())
            .collect::<Vec<Vec<_>>>()
    };
    assert_eq!(second(512, 560), [vec![100], vec![512]]);
    let cut = |packets: Vec<Vec<usize>>| packets.concat().len() == 3;
    assert!(cut(second(513, 560)));
    assert!(cut(second(512, 500)), "it fits no packet by itself");
}

#[test]
fn a_fragment_fits_the_length_of_a_chunk() {
    let config = FlowConfig { packet_payload: 200_000, max_message: 1 << 20, ..FlowConfig::default() };
    let mut flows = with(config);
    let flow = flows.open(b"m", FlowOptions::default()).unwrap();
    flows.send(flow, vec![0; 130_000], Delivery::default()).unwrap();
    flows.transmitter.controller = Box::new(Unlimited);
    let packet = fill_up_to(&mut flows, start(), 200_000);
    let lengths: Vec<usize> = pieces(&packet).iter().map(|piece| piece.data.len()).collect();
    assert_eq!(
        lengths,
        [60_000, 60_000],
        "the second crosses the 65536 bytes that every far end is taken to have room for"
    );
    ack(&mut flows, start(), flow.0, 1000, 1, &[]);
    assert_eq!(pieces(&fill_up_to(&mut flows, start(), 200_000))[0].data.len(), 10_000);
}

/// Next User Data follows the fragment before it in the same flow; after another flow, or a number that is left out, User Data begins
/// anew, with the options only once in a packet for each flow.
#[test]
fn next_user_data_follows_its_own_flow_and_number_only() {
    let mut flows = flows();
    let [one, other] = [(); 2].map(|()| flows.open(b"m", FlowOptions::default()).unwrap());
    for flow in [one, one, other, other] {
        flows.send(flow, b"x", Delivery::default()).unwrap();
    }
    let packet = fill(&mut flows, start());
    assert_eq!(kinds(&packet), [0x10, 0x11, 0x10, 0x11]);
    let options = |packet: &[u8]| pieces(packet).iter().map(|piece| piece.options.is_some()).collect::<Vec<_>>();
    assert_eq!(options(&packet), [true, false, true, false]);
    // The other flow's number is the next one by chance.
    let mut two = self::flows();
    let [one, other] = [(); 2].map(|()| two.open(b"m", FlowOptions::default()).unwrap());
    two.send(other, b"x", Delivery::default()).unwrap();
    fill(&mut two, start());
    two.send(one, b"x", Delivery::default()).unwrap();
    two.send(other, b"y", Delivery::default()).unwrap();
    let packet = fill(&mut two, start());
    assert_eq!(super::chunks::fragments(&packet).iter().map(|fragment| fragment.0).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(options(&packet), [true, true]);
    // The second of three is given up: a number is left out between the two that are sent again.
    let three = flows.open(b"m", FlowOptions::default()).unwrap();
    let messages = [(); 3].map(|()| flows.send(three, b"x", Delivery::default()).unwrap());
    fill(&mut flows, start());
    let later = start() + Duration::from_secs(1);
    flows.on_timeout(&at(later));
    assert!(flows.abandon(three, messages[1]));
    let packet = fill(&mut flows, later);
    assert_eq!(kinds(&packet), [0x10, 0x11, 0x10, 0x11, 0x10, 0x10]);
    assert_eq!(options(&packet), [true, false, true, false, true, false]);
}

/// The sequence number goes on where an empty queue left it.
#[test]
fn numbers_go_on_after_everything_is_acknowledged() {
    let mut flows = flows();
    let flow = flows.open(b"m", FlowOptions::default()).unwrap();
    let mut seen = BTreeSet::new();
    for round in 1..=3 {
        let message = flows.send(flow, b"x", Delivery::default()).unwrap();
        assert_eq!(message.0, round - 1);
        for (number, ..) in super::chunks::fragments(&fill(&mut flows, start())) {
            assert!(seen.insert(number));
        }
        ack(&mut flows, start(), flow.0, 64, round, &[]);
        assert!(flows.is_idle());
    }
    assert_eq!(seen, BTreeSet::from([1, 2, 3]));
}
