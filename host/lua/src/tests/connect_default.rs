//! An `onConnect` that returns nothing, late decisions, and the handlers that are told of decisions.

use introd_config::{ConnectDefault, Fallback};
use introd_flash::amf::Value;

use super::*;

fn pending(main: &str) -> Scene {
    scene_with(main, |settings| settings.script.connect_default = ConnectDefault::Pending)
}

/// What has become of a client's connect.
fn decision(scene: &mut Scene, of: ClientId) -> Option<Effect> {
    scene
        .sent()
        .into_iter()
        .find(|effect| matches!(effect, Effect::Accept { client } | Effect::Reject { client, .. } if *client == of))
}

fn warnings(scene: &Scene) -> Vec<String> {
    let warning = |entry| match entry {
        JournalEntry::Warning(text) => Some(text),
        JournalEntry::Trace(_) | JournalEntry::Line(..) => None,
        JournalEntry::Failure(handler, failure) => panic!("{handler}: {failure}"),
    };
    scene.journal().into_iter().filter_map(warning).collect()
}

#[test]
fn a_client_waits_whose_on_connect_returns_nothing_if_the_settings_say_so() {
    let main = "function application.onConnect(client, word)
            if word == 'return' then return end
            if word == 'true' then return true end
            if word == 'false' then return false end
            if word == 'nil' then return nil end
            if word == 'accept' then application.acceptConnection(client) end
            if word == 'later' then setTimeout(application.acceptConnection, 500, client) end
        end";
    let outcomes = |mut scene: Scene| -> Vec<String> {
        let words = ["return", "true", "false", "nil", "accept", "later"];
        let outcome = |word: &str| {
            let client = scene.stage.connect(|info| info.request.arguments = vec![word.into()]);
            let at_once = decision(&mut scene, client);
            scene.advance(1000);
            match (at_once, decision(&mut scene, client)) {
                (Some(Effect::Accept { .. }), None) => "accepted".to_owned(),
                (Some(Effect::Reject { .. }), None) => "rejected".to_owned(),
                (None, Some(Effect::Accept { .. })) => "accepted later".to_owned(),
                (None, None) => "waits".to_owned(),
                other => panic!("{other:?}"),
            }
        };
        words.map(outcome).to_vec()
    };
    assert_eq!(outcomes(scene(main)), ["accepted", "accepted", "rejected", "waits", "accepted", "accepted"]);
    assert_eq!(outcomes(pending(main)), ["waits", "accepted", "rejected", "waits", "accepted", "accepted later"]);
}

