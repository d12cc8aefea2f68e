//! The server with clients that share no code with it.

use std::path::Path;

use introd_tests::libraries::library;
use introd_tests::redis::Redis;

use crate::harness::independent;

#[test]
fn independent_clients_are_introduced() {
    let said = independent::run("meeting.py", &[]);
    assert!(said.is_none_or(|said| said.contains("met")));
}

#[test]
fn independent_clients_call_each_other_as_at_cirrus() {
    let said = independent::run("relaying.py", &[]);
    assert!(said.is_none_or(|said| said.contains("called") && said.contains("cut off")));
}

#[test]
fn independent_clients_learn_what_the_server_sees_of_their_network() {
    let said = independent::run("connectivity.py", &[]);
    assert!(said.is_none_or(|said| said.contains("told")));
}

#[test]
fn a_server_whose_output_is_not_read_serves_on_and_stops_when_told() {
    independent::run("output.py", &[]);
}

#[test]
fn unknown_senders_neither_forge_lines_of_the_log_nor_flood_it() {
    independent::run("log_text.py", &[]);
}

#[test]
fn slow_calls_and_reloads_hold_up_no_other_application() {
    independent::run("sharing.py", &[]);
}

#[test]
fn peer_ids_are_not_lost_to_copies_and_vanished_holders_are_replaced() {
    independent::run("identities.py", &[]);
}

#[test]
fn peer_ids_are_not_lost_to_copies_at_other_servers() {
    let redis = Redis::start();
    let plugin = library("registry-redis");
    independent::run("copies.py", &[&redis.url(), &plugin.to_string_lossy()]);
}

#[test]
fn members_that_a_script_has_published_are_named_no_more_when_they_leave_after_a_takeover() {
    let redis = Redis::start();
    let (plugin, scripts) = (library("registry-redis"), Path::new(env!("CARGO_MANIFEST_DIR")).join("../lua/groups"));
    independent::run("scripted_members.py", &[&redis.url(), &plugin.to_string_lossy(), &scripts.to_string_lossy()]);
}

#[test]
fn a_broken_application_never_opens() {
    let said = independent::run("closed.py", &[]);
    assert!(said.is_none_or(|said| said.contains("closed")));
}

#[test]
fn visits_to_ever_new_instances_neither_fill_memory_nor_keep_clients_out() {
    let said = independent::run("instances.py", &["--visits", "300", "--instances", "20", "--memory", "24"]);
    assert!(said.is_none_or(|said| said.contains("bounded")));
}
