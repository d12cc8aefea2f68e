//! The cryptography profile against recorded traffic of other implementations (`vectors/*.json`): every key is derived again
//! and every packet is opened and sealed again.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::path::PathBuf;

use rtmfp::crypto::cipher::{Opened, session_id};
use rtmfp::crypto::component::{Component, Negotiation, Settled};
use rtmfp::crypto::session_keys::{FullKeys, derive};
use rtmfp::crypto::{Certificate, Group, KeyPair, Opener, Preferences, Rejected, Sealer, SessionKeys, SharedSecret};
use serde_json::Value;

/// What was compared.
#[derive(Debug, Default, PartialEq, Eq, Clone, Copy)]
struct Checked {
    files: usize,
    sessions: usize,
    dh_secrets: usize,
    packets: usize,
    with_hmac: usize,
    with_sequence: usize,
    sealed_again: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Initiator,
    Responder,
}

impl Side {
    const BOTH: [Self; 2] = [Self::Initiator, Self::Responder];

    fn name(self) -> &'static str {
        match self {
            Self::Initiator => "initiator",
            Self::Responder => "responder",
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Initiator => Self::Responder,
            Self::Responder => Self::Initiator,
        }
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("{field} is missing"))
}

fn bytes(value: &Value, field: &str) -> Vec<u8> {
    hex::decode(text(value, field)).unwrap()
}

fn number(value: &Value, field: &str) -> u64 {
    value[field].as_u64().unwrap_or_else(|| panic!("{field} is missing"))
}

fn files() -> Vec<(String, Value)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
        })
        .collect()
}

/// The keys of one end of a session, from its Diffie-Hellman secret and its components.
fn keys_of(session: &Value, side: Side) -> (SessionKeys, FullKeys) {
    let component = |side: Side| bytes(session, &format!("{}_component_hex", side.name()));
    let (near, far) = (component(side), component(side.other()));
    let negotiation = |bytes: &[u8]| -> Negotiation { Component::parse(bytes).unwrap().negotiation };
    let settled = negotiation(&near).settle(&negotiation(&far), &Preferences::default()).unwrap();
    derive(&SharedSecret::from_bytes(&bytes(session, "dh_secret_hex")), &near, &far, settled)
}

/// The public key of one end: in its certificate or in its component.
fn public_key(session: &Value, side: Side, group: Group) -> Vec<u8> {
    let certificate = Certificate::parse(&bytes(session, &format!("{}_certificate_hex", side.name()))).unwrap();
    if let Some(key) = certificate.static_key(group) {
        return key.to_vec();
    }
    assert!(certificate.has_ephemeral_group(group));
    let component = bytes(session, &format!("{}_component_hex", side.name()));
    let (id, key) = Component::parse(&component).unwrap().ephemeral_key.unwrap();
    assert_eq!(id, group.id());
    key.to_vec()
}

fn check_session(session: &Value, checked: &mut Checked) {
    let group = Group::from_id(number(session, "dh_group")).unwrap();
    for side in Side::BOTH {
        let (name, far) = (side.name(), side.other().name());
        let certificate = Certificate::parse(&bytes(session, &format!("{name}_certificate_hex"))).unwrap();
        assert_eq!(certificate.fingerprint().to_string(), text(session, &format!("{name}_fingerprint_hex")));

        let (keys, full) = keys_of(session, side);
        let recorded = |field: &str| bytes(session, field);
        assert_eq!(full.encrypt[..], recorded(&format!("{name}_encrypt_key_full_hex")));
        assert_eq!(full.decrypt[..], recorded(&format!("{far}_encrypt_key_full_hex")));
        assert_eq!(keys.encrypt_key[..], recorded(&format!("{name}_encrypt_key_hex")));
        assert_eq!(keys.decrypt_key[..], recorded(&format!("{far}_encrypt_key_hex")));
        assert_eq!(keys.hmac_send_key[..], recorded(&format!("{name}_hmac_key_hex")));
        assert_eq!(keys.hmac_receive_key[..], recorded(&format!("{far}_hmac_key_hex")));
        let nonces = &session["nonces"];
        assert_eq!(keys.near_nonce[..], bytes(nonces, &format!("{name}_near_hex")));
        assert_eq!(keys.far_nonce[..], bytes(nonces, &format!("{far}_near_hex")));
        let recorded = Settled {
            hmac_send_length: number(session, &format!("hmac_length_{name}")) as u8,
            hmac_receive_length: number(session, &format!("hmac_length_{far}")) as u8,
            sequence_send: session[format!("sseq_{name}")].as_bool().unwrap(),
            sequence_receive: session[format!("sseq_{far}")].as_bool().unwrap(),
        };
        assert_eq!(keys.verification, recorded);

        if !session[format!("{name}_dh_private_hex")].is_null() {
            let pair = KeyPair::from_private(group, &bytes(session, &format!("{name}_dh_private_hex"))).unwrap();
            assert_eq!(pair.public(), public_key(session, side, group));
            let secret = pair.agree(&public_key(session, side.other(), group)).unwrap();
            assert_eq!(secret.expose(), bytes(session, "dh_secret_hex"));
            checked.dh_secrets += 1;
        }
    }
    checked.sessions += 1;
}

