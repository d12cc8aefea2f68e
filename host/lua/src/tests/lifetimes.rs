//! How long a request can be answered, and by what.

use std::sync::Mutex;
use std::time::Duration;

use rtmfp::{Origin, PeerId, TaggedAddress};

use super::*;
use introd_config::Fallback;
use introd_policy::message::AppEvent;

fn asker() -> std::net::SocketAddr {
    "192.0.2.1:1000".parse().unwrap()
}

#[test]
fn an_event_can_be_kept_and_answered_until_its_deadline() {
    let main = "kept = {}
        function application.onPeerLookup(event) kept[#kept + 1] = event end
        function Client:answer() return application.sendPeerRedirect({ '192.0.2.5:5' }, table.remove(kept)) end";
    let mut scene = scene(main);
    let client = scene.stage.connect(|_| ());
    scene.stage.look_up(Some(PeerId([9; 32])), asker(), None);
    scene.advance(1999);
    assert!(matches!(scene.sent()[..], [Effect::Accept { .. }]));
    scene.stage.call(client, "answer", 1.0, Vec::new());
    let sent = scene.sent();
    assert!(
        matches!(&sent[..], [Effect::Redirect { addresses, lookup }, Effect::Command(ClientCommand::Answer { outcome: Ok(_), .. })]
        if addresses[..] == [TaggedAddress::new("192.0.2.5:5".parse().unwrap(), Origin::Reported)]
            && lookup.initiator == asker()),
        "{sent:?}"
    );
    // Another waits for too long: silence, as the settings say, and an error that the script sees.
    scene.stage.look_up(Some(PeerId([9; 32])), asker(), None);
    scene.advance(2000);
    assert!(scene.sent().is_empty());
    scene.stage.call(client, "answer", 2.0, Vec::new());
    assert!(matches!(scene.sent()[..], [Effect::Command(ClientCommand::Answer { outcome: Err(_), .. })]));
    let failures = scene.failures();
    assert!(
        matches!(&failures[..], [(_, file, 3, text)] if file == "main.lua" && text.contains("has been answered")),
        "{failures:?}"
    );
}

#[test]
fn a_second_answer_is_an_error_that_the_script_sees() {
    let main = "function application.onPeerLookup(event)
            application.denyPeerLookup(event)
            local ok, problem = pcall(application.sendPeerRedirect, { '192.0.2.5:5' }, event)
            trace(ok, problem)
            trace(select(2, pcall(application.denyPeerLookup, event)))
        end";
    let mut scene = scene(main);
    scene.stage.look_up(None, asker(), None);
    assert!(matches!(scene.sent()[..], [Effect::Deny { .. }]));
    let traces = scene.traces();
    assert!(traces[0].starts_with("false ") && traces[0].contains("has been answered"), "{traces:?}");
    assert!(traces[1].contains("has been answered"), "{traces:?}");
}

#[test]
fn a_denial_has_the_reason_that_the_script_gives() {
    let main = "function application.onPeerLookup(event)
            trace(select(2, pcall(application.denyPeerLookup, event, {})))
            application.denyPeerLookup(event, 'not in the same room')
        end";
    let mut scene = scene(main);
    scene.stage.look_up(None, asker(), None);
    let sent = scene.sent();
    assert!(matches!(&sent[..], [Effect::Deny { reason, .. }] if reason == "not in the same room"), "{sent:?}");
    assert!(
        scene.traces()[0].contains("the reason is a string, not a table"),
        "a wrong reason does not use up the event"
    );
}

#[test]
fn a_list_that_is_wrong_does_not_use_up_the_event() {
    let main = "function application.onPeerLookup(event)
            for _, list in ipairs { {}, { 'here' }, { '192.0.2.1' }, { 42 }, { '192.0.2.1:99999' } } do
                trace(select(2, pcall(application.sendPeerRedirect, list, event)))
            end
            trace(select(2, pcall(application.sendPeerRedirect, nil, event)))
            trace(select(2, pcall(application.sendPeerRedirect, { '192.0.2.1:1' }, {})))
            application.sendPeerRedirect({ '192.0.2.1:1', '192.0.2.1:1', '[2001:db8::1]:2' }, event)
        end";
    let mut scene = scene(main);
    scene.stage.look_up(None, asker(), None);
    let sent = scene.sent();
    assert!(matches!(&sent[..], [Effect::Redirect { addresses, .. }] if addresses.len() == 2), "{sent:?}");
    let traces = scene.traces();
    assert_eq!(traces.len(), 7);
    assert!(traces.iter().all(|line| line.contains("address") || line.contains("event")), "{traces:?}");
}

#[test]
fn what_comes_instead_of_a_decision() {
    for (fallback, expected) in [(Fallback::Deny, "deny"), (Fallback::Ignore, ""), (Fallback::Continue, "builtin")] {
        let name = |sent: Vec<Effect>| match &sent[..] {
            [Effect::Deny { .. }] => "deny",
            [Effect::BuiltIn { .. }] => "builtin",
            [] => "",
            other => panic!("{other:?}"),
        };
        let change = |settings: &mut Application| {
            settings.policy.on_deadline = fallback;
            settings.policy.on_failure = Fallback::Ignore;
        };
        let mut late = scene_with("function application.onPeerLookup() end", change);
        late.stage.look_up(None, asker(), None);
        late.advance(1999);
        assert_eq!(name(late.sent()), "");
        late.advance(1);
        assert_eq!(name(late.sent()), expected);

        let change = |settings: &mut Application| {
            settings.policy.on_failure = fallback;
            settings.policy.on_deadline = Fallback::Ignore;
        };
        let mut failing = scene_with("function application.onPeerLookup() error('x') end", change);
        failing.stage.look_up(None, asker(), None);
        assert_eq!(name(failing.sent()), expected);
        let mut absent = scene_with("", change);
        absent.stage.look_up(None, asker(), None);
        assert_eq!(name(absent.sent()), expected);
    }
}

#[test]
fn a_failure_after_the_answer_changes_nothing() {
    let mut scene = scene(
        "function application.onPeerLookup(event) application.sendPeerRedirect({ '192.0.2.5:5' }, event) error('x') end",
    );
    scene.stage.look_up(None, asker(), None);
    assert!(matches!(scene.sent()[..], [Effect::Redirect { .. }]));
    scene.advance(10_000);
    assert!(scene.sent().is_empty());
}

#[test]
fn what_on_connect_returns() {
    for (returned, expected) in [
        ("", "accept"),
        ("return true", "accept"),
        ("return false", "[ Server.Reject ] : Connection rejected."),
        ("return nil", "wait"),
        ("return 42", "[ Server.Reject ] : the application failed"),
        ("return false, true", "[ Server.Reject ] : Connection rejected."),
        ("error('x')", "[ Server.Reject ] : the application failed"),
        ("application.acceptConnection(client)", "accept"),
        ("application.acceptConnection(client) return false", "accept"),
        ("application.acceptConnection(client) return nil", "accept"),
        ("application.rejectConnection(client)", "[ Server.Reject ] : Connection rejected."),
        ("application.rejectConnection(client, 'no room') return true", "no room"),
    ] {
        let mut scene = scene(&format!("function application.onConnect(client) {returned} end"));
        scene.stage.connect(|_| ());
        let sent = scene.sent();
        let outcome = match &sent[..] {
            [Effect::Accept { .. }] => "accept",
            [Effect::Reject { rejection, .. }] => {
                assert_eq!(rejection.code, "NetConnection.Connect.Rejected");
                &rejection.description
            }
            [] => "wait",
            other => panic!("{returned}: {other:?}"),
        };
        assert_eq!(outcome, expected, "{returned}");
        scene.advance(2000);
        let late = scene.sent();
        assert_eq!(matches!(late[..], [Effect::Reject { .. }]), expected == "wait", "{returned}: {late:?}");
    }
}

#[test]
fn a_connect_that_waits_is_decided_later() {
    let main = "waiting = {}
        function application.onConnect(client, mode)
            if mode == 'admin' then return true end
            table.insert(waiting, client)
            return nil
        end
        function Client:letIn() return application.acceptConnection(table.remove(waiting)) end
        function Client:refuse()
            return application.redirectConnection(table.remove(waiting), 'rtmfp://other/app', 'Moved', { load = 3 })
        end";
    let mut scene = scene(main);
    let admin = scene.stage.connect(|info| info.request.arguments = vec!["admin".into()]);
    let first = scene.stage.connect(|_| ());
    scene.stage.call(admin, "letIn", 1.0, Vec::new());
    let second = scene.stage.connect(|_| ());
    scene.stage.call(admin, "refuse", 2.0, Vec::new());
    let sent = scene.sent();
    use introd_flash::amf::Value;
    assert!(
        matches!(&sent[..], [
            Effect::Accept { client: a },
            Effect::Accept { client: b },
            Effect::Command(ClientCommand::Answer { outcome: Ok(Value::Boolean(true)), .. }),
            Effect::Reject { client: c, rejection },
            Effect::Command(ClientCommand::Answer { outcome: Ok(Value::Boolean(true)), .. }),
        ] if (*a, *b, *c) == (admin, first, second)
            && rejection.redirect.as_deref() == Some("rtmfp://other/app")
            && rejection.description == "Moved"
            && rejection.application == Some(Value::object([("load", Value::Number(3.0))]))),
        "{sent:?}"
    );
    scene.traces();
}

/// A registry that answers when it is told to.
#[derive(Default)]
struct Slow {
    waiting: Mutex<Vec<tokio::sync::oneshot::Sender<introd_policy::registry::LookupResult>>>,
}

impl introd_policy::registry::Registry for Slow {
    fn publish(&self, _: PeerId, _: &[TaggedAddress]) -> Result<(), introd_policy::registry::RegistryError> {
        Err(introd_policy::registry::RegistryError::Full)
    }

    fn withdraw(&self, _: &PeerId) {}

    fn lookup(&self, _: PeerId) -> introd_policy::registry::LookupFuture {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.waiting.lock().unwrap().push(sender);
        Box::pin(async move { receiver.await.unwrap_or(Ok(None)) })
    }
}

#[test]
fn a_registry_lookup_waits_and_others_go_on() {
    let folder = Folder::new(
        "function application.onPeerLookup(event)
            local function find() return registry.lookup(event.targetPeerID) end
            -- Waiting works in a coroutine of the script's own, and under pcall.
            local ok, addresses, problem = pcall(coroutine.wrap(find))
            if problem then trace(problem) end
            if addresses then application.sendPeerRedirect(addresses, event) else application.denyPeerLookup(event) end
        end
        function Client:hello() return 'still here' end
        function application.onAppStart() trace(registry.publish(('0'):rep(64), { '192.0.2.1:1' })) end",
    );
    let registry = std::sync::Arc::new(Slow::default());
    let stage =
        Stage::with_registry(folder.path(), settings(|_| ()), registry.clone()).unwrap_or_else(|e| panic!("{e}"));
    let mut scene = Scene { folder, stage };
    let client = scene.stage.connect(|_| ());
    for _ in 0..3 {
        scene.stage.look_up(Some(PeerId([7; 32])), asker(), None);
    }
    scene.stage.call(client, "hello", 1.0, Vec::new());
    assert!(matches!(
        scene.sent()[..],
        [Effect::Accept { .. }, Effect::Command(ClientCommand::Answer { outcome: Ok(_), .. })]
    ));
    let mut waiting = std::mem::take(&mut *registry.waiting.lock().unwrap());
    let known = TaggedAddress::new("198.51.100.7:1935".parse().unwrap(), Origin::Relay);
    waiting.pop().unwrap().send(Err(introd_policy::registry::RegistryError::Unavailable("gone".into()))).unwrap();
    waiting.pop().unwrap().send(Ok(None)).unwrap();
    waiting.pop().unwrap().send(Ok(Some(vec![known]))).unwrap();
    scene.stage.poll();
    let sent = scene.sent();
    assert!(
        matches!(&sent[..], [Effect::Redirect { addresses, .. }, Effect::Deny { .. }, Effect::Deny { .. }]
            if addresses[..] == [known]),
        "{sent:?}"
    );
    assert_eq!(scene.traces(), ["false the registry is full", "the registry is not available: gone"]);
}

#[test]
fn a_registry_lookup_gets_its_result_from_a_thread_that_always_has_something_to_do() {
    let busy = Folder::new(
        "function application.onAppStart()
            -- Takes longer than its period.
            setInterval(function() for _ = 1, 1000000 do end end, 1)
        end",
    );
    let asks = Folder::new(
        "function application.onPeerLookup(event)
            if not registry.lookup(event.targetPeerID) then application.denyPeerLookup(event) end
        end",
    );
    let registry = std::sync::Arc::new(Slow::default());
    let desk = std::sync::Arc::new(host::Desk::default());
    let settings = crate::HostSettings { threads: 1, ..Default::default() };
    let host = crate::Host::start(
        settings,
        desk.clone(),
        crate::Surroundings { registry: registry.clone(), ..crate::Surroundings::default() },
    )
    .unwrap();
    let busy = host::open(&host, host::name("busy", "1"), &busy);
    host::wait_for(&busy, crate::ScriptState::Running);
    let asks = host::open(&host, host::name("asks", "1"), &asks);
    asks.try_send(host::lookup_of(PeerId([7; 32]))).unwrap();
    let sender = loop {
        match registry.waiting.lock().unwrap().pop() {
            Some(sender) => break sender,
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    sender.send(Ok(None)).unwrap();
    assert!(host::is_denied(&desk.take(1)[0]));
}

#[test]
fn a_waiting_connect_of_a_client_that_leaves_is_dropped() {
    let main = "function application.onConnect(client)
            local closed <close> = setmetatable({}, { __close = function() trace('closed') end })
            sleep(60000)
            trace('never')
        end
        function application.onDisconnect(client) trace('gone', client.farID == nil) end";
    let mut scene = scene_with(main, |settings| settings.policy.deadline = Duration::from_secs(600));
    let client = scene.stage.connect(|_| ());
    scene.stage.tell(AppEvent::Disconnect { client });
    scene.advance(120_000);
    assert_eq!(scene.traces(), ["closed", "gone false"]);
    assert!(scene.sent().is_empty());
}
