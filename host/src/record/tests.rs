use std::fs::Permissions;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rtmfp::crypto::component::Settled;
use rtmfp::crypto::{Certificate, Sealer, SessionKeys};
use rtmfp::wire::chunk::{FragmentControl, NextUserData, UserData};
use rtmfp::wire::{Mode, PacketHeader};
use serde_json::Value;
use tempfile::TempDir;

use super::*;

/// A path for a file, in a folder that goes away with it.
struct Scratch {
    path: PathBuf,
    _folder: TempDir,
}

impl Scratch {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { path: folder.path().join("introd.recording.json"), _folder: folder }
    }

    fn read(&self) -> Value {
        serde_json::from_slice(&std::fs::read(&self.path).unwrap()).unwrap()
    }

    fn mode(&self) -> u32 {
        std::fs::metadata(&self.path).unwrap().permissions().mode() & 0o7777
    }
}

fn initiator() -> SocketAddr {
    "127.0.0.1:40000".parse().unwrap()
}

fn responder() -> SocketAddr {
    "127.0.0.1:1935".parse().unwrap()
}

fn end(address: SocketAddr, session_id: u32, seed: u8, hmac_length: u8) -> EndRecord {
    EndRecord {
        place: EndPlace { address, session_id: Some(session_id) },
        certificate: Certificate::parse(&[2, 0x0e, seed]).unwrap(),
        component: vec![2, 0x0e, seed],
        dh_private: None,
        encrypt_key: [seed; 32],
        hmac_key: [seed + 1; 32],
        hmac_length,
        sequence_numbers: true,
        nonce: [seed + 2; 32],
    }
}

/// Session `number`: the initiator's id is 100 more than that, the responder's 200 more.
fn record(number: u8, reported_by: Role) -> SessionRecord {
    SessionRecord {
        dh_group: 2,
        dh_secret: vec![0, 0, number, 7],
        initiator: end(initiator(), 100 + u32::from(number), number, 16),
        responder: end(responder(), 200 + u32::from(number), number + 50, 0),
        reported_by,
    }
}

/// What the initiator of a session sends.
struct Sender {
    sealer: Sealer,
    to: u32,
}

impl Sender {
    fn of(record: &SessionRecord) -> Self {
        let SessionKeys { decrypt_key, hmac_receive_key, .. } = record.keys_from(Role::Initiator).clone();
        let keys = SessionKeys {
            encrypt_key: decrypt_key,
            hmac_send_key: hmac_receive_key,
            verification: Settled { hmac_send_length: 16, sequence_send: true, ..Settled::default() },
            ..record.keys_from(Role::Responder)
        };
        Self { sealer: Sealer::new(&keys), to: record.responder.place.session_id.unwrap() }
    }

    fn fragment(&mut self, sequence_number: u64, fragment_control: FragmentControl, data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        self.sealer.begin(&mut out);
        PacketHeader::new(Mode::Initiator).put(&mut out);
        let fragment = NextUserData { fragment_control, abandon: false, is_final: false, options: None, data };
        UserData { flow_id: 2, sequence_number, fsn_offset: 1, fragment }.put(&mut out);
        self.sealer.finish(self.to, 0, &mut out);
        out
    }

    fn whole(&mut self, sequence_number: u64) -> Vec<u8> {
        self.fragment(sequence_number, FragmentControl::Whole, b"message")
    }
}

/// Records datagrams of the initiator.
fn send(recorder: &Recorder, datagram: &[u8]) {
    recorder.datagram(Instant::now(), initiator(), responder(), datagram);
}

#[test]
fn the_file_is_its_owners_alone() {
    let scratch = Scratch::new();
    let recorder = Recorder::create(&scratch.path, "").unwrap();
    assert_eq!(scratch.mode(), 0o600);
    recorder.finish().unwrap();
    assert_eq!(scratch.mode(), 0o600);

    std::fs::set_permissions(&scratch.path, Permissions::from_mode(0o644)).unwrap();
    let recorder = Recorder::create(&scratch.path, "").unwrap();
    assert_eq!(scratch.mode(), 0o600, "a file that was there");
    drop(recorder);
    assert_eq!(std::fs::read(&scratch.path).unwrap(), b"", "nothing is written unless finished");
}

