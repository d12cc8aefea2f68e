//! A worker of another process goes on with the clients of this one.

use std::net::SocketAddr;
use std::time::Duration;

use introd_config::Config;
use introd_flash::client::Incoming;
use introd_netgroup::GroupDigest;
use introd_policy::{OpenCall, Verdict};
use rtmfp::PeerId;

use crate::introducer::Counter;
use crate::serve::mail::Mail;
use crate::serve::testing::{Setup, World, with_application};
use crate::serve::worker::handover::Prepared;
use crate::takeover::ServerState;

/// Has a client call a method that the server itself answers. True if it does.
fn is_answered(world: &mut World, end: usize) -> bool {
    world.ends[end].heard.clear();
    world.call(end, "introd.connectivity", 77.0, Vec::new());
    let is_answer = |heard: &Incoming| matches!(heard, Incoming::Result { transaction: 77.0, .. });
    world.ends[end].heard.iter().any(is_answer)
}

#[test]
fn clients_stay_connected_and_are_found_where_they_were() {
    let mut world = World::with_config(|_| ());
    let [first, second] = [(); 2].map(|()| world.client("rtmfp://host/chat/room"));
    let reported: SocketAddr = "10.0.0.7:4000".parse().unwrap();
    world.report(first, &[reported]);
    let known = world.services.directory.lookup(&world.ends[first].id).unwrap();
    let sessions = [first, second].map(|end| world.session(end));
    world.advance(Duration::from_secs(7));

    let mut world = world.replaced(Setup::default());
    assert_eq!([first, second].map(|end| world.session(end)), sessions);
    assert_eq!(world.services.directory.lookup(&world.ends[first].id), Some(known));
    assert_eq!((world.services.applications.clients(), world.count(Counter::Connects)), (2, 2));
    assert!(is_answered(&mut world, first) && is_answered(&mut world, second));
    assert!(world.ends.iter().all(|end| end.closed.is_none()));
    // They meet, leave, and are gone then.
    let target = world.ends[first].id;
    world.look_up(second, target);
    assert!(world.ends[second].met.contains(&target));
    world.leave(first);
    assert_eq!(world.services.directory.lookup(&target), None);
    assert_eq!((world.services.applications.clients(), world.count(Counter::Disconnects)), (1, 1));
}

/// Between the copy and the takeover one client reports an address, one joins a group, one leaves, one comes, and one does nothing.
#[test]
fn clients_that_change_after_they_were_copied_are_taken_over_as_they_are() {
    let mut world = World::with_config(|_| ());
    let [reports, joins, leaves, rests] = [(); 4].map(|()| world.client("rtmfp://host/chat"));
    let mut heir = world.heir(Setup::default());
    world.copy(&mut heir);
    let reported: SocketAddr = "10.0.0.7:4000".parse().unwrap();
    world.report(reports, &[reported]);
    world.join(joins, 1);
    let gone = world.ends[leaves].id;
    world.leave(leaves);
    let comes = world.client("rtmfp://host/chat");
    // Once more for some of it.
    world.advance(Duration::from_secs(3));
    world.copy(&mut heir);
    let late = world.client("rtmfp://host/chat");

    let mut world = world.replaced_by(heir);
    assert_eq!((world.services.applications.clients(), world.services.directory.len()), (5, 5));
    assert_eq!(world.services.directory.lookup(&gone), None);
    let known = world.services.directory.lookup(&world.ends[reports].id).unwrap();
    assert_eq!(known.reported.to_vec(), [reported]);
    assert_eq!(world.services.groups.groups().iter().map(|(_, size)| *size).collect::<Vec<_>>(), [1]);
    for end in [reports, joins, rests, comes, late] {
        assert!(is_answered(&mut world, end), "{end}");
    }
}

