//! The NetGroup in `tests/vectors/librtmfp-netgroup.json`: recorded from librtmfp and MonaServer2.

use std::collections::BTreeMap;
use std::time::Instant;

use rtmfp::PeerId;
use serde_json::Value;

use super::streams::{Fragment, StreamMessage};
use crate::channel::{self, Received};
use crate::groupspec::Groupspec;
use crate::member::flow_type;
use crate::member::message::ControlMessage;
use crate::member::proof::Prover;
use crate::member::{GroupEvent, Member, Output, SessionFacts};
use introd_flash::metadata::FlowKind;

const SPEC: &str = "G:027f0201010103010c050e74657374011b00";

fn recording() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/librtmfp-netgroup.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn bytes(value: &Value, field: &str) -> Vec<u8> {
    hex::decode(value[field].as_str().unwrap()).unwrap()
}

fn array(value: &Value, field: &str) -> [u8; 32] {
    bytes(value, field).try_into().unwrap()
}

/// A message: its session, whether the initiator sent it, flow kind, flow in return, bytes.
type Recorded = (usize, bool, FlowKind, Option<u64>, Vec<u8>);

/// The messages of the group flows.
fn group_messages(file: &Value) -> Vec<Recorded> {
    let messages = file["messages"].as_array().unwrap().iter();
    messages
        .map(|message| {
            let kind = FlowKind::classify(&bytes(message, "metadata_hex")).unwrap();
            let session = message["session"].as_u64().unwrap() as usize;
            let return_flow = message["return_flow"].as_u64();
            (session, message["sender"] == "initiator", kind, return_flow, bytes(message, "message_hex"))
        })
        .filter(|(_, _, kind, _, _)| !matches!(kind, FlowKind::Rtmp { .. }))
        .collect()
}

#[test]
fn every_message_is_read_and_written_again_to_the_same_bytes() {
    let file = recording();
    let digest = Groupspec::parse(SPEC).unwrap().digest();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for (_, from_initiator, kind, return_flow, message) in group_messages(&file) {
        let again = match kind {
            FlowKind::GroupControl if from_initiator => {
                assert_eq!(channel::read_join(&message), Ok(digest));
                channel::join(&digest)
            }
            FlowKind::GroupControl => {
                let Ok(Received::Hint(peer)) = channel::read_hint(&message) else { panic!("{message:x?}") };
                channel::hint(&peer).to_vec()
            }
            FlowKind::GroupPeer(flow_type::CONTROL) => ControlMessage::read(&message).unwrap().write(),
            FlowKind::GroupPeer(flow_type::STREAM) => StreamMessage::read(&message).unwrap().write(),
            FlowKind::GroupPeer(flow_type::FRAGMENT) => Fragment::read(&message).unwrap().write(),
            other => panic!("{other:?}"),
        };
        assert_eq!(hex::encode(&again), hex::encode(&message));
        if let FlowKind::GroupPeer(flow_type) = kind {
            assert_eq!(flow_type::in_return_to(flow_type).is_some(), return_flow.is_some());
        }
        let first = match kind {
            FlowKind::GroupControl => format!("GC {:02x}", message[0]),
            FlowKind::GroupPeer(flow_type) => format!("GR {flow_type:02x} {:02x}", message[0]),
            FlowKind::Rtmp { .. } => unreachable!("filtered"),
        };
        *counts.entry(first).or_default() += 1;
    }
    let seen: Vec<_> = counts.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    println!("{seen:?}");
    for name in ["GC 01", "GC 0b", "GR 1c 01", "GR 1c 02", "GR 1c 0a", "GR 1c 0e"] {
        assert!(counts.contains_key(name), "{name}");
    }
    for name in ["GR 11 21", "GR 11 22", "GR 11 23", "GR 11 2b", "GR 12 00", "GR 12 20", "GR 12 30"] {
        assert!(counts.contains_key(name), "{name}");
    }
    assert_eq!((counts["GC 01"], counts["GC 0b"], counts["GR 1c 01"], counts["GR 1c 0a"]), (3, 3, 6, 6));
}

