//! `introd probe --nat` on loopback, and what the probe says of paths, addresses and connections that end at once.

use std::collections::BTreeSet;

use introd_tests::program::{Files, Peer, Server, groupspec, probe};
use serde_json::{Value, json};

use crate::harness::plain_server::{Manner, PlainServer};

/// The page that documents what `--json` prints.
const PAGE: &str = include_str!("../../docs/probe.md");

#[test]
fn without_a_nat_the_probe_says_so_by_every_address_of_the_server() {
    let server = Server::start(2, &["127.0.0.1:0", "127.0.0.1:0", "127.0.0.2:0", "[::1]:0"]);
    let ended = probe(&["--nat", "--json", "--lifetime=1", &server.uri(0)]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let json = ended.json();
    let answer = &json["nat_behavior"];
    let port = &answer["port"];
    let seen = format!("127.0.0.1:{port}");
    let mut observed: Vec<Value> = answer["observations"].as_array().unwrap().clone();
    observed.sort_by_key(|one| one["server"].to_string());
    let mut expected: Vec<Value> =
        server.addresses[..3].iter().map(|address| json!({"server": address.to_string(), "seen": seen})).collect();
    expected.sort_by_key(|one| one["server"].to_string());
    assert_eq!(observed, expected, "{answer}");
    for (name, expected) in [
        ("family", json!("ipv4")),
        ("behind_nat", json!(false)),
        ("kind", json!("open")),
        ("mapping", json!("endpoint-independent")),
        ("mapping_possible", json!(["endpoint-independent"])),
        ("filtering", json!("endpoint-independent")),
        ("filtering_possible", json!(["endpoint-independent"])),
        ("port_preserved", json!(true)),
        ("one_outside_address", json!(true)),
        ("hairpin", Value::Null),
        ("binding_lifetime", json!({"at_least_s": 1, "less_than_s": null})),
        ("notes", json!([])),
    ] {
        assert_eq!(answer[name], expected, "{name}: {answer}");
    }
    assert_eq!(json["nat"], false);
    assert!(ended.stderr.contains("silent ports: 1;"), "progress is on standard error: {ended:?}");
}

#[test]
fn the_probe_prints_a_diagnosis_for_people() {
    let server = Server::start(1, &["127.0.0.1:0", "127.0.0.2:0"]);
    let ended = probe(&["--nat", &server.uri(0)]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    for words in ["IPv4, without a NAT", "every peer can reach this one", "filtering    endpoint-independent", "IPv6"] {
        assert!(ended.stdout.contains(words), "{words}: {ended:?}");
    }
}

#[test]
fn over_ipv6_and_with_one_address_the_probe_says_what_is_not_known() {
    let server = Server::on_loopback(1);
    let ended = probe(&["--nat", "--json", &server.uri(1)]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let answer = &ended.json()["nat_behavior"];
    assert_eq!((&answer["family"], &answer["behind_nat"]), (&json!("ipv6"), &json!(false)), "{answer}");
    // The packet from another port came, and there is no other address.
    assert_eq!(answer["filtering"], Value::Null, "{answer}");
    assert_eq!(answer["filtering_possible"], json!(["endpoint-independent", "address-dependent"]), "{answer}");
    assert!(answer["notes"][0].as_str().unwrap().contains("one address only"), "{answer}");
}

#[test]
fn no_script_and_no_policy_keeps_the_probe_from_its_diagnosis() {
    let files = Files::new();
    files.script(
        "closed",
        "function application.onConnect(client) return true end
        function application.onPeerLookup(event) application.denyPeerLookup(event) end",
        "<RTMFP><Lookups from='clients'/><PeerLookupEvents mode='All'/></RTMFP>",
    );
    let server = Server::configured(files.path(), 1);
    let second = Server::start(1, &["127.0.0.2:0"]);
    let ended = probe(&["--nat", "--json", &server.uri_of("closed"), &second.uri(0)]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let answer = &ended.json()["nat_behavior"];
    assert_eq!(answer["mapping"], "endpoint-independent", "{answer}");
    assert_eq!(answer["observations"].as_array().unwrap().len(), 2, "{answer}");
    // Both servers are one address each.
    assert_eq!(answer["filtering_possible"], json!(["endpoint-independent", "address-dependent"]), "{answer}");
}

#[test]
fn the_probe_says_whether_the_path_to_a_peer_is_direct() {
    let server = Server::on_loopback(2);
    let ended = probe(&["--meet", "--json", &server.uri(0)]);
    assert_eq!((ended.code, &ended.json()["path"]), (Some(0), &json!("direct")), "{ended:?}");
    let peer = Peer::stay(&server.uri(0));
    assert_eq!(peer.report.get("path"), None, "nobody was met");
    let ended = probe(&["--peer", &peer.id, "--json", &server.uri(0)]);
    assert_eq!((ended.code, &ended.json()["path"]), (Some(0), &json!("direct")), "{ended:?}");
    let ended = probe(&["--peer", &peer.id, &server.uri(0)]);
    assert!(ended.stdout.contains("path         direct"), "{ended:?}");
    let ended = probe(&["--peer", &"17".repeat(32), "--json", "--timeout", "1", &server.uri(0)]);
    assert_eq!(ended.json()["path"], Value::Null, "{ended:?}");
}

#[test]
fn a_probe_that_is_bound_to_an_address_reports_that_one() {
    let server = Server::start(1, &["127.0.0.1:0"]);
    let ended = probe(&["--json", "--bind", "127.0.0.8", &server.uri(0)]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let json = ended.json();
    assert!(json["seen_address"].as_str().unwrap().starts_with("127.0.0.8:"), "{json}");
    assert_eq!((&json["reported_addresses"], &json["nat"]), (&json!([json["seen_address"]]), &json!(false)), "{json}");
}

#[test]
fn a_client_that_is_accepted_and_disconnected_at_once_is_told_so() {
    let files = Files::new();
    files.script(
        "door",
        "function application.onConnect(client)
            application.acceptConnection(client)
            application.disconnect(client)
        end",
        "",
    );
    let server = Server::configured(files.path(), 1);
    let ended = probe(&["--stay", &server.uri_of("door")]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    // The end may come just before the client has reported its addresses, or just after that.
    let words = [
        "the server accepted the connection and closed it at once",
        "the connection to the server ended: closed by the far end",
    ];
    assert!(words.iter().any(|words| ended.stderr.contains(words)), "{ended:?}");
    assert!(!ended.stderr.contains("exception"), "{ended:?}");
}

#[test]
fn a_server_that_accepts_a_client_and_ends_the_connection_is_named_as_the_one_that_did() {
    let server = PlainServer::start(&["127.0.0.1:0"], Manner::EndsAtOnce);
    let ended = probe(&["--json", &server.uri(0)]);
    assert_eq!((ended.code, &ended.json()["failed_step"]), (Some(1), &json!("connect")), "{ended:?}");
    assert_eq!(ended.json()["error"], "the server accepted the connection and closed it at once", "{ended:?}");
}

#[test]
fn a_server_that_says_nothing_of_addresses_shows_the_mapping_by_an_introduction() {
    let server = PlainServer::start(&["127.0.0.1:0", "127.0.0.2:0"], Manner::Serves);
    let ended = probe(&["--nat", "--json", "--lifetime=1", &server.uri(0), &server.uri(1)]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let json = ended.json();
    assert_eq!((&json["seen_address"], &json["nat"]), (&Value::Null, &Value::Null), "{json}");
    let answer = &json["nat_behavior"];
    let seen = format!("127.0.0.1:{}", answer["port"]);
    let observed = server.addresses.iter().map(|address| json!({"server": address.to_string(), "seen": seen}));
    assert_eq!(answer["observations"], observed.collect::<Value>(), "{answer}");
    for (name, expected) in [
        ("behind_nat", json!(false)),
        ("mapping", json!("endpoint-independent")),
        ("port_preserved", json!(true)),
        // Without the server's help it is not known what is let in, nor for how long.
        ("filtering", Value::Null),
        ("kind", Value::Null),
    ] {
        assert_eq!(answer[name], expected, "{name}: {answer}");
    }
    assert_eq!(answer.get("binding_lifetime"), None, "{answer}");
    let notes = answer["notes"].as_array().unwrap();
    for words in ["the filter is unknown, because the server does not help", "the lifetime is unknown"] {
        assert!(notes.iter().any(|note| note.as_str().unwrap().contains(words)), "{words}: {notes:?}");
    }
}

#[test]
fn options_of_a_diagnosis_make_sense_with_it_alone() {
    for arguments in [
        &["--lifetime=5", "rtmfp://127.0.0.1/"][..],
        &["rtmfp://127.0.0.1/", "rtmfp://127.0.0.2/"],
        &["--nat", "--meet", "rtmfp://127.0.0.1/"],
        &["--nat", "--stay", "rtmfp://127.0.0.1/"],
        &["--nat", "--lifetime=0", "rtmfp://127.0.0.1/"],
        &["--nat", "--lifetime=601", "rtmfp://127.0.0.1/"],
    ] {
        assert_eq!(probe(arguments).code, Some(2), "{arguments:?}");
    }
}

/// The names of all fields, those of objects within objects too.
fn names(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                into.insert(name.clone());
                names(value, into);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| names(item, into)),
        _ => (),
    }
}

#[test]
fn every_field_of_the_answer_is_documented() {
    let server = Server::on_loopback(1);
    let uri = server.uri(0);
    let peer = Peer::stay(&uri);
    let spec = groupspec("fields", true);
    let mut all = BTreeSet::new();
    for arguments in [
        &["--nat", "--lifetime=1"][..],
        &["--meet"],
        &["--peer", &peer.id],
        &["--peer", &peer.id, "--play", "x", "--timeout", "1"],
        &["--group", spec.as_str(), "--timeout", "1"],
    ] {
        names(&probe(&[arguments, &["--json", &uri]].concat()).json(), &mut all);
    }
    for name in ["nat_behavior", "path", "redirects", "playing", "hints"] {
        assert!(all.contains(name), "{name}: {all:?}");
    }
    let missing: Vec<&String> = all.iter().filter(|name| !PAGE.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "docs/probe.md does not name {missing:?}");
}
