//! Members of a group on real sockets become one overlay: each reaches each over links between neighbours.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use introd_client::Client;
use introd_netgroup::Groupspec;
use introd_tests::libraries::library;
use introd_tests::program::{Ended, Files, GroupMember, Server, groupspec, probe};
use rtmfp::PeerId;
use rustix::process::Signal;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::{JoinHandle, LocalSet};

use crate::harness::clients::{TIMEOUT, connect};
use crate::plugins::plugin;

/// The neighbours of each peer, as it reports them itself.
pub(crate) type Links = BTreeMap<PeerId, BTreeSet<PeerId>>;

/// Does each peer reach each over links that both ends know?
fn is_connected(links: &Links) -> bool {
    let mut unseen: BTreeSet<PeerId> = links.keys().copied().collect();
    let mut open = Vec::from_iter(unseen.pop_first());
    while let Some(peer) = open.pop() {
        for other in &links[&peer] {
            if links.get(other).is_some_and(|back| back.contains(&peer)) && unseen.remove(other) {
                open.push(*other);
            }
        }
    }
    unseen.is_empty()
}

pub(crate) fn peers(value: &Value) -> BTreeSet<PeerId> {
    let all = value.as_array().unwrap_or_else(|| panic!("{value}"));
    all.iter().map(|id| id.as_str().expect("text").parse().expect("a peer id")).collect()
}