#[test]
fn only_files_are_recorded_to() {
    assert_eq!(Recorder::create("/dev/null", "").unwrap_err().kind(), io::ErrorKind::InvalidInput);
    // Nor is the reader of a FIFO waited for.
    let fifo = Scratch::new();
    assert!(std::process::Command::new("mkfifo").arg(&fifo.path).status().unwrap().success());
    assert_eq!(Recorder::create(&fifo.path, "").unwrap_err().kind(), io::ErrorKind::InvalidInput);
    assert!(Recorder::create(std::env::temp_dir(), "").is_err());
}

#[test]
fn an_empty_recording_is_a_file_of_the_format() {
    let scratch = Scratch::new();
    let recorder = Recorder::create(&scratch.path, "quotes \" and \n lines").unwrap();
    recorder.peer("[::ffff:127.0.0.1]:1935".parse().unwrap(), "the server");
    let other = recorder.clone();
    assert_eq!(recorder.finish().unwrap(), Summary::default());
    assert!(other.finish().is_err(), "once only");
    other.datagram(Instant::now(), initiator(), responder(), &[0; 32]);
    let file = scratch.read();
    assert_eq!(file["description"], "quotes \" and \n lines");
    assert_eq!(file["peers"]["127.0.0.1:1935"], "the server");
    for list in ["sessions", "packets", "messages"] {
        assert_eq!(file[list].as_array().unwrap().len(), 0);
    }
}

#[test]
fn a_session_reported_by_both_ends_is_one() {
    let scratch = Scratch::new();
    let recorder = Recorder::create(&scratch.path, "").unwrap();
    let mut one = record(1, Role::Initiator);
    one.initiator.dh_private = Some(vec![1]);
    let mut other = record(1, Role::Responder);
    other.responder.dh_private = Some(vec![2]);
    other.initiator.place.session_id = None;
    // What is beyond a NAT sees another address.
    other.initiator.place.address = "192.0.2.1:5".parse().unwrap();
    for record in [one.clone(), other, one, record(2, Role::Initiator)] {
        recorder.session(record);
    }
    assert_eq!(recorder.finish().unwrap().sessions, 2);
    let file = scratch.read();
    let session = &file["sessions"][0];
    assert_eq!(session["ends_logged"], 2);
    assert_eq!(session["initiator_dh_private_hex"], "01");
    assert_eq!(session["responder_dh_private_hex"], "02");
    assert_eq!(session["initiator_session_id"], "00000065");
    assert_eq!(session["initiator_addr"], "127.0.0.1:40000");
    assert_eq!(session["dh_secret_hex"], "0107", "without leading zeros");
    assert_eq!(file["sessions"][1]["ends_logged"], 1);
    assert_eq!(file["sessions"][1]["responder_dh_private_hex"], Value::Null);
    assert!(file.get("notes").is_none());
}

#[test]
fn ends_that_disagree_are_told_of() {
    for change in [
        (|record| record.dh_secret.push(1)) as fn(&mut SessionRecord),
        |record| record.initiator.encrypt_key[31] ^= 1,
        |record| record.responder.hmac_length = 10,
    ] {
        let scratch = Scratch::new();
        let recorder = Recorder::create(&scratch.path, "").unwrap();
        let mut other = record(1, Role::Responder);
        change(&mut other);
        recorder.session(record(1, Role::Initiator));
        recorder.session(other);
        assert_eq!(recorder.finish().unwrap().sessions, 1);
        assert_eq!(scratch.read()["notes"], "The two ends reported different secrets of sessions 0.");
    }
}

