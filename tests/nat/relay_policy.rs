//! A script or a plugin decides that two peers get a relay, in an application whose setting is none.

use introd_tests::libraries::library;
use introd_tests::program::{Ended, Files};

use crate::hosts::Internet;
use crate::nats::Nat;
use crate::programs::{peer, probe, server};

/// Two peers behind NATs that let nothing through. Returns what came of it for the asker, and of the server when it has ended.
fn meet(files: &Files, timeout: &str) -> (Ended, Ended) {
    let net = Internet::new();
    let host = net.host("a");
    let [first, second] = ["1", "2"].map(|name| net.nat(&format!("n{name}"), Nat::Symmetric));
    let [asker, target] = [first.host("c1"), second.host("c2")];
    let running = server(&host, &["--conf", &files.path().to_string_lossy()]);
    let uri = format!("rtmfp://{}/app", host.v4.unwrap());
    let staying = peer(&target, &uri);
    let asked = probe(&asker, &["--json", "--timeout", timeout, "--peer", &staying.id, &uri]);
    staying.leave();
    (asked, running.stop())
}

fn with_relay_ports() -> Files {
    let files = Files::new();
    files.adaptor("<RTMFP><Relay><Ports>:19400-19403</Ports></Relay></RTMFP>");
    files
}

#[test]
fn peers_that_no_way_leads_to_meet_by_the_relay_that_a_script_or_a_plugin_wants() {
    let script = with_relay_ports();
    let relays = "function application.onPeerLookup(event) application.relayPeer(event) end";
    script.script("app", relays, "<RTMFP><PeerLookupEvents mode=\"All\"/></RTMFP>");
    let plugin = with_relay_ports();
    let element =
        format!("<Plugin path=\"{}\"><Config><lookup>relay</lookup></Config></Plugin>", library("puppet").display());
    plugin.script("app", "", &format!("<Plugins>{element}</Plugins>"));
    for files in [script, plugin] {
        let (asked, ended) = meet(&files, "60");
        assert_eq!(asked.code, Some(0), "{asked:?}\n{ended:?}");
        assert_eq!(asked.json()["message_exchanged"], true, "{asked:?}");
        assert_eq!(ended.counter("relay_pairs_opened"), 1, "{ended:?}");
    }
}

#[test]
fn the_same_peers_do_not_meet_where_no_policy_wants_a_relay() {
    let files = with_relay_ports();
    files.script("app", "", "");
    let (asked, ended) = meet(&files, "8");
    assert_eq!(asked.code, Some(1), "{asked:?}");
    assert_eq!(ended.counter("relay_pairs_made"), 0, "{ended:?}");
}
