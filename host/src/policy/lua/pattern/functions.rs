//! `string.find`, `match`, `gmatch` and `gsub`.

use std::cell::RefCell;
use std::rc::Rc;

use mlua::{Function, Lua, LuaString, MultiValue, Result, Table, Value};

use super::super::limits::Budget;
use super::{Capture, Match, Matcher, Meter, Pattern, PatternError};

/// Puts the functions into the table `string`, in the place of Lua's own.
pub(in super::super) fn register(lua: &Lua, string: &Table, budget: &Rc<Budget>) -> Result<()> {
    for (name, is_find) in [("find", true), ("match", false)] {
        let budget = Rc::clone(budget);
        let function =
            lua.create_function(move |lua, arguments: FindArguments| find(lua, &budget, &arguments, is_find))?;
        string.raw_set(name, function)?;
    }
    let shared = Rc::clone(budget);
    string.raw_set("gmatch", lua.create_function(move |lua, arguments| gmatch(lua, &shared, arguments))?)?;
    let shared = Rc::clone(budget);
    string.raw_set("gsub", lua.create_function(move |lua, arguments| gsub(lua, &shared, arguments))?)
}

type FindArguments = (LuaString, LuaString, Option<i64>, Option<bool>);

/// Where to begin: counted from 1, or from the end if negative. `None` is behind the end.
fn start(init: Option<i64>, len: usize) -> Option<usize> {
    let start = match init.unwrap_or(1) {
        init @ 1.. => usize::try_from(init - 1).ok()?,
        0 => 0,
        init => len.saturating_sub(usize::try_from(init.unsigned_abs()).ok()?),
    };
    (start <= len).then_some(start)
}

fn failed(budget: &Budget, error: PatternError) -> mlua::Error {
    match error {
        PatternError::Expired => budget.error(),
        error => mlua::Error::runtime(error),
    }
}

fn find(lua: &Lua, budget: &Budget, arguments: &FindArguments, is_find: bool) -> Result<MultiValue> {
    let (subject, pattern, init, plain) = arguments;
    let (subject, pattern) = (&*subject.as_bytes(), &*pattern.as_bytes());
    let nothing = || MultiValue::from_iter([Value::Nil]);
    let Some(from) = start(*init, subject.len()) else { return Ok(nothing()) };
    let is_expired = || budget.is_over();
    let meter = Meter::new(subject.len(), &is_expired);
    let is_plain = plain.unwrap_or(false) || !pattern.iter().any(|byte| b"^$*+?.([%-".contains(byte));
    if is_find && is_plain {
        let found = find_plain(subject, pattern, from, meter).map_err(|error| failed(budget, error))?;
        return Ok(found.map_or_else(nothing, |at| {
            MultiValue::from_iter([Value::Integer(at as i64 + 1), Value::Integer((at + pattern.len()) as i64)])
        }));
    }
    let pattern = Pattern::new(pattern, true).map_err(mlua::Error::runtime)?;
    let found = Matcher::new(subject, &pattern, meter).find(from).map_err(|error| failed(budget, error))?;
    let Some(found) = found else { return Ok(nothing()) };
    let mut results = MultiValue::new();
    if is_find {
        results.push_back(Value::Integer(found.start as i64 + 1));
        results.push_back(Value::Integer(found.end as i64));
    }
    push_captures(lua, subject, &found, !is_find, &mut results)?;
    Ok(results)
}