/// Both directions of one session, or of the startup pseudo-session.
struct Direction {
    opener: Opener,
    sealer: Sealer,
    /// The number that the sealer uses next.
    next: u64,
    hmac: bool,
}

impl Direction {
    fn startup() -> Self {
        Self { opener: Opener::startup(), sealer: Sealer::startup(), next: 0, hmac: false }
    }

    fn of(session: &Value, sender: Side) -> Self {
        let (sending, receiving) = (keys_of(session, sender).0, keys_of(session, sender.other()).0);
        let hmac = sending.verification.hmac_send_length != 0;
        Self { opener: Opener::new(&receiving), sealer: Sealer::new(&sending), next: 0, hmac }
    }

    fn seal(&mut self, id: u32, plain: &[u8]) -> Vec<u8> {
        // Something before the datagram, to see that it is left alone.
        let mut out = vec![0xee];
        self.sealer.begin(&mut out);
        out.extend_from_slice(plain);
        self.sealer.finish(id, 1, &mut out);
        self.next += 1;
        assert_eq!(out.remove(0), 0xee);
        out
    }
}

fn check_packet(packet: &Value, direction: &mut Direction, checked: &mut Checked) {
    let datagram = bytes(packet, "datagram_hex");
    let id = u32::from_str_radix(text(packet, "session_id"), 16).unwrap();
    assert_eq!(session_id(&datagram), Some(id));
    let plain = bytes(packet, "plain_hex");
    let sequence = packet["sseq"].as_u64();

    let Direction { opener, hmac, .. } = direction;
    assert_eq!(*hmac, text(packet, "verify") == "hmac");
    for at in [4, datagram.len() / 2, datagram.len() - 1] {
        let mut changed = datagram.clone();
        changed[at] ^= 0x10;
        assert_eq!(opener.open(&mut changed), Err(Rejected::Unverified));
    }
    assert_eq!(opener.verify(&mut datagram.clone()), Ok(Opened { plain: &plain, sequence }));
    assert_eq!(opener.open(&mut datagram.clone()), Ok(&plain[..]));
    let again = opener.verify(&mut datagram.clone()).map(|opened| opened.sequence);
    assert_eq!(again, if sequence.is_some() { Err(Rejected::Duplicate) } else { Ok(None) });

    // The sealer counts by itself: let it pass numbers that were recorded elsewhere or lost. A number that came late cannot
    // be reached any more.
    let wanted = sequence.unwrap_or(direction.next);
    while direction.next < wanted {
        direction.seal(0, &[0]);
    }
    if direction.next == wanted {
        let unpadded = plain.len() - number(packet, "padding_len") as usize;
        assert_eq!(hex::encode(direction.seal(id, &plain[..unpadded])), text(packet, "datagram_hex"));
        checked.sealed_again += 1;
    }
    checked.packets += 1;
    checked.with_hmac += usize::from(direction.hmac);
    checked.with_sequence += usize::from(sequence.is_some());
}

#[test]
fn every_key_and_every_packet() {
    let mut checked = Checked::default();
    let mut expected = Checked::default();
    for (name, file) in files() {
        println!("{name}");
        let (sessions, packets) = (file["sessions"].as_array().unwrap(), file["packets"].as_array().unwrap());
        expected.files += 1;
        expected.sessions += sessions.len();
        expected.packets += number(&file, "recorded_packets") as usize;
        let is = |field: &str, value: &str| packets.iter().filter(|packet| packet[field] == value).count();
        expected.with_hmac += is("verify", "hmac");
        expected.with_sequence += packets.iter().filter(|packet| packet["sseq"].is_u64()).count();
        let privates = ["initiator_dh_private_hex", "responder_dh_private_hex"];
        expected.dh_secrets += sessions
            .iter()
            .flat_map(|session| privates.map(|field| &session[field]))
            .filter(|key| key.is_string())
            .count();

        for session in sessions {
            check_session(session, &mut checked);
        }
        let mut startup = Direction::startup();
        let mut directions: Vec<_> =
            sessions.iter().map(|session| Side::BOTH.map(|sender| Direction::of(session, sender))).collect();
        for packet in packets {
            for end in ["from", "to"] {
                text(packet, end).parse::<SocketAddr>().unwrap();
            }
            let direction = match text(packet, "key") {
                "default" => &mut startup,
                key => {
                    let session: usize = key.strip_prefix("session ").unwrap().parse().unwrap();
                    let sender = usize::from(text(packet, "sender") == Side::Responder.name());
                    &mut directions[session][sender]
                }
            };
            check_packet(packet, direction, &mut checked);
        }
        checked.files += 1;
    }
    println!("{checked:?}");
    // Each packet is sealed again: none of the recorded sequence numbers came out of order.
    expected.sealed_again = expected.packets;
    assert_eq!(checked, expected);
    assert_eq!((checked.files, checked.sessions, checked.packets), (8, 18, 452), "the recordings are all there");
}
