use std::rc::Rc;

use mlua::{Lua, Value};

use super::compile::Pattern;
use super::error::PatternError;
use super::matcher::Matcher;
use super::meter::Meter;
use super::{Bounds, register};
use crate::engine::host_memory::HostMemory;
use crate::engine::limits::Budget;

/// Lua's own functions beside ours, in one VM: whatever a pattern means to the one it must mean to the other.
fn vm() -> Lua {
    let lua = Lua::new();
    let bounds =
        Bounds { budget: Rc::new(Budget::new(None, 1 << 20)), host_memory: Rc::new(HostMemory::new(16 << 20)) };
    lua.load("theirs = {} for name, f in pairs(string) do theirs[name] = f end").exec().unwrap();
    register(&lua, &lua.globals().get("string").unwrap(), &bounds).unwrap();
    lua.load(
        "function same(name, ...)
            local ours, own = table.pack(pcall(string[name], ...)), table.pack(pcall(theirs[name], ...))
            if not ours[1] or not own[1] then return ours[1] == own[1], tostring(ours[2]), tostring(own[2]) end
            for i = 1, math.max(ours.n, own.n) do
                if ours[i] ~= own[i] then return false, tostring(ours[i]), tostring(own[i]) end
            end
            return true
        end
        function collect(f, ...) local all = {} for a, b in f(...) do all[#all + 1] = tostring(a) .. '|' .. tostring(b) end return table.concat(all, ';') end",
    )
    .exec()
    .unwrap();
    lua
}

const PATTERNS: &[&str] = &[
    "",
    ".",
    ".*",
    ".+",
    ".-",
    "^",
    "$",
    "^$",
    "a",
    "a*",
    "a+",
    "a-",
    "a?",
    "^a",
    "a$",
    "^a*$",
    "(a)",
    "(a*)(b*)",
    "()",
    "()a()",
    "(a(b)(c))",
    "%a",
    "%A+",
    "%d%d",
    "%s*",
    "%w+",
    "%p",
    "%x+",
    "%c",
    "%g",
    "%u%l",
    "[abc]",
    "[^abc]+",
    "[a-c]+",
    "[]]",
    "[^]]",
    "[]-a]",
    "[a%]]",
    "[%a_][%w_]*",
    "[a-]",
    "[-a]",
    "%bab",
    "%b()",
    "%f[%w]%w+",
    "%f[%W]",
    "(.)%1",
    "(a)(b)%2%1",
    "%.",
    "%%",
    "a.c",
    "a-b",
    ".-b",
    "(.-),",
    "[%s,]+",
    "^(%w+)=(.*)$",
    "x?y?z?",
    "$a",
    "a^b",
    "%1",
    "(",
    ")",
    "(()",
    "%",
    "[a",
    "[",
    "[^",
    "%b",
    "%ba",
    "%f",
    "%fa",
    "(%1)",
    "[%",
    "[a-%",
    "\0",
    "[\0-\x1f]",
    "%z",
    "(a)?",
    "a**",
    "^^a",
    "[a]]",
    "%-",
    "[%d-z]",
    "[z-a]",
];

const SUBJECTS: &[&str] = &[
    "",
    "a",
    "aaa",
    "abc",
    "aab abb",
    "hello instance",
    "key=value, other = 3",
    "THE (quick (brown)) fox",
    "a.b%c",
    "xyz",
    "12 34\t56",
    "aXbXc",
    "  trim me  ",
    "abab",
    "((a)b)",
    "a\0b",
    "[x]",
    "]-a",
    "naïve",
];

#[test]
fn every_pattern_means_what_it_means_to_lua() {
    let lua = vm();
    let same: mlua::Function = lua.globals().get("same").unwrap();
    // A pattern that is malformed behind a place where nothing matches is not noticed by Lua; here it always is.
    let stricter = |pattern: &str| {
        ["%1", "(()", "(%1)", "[a", "[", "[^", "%b", "%ba", "%f", "%fa", "(", ")", "%", "[%", "[a-%"].contains(&pattern)
    };
    for pattern in PATTERNS {
        for subject in SUBJECTS {
            for init in [1, 2, -1, -100, 100, 0] {
                for name in ["find", "match"] {
                    let (is_same, ours, own): (bool, Value, Value) =
                        same.call((name, *subject, *pattern, init)).unwrap();
                    assert!(is_same || stricter(pattern), "{name} {subject:?} {pattern:?} {init}: {ours:?} {own:?}");
                }
            }
            for replacement in ["<%0>", "%%", "-", "%1"] {
                let (is_same, ours, own): (bool, Value, Value) =
                    same.call(("gsub", *subject, *pattern, replacement)).unwrap();
                assert!(is_same || stricter(pattern), "gsub {subject:?} {pattern:?} {replacement}: {ours:?} {own:?}");
            }
        }
    }
}

#[test]
fn the_other_forms() {
    vm()
        .load(
            "for _, case in ipairs {
                { 'find', 'a.b', '.', 1, true }, { 'find', 'a.b', '.b', 2, true }, { 'find', 'aXb', 'X', -2, true },
                { 'find', '', '', 1, true }, { 'find', '', '', 2 }, { 'find', 123, 2 }, { 'find', 'aaab', 'aab', 1, true },
                { 'gsub', 'abc', '%w', { a = 'x', b = false, c = 3 } }, { 'gsub', 'abc', '(%w)(%w)', '%2%1' },
                { 'gsub', 'abc', '%w', function(c) return c ~= 'b' and c:upper() or nil end }, { 'gsub', 'aaa', 'a', 'b', 2 },
                { 'gsub', 'aaa', '^a', 'b' }, { 'gsub', 'abc', '', '-' }, { 'gsub', 'a b', '%s*', 'x' }, { 'gsub', 'aaa', 'a', 'b', 0 },
                { 'gsub', 'x', 'x', '%2' }, { 'gsub', 'x', 'x', '%' }, { 'gsub', 'x', 'x', '%a' }, { 'gsub', 'x', 'x', function() return {} end },
                { 'gsub', 'x', 'x', 7 }, { 'gsub', 'x', 'x' }, { 'gsub', 'x', 'x', true }, { 'gsub', 'a', '()', '%1' }, { 'find', 'x' },
                { 'gsub', 'ab', '(a)(b)', { a = 'hit' } }, { 'match', '2024-01', '(%d+)-(%d+)' }, { 'find', 'abc', '()b()' },
            } do
                local ok, ours, own = same(table.unpack(case))
                assert(ok, case[1] .. ' ' .. tostring(case[3]) .. ': ' .. tostring(ours) .. ' / ' .. tostring(own))
            end
            for _, case in ipairs {
                { 'one two  three', '%a+' }, { 'k=v, x=y', '(%w+)=(%w+)' }, { 'abc', '' }, { 'abc', '()' }, { 'aaa', '^a' }, { 'abc', 'b*' },
                { 'abcabc', 'c', 4 }, { 'abc', '.', -2 }, { '', '' }, { 'abc', '', 10 },
            } do
                assert(collect(string.gmatch, table.unpack(case)) == collect(theirs.gmatch, table.unpack(case)), case[2])
            end",
        )
        .exec()
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_match_that_takes_too_long_is_given_up() {
    let subject = "a".repeat(100_000);
    for text in [".-.-.-.-b", "a*a*a*a*a*b", "(a*)*%1b", &"a-".repeat(30)] {
        let text = format!("{text}c");
        let Ok(pattern) = Pattern::new(text.as_bytes(), true) else { panic!("{text}") };
        let meter = Meter::new(subject.len(), &|| false);
        assert_eq!(Matcher::new(subject.as_bytes(), &pattern, meter).find(0), Err(PatternError::TooComplex), "{text}");
    }
    let pattern = Pattern::new(b"a-a-b", true).unwrap();
    let meter = Meter::new(subject.len(), &|| true);
    assert_eq!(Matcher::new(subject.as_bytes(), &pattern, meter).find(0), Err(PatternError::Expired));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]
    #[test]
    fn no_pattern_panics(pattern in proptest::collection::vec(proptest::sample::select(b"ab%[]^$()*+-?.1fbdw\xff\0".to_vec()), 0..16), subject in "[ab(). ]{0,16}") {
        let Ok(pattern) = Pattern::new(&pattern, true) else { return Ok(()) };
        let meter = Meter::new(subject.len(), &|| false);
        if let Ok(Some(found)) = Matcher::new(subject.as_bytes(), &pattern, meter).find(0) {
            assert!(found.start <= found.end && found.end <= subject.len());
        }
    }
}

#[test]
fn bounds_hold_at_their_edges() {
    let captures = |count: usize| Pattern::new("()".repeat(count).as_bytes(), true).map(|pattern| pattern.items.len());
    assert_eq!(captures(32), Ok(32));
    assert_eq!(captures(33), Err(PatternError::Malformed("too many captures")));
    // Alternatives that have been given up do not count as nested.
    let subject = "a".repeat(10_000);
    let pattern = Pattern::new(b"a-b", true).unwrap();
    let meter = Meter::new(subject.len(), &|| false);
    assert_eq!(Matcher::new(&subject.as_bytes()[..1000], &pattern, meter).match_at(0), Ok(None));
    // The clock is looked at again and again.
    let looks = std::cell::Cell::new(0);
    let is_expired = || looks.replace(looks.get() + 1) == 5;
    let meter = Meter::new(subject.len(), &is_expired);
    assert_eq!(Matcher::new(subject.as_bytes(), &pattern, meter).find(0), Err(PatternError::Expired));
}
