//! The members of groups that scripts share over servers.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use introd_netgroup::{GroupAddress, GroupDigest, GroupKey};
use introd_policy::registry::{GroupMember, InMemory, NeighborQuery, Registry};
use rtmfp::PeerId;

use super::{Folder, Scene, scene, settings};
use crate::instance::published_members::{MAX_PUBLISHED, member};
use crate::testing::{Effect, Stage, instance_name};
use introd_policy::message::{AppEvent, ClientCommand, ClientId};

const DIGEST: [u8; 32] = [0xab; 32];

/// Publishes each member of a group and names those of all servers to it.
const SHARES: &str = "
    function Client:onGroupJoin(control)
        local ok, problem = registry.joinGroup(control.groupspecDigest, self.farID)
        if not ok then trace(problem) end
        local found, problem = registry.groupNeighbors(control.groupspecDigest, self.farID)
        if not found then return trace(problem) end
        for place, id in ipairs(found) do found[place] = id:sub(1, 2) end
        table.sort(found)
        trace(self.farID:sub(1, 2) .. ': ' .. table.concat(found, ' '))
    end";

fn started(folder: &Folder, registry: &Arc<InMemory>) -> Stage {
    let registry = Arc::clone(registry) as Arc<dyn Registry>;
    Stage::with_registry(folder.path(), settings(|_| ()), registry).unwrap_or_else(|error| panic!("{error}"))
}

fn connect(stage: &mut Stage, id: u8) -> ClientId {
    stage.connect(|info| info.far_id = PeerId([id; 32]))
}

fn traces(stage: &Stage) -> Vec<String> {
    stage.runtime.instance.journal.take().into_iter().map(|entry| format!("{entry:?}")).collect()
}

/// How many members the application's scripts have published.
fn published(registry: &InMemory, folder: &Folder) -> usize {
    let member = member(&instance_name(folder.path()), &GroupDigest(DIGEST), PeerId([0; 32]));
    let mut found = registry.group_neighbors(&NeighborQuery { member, near: 16, far: 16 });
    match found.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(found) => found.unwrap().len(),
        Poll::Pending => panic!("it does not wait"),
    }
}

#[test]
fn scripts_of_one_application_find_the_members_of_all_servers_and_no_others() {
    let (folder, registry) = (Folder::new(SHARES), Arc::new(InMemory::default()));
    let mut servers = [(); 2].map(|()| started(&folder, &registry));
    // A member that a server itself has published, and one of another application.
    let stranger = |group| {
        let peer = PeerId([0x99; 32]);
        registry.join_group(&GroupMember { group, peer, position: GroupAddress::of(&peer).0 }).unwrap();
    };
    stranger(GroupKey::of(&GroupDigest(DIGEST), &[]).0);
    stranger(member(&super::instance_name("other"), &GroupDigest(DIGEST), PeerId([0x99; 32])).group);
    for (number, id) in [0x11, 0x22, 0x33].into_iter().enumerate() {
        let stage = &mut servers[number % 2];
        let client = connect(stage, id);
        stage.join(client, DIGEST);
        stage.poll();
    }
    assert_eq!(traces(&servers[0]), ["Trace(\"11: \")", "Trace(\"33: 11 22\")"]);
    assert_eq!(traces(&servers[1]), ["Trace(\"22: 11\")"]);
    assert_eq!(published(&registry, &folder), 3);
}

#[test]
fn the_shipped_script_names_members_of_other_servers_and_each_of_its_own_once() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../lua/groups");
    let registry = Arc::new(InMemory::default());
    let mut servers = [(); 2].map(|()| {
        let registry = Arc::clone(&registry) as Arc<dyn Registry>;
        Stage::with_registry(&path, settings(|_| ()), registry).unwrap_or_else(|error| panic!("{error}"))
    });
    let mut named = Vec::new();
    for (server, id) in [(0, 0x11), (1, 0x22), (1, 0x33), (0, 0x44)] {
        let stage = &mut servers[server];
        let client = connect(stage, id);
        stage.join(client, DIGEST);
        stage.poll();
        let hints = stage.take().into_iter().filter_map(|effect| match effect {
            Effect::Command(ClientCommand::Hint { peer, .. }) => Some(peer.0[0]),
            _ => None,
        });
        let mut hints: Vec<_> = hints.collect();
        hints.sort_unstable();
        named.push(hints);
        assert_eq!(traces(stage), [""; 0]);
    }
    assert_eq!(named, [vec![], vec![0x11], vec![0x11, 0x22], vec![0x11, 0x22, 0x33]]);
}

