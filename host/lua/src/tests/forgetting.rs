//! Of clients, groups and calls that are over the host keeps nothing.

use std::sync::Arc;
use std::time::Instant;

use introd_flash::amf::Value;
use introd_policy::message::{AppEvent, Commands, SendError};
use introd_policy::registry::InMemory;
use introd_policy::{RequestId, Verdict};
use rtmfp::PeerId;

use super::*;
use crate::instance::Instance;
use crate::instance::clock::Clock;
use crate::instance::random::Random;
use crate::runtime::Runtime;

/// A script that meets its clients in every way, and keeps their objects.
const MEETS: &str = "
    kept = {}
    function application.onConnect(client, how)
        kept[#kept + 1] = client
        if how == 'reject' then return false end
        if how == 'wait' then return nil end
        application.acceptConnection(client)
        kept[#kept + 1] = application.clients[client.farID]
    end
    function Client:onGroupJoin(control) kept[#kept + 1] = control kept[#kept + 1] = self.groupControls end
    function Client:onGroupLeave(_, control) kept[#kept + 1] = control end
    function application.onDisconnect(client) kept[#kept + 1] = client kept[#kept + 1] = client.groupControls end
    function Client:ask() self:call('x', print) self:callAndWait('y') end";

#[test]
fn nothing_is_kept_of_a_client_that_is_gone() {
    let mut scene = scene(MEETS);
    let mut clients = Vec::new();
    for how in ["", "", "reject", "wait", ""] {
        let client = scene.stage.connect(|info| info.request.arguments = vec![how.into()]);
        let left = scene.stage.join(client, [1; 32]);
        scene.stage.join(client, [2; 32]);
        scene.stage.tell(AppEvent::GroupLeave { client, membership: left, groupspec_digest: [1; 32] });
        scene.stage.call(client, "ask", 1.0, Vec::new());
        clients.push(client);
    }
    let (kept, instance) = (&scene.stage.runtime.script.state, std::rc::Rc::clone(&scene.stage.runtime.instance));
    assert_eq!(kept.objects.kept(), (5, 5, 3), "of memberships those that have not ended");
    for client in clients {
        scene.stage.disconnect(client);
    }
    let state = &scene.stage.runtime.script.state;
    assert_eq!(state.objects.kept(), (0, 0, 0));
    assert_eq!((state.next_asked(), scene.stage.runtime.script.vm.waiting()), (None, 0));
    assert_eq!((instance.requests.len(), instance.roster.borrow().len(), instance.ledger.all().len()), (0, 0, 0));
    assert_eq!(scene.stage.runtime.next_timeout(), None);
    scene.journal();
}

#[test]
fn who_is_gone_is_found_no_more_and_who_comes_back_is_found_where_it_is_now() {
    let mut scene = scene(
        "function application.onConnect(client, name) client.name = name end
        function Client:who(id) local found = application.clients[id] return found and found.name or 'nobody' end",
    );
    let id = PeerId([7; 32]);
    let asker = scene.stage.connect(|_| ());
    let who = |scene: &mut Scene| {
        scene.stage.call(asker, "who", 1.0, vec![id.to_string().as_str().into()]);
        match scene.sent().pop() {
            Some(Effect::Command(ClientCommand::Answer { outcome: Ok(Value::String(name)), .. })) => name,
            other => panic!("{other:?}"),
        }
    };
    let arrives = |scene: &mut Scene, name: &str| {
        scene.stage.connect(|info| (info.far_id, info.request.arguments) = (id, vec![name.into()]))
    };
    let first = arrives(&mut scene, "first");
    assert_eq!(who(&mut scene), "first");
    let second = arrives(&mut scene, "second");
    assert_eq!(who(&mut scene), "second");
    scene.stage.disconnect(first);
    assert_eq!(who(&mut scene), "second");
    scene.stage.disconnect(second);
    assert_eq!(who(&mut scene), "nobody");
}

#[test]
fn who_comes_after_one_that_has_left_is_the_target_of_its_own_lookups_alone() {
    let mut scene = scene(
        "function application.onConnect(client, name) client.name = name end
        function application.onPeerLookup(event)
            local target = application.clients[event.targetPeerID]
            trace(event.targetPeerID:sub(1, 2), target and target.name, target and target:introducePeer(event.initiatorAddress, event.tag))
        end",
    );
    let peer = |number: u8| PeerId([number; 32]);
    let arrives = |scene: &mut Scene, number: u8| {
        let name = format!("n{number}");
        let client = scene
            .stage
            .connect(|info| (info.far_id, info.request.arguments) = (peer(number), vec![name.as_str().into()]));
        scene.sent();
        client
    };
    let look_up = |scene: &mut Scene, numbers: &[u8]| {
        let from = ([192, 0, 2, 1], 9).into();
        let lookups: Vec<_> = numbers.iter().map(|number| (Some(peer(*number)), from, None)).collect();
        scene.stage.look_up_together(&lookups);
        let introduced: Vec<ClientId> = scene.sent().iter().filter_map(introduced).collect();
        (scene.traces(), introduced)
    };
    let (first, second) = (arrives(&mut scene, 1), arrives(&mut scene, 2));
    let both = vec!["01 n1 true".to_owned(), "02 n2 true".to_owned()];
    for _ in 0..2 {
        assert_eq!(look_up(&mut scene, &[1, 2]), (both.clone(), vec![first, second]));
    }
    scene.stage.disconnect(first);
    let third = arrives(&mut scene, 3);
    for _ in 0..2 {
        let (traces, told) = look_up(&mut scene, &[3, 1, 2]);
        assert_eq!(traces, ["03 n3 true", "01 nil nil", "02 n2 true"]);
        assert_eq!(told, [third, second]);
    }
}

fn introduced(effect: &Effect) -> Option<ClientId> {
    match effect {
        Effect::Command(ClientCommand::Introduce { client, .. }) => Some(*client),
        _ => None,
    }
}

#[test]
fn an_object_that_is_made_of_a_client_which_has_gone_is_the_scripts_alone() {
    let mut scene = scene(
        "function Client:walk() for _, client in pairs(application.clients) do trace(client.id) sleep(100) end end",
    );
    let clients: Vec<_> = (0..3).map(|_| scene.stage.connect(|_| ())).collect();
    scene.stage.call(clients[0], "walk", 1.0, Vec::new());
    scene.stage.disconnect(clients[2]);
    scene.advance(1000);
    assert_eq!(scene.traces(), ["0:00000001", "0:00000002", "0:00000003"]);
    assert_eq!(scene.stage.runtime.script.state.objects.kept().0, 2);
}

#[test]
fn a_member_that_has_left_a_group_gets_no_hints_and_none_gets_one_about_itself() {
    let mut scene = scene(
        "function Client:onGroupJoin(control) kept = control end
        function Client:hint(id) return kept:addNeighbor(id) end
        function Client:groups() return #self.groupControls end",
    );
    let client = scene.stage.connect(|info| info.far_id = PeerId([7; 32]));
    let membership = scene.stage.join(client, [1; 32]);
    let ask = |scene: &mut Scene, method: &str, id: PeerId| {
        scene.sent();
        scene.stage.call(client, method, 1.0, vec![id.to_string().as_str().into()]);
        let sent = scene.sent();
        let Some(Effect::Command(ClientCommand::Answer { outcome: Ok(value), .. })) = sent.last() else { panic!() };
        (value.clone(), sent.len() - 1)
    };
    let (other, own) = (PeerId([8; 32]), PeerId([7; 32]));
    assert_eq!(ask(&mut scene, "hint", other), (Value::Boolean(true), 1));
    assert_eq!(ask(&mut scene, "hint", own), (Value::Boolean(false), 0));
    assert_eq!(ask(&mut scene, "groups", other).0, Value::Number(1.0));
    scene.stage.tell(AppEvent::GroupLeave { client, membership, groupspec_digest: [1; 32] });
    assert_eq!(ask(&mut scene, "hint", other), (Value::Boolean(false), 0));
    assert_eq!(ask(&mut scene, "groups", other).0, Value::Number(0.0));
}

#[test]
fn a_call_of_the_old_script_fails_when_it_is_replaced() {
    let mut scene = scene(
        "function Client:slow() local x <close> = setmetatable({}, { __close = function() trace('closed') end }) sleep(1e6) end",
    );
    let client = scene.stage.connect(|_| ());
    scene.sent();
    scene.stage.call(client, "slow", 5.0, Vec::new());
    scene.stage.tell(AppEvent::Reload);
    assert!(
        matches!(&scene.sent()[..], [Effect::Command(ClientCommand::Answer { transaction, outcome: Err(_), .. })] if *transaction == 5.0)
    );
    assert_eq!((scene.stage.runtime.instance.requests.len(), scene.traces()), (0, vec!["closed".to_owned()]));
}

/// Workers that have all stopped: no command reaches any.
struct Stopped;

impl Commands for Stopped {
    fn decide(&self, _: RequestId, _: Verdict) {}

    fn send(&self, _: ClientCommand) -> Result<(), SendError> {
        Err(SendError::Stopped)
    }

    fn count_lost(&self, _: u8) {}
}

#[test]
fn no_call_waits_for_the_answer_of_a_client_that_it_did_not_reach() {
    let folder = Folder::new(
        "function application.onConnect(client)
            application.acceptConnection(client)
            trace(client:call('x', print), pcall(client.callAndWait, client, 'x'))
            trace(pcall(client.getStats, client))
        end",
    );
    let settings = Arc::new(settings(|_| ()));
    let name = super::host::name("app", "1");
    let registry = Arc::new(InMemory::default());
    let instance =
        Instance::new(name, settings, Arc::new(Stopped), registry, Arc::default(), Arc::default(), Instant::now());
    let instance = instance.for_test(Clock::of_system(Instant::now()), Random::default());
    let mut runtime =
        Runtime::start(std::rc::Rc::new(instance), folder.path()).unwrap_or_else(|error| panic!("{error}"));
    runtime.handle(Instant::now(), super::host::connect(1));
    let traces = runtime.instance.journal.take();
    let lines: Vec<_> = traces.iter().map(|entry| format!("{entry:?}")).collect();
    assert!(lines[0].contains("false false") && lines[0].contains("busy"), "{lines:?}");
    assert!(lines[1].contains("false") && lines[1].contains("busy"), "{lines:?}");
    assert_eq!((runtime.script.state.next_asked(), runtime.script.vm.waiting()), (None, 0));
}

#[test]
fn registry_lookups_that_wait_are_bounded() {
    let scene = scene("");
    let instance = &scene.stage.runtime.instance;
    let begun = (0..20_000).take_while(|_| instance.begin_lookup(PeerId([1; 32])).is_ok()).count();
    assert_eq!(begun, 16_384);
    assert_eq!(instance.queries.take().len(), 16_384);
    assert!(instance.begin_lookup(PeerId([1; 32])).is_err(), "they have no results yet");
    instance.queries.done(1);
    assert!(instance.begin_lookup(PeerId([1; 32])).is_ok() && instance.begin_lookup(PeerId([1; 32])).is_err());
}
