//! Scripts that mean harm, or come to it.

use std::time::Duration;

use rtmfp::PeerId;

use super::*;

/// Handlers that would never end, each in its own way.
const ENDLESS: &[(&str, &str)] = &[
    ("a loop", "while true do end"),
    ("a loop that calls", "local function f() end while true do f() end"),
    ("a loop of errors", "while true do pcall(error, 'x') end"),
    ("a loop inside pcall", "while true do pcall(function() while true do end end) end"),
    (
        "a loop inside xpcall",
        "while true do xpcall(function() while true do end end, function() while true do end end) end",
    ),
    ("a loop in an error handler", "xpcall(error, function() while true do end end)"),
    ("an endless coroutine", "coroutine.wrap(function() while true do end end)()"),
    ("endless coroutines", "while true do pcall(coroutine.wrap(function() while true do end end)) end"),
    ("a loop of resumes", "while true do coroutine.resume(coroutine.create(function() while true do end end)) end"),
    (
        "coroutines in coroutines",
        "local function deep(n) while true do pcall(coroutine.wrap(function() deep(n + 1) end)) end end deep(0)",
    ),
    (
        "a loop of yields",
        "local co = coroutine.wrap(function() while true do coroutine.yield() end end) while true do co() end",
    ),
    ("a metamethod", "local t = setmetatable({}, { __index = function() while true do end end }) local _ = t.x"),
    (
        "a closing variable",
        "local x <close> = setmetatable({}, { __close = function() while true do end end }) error('x')",
    ),
    ("a comparison", "table.sort({ 1, 2, 3 }, function() while true do end end)"),
    ("a replacement", "string.gsub('x', 'x', function() while true do end end)"),
    ("a pattern", "for i = 1, 1e9 do pcall(string.find, ('a'):rep(3000), ('a-'):rep(30) .. 'b') end"),
    ("joining", "local t = {} for i = 1, 1e5 do t[i] = 'x' end while true do table.concat(t) end"),
    ("sorting", "local t = {} while true do for i = 1, 1e5 do t[i] = i * 7919 % 100003 end table.sort(t) end"),
    ("repeating", "while true do string.rep('x', 1e6) end"),
    ("a string that becomes nothing", "while true do string.rep('', math.maxinteger) end"),
    ("moving nothing", "while true do pcall(table.move, {}, 1, math.maxinteger - 1, 2) end"),
    (
        "a false length",
        "while true do pcall(table.insert, setmetatable({}, { __len = function() return 1 << 60 end }), 1, 1) end",
    ),
    ("long strings", "local s = ('x'):rep(1 << 22) while true do local t = s:upper() .. s end"),
    ("collecting", "while true do collectgarbage() end"),
    (
        "closing a coroutine that the end of its time has ended",
        "local co = coroutine.create(function()
            local x <close> = setmetatable({}, { __close = function() while true do end end })
            while true do end
        end)
        local y <close> = setmetatable({}, { __close = function() coroutine.close(co) end })
        coroutine.resume(co)",
    ),
    (
        "closing variables of nested coroutines",
        "local forever = { __close = function() while true do end end }
        local function deep(n)
            local x <close> = setmetatable({}, forever)
            local co <close> = setmetatable({}, { __close = function() while true do pcall(deep, n + 1) end end })
            if n < 20 then coroutine.wrap(deep)(n + 1) end
            while true do end
        end
        deep(0)",
    ),
    (
        "closing variables one after the other",
        "local forever = setmetatable({}, { __close = function() while true do end end })
        local function deep(n) local x <close> = forever if n < 150 then deep(n + 1) else while true do end end end
        deep(0)",
    ),
    (
        "a loop with a closing value",
        "for _ in next, {}, nil, setmetatable({}, { __close = function() while true do end end }) do end",
    ),
    (
        "sorting long strings",
        "local a, t = ('x'):rep(1 << 20), {}
        local b = a .. 'y'
        for i = 1, 1e5 do t[i] = i % 2 == 0 and a or b end
        table.sort(t)",
    ),
    (
        "inserting at the front",
        "local t = {} for i = 1, 3e5 do t[i] = i end while true do table.insert(t, 1, 1) table.remove(t, 1) end",
    ),
    ("unpacking", "local t = {} for i = 1, 2e5 do t[i] = i end while true do select('#', table.unpack(t)) end"),
    (
        "a full memory",
        "local t = {} while true do if not pcall(function() for i = 1, 1e6 do t[#t + 1] = { i } end end) then t[#t] = nil end end",
    ),
    (
        "arithmetic with long texts",
        "local s = (' '):rep(12e6) .. '1' while true do pcall(function() return s + s end) end",
    ),
    ("reading long texts as numbers", "local s = ('1'):rep(12e6) while true do tonumber(s, 10) math.abs(s) end"),
    ("long texts as keys", "local s, t = (' '):rep(8e6), {} for i = 1, 1e9 do t[s .. i] = nil end"),
    ("writing long texts", "local s = ('\\0'):rep(12e6) while true do trace(s) end"),
    ("moving nothing between places that are no integers", "while true do pcall(table.move, {}, 1.0, 2.0 ^ 62, 2) end"),
    (
        "a closing variable of a replacement",
        "string.gsub('x', 'x', function()
            local x <close> = setmetatable({}, { __close = function() while true do end end })
            while true do end
        end)",
    ),
    (
        "a closing variable of a metamethod that the host calls",
        "trace(setmetatable({}, { __tostring = function()
            local x <close> = setmetatable({}, { __close = function() while true do end end })
            while true do end
        end }))",
    ),
    ("counting characters", "local s = ('x'):rep(1 << 24) while true do utf8.len(s) s:upper() end"),
];