#[test]
fn members_of_groups_are_members_still_and_are_told_of_newcomers() {
    let mut world = World::with_config(|_| ());
    let [first, second] = [(); 2].map(|()| world.client("rtmfp://host/chat"));
    world.join(first, 1);
    let flow = world.join(second, 1);
    let mut world = world.replaced(Setup::default());
    let sizes =
        |world: &World| -> Vec<usize> { world.services.groups.groups().iter().map(|(_, size)| *size).collect() };
    assert_eq!(sizes(&world), [2]);
    let third = world.client("rtmfp://host/chat");
    world.join(third, 1);
    assert_eq!(sizes(&world), [3]);
    for member in [first, second] {
        assert_eq!(world.ends[member].hints.last(), Some(&world.ends[third].id));
    }
    // The server's flows for hints are those from before, and a client leaves with its own.
    let (session, about) = (world.session(first), PeerId([9; 32]));
    world.deliver(Mail::Hint { session, group: GroupDigest([1; 32]), about });
    assert_eq!(world.ends[first].hints.last(), Some(&about));
    let now = world.now;
    world.ends[second].close_flow(now, flow);
    world.exchange();
    assert_eq!(sizes(&world), [2]);
}

#[test]
fn a_client_that_does_not_answer_for_a_while_gets_what_was_sent_meanwhile() {
    let mut world = World::with_config(|_| ());
    let client = world.client("rtmfp://host/chat");
    world.ends[client].is_cut_off = true;
    let (session, group) = (world.session(client), GroupDigest([1; 32]));
    world.deliver(Mail::Hint { session, group, about: PeerId([9; 32]) });
    world.ends[client].is_cut_off = false;
    let mut world = world.replaced(Setup::default());
    world.advance(Duration::from_secs(30));
    assert!(is_answered(&mut world, client));
}

/// A client whose connect waits for the script of `app`, its end, and the configuration.
fn waiting() -> (World, usize, Config) {
    let (world, end, config) = asked();
    world.script.asked();
    (world, end, config)
}

/// The same, whose script has not been looked at yet.
fn asked() -> (World, usize, Config) {
    let mut setup = Setup::default();
    with_application(&mut setup.config, "app", |_| ());
    let config = setup.config.clone();
    let mut world = World::new(setup);
    let end = world.add();
    world.connect(end, "rtmfp://host/app");
    (world, end, config)
}

#[test]
fn the_policy_of_the_new_process_is_asked_about_a_client_that_waits() {
    let (world, end, config) = waiting();
    let mut world = world.replaced(Setup { config, ..Setup::default() });
    let request = world.script.asked();
    assert_eq!(world.ends[end].codes(), [""; 0]);
    world.decide(request, Verdict::Continue);
    assert_eq!(world.ends[end].codes(), ["Connect.Success"]);
    assert_eq!((world.services.applications.clients(), world.services.directory.len()), (1, 1));
}

/// The script of the old process was asked about the client. That of the new one is not, and is told once that the client is gone.
#[test]
fn a_client_that_waits_is_refused_if_it_is_not_known_for_what() {
    let (world, end, config) = waiting();
    // As in a state of a program that does not tell.
    let mut heir = world.heir(Setup { config, ..Setup::default() });
    heir.knows_no_connects = true;
    let mut world = world.replaced_by(heir);
    assert_eq!(world.ends[end].codes(), ["Connect.Failed"]);
    assert_eq!(world.script.names(), [""; 0], "its session has not ended");
    world.advance(Duration::from_secs(5));
    assert!(world.ends[end].closed.is_some());
    assert_eq!(world.services.applications.clients(), 0);
    assert_eq!(world.script.names(), ["Disconnect"]);
}

#[test]
fn the_script_of_the_new_process_is_told_once_that_a_client_is_gone_about_which_it_was_asked_again() {
    for is_accepted in [false, true] {
        let (world, end, config) = waiting();
        let mut world = world.replaced(Setup { config, ..Setup::default() });
        let request = world.script.asked();
        let verdict = if is_accepted { Verdict::Continue } else { Verdict::Deny(None) };
        world.decide(request, verdict);
        if is_accepted {
            world.leave(end);
        } else {
            world.advance(Duration::from_secs(5));
        }
        assert!(is_accepted || world.ends[end].closed.is_some());
        assert_eq!(world.script.names(), ["Disconnect"], "{is_accepted}");
    }
}

