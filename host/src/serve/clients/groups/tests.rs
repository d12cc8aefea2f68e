//! Joins, leaves and hints of clients.

mod scopes;
mod shared;

use std::sync::Arc;

use introd_config::{Config, JoinLeaveMode};
use introd_flash::metadata::FlowKind;
use introd_netgroup::{GroupDigest, GroupKey, channel};
use introd_plugin::GroupVerdict;
use rtmfp::{PeerId, SessionId};

use crate::introducer::Counter;
use crate::serve::mail::Mail;
use crate::serve::testing::{Says, World, with_application, with_plugins};

fn world() -> World {
    World::with_config(|_: &mut Config| ())
}

/// How many members each group has.
fn sizes(world: &World) -> Vec<usize> {
    let mut sizes: Vec<_> = world.services.groups.groups().iter().map(|(_, size)| *size).collect();
    sizes.sort_unstable();
    sizes
}

fn counted(world: &World) -> [u64; 4] {
    [Counter::GroupJoins, Counter::GroupLeaves, Counter::GroupJoinsRefused, Counter::GroupHints]
        .map(|counter| world.count(counter))
}

#[test]
fn members_are_told_of_each_other_on_flows_in_return_to_their_own() {
    let mut world = world();
    let [first, second] = [(); 2].map(|()| world.client("rtmfp://host/chat"));
    let own = world.join(first, 1);
    assert_eq!(counted(&world), [1, 0, 0, 0], "there is nobody to tell of");
    let others = world.join(second, 1);
    for (member, other, own) in [(first, second, own), (second, first, others)] {
        assert_eq!(world.ends[member].hints, [world.ends[other].id]);
        let flows = world.ends[member].flows_of(FlowKind::GroupControl);
        let [flow] = flows.as_slice() else { panic!("{flows:?}") };
        assert_eq!(world.ends[member].returns.get(flow), Some(&own));
    }
    assert_eq!((counted(&world), sizes(&world)), ([2, 0, 0, 2], vec![2]));
    // A further hint comes on the same flow.
    let (session, about) = (world.session(first), PeerId([9; 32]));
    world.deliver(Mail::Hint { session, group: GroupDigest([1; 32]), about });
    assert_eq!(world.ends[first].hints.last(), Some(&about));
    assert_eq!(world.ends[first].flows_of(FlowKind::GroupControl).len(), 1);
}

#[test]
fn a_client_leaves_with_the_flow_on_which_it_joined() {
    let mut world = world();
    let [first, second] = [(); 2].map(|()| world.client("rtmfp://host/chat"));
    let flow = world.join(first, 1);
    world.join(first, 2);
    world.join(second, 1);
    let now = world.now;
    world.ends[first].close_flow(now, flow);
    world.exchange();
    assert_eq!((counted(&world)[..2].to_vec(), sizes(&world)), (vec![3, 1], vec![1, 1]));
    assert!(world.ends[first].flows_of(FlowKind::GroupControl).is_empty(), "the server's own flow is closed too");
    // What was on its way to the member that has left is not sent.
    let hints = world.ends[first].hints.len();
    let session = world.session(first);
    world.deliver(Mail::Hint { session, group: GroupDigest([1; 32]), about: PeerId([9; 32]) });
    assert_eq!(world.ends[first].hints.len(), hints);
    // It may come back.
    world.join(first, 1);
    assert_eq!((counted(&world)[..2].to_vec(), sizes(&world)), (vec![4, 1], vec![1, 2]));
}

/// How many hints the leave of one of nine members leads to, where a plugin says that of each join.
fn hints_after_a_leave(verdict: GroupVerdict) -> u64 {
    let mut world = World::with_config(|config| {
        with_plugins(Arc::make_mut(&mut config.default_adaptor.default_vhost.defaults), &["/own"]);
    });
    let plugin = world.plugin("/own");
    plugin.joins.lock().extend((0..9).map(|_| Says::Now(verdict)));
    let members: Vec<_> = (0..9).map(|_| world.client("rtmfp://host/chat")).collect();
    let flows: Vec<_> = members.iter().map(|member| world.join(*member, 1)).collect();
    let before = world.count(Counter::GroupHints);
    assert_eq!(before == 0, verdict == GroupVerdict::Handled, "{before} hints for the joins");
    let now = world.now;
    world.ends[members[4]].close_flow(now, flows[4]);
    world.exchange();
    assert_eq!(sizes(&world), [8]);
    assert_eq!(plugin.calls().last().map(String::as_str), Some("leave chat 8"));
    world.count(Counter::GroupHints) - before
}

