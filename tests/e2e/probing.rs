//! `introd probe` against the server, and what it says when a step fails.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use introd_tests::program::{Ended, Files, Peer, Server, probe};
use serde_json::Value;

fn address(value: &Value) -> SocketAddr {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("not an address: {value}"))
}

/// The step that failed, as told in both ways.
fn failed_step(ended: &Ended) -> String {
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let json = ended.json();
    let step = json["failed_step"].as_str().unwrap_or_else(|| panic!("{ended:?}")).to_owned();
    assert!(ended.stderr.contains(&format!("{step} failed: ")), "{ended:?}");
    let check = json["check"].as_str().unwrap_or_else(|| panic!("{ended:?}"));
    assert!(ended.stderr.contains(&format!("\ncheck {check}")), "{ended:?}");
    step
}

#[test]
fn the_probe_connects_over_ipv4_and_ipv6() {
    let server = Server::on_loopback(2);
    for index in [0, 1] {
        let ended = probe(&["--json", &server.uri(index)]);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
        let json = ended.json();
        assert_eq!(json["connected"], true);
        assert_eq!(address(&json["server_address"]), server.addresses[index]);
        assert_eq!(json["peer_id"].as_str().unwrap().len(), 64);
        assert_ne!(json["peer_id"], json["server_id"]);
        assert!(json["handshake_ms"].as_f64().unwrap() > 0.0);
        assert_eq!(address(&json["seen_address"]).ip(), server.addresses[index].ip());
        assert!(json["reported_addresses"].as_array().unwrap().contains(&json["seen_address"]), "{json}");
        assert_eq!(json["nat"], false);
        assert_eq!((json.get("introduced"), json.get("message_exchanged")), (None, None));
    }
    let ended = server.stop();
    assert_eq!(ended.stderr.matches("closed by the far end").count(), 2, "{ended:?}");
}

#[test]
fn the_probe_connects_with_every_way_of_keying() {
    let server = Server::on_loopback(1);
    let mut ids = std::collections::BTreeSet::new();
    for options in [
        &["--plain"][..],
        &["--no-hmac"],
        &["--no-sequence"],
        &["--ephemeral"],
        &["--ephemeral", "--plain"],
        &["--static-keys", "--plain"],
        &["--flash"],
    ] {
        let uri = server.uri(0);
        let ended = probe(&[options, &["--meet", "--json", &uri]].concat());
        assert_eq!(ended.code, Some(0), "{options:?} {ended:?}");
        assert_eq!(ended.json()["message_exchanged"], true);
        assert!(ids.insert(ended.json()["peer_id"].to_string()), "each connect has an identity of its own: {ended:?}");
    }
}

