//! Recordings against a decoder that shares nothing with this repository.
#![forbid(unsafe_code)]
// Clippy takes the helpers here for code that could be something else than a test.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use introd::record::{EndPlace, EndRecord, Recorder, Role, SessionRecord};
use introd_tests::decoder::decode_independently;
use introd_tests::folder::Folder;
use rtmfp::crypto::{Certificate, Epd, Group, Identity};
use rtmfp::flow::FlowOptions;
use rtmfp::{Config, Endpoint, Event, InterfaceId};
use serde_json::Value;

/// What is in a recording.
fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn bytes(value: &Value, field: &str) -> Vec<u8> {
    hex::decode(value[field].as_str().unwrap()).unwrap()
}

fn key(value: &Value, field: &str) -> [u8; 32] {
    bytes(value, field).try_into().unwrap()
}

/// The record that `role` would make of a session in a file. It does not know the other end's private key.
fn record(session: &Value, role: Role) -> SessionRecord {
    let end = |this: Role, name: &str| {
        let field = |field: &str| format!("{name}_{field}");
        let private = session[field("dh_private_hex")].as_str().filter(|_| this == role);
        EndRecord {
            place: EndPlace {
                address: session[field("addr")].as_str().unwrap().parse().unwrap(),
                session_id: Some(u32::from_str_radix(session[field("session_id")].as_str().unwrap(), 16).unwrap()),
            },
            certificate: Certificate::parse(&bytes(session, &field("certificate_hex"))).unwrap(),
            component: bytes(session, &field("component_hex")),
            dh_private: private.map(|private| hex::decode(private).unwrap()),
            encrypt_key: key(session, &field("encrypt_key_full_hex")),
            hmac_key: key(session, &field("hmac_key_hex")),
            hmac_length: u8::try_from(session[format!("hmac_length_{name}")].as_u64().unwrap()).unwrap(),
            sequence_numbers: session[format!("sseq_{name}")].as_bool().unwrap(),
            nonce: key(&session["nonces"], &field("near_hex")),
        }
    };
    SessionRecord {
        dh_group: session["dh_group"].as_u64().unwrap(),
        dh_secret: bytes(session, "dh_secret_hex"),
        initiator: end(Role::Initiator, "initiator"),
        responder: end(Role::Responder, "responder"),
        reported_by: role,
    }
}

/// Feeds the datagrams and the keys of a file to a recorder, and compares what that makes of them with the file.
fn record_again(name: &str, compare_messages: bool) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name);
    let original: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let folder = Folder::new();
    let path = folder.join("introd.recording.json");
    let recorder = Recorder::create(&path, original["description"].as_str().unwrap()).unwrap();
    for (address, who) in original["peers"].as_object().unwrap() {
        if let Ok(address) = address.parse::<SocketAddr>() {
            recorder.peer(address, who.as_str().unwrap());
        }
    }
    let sessions = original["sessions"].as_array().unwrap();
    for session in sessions {
        recorder.session(record(session, Role::Responder));
    }
    let start = Instant::now();
    let packets = original["packets"].as_array().unwrap();
    for packet in packets {
        let address = |field: &str| packet[field].as_str().unwrap().parse().unwrap();
        let time = start + Duration::from_secs_f64(packet["time_ms"].as_f64().unwrap() / 1000.0);
        recorder.datagram(time, address("from"), address("to"), &bytes(packet, "datagram_hex"));
    }
    for session in sessions.iter().filter(|session| session["ends_logged"] == 2) {
        recorder.session(record(session, Role::Initiator));
    }
    let summary = recorder.finish().unwrap();
    assert_eq!((summary.packets, summary.sessions), (packets.len(), sessions.len()));
    assert_eq!((summary.unopened, summary.repeated, summary.over_limit), (0, 0, 0));

    let written = read(&path);
    assert_eq!(written["description"], original["description"]);
    assert_eq!(written["recorded_packets"], packets.len());
    assert!(written.get("notes").is_none());
    for (written, original) in written["sessions"].as_array().unwrap().iter().zip(sessions) {
        for (field, value) in original.as_object().unwrap() {
            // Where the recording has one end's keys only, its file does not say which end that was.
            if original["ends_logged"] == 2 || !field.ends_with("dh_private_hex") {
                assert_eq!(&written[field], value, "{name} {field}");
            }
        }
    }
    for (number, (written, original)) in written["packets"].as_array().unwrap().iter().zip(packets).enumerate() {
        for (field, value) in original.as_object().unwrap() {
            match field.as_str() {
                // A file that was trimmed keeps the numbers of the whole capture.
                "n" => assert_eq!(written["n"], number),
                "time_ms" => {
                    let (one, other) = (written["time_ms"].as_f64().unwrap(), value.as_f64().unwrap());
                    let first = packets[0]["time_ms"].as_f64().unwrap();
                    assert!((one + first - other).abs() < 0.0015, "{name} {number}: {one} {other}");
                }
                _ => assert_eq!(&written[field], value, "{name} {number} {field}"),
            }
        }
        assert_eq!(written.as_object().unwrap().len(), original.as_object().unwrap().len(), "{name} {number}");
    }
    if compare_messages {
        assert_eq!(written["messages"], original["messages"]);
    }
    assert_eq!(written["messages"].as_array().unwrap().len(), original["messages"].as_array().unwrap().len());
    decode_independently(&path);
}

