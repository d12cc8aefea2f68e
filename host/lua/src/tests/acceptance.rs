//! What a client can do, and what can be done with it, before it is accepted and after it was rejected.

use introd_config::Fallback;
use introd_flash::amf::Value;
use introd_policy::RequestId;
use introd_policy::message::AppEvent;

use super::*;

/// Clients of which the first argument says how their connect is decided.
const DECIDES: &str = "
    waiting = {}
    function application.onConnect(client, how)
        client.how = how
        if how == 'reject' then return false end
        if how == 'later' then waiting[#waiting + 1] = client return nil end
        if how == 'slowly reject' then sleep(100) return false end
        if how == 'fail late' then application.acceptConnection(client) error('deliberate') end
    end
    function application.onDisconnect(client) trace(client.how, 'gone', #application.clients) end
    function Client:onFarAddressChange() trace(self.how, 'moved') end
    function Client:say(text) return text end
    function Client:decide(how) return application[how](waiting[1]) end";

fn connect(scene: &mut Scene, how: &str) -> ClientId {
    scene.stage.connect(|info| info.request.arguments = vec![how.into()])
}

/// What a call of `say` comes to: the result, or why there is none.
fn answer(scene: &mut Scene, client: ClientId) -> String {
    scene.stage.call(client, "say", 1.0, vec!["hi".into()]);
    last_answer(scene)
}

fn last_answer(scene: &mut Scene) -> String {
    match scene.sent().pop() {
        Some(Effect::Command(ClientCommand::Answer { outcome: Ok(value), .. })) => {
            value.as_str().map_or_else(|| format!("{value:?}"), str::to_owned)
        }
        Some(Effect::Command(ClientCommand::Answer { outcome: Err(info), .. })) => {
            info.get("description").and_then(Value::as_str).unwrap().to_owned()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_an_accepted_client_calls_methods() {
    let mut scene = scene(DECIDES);
    let accepted = connect(&mut scene, "");
    assert_eq!(answer(&mut scene, accepted), "hi");
    for how in ["reject", "later"] {
        let client = connect(&mut scene, how);
        assert_eq!(answer(&mut scene, client), "Not connected (say).", "{how}");
        scene.stage.tell(AppEvent::FarAddressChange { client, address: "192.0.2.9:9".parse().unwrap() });
    }
    // A client that waits is told to the script, one that was rejected is not.
    assert_eq!(scene.traces(), ["later moved"]);
    let slow = connect(&mut scene, "slowly reject");
    scene.stage.call(slow, "say", 1.0, vec!["hi".into()]);
    assert!(scene.sent().is_empty(), "it waits for onConnect");
    scene.advance(100);
    assert_eq!(last_answer(&mut scene), "Not connected (say).");
    assert_eq!(scene.stage.runtime.instance.requests.len(), 1, "the connect of the one that waits");
}

#[test]
fn no_client_calls_what_is_the_hosts_or_hidden() {
    let names = ["__secret", "connect", "getStats", "callAndWait", "onGroupLeave", "reportedAddresses", "setPeerInfo"];
    let defined: String =
        names.iter().map(|name| format!("rawset(Client, '{name}', function() return 'reached' end) ")).collect();
    let mut scene = scene(&defined);
    let client = scene.stage.connect(|_| ());
    for name in names {
        scene.stage.call(client, name, 1.0, Vec::new());
        assert_eq!(last_answer(&mut scene), format!("Method not found ({name})."));
    }
}

#[test]
fn what_a_client_calls_is_shown_abridged() {
    let mut scene = scene(DECIDES);
    let client = connect(&mut scene, "");
    scene.stage.call(client, &"x".repeat(5000), 1.0, Vec::new());
    assert_eq!(last_answer(&mut scene), format!("Method not found ({}).", "x".repeat(64)));
}

#[test]
fn an_error_after_the_acceptance_does_not_take_it_back() {
    let mut scene = scene(DECIDES);
    let client = connect(&mut scene, "fail late");
    assert!(matches!(scene.sent()[..], [Effect::Accept { .. }]));
    assert_eq!(answer(&mut scene, client), "hi");
    scene.journal();
}

#[test]
fn a_connect_is_decided_once() {
    let decisions = |steps: &[&str]| {
        let mut scene = scene(DECIDES);
        let admin = connect(&mut scene, "");
        let waiting = connect(&mut scene, "later");
        scene.sent();
        let mut outcomes = Vec::new();
        for how in steps {
            if *how == "deadline" {
                scene.advance(2000);
                assert!(matches!(scene.sent()[..], [Effect::Reject { .. }]));
                continue;
            }
            scene.stage.call(admin, "decide", 1.0, vec![(*how).into()]);
            let mut effects = scene.sent();
            let Some(Effect::Command(ClientCommand::Answer { outcome, .. })) = effects.pop() else { panic!() };
            let effect = match &effects[..] {
                [] => "",
                [Effect::Accept { client }] if *client == waiting => "accept",
                [Effect::Reject { client, .. }] if *client == waiting => "reject",
                [Effect::Command(ClientCommand::Disconnect { client, .. })] if *client == waiting => "disconnect",
                other => panic!("{other:?}"),
            };
            outcomes.push((outcome.unwrap() == Value::Boolean(true), effect));
        }
        outcomes
    };
    let (accept, reject, disconnect) = ("acceptConnection", "rejectConnection", "disconnect");
    assert_eq!(decisions(&[accept, accept]), [(true, "accept"), (false, "")]);
    assert_eq!(decisions(&[reject, accept, reject]), [(true, "reject"), (false, ""), (false, "")]);
    assert_eq!(decisions(&[disconnect, accept]), [(true, "reject"), (false, "")], "it waits: it is rejected");
    assert_eq!(decisions(&[accept, reject]), [(true, "accept"), (true, "disconnect")], "it is in: it is disconnected");
    assert_eq!(decisions(&[accept, disconnect]), [(true, "accept"), (true, "disconnect")]);
    assert_eq!(decisions(&["deadline", accept, accept]), [(false, ""), (false, "")]);
    assert_eq!(decisions(&["deadline", reject, accept]), [(false, ""), (false, "")]);
}

#[test]
fn nothing_is_sent_to_a_client_that_is_not_accepted() {
    let mut scene = scene(
        "function application.onConnect(client)
            trace(client:call('x'), client:call('x', print), client:ping(), client:introducePeer('192.0.2.1:1', 'tag'))
            trace(pcall(client.callAndWait, client, 'x'))
            trace(pcall(client.getStats, client))
            kept = client
            return nil
        end
        function Client:onGroupJoin(control) trace(control:addNeighbor(('ab'):rep(32))) end",
    );
    let client = scene.stage.connect(|_| ());
    scene.stage.join(client, [1; 32]);
    let traces = scene.traces();
    assert_eq!(traces[0], "false false false false");
    assert!(traces[1].starts_with("false") && traces[1].contains("it is not connected"), "{traces:?}");
    assert!(traces[2].starts_with("false") && traces[2].contains("it is not connected"), "{traces:?}");
    assert_eq!(traces[3..], ["false"]);
    assert!(scene.sent().is_empty());
    assert_eq!(scene.stage.runtime.script.state.next_asked(), None);
}

#[test]
fn a_client_that_the_settings_let_in_is_there_once() {
    let mut scene = scene_with(
        "function application.onConnect() error('x') end function Client:count() return #application.clients end
            function application.onDisconnect() trace('gone', #application.clients) end",
        |settings| {
            settings.policy.on_failure = Fallback::Continue;
        },
    );
    let client = scene.stage.connect(|_| ());
    assert!(matches!(scene.sent()[..], [Effect::Accept { .. }]));
    scene.journal();
    scene.stage.tell(AppEvent::Accepted { client });
    scene.stage.call(client, "count", 1.0, Vec::new());
    assert_eq!(last_answer(&mut scene), "Number(1.0)");
    scene.stage.tell(AppEvent::Disconnect { client });
    assert_eq!(scene.traces(), ["gone 0"]);
    // One that nobody knows is not let in.
    scene.stage.tell(AppEvent::Accepted { client });
    assert_eq!(scene.stage.runtime.instance.roster.borrow().len(), 0);
}

/// The worker has answered a request before the script's turn came.
#[test]
fn what_was_answered_meanwhile_does_not_reach_the_script() {
    let mut scene = scene(&format!(
        "{DECIDES} function Client:note() trace('called') end
        function application.onPeerLookup() trace('looked up') end"
    ));
    let accepted = connect(&mut scene, "");
    scene.sent();
    let (client, info) = scene.stage.next_client();
    let request = RequestId::from_number(1 << 40);
    let call = introd_flash::server::Call {
        name: "note".to_owned(),
        transaction: 1.0,
        object: Value::Null,
        arguments: Vec::new(),
    };
    let instance = std::rc::Rc::clone(&scene.stage.runtime.instance);
    let now = instance.now.get();
    for event in [
        AppEvent::Connect { request, client, info: std::sync::Arc::new(info) },
        AppEvent::Call { client: accepted, call },
        super::host::lookup(),
    ] {
        let item = instance.requests.admit(event).unwrap();
        assert_eq!(instance.requests.take_all().len(), 1);
        scene.stage.runtime.handle_item(now, item);
    }
    assert!(scene.sent().is_empty());
    // The script was never told of that client, nor is it told of its end.
    scene.stage.tell(AppEvent::Disconnect { client });
    assert_eq!(scene.traces(), [""; 0]);
    assert_eq!(instance.roster.borrow().len(), 1);
}

#[test]
fn a_session_that_asks_to_connect_again_has_ended_before() {
    let mut scene = scene(DECIDES);
    let client = connect(&mut scene, "");
    let (_, mut info) = scene.stage.next_client();
    info.request.arguments = vec!["".into()];
    scene.stage.ask_to_connect(client, info);
    assert_eq!(scene.traces(), [" gone 0"]);
    assert_eq!(answer(&mut scene, client), "hi");
    assert_eq!(scene.stage.runtime.instance.roster.borrow().len(), 1);
}

#[test]
fn arguments_for_which_there_is_no_memory_let_nobody_in() {
    let mut scene = scene_with(DECIDES, |settings| settings.script.memory = 8 << 20);
    let large = || Value::ByteArray(vec![0; 9 << 20]);
    scene.stage.connect(|info| info.request.arguments = vec![large()]);
    assert!(matches!(scene.sent()[..], [Effect::Reject { .. }]));
    let client = connect(&mut scene, "");
    scene.stage.call(client, "say", 1.0, vec![large()]);
    assert_eq!(last_answer(&mut scene), "Call failed (say).");
    let failures = scene.failures();
    assert_eq!(failures.iter().map(|failure| failure.0.as_str()).collect::<Vec<_>>(), ["arguments", "arguments"]);
}

#[test]
fn what_is_said_to_a_rejected_client_is_bounded() {
    let mut scene = scene(
        "function application.onConnect(client, url)
            application.redirectConnection(client, ('u'):rep(url), ('d'):rep(5000))
        end",
    );
    let mut redirected = |url: f64| {
        scene.stage.connect(|info| info.request.arguments = vec![Value::Number(url)]);
        match scene.sent().pop() {
            Some(Effect::Reject { rejection, .. }) => (rejection.redirect.map(|url| url.len()), rejection.description),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(redirected(4096.0), (Some(4096), "d".repeat(4096)));
    assert_eq!(redirected(4097.0).0, None, "that is an error");
    assert!(scene.failures()[0].3.contains("at most 4096 bytes"));
}

#[test]
fn the_reason_of_a_disconnect_is_for_the_log_alone() {
    let mut scene = scene(
        "function application.onConnect(client, how)
            if how == 'early' then application.disconnect(client, 'banned') return nil end
        end
        function Client:decide(reason) return application.disconnect(self, reason) end",
    );
    scene.stage.connect(|info| info.request.arguments = vec!["early".into()]);
    let sent = scene.sent();
    let [Effect::Reject { rejection, .. }] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(rejection.private_reason.as_deref(), Some("banned"));
    assert!(!rejection.description.contains("banned"), "{rejection:?}");
    for (given, expected) in [
        (Value::String("floods".to_owned()), Some("floods".to_owned())),
        (Value::Null, None),
        (Value::String("ä".repeat(500)), Some("ä".repeat(128))),
    ] {
        let client = scene.stage.connect(|_| ());
        scene.sent();
        scene.stage.call(client, "decide", 0.0, vec![given]);
        let sent = scene.sent();
        let [Effect::Command(ClientCommand::Disconnect { reason, .. })] = &sent[..] else { panic!("{sent:?}") };
        assert_eq!(reason.as_deref(), expected.as_deref());
    }
    let client = scene.stage.connect(|_| ());
    scene.sent();
    scene.stage.call(client, "decide", 0.0, vec![Value::Boolean(true)]);
    assert!(scene.sent().is_empty());
    assert!(scene.failures()[0].3.contains("the reason is a string, not a boolean"));
}

#[test]
fn an_instance_stops_once() {
    let mut scene = scene("function application.onAppStop(info) trace('stops', info.reason) end");
    scene.stage.connect(|_| ());
    scene.sent();
    scene.stage.tell(AppEvent::Stop);
    scene.stage.tell(AppEvent::Stop);
    assert_eq!(scene.traces(), ["stops server"]);
    assert!(matches!(scene.sent()[..], [Effect::Command(ClientCommand::Disconnect { .. })]));
}