#[test]
fn the_script_of_the_new_process_is_told_that_a_client_is_gone_which_that_of_the_old_one_has_rejected() {
    let (mut world, end, config) = asked();
    let request = world.script.asked();
    world.ends[end].is_cut_off = true;
    world.decide(request, Verdict::Deny(None));
    let mut world = world.replaced(Setup { config, ..Setup::default() });
    assert_eq!(world.script.names(), [""; 0]);
    assert_eq!((world.services.applications.clients(), world.services.directory.len()), (1, 0), "its session lives");
    world.ends[end].is_cut_off = false;
    world.advance(Duration::from_secs(5));
    assert!(world.ends[end].closed.is_some());
    assert_eq!(world.script.names(), ["Disconnect"]);
    assert_eq!(world.services.applications.clients(), 0);
}

#[test]
fn a_call_that_the_old_policy_has_not_answered_fails() {
    let mut world = World::with_config(|_| ());
    let end = world.client("rtmfp://host/chat");
    let mut heir = world.heir(Setup::default());
    heir.open_calls.push((world.session(end).get(), OpenCall::Call(77.0)));
    let world = world.replaced_by(heir);
    let is_failed = |heard: &Incoming| matches!(heard, Incoming::Error { transaction: 77.0, .. });
    assert!(world.ends[end].heard.iter().any(is_failed), "{:?}", world.ends[end].heard);
}

#[test]
fn a_client_whose_application_is_gone_is_told_and_closed() {
    let mut world = World::with_config(|_| ());
    let end = world.client("rtmfp://host/chat");
    let mut setup = Setup::default();
    setup.config.default_adaptor.default_vhost.accepts_unregistered = false;
    let mut world = world.replaced(setup);
    assert_eq!(world.ends[end].codes(), ["Connect.AppShutdown"]);
    world.advance(Duration::from_secs(5));
    assert!(world.ends[end].closed.is_some());
}

/// A state that version 1 of the format has: two clients that are members of a group, one of them with a hint on its way, and a session
/// that has opened no flow.
const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/serve/worker/tests/state-1.bin");

#[test]
fn a_recorded_state_of_version_1_is_taken_over() {
    if std::env::var_os("INTROD_BLESS").is_some() && !std::path::Path::new(RECORDED).exists() {
        let mut world = World::with_config(|_| ());
        let [first, second] = [(); 2].map(|()| world.client("rtmfp://host/chat/room"));
        world.report(first, &["10.0.0.7:4000".parse().unwrap()]);
        world.join(first, 1);
        world.join(second, 1);
        let other = world.add();
        world.open(other);
        world.ends[second].is_cut_off = true;
        let (session, group) = (world.session(second), GroupDigest([1; 32]));
        world.deliver(Mail::Hint { session, group, about: PeerId([9; 32]) });
        let state = world.worker.state(None, world.now);
        let state = ServerState {
            workers: vec![state],
            instances: Vec::new(),
            open_calls: Vec::new(),
            rivals: Vec::new(),
            relay: None,
        };
        std::fs::write(RECORDED, state.to_bytes().unwrap()).unwrap();
    }
    let state = ServerState::from_bytes(&std::fs::read(RECORDED).unwrap()).unwrap();
    let mut world = World::with_config(|_| ());
    let worker = state.workers.into_iter().next().unwrap();
    assert_eq!(world.worker.take_over(world.now, Prepared::default(), worker), Ok(3));
    let ids = [(); 2].map(|()| world.add()).map(|end| world.ends[end].id);
    let known = ids.map(|id| world.services.directory.lookup(&id).unwrap());
    let reported: SocketAddr = "10.0.0.7:4000".parse().unwrap();
    assert_eq!(known[0].reported.to_vec(), [reported]);
    assert_eq!(known[1].observed, world.ends[1].address);
    let group = world.services.groups.groups()[0].0;
    assert_eq!(world.services.groups.members(&group).len(), 2);
    assert!(world.worker.endpoint.bytes_buffered() > 0, "the hint is yet to be acknowledged");
    assert_eq!(world.services.applications.all_instances()[0].name().to_string(), "chat/room");
    // Nobody is there any more, which is noticed.
    world.advance(Duration::from_secs(3600));
    assert_eq!((world.worker.endpoint.session_count(), world.services.directory.len()), (0, 0));
}