/// Both ends' facts of a session between peers: the initiator's first.
fn facts(session: &Value) -> [SessionFacts; 2] {
    let peer = |end: &str| PeerId(array(session, &format!("{end}_fingerprint_hex")));
    let nonce = |end: &str| array(&session["nonces"], &format!("{end}_near_hex"));
    [("initiator", "responder"), ("responder", "initiator")].map(|(near, far)| SessionFacts {
        peer: peer(far),
        near_nonce: nonce(near),
        far_nonce: nonce(far),
        far_address: session[format!("{far}_addr")].as_str().unwrap().parse().unwrap(),
        rtt: None,
    })
}

#[test]
fn every_proof_is_what_the_nonces_of_its_session_give() {
    let file = recording();
    let group = Groupspec::parse(SPEC).unwrap();
    let prover = Prover::new(&group);
    let mut checked = 0;
    for (session, from_initiator, _, _, message) in group_messages(&file) {
        let Ok(ControlMessage::Connect(connect)) = ControlMessage::read(&message) else { continue };
        // A join to the server begins with the same byte, but is of another form, and is passed over.
        let [initiator, responder] = facts(&file["sessions"][session]);
        let (sender, receiver) = if from_initiator { (initiator, responder) } else { (responder, initiator) };
        assert_eq!(connect.group, group.digest());
        assert_eq!(connect.receiver, sender.peer);
        assert_eq!(connect.proof, prover.prove(&sender.far_nonce));
        assert!(prover.accepts(&receiver.near_nonce, &connect.proof));
        assert!(!prover.accepts(&receiver.far_nonce, &connect.proof), "not the nonce of the other direction");
        checked += 1;
    }
    assert_eq!(checked, 6);
}

/// The control messages that a member sends, and its other outputs.
fn drain(member: &mut Member) -> (Vec<Vec<u8>>, Vec<Output>) {
    let (mut said, mut other) = (Vec::new(), Vec::new());
    while let Some(output) = member.poll_output() {
        match output {
            Output::Send { flow_type: flow_type::CONTROL, message, .. } => said.push(message),
            output => other.push(output),
        }
    }
    (said, other)
}

#[test]
fn a_member_behaves_as_the_recorded_ones() {
    let file = recording();
    let group = Groupspec::parse(SPEC).unwrap();
    let now = Instant::now();
    for session in [2, 4, 5] {
        let [initiator, responder] = facts(&file["sessions"][session]);
        let said = |by_initiator: bool| -> Vec<Vec<u8>> {
            group_messages(&file)
                .into_iter()
                .filter(|(of, by, kind, _, _)| {
                    *of == session && *by == by_initiator && *kind == FlowKind::GroupPeer(flow_type::CONTROL)
                })
                .map(|(_, _, _, _, message)| message)
                .collect()
        };
        for is_initiator in [true, false] {
            let (near, far) = if is_initiator { (initiator, responder) } else { (responder, initiator) };
            let mut member = Member::new(now, &group, far.peer, [1; 32]);
            let (mine, theirs) = (said(is_initiator), said(!is_initiator));
            if is_initiator {
                member.add_neighbor(now, near.peer);
                assert_eq!(drain(&mut member).1, [Output::Connect { peer: near.peer, addresses: Vec::new() }]);
            }
            member.on_session(now, near);
            // 01 comes from the initiator alone, before anything else.
            let first = drain(&mut member).0;
            assert_eq!(first, mine[..usize::from(is_initiator)]);
            member.on_message(now, near.peer, flow_type::CONTROL, &theirs[0]);
            let (next, told) = drain(&mut member);
            assert_eq!(next, mine[usize::from(is_initiator)..3], "session {session}");
            assert_eq!(told, [Output::Event(GroupEvent::NeighborConnected(near.peer))]);
            member.on_message(now, near.peer, flow_type::CONTROL, &theirs[1]);
            assert!(drain(&mut member).0.is_empty());
            member.on_message(now, near.peer, flow_type::CONTROL, &theirs[2]);
            let report = drain(&mut member).0;
            assert_eq!(report.len(), 1);
            assert!(matches!(ControlMessage::read(&report[0]), Ok(ControlMessage::Report(_))));
            // A report that answers this member's report gets no answer.
            member.on_message(now, near.peer, flow_type::CONTROL, &theirs[3]);
            assert!(drain(&mut member).0.is_empty());
            assert_eq!(member.neighbors().collect::<Vec<_>>(), [near.peer]);
        }
    }
}
