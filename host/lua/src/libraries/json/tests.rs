//! Values both ways, and texts that are wrong.

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::engine::limits::Budget;
use crate::engine::loading::Sources;

/// A VM with `json`, `null` and `array`, whose handler has begun.
fn vm(time: Duration, memory: usize) -> (Lua, Rc<VmContext>) {
    let lua = Lua::new();
    let budget = Budget::new(Some(time), memory);
    let context = Rc::new(VmContext::new(&lua, budget, Sources::new(Path::new("."), &[])).unwrap());
    register(&lua, &context).unwrap();
    let array = context.marks.array.clone();
    let mark = lua.create_function(move |_, table: Table| table.set_metatable(Some(array.clone())).map(|()| table));
    lua.globals().raw_set("array", mark.unwrap()).unwrap();
    lua.globals().raw_set("null", &context.marks.null).unwrap();
    lua.set_memory_limit(memory).unwrap();
    context.budget.begin();
    (lua, context)
}

fn usual() -> (Lua, Rc<VmContext>) {
    vm(Duration::from_secs(3600), 64 << 20)
}

fn encoded(lua: &Lua, expression: &str) -> std::result::Result<String, String> {
    let value: Result<LuaString> = lua.load(format!("return json.encode({expression})")).eval();
    value.map(|text| text.to_string_lossy()).map_err(|error| error.to_string())
}