#[test]
fn those_who_become_neighbours_by_a_leave_are_told_of_each_other_unless_a_plugin_names_members() {
    assert_eq!(hints_after_a_leave(GroupVerdict::Continue), 6, "three on each side");
    assert_eq!(hints_after_a_leave(GroupVerdict::Handled), 0);
}

#[test]
fn another_join_on_a_flow_replaces_the_first() {
    let mut world = world();
    let [first, second] = [(); 2].map(|()| world.client("rtmfp://host/chat"));
    let flow = world.join(first, 1);
    world.join(second, 1);
    assert_eq!(world.ends[first].flows_of(FlowKind::GroupControl).len(), 1);
    let now = world.now;
    world.ends[first].send(now, flow, channel::join(&GroupDigest([2; 32])));
    world.exchange();
    assert_eq!((counted(&world)[..2].to_vec(), sizes(&world)), (vec![3, 1], vec![1, 1]));
    assert!(world.ends[first].flows_of(FlowKind::GroupControl).is_empty(), "that was the flow of the other group");
    let groups = world.worker.clients.clients[&world.session(first)].groups.as_ref().unwrap();
    assert_eq!((groups.memberships.len(), groups.memberships[0].group), (1, GroupDigest([2; 32])));
}

#[test]
fn a_message_that_is_no_join_costs_its_flow_and_nothing_else() {
    let mut world = world();
    let client = world.client("rtmfp://host/chat");
    let good = world.join(client, 1);
    let bad = world.join(client, 2);
    let now = world.now;
    world.ends[client].send(now, bad, vec![0xff]);
    world.exchange();
    assert_eq!(world.ends[client].rejected, [bad]);
    assert_eq!((counted(&world), sizes(&world)), ([2, 1, 1, 0], vec![1]), "it has left what it joined there");
    assert!(world.ends[client].closed.is_none() && !world.ends[client].rejected.contains(&good));
    // A flow without a membership.
    let now = world.now;
    let bad = world.ends[client].open_flow(now, FlowKind::GroupControl);
    world.ends[client].send(now, bad, vec![0xff]);
    world.exchange();
    assert_eq!((counted(&world), sizes(&world)), ([2, 1, 2, 0], vec![1]));
}

#[test]
fn a_join_too_many_is_refused() {
    let mut world = world();
    let client = world.client("rtmfp://host/chat");
    // The control flow is one of those that a client may have.
    let flows: Vec<_> = (0..63).map(|group| world.join(client, group)).collect();
    assert!(world.ends[client].rejected.is_empty());
    let now = world.now;
    world.ends[client].send(now, flows[0], channel::join(&GroupDigest([100; 32])));
    world.exchange();
    assert!(world.ends[client].rejected.is_empty());
    world.ends[client].send(now, flows[0], channel::join(&GroupDigest([101; 32])));
    world.exchange();
    assert_eq!(world.ends[client].rejected, [flows[0]], "so many at once are too many");
    assert_eq!(counted(&world)[2], 1);
}

#[test]
fn the_groups_of_one_id_are_bounded_whatever_the_sessions() {
    let mut world = world();
    let client = world.client("rtmfp://host/chat");
    let (peer, session) = (world.ends[client].id, world.session(client));
    (100..164).for_each(|group| _ = world.services.groups.join(GroupKey([group; 32]), peer, session).unwrap());
    let flow = world.join(client, 1);
    assert_eq!((world.ends[client].rejected.as_slice(), counted(&world)), (&[flow][..], [0, 0, 1, 0]));
}

