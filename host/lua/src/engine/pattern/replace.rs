//! `string.gsub`.
//!
//! A function of the script's that makes replacements is called from Lua (`gsub.lua`): a handler whose time is over could not yield
//! in a function that Rust has called.

use mlua::{Function, Lua, LuaString, MultiValue, Result, Table, Value};

use super::counted::{Bounds, Counted};
use super::matcher::{Capture, Match, Matcher};
use super::matches::{Cursor, capture, failed, one_by_one, push_captures};
use super::meter::Meter;
use crate::engine::limits::Budget;

/// Puts the function into the table `string`, in the place of Lua's own.
pub(super) fn register(lua: &Lua, string: &Table, bounds: &Bounds) -> Result<()> {
    let shared = bounds.clone();
    string.raw_set("gsub", lua.create_function(move |lua, arguments| gsub(lua, &shared, arguments))?)?;
    let shared = bounds.clone();
    let matches = lua.create_function(move |lua, arguments| matches(lua, &shared, arguments))?;
    lua.load(include_str!("gsub.lua")).set_name("=introd").call((string, matches))
}

/// How many replacements there may be.
fn limit(limit: Option<i64>) -> u64 {
    limit.map_or(u64::MAX, |limit| u64::try_from(limit).unwrap_or(0))
}

/// A function that gives where the next match begins and ends, and its captures.
fn matches(lua: &Lua, bounds: &Bounds, arguments: (LuaString, LuaString, Option<i64>)) -> Result<Function> {
    let (subject, pattern, wanted) = arguments;
    let pattern = Counted::new(lua, bounds, &pattern.as_bytes(), true)?;
    one_by_one(lua, &bounds.budget, (subject, pattern, Cursor::new(0, limit(wanted))), |lua, subject, found| {
        let place = [Value::Integer(found.start as i64 + 1), Value::Integer(found.end as i64)];
        let mut results = MultiValue::from_iter(place);
        push_captures(lua, subject, found, true, &mut results)?;
        Ok(results)
    })
}

/// `gsub` with a text or a table without metamethods.
fn gsub(lua: &Lua, bounds: &Bounds, arguments: (LuaString, LuaString, Value, Option<i64>)) -> Result<(LuaString, i64)> {
    let budget = &bounds.budget;
    let (subject, pattern, replacement, wanted) = arguments;
    let subject = &*subject.as_bytes();
    let pattern = Counted::new(lua, bounds, &pattern.as_bytes(), true)?;
    let replacement = match replacement {
        Value::Integer(_) | Value::Number(_) => lua.coerce_string(replacement)?.map_or(Value::Nil, Value::String),
        other => other,
    };
    if !matches!(replacement, Value::String(_) | Value::Table(_)) {
        let kind = replacement.type_name();
        return Err(mlua::Error::runtime(format!(
            "bad argument #3 to 'gsub' (string/function/table expected, got {kind})"
        )));
    }
    let is_expired = || budget.is_over();
    let mut matcher = Matcher::new(subject, &pattern.pattern, Meter::new(subject.len(), &is_expired));
    let mut cursor = Cursor::new(0, limit(wanted));
    let (mut out, mut at, mut count) = (Vec::new(), 0, 0);
    while let Some(found) = cursor.next(&mut matcher).map_err(|error| failed(budget, error))? {
        out.extend_from_slice(subject.get(at..found.start).unwrap_or_default());
        replace(lua, budget, subject, &found, &replacement, &mut out)?;
        at = found.end;
        count += 1;
    }
    out.extend_from_slice(subject.get(at..).unwrap_or_default());
    Ok((lua.create_string(out)?, count))
}

/// Appends what replaces a match.
fn replace(
    lua: &Lua,
    budget: &Budget,
    subject: &[u8],
    found: &Match,
    replacement: &Value,
    out: &mut Vec<u8>,
) -> Result<()> {
    let whole = Capture::Text(found.start, found.end);
    let first = found.captures.first().copied().unwrap_or(whole);
    let value = match replacement {
        Value::String(text) => return expand(budget, subject, found, &text.as_bytes(), out),
        Value::Table(table) => table.raw_get::<Value>(capture(lua, subject, first)?)?,
        _ => Value::Nil,
    };
    match value {
        Value::Nil | Value::Boolean(false) => {
            out.extend_from_slice(subject.get(found.start..found.end).unwrap_or_default());
        }
        value @ (Value::String(_) | Value::Integer(_) | Value::Number(_)) => {
            if let Some(text) = lua.coerce_string(value)? {
                out.extend_from_slice(&text.as_bytes());
            }
            affordable(budget, out)?;
        }
        other => {
            let kind = other.type_name();
            return Err(mlua::Error::runtime(format!("invalid replacement value (a {kind})")));
        }
    }
    Ok(())
}

/// Checks that a result which is being built will fit into the script's memory.
fn affordable(budget: &Budget, out: &[u8]) -> Result<()> {
    if out.len() > budget.memory() {
        return Err(mlua::Error::MemoryError("not enough memory".to_owned()));
    }
    Ok(())
}

/// Appends a replacement text, with `%0` to `%9` and `%%` filled in.
fn expand(budget: &Budget, subject: &[u8], found: &Match, text: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        if *byte != b'%' {
            out.push(*byte);
            continue;
        }
        let index = match bytes.next() {
            Some(b'%') => {
                out.push(b'%');
                continue;
            }
            Some(digit @ b'0'..=b'9') => usize::from(digit - b'0'),
            _ => return Err(mlua::Error::runtime("invalid use of '%' in replacement string")),
        };
        affordable(budget, out)?;
        let whole = Capture::Text(found.start, found.end);
        let capture = match index {
            0 => Some(whole),
            // Without captures, %1 is the whole match.
            1 if found.captures.is_empty() => Some(whole),
            index => found.captures.get(index - 1).copied(),
        };
        match capture {
            Some(Capture::Text(from, to)) => out.extend_from_slice(subject.get(from..to).unwrap_or_default()),
            Some(Capture::Position(at) | Capture::Open(at)) => out.extend_from_slice((at + 1).to_string().as_bytes()),
            None => {
                let message = format!("invalid capture index %{index} in replacement string");
                return Err(mlua::Error::runtime(message));
            }
        }
    }
    Ok(())
}
