//! A server that starts before its machine has a network becomes one that other servers send peers to.

use introd_tests::libraries::library;
use introd_tests::program::Files;

use crate::hosts::Internet;
use crate::programs::{peer, probe, redis, server};

#[test]
fn a_server_without_a_network_at_its_start_introduces_its_clients_to_those_of_other_servers_once_it_has_one() {
    let net = Internet::new();
    let (registry, early, late, away) = (net.host("r"), net.host("a"), net.host("b"), net.host("c"));
    let _redis = redis(&registry);
    late.lose_network();
    let files = Files::new();
    files.server(&format!(
        "<PeerRegistry><Plugin path=\"{}\"><Config><url>redis://{}</url><heartbeat>1000</heartbeat></Config></Plugin>\
         <LookupTimeout>2000</LookupTimeout></PeerRegistry>",
        library("registry-redis").display(),
        registry.v4.unwrap()
    ));
    let conf = files.path().to_string_lossy().into_owned();
    let [server_a, server_b] = [&early, &late].map(|host| server(host, &["--conf", &conf]));
    server_b.logged().wait_for("other servers cannot send peers here", 1);
    // A client that was there before the network is published again.
    let target = peer(&late, "rtmfp://127.0.0.1/meet");

    late.regain_network();
    let address = format!("{}:1935", late.v4.unwrap());
    server_b.logged().wait_for(&format!("others reach the server at these addresses now addresses=[{address}"), 1);
    let uri = format!("rtmfp://{}/meet", early.v4.unwrap());
    let ended = probe(&away, &["--json", "--timeout", "120", "--peer", &target.id, &uri]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let report = ended.json();
    assert_eq!((&report["introduced"], &report["message_exchanged"]), (&true.into(), &true.into()), "{report}");
    let redirects = report["target"]["redirects"].to_string();
    assert!(redirects.contains(&address), "the asker is sent to the other server: {redirects}");

    // The network goes, and the server knows.
    late.lose_network();
    server_b.logged().wait_for("this machine has no address now", 1);
    target.leave();
    server_b.stop();
    server_a.stop();
}
