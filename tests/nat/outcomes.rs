//! What the server counts of peers that meet, and of peers that cannot.

use std::net::SocketAddr;

use introd_tests::program::{Files, Server};
use introd_tests::waiting::eventually;

use crate::hosts::{Host, Internet};
use crate::nats::Nat;
use crate::programs::{administered, metrics, peer, probe};

/// What the server's metrics say of introductions: the outcome, the kinds of the asker's and the target's NAT, and how often.
fn introductions(host: &Host, admin: SocketAddr) -> Vec<String> {
    let text = metrics(host, admin);
    let samples = text.lines().filter_map(|line| line.strip_prefix("introd_introductions_total"));
    let counted = samples.filter(|line| !line.trim_end().ends_with(" 0"));
    counted.map(|line| line.trim_end().to_owned()).collect()
}

fn wait_for(host: &Host, server: &Server, expected: &[&str]) {
    eventually(&format!("{expected:?}"), || introductions(host, server.admin[0]) == expected);
}

const PRESERVING: &str = "{outcome=\"met\",asker_nat=\"port_preserving\",target_nat=\"port_preserving\"} 1";

#[test]
fn peers_behind_two_home_nats_are_counted_as_met() {
    let net = Internet::new();
    let host = net.host("a");
    let (one, two) = (net.nat("n1", Nat::PortRestricted), net.nat("n2", Nat::PortRestricted));
    let (one, two) = (one.host("c1"), two.host("c2"));
    let server = administered(&host, &[]);
    let uri = format!("rtmfp://{}/app", host.v4.unwrap());
    let target = peer(&two, &uri);
    let ended = probe(&one, &["--json", "--peer", &target.id, &uri]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // The asker is quiet from now on. That is so for some seconds before it counts.
    wait_for(&host, &server, &[PRESERVING]);
    assert_eq!(target.leave().code, Some(0));
}

#[test]
fn a_symmetric_nat_and_a_home_nat_are_counted_as_not_met() {
    let net = Internet::new();
    let host = net.host("a");
    let (one, two) = (net.nat("n1", Nat::Symmetric), net.nat("n2", Nat::PortRestricted));
    let (one, two) = (one.host("c1"), two.host("c2"));
    let server = administered(&host, &[]);
    let uri = format!("rtmfp://{}/app", host.v4.unwrap());
    let target = peer(&two, &uri);
    // The fourth hello, with which it is clear that the two have not met, comes after 7.5 s.
    let ended = probe(&one, &["--timeout", "12", "--peer", &target.id, &uri]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let expected = "{outcome=\"given_up\",asker_nat=\"port_changing\",target_nat=\"port_preserving\"} 1";
    wait_for(&host, &server, &[expected]);
    assert_eq!(target.leave().code, Some(0));
}

#[test]
fn peers_that_meet_by_the_relay_are_counted_as_such() {
    let files = Files::new();
    // The pair is still there when its attempt has been quiet for long enough to count.
    files.adaptor("<RTMFP><Relay><IdleTimeout>600</IdleTimeout></Relay></RTMFP>");
    files.application("<RTMFP><Relay mode=\"Fallback\"/></RTMFP>");
    let net = Internet::new();
    let host = net.host("a");
    let (one, two) = (net.nat("n1", Nat::Symmetric), net.nat("n2", Nat::PortRestricted));
    let (one, two) = (one.host("c1"), two.host("c2"));
    let server = administered(&host, &["--conf", &files.path().to_string_lossy()]);
    let uri = format!("rtmfp://{}/app", host.v4.unwrap());
    let target = peer(&two, &uri);
    let ended = probe(&one, &["--json", "--timeout", "60", "--peer", &target.id, &uri]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let expected = "{outcome=\"relayed\",asker_nat=\"port_changing\",target_nat=\"port_preserving\"} 1";
    wait_for(&host, &server, &[expected]);
    assert_eq!(target.leave().code, Some(0));
}