#[test]
fn who_decides_late_about_a_client_that_is_in_is_warned_once() {
    let main = "local waiting = {}
        function application.onConnect(client)
            waiting[#waiting + 1] = client
        end
        function decide(f) return f(table.remove(waiting, 1)) end
        function Client:accept() return decide(application.acceptConnection) end
        function Client:reject() return decide(application.rejectConnection) end";
    let mut scene = scene(main);
    let client = scene.stage.connect(|_| ());
    scene.stage.connect(|_| ());
    scene.stage.call(client, "accept", 1.0, Vec::new());
    let told = warnings(&scene);
    assert!(told.len() == 1 && told[0].starts_with("main.lua:2: "), "{told:?}");
    assert!(told[0].contains("application.acceptConnection") && told[0].contains("`return nil`"), "{told:?}");
    scene.stage.call(client, "reject", 2.0, Vec::new());
    scene.stage.tell(AppEvent::Reload);
    assert_eq!(warnings(&scene), [""; 0], "once an instance");
    // The connection is closed all the same.
    assert!(scene.sent().iter().any(|effect| matches!(effect, Effect::Command(ClientCommand::Disconnect { .. }))));
}

#[test]
fn a_decision_that_is_not_late_warns_of_nothing() {
    for main in [
        "function application.onConnect(client) setTimeout(application.acceptConnection, 10, client) return nil end",
        "function application.onConnect(client) application.acceptConnection(client) application.acceptConnection(client) end",
        "function application.onConnect(client) setTimeout(application.rejectConnection, 10, client) return true end",
        "function application.onConnect(client) setTimeout(application.disconnect, 10, client) end",
    ] {
        let mut scene = scene(main);
        scene.stage.connect(|_| ());
        scene.advance(100);
        assert_eq!(warnings(&scene), [""; 0], "{main}");
    }
    let mut scene =
        pending("function application.onConnect(client) setTimeout(application.acceptConnection, 10, client) end");
    scene.stage.connect(|_| ());
    scene.advance(100);
    assert_eq!(warnings(&scene), [""; 0]);
    assert!(matches!(scene.sent()[..], [Effect::Accept { .. }]));
}

const TOLD: &str = "
    function application.onConnectAccept(client, ...) trace('accepted', client.farID ~= nil, ...) end
    function application.onConnectReject(client, ...) trace('rejected', client.farID ~= nil, ...) end
    function application.onDisconnect(client) trace('gone') end
    function Client:hello() trace('hello') end
";

#[test]
fn the_script_is_told_of_each_decision_with_the_arguments_of_connect() {
    for (main, told) in [
        ("", "accepted true ann 7"),
        ("function application.onConnect() return true end", "accepted true ann 7"),
        ("function application.onConnect() return false end", "rejected true ann 7"),
        ("function application.onConnect(c) application.rejectConnection(c, 'no') end", "rejected true ann 7"),
        ("function application.onConnect(c) application.acceptConnection(c) sleep(10) end", "accepted true ann 7"),
        (
            "function application.onConnect(c) setTimeout(application.acceptConnection, 10, c) return nil end",
            "accepted true ann 7",
        ),
        (
            "function application.onConnect(c) setTimeout(application.redirectConnection, 10, c, 'x') return nil end",
            "rejected true ann 7",
        ),
    ] {
        let mut scene = scene(&format!("{TOLD}{main}"));
        let client = scene.stage.connect(|info| info.request.arguments = vec!["ann".into(), Value::Number(7.0)]);
        scene.advance(100);
        assert_eq!(scene.traces(), [told], "{main}");
        scene.stage.disconnect(client);
        assert_eq!(scene.traces(), ["gone"], "{main}");
    }
    // A script that is late has not decided; the server has.
    let late = format!("{TOLD}function application.onConnect() return nil end");
    let mut scene = scene_with(&late, |settings| settings.policy.on_deadline = Fallback::Continue);
    scene.stage.connect(|_| ());
    scene.advance(3000);
    assert_eq!(scene.traces(), ["accepted true"]);
}

#[test]
fn the_script_is_told_of_its_decision_before_anything_else_that_the_client_does() {
    let mut scene = scene(&format!(
        "{TOLD}function application.onConnect(client) sleep(10) application.acceptConnection(client) trace('on') sleep(10) trace('done') end"
    ));
    let client = scene.stage.connect(|_| ());
    scene.stage.call(client, "hello", 0.0, Vec::new());
    scene.advance(100);
    assert_eq!(scene.traces(), ["on", "accepted true", "hello", "done"]);
    // Many at a time: each is told, a few in each turn.
    let mut scene = super::scene(&format!(
        "{TOLD}local waiting = {{}}
        function application.onConnect(client) waiting[#waiting + 1] = client return nil end
        function application.onAppStart() setTimeout(function()
            for _, client in ipairs(waiting) do application.acceptConnection(client) end
        end, 100) end"
    ));
    let clients: Vec<_> = (0..20).map(|_| scene.stage.connect(|_| ())).collect();
    scene.advance(200);
    assert_eq!(scene.traces(), vec!["accepted true"; 20]);
    clients.into_iter().for_each(|client| scene.stage.disconnect(client));
    assert_eq!(scene.traces(), vec!["gone"; 20]);
}