#[test]
fn what_a_script_has_published_goes_with_the_membership_and_with_the_instance() {
    let (folder, registry) = (Folder::new(SHARES), Arc::new(InMemory::default()));
    let mut stage = started(&folder, &registry);
    let clients = [0x11, 0x22, 0x33, 0x44].map(|id| connect(&mut stage, id));
    let memberships = clients.map(|client| stage.join(client, DIGEST));
    stage.poll();
    assert_eq!(published(&registry, &folder), 4);
    stage.tell(AppEvent::GroupLeave { client: clients[0], membership: memberships[0], groupspec_digest: DIGEST });
    assert_eq!(published(&registry, &folder), 3);
    drop(stage);
    assert_eq!(published(&registry, &folder), 0, "the instance has ended");
}

#[test]
fn a_script_withdraws_what_it_has_published_and_nothing_else() {
    let folder = Folder::new(
        "function Client:act(what, id)
            local digest = ('ab'):rep(32)
            local ok = registry[what](digest, id:rep(32))
            return ok
        end",
    );
    let registry = Arc::new(InMemory::default());
    let mut stage = started(&folder, &registry);
    let client = connect(&mut stage, 1);
    let act = |stage: &mut Stage, what: &str, id: &str| {
        let arguments = [what, id].map(|text| introd_flash::amf::Value::String(text.to_owned())).to_vec();
        stage.call(client, "act", 1.0, arguments);
    };
    // Another server has the same member.
    let others = member(&instance_name(folder.path()), &GroupDigest(DIGEST), PeerId([0x77; 32]));
    registry.join_group(&others).unwrap();
    act(&mut stage, "leaveGroup", "77");
    assert_eq!(published(&registry, &folder), 1, "the script has not published it");
    for id in ["88", "99", "88"] {
        act(&mut stage, "joinGroup", id);
    }
    assert_eq!(published(&registry, &folder), 3);
    act(&mut stage, "leaveGroup", "88");
    act(&mut stage, "leaveGroup", "88");
    assert_eq!(published(&registry, &folder), 2);
    assert_eq!(traces(&stage), [""; 0]);
}

#[test]
fn the_arguments_are_checked() {
    let mut scene: Scene = scene(
        "function application.onAppStart()
            local digest, id = ('ab'):rep(32), ('cd'):rep(32)
            local function problem(...) trace(select(2, pcall(...))) end
            problem(registry.joinGroup, 'ab', id)
            problem(registry.joinGroup, digest, {})
            problem(registry.leaveGroup, nil, id)
            problem(registry.groupNeighbors, digest, id, 17)
            problem(registry.groupNeighbors, digest, id, 3, -1)
            problem(registry.groupNeighbors, digest, 7)
            trace(#registry.groupNeighbors(digest, id, 0, 16))
        end",
    );
    scene.stage.poll();
    let told = scene.traces();
    let says =
        ["a groupspec digest is", "a peer ID is", "a groupspec digest is", "near is", "far is", "a peer ID is", "0"];
    assert_eq!(told.len(), says.len(), "{told:?}");
    for (told, says) in told.iter().zip(says) {
        assert!(told.contains(says), "{told} {says}");
    }
}

#[test]
fn the_memberships_of_a_script_are_bounded() {
    let scene = scene("");
    let instance = &scene.stage.runtime.instance;
    let member = |number: u32| {
        let mut peer = [0; 32];
        peer[..4].copy_from_slice(&number.to_be_bytes());
        GroupMember { group: [1; 32], peer: PeerId(peer), position: peer }
    };
    let accepted =
        (0..100_000).take_while(|number| instance.published_members.join(member(*number), None).is_ok()).count();
    assert_eq!(accepted, MAX_PUBLISHED);
    assert!(instance.published_members.join(member(0), None).is_ok(), "it is published already");
    instance.published_members.leave(&member(0));
    assert!(instance.published_members.join(member(100_000), None).is_ok());
}

#[test]
fn a_registry_that_has_no_groups_or_no_room_says_so() {
    let folder = Folder::new(SHARES);
    let mut stage = started(&folder, &Arc::new(InMemory::default().with_memberships(0)));
    let client = connect(&mut stage, 0x11);
    stage.join(client, DIGEST);
    stage.poll();
    assert_eq!(traces(&stage), ["Trace(\"the registry is full\")", "Trace(\"11: \")"]);
}
