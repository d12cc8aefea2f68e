//! The functions that stand in the place of Lua's own give what Lua's own give.

use mlua::{Lua, Value};

use super::*;

/// What both are asked for; each may fail, but then in both.
const EXPRESSIONS: &[&str] = &[
    "tostring(nil)",
    "tostring(1.5)",
    "tostring()",
    "tostring(named)",
    "tostring(numbered)",
    "tostring(misnamed)",
    "tostring(setmetatable({}, { __tostring = 7 }))",
    "tonumber('0x10')",
    "tonumber('z', 36)",
    "tonumber(' 10 ', 2)",
    "tonumber({})",
    "tonumber()",
    "string.format('%s %d', 'a', 3)",
    "string.format('%s|%5s|%-5.2s|%%|%d', named, numbered, named, 3)",
    "string.format('%q', 'x\\n')",
    "string.format('%d', named)",
    "string.format('%s')",
    "string.format('%y', named)",
    "string.format('%', named)",
    "string.format('none')",
    "string.format('%s %s', nil, named)",
    "string.format('%s', misnamed)",
    "'10' + 5",
    "5 - '0x10'",
    "'3' * '4'",
    "'7' // 2",
    "'7' % '4'",
    "'2' ^ 3",
    "'9' / 3",
    "-'2'",
    "-' 2.5 '",
    "'x' + 1",
    "1 + 'x'",
    "'1' + {}",
    "-'x'",
    "'1' + summing",
    "'x' + summing",
    "summing + '1'",
    "'1' - summing",
    "math.max(1, 3, 2)",
    "math.max(2, 2.5)",
    "math.min(1, 3, 0)",
    "math.min(2)",
    "math.max()",
    "math.max(1, {})",
    "math.max('a', 'b')",
    "table.concat({ 1, 2, 'x' }, ',')",
    "table.concat({ 1, 2, 'x' }, ',', 2)",
    "table.concat({ 1, 2, 'x' }, ',', 2.0, '3')",
    "table.concat({ 1, 2, 'x' }, ',', 3, 2)",
    "table.concat({ 1, {}, 'x' })",
    "table.concat({ 1 }, ',', 1, 2)",
    "table.concat('x')",
    "table.concat({}, ',', 1.5)",
    "table.concat(proxy({ 'a', 'b' }), '-')",
    "table.concat(proxy({ 'a', 'b' }), '-', 2)",
    "table.concat(proxy({}), '-')",
    "insert({ 1, 2 }, 3)",
    "insert({ 1, 2 }, 1, 0)",
    "insert({ 1, 2 }, 3, 0)",
    "insert({ 1, 2 }, 4, 0)",
    "insert({ 1, 2 }, 0, 0)",
    "insert({ 1, 2 })",
    "insert({ 1, 2 }, 1, 2, 3)",
    "insert('x', 1)",
    "insert(proxy({ 1, 2 }), 3)",
    "insert(proxy({ 1, 2 }), 1, 0)",
    "insert(proxy({ 1, 2 }), 3, 0)",
    "insert(proxy({ 1, 2 }), 4, 0)",
    "insert(proxy({ 1, 2 }), 1, 2, 3)",
    "remove({ 1, 2, 3 })",
    "remove({ 1, 2, 3 }, 1)",
    "remove({ 1, 2, 3 }, 4)",
    "remove({ 1, 2, 3 }, 5)",
    "remove({}, 0)",
    "remove({})",
    "remove({ [0] = 'z' }, 0)",
    "remove(proxy({ 1, 2, 3 }))",
    "remove(proxy({ 1, 2, 3 }), 1)",
    "remove(proxy({ 1, 2, 3 }), 4)",
    "remove(proxy({ 1, 2, 3 }), 5)",
    "remove(proxy({}))",
    "remove(proxy({ [0] = 'z' }), 0)",
    "list(table.move({ 1, 2, 3 }, 1, 3, 2))",
    "list(table.move({ 1, 2, 3 }, 2, 3, 1))",
    "list(table.move({ 1, 2, 3 }, 1, 3, 3, { 9 }))",
    "list(table.move({ 1 }, 1, 0, 5))",
    "list(table.move({ 1 }, 1.0, 1, '2'))",
    "list(table.move({ 1 }, 1, 2))",
    "list(table.move(1, 1, 1, 1))",
    "list(table.move({ 1, 2 }, 1, 2, math.maxinteger))",
    "list(table.move(proxy({ 1, 2, 3 }), 1, 3, 2))",
    "list(table.move(proxy({ 1, 2, 3 }), 2, 3, 1))",
    "list(table.move(proxy({ 1, 2, 3 }), 1, 3, 2, {}))",
    "list(table.move({ 1, 2, 3 }, 1, 3, 2, proxy({ 7 })))",
    "list(table.move(proxy({ 1, 2 }), 1, 2, math.maxinteger))",
    "table.unpack({ 1, 2, 3 })",
    "table.unpack({ 1, 2, 3 }, 2)",
    "table.unpack({ 1, 2, 3 }, 2, 5)",
    "table.unpack({ 1, 2, 3 }, 3, 2)",
    "table.unpack({ 1, 2, 3 }, -1, '1')",
    "table.unpack({}, 1, 1e7)",
    "table.unpack(proxy({ 1, 2, 3 }))",
    "table.unpack(proxy({ 1, 2, 3 }), 2)",
    "table.unpack(proxy({ 1, 2, 3 }), -1, 4)",
    "table.unpack(proxy({}), 1, 1e7)",
    "table.unpack(7)",
    "select('#', table.unpack({ n = 3 }, 1, 3))",
    "each(ipairs({ 1, 2, nil, 4 }))",
    "each(ipairs(proxy({ 'a', 'b' })))",
    "each(ipairs('x'))",
    "each(ipairs())",
    "each(ipairs(nil))",
    "each(ipairs(7))",
    "string.gsub('abc', '%w', { a = 'x', b = false, c = 3 })",
    "string.gsub('abc', '(%w)(%w)', function(a, b) return b .. a end)",
    "string.gsub('abc', '%w', function(c) return c ~= 'b' and c:upper() or nil end)",
    "string.gsub('abc', '', function() return '-' end)",
    "string.gsub('abc', '()', function(at) return at end, 2)",
    "string.gsub('aaa', '^a', function() return 'b' end)",
    "string.gsub('aaa', 'a', function() return 'b' end, 0)",
    "string.gsub('aaa', 'a', function() return 'b' end, -1)",
    "string.gsub('aaa', 'a', function() return {} end)",
    "string.gsub('aaa', 'a', function() return true end)",
    "string.gsub('hello instance', 'o', proxy({ o = '0' }))",
    "string.gsub(12.5, '%d', function(d) return d + 1 end)",
    "string.gsub('x', function() end, function() end)",
    "string.gsub('x', 'x', setmetatable({}, { __call = function() return 'y' end }))",
];