#[test]
fn an_introduction_is_recorded_as_others_recorded_it() {
    record_again("rtmfp-cpp-introduction.json", true);
}

#[test]
fn other_verification_modes_are_recorded_as_others_recorded_them() {
    record_again("rtmfp-cpp-connect-plain.json", true);
    record_again("rtmfp-cpp-connect-sseq.json", true);
    record_again("rtmfp-cpp-introduction-ephemeral.json", true);
}

#[test]
fn netgroup_traffic_with_gaps_is_recorded() {
    // Its messages name packets by their numbers in the whole capture.
    record_again("librtmfp-netgroup.json", false);
}

const INTERFACE: InterfaceId = InterfaceId(0);

struct End {
    endpoint: Endpoint,
    address: SocketAddr,
}

impl End {
    /// Handles all events and sends everything. Reports the keys of sessions, recording each datagram as it is sent.
    fn drain(&mut self, now: Instant, recorder: &Recorder) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut sent = Vec::new();
        loop {
            let mut idle = true;
            while let Some(event) = self.endpoint.poll_event() {
                idle = false;
                match event {
                    Event::Keying(job) => self.endpoint.keying_done(now, job.run()),
                    Event::Keys { session, keys } => {
                        let far_address = self.endpoint.session(session).map(|info| info.far_address);
                        let near = EndPlace { address: self.address, session_id: Some(session.get()) };
                        let far = EndPlace { address: far_address.unwrap_or(self.address), session_id: None };
                        recorder.session(SessionRecord::from_revealed(&keys, near, far).unwrap());
                    }
                    _ => (),
                }
            }
            let mut datagram = Vec::new();
            while let Some(transmit) = self.endpoint.poll_transmit(now, &mut datagram) {
                idle = false;
                recorder.datagram(now, self.address, transmit.to, &datagram);
                sent.push((transmit.to, std::mem::take(&mut datagram)));
            }
            if idle {
                return sent;
            }
        }
    }
}

/// Two endpoints and a wire that loses nothing and takes a millisecond.
fn run(ends: &mut [End; 2], now: &mut Instant, recorder: &Recorder) {
    for _ in 0..1000 {
        let mut sent = Vec::new();
        for end in ends.iter_mut() {
            let from = end.address;
            sent.extend(end.drain(*now, recorder).into_iter().map(|(to, datagram)| (from, to, datagram)));
        }
        if sent.is_empty() {
            return;
        }
        *now += Duration::from_millis(1);
        for (from, to, mut datagram) in sent {
            let end = ends.iter_mut().find(|end| end.address == to).unwrap();
            end.endpoint.handle_datagram(*now, INTERFACE, from, &mut datagram);
        }
    }
    panic!("the endpoints do not come to rest");
}

#[test]
fn both_ends_of_our_own_session_are_recorded_in_one_file() {
    let folder = Folder::new();
    let path = folder.join("introd.recording.json");
    let recorder = Recorder::create(&path, "two endpoints in one process").unwrap();
    let mut rng = <rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::seed_from_u64(1);
    let identity = Arc::new(Identity::ephemeral(&[Group::Modp2], None, true, &mut rng));
    let mut server = Config::server(vec![identity]);
    let mut client = Config::peer(Arc::new(Identity::fixed(&[Group::Modp2], &mut rng)));
    server.keying.log_keys = true;
    client.keying.log_keys = true;
    let mut now = Instant::now();
    let (client_address, server_address) = ("127.0.0.1:40000".parse().unwrap(), "127.0.0.1:1935".parse().unwrap());
    let mut ends = [
        End { endpoint: Endpoint::new(now, client, [1; 32]), address: client_address },
        End { endpoint: Endpoint::new(now, server, [2; 32]), address: server_address },
    ];
    let epd = Epd::ancillary("rtmfp://127.0.0.1/live");
    let session = ends[0].endpoint.open(now, epd, &[(INTERFACE, server_address)]).unwrap();
    run(&mut ends, &mut now, &recorder);
    let flow = ends[0].endpoint.open_flow(now, session, b"metadata", FlowOptions::default()).unwrap();
    let long: Vec<u8> = (0..5000u32).map(|number| number as u8).collect();
    for message in [&b"hello"[..], &long, b"end"] {
        ends[0].endpoint.send(now, session, flow, message, Default::default()).unwrap();
    }
    run(&mut ends, &mut now, &recorder);
    ends[0].endpoint.close(now, session);
    run(&mut ends, &mut now, &recorder);
    let summary = recorder.finish().unwrap();
    assert_eq!((summary.sessions, summary.messages, summary.unopened), (1, 3, 0));
    assert!(summary.packets > 10);

    let written = read(&path);
    assert!(written.get("notes").is_none(), "{}", written["notes"]);
    let recorded = &written["sessions"][0];
    assert_eq!(recorded["ends_logged"], 2);
    assert!(recorded["initiator_dh_private_hex"].is_string() && recorded["responder_dh_private_hex"].is_string());
    assert_eq!(recorded["initiator_session_id"], format!("{:08x}", session.get()));
    assert_eq!(recorded["hmac_length_initiator"], 16);
    assert_eq!(recorded["sseq_responder"], true);
    let messages = written["messages"].as_array().unwrap();
    assert_eq!(messages[1]["message_hex"], hex::encode(&long));
    assert!(messages[1]["fragments"].as_u64().unwrap() > 3);
    assert_eq!(messages[2]["metadata_hex"], hex::encode("metadata"));
    decode_independently(&path);
}
