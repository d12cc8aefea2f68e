//! The server relays what two peers send each other that cannot meet directly, and nothing else.

use introd_tests::folder::Folder;
use introd_tests::program::{Files, GroupMember, Server, binary, groupspec};
use introd_tests::waiting::eventually;

use crate::hosts::{Host, Internet, Router};
use crate::nats::Nat;
use crate::programs::{administered, metrics, peer, probe, server};

/// The probe waits for as long as RFC 7016 lets an initiator go on: the relay is offered at the third hello, some four seconds after the first.
const PATIENT: &str = "60";

/// Relays in that mode.
fn settings(mode: &str) -> Files {
    let files = Files::new();
    files.application(&format!("<RTMFP><Relay mode=\"{mode}\"/></RTMFP>"));
    files
}

/// The asker finds the target, and they exchange a message: directly if they can, else by the relay.
fn meet(can_meet_directly: bool, places: impl Fn(&Internet) -> [(Router, Host); 2]) {
    let net = Internet::new();
    let host = net.host("a");
    let [(asker_nat, asker), (target_nat, target)] = places(&net);
    let files = settings("Fallback");
    let running = server(&host, &["--conf", &files.path().to_string_lossy()]);
    let uri = format!("rtmfp://{}/app", host.v4.unwrap());
    let staying = peer(&target, &uri);
    let ended = probe(&asker, &["--json", "--timeout", PATIENT, "--peer", &staying.id, &uri]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let report = ended.json();
    assert_eq!((&report["introduced"], &report["message_exchanged"]), (&true.into(), &true.into()), "{report}");
    let path = report["path"].clone();
    let packets = |at: &Host, from: &Router| at.received().get(&from.outside.into()).map_or(0, |(packets, _)| *packets);
    let direct = (packets(&asker, &target_nat), packets(&target, &asker_nat));
    assert_eq!(staying.leave().code, Some(0));
    let ended = running.stop();
    let lookups = ended.counter("rtmfp_lookups");
    if !can_meet_directly {
        // Two hellos, two keyings, a message and its answer.
        assert!(ended.counter("relay_datagrams") >= 6 && ended.counter("relay_pairs_opened") == 1, "{ended:?}");
        assert!(direct == (0, 0) && lookups >= 3, "neither NAT lets the other one's packets in: {direct:?}");
        assert_eq!(path, "relayed");
    } else if lookups < 3 {
        assert!(direct.0 >= 3 && direct.1 >= 3, "{direct:?}");
        assert_eq!((path, ended.counter("relay_pairs_made")), ("direct".into(), 0), "{ended:?}");
    } else {
        // So long does it take on a very slow computer only. Then they are offered a relay, and use what answers first.
        println!("the third hello came before the answer to the first");
    }
}

fn behind(net: &Internet, name: &str, kind: Nat) -> (Router, Host) {
    let nat = net.nat(&format!("n{name}"), kind);
    let host = nat.host(&format!("c{name}"));
    (nat, host)
}

#[test]
fn peers_whose_nats_let_nothing_through_meet_by_the_relay() {
    let kinds = [
        (Nat::Symmetric, Nat::PortRestricted),
        (Nat::PortRestricted, Nat::Symmetric),
        (Nat::Symmetric, Nat::Symmetric),
    ];
    for (asker, target) in kinds {
        let places = |net: &Internet| [behind(net, "1", asker), behind(net, "2", target)];
        println!("{asker:?} looks for {target:?}");
        meet(false, places);
    }
}

#[test]
fn peers_that_meet_directly_are_not_relayed() {
    let places = |net: &Internet| [behind(net, "1", Nat::PortRestricted), behind(net, "2", Nat::PortRestricted)];
    meet(true, places);
}

#[test]
fn an_ipv4_peer_and_an_ipv6_peer_meet_by_the_relay() {
    let net = Internet::new();
    let (host, six) = (net.host("a"), net.host_v6("c2"));
    let (_nat, four) = behind(&net, "1", Nat::PortRestricted);
    let files = settings("Fallback");
    let running = server(&host, &["--conf", &files.path().to_string_lossy()]);
    let (by_v4, by_v6) = (format!("rtmfp://{}/app", host.v4.unwrap()), format!("rtmfp://[{}]/app", host.v6.unwrap()));
    for (asker, its, target, uri) in [(&four, &by_v4, &six, &by_v6), (&six, &by_v6, &four, &by_v4)] {
        let staying = peer(target, uri);
        let ended = probe(asker, &["--json", "--timeout", PATIENT, "--peer", &staying.id, its]);
        assert_eq!((ended.code, &ended.json()["message_exchanged"]), (Some(0), &true.into()), "{ended:?}");
        assert_eq!(ended.json()["path"], "relayed", "{ended:?}");
        assert_eq!(staying.leave().code, Some(0));
    }
    assert_eq!(running.stop().counter("relay_pairs_opened"), 2);
}

const OPEN: &str = "introd_relay_pairs{state=\"open\"}";

/// A metric of a server.
fn metric(host: &Host, server: &Server, name: &str) -> u64 {
    let text = metrics(host, server.admin[0]);
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {name} in {text}")).trim().parse().unwrap()
}

#[test]
fn peers_that_are_relayed_notice_nothing_when_another_process_takes_over() {
    let net = Internet::new();
    let host = net.host("a");
    let [(_nat_of_one, one), (_nat_of_two, two)] =
        [behind(&net, "1", Nat::Symmetric), behind(&net, "2", Nat::Symmetric)];
    let files = settings("All");
    let folder = Folder::new();
    let (conf, takeover) = (files.path().to_string_lossy().into_owned(), folder.join("takeover"));
    let arguments = ["--conf", &conf, &format!("--takeover={}", takeover.display())];
    let old = administered(&host, &arguments);
    let (uri, spec) = (format!("rtmfp://{}/app", host.v4.unwrap()), groupspec("relayed", false));
    let members = [&one, &two].map(|host| GroupMember::by(&mut host.command(binary()), &uri, &spec));
    let are_neighbors = || members.iter().all(|member| member.neighbors().is_some_and(|(_, others)| others.len() == 1));
    eventually("they are neighbours", are_neighbors);
    eventually("by the relay", || metric(&host, &old, OPEN) >= 1);
    let open = metric(&host, &old, OPEN);

    let new = administered(&host, &arguments);
    let ended = old.ended();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // They go on talking, by the ports and the pairs that they had.
    eventually("the new process relays", || metric(&host, &new, "introd_relay_datagrams_total") >= 2);
    assert!(metric(&host, &new, OPEN) >= open);
    assert!(are_neighbors(), "{:?}", members.each_ref().map(GroupMember::neighbors));
    let log = new.log();
    assert!(log.contains("the pairs of the relay are taken over") && !log.contains("ERROR"), "{log}");
    drop(members);
    assert_eq!(new.stop().code, Some(0));
}