#[test]
fn what_never_ends_is_ended() {
    for (what, code) in ENDLESS {
        let main = format!("function application.onPeerLookup(event)\n{code}\nend");
        let mut scene = scene_with(&main, |settings| settings.script.time = Some(Duration::from_millis(30)));
        scene.stage.look_up(Some(PeerId([1; 32])), "192.0.2.1:1".parse().unwrap(), None);
        let failures = scene.failures();
        assert!(
            matches!(&failures[..], [(_, file, line, text)]
            // Where the limit meets the host's own part of the calls, the handler's first line stands for the place.
            if file == "main.lua" && *line >= 1 && text.contains("has run longer than 30ms")),
            "{what}: {failures:?}"
        );
        assert!(matches!(scene.sent()[..], [Effect::Deny { .. }]), "{what}");
        // The machine is as good as before.
        scene.stage.connect(|_| ());
        assert!(matches!(scene.sent()[..], [Effect::Accept { .. }]), "{what}");
    }
}

#[test]
fn a_script_that_never_ends_does_not_load() {
    for code in ["while true do end", "while true do pcall(function() while true do end end) end"] {
        let folder = Folder::new(code);
        let limited = settings(|settings| settings.script.time = Some(Duration::from_millis(30)));
        let failure = Stage::start(folder.path(), limited).err().unwrap();
        assert!(failure.message.contains("has run longer"), "{failure}");
    }
}

#[test]
fn time_is_counted_over_all_of_a_handlers_turns() {
    let main = "function application.onAppStart()
        while true do
            sleep(10)
            local until_sum = 0
            for i = 1, 3e5 do until_sum = until_sum + i end
        end
    end";
    let mut scene = scene_with(main, |settings| settings.script.time = Some(Duration::from_millis(40)));
    scene.advance(100_000);
    let failures = scene.failures();
    assert!(matches!(&failures[..], [(name, ..)] if name == "onAppStart"), "{failures:?}");
}

#[test]
fn what_takes_too_much_fails() {
    // The stack that scripts have.
    let thread = std::thread::Builder::new().stack_size(crate::engine::limits::STACK);
    thread.spawn(take_too_much).unwrap().join().unwrap();
}

