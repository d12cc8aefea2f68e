//! Groups over the server channel: who joins is told of members, and they of it, whichever worker has them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use introd_netgroup::channel::join;
use introd_tests::libraries::library;
use introd_tests::program::{Files, Server};
use rtmfp::PeerId;
use rtmfp::flow::{Delivery, FlowEvent};

use crate::harness::clients::{TIMEOUT, create_stream};
use crate::harness::log::said;
use crate::harness::members::{BY_SCRIPT, Member, digest};
use crate::plugins::plugin;

#[tokio::test]
async fn members_are_told_of_each_other_across_workers() {
    let server = Server::on_loopback(4);
    let group = join(&digest("chess"));
    let mut members = Vec::new();
    for number in 0..6 {
        members.push(Member::joined(&server, number, &group).await);
    }
    let mut stranger = Member::joined(&server, 100, &join(&digest("poker"))).await;
    let ids: Vec<PeerId> = members.iter().map(|member| member.client.id()).collect();
    // Among six, everybody is a ring neighbour of everybody: newcomers are told of those there, and those of the newcomers.
    for member in &mut members {
        let own = member.client.id();
        let others: Vec<PeerId> = ids.iter().copied().filter(|id| *id != own).collect();
        member.is_told_of(&others).await;
        assert_eq!(member.hints.len(), others.len(), "nobody else");
    }
    assert!(create_stream(&mut stranger.client, 3.0).await > 0.0);
    assert!(stranger.hints.is_empty(), "another group's members are nobody's business");
    // One leaves in an orderly way, one by closing its flow, one is gone without a word to the group.
    members.pop().expect("a member").client.close().await;
    let mut leaver = members.pop().expect("a member");
    let (session, flow) = (leaver.client.session(), leaver.flow);
    leaver.client.peer().endpoint.with_flows(Instant::now(), session, |flows| flows.close(flow)).expect("its session");
    while !matches!(leaver.one_event().await, Some(FlowEvent::Closed { flow: closed }) if closed == flow) {}
    assert!(create_stream(&mut leaver.client, 3.0).await > 0.0, "the connection goes on");
    let ended = server.stop();
    assert_eq!(ended.counter("group_join"), 7);
    assert_eq!(ended.counter("group_leave"), 7, "each leaves once, with its session at the latest");
}

#[tokio::test]
async fn members_meet_over_instances_and_applications_within_the_scope() {
    let paths = ["a", "a/room", "b", "open"];
    for (scope, expected) in [
        ("server", [vec![1, 2, 3], vec![0, 2, 3], vec![0, 1, 3], vec![0, 1, 2]]),
        ("application", [vec![1], vec![0], vec![], vec![]]),
        ("instance", [vec![], vec![], vec![], vec![]]),
    ] {
        let files = Files::new();
        files.application(&format!("<RTMFP><GroupControl><Scope>{scope}</Scope></GroupControl></RTMFP>"));
        // One application has the default scope in any case.
        files.script("open", "", "<RTMFP><GroupControl><Scope>server</Scope></GroupControl></RTMFP>");
        let server = Server::configured(files.path(), 2);
        let mut members = Vec::new();
        for (number, path) in (0..).zip(paths) {
            members.push(Member::joined_at(&server, path, number, &digest("chess")).await);
        }
        let ids: Vec<PeerId> = members.iter().map(|member| member.client.id()).collect();
        for (member, others) in members.iter_mut().zip(expected) {
            let others: Vec<PeerId> = others.into_iter().map(|place: usize| ids[place]).collect();
            member.is_told_of(&others).await;
            assert!(create_stream(&mut member.client, 3.0).await > 0.0);
            assert_eq!(member.hints, others.into_iter().collect(), "{scope}");
        }
        let ended = server.stop();
        assert_eq!((ended.counter("group_join"), ended.counter("group_leave")), (4, 4));
    }
}

#[tokio::test]
async fn the_shipped_script_brings_members_together() {
    let files = Files::new();
    files.shipped_applications();
    let server = Server::configured(files.path(), 2);
    let group = digest("chess");
    let mut members: Vec<Member> = Vec::new();
    for number in 0..8 {
        let mut member = Member::joined_at(&server, "groups", number, &group).await;
        let there: BTreeSet<PeerId> = members.iter().map(|member| member.client.id()).collect();
        while member.hints.is_empty() && !there.is_empty() {
            member.one_event().await;
        }
        // What more the script says comes before the answer to a later call does.
        assert!(create_stream(&mut member.client, 3.0).await > 0.0);
        assert!(member.hints.is_subset(&there), "those who were there before");
        members.push(member);
    }
    // The script tells newcomers only. Were it the server's bootstrap, the first would have been told of all the others.
    assert!(members[0].hints.is_empty());
    let mut stranger = Member::joined_at(&server, "groups", 100, &digest("poker")).await;
    assert!(create_stream(&mut stranger.client, 3.0).await > 0.0);
    assert!(stranger.hints.is_empty(), "another group's members are nobody's business");
    let ended = server.stop();
    assert_eq!((ended.counter("group_join"), ended.counter("group_leave")), (9, 9));
    assert!((7..=5 * 7).contains(&ended.counter("group_hints")));
    assert!(!ended.stderr.contains("ERROR"), "{ended:?}");
}

/// Closes a member's flow to the server.
fn close_flow(member: &mut Member) {
    let (session, flow) = (member.client.session(), member.flow);
    let endpoint = &mut member.client.peer().endpoint;
    endpoint.with_flows(Instant::now(), session, |flows| flows.close(flow)).expect("its session");
}

