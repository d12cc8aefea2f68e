//! The order in which a script is told of events.

use super::*;
use introd_flash::amf::Value;
use introd_policy::message::{AppEvent, ClientStats};

/// Traces all that happens to clients.
const TELL: &str = "
    function Client:onFarAddressChange() trace(self.name, 'moved', self.farAddress, self.ip) end
    function Client:onReportedAddressesChange() trace(self.name, 'reported', table.concat(self.reportedAddresses, ' ')) end
    function Client:onGroupJoin(control) trace(self.name, 'joined', control.groupspecDigest:sub(1, 4)) end
    function Client:onGroupLeave(digest) trace(self.name, 'left', digest:sub(1, 4)) end
    function Client:say(text) trace(self.name, 'said', text) return text end
    function application.onDisconnect(client) trace(client.name, 'gone', #application.clients) end
";

#[test]
fn events_of_a_client_come_in_their_order_and_disconnect_last() {
    let mut scene = scene(&format!(
        "{TELL} function application.onConnect(client, name) client.name = name trace(name, 'connects') end"
    ));
    let client = scene.stage.connect(|info| info.request.arguments = vec!["ann".into()]);
    scene.stage.tell(AppEvent::ReportedAddressesChange { client, addresses: vec!["10.0.0.1:1".parse().unwrap()] });
    scene.stage.call(client, "say", 1.0, vec!["hi".into()]);
    let membership = scene.stage.join(client, [0xab; 32]);
    scene.stage.tell(AppEvent::FarAddressChange { client, address: "[::ffff:192.0.2.9]:9".parse().unwrap() });
    scene.stage.tell(AppEvent::GroupLeave { client, membership, groupspec_digest: [0xab; 32] });
    scene.stage.tell(AppEvent::Disconnect { client });
    // The client has left: the script is told nothing more, and a second end counts for nothing.
    scene.stage.tell(AppEvent::Disconnect { client });
    scene.stage.call(client, "say", 2.0, vec!["ghost".into()]);
    assert_eq!(
        scene.traces(),
        [
            "ann connects",
            "ann reported 10.0.0.1:1",
            "ann said hi",
            "ann joined abab",
            "ann moved 192.0.2.9:9 192.0.2.9",
            "ann left abab",
            "ann gone 0",
        ]
    );
    let sent = scene.sent();
    assert!(
        matches!(&sent[..], [Effect::Accept { .. }, Effect::Command(ClientCommand::Answer { outcome: Ok(Value::String(hi)), .. }),
            Effect::Command(ClientCommand::Answer { outcome: Err(_), .. })] if hi == "hi"),
        "{sent:?}"
    );
}

#[test]
fn what_happens_while_on_connect_waits_comes_after_it() {
    let mut scene = scene(&format!(
        "{TELL} function application.onConnect(client, name) sleep(500) client.name = name trace(name, 'connects') return true end"
    ));
    let ann = scene.stage.connect(|info| info.request.arguments = vec!["ann".into()]);
    scene.stage.tell(AppEvent::FarAddressChange { client: ann, address: "192.0.2.9:9".parse().unwrap() });
    scene.stage.tell(AppEvent::ReportedAddressesChange { client: ann, addresses: Vec::new() });
    assert!(scene.sent().is_empty());
    assert!(scene.traces().is_empty());
    scene.advance(500);
    assert!(matches!(scene.sent()[..], [Effect::Accept { .. }]));
    assert_eq!(scene.traces(), ["ann connects", "ann moved 192.0.2.9:9 192.0.2.9", "ann reported "]);
}

/// Slow handlers of one client do not follow each other without a turn for others in between.
#[test]
fn what_is_much_while_on_connect_waits_comes_in_turns_and_in_its_order() {
    let mut scene = scene(&format!(
        "{TELL} function application.onConnect(client, name) sleep(500) client.name = name return true end"
    ));
    let ann = scene.stage.connect(|info| info.request.arguments = vec!["ann".into()]);
    for number in 0..10 {
        scene.stage.call(ann, "say", f64::from(number), vec![number.to_string().as_str().into()]);
    }
    // A turn that is over after the first thing that was due.
    let at = scene.stage.runtime.instance.now.get() + Duration::from_millis(500);
    scene.stage.runtime.handle_timeout(at, || true);
    let said = |range: std::ops::Range<u32>| range.map(|number| format!("ann said {number}")).collect::<Vec<_>>();
    let first = scene.traces();
    assert_eq!(first, said(0..4));
    // What comes now comes after all that, also the client's end.
    scene.stage.runtime.handle(at, AppEvent::FarAddressChange { client: ann, address: "192.0.2.9:9".parse().unwrap() });
    scene.stage.runtime.handle(at, AppEvent::Disconnect { client: ann });
    assert_eq!(scene.traces(), [""; 0]);
    scene.advance(500);
    let last = ["ann moved 192.0.2.9:9 192.0.2.9".to_owned(), "ann gone 0".to_owned()];
    assert_eq!(scene.traces(), [said(4..10), last.to_vec()].concat());
    assert_eq!(scene.stage.runtime.next_timeout(), None);
}

/// One handler that lets in many clients, to each of whom something has happened, is not followed by all that in its turn.
#[test]
fn what_happened_to_many_clients_that_are_let_in_together_comes_in_turns() {
    let mut scene = scene(&format!(
        "{TELL} local waiting = {{}}
        function application.onConnect(client, name)
            client.name = name waiting[#waiting + 1] = client
            sleep(1000)
        end
        function application.onAppStart()
            setTimeout(function() for _, client in ipairs(waiting) do application.acceptConnection(client) end end, 500)
        end"
    ));
    let clients: Vec<_> = (0..10)
        .map(|number: u32| {
            scene.stage.connect(|info| info.request.arguments = vec![number.to_string().as_str().into()])
        })
        .collect();
    for client in clients {
        scene.stage.tell(AppEvent::FarAddressChange { client, address: "192.0.2.9:9".parse().unwrap() });
    }
    let at = scene.stage.runtime.instance.now.get() + Duration::from_millis(500);
    scene.stage.runtime.handle_timeout(at, || true);
    assert_eq!(scene.traces().len(), 4);
    scene.advance(500);
    assert_eq!(scene.traces().len(), 6);
}

#[test]
fn of_a_client_that_leaves_before_it_is_accepted_the_script_is_told_only_the_end() {
    let mut scene = scene(&format!(
        "{TELL} function application.onConnect(client, name) client.name = name sleep(500) return true end"
    ));
    let ann = scene.stage.connect(|info| info.request.arguments = vec!["ann".into()]);
    for number in 0..10 {
        scene.stage.call(ann, "say", f64::from(number), vec!["hi".into()]);
    }
    scene.stage.tell(AppEvent::Disconnect { client: ann });
    scene.advance(1000);
    assert_eq!(scene.traces(), ["ann gone 0"]);
}

#[test]
fn a_client_that_is_let_in_does_not_wait_for_the_rest_of_on_connect() {
    let mut scene = scene(&format!(
        "{TELL} function application.onConnect(client, name)
            client.name = name
            application.acceptConnection(client)
            while true do sleep(1000) trace(name, 'is watched') end
        end"
    ));
    let ann = scene.stage.connect(|info| info.request.arguments = vec!["ann".into()]);
    scene.stage.call(ann, "say", 0.0, vec!["hi".into()]);
    scene.advance(2000);
    scene.stage.tell(AppEvent::Disconnect { client: ann });
    scene.advance(10_000);
    assert_eq!(scene.traces(), ["ann said hi", "ann is watched", "ann is watched", "ann gone 0"]);
}

#[test]
fn clients_find_each_other_by_number_and_by_peer_id() {
    let main = "
        function application.onConnect(client, name) client.name = name return name ~= 'bad' end
        function Client:list()
            local names = {}
            for index, client in ipairs(application.clients) do names[index] = client.name end
            for index, client in pairs(application.clients) do assert(names[index] == client.name) end
            assert(#names == #application.clients and #names == application.clients.length)
            assert(application.clients[self.farID] == self and application.clients[self.farID:upper()] == self)
            assert(application.clients[0] == nil and application.clients[#names + 1] == nil and application.clients.x == nil)
            table.sort(names)
            return table.concat(names, ' ')
        end";
    let mut scene = scene(main);
    let names = ["ann", "bad", "bob", "eve"];
    let clients: Vec<_> =
        names.iter().map(|name| scene.stage.connect(|info| info.request.arguments = vec![(*name).into()])).collect();
    scene.sent();
    scene.stage.call(clients[0], "list", 1.0, Vec::new());
    scene.stage.tell(AppEvent::Disconnect { client: clients[2] });
    scene.stage.call(clients[3], "list", 1.0, Vec::new());
    let lists: Vec<_> = scene
        .sent()
        .into_iter()
        .map(|command| match command {
            Effect::Command(ClientCommand::Answer { outcome: Ok(Value::String(text)), .. }) => text,
            other => panic!("{other:?}: {:?}", scene.failures()),
        })
        .collect();
    assert_eq!(lists, ["ann bob eve", "ann eve"]);
}

#[test]
fn calls_to_a_client_with_and_without_waiting() {
    let main = "
        function application.onConnect(client)
            application.acceptConnection(client)
            assert(client:call('note', nil, 1, 'two'))
            assert(client:call('ask', function(...) trace('answer', ...) end, 'a'))
            assert(client:call('ask', { onResult = function(self, x) trace('result', x) end, onStatus = function(self, info) trace('status', info.code) end }))
            trace('waited for', client:callAndWait('slow'))
            trace('stats', client:getStats().bytes_in)
            local nothing, info = client:callAndWait('broken')
            trace('failed', nothing, info.code)
            trace('ping', client:ping(), pcall(client.call, 'x'))
        end";
    let mut scene = scene(main);
    let client = scene.stage.connect(|_| ());
    let tokens: Vec<_> = scene
        .sent()
        .into_iter()
        .filter_map(|command| match command {
            Effect::Command(ClientCommand::Call { method, arguments, token, .. }) => {
                if method == "note" {
                    assert_eq!((arguments, token), (vec![Value::Number(1.0), "two".into()], None));
                }
                token
            }
            _ => None,
        })
        .collect();
    let answer = |token, outcome| AppEvent::Answer { client, token, outcome };
    scene.stage.tell(answer(tokens[0], Ok(vec!["x".into(), Value::Boolean(true)])));
    scene.stage.tell(answer(tokens[1], Err(Vec::new())));
    scene.stage.tell(answer(tokens[2], Ok(vec![Value::Number(2.5)])));
    let Some(Effect::Command(ClientCommand::GetStats { token, .. })) = scene.sent().pop() else { panic!() };
    let stats = Some(ClientStats { bytes_in: 42, ..ClientStats::default() });
    scene.stage.tell(AppEvent::Stats { client, token, stats });
    let Some(Effect::Command(ClientCommand::Call { token: Some(token), .. })) = scene.sent().pop() else { panic!() };
    // An answer that no handler waits for does no harm.
    scene.stage.tell(answer(9999, Ok(Vec::new())));
    scene.stage.tell(answer(token, Err(Vec::new())));
    let traces = scene.traces();
    assert_eq!(
        traces[..5],
        [
            "answer x true",
            "status NetConnection.Call.Failed",
            "waited for 2.5",
            "stats 42",
            "failed nil NetConnection.Call.Failed"
        ]
    );
    assert!(traces[5].starts_with("ping true false main.lua:11: call is a method of a client"), "{traces:?}");
}

#[test]
fn what_a_client_does_not_answer_is_answered_for_it() {
    let main = "
        function Client:go()
            self:call('ask', function(nothing, info) trace('asked', nothing, info.description) end)
            trace('waited', select(2, self:callAndWait('ask')).description)
            if self.reportedAddresses[1] then trace('stats', self:getStats()) end
        end
        function application.onStatus(info) trace(info.description) end
        function application.onDisconnect(client) trace('gone', client:call('ask', print)) end";
    let mut scene = scene(main);
    let slow = scene.stage.connect(|_| ());
    scene.stage.call(slow, "go", 0.0, Vec::new());
    scene.advance(59_999);
    assert!(scene.traces().is_empty());
    scene.advance(1);
    let late = "The client did not answer in time.";
    assert_eq!(scene.traces(), [format!("asked nil {late}"), format!("waited {late}")]);
    // An answer that comes now has no effect.
    let tokens: Vec<u64> = scene
        .sent()
        .iter()
        .filter_map(|command| match command {
            Effect::Command(ClientCommand::Call { token, .. }) => *token,
            _ => None,
        })
        .collect();
    assert_eq!(tokens.len(), 2);
    for token in tokens {
        scene.stage.tell(AppEvent::Answer { client: slow, token, outcome: Ok(Vec::new()) });
    }
    assert!(scene.traces().is_empty());

    let leaver = scene.stage.connect(|_| ());
    scene
        .stage
        .tell(AppEvent::ReportedAddressesChange { client: leaver, addresses: vec!["10.0.0.1:1".parse().unwrap()] });
    scene.stage.call(leaver, "go", 0.0, Vec::new());
    scene.stage.tell(AppEvent::Disconnect { client: leaver });
    let failures: Vec<_> = scene.journal();
    let Some(JournalEntry::Failure(_, problem)) =
        failures.iter().find(|entry| matches!(entry, JournalEntry::Failure(..)))
    else {
        panic!("{failures:?}")
    };
    assert!(problem.message.contains("has no statistics"), "{problem}");
    let traces: Vec<_> = failures.iter().filter(|entry| matches!(entry, JournalEntry::Trace(_))).cloned().collect();
    let said = ["asked nil The client is gone.", "waited The client is gone.", &problem.to_string(), "gone false"];
    assert_eq!(traces, said.map(|line| JournalEntry::Trace(line.to_owned())));
    assert_eq!(scene.stage.runtime.script.vm.waiting(), 0);
    assert_eq!(scene.stage.runtime.script.state.next_asked(), None);
}

#[test]
fn clients_call_what_the_script_gives_them_and_nothing_else() {
    let main = "
        function Client:hello(name) return 'hello ' .. name end
        function application.onConnect(client) function client.own(self) return self == client end end
        function Client:onGroupJoin() return 'not for clients' end
        function Client:ping() return 'mine' end
        function Client:broken() error('secret') end
        function Client:empty() end
        Client.text = 'no function'";
    let mut scene = scene(main);
    let client = scene.stage.connect(|_| ());
    scene.sent();
    let mut answer = |name: &str| {
        scene.stage.call(client, name, 3.0, vec!["you".into()]);
        match scene.stage.take().pop() {
            Some(Effect::Command(ClientCommand::Answer { transaction: 3.0, outcome, .. })) => outcome,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(answer("hello"), Ok("hello you".into()));
    assert_eq!(answer("own"), Ok(Value::Boolean(true)));
    assert_eq!(answer("empty"), Ok(Value::Null));
    for name in ["nothing", "text", "onGroupJoin", "ping", "introducePeer", "farID", "__index", "onStatus", "broken"] {
        let info = answer(name).unwrap_err();
        let text = info.get("description").and_then(Value::as_str).unwrap();
        assert!(text.contains(name) && !text.contains("secret"), "{name}: {text}");
    }
    // Without a transaction there is no answer, not even no.
    scene.stage.call(client, "nothing", 0.0, Vec::new());
    scene.stage.call(client, "hello", 0.0, vec!["you".into()]);
    assert!(scene.sent().is_empty());
}

#[test]
fn timers() {
    let main = "
        local count = 0
        local slow = 0
        local id = setInterval(print, 1e9)
        function application.onAppStart() end";
    assert!(Stage::start(Folder::new(main).path(), settings(|_| ())).is_err(), "not before the start");
    let main = "
        function application.onAppStart()
            local count, id = 0
            id = setInterval(function(word) count = count + 1 trace(word, count) if count == 3 then clearInterval(id) end end, 100, 'tick')
            setTimeout(trace, 250, 'once')
            clearTimeout(setTimeout(trace, 10, 'never'))
            setInterval(function() sleep(1000) trace('slow') end, 400)
            clearInterval(nil) clearInterval('x') clearInterval(12345)
            for _, wrong in ipairs { 'x', {}, 0/0 } do assert(not pcall(setTimeout, print, wrong)) end
            assert(not pcall(setTimeout, 'print', 1))
            local before = now()
            sleep(50.5)
            assert(now() - before >= 50, now() - before)
        end";
    let mut scene = scene(main);
    scene.advance(350);
    assert_eq!(scene.traces(), ["tick 1", "tick 2", "once", "tick 3"]);
    // A timer whose last call still waits leaves this one out.
    scene.advance(2650);
    assert_eq!(scene.traces(), ["slow", "slow"]);
}

#[test]
fn shutdown_ends_the_instance() {
    let mut scene = scene(
        "function application.onConnect(client, quit) if quit then application.shutdown() end return nil end
        function application.onAppStop(info) trace('stop', info.reason) end",
    );
    scene.stage.connect(|_| ());
    scene.stage.connect(|info| info.request.arguments = vec![true.into()]);
    assert!(scene.stage.runtime.is_over());
    assert_eq!(scene.traces(), ["stop shutdown"]);
    let sent = scene.sent();
    assert!(
        matches!(&sent[..], [Effect::Reject { rejection, .. }, Effect::Reject { .. }]
        if rejection.code == "NetConnection.Connect.AppShutdown"),
        "{sent:?}"
    );
}