/// What the expressions name.
const GIVEN: &str = "
    named = setmetatable({}, { __tostring = function() return 'named' end })
    numbered = setmetatable({}, { __tostring = function() return 42 end })
    misnamed = setmetatable({}, { __tostring = function() return {} end })
    summing = setmetatable({}, { __add = function(a, b) return type(a) .. '+' .. type(b) end })
    -- A list that is seen through its metamethods alone.
    function proxy(hidden)
        return setmetatable({}, {
            __index = function(_, k) return hidden[k] end,
            __newindex = function(_, k, v) hidden[k] = v end,
            __len = function() return #hidden end,
        })
    end
    function list(t)
        local texts = { 'n=' .. #t }
        for i = -1, 6 do texts[#texts + 1] = tostring(t[i]) end
        for i = math.maxinteger - 1, math.maxinteger do texts[#texts + 1] = tostring(t[i]) if i == math.maxinteger then break end end
        return table.concat(texts, ' ')
    end
    function insert(t, ...) table.insert(t, ...) return list(t) end
    function remove(t, ...) local value = table.remove(t, ...) return tostring(value) .. ': ' .. list(t) end
    function each(f, state, control)
        local texts = {}
        for k, v in f, state, control do texts[#texts + 1] = tostring(k) .. '=' .. tostring(v) end
        return table.concat(texts, ' ')
    end
";

fn answer(lua: &Lua, expression: &str) -> Option<Vec<String>> {
    let code = format!("return pcall(function() return {expression} end)");
    let mut values = lua.load(code).eval::<mlua::MultiValue>().unwrap().into_iter();
    let is_ok = values.next() == Some(Value::Boolean(true));
    is_ok.then(|| values.map(|value| format!("{} {}", value.type_name(), value.to_string().unwrap())).collect())
}

#[test]
fn standard_functions_give_what_luas_own_give() {
    // The whole test counts as one handler.
    let scene = scene_with("", |settings| settings.script.time = Some(Duration::from_secs(3600)));
    let ours = scene.stage.runtime.script.lua();
    let own = Lua::new();
    for lua in [ours, &own] {
        lua.load(GIVEN).exec().unwrap();
    }
    let differs = |expression: &&str| answer(ours, expression) != answer(&own, expression);
    let different: Vec<_> = EXPRESSIONS.iter().filter(|expression| differs(expression)).collect();
    assert!(different.is_empty(), "{different:#?}");
}

/// An error in a function that stands in the place of one of Lua's own is told with the script's line, as Lua's own would be.
#[test]
fn errors_in_standard_functions_name_the_line_of_the_script() {
    for code in [
        "string.rep()",
        "string.upper()",
        "ipairs(nil)",
        "table.insert({}, 5, 1)",
        "table.concat({ {} })",
        "table.concat('x')",
        "table.unpack({}, 1, 1e8)",
        "('%d'):format('x')",
        "math.max(nil, 1)",
        "table.sort({ 1, 'x', {} })",
        "tonumber('1', 99)",
        "tostring()",
        "tostring(setmetatable({}, { __tostring = function() return {} end }))",
        "setmetatable(1, {})",
        "string.gsub('x', 'x', function() return {} end)",
        "('x'):gsub('(', print)",
        "utf8.len('x', 5)",
        "pcall()",
        "error('x')",
    ] {
        // On the third line, and not in a tail call.
        let main = format!(
            "function application.onConnect()\n local ok, problem = pcall(function()\n local x = {code}\n return x end) trace(problem) end"
        );
        let mut scene = scene(&main);
        scene.stage.connect(|_| ());
        let traces = scene.traces();
        assert!(matches!(&traces[..], [line] if line.starts_with("main.lua:3: ")), "{code}: {traces:?}");
        assert!(!traces[0].contains("introd"), "{code}: {traces:?}");
    }
    for code in ["local x = '1' // 0", "local x = 'x' + 1", "local x = string.rep({})"] {
        let mut scene = scene(&format!("function application.onConnect()\n\n {code}\nend"));
        scene.stage.connect(|_| ());
        let failures = scene.failures();
        assert!(
            matches!(&failures[..], [(_, file, 3, text)] if file == "main.lua" && text.starts_with("main.lua:3: ") && !text.contains("introd")),
            "{code}: {failures:?}"
        );
    }
}

#[test]
fn a_replacement_can_wait() {
    let main = "function application.onConnect()
        trace((string.gsub('a b c', '%w', function(letter) sleep(10) return letter:upper() end)))
    end";
    let mut scene = scene(main);
    scene.stage.connect(|_| ());
    assert_eq!(scene.traces(), [""; 0]);
    scene.advance(100);
    assert_eq!(scene.traces(), ["A B C"]);
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
