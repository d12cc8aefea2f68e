//! Errors of handlers: the log and the script are told of them, with their place.

use rtmfp::PeerId;

use super::*;
use introd_policy::message::AppEvent;

#[test]
fn errors_in_every_handler_are_told_with_file_and_line() {
    let main = "
        local function fail() error('deliberate') end
        for _, name in ipairs { 'onAppStart', 'onAppStop', 'onConnect', 'onDisconnect', 'onPeerLookup' } do
            application[name] = fail
        end
        for _, name in ipairs { 'onFarAddressChange', 'onReportedAddressesChange', 'onGroupJoin', 'onGroupLeave', 'hello' } do
            Client[name] = fail
        end
        function application.onStatus(info) trace(info.code, info.details, info.lineno) end";
    let mut scene = scene(main);
    let refused = scene.stage.connect(|_| ());
    scene.stage.tell(AppEvent::Disconnect { client: refused });
    assert!(matches!(scene.sent()[..], [Effect::Reject { .. }]));
    scene.folder.write("main.lua", &main.replace("'onConnect', ", ""));
    scene.stage.tell(AppEvent::Reload);
    scene.journal();
    let client = scene.stage.connect(|_| ());
    scene.stage.tell(AppEvent::FarAddressChange { client, address: "192.0.2.7:7".parse().unwrap() });
    scene.stage.tell(AppEvent::ReportedAddressesChange { client, addresses: Vec::new() });
    let membership = scene.stage.join(client, [1; 32]);
    scene.stage.tell(AppEvent::GroupLeave { client, membership, groupspec_digest: [1; 32] });
    scene.stage.call(client, "hello", 7.0, Vec::new());
    scene.stage.look_up(None, "192.0.2.1:1".parse().unwrap(), None);
    scene.stage.tell(AppEvent::Disconnect { client });
    scene.stage.tell(AppEvent::Stop);
    let (failures, traces): (Vec<_>, Vec<_>) =
        scene.journal().into_iter().partition(|entry| matches!(entry, JournalEntry::Failure(..)));
    let handlers: Vec<_> = failures
        .into_iter()
        .map(|entry| match entry {
            JournalEntry::Failure(handler, failure) => {
                assert_eq!((failure.file.as_str(), failure.line), ("main.lua", 2));
                assert_eq!(failure.to_string(), "main.lua:2: deliberate");
                assert!(!failure.traceback.is_empty());
                handler
            }
            JournalEntry::Trace(line) | JournalEntry::Line(_, line) | JournalEntry::Warning(line) => line,
        })
        .collect();
    let expected = [
        "onFarAddressChange",
        "onReportedAddressesChange",
        "onGroupJoin",
        "onGroupLeave",
        "hello",
        "onPeerLookup",
        "onDisconnect",
        "onAppStop",
    ];
    assert_eq!(handlers, expected);
    assert_eq!(traces.len(), expected.len());
    assert_eq!(traces[0], JournalEntry::Trace("Application.Script.Error onFarAddressChange 2".to_owned()));
    let sent = scene.sent();
    assert!(
        matches!(
            &sent[..],
            [
                Effect::Accept { .. },
                Effect::Command(ClientCommand::Answer { outcome: Err(_), .. }),
                Effect::Deny { .. },
                ..
            ]
        ),
        "{sent:?}"
    );
}

#[test]
fn an_error_in_on_status_is_not_told_to_on_status() {
    let mut scene =
        scene("function application.onStatus() error('again') end function application.onConnect() error('once') end");
    scene.stage.connect(|_| ());
    let failures = scene.failures();
    assert_eq!(failures.iter().map(|failure| failure.0.as_str()).collect::<Vec<_>>(), ["onConnect", "onStatus"]);
}

#[test]
fn errors_that_are_no_text() {
    for (value, text) in [
        ("{}", "the error is a table"),
        ("nil", "the error is a nil"),
        ("42", "42"),
        ("true", "true"),
        ("print", "the error is a function"),
        ("setmetatable({}, { __tostring = function() while true do end end })", "the error is a table"),
        ("application.clients", "the error is a table"),
        ("coroutine.create(print)", "the error is a thread"),
    ] {
        let mut scene = scene(&format!("function application.onConnect()\n\n  error({value})\nend"));
        scene.stage.connect(|_| ());
        let failures = scene.failures();
        assert!(
            matches!(&failures[..], [(_, file, 3, message)] if file == "main.lua" && message.contains(text)),
            "{value}: {failures:?}"
        );
        assert!(matches!(scene.sent()[..], [Effect::Reject { .. }]), "{value}");
    }
}

