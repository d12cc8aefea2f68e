//! `introd bench`: its loads do what they say. What they measure is not looked at.

use introd_tests::program::{Process, Server, introd};
use serde_json::Value;

/// Runs `introd bench` to its end: its report.
fn bench(arguments: &[&str]) -> Value {
    let ended = Process::start(&mut introd(&[&["bench"], arguments, &["--json"]].concat())).ended();
    assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
    ended.json()
}

#[test]
fn a_storm_of_clients_comes_in_whole_while_others_look_each_other_up() {
    let server = Server::on_loopback(2);
    let (address, pid) = (server.addresses[0].to_string(), server.id().as_raw_nonzero().to_string());
    let many = ["--clients", "200", "--others", "10", "--every", "0.1"];
    let report = bench(&[&["storm", "--server", &address, "--pid", &pid][..], &many].concat());
    assert_eq!([&report["arrived"], &report["gave_up"], &report["not_arrived"]], [&200, &0, &0], "{report}");
    assert_eq!(report["others"]["closed"], 0, "{report}");
    assert!(report["others"]["lookups"].as_u64().unwrap() > 0, "{report}");
    assert!(report["hints"].as_u64().unwrap() > 0, "members of the group learn of each other: {report}");
    assert!(report["server"]["cpu_us"].as_f64().unwrap() > 0.0, "{report}");
    let ended = server.stop();
    assert_eq!([ended.counter("total_connects"), ended.counter("group_join")], [210, 200], "{ended:?}");
}

#[test]
fn a_storm_ends_at_its_limit_and_says_how_many_clients_are_not_in() {
    let server = Server::on_loopback(1);
    let address = server.addresses[0].to_string();
    // The newcomers come so slowly that most have not begun when the run ends.
    let slow = ["--clients", "100000", "--others", "2", "--over", "3600", "--duration", "5"];
    let report = bench(&[&["storm", "--server", &address][..], &slow].concat());
    let [arrived, waiting] = ["arrived", "not_arrived"].map(|name| report[name].as_u64().unwrap());
    assert!(arrived > 0 && waiting > 90_000 && arrived + waiting == 100_000, "{report}");
}

#[test]
fn lookups_are_asked_of_many_connections_by_both_address_families() {
    let server = Server::on_loopback(2);
    let [ipv4, ipv6] = [0, 1].map(|index: usize| server.addresses[index].to_string());
    let both = ["--server", &ipv4, "--server", &ipv6, "--connections", "300", "--count", "600", "--duration", "100"];
    let report = bench(&[&["lookups"][..], &both].concat());
    assert_eq!(report["connections"], 300, "{report}");
    let [done, lost] = ["done", "lost"].map(|name| report[name].as_u64().unwrap());
    assert!(done > 0 && done + lost == 600, "{report}");
    let ended = server.stop();
    assert_eq!(ended.counter("total_connects"), 300, "{ended:?}");
    assert_eq!(ended.counter("rtmfp_lookups_unknown"), 0, "each peer is looked up where it is connected: {ended:?}");
}

#[test]
fn a_mix_has_each_operation_in_its_share() {
    let server = Server::on_loopback(1);
    let address = server.addresses[0].to_string();
    let mix = ["--shares", "lookups=7,handshakes=2,messages=1", "--count", "200", "--duration", "100"];
    let report = bench(&[&["mix", "--server", &address, "--connections", "20"][..], &mix].concat());
    let kinds: Vec<(String, u64)> = report["kinds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|kind| {
            assert!(kind["done"].as_u64() > Some(0), "{report}");
            let all = kind["done"].as_u64().unwrap() + kind["lost"].as_u64().unwrap();
            (kind["operation"].as_str().unwrap().to_owned(), all)
        })
        .collect();
    assert_eq!(kinds, [("lookups".into(), 140), ("handshakes".into(), 40), ("messages".into(), 20)]);
}

#[test]
fn what_no_server_can_be_loaded_with_is_refused_with_a_reason() {
    for (arguments, reason) in [
        (&["lookups", "--server", "127.0.0.1:1", "--ipv6"][..], "has no such address"),
        (&["mix", "--server", "127.0.0.1:1", "--shares", "calls=1"], "lookups, handshakes, messages"),
        (&["lookups"], "--server"),
    ] {
        let ended = Process::start(&mut introd(&[&["bench"], arguments].concat())).ended();
        assert!(ended.code != Some(0) && ended.stderr.contains(reason), "{arguments:?}: {ended:?}");
    }
}