fn take_too_much() {
    for (what, code, expected) in [
        ("deep recursion", "local function f(n) return 1 + f(n + 1) end f(1)", "stack overflow"),
        (
            "recursion through the host",
            "local function f() return (string.gsub('x', 'x', f)) end f()",
            "stack overflow",
        ),
        (
            "recursion through pcall",
            "local function f() local ok, e = pcall(f) if not ok then error(e, 0) end end f()",
            "overflow",
        ),
        ("a string of 1 GiB", "local s = ('x'):rep(1 << 30)", "not enough memory"),
        ("a string that doubles", "local s = 'x' while true do s = s .. s end", "not enough memory"),
        ("a table that grows", "local t = {} for i = 1, 1e9 do t[i] = i end", "not enough memory"),
        ("a replacement that explodes", "local s = ('x'):rep(1e6) s:gsub('x+', ('%0'):rep(1e5))", "not enough memory"),
        (
            "joining a false list",
            "table.concat(setmetatable({}, { __index = rawlen }), '', 1, 1e15)",
            "too many elements",
        ),
        ("a pathological pattern", "string.find(('a'):rep(100000), '.-.-.-.-.-.-b')", "pattern too complex"),
        ("a pattern that nests", "string.find(('a'):rep(1000), ('a?'):rep(1000) .. 'b')", "pattern too complex"),
        ("tables in themselves", "local t = {} t.t = t application.broadcastMsg('x', t)", "nested too deeply"),
        ("a finalizer", "setmetatable({}, { __gc = function() while true do end end })", "finalizers"),
        ("a million timers", "for i = 1, 1e6 do setTimeout(print, 1e6) end", "too many timers"),
    ] {
        let main = format!("function application.onPeerLookup(event)\n{code}\nend");
        let mut scene = scene_with(&main, |settings| {
            settings.script.memory = 48 << 20;
            settings.script.time = Some(Duration::from_secs(10));
        });
        scene.stage.look_up(Some(PeerId([1; 32])), "192.0.2.1:1".parse().unwrap(), None);
        let failures = scene.failures();
        assert!(
            matches!(&failures[..], [(name, _, _, text)] if name == "onPeerLookup" && text.contains(expected)),
            "{what}: {failures:?}"
        );
        assert!(matches!(scene.sent()[..], [Effect::Deny { .. }]), "{what}");
        scene.stage.connect(|_| ());
        assert!(matches!(scene.sent()[..], [Effect::Accept { .. }]), "{what}");
    }
}

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
    use introd_policy::message::AppEvent;
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
            JournalEntry::Trace(line) => line,
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

#[test]
fn nothing_leads_out_of_the_machine() {
    let scene = scene(
        "for _, name in ipairs { 'io', 'os', 'debug', 'package', 'dofile', 'loadfile', 'loadstring', 'warn' } do
            assert(_G[name] == nil, name)
        end
        assert(string.dump == nil)
        for _, path in ipairs { '/etc/passwd', '../main.lua', 'a/../../main.lua', '', 'a\\\\b', 'a\\0b', '.', 'main' } do
            assert(not pcall(load, path), path)
            assert(not pcall(require, path .. '/../x'), path)
        end
        assert(getmetatable('').__index == string)
        assert(getmetatable(application.clients) == false)
        trace('done')",
    );
    assert_eq!(scene.traces(), ["done"]);
}

/// What a handler may leave behind for later ones, and what might make the host run it where no limit holds.
#[test]
fn no_finalizer_gets_in_by_any_metatable() {
    let main = "
        local function forever() while true do end end
        local function try(metatable)
            if type(metatable) == 'table' then pcall(rawset, metatable, '__gc', forever) end
        end
        local function crawl(value, seen)
            if seen[value] then return end
            seen[value] = true
            try(getmetatable(value))
            if type(value) == 'table' then
                for k, v in next, value do
                    try(k) try(v)
                    if type(k) ~= 'string' then crawl(k, seen) end
                    crawl(v, seen)
                end
            end
        end
        function application.onConnect(client, list)
            crawl(client, {}) crawl(list, {})
            Client.list = list
            try(getmetatable(Array {})) try(getmetatable('')) try(getmetatable(null)) try(getmetatable(Date(1)))
            local _, problem = pcall(application.acceptConnection, 1)
            try(getmetatable(problem))
            local late = {}
            setmetatable({}, late)
            late.__gc = forever
            for i = 1, 100 do
                Array {} Date(1) ByteArray('x') coroutine.create(forever)
                assert(not pcall(setmetatable, {}, late) and not pcall(setmetatable, {}, { __gc = false }))
            end
            assert(getmetatable(Array {}) == false)
            assert(not pcall(Array, application.clients))
        end
        function application.onPeerLookup(event)
            crawl(event, {})
            application.denyPeerLookup(event)
        end";
    let mut scene = scene(main);
    for _ in 0..3 {
        scene.stage.connect(|info| {
            info.request.arguments = vec![introd_flash::amf::Value::Array(Vec::new())];
        });
        scene.stage.look_up(Some(PeerId([1; 32])), "192.0.2.1:1".parse().unwrap(), None);
        scene.stage.runtime.script.lua().gc_collect().unwrap();
    }
    assert_eq!(scene.traces(), [""; 0]);
    assert_eq!(scene.sent().len(), 6);
}