/// Waits until the processes are one overlay.
pub(crate) fn become_one(processes: &[GroupMember]) -> Links {
    let deadline = Instant::now() + 4 * TIMEOUT;
    loop {
        let links: Links = processes.iter().filter_map(GroupMember::neighbors).collect();
        if links.len() == processes.len() && is_connected(&links) {
            return links;
        }
        assert!(Instant::now() < deadline, "{links:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn ten_processes_become_one_overlay_and_exchange_postings() {
    let server = Server::on_loopback(2);
    let (spec, uri) = (groupspec("ten", true), server.uri(0));
    let mut processes: Vec<GroupMember> = (0..10).map(|_| GroupMember::start(&uri, &spec)).collect();
    let links = become_one(&processes);
    // One more is told of some of them, reaches them and has its posting answered.
    let ended = probe(&["--group", spec.as_str(), "--json", &uri]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    let json = ended.json();
    assert_eq!((&json["joined"], &json["posting_exchanged"]), (&true.into(), &true.into()), "{json}");
    let (hints, neighbors) = (peers(&json["hints"]), peers(&json["neighbors_connected"]));
    assert!(hints.len() >= 6 && hints.iter().all(|hint| links.contains_key(hint)), "{json}");
    assert!(hints.is_subset(&neighbors), "{json}");
    assert_eq!(json["groupspec_digest"], spec.digest().to_string());
    // Some leave, and some are killed; the others are still one.
    for signal in [Signal::TERM, Signal::KILL, Signal::TERM, Signal::KILL] {
        processes.remove(0).end(signal);
    }
    become_one(&processes);
    for process in processes {
        let ended = process.end(Signal::TERM);
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    assert_eq!(server.stop().counter("group_join"), 11);
}

#[test]
fn members_meet_over_ipv6() {
    let server = Server::on_loopback(2);
    let (spec, uri) = (groupspec("six", true), server.uri(1));
    let processes: Vec<GroupMember> = (0..3).map(|_| GroupMember::start(&uri, &spec)).collect();
    become_one(&processes);
    let json = probe(&["-6", "--group", spec.as_str(), "--json", &uri]).json();
    assert_eq!((peers(&json["neighbors_connected"]).len(), &json["posting_exchanged"]), (3, &true.into()), "{json}");
    drop(processes.into_iter().map(|process| process.end(Signal::TERM)).collect::<Vec<_>>());
}

#[test]
fn members_of_other_groups_are_not_met() {
    let server = Server::on_loopback(1);
    let uri = server.uri(0);
    let other = GroupMember::start(&uri, &groupspec("other", true));
    become_one(std::slice::from_ref(&other));
    let ended = probe(&["--group", groupspec("lonely", true).as_str(), "--json", &uri]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let json = ended.json();
    assert_eq!(json["joined"], true);
    assert!(peers(&json["hints"]).is_empty() && peers(&json["neighbors_connected"]).is_empty(), "{json}");
    assert_eq!((&json["posting_taken"], &json["posting_exchanged"]), (&Value::Null, &Value::Null));
    other.end(Signal::TERM);
    // A group that allows no postings.
    let quiet = groupspec("quiet", false);
    let first = GroupMember::start(&uri, &quiet);
    become_one(std::slice::from_ref(&first));
    let json = probe(&["--group", quiet.as_str(), "--json", &uri]).json();
    assert_eq!((peers(&json["neighbors_connected"]).len(), &json["posting_taken"]), (1, &Value::Null));
    first.end(Signal::TERM);
}

/// Five processes join a group and become one overlay; a probe is told of some of them, and its posting is answered. How the
/// server ended.
fn processes_come_together(files: &Files, application: &str, name: &str) -> Ended {
    let server = Server::configured(files.path(), 2);
    let (spec, uri) = (groupspec(name, true), server.uri_of(application));
    let processes: Vec<GroupMember> = (0..5).map(|_| GroupMember::start(&uri, &spec)).collect();
    become_one(&processes);
    let json = probe(&["--group", spec.as_str(), "--json", &uri]).json();
    assert!(!peers(&json["hints"]).is_empty() && json["posting_exchanged"] == true, "{json}");
    drop(processes.into_iter().map(|process| process.end(Signal::TERM)).collect::<Vec<_>>());
    let ended = server.stop();
    assert_eq!((ended.counter("group_join"), ended.counter("group_leave")), (6, 6));
    assert!(!ended.stderr.contains("ERROR"), "{}", ended.stderr);
    ended
}

#[test]
fn the_shipped_script_brings_processes_together() {
    let files = Files::new();
    files.shipped_applications();
    processes_come_together(&files, "groups", "scripted");
}

#[test]
fn the_shipped_plugin_brings_processes_together() {
    let files = Files::new();
    let plugin = plugin(&library("group-bootstrap"), "<neighbors>4</neighbors><newest>1</newest>");
    files.application(&format!("<Plugins>{plugin}</Plugins>"));
    let ended = processes_come_together(&files, "app", "plugged");
    assert!(ended.counter("plugin_group_bootstrap_hints") >= 10, "{}", ended.stderr);
}

#[test]
fn an_invalid_groupspec_is_a_usage_error() {
    for text in ["", "G:", "chess", "G:0g", "G:027f0900"] {
        let ended = probe(&["--group", text, "rtmfp://127.0.0.1/"]);
        assert_eq!(ended.code, Some(2), "{text} {ended:?}");
    }
}

/// A member in this process, on a socket of its own.
pub(crate) struct InProcess {
    id: PeerId,
    task: JoinHandle<()>,
    leave: watch::Sender<bool>,
}

impl InProcess {
    /// Joins, and keeps its neighbours in `links`.
    pub(crate) async fn join(server: &Server, number: u64, spec: &Groupspec, links: &Arc<Mutex<Links>>) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut client: Client = connect(&server.uri(0), any, number).await;
        client.join(spec);
        let (group, links) = (spec.digest(), Arc::clone(links));
        let (leave, mut left) = watch::channel(false);
        let id = client.id();
        let task = tokio::task::spawn_local(async move {
            loop {
                tokio::select! {
                    event = client.next() => drop(event.expect("its socket works")),
                    _ = left.wait_for(|left| *left) => break,
                }
                let mut changed = false;
                while client.next_notice().is_some() {
                    changed = true;
                }
                if changed {
                    links.lock().expect("others").insert(id, client.neighbors(&group).into_iter().collect());
                }
            }
            links.lock().expect("others").remove(&id);
            client.leave(&group);
            client.close().await;
        });
        Self { id, task, leave }
    }
}

pub(crate) async fn become_one_here(links: &Mutex<Links>, count: usize) {
    let deadline = Instant::now() + 6 * TIMEOUT;
    loop {
        {
            let links = links.lock().expect("others");
            if links.len() == count && is_connected(&links) {
                return;
            }
            assert!(Instant::now() < deadline, "{} of {count}", links.len());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_hundred_members_become_one_overlay_and_stay_one() {
    LocalSet::new()
        .run_until(async {
            let server = Server::on_loopback(2);
            let (spec, links) = (groupspec("hundred", false), Arc::new(Mutex::new(Links::new())));
            let mut members = Vec::new();
            for number in 0..100 {
                members.push(InProcess::join(&server, number, &spec, &links).await);
            }
            become_one_here(&links, 100).await;
            // One in ten leaves, and one in ten is gone without a word.
            for number in (0..100).rev().step_by(5) {
                let member = members.swap_remove(number);
                if number % 2 == 0 {
                    let _ = member.leave.send(true);
                } else {
                    member.task.abort();
                }
                let _ = member.task.await;
                links.lock().expect("others").remove(&member.id);
            }
            become_one_here(&links, 80).await;
            let ended = server.stop();
            assert_eq!(ended.counter("group_join"), 100);
            let hints = ended.counter("group_hints");
            println!("{hints} hints for 100 joins and as many leaves: {} bytes for each member", 33 * hints / 100);
            // At most 15 for a join and 6 for a leave, and all leave when the server stops.
            assert!(hints <= 100 * (15 + 6), "{hints}");
        })
        .await;
}