#[test]
fn a_hint_after_a_flow_that_the_client_rejected_comes_on_a_new_one() {
    let mut world = world();
    let [first, second] = [(); 2].map(|()| world.client("rtmfp://host/chat"));
    world.join(first, 1);
    world.join(second, 1);
    let (now, session) = (world.now, world.session(first));
    let flow = world.ends[first].flows_of(FlowKind::GroupControl)[0];
    world.ends[first].reject_flow(now, flow);
    world.exchange();
    let about = PeerId([9; 32]);
    world.deliver(Mail::Hint { session, group: GroupDigest([1; 32]), about });
    assert_eq!(world.ends[first].hints.last(), Some(&about));
    assert_eq!(counted(&world)[3], 3);
}

#[test]
fn hints_for_groups_and_sessions_that_are_not_known_go_nowhere() {
    let mut world = world();
    let [member, other] = [(); 2].map(|()| world.client("rtmfp://host/chat"));
    world.join(member, 1);
    let [session, of_other] = [member, other].map(|end| world.session(end));
    let about = PeerId([9; 32]);
    for (session, group) in [(session, 2), (of_other, 1), (SessionId::from_wire(77), 1)] {
        world.deliver(Mail::Hint { session, group: GroupDigest([group; 32]), about });
    }
    assert_eq!(counted(&world)[3], 0);
    assert!([member, other].iter().all(|end| world.ends[*end].hints.is_empty()));
}

#[test]
fn a_client_that_goes_leaves_all_its_groups() {
    let mut world = world();
    let [first, second] = [(); 2].map(|()| world.client("rtmfp://host/chat"));
    for group in 1..=3 {
        world.join(first, group);
    }
    world.join(second, 3);
    world.leave(first);
    assert_eq!((counted(&world)[..2].to_vec(), sizes(&world)), (vec![4, 3], vec![1]));
}

/// How many hints went to members of another worker when a client left a group that has many of these.
fn hints_after_leaving(change: impl FnOnce(&mut Config), is_elsewhere: bool) -> usize {
    let mut world = World::with_config(change);
    let client = world.accepted();
    let (session, peer, group) = (world.session(client), world.ends[client].id, GroupDigest([1; 32]));
    let key = world.worker.clients.instance(session).unwrap().group_key(&group);
    let all = Arc::clone(&world.services.groups);
    let elsewhere = |number: u8| SessionId::from_wire(1 << 26 | u32::from(number));
    (2..80).for_each(|number| _ = all.join(key, PeerId([number; 32]), elsewhere(number)));
    let flow = world.join(client, 1);
    if is_elsewhere {
        // The same peer has joined by another session since.
        all.join(key, peer, elsewhere(200)).unwrap();
    }
    while world.elsewhere.try_recv().is_ok() {}
    let now = world.now;
    world.ends[client].close_flow(now, flow);
    world.exchange();
    assert_eq!(world.count(Counter::GroupLeaves), 1);
    std::iter::from_fn(|| world.elsewhere.try_recv().ok()).filter(|mail| matches!(mail, Mail::Hint { .. })).count()
}

#[test]
fn members_that_become_neighbours_when_one_leaves_are_told_of_each_other() {
    let app = |config: &mut Config| with_application(config, "app", |_| ());
    assert!(hints_after_leaving(app, false) > 0);
    assert_eq!(hints_after_leaving(app, true), 0, "the peer is still in the group");
    let scripted = |config: &mut Config| {
        with_application(config, "app", |settings| settings.join_leave_events = JoinLeaveMode::All);
    };
    assert_eq!(hints_after_leaving(scripted, false), 0, "the script names members");
}

#[test]
fn a_hint_for_a_worker_without_room_is_lost_and_counted() {
    let mut world = World::with_config(|config| with_application(config, "app", |_| ()));
    let client = world.accepted();
    let key = GroupKey::of(&GroupDigest([1; 32]), &[]);
    // The one member is at the second worker, the other at one that there is not.
    for (number, worker) in [(2, 1), (3, 9)] {
        let handle = SessionId::from_wire(worker << 26 | 5);
        world.services.groups.join(key, PeerId([number; 32]), handle).unwrap();
    }
    let session = SessionId::from_wire(1 << 26 | 5);
    while world.worker.info.mailboxes[1].capacity() > 0 {
        world.worker.info.send(session, Mail::Wake);
    }
    assert_eq!(world.count(Counter::MailboxFull), 0);
    world.join(client, 1);
    assert_eq!(world.count(Counter::MailboxFull), 1);
}