/// The end of its time leaves a coroutine where it stood: a later handler that goes on with it, or closes it, has its own limit.
#[test]
fn a_coroutine_that_its_time_has_ended_is_bounded_in_later_handlers_too() {
    let main = "
        function application.onPeerLookup()
            co = coroutine.create(function()
                local x <close> = setmetatable({}, { __close = function() while true do end end })
                while true do end
            end)
            coroutine.resume(co)
        end
        function application.onConnect(_, how) coroutine[how](co) end";
    let mut scene = scene_with(main, |settings| settings.script.time = Some(Duration::from_millis(50)));
    for how in ["resume", "close", "close"] {
        scene.stage.look_up(Some(PeerId([1; 32])), "192.0.2.1:1".parse().unwrap(), None);
        scene.stage.connect(|info| info.request.arguments = vec![how.into()]);
        let failures = scene.failures();
        assert_eq!(failures.iter().filter(|failure| failure.3.contains("has run longer")).count(), 2, "{failures:?}");
    }
}

/// What the host keeps for a script is the script's memory, and none of it is without a bound.
#[test]
fn what_the_host_keeps_for_a_script_is_bounded() {
    for (what, code, expected) in [
        ("a pattern", "string.find('x', ('a'):rep(4e6) .. '.')", "not enough memory"),
        (
            "patterns in use",
            "local all = {} for i = 1, 1000 do all[i] = string.gmatch('x', ('a'):rep(1e5) .. '.') end",
            "not enough memory",
        ),
        ("the name of a method", "application.broadcastMsg(('x'):rep(2000))", "at most 1024 bytes"),
        (
            "arguments of timers",
            "local t = {} for i = 1, 1e5 do t[i] = i end
            for i = 1, 1000 do setTimeout(print, 1e6, table.unpack(t)) end",
            "not enough memory",
        ),
    ] {
        let main = format!("function application.onPeerLookup(event)\n{code}\nend");
        let mut scene = scene_with(&main, |settings| {
            settings.script.memory = 48 << 20;
            settings.script.time = Some(Duration::from_secs(10));
        });
        scene.stage.look_up(Some(PeerId([1; 32])), "192.0.2.1:1".parse().unwrap(), None);
        let failures = scene.failures();
        assert!(matches!(&failures[..], [(.., text)] if text.contains(expected)), "{what}: {failures:?}");
        // What nobody has any more is not counted any more.
        scene.stage.runtime.script.lua().gc_collect().unwrap();
        assert_eq!(scene.stage.runtime.script.state.marks.host_memory.bytes(), 0, "{what}");
    }
}

