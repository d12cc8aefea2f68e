//! A worker of another process goes on with the clients of this one.

use std::net::SocketAddr;
use std::time::Duration;

use introd_flash::client::Incoming;
use introd_netgroup::GroupDigest;
use rtmfp::PeerId;

use crate::introducer::Counter;
use crate::serve::mail::Mail;
use crate::serve::testing::{Setup, World, with_application};
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

#[test]
fn a_client_that_waits_for_a_policy_is_refused_and_may_come_again() {
    let mut setup = Setup::default();
    with_application(&mut setup.config, "app", |_| ());
    let config = setup.config.clone();
    let mut world = World::new(setup);
    let end = world.add();
    world.connect(end, "rtmfp://host/app");
    world.script.asked();
    let mut world = world.replaced(Setup { config, ..Setup::default() });
    assert_eq!(world.ends[end].codes(), ["Connect.Failed"]);
    world.advance(Duration::from_secs(5));
    assert!(world.ends[end].closed.is_some());
    assert_eq!(world.services.applications.clients(), 0);
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
        let state = world.worker.state(world.now);
        let state = ServerState { workers: vec![(0, world.now, state)], instances: Vec::new() };
        std::fs::write(RECORDED, state.to_bytes().unwrap()).unwrap();
    }
    let state = ServerState::from_bytes(&std::fs::read(RECORDED).unwrap()).unwrap();
    let mut world = World::with_config(|_| ());
    let [(0, then, worker)] = state.workers.try_into().unwrap() else { panic!("another worker") };
    assert_eq!(world.worker.take_over(world.now, then, worker), Ok(3));
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
