//! Scripts that mean harm: none gets past its time, out of its folder, or to what is the host's own.

use std::time::Duration;

use rtmfp::PeerId;

use super::*;
use introd_policy::message::AppEvent;

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
        assert_is_ended(what, code);
    }
}

/// The code, in a handler, is ended by the limit on its time, and the VM is as good as before.
pub(super) fn assert_is_ended(what: &str, code: &str) {
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
    scene.stage.connect(|_| ());
    assert!(matches!(scene.sent()[..], [Effect::Accept { .. }]), "{what}");
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
fn nothing_leads_out_of_the_vm() {
    let scene = scene(
        "for _, name in ipairs { 'io', 'debug', 'package', 'dofile', 'loadfile', 'loadstring', 'warn' } do
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
    scene.stage.tell(AppEvent::Reload);
    assert_eq!(scene.traces(), ["closes"]);
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
    scene.stage.tell(AppEvent::Answer { client, token: *token, outcome: Ok(Vec::new()) });
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