/// The marks of the prelude's own do not come to scripts: with them one could pretend to wait, or to be ended.
#[test]
fn no_comparison_hands_out_the_marks_of_the_prelude() {
    let main = "
        local seen = {}
        local spy = setmetatable({}, { __eq = function(a, b) seen[#seen + 1] = { a, b } return false end })
        function application.onConnect()
            pcall(error, spy)
            xpcall(error, print, spy)
            local co = coroutine.wrap(function() coroutine.yield(spy) return spy end)
            co(spy) co(spy)
            coroutine.close(coroutine.create(function() error(spy) end))
            local failing = coroutine.create(function() coroutine.yield() error(spy) end)
            coroutine.resume(failing) coroutine.resume(failing, spy) coroutine.close(failing)
            trace(#seen)
        end";
    let mut scene = scene(main);
    scene.stage.connect(|_| ());
    assert_eq!(scene.traces().last().map(String::as_str), Some("0"));
}

#[test]
fn scripts_get_a_copy_of_the_metatable_of_strings() {
    let main = "
        local meta = getmetatable('')
        assert(meta.__index == string and not pcall(setmetatable, '', {}))
        for _, name in ipairs { '__tostring', '__index', '__add', '__name' } do meta[name] = function() error('reached') end end
        trace(tostring('x'), ('x'):upper(), '1' + 1, string.format('%s', 'x'))";
    assert_eq!(scene(main).traces(), ["x X 2 x"]);
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
    scene.stage.runtime.handle(at, introd_policy::message::AppEvent::Disconnect { client });
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

/// A reload ends all handlers that wait, and all that comes for the thread waits for that.
#[test]
fn handlers_that_end_together_have_the_time_of_one_to_close_their_variables() {
    let main = "
        function application.onPeerLookup()
            local x <close> = setmetatable({}, { __close = function() trace('closes') while true do end end })
            sleep(1e6)
        end";
    let mut scene = scene_with(main, |settings| settings.script.time = Some(Duration::from_millis(50)));
    for _ in 0..100 {
        scene.stage.look_up(Some(PeerId([1; 32])), "192.0.2.1:1".parse().unwrap(), None);
    }
    scene.stage.tell(introd_policy::message::AppEvent::Reload);
    assert_eq!(scene.traces(), ["closes"]);
}

#[test]
fn coroutines_close_their_variables() {
    let main = "
        local function closing(text)
            return setmetatable({}, { __close = function() trace(text) end })
        end
        function application.onConnect()
            local fine = coroutine.create(function()
                local x <close> = closing('closed')
                pcall(coroutine.yield, 1)
                trace('never')
            end)
            coroutine.resume(fine)
            assert(coroutine.close(fine) and coroutine.status(fine) == 'dead')
            assert(coroutine.close(coroutine.create(error)))
            local failed = coroutine.create(function(why) local x <close> = closing('failed') error(why, 0) end)
            assert(not coroutine.resume(failed, 'why'))
            trace(coroutine.close(failed))
            trace(coroutine.close(failed))
            assert(select('#', coroutine.wrap(function(...) return ... end)(nil, nil)) == 2)
        end";
    let mut scene = scene(main);
    scene.stage.connect(|_| ());
    assert_eq!(scene.traces(), ["closed", "failed", "false why", "true"]);
}

#[test]
fn lists_are_sorted_in_any_length_and_equals_keep_their_order() {
    let main = "
        for length = 0, 70 do
            local list = {}
            for i = 1, length do list[i] = { i * 7919 % 31, i } end
            table.sort(list, function(a, b) return a[1] < b[1] end)
            assert(#list == length)
            for i = 2, length do
                local a, b = list[i - 1], list[i]
                assert(a[1] < b[1] or a[1] == b[1] and a[2] < b[2])
            end
        end
        local words = { 'c', 'a', 'b' }
        table.sort(words)
        assert(table.concat(words) == 'abc')
        assert(not pcall(table.sort, { 1, 'a' }) and not pcall(table.sort, 1) and not pcall(table.sort, { 2, 1 }, 1))
        trace('sorted')";
    assert_eq!(scene(main).traces(), ["sorted"]);
}

/// A client's answer goes to an object of the script's: what that does to find its handler counts as the handler's time.
#[test]
fn an_object_that_waits_for_a_result_has_a_limit_too() {
    let main = "function application.onConnect(client)
            application.acceptConnection(client)
            client:call('x', setmetatable({}, { __index = function() while true do end end }))
        end";
    let mut scene = scene_with(main, |settings| settings.script.time = Some(Duration::from_millis(50)));
    let client = scene.stage.connect(|_| ());
    let sent = scene.sent();
    let Some(Effect::Command(ClientCommand::Call { token: Some(token), .. })) = sent.last() else { panic!("{sent:?}") };
    scene.stage.tell(introd_policy::message::AppEvent::Answer { client, token: *token, outcome: Ok(Vec::new()) });
    let failures = scene.failures();
    assert!(matches!(&failures[..], [(_, _, _, text)] if text.contains("has run longer")), "{failures:?}");
}

#[cfg(unix)]
#[test]
fn a_link_does_not_lead_out_either() {
    let outside = Folder::new("secret = true");
    let folder =
        Folder::new("assert(not pcall(load, 'link.lua')) assert(not pcall(load, 'dir/main.lua')) trace('kept in')");
    std::os::unix::fs::symlink(outside.path().join("main.lua"), folder.path().join("link.lua")).unwrap();
    std::os::unix::fs::symlink(outside.path(), folder.path().join("dir")).unwrap();
    let stage = Stage::start(folder.path(), settings(|_| ())).map_err(|failure| failure.to_string()).unwrap();
    let scene = Scene { folder, stage };
    assert_eq!(scene.traces(), ["kept in"]);
}

#[test]
fn compiled_chunks_are_refused() {
    let folder = Folder::new("");
    std::fs::write(folder.path().join("main.lua"), b"\x1bLua\x54\x00\x19\x93\r\n\x1a\n").unwrap();
    let failure = Stage::start(folder.path(), settings(|_| ())).err().unwrap();
    assert!(failure.message.contains("binary"), "{failure}");
}

#[test]
fn ten_thousand_handlers_wait_and_the_bound_holds() {
    let main = "woken = 0
        function application.onPeerLookup(event) sleep(100) woken = woken + 1 application.denyPeerLookup(event) end
        function Client:count() return woken end";
    let mut scene = scene_with(main, |settings| settings.script.time = None);
    for number in 0..10_000_u32 {
        scene.stage.look_up(None, (([192, 0, 2, 1]), (number % 60_000) as u16 + 1).into(), None);
    }
    assert_eq!(scene.stage.runtime.script.vm.waiting(), 10_000);
    assert!(scene.sent().is_empty());
    scene.advance(100);
    assert_eq!(scene.stage.runtime.script.vm.waiting(), 0);
    assert_eq!(scene.sent().iter().filter(|command| matches!(command, Effect::Deny { .. })).count(), 10_000);
    assert!(scene.failures().is_empty());
    for _ in 0..20_000 {
        scene.stage.look_up(None, "192.0.2.1:1".parse().unwrap(), None);
    }
    assert!(scene.stage.runtime.script.vm.waiting() < 20_000);
    let failures = scene.failures();
    assert!(failures.iter().all(|failure| failure.3.contains("too many")), "{:?}", failures.first());
    scene.advance(100);
    assert_eq!(scene.sent().len(), 20_000, "each is answered once, by the script or for it");
}

#[test]
fn machines_leave_nothing_behind() {
    // Each takes 20 MiB. What is behind a machine that has ended can be seen by a reference that it held.
    let folder = Folder::new(
        "local hoard = {}
        for i = 1, 20 do hoard[i] = ('x'):rep(1 << 20) .. i end
        function application.onConnect(client) hoard.client = client client.self = client client.hoard = hoard end
        function application.onPeerLookup(event) hoard.event = event event.hoard = hoard sleep(1e6) end
        function Client:onGroupJoin(control) control.hoard = hoard hoard.control = control end
        setmetatable(application, { hoard })",
    );
    let unhurried = settings(|settings| settings.script.time = None);
    let mut stage = Stage::start(folder.path(), unhurried).unwrap_or_else(|failure| panic!("{failure}"));
    let client = stage.connect(|_| ());
    stage.join(client, [1; 32]);
    stage.look_up(None, "192.0.2.1:1".parse().unwrap(), Some(client));
    let states: Vec<_> = (0..3)
        .map(|_| {
            let state = std::rc::Rc::downgrade(&stage.runtime.script.state);
            stage.tell(introd_policy::message::AppEvent::Reload);
            state
        })
        .collect();
    assert!(states.iter().all(|state| state.upgrade().is_none()), "reloaded");
    let (state, instance) =
        (std::rc::Rc::downgrade(&stage.runtime.script.state), std::rc::Rc::downgrade(&stage.runtime.instance));
    drop(stage);
    assert!(state.upgrade().is_none() && instance.upgrade().is_none());
}