/// Whatever follows from one event, it is not more than a few handlers in one turn.
#[test]
fn errors_are_told_in_later_turns_when_they_are_many() {
    let main = "
        local told = 0
        function application.onStatus() told = told + 1 end
        function application.onConnect(client)
            application.acceptConnection(client)
            for i = 1, 20 do client:call('x', function() error('deliberate') end) end
        end
        function application.onPeerLookup(event) trace(told) end";
    let mut scene = scene(main);
    let client = scene.stage.connect(|_| ());
    let at = scene.stage.runtime.instance.now.get();
    scene.stage.runtime.handle(at, AppEvent::Disconnect { client });
    assert!(scene.stage.runtime.is_behind());
    assert!(scene.stage.runtime.instance.handlers.count() <= 8);
    scene.advance(0);
    scene.stage.look_up(Some(PeerId([1; 32])), "192.0.2.1:1".parse().unwrap(), None);
    let told: Vec<_> = scene
        .journal()
        .into_iter()
        .filter_map(|entry| if let JournalEntry::Trace(line) = entry { Some(line) } else { None })
        .collect();
    assert_eq!(told, ["20"]);
}

/// Each turn begins anew.
#[test]
fn an_error_in_a_later_turn_is_told_at_once() {
    let main = "function application.onStatus(info) trace(info.details) end
        function Client:fail() error('deliberate') end";
    let mut scene = scene(main);
    let client = scene.stage.connect(|_| ());
    for _ in 0..20 {
        let call = introd_flash::server::Call {
            name: "fail".to_owned(),
            transaction: 0.0,
            object: introd_flash::amf::Value::Null,
            arguments: Vec::new(),
        };
        let at = scene.stage.runtime.instance.now.get();
        scene.stage.runtime.handle(at, AppEvent::Call { client, call });
        assert!(!scene.stage.runtime.is_behind());
    }
    assert_eq!(scene.journal().len(), 40);
}

#[test]
fn of_very_many_errors_at_once_the_script_is_told_a_bounded_number() {
    let main = "
        told = 0
        function application.onStatus() told = told + 1 end
        function application.onConnect(client)
            application.acceptConnection(client)
            for i = 1, 200 do client:call('x', function() error('deliberate') end) end
        end
        function Client:told() return told end";
    let mut scene = scene(main);
    let client = scene.stage.connect(|_| ());
    let watcher = scene.stage.connect(|_| ());
    let tokens: Vec<u64> = scene
        .sent()
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::Command(ClientCommand::Call { client: of, token, .. }) if of == client => token,
            _ => None,
        })
        .collect();
    assert_eq!(tokens.len(), 200);
    // All in one turn of the instance.
    let at = scene.stage.runtime.instance.now.get() + Duration::from_secs(60);
    scene.stage.runtime.handle_timeout(at, || false);
    scene.sent();
    scene.stage.call(watcher, "told", 1.0, Vec::new());
    let sent = scene.sent();
    let Some(Effect::Command(ClientCommand::Answer { outcome: Ok(told), .. })) = sent.last() else {
        panic!("{sent:?}")
    };
    let told = told.as_number().unwrap();
    assert!((64.0..=80.0).contains(&told), "{told}");
}

#[test]
fn the_first_of_several_errors_counts() {
    let first = "function application.onConnect()
        local x <close> = setmetatable({}, { __close = function()
            error('second') end })
        error('first')
    end";
    let mut scene = scene(first);
    scene.stage.connect(|_| ());
    let failures = scene.failures();
    assert!(matches!(&failures[..], [(_, _, 4, text)] if text.contains("first")), "{failures:?}");
}

#[test]
fn of_a_deep_recursion_the_place_is_told_but_not_all_of_its_calls() {
    let main = "
        function application.onPeerLookup()
            local function f(n) return 1 + f(n + 1) end
            return f(1)
        end";
    let mut scene = scene(main);
    scene.stage.look_up(Some(PeerId([1; 32])), "192.0.2.1:1".parse().unwrap(), None);
    let journal = format!("{:?}", scene.journal());
    assert!(
        journal.contains("main.lua:3: stack overflow") && journal.contains("more than 10000 nested calls"),
        "{journal}"
    );
}
