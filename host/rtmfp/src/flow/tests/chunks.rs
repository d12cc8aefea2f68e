//! Chunks as a far end sends them, and what is read from packets.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::channel::{LIMIT, receive};
use crate::flow::config::FlowConfig;
use crate::flow::event::FlowEvent;
use crate::flow::flows::Flows;
use crate::flow::timing::Timing;
use crate::test_clock::test_clock;
use crate::wire::chunk::{Ack, FragmentControl, NextUserData, UserData, metadata_option};
use crate::wire::{Chunk, packet};

/// When a test begins: one time, however often it is asked for.
pub(super) fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(test_clock)
}

pub(super) fn at(now: Instant) -> Timing {
    Timing { now, erto: Duration::from_millis(300), smoothed_rtt: None }
}

pub(super) fn flows() -> Flows {
    with(FlowConfig::default())
}

pub(super) fn with(config: FlowConfig) -> Flows {
    Flows::new(Arc::new(config))
}

/// One packet of what flows want to send.
pub(super) fn fill(flows: &mut Flows, now: Instant) -> Vec<u8> {
    let mut bytes = Vec::new();
    flows.fill(&at(now), &mut bytes, LIMIT);
    bytes
}

/// The same, with a packet of that length.
pub(super) fn fill_up_to(flows: &mut Flows, now: Instant, limit: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    flows.fill(&at(now), &mut bytes, limit);
    assert!(bytes.len() <= limit);
    bytes
}

/// The chunks of a packet.
pub(super) fn chunks(bytes: &[u8]) -> Vec<Chunk<'_>> {
    packet::chunks(bytes).map(|raw| Chunk::parse(raw).unwrap()).collect()
}

pub(super) fn kinds(bytes: &[u8]) -> Vec<u8> {
    packet::chunks(bytes).map(|raw| raw.kind).collect()
}

/// A whole message of one fragment.
pub(super) fn data<'a>(flow_id: u64, sequence_number: u64, fsn_offset: u64, options: Option<&'a [u8]>) -> UserData<'a> {
    let fragment = NextUserData {
        fragment_control: FragmentControl::Whole,
        abandon: false,
        is_final: false,
        options,
        data: b"data",
    };
    UserData { flow_id, sequence_number, fsn_offset, fragment }
}

/// A fragment of flow 5; the Forward Sequence Number says nothing.
pub(super) fn fragment(sequence_number: u64, fragment_control: FragmentControl, data: &[u8]) -> UserData<'_> {
    let fragment = NextUserData { fragment_control, abandon: false, is_final: false, options: None, data };
    UserData { flow_id: 5, sequence_number, fsn_offset: sequence_number, fragment }
}

/// A whole message of flow 5.
pub(super) fn whole(sequence_number: u64, data: &[u8]) -> UserData<'_> {
    fragment(sequence_number, FragmentControl::Whole, data)
}

pub(super) fn metadata() -> Vec<u8> {
    let mut options = Vec::new();
    metadata_option(b"m", &mut options);
    options
}

/// Gives one packet of chunks.
pub(super) fn give(flows: &mut Flows, now: Instant, chunks: &[UserData<'_>]) {
    let mut bytes = Vec::new();
    assert!(chunks.iter().all(|chunk| chunk.put(&mut bytes)));
    receive(flows, &at(now), &bytes, false);
}

/// Appends an acknowledgement to a packet.
pub(super) fn put_ack(flow: u64, blocks: u64, cumulative: u64, ranges: &[(u64, u64)], out: &mut Vec<u8>) {
    assert!(Ack::put(flow, blocks, cumulative, ranges.iter().map(|&(first, last)| first..=last), out));
}

/// Gives one packet with an acknowledgement.
pub(super) fn ack(flows: &mut Flows, now: Instant, flow: u64, blocks: u64, cumulative: u64, ranges: &[(u64, u64)]) {
    let mut bytes = Vec::new();
    put_ack(flow, blocks, cumulative, ranges, &mut bytes);
    receive(flows, &at(now), &bytes, false);
}

pub(super) fn events(flows: &mut Flows) -> Vec<FlowEvent> {
    std::iter::from_fn(|| flows.poll_event()).collect()
}

/// A receiver with flow 5 open, everything acknowledged.
pub(super) fn receiver(now: Instant) -> Flows {
    receiver_with(now, FlowConfig::default())
}

pub(super) fn receiver_with(now: Instant, config: FlowConfig) -> Flows {
    let mut flows = with(config);
    give(&mut flows, now, &[data(5, 1, 1, Some(&metadata()))]);
    assert_eq!(events(&mut flows).len(), 2);
    assert!(!fill(&mut flows, now).is_empty());
    flows
}

/// The numbers that the last acknowledgement has beyond the cumulative one, and that.
pub(super) fn acknowledged(bytes: &[u8]) -> (u64, Vec<u64>) {
    chunks(bytes)
        .into_iter()
        .find_map(|chunk| match chunk {
            Chunk::Ack(ack) => Some((ack.cumulative, ack.ranges().flatten().collect())),
            _ => None,
        })
        .unwrap()
}

/// The user data in a packet: number, Forward Sequence Number, abandoned, final.
pub(super) fn fragments(bytes: &[u8]) -> Vec<(u64, u64, bool, bool)> {
    chunks(bytes)
        .into_iter()
        .filter_map(|chunk| match chunk {
            Chunk::UserData(chunk) => Some((
                chunk.sequence_number,
                chunk.forward_sequence_number(),
                chunk.fragment.abandon,
                chunk.fragment.is_final,
            )),
            _ => None,
        })
        .collect()
}

/// The blocks that the first acknowledgement in a packet advertises.
pub(super) fn advertised(bytes: &[u8]) -> u64 {
    chunks(bytes)
        .into_iter()
        .find_map(|chunk| match chunk {
            Chunk::Ack(ack) => Some(ack.buffer_blocks),
            _ => None,
        })
        .unwrap()
}

/// The numbers of the messages that have come, and whether each told of a gap.
pub(super) fn messages(flows: &mut Flows) -> Vec<(u64, bool)> {
    events(flows)
        .into_iter()
        .filter_map(|event| match event {
            FlowEvent::Message { sequence_number, gap, .. } => Some((sequence_number, gap)),
            _ => None,
        })
        .collect()
}
