//! `--record`: an independent decoder verifies what introd records of its own traffic.

use std::path::Path;

use introd_tests::decoder::decode_independently;
use introd_tests::folder::Folder;
use introd_tests::program::{Server, probe};
use serde_json::Value;

fn read(recording: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(recording).expect("a recording")).expect("JSON")
}

/// The names of all chunks in a recording.
fn chunks(recording: &Value) -> Vec<&str> {
    let packets = recording["packets"].as_array().expect("packets");
    let chunks = packets.iter().flat_map(|packet| packet["chunks"].as_array().expect("chunks"));
    chunks.filter_map(|chunk| chunk["name"].as_str()).collect()
}

#[test]
fn a_meeting_is_recorded_by_the_peers_and_by_the_server() {
    for ways in [&[][..], &["--plain"], &["--ephemeral", "--no-hmac"]] {
        let folder = Folder::new();
        let (near, far) = (folder.join("peers.json"), folder.join("server.json"));
        let server = Server::recording(&far);
        let uri = server.uri(0);
        let met = probe(&[&["--meet", "--json", "--record", &near.to_string_lossy(), &uri], ways].concat());
        assert_eq!(met.code, Some(0), "{met:?}");
        assert_eq!(server.stop().code, Some(0));

        let (near_side, far_side) = (read(&near), read(&far));
        // Two sessions with the server, and one between the peers, which the server does not see.
        assert_eq!(near_side["sessions"].as_array().map(Vec::len), Some(3), "{}", near_side["notes"]);
        assert_eq!(far_side["sessions"].as_array().map(Vec::len), Some(2), "{}", far_side["notes"]);
        let seen_by_all = ["IHello", "RHello", "IIKeying", "RIKeying", "Redirect", "UserData", "Close"];
        // Peers that meet by the redirect alone are sometimes done before the forwarded hello comes.
        for (recording, more) in [(&near_side, None), (&far_side, Some("FIHello"))] {
            let chunks = chunks(recording);
            for name in seen_by_all.into_iter().chain(more) {
                assert!(chunks.contains(&name), "no {name} in {chunks:?}");
            }
        }
        decode_independently(&near);
        decode_independently(&far);
    }
}
