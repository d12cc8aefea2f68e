//! `introd probe --nat` says what each kind of NAT does, and a failed introduction names its true reason.

use std::net::Ipv4Addr;

use introd_tests::program::{Ended, Server};
use serde_json::{Value, json};

use crate::hosts::{Host, Internet};
use crate::nats::Nat;
use crate::programs::{peer, probe, server};

/// A server with two ports at each of two addresses of each family. By them it finds out all about a NAT.
struct Observatory {
    host: Host,
    _running: Server,
}

impl Observatory {
    fn new(net: &Internet) -> Self {
        let host = net.host("a");
        for address in [&["203.0.113.250/24"][..], &["2001:db8::250/64", "nodad"]] {
            let more = host.command("ip").args(["addr", "add", "dev", "wan"]).args(address).status();
            assert!(more.unwrap().success());
        }
        let listen = ["0.0.0.0:1935", "0.0.0.0:1936", "[::]:1935", "[::]:1936"];
        let running = server(&host, &listen.map(|address| ["--listen", address]).concat());
        Self { host, _running: running }
    }

    fn uri(&self) -> String {
        format!("rtmfp://{}/app", self.host.v4.unwrap())
    }
}

/// What the probe says of the NAT in front of a host.
#[track_caller]
fn diagnosed(host: &Host, more: &[&str], uri: &str) -> Value {
    let ended = probe(host, &[&["--nat", "--json"], more, &[uri]].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let json = ended.json();
    assert_eq!(json["connected"], true, "{json}");
    json["nat_behavior"].clone()
}

/// The named fields of an answer.
fn fields<const N: usize>(answer: &Value, names: [&str; N]) -> [Value; N] {
    names.map(|name| answer[name].clone())
}

/// The probe says of a NAT of that kind: its name, the mapping, the filter, whether it hairpins, and whether it keeps ports.
#[track_caller]
fn says(nat: Nat, expected: [Value; 4], keeps_ports: bool) {
    let net = Internet::new();
    let observatory = Observatory::new(&net);
    let router = net.nat("n", nat);
    let host = router.host("c");
    let answer = diagnosed(&host, &[], &observatory.uri());
    assert_eq!(fields(&answer, ["kind", "mapping", "filtering", "hairpin"]), expected, "{answer}");
    assert_eq!((&answer["behind_nat"], &answer["family"]), (&json!(true), &json!("ipv4")), "{answer}");
    // By chance a NAT that replaces ports may give out the same one.
    let observed = answer["observations"].as_array().unwrap();
    assert!(answer["port_preserved"] == keeps_ports || (!keeps_ports && observed.len() == 1), "{answer}");
    assert_eq!(observed.len(), 4, "two ports at two addresses: {answer}");
    let outside = router.outside.to_string();
    assert!(observed.iter().all(|one| one["seen"].as_str().unwrap().starts_with(&outside)), "{answer}");
    assert_eq!(answer["notes"], json!([]), "{answer}");
}

const ANY: &str = "endpoint-independent";
const BY_ADDRESS: &str = "address-dependent";
const BY_PORT: &str = "address-and-port-dependent";

#[test]
fn the_probe_knows_a_full_cone_nat() {
    says(Nat::FullCone, [json!("full-cone"), json!(ANY), json!(ANY), json!(false)], false);
}

#[test]
fn the_probe_knows_a_nat_that_hairpins() {
    says(Nat::Hairpinning, [json!("full-cone"), json!(ANY), json!(ANY), json!(true)], false);
}

#[test]
fn the_probe_knows_an_address_restricted_nat() {
    says(
        Nat::AddressRestricted,
        [json!("address-restricted-cone"), json!(ANY), json!(BY_ADDRESS), json!(false)],
        false,
    );
}

#[test]
fn the_probe_knows_the_nat_of_a_home() {
    says(Nat::PortRestricted, [json!("port-restricted-cone"), json!(ANY), json!(BY_PORT), json!(false)], true);
}

#[test]
fn the_probe_knows_a_symmetric_nat() {
    let net = Internet::new();
    let observatory = Observatory::new(&net);
    let router = net.nat("n", Nat::Symmetric);
    let answer = diagnosed(&router.host("c"), &[], &observatory.uri());
    let expected = [json!("symmetric"), json!(BY_PORT), json!(BY_PORT), json!(false)];
    assert_eq!(fields(&answer, ["kind", "mapping", "filtering", "hairpin"]), expected, "{answer}");
}

#[test]
fn the_probe_says_that_there_is_no_nat_over_each_family() {
    let net = Internet::new();
    let observatory = Observatory::new(&net);
    let uri_v6 = format!("rtmfp://[{}]/app", observatory.host.v6.unwrap());
    let names = ["kind", "behind_nat", "family", "filtering", "hairpin", "port_preserved"];
    for (host, uri, family) in [(net.host("c"), observatory.uri(), "ipv4"), (net.host_v6("d"), uri_v6.clone(), "ipv6")]
    {
        let answer = diagnosed(&host, &[], &uri);
        let expected = [json!("open"), json!(false), json!(family), json!(ANY), Value::Null, json!(true)];
        assert_eq!(fields(&answer, names), expected, "{answer}");
        assert_eq!(answer["ipv6"]["address"], json!(host.v6.unwrap().to_string()), "{answer}");
    }
    // A firewall that lets in only what this side has asked for.
    let host = net.host("e");
    let rules = "add table inet fw; add chain inet fw in { type filter hook input priority 0; }; \
                 add rule inet fw in iifname wan meta l4proto udp ct state new drop";
    assert!(host.command("nft").arg(rules).status().unwrap().success());
    for (uri, family) in [(observatory.uri(), "ipv4"), (uri_v6, "ipv6")] {
        let answer = diagnosed(&host, &[], &uri);
        let expected = [json!("firewall"), json!(false), json!(family), json!(BY_PORT), Value::Null, json!(true)];
        assert_eq!(fields(&answer, names), expected, "{answer}");
    }
}

#[test]
fn with_one_address_of_a_server_the_probe_says_what_it_cannot_know_and_with_a_second_server_it_knows() {
    let net = Internet::new();
    let hosts = [net.host("a"), net.host("b")];
    let _running = hosts.each_ref().map(|host| server(host, &["--listen", "0.0.0.0:1935"]));
    let [first, second] = hosts.each_ref().map(|host| format!("rtmfp://{}/app", host.v4.unwrap()));
    let router = net.nat("n", Nat::PortRestricted);
    let host = router.host("c");
    let answer = diagnosed(&host, &[], &first);
    assert_eq!(
        fields(&answer, ["kind", "mapping", "filtering"]),
        [Value::Null, Value::Null, json!(BY_PORT)],
        "{answer}"
    );
    let notes = answer["notes"].as_array().unwrap();
    assert!(notes.len() == 1 && notes[0].as_str().unwrap().contains("Name a second server"), "{answer}");
    let answer = diagnosed(&host, &[&first], &second);
    let expected = [json!("port-restricted-cone"), json!(ANY), json!(BY_PORT)];
    assert_eq!(fields(&answer, ["kind", "mapping", "filtering"]), expected, "{answer}");
    let symmetric = net.nat("m", Nat::Symmetric);
    let answer = diagnosed(&symmetric.host("d"), &[&first], &second);
    assert_eq!(fields(&answer, ["kind", "mapping"]), [json!("symmetric"), Value::Null], "{answer}");
    assert_eq!(answer["mapping_possible"], json!([BY_ADDRESS, BY_PORT]), "{answer}");
}

#[test]
fn the_probe_finds_out_for_how_long_a_nat_keeps_a_silent_port() {
    let net = Internet::new();
    let observatory = Observatory::new(&net);
    let short = net.nat("n", Nat::PortRestricted);
    let host = short.host("c");
    short.forget_after(3);
    // Five seconds at least pass until the second port is tried, however slow the machine is.
    let answer = diagnosed(&host, &["--lifetime=5"], &observatory.uri());
    let lifetime = &answer["binding_lifetime"];
    assert!(lifetime["less_than_s"].as_u64().is_some_and(|seconds| seconds <= 5), "{answer}");
    let long = net.nat("m", Nat::PortRestricted);
    let host = long.host("d");
    long.forget_after(600);
    let answer = diagnosed(&host, &["--lifetime=2"], &observatory.uri());
    assert_eq!(answer["binding_lifetime"], json!({"at_least_s": 2, "less_than_s": null}), "{answer}");
}

#[track_caller]
fn explains(ended: &Ended, words: &[&str], not: &[&str]) {
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for words in words {
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
    for words in not {
        assert!(!ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
}

#[test]
fn a_target_in_the_servers_own_network_is_not_blamed_on_nats() {
    let net = Internet::new();
    let home = net.nat("n", Nat::PortRestricted);
    let host = home.forwarded_host("a", "1935");
    let _running = server(&host, &["--listen", "0.0.0.0:1935"]);
    let beside = home.host("c1");
    let target = peer(&beside, &format!("rtmfp://{}/app", host.v4.unwrap()));
    let uri = format!("rtmfp://{}/app", home.outside);
    for asker in [net.nat("m", Nat::Symmetric).into_host("c2"), net.nat("o", Nat::PortRestricted).into_host("c3")] {
        let ended = probe(&asker, &["--timeout", "2", "--peer", &target.id, &uri]);
        explains(&ended, &["the server's own network", "PublicIP", "NATs are not the reason"], &["symmetric"]);
    }
    assert_eq!(target.leave().code, Some(0));
}

#[test]
fn peers_of_different_families_are_told_so() {
    let net = Internet::new();
    let host = net.host("a");
    let _running = server(&host, &["--listen", "0.0.0.0:1935", "--listen", "[::]:1935"]);
    let (one, two) = (net.host_v4("c1"), net.host_v6("c2"));
    let target = peer(&two, &format!("rtmfp://[{}]/app", host.v6.unwrap()));
    let uri = format!("rtmfp://{}/app", host.v4.unwrap_or(Ipv4Addr::LOCALHOST));
    let ended = probe(&one, &["--timeout", "2", "--peer", &target.id, &uri]);
    explains(
        &ended,
        &["only IPv6 addresses of the peer", "this peer has IPv4 alone"],
        &["symmetric", "firewall drops"],
    );
    assert_eq!(target.leave().code, Some(0));
}

#[test]
fn peers_behind_one_nat_whose_network_keeps_them_apart_are_told_so() {
    let net = Internet::new();
    let host = net.host("a");
    let _running = server(&host, &["--listen", "0.0.0.0:1935"]);
    let router = net.nat("n", Nat::PortRestricted);
    let (one, two) = (router.host("c1"), router.host("c2"));
    // A guest network, whose devices may not talk to each other.
    for (guest, other) in [(&one, &two), (&two, &one)] {
        let rules = format!(
            "add table inet guest; add chain inet guest in {{ type filter hook input priority 0; }}; \
             add rule inet guest in ip saddr {} drop",
            other.v4.unwrap()
        );
        assert!(guest.command("nft").arg(rules).status().unwrap().success());
    }
    let uri = format!("rtmfp://{}/app", host.v4.unwrap());
    let target = peer(&two, &uri);
    let ended = probe(&one, &["--timeout", "2", "--peer", &target.id, &uri]);
    explains(&ended, &["at one address", "no hairpin", "guest networks"], &["symmetric"]);
    assert_eq!(target.leave().code, Some(0));
}
