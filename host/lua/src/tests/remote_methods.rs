//! Which functions a client can call, by name and by a path.

use introd_flash::amf::Value;
use introd_policy::ServerMethod;

use super::*;

/// What calls of these names come to: the result as text, or the description of the error.
fn call(scene: &mut Scene, client: ClientId, name: &str) -> String {
    scene.stage.call(client, name, 9.0, vec!["x".into()]);
    let answers: Vec<_> = scene
        .sent()
        .into_iter()
        .filter(|effect| matches!(effect, Effect::Command(ClientCommand::Answer { .. })))
        .collect();
    match &answers[..] {
        [Effect::Command(ClientCommand::Answer { outcome: Ok(value), .. })] => format!("{:?}", value.as_str()),
        [Effect::Command(ClientCommand::Answer { outcome: Err(info), .. })] => {
            info.get("description").and_then(Value::as_str).unwrap().to_owned()
        }
        other => panic!("{other:?}"),
    }
}

const MAIN: &str = "
    Client.chat = { say = function(client, text) return client.name .. ' says ' .. text end, deep = { er = { say = function() return 'deep' end } } }
    Client['odd.name'] = function() return 'odd' end
    Client.library = string
    Client.world = _G
    Client.app = application
    Client.all = Client
    Client.given = { trace = trace, sleep = sleep, shut = application.shutdown, upper = string.upper }
    Client.inherits = setmetatable({}, { __index = { secret = function() return 'secret' end } })
    Client.text = 'text'
    function secret() return 'secret' end
    function Client:onMessage() return 'event' end
    function application.onConnect(client)
        client.name = 'ann'
        client.own = { hello = function(self) return 'own of ' .. self.name end }
        client.friend = client
        client.friends = { client }
        client.groups = { onGroupJoin = function() return 'mine' end, __gc = function() return 'hidden' end }
    end";

#[test]
fn a_path_leads_to_functions_in_tables_of_the_client() {
    let mut scene = scene(MAIN);
    let client = scene.stage.connect(|_| ());
    scene.sent();
    for (name, result) in [
        ("chat.say", "Some(\"ann says x\")"),
        ("chat/say", "Some(\"ann says x\")"),
        ("chat.deep.er.say", "Some(\"deep\")"),
        ("own.hello", "Some(\"own of ann\")"),
        ("odd.name", "Some(\"odd\")"),
        ("groups.onGroupJoin", "Some(\"mine\")"),
    ] {
        assert_eq!(call(&mut scene, client, name), result, "{name}");
    }
    assert!(scene.traces().is_empty());
}

#[test]
fn a_path_leads_to_nothing_that_the_script_has_not_made_and_put_there() {
    let mut scene = scene(MAIN);
    let client = scene.stage.connect(|_| ());
    scene.sent();
    let long = format!("chat{}.say", ".deep".repeat(1000));
    for name in [
        "library.upper",
        "world.secret",
        "world.chat.say",
        "app.shutdown",
        "app.onConnect",
        "all.chat.say",
        "given.trace",
        "given.sleep",
        "given.shut",
        "given.upper",
        "inherits.secret",
        "text.upper",
        "friend.own.hello",
        "friends.1.own.hello",
        "chat",
        "chat.",
        ".chat.say",
        "chat..say",
        "chat.say.",
        "chat.none",
        "chat.say.more",
        "groups.__gc",
        "__index.say",
        "groupControls.x",
        "onMessage.x",
        "onGroupJoin.x",
        "call.x",
        "getStats",
        "ping",
        "call",
        "introducePeer",
        "",
        ".",
        "/",
        "getBandwidthLimit",
        "setBandwidthLimit",
        "readAccess",
        "a.b.c.d.e.f.g.h.i",
        long.as_str(),
    ] {
        let said = call(&mut scene, client, name);
        assert!(said.starts_with("Method not found"), "{name}: {said}");
    }
    assert!(scene.traces().is_empty());
    assert!(!scene.stage.runtime.is_over());
}