#[test]
fn sessions_with_the_same_ids_are_told_apart_by_their_keys() {
    let scratch = Scratch::new();
    let recorder = Recorder::create(&scratch.path, "").unwrap();
    let (first, mut second) = (record(1, Role::Initiator), record(2, Role::Initiator));
    second.initiator.place = first.initiator.place;
    second.responder.place = first.responder.place;
    for record in [&first, &second] {
        recorder.session(record.clone());
    }
    send(&recorder, &Sender::of(&second).whole(1));
    send(&recorder, &Sender::of(&first).whole(1));
    // An end that has moved.
    let moved = "192.0.2.9:9".parse().unwrap();
    let datagram = {
        let mut sender = Sender::of(&second);
        sender.whole(1);
        sender.whole(2)
    };
    recorder.datagram(Instant::now(), moved, responder(), &datagram);
    recorder.finish().unwrap();
    let file = scratch.read();
    let keys: Vec<&str> = (0..3).map(|number| file["packets"][number]["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["session 1", "session 0", "session 1"]);
    assert_eq!(file["packets"][0]["session_id"], "000000c9");
    assert_eq!(file["packets"][2]["from"], "192.0.2.9:9");
    assert_eq!(file["packets"][2]["sseq"], 1);
    assert_eq!(file["messages"][0]["session"], 1);
}

#[test]
fn what_no_key_opens_and_what_comes_twice_is_left_out() {
    let scratch = Scratch::new();
    let recorder = Recorder::create(&scratch.path, "").unwrap();
    let record = record(1, Role::Initiator);
    recorder.session(record.clone());
    let mut sender = Sender::of(&record);
    let (first, second) = (sender.whole(1), sender.whole(2));
    let mut changed = second.clone();
    changed[20] ^= 1;
    for datagram in [&first, &changed, &first, &second, &vec![], &vec![1, 2, 3]] {
        send(&recorder, datagram);
    }
    let summary = recorder.finish().unwrap();
    let expected = Summary { packets: 2, unopened: 3, repeated: 1, over_limit: 0, sessions: 1, messages: 2 };
    assert_eq!(summary, expected);
    let file = scratch.read();
    assert_eq!((file["packets"][0]["n"].as_u64(), file["packets"][1]["n"].as_u64()), (Some(0), Some(3)));
    assert_eq!((&file["captured_packets"], &file["captured_verified"]), (&Value::from(6), &Value::from(3)));
    assert_eq!(
        file["notes"],
        "3 datagrams that no recorded key opens are left out. 1 datagrams that the network delivered again are left out."
    );
}

#[test]
fn a_packet_sent_again_is_another_packet() {
    let scratch = Scratch::new();
    let recorder = Recorder::create(&scratch.path, "").unwrap();
    let record = record(1, Role::Initiator);
    recorder.session(record.clone());
    let mut sender = Sender::of(&record);
    // The same fragment in two packets is one message.
    for _ in 0..2 {
        send(&recorder, &sender.whole(1));
    }
    let summary = recorder.finish().unwrap();
    assert_eq!((summary.packets, summary.messages), (2, 1));
}

#[test]
fn a_full_recording_ends_without_a_gap() {
    for limits in [
        RecordingLimits { packets: 2, ..RecordingLimits::default() },
        RecordingLimits { bytes: 80, ..RecordingLimits::default() },
    ] {
        let scratch = Scratch::new();
        let recorder = Recorder::with_limits(&scratch.path, "", limits).unwrap();
        let record = record(1, Role::Initiator);
        recorder.session(record.clone());
        let mut sender = Sender::of(&record);
        let datagrams: Vec<_> = (1..=4).map(|number| sender.whole(number)).collect();
        assert_eq!(datagrams[0].len(), 36);
        datagrams.iter().for_each(|datagram| send(&recorder, datagram));
        // It would fit, but what came before it is missing.
        send(&recorder, &[]);
        let summary = recorder.finish().unwrap();
        assert_eq!((summary.packets, summary.over_limit), (2, 3), "{limits:?}");
        assert_eq!(scratch.read()["notes"], "The recording was full: 3 later datagrams or sessions are left out.");
    }
}

#[test]
fn sessions_are_bounded() {
    let scratch = Scratch::new();
    let recorder =
        Recorder::with_limits(&scratch.path, "", RecordingLimits { sessions: 1, ..RecordingLimits::default() })
            .unwrap();
    for (number, role) in [(1, Role::Initiator), (2, Role::Initiator), (1, Role::Responder)] {
        recorder.session(record(number, role));
    }
    let summary = recorder.finish().unwrap();
    assert_eq!((summary.sessions, summary.over_limit), (1, 1));
    assert_eq!(scratch.read()["sessions"][0]["ends_logged"], 2);
}

#[test]
fn a_session_without_its_ids_is_left_out_with_its_packets() {
    let scratch = Scratch::new();
    let recorder = Recorder::create(&scratch.path, "").unwrap();
    let mut record = record(1, Role::Initiator);
    send(&recorder, &Sender::of(&record).whole(1));
    record.responder.place.session_id = None;
    recorder.session(record);
    let summary = recorder.finish().unwrap();
    assert_eq!((summary.sessions, summary.unopened), (0, 1));
    assert!(scratch.read()["notes"].as_str().unwrap().contains("1 sessions whose handshake was not recorded"));
}

#[test]
fn messages_are_put_together_in_whatever_order_their_fragments_come() {
    use FragmentControl::{Begin, End, Middle, Whole};
    // Sequence numbers 1 to 4 are a message, 5 is one, of 7 and 8 the beginning is missing, 9 and 10 are one.
    let fragments =
        [(1, Begin), (2, Middle), (3, Middle), (4, End), (5, Whole), (7, Middle), (8, End), (9, Begin), (10, End)];
    for turn in 0..fragments.len() {
        let scratch = Scratch::new();
        let recorder = Recorder::create(&scratch.path, "").unwrap();
        let record = record(1, Role::Initiator);
        recorder.session(record.clone());
        let mut sender = Sender::of(&record);
        let mut order = fragments;
        order.rotate_left(turn);
        if turn % 2 == 1 {
            order.reverse();
        }
        for (number, control) in order {
            send(&recorder, &sender.fragment(number, control, &[number as u8]));
        }
        recorder.finish().unwrap();
        let file = scratch.read();
        let mut messages: Vec<_> = file["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|message| (message["seq"].as_u64().unwrap(), message["message_hex"].as_str().unwrap()))
            .collect();
        messages.sort_unstable();
        assert_eq!(messages, [(1, "01020304"), (5, "05"), (9, "090a")], "{turn}");
    }
}

#[test]
fn times_are_counted_from_the_first_datagram() {
    let scratch = Scratch::new();
    let recorder = Recorder::create(&scratch.path, "").unwrap();
    let record = record(1, Role::Initiator);
    recorder.session(record.clone());
    let (mut sender, start) = (Sender::of(&record), Instant::now());
    // Workers may record out of order by a little: not before the first.
    for (number, after) in [(1, 5_000), (2, 6_250), (3, 4_000)] {
        let time = start + Duration::from_micros(after);
        recorder.datagram(time, initiator(), responder(), &sender.whole(number));
    }
    recorder.finish().unwrap();
    let file = scratch.read();
    let times: Vec<f64> = (0..3).map(|number| file["packets"][number]["time_ms"].as_f64().unwrap()).collect();
    assert_eq!(times, [0.0, 1.25, 0.0]);
}

#[test]
fn handles_on_several_threads_lose_nothing() {
    let scratch = Scratch::new();
    let recorder = Recorder::create(&scratch.path, "").unwrap();
    std::thread::scope(|scope| {
        for number in 1..=4u8 {
            let recorder = recorder.clone();
            scope.spawn(move || {
                let record = record(number, Role::Initiator);
                let mut sender = Sender::of(&record);
                for sequence in 1..=50 {
                    send(&recorder, &sender.whole(sequence));
                }
                recorder.session(record);
            });
        }
    });
    let summary = recorder.finish().unwrap();
    assert_eq!((summary.packets, summary.messages, summary.sessions, summary.unopened), (200, 200, 4, 0));
}

#[test]
fn secrets_do_not_show_in_logs() {
    let shown = format!("{:?}", record(0x41, Role::Initiator));
    assert!(shown.contains("session_id") && !shown.contains("65, 65"), "{shown}");
}
