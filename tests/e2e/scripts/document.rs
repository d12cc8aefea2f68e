//! The examples of Adobe's document "Distribute introductions", ported line by line, between peers in processes of their own.

use introd_netgroup::channel::join;
use introd_tests::program::{Files, Peer, Server};

use super::{ALL_LOOKUPS, find};
use crate::harness::clients::{LOOPBACK, connect};
use crate::harness::log::said;
use crate::harness::members::{BY_SCRIPT, Member, digest};

/// The registry, and the three examples that use it, each in its file.
fn distributed(settings: &str) -> Files {
    let files = Files::new();
    files.script("app", "load('registry.lua') load('addresses.lua') load('connect.lua') load('lookup.lua')", settings);
    for (file, text) in [
        ("registry.lua", include_str!("document/registry.lua")),
        ("addresses.lua", include_str!("document/addresses.lua")),
        ("connect.lua", include_str!("document/connect.lua")),
        ("lookup.lua", include_str!("document/lookup.lua")),
    ] {
        files.write(&format!("../applications/app/{file}"), text);
    }
    files
}

#[test]
fn clients_of_one_server_are_introduced_by_the_script() {
    let files = distributed(ALL_LOOKUPS);
    for workers in [1, 4] {
        let server = Server::configured(files.path(), workers);
        let target = Peer::stay(&server.uri(0));
        let ended = find(&target.id, &server.uri(0), "20");
        assert_eq!(ended.code, Some(0), "{ended:?}\n{}", server.log());
        assert_eq!(ended.json()["message_exchanged"], true, "{ended:?}");
        let asker = ended.json()["peer_id"].as_str().expect("its id").to_owned();
        let id = target.id.clone();
        drop(target);
        let ended = server.stop();
        assert!(ended.counter("rtmfp_redirects") > 0 && ended.counter("rtmfp_forwards") > 0, "{ended:?}");
        let said = said(&ended.stderr);
        for peer in [&id, &asker] {
            for what in ["add", "update", "remove"] {
                let lines = said.iter().filter(|line| line.starts_with(&format!("{what} {peer}"))).count();
                assert_eq!(lines, 1, "{what} {peer}: {said:?}");
            }
        }
    }
}

#[test]
fn a_client_of_another_server_is_found_by_way_of_it() {
    let far_files = distributed(ALL_LOOKUPS);
    let far = Server::configured(far_files.path(), 2);
    let other = far.addresses[0];
    let config = format!(
        "<ScriptEngine><ApplicationObject><config><other>{other}</other></config></ApplicationObject></ScriptEngine>\
         {ALL_LOOKUPS}"
    );
    let near_files = distributed(&config);
    let near = Server::configured(near_files.path(), 2);
    let target = Peer::stay(&far.uri(0));
    let ended = find(&target.id, &near.uri(0), "20");
    assert_eq!(ended.code, Some(0), "{ended:?}\n{}\n{}", near.log(), far.log());
    let report = ended.json();
    assert_eq!((&report["introduced"], &report["message_exchanged"]), (&true.into(), &true.into()));
    // An unknown peer: neither server answers.
    assert_eq!(find(&"17".repeat(32), &near.uri(0), "1").code, Some(1));
    let (near, far) = (near.stop(), far.stop());
    // The document: redirects without forwards are those to another server.
    assert!(near.counter("rtmfp_redirects") > 0, "{near:?}");
    assert_eq!(near.counter("rtmfp_forwards"), 0, "{near:?}");
    assert!(far.counter("rtmfp_forwards") > 0, "{far:?}");
    assert!(far.counter("rtmfp_lookups") > far.counter("rtmfp_redirects"), "the stranger's got no answer: {far:?}");
    assert_eq!(near.counter("rtmfp_lookups_denied") + far.counter("rtmfp_lookups_denied"), 0);
}

#[test]
fn a_lookup_that_the_filter_does_not_pass_is_met_with_silence() {
    let files = Files::new();
    files.script("app", include_str!("document/filter.lua"), ALL_LOOKUPS);
    // Without an answer the script's deadline passes, and what it says for that is silence, too.
    let server = Server::configured(files.path(), 2);
    let target = Peer::stay(&server.uri(0));
    // Connected, but to another application: the script has not listed it.
    let elsewhere = Peer::stay(&server.uri_of("elsewhere"));
    for unlisted in [&elsewhere.id, &"17".repeat(32)] {
        let ended = find(unlisted, &server.uri(0), "1");
        assert_eq!((ended.code, &ended.json()["failed_step"]), (Some(1), &"introduction".into()), "{ended:?}");
        assert_eq!(ended.json()["connected"], true);
    }
    let ended = find(&target.id, &server.uri(0), "20");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let ended = server.stop();
    assert_eq!(ended.counter("rtmfp_lookups_denied"), 0, "silence is not a no");
    assert!(ended.counter("rtmfp_lookups") > ended.counter("rtmfp_redirects"), "{ended:?}");
}

#[tokio::test]
async fn members_of_a_group_are_bootstrapped_by_the_script() {
    let files = Files::new();
    files.script("app", include_str!("document/groups.lua"), BY_SCRIPT);
    let server = Server::configured(files.path(), 2);
    let group = digest("chess");
    let mut members: Vec<Member> = Vec::new();
    for number in 0..5 {
        let client = connect(&server.uri(0), LOOPBACK, number).await;
        let mut member = Member::join(client, &join(&group)).await;
        while !members.is_empty() && member.hints.is_empty() {
            member.one_event().await;
        }
        assert!(member.hints.iter().all(|id| members.iter().any(|member| member.client.id() == *id)));
        members.push(member);
    }
    assert!(members[0].hints.is_empty(), "the listing tells newcomers only");
    let ended = server.stop();
    let said = said(&ended.stderr);
    assert!(said[0].starts_with(&format!("Track client joining new Group (by groupspec digest): {group}")), "{said:?}");
    for (size, line) in (1..).zip(&said[1..]) {
        let expected =
            format!("Register Client in existing Group (by groupspec digest): {group}, current Group size is: {size}");
        assert_eq!(*line, expected);
    }
    assert_eq!((said.len(), ended.counter("group_join"), ended.counter("group_hints")), (5, 5, 4));
}
