//! Which clients meet in a group: by the scope of their applications, and by who handles their groups.

use std::collections::BTreeSet;
use std::sync::Arc;

use introd_config::{Application, Config, GroupScope, JoinLeaveMode};
use introd_plugin::GroupVerdict;

use crate::serve::testing::{Says, World, with_application, with_plugins};

/// Three instances of two applications.
const PATHS: [&str; 3] = ["rtmfp://host/a", "rtmfp://host/a/room", "rtmfp://host/b"];

/// The pairs of clients, by their places, of which one was named to the other.
fn met(world: &World) -> BTreeSet<(usize, usize)> {
    let place = |id| world.ends.iter().position(|end| end.id == id).unwrap();
    let hints = world.ends.iter().enumerate().flat_map(|(at, end)| end.hints.iter().map(move |id| (at, *id)));
    hints.map(|(at, id)| (at.min(place(id)), at.max(place(id)))).collect()
}

/// A client of a path. That of an application that is registered is accepted by the script.
fn client(world: &mut World, path: &str) -> usize {
    let config = world.services.applications.config();
    let application = path.split('/').nth(3).unwrap();
    match config.default_adaptor.default_vhost.applications.contains_key(application) {
        true => world.accepted_by(path),
        false => world.client(path),
    }
}

/// Those that meet when a client of each of the paths joins one group.
fn met_at(paths: &[&str], change: impl FnOnce(&mut Config)) -> Vec<(usize, usize)> {
    let mut world = World::with_config(change);
    let clients: Vec<_> = paths.iter().map(|path| client(&mut world, path)).collect();
    for client in clients {
        world.join(client, 1);
    }
    met(&world).into_iter().collect()
}

fn scoped(scope: GroupScope) -> impl FnOnce(&mut Config) {
    move |config| defaults(config).group_scope = scope
}

fn defaults(config: &mut Config) -> &mut Application {
    Arc::make_mut(&mut config.default_adaptor.default_vhost.defaults)
}

#[test]
fn members_meet_within_the_scope_of_their_application() {
    assert_eq!(met_at(&PATHS, |_| ()), [(0, 1), (0, 2), (1, 2)]);
    assert_eq!(met_at(&PATHS, scoped(GroupScope::Application)), [(0, 1)]);
    assert_eq!(met_at(&PATHS, scoped(GroupScope::Instance)), []);
}

#[test]
fn members_of_a_confined_application_meet_none_of_others_and_those_none_of_it() {
    // The last two are of applications with the default scope.
    let paths = [PATHS[0], PATHS[1], PATHS[2], "rtmfp://host/c"];
    for scope in [GroupScope::Application, GroupScope::Instance] {
        let met = met_at(&paths, |config| with_application(config, "a", |settings| settings.group_scope = scope));
        let expected: &[_] = if scope == GroupScope::Application { &[(0, 1), (2, 3)] } else { &[(2, 3)] };
        assert_eq!(met, expected, "{scope:?}");
    }
}

#[test]
fn clients_whose_script_handles_groups_are_named_to_nobody_by_the_server() {
    let met = met_at(&PATHS, |config| {
        with_application(config, "a", |settings| settings.join_leave_events = JoinLeaveMode::All);
    });
    assert_eq!(met, [], "neither to each other nor to the one of the other application");
}

#[test]
fn clients_whose_plugin_takes_part_in_groups_meet_those_of_their_instance_as_the_plugin_says() {
    for verdict in [GroupVerdict::Continue, GroupVerdict::Handled] {
        let mut world = World::with_config(|config| {
            with_application(config, "a", |settings| with_plugins(settings, &["/own"]));
        });
        let plugin = world.plugin("/own");
        plugin.joins.lock().extend((0..3).map(|_| Says::Now(verdict)));
        for path in [PATHS[2], PATHS[0], PATHS[0], PATHS[1]] {
            let client = client(&mut world, path);
            world.join(client, 1);
        }
        let expected: &[_] = if verdict == GroupVerdict::Continue { &[(1, 2)] } else { &[] };
        assert_eq!(met(&world).into_iter().collect::<Vec<_>>(), expected, "{verdict:?}");
        let joins: Vec<_> = plugin.calls().into_iter().filter(|call| call.starts_with("join")).collect();
        assert_eq!(joins, ["join a 1", "join a 2", "join a 1"], "it is told of the members of each instance");
    }
}

#[test]
fn another_scope_counts_for_those_that_join_afterwards_and_members_stay_where_they_are() {
    let mut world = World::with_config(|_| ());
    let [early, stays] = [PATHS[0], PATHS[2]].map(|path| world.client(path));
    let flow = world.join(early, 1);
    world.join(stays, 1);
    let mut config = Config::clone(&world.services.applications.config());
    let mut settings = Application::clone(defaults(&mut config));
    settings.group_scope = GroupScope::Instance;
    config.default_adaptor.default_vhost.defaults = Arc::new(settings);
    world.services.applications.reconfigure(config);
    let late = [PATHS[0], PATHS[0], PATHS[2]].map(|path| world.client(path));
    for client in late {
        world.join(client, 1);
    }
    assert_eq!(met(&world).into_iter().collect::<Vec<_>>(), [(early, stays), (late[0], late[1])]);
    // A member leaves the group that it joined, whatever the scope is now.
    let now = world.now;
    world.ends[early].close_flow(now, flow);
    world.exchange();
    let mut sizes: Vec<_> = world.services.groups.groups().iter().map(|(_, size)| *size).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 1, 2]);
    // It comes back as a member of its instance.
    world.join(early, 1);
    assert!(met(&world).contains(&(early, late[0])));
}