#[test]
fn the_probe_resolves_host_names() {
    let server = Server::start(1, &["127.0.0.1:0"]);
    // Where the name has an IPv6 address too, nobody answers there.
    let uri = format!("rtmfp://localhost:{}/app", server.addresses[0].port());
    let ended = probe(&["--json", &uri]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(address(&ended.json()["server_address"]), server.addresses[0]);
}

#[test]
fn the_probe_prints_text_for_people() {
    let server = Server::on_loopback(1);
    let ended = probe(&["--meet", &server.uri(0)]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    for part in
        [&format!("connected to {}", server.addresses[0]), "not behind a NAT", "introduced to", "answer received"]
    {
        assert!(ended.stdout.contains(part), "{part}: {ended:?}");
    }
}

#[test]
fn the_probe_reports_a_failed_handshake_where_nothing_listens() {
    // Bound, so that nobody else takes the port, and silent.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let uri = format!("rtmfp://{}/app", silent.local_addr().unwrap());
    for options in [&[][..], &["--meet"]] {
        let ended = probe(&[options, &["--json", "--timeout", "0.3", &uri]].concat());
        assert_eq!(failed_step(&ended), "handshake");
        assert_eq!(ended.json()["connected"], false);
    }
}

#[test]
fn the_probe_reports_a_failed_introduction_to_an_unknown_peer() {
    let server = Server::on_loopback(2);
    let id = "17".repeat(32);
    let ended = probe(&["--peer", &id, "--json", "--timeout", "5", &server.uri(0)]);
    assert_eq!(failed_step(&ended), "introduction");
    let json = ended.json();
    assert_eq!((&json["connected"], &json["introduced"]), (&true.into(), &false.into()));
    let ended = server.stop();
    assert!(ended.counter("rtmfp_lookups") > 0);
    assert_eq!(ended.counter("rtmfp_lookups_unknown"), ended.counter("rtmfp_lookups"));
    assert_eq!((ended.counter("rtmfp_redirects"), ended.counter("rtmfp_forwards")), (0, 0));
}

#[test]
fn a_probe_that_fails_leaves_no_client_behind() {
    let files = Files::new();
    let deny = "function application.onPeerLookup(event) application.denyPeerLookup(event) end";
    files.script("club", deny, r#"<RTMFP><PeerLookupEvents mode="All"/></RTMFP>"#);
    let server = Server::configured(files.path(), 1);
    let ended = probe(&["--meet", "--json", "--timeout", "5", &server.uri_of("club")]);
    assert_eq!(failed_step(&ended), "introduction");
    let ended = server.stop();
    assert!(ended.stdout.contains("closing 0 clients"), "{ended:?}");
    assert!(ended.counter("rtmfp_lookups") > 0);
}

#[test]
fn the_probe_reports_uris_that_do_not_resolve() {
    for arguments in [
        &["http://127.0.0.1/app"][..],
        &["127.0.0.1"],
        &["rtmfp://127.0.0.1:123456/app"],
        &["rtmfp://name.invalid/app"],
        &["-6", "rtmfp://127.0.0.1/app"],
        &["-4", "rtmfp://[::1]/app"],
    ] {
        let ended = probe(&[&["--json", "--timeout", "1"], arguments].concat());
        assert_eq!(failed_step(&ended), "resolve", "{arguments:?}");
    }
}

#[test]
fn the_probe_tries_policies_on_arguments_on_the_agent_and_on_addresses() {
    let files = Files::new();
    files.script(
        "login",
        "function application.onConnect(client, token, options)
            trace('agent', client.agent)
            return token == 'open sesame' and options.level == 5
        end",
        "",
    );
    files.adaptor("<Allow>all</Allow><Deny>127.0.0.9</Deny><Order>Allow,Deny</Order>");
    let server = Server::configured(files.path(), 1);
    let uri = server.uri_of("login");
    let right = r#"["open sesame", {"level": 5}]"#;
    let ended = probe(&["--json", "--connect-args", right, "--agent", "WIN 51,0", "--bind", "127.0.0.8", &uri]);
    assert_eq!((ended.code, &ended.json()["connected"]), (Some(0), &true.into()), "{ended:?}");
    assert_eq!(address(&ended.json()["seen_address"]).ip(), "127.0.0.8".parse::<IpAddr>().unwrap());
    let ended = probe(&["--json", "--connect-args", r#"["guess", {}]"#, &uri]);
    assert_eq!(failed_step(&ended), "connect");
    assert!(ended.stderr.contains("NetConnection.Connect.Rejected"), "{ended:?}");
    let ended = probe(&["--json", "--timeout", "0.5", "--connect-args", right, "--bind", "127.0.0.9", &uri]);
    assert_eq!(failed_step(&ended), "handshake");
    let ended = probe(&["--json", "--bind", "192.0.2.77", &uri]);
    assert_eq!(failed_step(&ended), "resolve");
    assert!(ended.stderr.contains("192.0.2.77:0 cannot be bound"), "{ended:?}");
    let ended = server.stop();
    assert!(ended.stderr.contains("agent WIN 51,0"), "{ended:?}");
}

#[test]
fn silence_to_a_lookup_may_be_a_policys_and_the_log_says_which() {
    let files = Files::new();
    files.script(
        "apart",
        "function application.onPeerLookup(event) application.denyPeerLookup(event, 'not in the same room') end",
        "<RTMFP><PeerLookupEvents mode='All'/></RTMFP>",
    );
    let server = Server::configured(files.path(), 1);
    let uri = server.uri_of("apart");
    let peer = Peer::stay(&uri);
    let ended = probe(&["--peer", &peer.id, "--json", "--timeout", "2", &uri]);
    assert_eq!(failed_step(&ended), "introduction");
    assert!(ended.json()["check"].as_str().unwrap().contains("no policy keeps the two apart"), "{ended:?}");
    let log = server.stop().stderr;
    let line = log.lines().find(|line| line.contains("lookup refused")).unwrap_or_else(|| panic!("{log}"));
    assert!(line.contains("script") && line.contains("not in the same room"), "{line}");
}

#[test]
fn usage_errors_have_another_exit_code_than_failures() {
    for arguments in [
        &[][..],
        &["--peer", "12", "rtmfp://127.0.0.1/"],
        &["--meet", "--stay", "rtmfp://127.0.0.1/"],
        &["--connect-args", "token", "rtmfp://127.0.0.1/"],
    ] {
        assert_eq!(probe(arguments).code, Some(2), "{arguments:?}");
    }
}
