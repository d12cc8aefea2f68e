//! Scripts, plugins and settings of both applications decide which introductions have a relay, and the administration shows it.

use std::net::UdpSocket;

use introd_tests::program::{Files, Peer, Process, Server, introd, probe};
use introd_tests::waiting::eventually;
use serde_json::Value;

use crate::harness::http::get;
use crate::plugins::puppet;

const ALL: &str = "<RTMFP><PeerLookupEvents mode=\"All\"/></RTMFP>";
/// More than one client needs.
const PORTS: usize = 8;

/// An element with free UDP ports of the loopback address.
pub(crate) fn relay_ports() -> String {
    let sockets: Vec<UdpSocket> = (0..PORTS).map(|_| UdpSocket::bind("127.0.0.1:0").expect("a free port")).collect();
    let ports: Vec<String> = sockets.iter().map(|socket| socket.local_addr().unwrap().port().to_string()).collect();
    format!("<RTMFP><Relay><Ports>127.0.0.1:{}</Ports></Relay></RTMFP>", ports.join(","))
}

fn api(server: &Server, path: &str) -> Value {
    let reply = get(server.admin[0], &format!("/api/v1/{path}"));
    assert_eq!(reply.status, 200, "{path}: {}", reply.body);
    serde_json::from_str(&reply.body).expect("JSON")
}

/// What was done about each lookup of that peer.
fn verdicts(server: &Server, target: &str) -> Vec<String> {
    let story = api(server, &format!("peers/{target}?limit=1000"));
    let events = story["events"].as_array().expect("events").iter();
    let asked = events.filter(|event| event["kind"] == "looked_up");
    asked.map(|event| event["verdict"].as_str().expect("a verdict").to_owned()).collect()
}

#[test]
fn the_policies_and_settings_of_both_applications_decide_about_a_relay() {
    let files = Files::new();
    let relays = "function application.onPeerLookup(event) application.relayPeer(event, { bytesPerSecond = 50000, lifetime = 60000 }) end";
    files.script("by-script", relays, ALL).adaptor(&relay_ports());
    files.script("plain", "", "").script("always", "", "<RTMFP><Relay mode=\"All\"/></RTMFP>");
    let plugins = format!("<Plugins>{}</Plugins>", puppet("<lookup>relay 50000</lookup>"));
    files.script("by-plugin", "", &plugins);
    let later = format!("<Plugins>{}</Plugins>", puppet("<lookup>relay</lookup><after>10</after>"));
    files.script("by-plugin-later", "", &later);
    let server = Server::administered(files.path(), 2);
    assert_eq!(api(&server, "relay")["is_on"], true);
    let mut relayed = 0;
    for (asker, target, expected) in [
        ("plain", "plain", "introduced"),
        ("always", "always", "relayed"),
        // A policy overrides the setting of its own application, which is None.
        ("by-script", "by-script", "relayed"),
        ("by-plugin", "by-plugin", "relayed"),
        ("by-plugin-later", "by-plugin-later", "relayed"),
        // And not that of the other.
        ("by-script", "plain", "introduced"),
        ("plain", "by-script", "introduced"),
        ("plain", "by-plugin", "introduced"),
        ("by-script", "always", "relayed"),
        ("always", "by-plugin", "relayed"),
        ("by-script", "by-plugin", "relayed"),
    ] {
        let peer = Peer::stay(&server.uri_of(target));
        let met = probe(&["--json", "--peer", &peer.id, &server.uri_of(asker)]);
        assert_eq!(met.code, Some(0), "{asker} to {target}: {met:?}\n{}", server.log());
        // The probe asks more than once where an answer takes long.
        let verdicts = verdicts(&server, &peer.id);
        assert!(
            !verdicts.is_empty() && verdicts.iter().all(|verdict| verdict == expected),
            "{asker} to {target}: {verdicts:?}"
        );
        relayed += u64::from(expected == "relayed");
        assert_eq!(api(&server, "relay")["made"], relayed, "{asker} to {target}");
        peer.leave();
    }
    let relay = api(&server, "relay");
    let pairs = relay["list"].as_array().expect("pairs");
    // A pair that nobody uses ends after half a minute.
    assert!(pairs.len() as u64 <= relayed, "{relay}");
    assert!(pairs.iter().all(|pair| pair["target"].is_string() && pair["asker"].is_string()), "{relay}");
    let summary = api(&server, "server")["relay"].clone();
    assert!(summary["pairs"].is_u64() && summary["refused"] == 0, "{summary}");
    let policies = api(&server, "lookups")["policies"].clone();
    let of = |name: &str| {
        let policies = policies.as_array().expect("policies");
        let policy = policies.iter().find(|policy| policy["policy"] == name);
        policy.unwrap_or_else(|| panic!("no {name} in {policies:?}"))["verdicts"]["relayed"].as_u64()
    };
    assert!(["the server", "script", "puppet"].into_iter().all(|name| of(name) >= Some(1)), "{policies}");
    let admin = format!("http://{}", server.admin[0]);
    let status = Process::start(&mut introd(&["status", "--admin", &admin])).ended();
    assert!(status.stdout.contains("relay:      ") && status.stdout.contains("; 0 pairs refused"), "{status:?}");
    assert!(!server.stop().stderr.contains("ERROR"));
}

#[test]
fn a_policy_that_wants_a_relay_of_a_server_without_one_introduces_all_the_same() {
    let files = Files::new();
    files.script("app", "function application.onPeerLookup(event) application.relayPeer(event) end", ALL);
    let server = Server::administered(files.path(), 2);
    let peer = Peer::stay(&server.uri_of("app"));
    let met = probe(&["--json", "--peer", &peer.id, &server.uri_of("app")]);
    assert_eq!(met.code, Some(0), "{met:?}\n{}", server.log());
    eventually("the story of the target", || !verdicts(&server, &peer.id).is_empty());
    assert!(verdicts(&server, &peer.id).iter().all(|verdict| verdict == "introduced"));
    server.logged().wait_for("name some in RTMFP/Relay/Ports of Adaptor.xml", 1);
    assert_eq!((&api(&server, "relay")["is_on"], &api(&server, "server")["relay"]), (&false.into(), &Value::Null));
    peer.leave();
}
