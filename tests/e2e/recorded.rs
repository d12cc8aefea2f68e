//! `--record`: what introd says of its own traffic holds before a decoder that shares nothing with it.

use std::path::PathBuf;

use introd_tests::decoder::decode_independently;
use serde_json::Value;

use crate::harness::program::{Server, probe};

/// A file that is gone when dropped.
struct File(PathBuf);

impl File {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("introd-e2e-{}-{name}.json", std::process::id())))
    }

    fn name(&self) -> String {
        self.0.to_string_lossy().into_owned()
    }

    fn read(&self) -> Value {
        serde_json::from_slice(&std::fs::read(&self.0).expect("a recording")).expect("JSON")
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The names of all chunks in a recording.
fn chunks(recording: &Value) -> Vec<&str> {
    let packets = recording["packets"].as_array().expect("packets");
    let chunks = packets.iter().flat_map(|packet| packet["chunks"].as_array().expect("chunks"));
    chunks.filter_map(|chunk| chunk["name"].as_str()).collect()
}

#[test]
fn a_meeting_recorded_by_the_peers_and_by_the_server() {
    for (index, ways) in [&[][..], &["--plain"], &["--ephemeral", "--no-hmac"]].into_iter().enumerate() {
        let (near, far) = (File::new(&format!("peers-{index}")), File::new(&format!("server-{index}")));
        let server = Server::recording(&far.name());
        let uri = server.uri(0);
        let met = probe(&[&["--meet", "--json", "--record", &near.name(), &uri], ways].concat());
        assert_eq!(met.code, Some(0), "{met:?}");
        assert_eq!(server.stop().code, Some(0));

        let (near_side, far_side) = (near.read(), far.read());
        // Two sessions with the server, and one between the peers, which the server does not see.
        assert_eq!(near_side["sessions"].as_array().map(Vec::len), Some(3), "{}", near_side["notes"]);
        assert_eq!(far_side["sessions"].as_array().map(Vec::len), Some(2), "{}", far_side["notes"]);
        for recording in [&near_side, &far_side] {
            let chunks = chunks(recording);
            for name in ["IHello", "RHello", "IIKeying", "RIKeying", "FIHello", "Redirect", "UserData", "Close"] {
                assert!(chunks.contains(&name), "no {name} in {chunks:?}");
            }
        }
        decode_independently(&near.0);
        decode_independently(&far.0);
    }
}