#[tokio::test]
async fn a_script_is_told_of_each_join_and_each_leave_once() {
    let files = Files::new();
    files.script(
        "lobby",
        "local names, first = {}, nil
        local function say(...) trace('<<' .. table.concat({...}, ' ') .. '>>') end
        function application.onConnect(client, name) names[client.farID] = #application.clients; return true end
        function Client:onGroupJoin(control)
            say('join', names[self.farID], control.groupspecDigest:sub(1, 8))
            first = first or self
            -- Nobody is its own neighbour; a bad id is the script's mistake.
            say('self', tostring(control:addNeighbor(self.farID)), tostring(pcall(control.addNeighbor, control, 'x')))
            if first ~= self then
                say('sent', tostring(control:addNeighbor(first.farID)), tostring(control:addMemberHint(('ab'):rep(32))))
            end
            self.control = control
        end
        function Client:onGroupLeave(digest)
            say('leave', names[self.farID], digest:sub(1, 8), tostring(self.control:addNeighbor(('ab'):rep(32))))
        end
        function application.onDisconnect(client) say('gone', names[client.farID]) end",
        BY_SCRIPT,
    );
    let server = Server::configured(files.path(), 2);
    let (chess, poker) = (digest("chess"), digest("poker"));
    let first = Member::joined_at(&server, "lobby", 1, &chess).await;
    let mut second = Member::joined_at(&server, "lobby", 2, &chess).await;
    second.is_told_of(&[first.client.id(), PeerId([0xab; 32])]).await;
    // Another group on the same flow: the first is left.
    let (session, flow) = (second.client.session(), second.flow);
    let endpoint = &mut second.client.peer().endpoint;
    endpoint.send(Instant::now(), session, flow, join(&poker), Delivery::default()).expect("its session");
    assert!(create_stream(&mut second.client, 3.0).await > 0.0);
    close_flow(&mut second);
    assert!(create_stream(&mut second.client, 4.0).await > 0.0);
    second.client.close().await;
    first.client.close().await;
    let ended = server.stop();
    let [chess, poker] = [chess, poker].map(|group| group.to_string()[..8].to_owned());
    let expected = [
        format!("join 0 {chess}"),
        "self false false".to_owned(),
        format!("join 1 {chess}"),
        "self false false".to_owned(),
        "sent true true".to_owned(),
        format!("leave 1 {chess} false"),
        format!("join 1 {poker}"),
        "self false false".to_owned(),
        "sent true true".to_owned(),
        format!("leave 1 {poker} false"),
        "gone 1".to_owned(),
        format!("leave 0 {chess} false"),
        "gone 0".to_owned(),
    ];
    assert_eq!(said(&ended.stderr), expected, "{}", ended.stderr);
}

#[tokio::test]
async fn a_client_that_vanishes_leaves_its_groups_once() {
    let files = Files::new();
    files.adaptor("<RTMFP><DeadPeerTimeout>21</DeadPeerTimeout></RTMFP>").script(
        "lobby",
        "function Client:onGroupJoin(control) trace('<<join ' .. control.groupspecDigest .. '>>') end
        function Client:onGroupLeave(digest) trace('<<leave ' .. digest .. '>>') end
        function application.onDisconnect() trace('<<gone>>') end",
        BY_SCRIPT,
    );
    let server = Server::configured(files.path(), 1);
    let groups = [digest("chess"), digest("poker")];
    let mut dead = Member::joined_at(&server, "lobby", 1, &groups[0]).await;
    dead.say(&[&join(&groups[1])]);
    assert!(create_stream(&mut dead.client, 3.0).await > 0.0);
    // Its sockets are closed, and nothing more is ever said.
    drop(dead);
    let mut watcher = Member::joined_at(&server, "lobby", 2, &groups[0]).await;
    let deadline = Instant::now() + TIMEOUT * 4;
    while server.log().matches("<<gone>>").count() == 0 {
        assert!(Instant::now() < deadline, "{}", server.log());
        // It goes on living meanwhile.
        let _ = tokio::time::timeout(Duration::from_millis(200), watcher.one_event()).await;
    }
    assert!(create_stream(&mut watcher.client, 3.0).await > 0.0);
    let ended = server.stop();
    let (said, [one, two]) = (said(&ended.stderr), groups.map(|group| group.to_string()));
    let of_the_dead: Vec<&str> = said[..said.iter().position(|said| *said == "gone").expect("gone") + 1].to_vec();
    let count = |what: String| of_the_dead.iter().filter(|said| **said == what).count();
    assert_eq!((count(format!("leave {one}")), count(format!("leave {two}"))), (1, 1), "{said:?}");
    assert_eq!(said.iter().filter(|said| said.starts_with("leave")).count(), 3, "{said:?}");
    assert_eq!((ended.counter("group_join"), ended.counter("group_leave")), (3, 3));
}

#[tokio::test]
async fn a_plugin_decides_which_members_are_named() {
    let files = Files::new();
    let config = "<neighbors>0</neighbors><newest>1</newest><random>0</random><tell>newcomer</tell>";
    files.application(&format!("<Plugins>{}</Plugins>", plugin(&library("group-bootstrap"), config)));
    let server = Server::configured(files.path(), 2);
    let group = digest("plugged");
    let mut members = Vec::new();
    for number in 1..=4 {
        let mut member = Member::joined(&server, number, &join(&group)).await;
        if let Some(newest) = members.last().map(|last: &Member| last.client.id()) {
            member.is_told_of(&[newest]).await;
        }
        members.push(member);
    }
    for (place, member) in members.iter_mut().enumerate() {
        // The answer to a call comes after what was said before.
        create_stream(&mut member.client, 3.0).await;
        assert_eq!(member.hints.len(), usize::from(place > 0), "one for each newcomer, and the server adds none");
    }
    drop(members);
    let ended = server.stop();
    assert_eq!(ended.counter("plugin_group_bootstrap_hints"), 3, "{ended:?}");
}
