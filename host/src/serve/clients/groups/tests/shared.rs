//! Which members are to be published for other servers.

use std::sync::Arc;

use introd_config::JoinLeaveMode;
use introd_netgroup::{GroupDigest, GroupKey};
use introd_plugin::GroupVerdict;
use rtmfp::PeerId;

use crate::serve::testing::{Published, Says, Setup, World, with_application, with_plugins};

const PATH: &str = "rtmfp://host/chat";

fn world(change: impl FnOnce(&mut Setup)) -> World {
    let mut setup = Setup { shared: Some(Published::new() as _), ..Setup::default() };
    change(&mut setup);
    World::new(setup)
}

/// What is marked: the groups that the test joins by their numbers, the peers, and whether the server names them.
fn marked(world: &World) -> Vec<(u8, PeerId, bool)> {
    let marked = world.services.shared_groups.as_ref().unwrap().marked();
    let number = |key| (0..=255).find(|number| GroupKey::of(&GroupDigest([*number; 32]), &[]) == key);
    marked.into_iter().map(|(key, peer, is_named)| (number(key).unwrap_or(255), peer, is_named)).collect()
}

#[test]
fn a_member_is_published_when_it_joins_and_withdrawn_when_it_leaves() {
    let mut world = world(|_| ());
    let client = world.client(PATH);
    let flow = world.join(client, 1);
    let id = world.ends[client].id;
    assert_eq!(marked(&world), [(1, id, true)]);
    let now = world.now;
    world.ends[client].close_flow(now, flow);
    world.exchange();
    assert_eq!(marked(&world), [(1, id, false)]);
    world.join(client, 2);
    assert_eq!(marked(&world), [(2, id, true)]);
    world.leave(client);
    assert_eq!(marked(&world), [(2, id, false)]);
}

#[test]
fn members_that_a_policy_names_are_not_published() {
    let scripted = |setup: &mut Setup| {
        with_application(&mut setup.config, "app", |settings| settings.join_leave_events = JoinLeaveMode::All);
    };
    let mut world = world(scripted);
    let client = world.accepted();
    world.join(client, 1);
    assert_eq!(marked(&world), [(255, world.ends[client].id, false)]);
    for (verdict, is_published) in [(GroupVerdict::Continue, true), (GroupVerdict::Handled, false)] {
        let mut world = self::world(|setup| {
            with_plugins(Arc::make_mut(&mut setup.config.default_adaptor.default_vhost.defaults), &["/own"]);
        });
        world.plugin("/own").joins.lock().push_back(Says::Now(verdict));
        let client = world.client(PATH);
        world.join(client, 1);
        assert_eq!(marked(&world), [(255, world.ends[client].id, is_published)]);
    }
}

#[test]
fn a_member_that_is_silent_is_looked_at_again_and_so_is_one_that_sends_again() {
    let mut world = world(|_| ());
    let client = world.client(PATH);
    world.join(client, 1);
    let (id, key) = (world.ends[client].id, GroupKey::of(&GroupDigest([1; 32]), &[]));
    marked(&world);
    world.ends[client].is_cut_off = true;
    while marked(&world).is_empty() {
        world.seconds(1);
    }
    assert_eq!(world.services.groups.awake(&key, &id), None);
    world.ends[client].is_cut_off = false;
    world.call(client, "x", 0.0, Vec::new());
    world.seconds(5);
    assert_eq!(marked(&world), [(1, id, true)]);
    assert!(world.services.groups.awake(&key, &id).is_some());
}

#[test]
fn the_session_that_holds_the_id_of_a_member_is_the_one_that_is_published() {
    let mut world = world(|_| ());
    let first = world.client(PATH);
    world.join(first, 1);
    let id = world.ends[first].id;
    world.ends[first].is_cut_off = true;
    let copy = world.add_copy(first);
    world.connect(copy, PATH);
    marked(&world);
    world.join(copy, 1);
    assert_eq!(marked(&world), [], "it waits for its id");
    let key = GroupKey::of(&GroupDigest([1; 32]), &[]);
    while world.services.groups.handle(&key, &id) != Some(world.session(copy)) {
        world.seconds(1);
    }
    assert_eq!(marked(&world), [(1, id, true)]);
}
