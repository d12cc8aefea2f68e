//! Servers behind NATs are members of a server-only group: two that all know by name and address, one more in the open, and two behind
//! NATs of their own, which their neighbours introduce to each other. The times that the test prints are for people; it asserts none.

use std::cell::RefCell;
use std::time::Instant;

use introd_netgroup::GroupSpecifier;
use introd_tests::program::{Files, Server};
use rustix::process::Signal;

use crate::hosts::{Host, Internet};
use crate::nats::Nat;
use crate::programs::{POSTING_SERVER, server};

/// Starts the server of a name on a host. Its files are kept: it loads its script after it has said that it serves.
fn start(
    name: &str,
    run: u8,
    host: &Host,
    groupspec: &str,
    bootstrap: [&Host; 2],
    kept: &RefCell<Vec<Files>>,
) -> Server {
    let files = Files::new();
    let [one, two] = bootstrap.map(|host| format!("{}:1936", host.v4.unwrap()));
    let config = format!(
        "<LoadOnStartup>true</LoadOnStartup><ScriptEngine><ApplicationObject><config><name>{name}</name><says>{name} in run r{run}</says>\
         <bind>0.0.0.0:1936</bind><groupspec>{groupspec}</groupspec><one>{one}</one><two>{two}</two></config></ApplicationObject></ScriptEngine>"
    );
    files.script("servers", POSTING_SERVER, &config);
    let server = server(host, &["--conf", &files.path().to_string_lossy()]);
    kept.borrow_mut().push(files);
    server
}

/// Waits until each of these servers has a new posting of each other one. Each name comes with the run of its server.
fn all_hear_all(servers: &[(&str, u8, &Server)]) {
    for (name, _, server) in servers {
        for (other, run, _) in servers.iter().filter(|(other, ..)| other != name) {
            let posting = format!("posting of {other} in run r{run}: ");
            server.logged().wait_for(&posting, server.logged().count(&posting) + 1);
        }
    }
}

#[test]
fn servers_behind_nats_become_one_group_with_others_that_outlives_the_servers_that_all_know() {
    let net = Internet::new();
    let (first, second, third) = (net.host("one"), net.host("two"), net.host("three"));
    let behind = |name| net.nat("n", Nat::PortRestricted).into_host(name);
    let (fourth, fifth) = (behind("four"), behind("five"));
    let group = GroupSpecifier::new("servers").unwrap().with_authorizations().unwrap();
    let started = Instant::now();
    let kept = RefCell::default();
    let start = |name, run, host| start(name, run, host, group.as_str(), [&first, &second], &kept);
    let one = start("one", 1, &first);
    let two = start("two", 1, &second);
    let others =
        [("three", &third), ("four", &fourth), ("five", &fifth)].map(|(name, host)| (name, start(name, 1, host)));
    let [three, four, five] = &others;
    // Those behind NATs are introduced to each other by the members that they both know.
    for server in [&one, &two, &three.1, &four.1, &five.1] {
        server.logged().wait_for("now 4 neighbors.", 1);
    }
    println!(
        "five servers, each a neighbour of each other: {:.1} s after the first start",
        started.elapsed().as_secs_f32()
    );
    let (three, four, five) = (("three", 1, &three.1), ("four", 1, &four.1), ("five", 1, &five.1));
    all_hear_all(&[("one", 1, &one), ("two", 1, &two), three, four, five]);

    let killed = Instant::now();
    one.signal(Signal::KILL);
    for server in [&two, three.2, four.2, five.2] {
        server.logged().wait_for("Neighbor.Disconnect, now 3 neighbors.", 1);
    }
    println!("the death of the first is known to all after {:.1} s", killed.elapsed().as_secs_f32());
    all_hear_all(&[("two", 1, &two), three, four, five]);
    drop(one);

    let killed = Instant::now();
    two.signal(Signal::KILL);
    for (_, _, server) in [three, four, five] {
        server.logged().wait_for("Neighbor.Disconnect, now 2 neighbors.", 1);
    }
    println!("the death of the second is known to all after {:.1} s", killed.elapsed().as_secs_f32());
    all_hear_all(&[three, four, five]);
    drop(two);

    let restarted = Instant::now();
    let one = start("one", 2, &first);
    one.logged().wait_for("now 3 neighbors.", 1);
    all_hear_all(&[("one", 2, &one), three, four, five]);
    println!("the first is one of them again {:.1} s after its start", restarted.elapsed().as_secs_f32());
    let ended = five.2.logged().so_far();
    assert!(!ended.contains("connection: "), "no connection has failed");
    assert!(one.stop().counter("netconnections_opened") == 1);
}