fn find_plain(
    subject: &[u8],
    text: &[u8],
    from: usize,
    mut meter: Meter<'_>,
) -> std::result::Result<Option<usize>, PatternError> {
    for at in from..=subject.len() {
        let rest = subject.get(at..).unwrap_or_default();
        if rest.len() < text.len() {
            break;
        }
        let same = rest.iter().zip(text).take_while(|(left, right)| left == right).count();
        for _ in 0..=same / 8 {
            meter.step()?;
        }
        if same == text.len() {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

fn capture(lua: &Lua, subject: &[u8], capture: Capture) -> Result<Value> {
    match capture {
        Capture::Text(from, to) => Ok(Value::String(lua.create_string(subject.get(from..to).unwrap_or_default())?)),
        Capture::Position(at) | Capture::Open(at) => Ok(Value::Integer(at as i64 + 1)),
    }
}

/// The captures; the whole match if there are none and `or_whole` says so.
fn push_captures(lua: &Lua, subject: &[u8], found: &Match, or_whole: bool, results: &mut MultiValue) -> Result<()> {
    for each in &found.captures {
        results.push_back(capture(lua, subject, *each)?);
    }
    if or_whole && found.captures.is_empty() {
        results.push_back(capture(lua, subject, Capture::Text(found.start, found.end))?);
    }
    Ok(())
}

struct Iteration {
    next: usize,
    last_end: Option<usize>,
}

fn gmatch(lua: &Lua, budget: &Rc<Budget>, arguments: (LuaString, LuaString, Option<i64>)) -> Result<Function> {
    let (subject, pattern, init) = arguments;
    // As in Lua, ^ is no anchor here.
    let pattern = Pattern::new(&pattern.as_bytes(), false).map_err(mlua::Error::runtime)?;
    let len = subject.as_bytes().len();
    let state = RefCell::new(Iteration { next: start(init, len).unwrap_or(len + 1), last_end: None });
    let budget = Rc::clone(budget);
    lua.create_function(move |lua, ()| {
        let subject = &*subject.as_bytes();
        let is_expired = || budget.is_over();
        let mut matcher = Matcher::new(subject, &pattern, Meter::new(subject.len(), &is_expired));
        let mut state = state.borrow_mut();
        while state.next <= subject.len() {
            let found = matcher.match_at(state.next).map_err(|error| failed(&budget, error))?;
            // An empty match where the last one ended is none.
            if let Some(found) = found.filter(|found| state.last_end != Some(found.end)) {
                state.next = found.end;
                state.last_end = Some(found.end);
                let mut results = MultiValue::new();
                push_captures(lua, subject, &found, true, &mut results)?;
                return Ok(results);
            }
            state.next += 1;
        }
        Ok(MultiValue::from_iter([Value::Nil]))
    })
}

fn gsub(lua: &Lua, budget: &Budget, arguments: (LuaString, LuaString, Value, Option<i64>)) -> Result<(LuaString, i64)> {
    let (subject, pattern, replacement, most) = arguments;
    let subject = &*subject.as_bytes();
    let pattern = Pattern::new(&pattern.as_bytes(), true).map_err(mlua::Error::runtime)?;
    let replacement = match replacement {
        Value::Integer(_) | Value::Number(_) => lua.coerce_string(replacement)?.map_or(Value::Nil, Value::String),
        other => other,
    };
    if !matches!(replacement, Value::String(_) | Value::Table(_) | Value::Function(_)) {
        let kind = replacement.type_name();
        return Err(mlua::Error::runtime(format!(
            "bad argument #3 to 'gsub' (string/function/table expected, got {kind})"
        )));
    }
    let is_expired = || budget.is_over();
    let mut matcher = Matcher::new(subject, &pattern, Meter::new(subject.len(), &is_expired));
    let (mut out, mut at, mut count, mut last_end) = (Vec::new(), 0, 0, None);
    while count < most.unwrap_or(i64::MAX) {
        let found = matcher.match_at(at).map_err(|error| failed(budget, error))?;
        if let Some(found) = found.filter(|found| last_end != Some(found.end)) {
            count += 1;
            replace(lua, budget, subject, &found, &replacement, &mut out)?;
            at = found.end;
            last_end = Some(found.end);
        } else if let Some(byte) = subject.get(at) {
            out.push(*byte);
            at += 1;
        } else {
            break;
        }
        if at > subject.len() || pattern.anchored {
            break;
        }
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
        Value::Table(table) => table.get::<Value>(capture(lua, subject, first)?)?,
        Value::Function(function) => {
            let mut arguments = MultiValue::new();
            push_captures(lua, subject, found, true, &mut arguments)?;
            function.call::<Value>(arguments)?
        }
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

/// What is built here is not yet the script's memory, but will be.
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
