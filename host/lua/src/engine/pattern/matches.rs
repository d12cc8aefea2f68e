//! The matches of a pattern in a text, one after the other, and what a script gets of each.

use std::cell::RefCell;
use std::rc::Rc;

use mlua::{Function, Lua, LuaString, MultiValue, Result, Value};

use super::counted::Counted;
use super::error::PatternError;
use super::matcher::{Capture, Match, Matcher};
use super::meter::Meter;
use crate::engine::limits::Budget;

pub(super) fn failed(budget: &Budget, error: PatternError) -> mlua::Error {
    match error {
        PatternError::Expired => budget.error(),
        error => mlua::Error::runtime(error),
    }
}

pub(super) fn capture(lua: &Lua, subject: &[u8], capture: Capture) -> Result<Value> {
    match capture {
        Capture::Text(from, to) => Ok(Value::String(lua.create_string(subject.get(from..to).unwrap_or_default())?)),
        Capture::Position(at) | Capture::Open(at) => Ok(Value::Integer(at as i64 + 1)),
    }
}

/// Appends the captures, or the whole match if there are none and `or_whole` is set.
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

/// How far the matches of a text have been found.
pub(super) struct Cursor {
    next: usize,
    last_end: Option<usize>,
    /// How many more matches are wanted.
    left: u64,
}

impl Cursor {
    pub(super) fn new(from: usize, limit: u64) -> Self {
        Self { next: from, last_end: None, left: limit }
    }

    /// The next match. An empty match where the last one ended does not count.
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
