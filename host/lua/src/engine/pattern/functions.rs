//! `string.find`, `match` and `gmatch`.

use std::cell::RefCell;
use std::rc::Rc;

use mlua::{Function, Lua, LuaString, MultiValue, Result, Table, Value};

use super::{Bounds, Capture, Counted, Match, Matcher, Meter, PatternError, replace};
use crate::engine::limits::Budget;

/// Puts the functions into the table `string`, in the place of Lua's own.
pub(crate) fn register(lua: &Lua, string: &Table, bounds: &Bounds) -> Result<()> {
    for (name, is_find) in [("find", true), ("match", false)] {
        let bounds = bounds.clone();
        let function =
            lua.create_function(move |lua, arguments: FindArguments| find(lua, &bounds, &arguments, is_find))?;
        string.raw_set(name, function)?;
    }
    let shared = bounds.clone();
    string.raw_set("gmatch", lua.create_function(move |lua, arguments| gmatch(lua, &shared, arguments))?)?;
    replace::register(lua, string, bounds)
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

pub(super) fn failed(budget: &Budget, error: PatternError) -> mlua::Error {
    match error {
        PatternError::Expired => budget.error(),
        error => mlua::Error::runtime(error),
    }
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

pub(super) fn capture(lua: &Lua, subject: &[u8], capture: Capture) -> Result<Value> {
    match capture {
        Capture::Text(from, to) => Ok(Value::String(lua.create_string(subject.get(from..to).unwrap_or_default())?)),
        Capture::Position(at) | Capture::Open(at) => Ok(Value::Integer(at as i64 + 1)),
    }
}

/// The captures; the whole match if there are none and `or_whole` says so.
pub(super) fn push_captures(
    lua: &Lua,
    subject: &[u8],
    found: &Match,
    or_whole: bool,
    results: &mut MultiValue,
) -> Result<()> {
    for each in &found.captures {
        results.push_back(capture(lua, subject, *each)?);
    }
    if or_whole && found.captures.is_empty() {
        results.push_back(capture(lua, subject, Capture::Text(found.start, found.end))?);
    }
    Ok(())
}

/// How far through a subject its matches have been found.
pub(super) struct Cursor {
    next: usize,
    last_end: Option<usize>,
    /// How many more are wanted.
    left: u64,
}

impl Cursor {
    pub(super) fn new(from: usize, most: u64) -> Self {
        Self { next: from, last_end: None, left: most }
    }

    /// The next match. An empty one where the last has ended is none.
    pub(super) fn next(&mut self, matcher: &mut Matcher<'_, '_>) -> std::result::Result<Option<Match>, PatternError> {
        while self.left > 0 && self.next <= matcher.subject.len() {
            let found = matcher.match_at(self.next)?;
            if matcher.pattern.anchored {
                self.left = 0;
            }
            if let Some(found) = found.filter(|found| self.last_end != Some(found.end)) {
                self.next = found.end;
                self.last_end = Some(found.end);
                self.left = self.left.saturating_sub(1);
                return Ok(Some(found));
            }
            self.next += 1;
        }
        Ok(None)
    }
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

/// A function that gives the next match each time it is called, in the form that `results` makes; then nil.
pub(super) fn one_by_one(
    lua: &Lua,
    budget: &Rc<Budget>,
    (subject, pattern, cursor): (LuaString, Counted, Cursor),
    results: impl Fn(&Lua, &[u8], &Match) -> Result<MultiValue> + 'static,
) -> Result<Function> {
    let cursor = RefCell::new(cursor);
    let budget = Rc::clone(budget);
    lua.create_function(move |lua, ()| {
        let subject = &*subject.as_bytes();
        let is_expired = || budget.is_over();
        let mut matcher = Matcher::new(subject, &pattern.pattern, Meter::new(subject.len(), &is_expired));
        match cursor.borrow_mut().next(&mut matcher).map_err(|error| failed(&budget, error))? {
            Some(found) => results(lua, subject, &found),
            None => Ok(MultiValue::from_iter([Value::Nil])),
        }
    })
}
