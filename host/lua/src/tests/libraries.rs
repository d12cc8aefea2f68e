//! The libraries in scripts: what they give, and that no call of them gets round the limits.

use std::sync::Arc;
use std::time::Instant;

use mlua::Lua;

use super::hostile::assert_is_ended;
use super::*;
use crate::instance::Instance as AppInstance;
use crate::instance::clock::Clock;
use crate::instance::error_log::ErrorLog;
use crate::runtime::Runtime;
use crate::testing::Scenery;
use introd_policy::registry::InMemory;

/// 2026-01-01T00:00:00Z.
const NEW_YEAR: f64 = 1_767_225_600_000.0;

/// A script that runs when the year 2026 begins.
fn at_new_year(main: &str) -> Scene {
    let folder = Folder::new(main);
    let around = Scenery::default();
    let clock = Clock::made_up(around.now, NEW_YEAR);
    let stage = Stage::within(folder.path(), settings(|_| ()), Scenery { clock, ..around });
    Scene { stage: stage.unwrap_or_else(|failure| panic!("{failure}")), folder }
}

#[test]
fn what_the_libraries_give() {
    let main = r#"
        assert(crypto.hash('sha256', 'abc') == 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
        assert(crypto.hash('md5', '') == 'd41d8cd98f00b204e9800998ecf8427e')
        assert(crypto.hash('sha1', 'abc', 'base64') == 'qZk+NkcGgWq6PiVxeFDCbJzQ2J0=')
        assert(crypto.hmac('md5', 'Jefe', 'what do ya want for nothing?') == '750c783e6ab0b503eaa86e310a5db738')
        assert(#crypto.hmac('sha512', '', '', 'raw') == 64)
        for _, case in ipairs {
            { 'hex', '\0\xff', '00ff' }, { 'base64', 'a?>', 'YT8+' }, { 'base64', 'ab', 'YWI=' }, { 'base64url', 'a?>', 'YT8-' },
            { 'base64url', 'ab', 'YWI' }, { 'raw', '\0\xff', '\0\xff' }, { 'hex', '', '' }, { 'base64', '', '' },
        } do
            local encoding, bytes, text = table.unpack(case)
            assert(crypto.encode(encoding, bytes) == text and crypto.decode(encoding, text) == bytes, text)
        end
        assert(crypto.decode('base64', 'YWI') == 'ab' and crypto.decode('base64url', 'YWI=') == 'ab')
        assert(crypto.decode('hex', '00Ff') == '\0\xff')
        for encoding, text in pairs { hex = '0', base64 = 'YT8-', base64url = 'Y W' } do
            local bytes, problem = crypto.decode(encoding, text)
            assert(bytes == nil and problem:find('this is not ' .. encoding, 1, true), problem)
        end
        assert(crypto.equal('a', 'a') and not crypto.equal('a', 'b') and not crypto.equal('a', 'aa') and crypto.equal('', ''))
        assert(#crypto.randomBytes(32) == 32 and #crypto.randomBytes(0) == 0 and #crypto.randomBytes(65536) == 65536)
        assert(crypto.randomBytes(16) ~= crypto.randomBytes(16))

        local parts = url.parse('RTMFP://ann:p%40ss@Host.example:19350/app/room%201?a=1&b=x%20y+z&a=2&c&d=%FF#part')
        assert(parts.scheme == 'rtmfp' and parts.user == 'ann' and parts.password == 'p@ss' and parts.host == 'Host.example')
        assert(parts.port == 19350 and parts.path == '/app/room%201' and url.decode(parts.path) == '/app/room 1')
        assert(parts.query == 'a=1&b=x%20y+z&a=2&c&d=%FF' and parts.fragment == 'part')
        assert(parts.parameters.a == '1' and parts.parameters.b == 'x y z' and parts.parameters.c == '')
        parts = url.parse('rtmfp:')
        assert(parts.scheme == 'rtmfp' and parts.host == nil and parts.port == nil and parts.path == '' and parts.query == nil)
        assert(next(parts.parameters) == nil and parts.user == nil and parts.password == nil)
        assert(url.parse('rtmfp:app/room?x=1').path == 'app/room' and url.parse('rtmfp://host/').port == 1935)
        assert(url.parse('HTTPS://EXAMPLE.com').port == 443 and url.parse('https://EXAMPLE.com').host == 'example.com')
        assert(url.parse('rtmfp://[2001:db8::1]:1935/app').host == '[2001:db8::1]')
        local none, problem = url.parse('app/room')
        assert(none == nil and problem:find('begins with its scheme'), problem)
        assert(url.encode('a b/ü-._~') == 'a%20b%2F%C3%BC-._~' and url.decode('a%20b%2f%C3%bc+') == 'a b/ü+')
        none, problem = url.decode('100%')
        assert(none == nil and problem:find('the % at byte 4', 1, true), problem)
        for _, odd in ipairs { 7, true, {}, null, print, coroutine.create(print) } do
            for _, read in ipairs { url.parse, url.decode, function(x) return crypto.decode('hex', x) end,
                function(x) return crypto.verifyJwt(x, { key = 'k' }) end } do
                local nothing, problem = read(odd)
                assert(nothing == nil and problem == 'this is a ' .. type(odd) .. ', not a string', problem)
            end
            assert(not crypto.equal(odd, odd) and not crypto.equal('7', odd))
        end
        assert(select('#', url.parse(nil)) == 2 and not crypto.equal(nil, nil))
        assert(json.decode(json.encode { list = Array {}, nothing = null }).nothing == null)
        trace('done')"#;
    assert_eq!(scene(main).traces(), ["done"]);
}

#[test]
fn lines_have_their_level_in_the_journal() {
    let main = "
        log.debug('a', 1) log.info(nil, true) log.warn('c\\nd') log.error(setmetatable({}, { __tostring = function() return 'e' end }))
        log.info() trace('t') print('p')";
    let expected = ["debug a 1", "info nil true", r"warn c\nd", "error e", "info ", "t", "p"];
    assert_eq!(scene(main).traces(), expected);
}

#[test]
fn dates_follow_the_clock_of_the_instance() {
    let mut scene = at_new_year(
        "assert(os.time() == 1767225600 and os.date('!%F %T') == '2026-01-01 00:00:00' and os.date('%F %T') == os.date('!%F %T'))
        assert(os.date('!%c') == 'Thu Jan  1 00:00:00 2026' and os.date() == os.date('%c') and os.date('!') == '')
        local t = os.date('!*t', 1767225600 + 86400 * 59 + 3661)
        assert(t.year == 2026 and t.month == 3 and t.day == 1 and t.hour == 1 and t.min == 1 and t.sec == 1)
        assert(t.wday == 1 and t.yday == 60 and t.isdst == false)
        assert(os.time { year = 2026, month = 1, day = 1, hour = 0 } == 1767225600)
        assert(os.time { year = 2026, month = 1, day = 1 } == 1767225600 + 12 * 3600)
        local odd = { year = 2025, month = 14, day = '-3', hour = -1.0, min = 75, sec = 3600 }
        assert(os.time(odd) == os.time { year = 2026, month = 1, day = 28, hour = 1, min = 15 })
        assert(odd.year == 2026 and odd.month == 1 and odd.day == 28 and odd.min == 15 and odd.yday == 28 and odd.wday == 4)
        assert(os.time { year = 1969, month = 12, day = 31, hour = 23, min = 59, sec = 59 } == -1)
        assert(os.difftime(5, 3) == 2.0 and os.date('!%Y', -62135596800) == '0001' and os.date('!%S', 1.9) == '01')
        local used = os.clock()
        for i = 1, 1e4 do local _ = i * i end
        assert(os.clock() >= used and os.getenv == nil and os.exit == nil and os.execute == nil and os.remove == nil)
        for _, wrong in ipairs {
            { { year = 2026, month = 1 }, \"field 'day' missing\" }, { { year = 2026, month = 1, day = 1.5 }, \"field 'day' is not an integer\" },
            { { year = 1e10, month = 1, day = 1 }, \"field 'year' is out-of-bound\" }, { { year = 99999, month = 1, day = 1 }, 'out of range' },
            { { year = 2026, month = {}, day = 1 }, \"field 'month' is not an integer\" }, { { year = 2026, month = 1, day = 'x' }, 'not an integer' },
        } do
            local ok, problem = pcall(os.time, wrong[1])
            assert(not ok and problem:find(wrong[2], 1, true), problem)
        end
        function application.onAppStart() setTimeout(function() trace(os.time(), now()) end, 1500) end",
    );
    scene.advance(2000);
    assert_eq!(scene.traces(), ["1767225601 1767225601500"]);
}

/// Lua's own `os.date` is the reference, in UTC and the locale "C".
#[test]
fn dates_are_written_as_lua_writes_them() {
    let own = Lua::new();
    let theirs = scene("");
    for conversion in
        "aAbBcCdDeFgGhHIjmMnprRStTuUVwWxXyYzZ%".chars().map(String::from).chain(["Ey".into(), "Od".into()])
    {
        // Years of four digits: of others the C library writes no zeros.
        for time in
            ["0", "1", "951782399", "1767225600", "1798761599", "4102444800", "-1", "-2208988800", "253402207199"]
        {
            let call = format!("return os.date('!%{conversion}', {time})");
            let ask = |lua: &Lua| lua.load(call.as_str()).eval::<String>().unwrap();
            // The C library calls this zone GMT.
            let expected = if conversion == "Z" { "UTC".to_owned() } else { ask(&own) };
            assert_eq!(ask(theirs.stage.runtime.script.lua()), expected, "{call}");
        }
    }
}

#[test]
fn what_is_asked_for_wrongly_is_an_error_that_says_what_is_right() {
    for (code, expected) in [
        ("crypto.randomBytes(1e9)", "from 0 to 65536 bytes at a time"),
        ("crypto.randomBytes(-1)", "from 0 to 65536 bytes at a time"),
        ("crypto.randomBytes(0/0)", "from 0 to 65536 bytes at a time, not NaN"),
        ("crypto.randomBytes(1.5)", "from 0 to 65536 bytes at a time"),
        ("crypto.randomBytes('x')", "argument 1: number expected, got string"),
        ("crypto.hash('sha3', 'x')", "there are sha256, sha384, sha512, sha1 and md5"),
        ("crypto.hash('sha256')", "argument 2: string expected, got nil"),
        ("crypto.hash('sha256', 'x', 'octal')", "there are hex, base64, base64url and raw"),
        ("crypto.encode('b', 'x')", "there are hex, base64, base64url and raw"),
        ("crypto.verifyJwt('x')", "argument 2: table expected, got nil"),
        ("crypto.verifyJwt('x', { key = 'y', verify = false })", "has no option \"verify\""),
        ("json.encode(application)", "a function has no form in JSON at ."),
        ("json.encode(application.clients)", "a list of clients has no form in JSON"),
        ("json.encode(ByteArray('x'))", "a ByteArray has no form in JSON: encode what is in it"),
        ("json.encode(Date(1))", "a Date has no form in JSON"),
        ("json.decode(nil)", "argument 1: string expected, got nil"),
        ("json.decode('[' .. ('x'):rep(9) .. ']')", "this text is not JSON: expected value at line 1 column 2"),
        ("os.date('%')", "invalid conversion specifier '%'"),
        ("os.date('%Ez')", "invalid conversion specifier '%Ez'"),
        ("os.date('%O')", "invalid conversion specifier '%O'"),
        ("os.date('%\\0')", "invalid conversion specifier"),
        ("os.date('%k')", "invalid conversion specifier '%k'"),
        ("os.date(('%c'):rep(1e5))", "at most 4096 bytes"),
        ("os.date('*t', 1e18)", "the time is out of range"),
        ("os.date('!%Y', 0/0)", "the time is out of range"),
        ("os.date('!%Y', math.mininteger)", "the time is out of range"),
        ("os.time(setmetatable({}, { __index = function() while true do end end }))", "field 'year' missing"),
        ("url.encode({})", "argument 1: string expected, got table"),
        ("crypto.decode('b', 'x')", "there are hex, base64, base64url and raw"),
    ] {
        let mut scene = scene(&format!("function application.onConnect() local x = {code} end"));
        scene.stage.connect(|_| ());
        let failures = scene.failures();
        assert!(
            matches!(&failures[..], [(_, file, 1, text)] if file == "main.lua" && text.contains(expected)),
            "{code}: {failures:?}"
        );
    }
}

const ENDLESS: &[(&str, &str)] = &[
    ("hashing", "local s = ('x'):rep(16e6) while true do crypto.hash('md5', s) end"),
    ("hashing nothing", "while true do crypto.hash('sha512', '') end"),
    ("codes", "local s = ('x'):rep(8e6) while true do pcall(crypto.hmac, 'sha256', s, s) end"),
    ("base64", "local s = ('x'):rep(8e6) while true do crypto.decode('base64', crypto.encode('base64', s)) end"),
    ("what is no hex", "local s = ('0'):rep(8e6) .. 'x' while true do crypto.decode('hex', s) end"),
    ("comparing secrets", "local s = ('x'):rep(16e6) while true do crypto.equal(s, s) end"),
    ("random bytes", "while true do pcall(crypto.randomBytes, 65536) end"),
    ("tokens", "while true do crypto.verifyJwt('a.b.c', { key = 'x' }) end"),
    ("long tokens", "local s = ('x'):rep(16e6) while true do crypto.verifyJwt(s, { key = 'x' }) end"),
    ("long keys", "local s = '{' .. (' '):rep(2e5) while true do pcall(crypto.verifyJwt, 'a.b.c', { key = s }) end"),
    ("reading JSON", "local s = '[' .. ('{},'):rep(1e5) .. '1]' while true do pcall(json.decode, s) end"),
    ("reading a number", "local s = ('1'):rep(16e6) while true do pcall(json.decode, s) end"),
    ("reading blanks", "local s = (' '):rep(16e6) while true do pcall(json.decode, s) end"),
    ("reading a long string", "local s = '\"' .. ('x'):rep(8e6) .. '\"' while true do pcall(json.decode, s) end"),
    ("writing JSON", "local t = {} for i = 1, 1e5 do t[i] = {} end while true do json.encode(t) end"),
    ("writing many names", "local t = {} for i = 1, 1e5 do t['' .. i] = i end while true do json.encode(t) end"),
    (
        "writing a tree of one table",
        "local t = {} for i = 1, 60 do t = { t, t } end while true do pcall(json.encode, t) end",
    ),
    ("writing a table in itself", "local t = {} for i = 1, 9 do t[i] = t end while true do pcall(json.encode, t) end"),
    ("URLs", "local s = 'http://a/?' .. ('a=b&'):rep(16000) while true do url.parse(s) end"),
    ("long hosts", "local s = 'http://' .. ('ü.'):rep(20000) while true do url.parse(s) end"),
    (
        "a host of many different letters",
        "local t = {} for i = 1, 15000 do t[i] = utf8.char(0x4e00 + i) end
        local s = 'http://' .. table.concat(t) while true do url.parse(s) end",
    ),
    ("escapes", "local s = ('%20'):rep(4e6) while true do url.decode(s) end"),
    ("escaping", "local s = (' '):rep(4e6) while true do url.encode(s) end"),
    ("dates", "local f = ('%c'):rep(2048) while true do os.date(f) end"),
    ("times", "while true do os.time { year = 2026, month = 1, day = 1 } end"),
    ("the clock", "while true do os.clock() os.time() os.difftime(1, 2) end"),
    ("lines", "while true do log.debug(('x'):rep(4096)) end"),
    ("a text of a value for a line", "log.error(setmetatable({}, { __tostring = function() while true do end end }))"),
];

#[test]
fn what_never_ends_in_a_library_is_ended() {
    for (what, code) in ENDLESS {
        assert_is_ended(what, code);
    }
}

/// What would not fit into the memory of the script is an error; afterwards the memory is free again.
#[test]
fn results_that_do_not_fit_are_errors_and_leave_no_memory_taken() {
    let main = "
        local function full(f, ...)
            local ok, problem = pcall(f, ...)
            assert(not ok and tostring(problem):find('not enough memory', 1, true), problem)
        end
        function application.onConnect(_, what)
            if what == 'encode' then full(crypto.encode, 'hex', ('x'):rep(6e6))
            elseif what == 'decode' then local s = ('A'):rep(3e6) s = s .. s .. s full(crypto.decode, 'base64', s)
            elseif what == 'escape' then full(url.encode, (' '):rep(6e6))
            elseif what == 'unescape' then local s = (' '):rep(3e6) s = s .. s .. s full(url.decode, s)
            elseif what == 'json' then full(json.decode, '[' .. ('[],'):rep(1e6) .. '1]')
            elseif what == 'names' then full(json.decode, '{' .. ('\"abcdefgh' .. ('x'):rep(50) .. '\":[[]],'):rep(3e4) .. '\"a\":[' .. ('[],'):rep(2e5) .. '1]}')
            elseif what == 'text' then full(json.encode, { ('\\0'):rep(3e6) })
            elseif what == 'tree' then local t = {} for i = 1, 50 do t = { t, t } end full(json.encode, t) end
            trace(what)
        end";
    let mut scene = scene_with(main, |settings| settings.script.memory = 16 << 20);
    for what in ["encode", "decode", "escape", "unescape", "json", "names", "text", "tree"] {
        scene.stage.connect(|info| info.request.arguments = vec![what.into()]);
        assert_eq!(format!("{:?}", scene.journal()), format!("[Trace({what:?})]"));
        let vm = &scene.stage.runtime.script.vm;
        vm.lua.gc_collect().unwrap();
        assert!(vm.lua.used_memory() < 2 << 20, "{what}: {}", vm.lua.used_memory());
        assert_eq!(vm.context.marks.host_memory.bytes(), 0, "{what}");
    }
}

/// No text of a client makes the libraries panic or fail otherwise than by an error.
#[test]
fn any_text_is_read_or_refused() {
    let main = "
        function Client:read(bytes)
            local text = bytes.bytes
            pcall(json.decode, text)
            url.parse(text) url.decode(text) url.parse('rtmfp://' .. text)
            for _, encoding in ipairs { 'hex', 'base64', 'base64url', 'raw' } do crypto.decode(encoding, text) end
            crypto.verifyJwt(text, { key = 'x' })
            pcall(crypto.verifyJwt, 'e30.e30.e30', { key = text })
            pcall(crypto.verifyJwt, 'e30.e30.e30', { key = '-----BEGIN ' .. text })
            pcall(os.date, text)
            assert(url.decode(url.encode(text)) == text)
        end";
    let mut scene = scene(main);
    let client = scene.stage.connect(|_| ());
    scene.sent();
    use proptest::prelude::*;
    let config = ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() };
    let scene = std::cell::RefCell::new(scene);
    proptest!(config, |(bytes in prop_oneof![any::<Vec<u8>>(), "[%a-zA-Z0-9:/?#@\\[\\].=&{}\" -]*".prop_map(String::into_bytes)])| {
        let mut scene = scene.borrow_mut();
        scene.stage.call(client, "read", 0.0, vec![introd_flash::amf::Value::ByteArray(bytes.clone())]);
        prop_assert_eq!(scene.traces(), [""; 0], "{:?}", bytes);
    });
}

/// Lines that the log does not want are not even made texts.
#[test]
fn lines_that_nobody_reads_cost_nothing() {
    let folder = Folder::new(
        "local made = 0
        local value = setmetatable({}, { __tostring = function() made = made + 1 return 'x' end })
        function application.onConnect()
            log.debug(value) log.info(value) log.warn(value) trace(value)
            if made > 0 then error(made .. ' were made') end
        end",
    );
    let errors = Arc::<ErrorLog>::default();
    let instance = AppInstance::new(
        instance_name("app"),
        Arc::new(settings(|_| ())),
        Arc::new(Sink::default()),
        Arc::new(InMemory::default()),
        Default::default(),
        Default::default(),
        Instant::now(),
    )
    .with_errors(Arc::clone(&errors));
    let runtime = Runtime::start(std::rc::Rc::new(instance), folder.path());
    let mut runtime = runtime.unwrap_or_else(|failure| panic!("{failure}"));
    // No test of this crate starts a log.
    tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::default(), || {
        runtime.handle(Instant::now(), host::connect(1));
    });
    assert_eq!(errors.all().len(), 0);
}

#[test]
fn a_test_sets_the_clock_and_the_random_bytes() {
    let folder = Folder::new(
        "function application.onAppStart() log.info(os.date('!%F %T'), now()) end
        function Client:draw() return crypto.encode('hex', crypto.randomBytes(8)) .. ' ' .. math.random(1 << 40) end
        function Client:time() return os.time() end",
    );
    folder.write(
        "clock_test.lua",
        "describe('a clock', function()
            it('begins when it is told to, for the test too', function()
                local app = start { clock = '2026-01-01T00:00:00Z' }
                assert.same({ { level = 'info', text = '2026-01-01 00:00:00 1767225600000' } }, app.logs)
                assert.equal(1767225600, os.time())
                app:advance(1500)
                assert.equal(1767225601500, now())
                assert.equal(os.time(), app:connect():call('time'))
                assert.equal('00:00:01', os.date('%T'))
                assert.equal(0, start({ clock = -0.5 }):connect():call('time') + 1)
            end)
            it('is one for all servers', function()
                local a, b = start { server = 'a', clock = 86400000 }, start { server = 'b' }
                assert.equal(86400, b:connect():call('time'))
                assert.has_error(function() start { server = 'c', clock = 0 } end, 'one clock')
                a:advance(60000)
                assert.equal(86460, b:connect():call('time'))
            end)
            it('needs a time', function()
                assert.has_error(function() start { clock = 'tomorrow' } end, 'clock is a time as 2026-01-01T00:00:00Z')
            end)
        end)
        describe('a seed', function()
            it('gives the same each time', function()
                local function drawn(seed) return start({ seed = seed }):connect():call('draw') end
                assert.equal(drawn(7), drawn(7))
                assert.not_equal(drawn(7), drawn(8))
                assert.not_equal(drawn(), drawn())
            end)
        end)",
    );
    let mut out = Vec::new();
    let passed = testing::run(&[folder.path().to_owned()], testing::Options::default(), &mut out).unwrap();
    assert!(passed, "{}", String::from_utf8_lossy(&out));
}

#[test]
fn a_megabyte_of_json_is_read_and_written() {
    let main = "
        local parts = {}
        for i = 1, 15000 do parts[i] = json.encode { id = i, name = 'peer ' .. i, at = { 1.5, true, null }, groups = { 'chess', 'go' } } end
        local text = '[' .. table.concat(parts, ',') .. ']'
        assert(#text > 1 << 20)
        local begun = os.clock()
        local value = json.decode(text)
        local read = os.clock()
        assert(#value == 15000 and value[15000].name == 'peer 15000' and json.encode(value) == text)
        log.info(#text, read - begun, os.clock() - read)";
    // How many bytes, and how many seconds to read and to write them. By default a handler may take one second.
    let traces = scene(main).traces();
    println!("{traces:?}");
    assert_eq!(traces.len(), 1);
}
