//! `string.find`, `match` and `gmatch`.

use mlua::{Function, Lua, LuaString, MultiValue, Result, Table, Value};

use super::counted::{Bounds, Counted};
use super::error::PatternError;
use super::matcher::Matcher;
use super::matches::{Cursor, failed, one_by_one, push_captures};
use super::meter::Meter;

/// Puts the functions into the table `string`, in the place of Lua's own.
pub(super) fn register(lua: &Lua, string: &Table, bounds: &Bounds) -> Result<()> {
    for (name, is_find) in [("find", true), ("match", false)] {
        let bounds = bounds.clone();
        let function =
            lua.create_function(move |lua, arguments: FindArguments| find(lua, &bounds, &arguments, is_find))?;
        string.raw_set(name, function)?;
    }
    let shared = bounds.clone();
    string.raw_set("gmatch", lua.create_function(move |lua, arguments| gmatch(lua, &shared, arguments))?)
}

type FindArguments = (LuaString, LuaString, Option<i64>, Option<bool>);

/// Where the search begins: counted from 1, or from the end if negative. `None` if that is behind the end.
fn start(init: Option<i64>, len: usize) -> Option<usize> {
    let start = match init.unwrap_or(1) {
        init @ 1.. => usize::try_from(init - 1).ok()?,
        0 => 0,
        init => len.saturating_sub(usize::try_from(init.unsigned_abs()).ok()?),
    };
    (start <= len).then_some(start)
}

fn find(lua: &Lua, bounds: &Bounds, arguments: &FindArguments, is_find: bool) -> Result<MultiValue> {
    let budget = &bounds.budget;
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
    let compiled = Counted::new(lua, bounds, pattern, true)?;
    let found = Matcher::new(subject, &compiled.pattern, meter).find(from).map_err(|error| failed(budget, error))?;
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

fn gmatch(lua: &Lua, bounds: &Bounds, arguments: (LuaString, LuaString, Option<i64>)) -> Result<Function> {
    let (subject, pattern, init) = arguments;
    // As in Lua, ^ is no anchor here.
    let pattern = Counted::new(lua, bounds, &pattern.as_bytes(), false)?;
    let len = subject.as_bytes().len();
    let cursor = Cursor::new(start(init, len).unwrap_or(len + 1), u64::MAX);
    one_by_one(lua, &bounds.budget, (subject, pattern, cursor), |lua, subject, found| {
        let mut results = MultiValue::new();
        push_captures(lua, subject, found, true, &mut results)?;
        Ok(results)
    })
}