#[test]
fn what_lua_has_becomes_json() {
    let (lua, _context) = usual();
    for (expression, text) in [
        ("nil", "null"),
        ("null", "null"),
        ("true", "true"),
        ("0", "0"),
        ("-7", "-7"),
        ("6 / 2", "3"),
        ("-0.0", "-0.0"),
        ("0.1", "0.1"),
        ("1e300", "1e+300"),
        ("2^53", "9007199254740992.0"),
        ("math.maxinteger", "9223372036854775807"),
        ("'gr\u{fc}\u{df}e \"\\\\\\n\\0'", r#""grüße \"\\\n\u0000""#),
        ("{}", "{}"),
        ("array {}", "[]"),
        ("{ 1, 'a', { x = {} } }", r#"[1,"a",{"x":{}}]"#),
        ("{ b = 1, a = array {}, c = null }", r#"{"a":[],"b":1,"c":null}"#),
        ("{ a = { 1 } }, { pretty = true }", "{\n  \"a\": [\n    1\n  ]\n}"),
        ("{ 1 }, {}", "[1]"),
        (
            "setmetatable({ a = 1 }, { __index = error, __pairs = error, __len = error, __tostring = error })",
            r#"{"a":1}"#,
        ),
        ("setmetatable({ a = 1 }, { __metatable = false })", r#"{"a":1}"#),
    ] {
        assert_eq!(encoded(&lua, expression).as_deref(), Ok(text), "{expression}");
    }
}

#[test]
fn what_has_no_form_in_json_is_an_error_that_says_where() {
    let (lua, _context) = usual();
    lua.load("cycle = {} cycle.self = cycle  wide = {} for i = 1, 9 do wide[i] = wide end").exec().unwrap();
    for (expression, expected) in [
        ("print", "a function has no form in JSON"),
        ("{ users = { {}, { call = print } } }", "a function has no form in JSON at .users[2].call"),
        ("{ ['a\\nb'] = print }", r"a function has no form in JSON at .a\nb"),
        ("0/0", "NaN has no form in JSON"),
        ("{ -1/0 }", "-inf has no form in JSON at [1]"),
        ("{ 'x\\xff' }", "not UTF-8 text, which JSON needs: make it text by crypto.encode at [1]"),
        ("{ ['\\xff'] = 1 }", "not UTF-8"),
        ("{ 1, 2, x = 3 }", "is a list, and has the field \"x\" as well"),
        ("array { x = 3 }", "is a list, and has the field \"x\" as well"),
        ("{ [7] = 1 }", "7 (integer) as a key has no form in JSON"),
        ("{ [1.5] = 1 }", "1.5 (number) as a key"),
        ("{ [true] = 1 }", "true (boolean) as a key"),
        ("cycle", "may be nested 100 deep, and not in themselves at .self.self"),
        ("wide", "may be nested 100 deep, and not in themselves at [1][1]"),
        ("setmetatable({}, { __host = 'Client' })", "a Client has no form in JSON"),
        ("1, { prety = true }", "json.encode has no option \"prety\""),
    ] {
        let problem = encoded(&lua, expression).unwrap_err();
        assert!(problem.contains(expected) && problem.len() < 1000, "{expression}: {problem}");
    }
}

#[test]
fn what_json_says_becomes_lua() {
    let (lua, _context) = usual();
    let check = lua.load(
        r#"
        local function is(text, value)
            local found = json.decode(text)
            assert(found == value and math.type(found) == math.type(value), text)
        end
        is('null', null) is(' true ', true) is('0', 0) is('-12', -12) is('1.0', 1) is('1e2', 100) is('0.5', 0.5)
        is('9007199254740991', 9007199254740991) is('9007199254740993', 9007199254740993)
        is('-9223372036854775808', math.mininteger) is('9223372036854775808', 2^63) is('1e300', 1e300)
        is('"a\\u00fc\\ud83d\\ude00\\n"', 'aü😀\n') is('\xef\xbb\xbf7', 7) is('"\\u0000"', '\0')
        is('1' .. ('0'):rep(100000) .. 'e-100000', 1) is('0.' .. ('3'):rep(100000), 0.3333333333333333)
        local value = json.decode('{"list": [1, null, {"a": []}], "list2": [], "x": {}, "x": {"y": 1}, "__index": 2}')
        assert(#value.list == 3 and value.list[2] == null and #value.list[3].a == 0 and value.x.y == 1)
        assert(getmetatable(value) == nil and value.__index == 2)
        assert(json.encode(value) == '{"__index":2,"list":[1,null,{"a":[]}],"list2":[],"x":{"y":1}}')
        local zero = json.decode('-0.0')
        assert(math.type(zero) == 'float' and 1 / zero < 0)
        assert(json.encode(json.decode(('['):rep(100) .. (']'):rep(100))) == ('['):rep(100) .. (']'):rep(100))
        "#,
    );
    check.exec().unwrap();
}

#[test]
fn a_text_that_is_not_json_is_an_error_with_its_place() {
    let (lua, context) = usual();
    let deep = "[".repeat(101);
    let deeper = "{\"a\":".repeat(100_000);
    let cases: [(&[u8], &str); 15] = [
        (b"", "EOF while parsing a value at line 1 column 0"),
        (b"nul", "at line 1 column 3"),
        (b"{\n  \"a\": x\n}", "expected value at line 2 column 8"),
        (b"[1,]", "trailing comma at line 1 column 4"),
        (b"1 2", "trailing characters at line 1 column 3"),
        (b"{1: 2}", "key must be a string at line 1 column 2"),
        (b"\"a\nb\"", "control character"),
        (b"\"\\ud800\"", "at line 1 column"),
        (b"\"\xff\"", "invalid unicode code point at line 1 column"),
        (b"{\"\xc3\": 1}", "invalid unicode code point"),
        (b"1e999", "number out of range at line 1 column"),
        (b"01", "invalid number at line 1 column 2"),
        (b"NaN", "expected value at line 1 column 1"),
        (deep.as_bytes(), "arrays and objects may be nested 100 deep at line 1 column 101"),
        (deeper.as_bytes(), "arrays and objects may be nested 100 deep at line 1 column"),
    ];
    for (text, expected) in cases {
        let problem = decode(&lua, &context, text).unwrap_err().to_string();
        assert!(problem.contains("this text is not JSON: ") && problem.contains(expected), "{expected}: {problem}");
    }
}

#[test]
fn a_text_that_is_too_long_is_refused_at_once() {
    let (lua, context) = usual();
    let text = vec![b' '; 1 << 30];
    let problem = decode(&lua, &context, &text).unwrap_err().to_string();
    assert!(problem.contains("this text has 1073741824 bytes"), "{problem}");
}

#[test]
fn time_and_memory_bound_both_ways() {
    let numbers = format!("[{}0]", "0,".repeat(1_000_000));
    // A table costs some fifty bytes for the two of its text.
    let tables = format!("[{}{{}}]", "{},".repeat(1_000_000));
    let (lua, context) = vm(Duration::ZERO, 64 << 20);
    let problem = decode(&lua, &context, b"1").unwrap_err().to_string();
    assert!(problem.contains("has run longer"), "{problem}");
    let (lua, context) = vm(Duration::from_millis(1), 256 << 20);
    let problem = decode(&lua, &context, numbers.as_bytes()).unwrap_err().to_string();
    assert!(problem.contains("has run longer"), "{problem}");
    let (lua, context) = vm(Duration::from_secs(3600), 16 << 20);
    let problem = decode(&lua, &context, tables.as_bytes()).unwrap_err().to_string();
    assert!(problem.contains("not enough memory"), "{problem}");
    lua.gc_collect().unwrap();
    assert!(lua.used_memory() < 1 << 20 && context.marks.host_memory.bytes() == 0);
    // One small table that stands for 2^50 lists.
    lua.load("tree = {} for i = 1, 50 do tree = { tree, tree } end").exec().unwrap();
    let problem = encoded(&lua, "tree").unwrap_err();
    assert!(problem.contains("not enough memory"), "{problem}");
    assert_eq!(context.marks.host_memory.bytes(), 0);
    let (lua, _context) = vm(Duration::from_millis(1), 1 << 30);
    lua.load("tree = {} for i = 1, 50 do tree = { tree, tree } end").exec().unwrap();
    let problem = encoded(&lua, "tree").unwrap_err();
    assert!(problem.contains("has run longer"), "{problem}");
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Into::into),
        ".*".prop_map(serde_json::Value::String),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
            prop::collection::btree_map(".{0,4}", inner, 0..8).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// Equal, where a whole number below 2^53 may have lost its fraction of zero.
fn alike(left: &serde_json::Value, right: &serde_json::Value) -> bool {
    use serde_json::Value::{Array, Number, Object};
    match (left, right) {
        (Number(left), Number(right)) => left == right || left.as_f64() == right.as_f64(),
        (Array(left), Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| alike(left, right))
        }
        (Object(left), Object(right)) => {
            left.len() == right.len()
                && left.iter().zip(right).all(|((name, left), (other, right))| name == other && alike(left, right))
        }
        _ => left == right,
    }
}

#[test]
fn any_json_comes_back_as_it_was() {
    let (lua, context) = usual();
    let config = ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(value in any_json(), is_pretty in any::<bool>())| {
        let text = if is_pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
        let decoded = decode(&lua, &context, text.as_bytes()).unwrap();
        let style = if is_pretty { Style::Pretty } else { Style::Compact };
        let again = encode(&lua, &context, &decoded, style).unwrap();
        let found: serde_json::Value = serde_json::from_slice(&again).unwrap();
        prop_assert!(alike(&found, &value), "{text}\n{}", String::from_utf8_lossy(&again));
    });
}

#[test]
fn no_text_makes_it_panic() {
    let (lua, context) = usual();
    let config = ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(bytes in any::<Vec<u8>>(), text in "[\\[\\]{}\",:0-9eE.+a-z\\\\ -]*")| {
        let _ = decode(&lua, &context, &bytes);
        let _ = decode(&lua, &context, text.as_bytes());
    });
}
