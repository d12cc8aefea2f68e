//! One server introduces peers behind NATs of every kind.

use std::net::IpAddr;

use crate::hosts::{Host, Internet};
use crate::nats::Nat;
use crate::programs::{peer, probe, server};

/// The asker finds the target, and their packets go directly from one to the other.
fn meet(host: &Host, asker: (&Host, IpAddr), target: (&Host, IpAddr)) {
    let authority = match asker.1 {
        IpAddr::V4(_) => host.v4.unwrap().to_string(),
        IpAddr::V6(_) => format!("[{}]", host.v6.unwrap()),
    };
    let uri = format!("rtmfp://{authority}/app");
    let running = server(host, &["--listen", "0.0.0.0:1935", "--listen", "[::]:1935"]);
    let peer = peer(target.0, &uri);
    let ended = probe(asker.0, &["--json", "--peer", &peer.id, &uri]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let report = ended.json();
    assert_eq!((&report["introduced"], &report["message_exchanged"]), (&true.into(), &true.into()), "{report}");
    assert_eq!(report["path"], "direct", "{report}");
    // Handshake, message, answer, acknowledgements, close: each packet comes from the other peer's public address.
    for (host, other) in [(asker.0, target.1), (target.0, asker.1)] {
        let received = host.received();
        let (packets, bytes) = received.get(&other).copied().unwrap_or_default();
        assert!(packets >= 3 && bytes >= 300, "from {other}: {received:?}");
    }
    assert_eq!(peer.leave().code, Some(0));
    let ended = running.stop();
    assert!(ended.counter("rtmfp_redirects") >= 1 && ended.counter("rtmfp_forwards") >= 1, "{ended:?}");
}

#[test]
fn peers_behind_two_home_nats_meet() {
    let net = Internet::new();
    let host = net.host("a");
    let (one, two) = (net.nat("n1", Nat::PortRestricted), net.nat("n2", Nat::PortRestricted));
    meet(&host, (&one.host("c1"), one.outside.into()), (&two.host("c2"), two.outside.into()));
}

#[test]
fn a_home_behind_a_carrier_nat_meets_another() {
    let net = Internet::new();
    let host = net.host("a");
    let carrier = net.nat("n1", Nat::PortRestricted);
    let (home, other) = (carrier.nat("n2", Nat::PortRestricted), net.nat("n3", Nat::PortRestricted));
    let (inner, outer) = (home.host("c1"), other.host("c2"));
    meet(&host, (&inner, carrier.outside.into()), (&outer, other.outside.into()));
    meet(&host, (&outer, other.outside.into()), (&inner, carrier.outside.into()));
}

#[test]
fn homes_behind_one_carrier_nat_meet_if_it_takes_packets_to_its_own_address_back() {
    let net = Internet::new();
    let host = net.host("a");
    let carrier = net.carrier("n1", Nat::Hairpinning);
    let homes = ["n2", "n3"].map(|name| carrier.nat(name, Nat::PortRestricted));
    let [one, two] = homes.each_ref().map(|home| home.host("c"));
    let outside = carrier.outside.into();
    meet(&host, (&one, outside), (&two, outside));
}

#[test]
fn a_peer_behind_a_symmetric_nat_meets_an_open_one() {
    let net = Internet::new();
    let host = net.host("a");
    let nat = net.nat("n1", Nat::Symmetric);
    let (inner, open) = (nat.host("c1"), net.host("c2"));
    meet(&host, (&inner, nat.outside.into()), (&open, open.v4.unwrap().into()));
    meet(&host, (&open, open.v4.unwrap().into()), (&inner, nat.outside.into()));
}

#[test]
fn a_peer_behind_a_home_nat_meets_an_open_one() {
    let net = Internet::new();
    let host = net.host("a");
    let nat = net.nat("n1", Nat::PortRestricted);
    let (inner, open) = (nat.host("c1"), net.host("c2"));
    meet(&host, (&open, open.v4.unwrap().into()), (&inner, nat.outside.into()));
}

#[test]
fn peers_without_a_nat_meet_over_ipv6() {
    let net = Internet::new();
    let host = net.host("a");
    let (one, two) = (net.host_v6("c1"), net.host_v6("c2"));
    meet(&host, (&one, one.v6.unwrap().into()), (&two, two.v6.unwrap().into()));
}

#[test]
fn the_probe_says_when_two_nats_cannot_be_traversed() {
    let net = Internet::new();
    let host = net.host("a");
    let (one, two) = (net.nat("n1", Nat::Symmetric), net.nat("n2", Nat::PortRestricted));
    let (one, two) = (one.host("c1"), two.host("c2"));
    let _running = server(&host, &["--listen", "0.0.0.0:1935"]);
    let uri = format!("rtmfp://{}/app", host.v4.unwrap());
    let peer = peer(&two, &uri);
    assert_eq!(peer.report["nat"], true, "{}", peer.report);
    let ended = probe(&one, &["--timeout", "4", "--peer", &peer.id, &uri]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for words in ["both peers are behind NATs", "a symmetric NAT", "No server can introduce these two"] {
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
    // A peer that is not behind a NAT is not told that NATs are the reason.
    let open = net.host("c3");
    let ended = probe(&open, &["--timeout", "2", "--peer", &"0".repeat(64), &uri]);
    assert!(ended.code == Some(1) && !ended.stderr.contains("symmetric"), "{}", ended.stderr);
}