#[test]
fn the_bandwidth_of_a_client_is_measured_when_it_asks_for_that() {
    let mut scene = scene("");
    let client = scene.stage.connect(|_| ());
    scene.sent();
    scene.stage.call(client, "checkBandwidth", 0.0, Vec::new());
    let mut bytes = Vec::new();
    let done = loop {
        scene.advance(10);
        let Some(Effect::Command(ClientCommand::Call { method, arguments, token, .. })) = scene.sent().pop() else {
            panic!("no call")
        };
        if method == "onBWDone" {
            break arguments;
        }
        assert_eq!(method, "onBWCheck");
        bytes.push(arguments.first().and_then(Value::as_str).map_or(0, str::len));
        // The larger, the longer: 100 bytes in a millisecond, after a latency of 20.
        scene.advance(10 + bytes.last().copied().unwrap() as u64 / 100);
        scene.stage.tell(AppEvent::Answer { client, token: token.unwrap(), outcome: Ok(vec![Value::Number(0.0)]) });
    };
    assert_eq!(bytes, [0, 0, 16 << 10, 64 << 10]);
    let numbers: Vec<f64> = done.iter().filter_map(Value::as_number).collect();
    let [kilobits, sent, seconds, latency] = numbers[..] else { panic!("{done:?}") };
    assert!((750.0..=850.0).contains(&kilobits), "{numbers:?}");
    assert!(
        sent == f64::from((80 << 10) * 8 / 1000) && (0.7..1.0).contains(&seconds) && latency == 20.0,
        "{numbers:?}"
    );
    assert!(scene.traces().is_empty());
    // A script's own takes the place of the server's.
    let mut scene = super::scene("function Client:checkBandwidth() return 'own' end");
    let client = scene.stage.connect(|_| ());
    scene.sent();
    assert_eq!(call(&mut scene, client, "checkBandwidth"), "Some(\"own\")");
}

#[test]
fn a_client_that_does_not_answer_is_not_measured_and_few_are_at_a_time() {
    let mut scene = scene(
        "function application.onConnect(client) client.ok = client:checkBandwidth() and not client:checkBandwidth() end
        function Client:again() return tostring(self.ok) .. ' ' .. tostring(self:checkBandwidth()) end",
    );
    let clients: Vec<_> = (0..20).map(|_| scene.stage.connect(|_| ())).collect();
    scene.advance(10);
    let calls = scene.sent().into_iter().filter_map(|effect| match effect {
        Effect::Command(ClientCommand::Call { client, token, .. }) => Some((client, token.unwrap())),
        _ => None,
    });
    let calls: Vec<_> = calls.collect();
    assert_eq!(calls.len(), 16);
    assert_eq!(call(&mut scene, clients[19], "again"), "Some(\"false false\")");
    let (client, token) = calls[0];
    scene.stage.tell(AppEvent::Answer { client, token, outcome: Err(Vec::new()) });
    scene.stage.disconnect(clients[1]);
    scene.advance(10);
    assert_eq!(call(&mut scene, clients[0], "again"), "Some(\"true true\")");
    assert_eq!(call(&mut scene, clients[18], "again"), "Some(\"false true\")");
    assert_eq!(call(&mut scene, clients[17], "again"), "Some(\"false false\")");
    scene.advance(120_000);
    assert!(scene.traces().is_empty());
}

#[test]
fn a_method_of_the_server_is_the_servers_unless_the_script_defines_it() {
    let mut scene = scene(
        "function application.onConnect(client, word)
            if word == 'wait' then return nil end
            if word == 'own' then client.introd = { connectivity = function() return 'own' end } end
            return true
        end",
    );
    let name = "introd.connectivity";
    let connect = |scene: &mut Scene, word: &str| {
        let client = scene.stage.connect(|info| info.request.arguments = vec![word.into()]);
        scene.sent();
        client
    };
    let (plain, own, waiting) = (connect(&mut scene, "plain"), connect(&mut scene, "own"), connect(&mut scene, "wait"));
    scene.stage.call(plain, name, 9.0, Vec::new());
    let sent = scene.sent();
    let ClientCommand::AnswerByServer { client, transaction: 9.0, method: ServerMethod::Connectivity } = (match &sent[..]
    {
        [Effect::Command(command)] => command,
        other => panic!("{other:?}"),
    }) else {
        panic!("{sent:?}")
    };
    assert_eq!(*client, plain);
    // Without a responder nobody waits for the answer.
    scene.stage.call(plain, name, 0.0, Vec::new());
    assert!(scene.sent().is_empty());
    assert_eq!(call(&mut scene, own, name), "Some(\"own\")");
    assert_eq!(call(&mut scene, waiting, name), "Not connected (introd.connectivity).");
    assert_eq!(scene.stage.runtime.instance.requests.len(), 1, "of all requests the connect alone waits");
}
