//! `trace` and `log`: lines of a script for the server's log.

use std::rc::Rc;

use introd_log::text::shown;
use mlua::{Lua, LuaString, Result, Table};

use crate::engine::failure;
use crate::instance::Instance;
use crate::instance::journal::{JournalEntry, LogLevel};

/// The part that is written in Lua: a script's `__tostring` must not be called from Rust.
const PRELUDE: &str = include_str!("log.lua");
/// The longest line, in characters; more is cut off.
const MAX_LINE: usize = 4096;

/// Makes `trace`, `print` and the table `log`.
pub(super) fn register(lua: &Lua, instance: &Rc<Instance>) -> Result<()> {
    let native = lua.create_table()?;
    native.raw_set("max_line", MAX_LINE)?;
    let writer = |level: LogLevel, entry: fn(LogLevel, String) -> JournalEntry| {
        let shared = Rc::clone(instance);
        lua.create_function(move |lua, (texts, count): (Table, usize)| {
            let (file, line) = failure::caller(lua).unwrap_or_default();
            let text = line_of(&texts, count)?;
            shared.journal.write(&shared.name, &file, line, level, &text);
            shared.journal.keep(entry(level, text));
            Ok(())
        })
    };
    let wanted = |level: LogLevel| {
        let shared = Rc::clone(instance);
        lua.create_function(move |_, ()| Ok(shared.journal.wants(level)))
    };
    native.raw_set("trace", writer(LogLevel::Info, |_, text| JournalEntry::Trace(text))?)?;
    native.raw_set("wants_trace", wanted(LogLevel::Info)?)?;
    for level in [LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error] {
        native.raw_set(level.name(), writer(level, JournalEntry::Line)?)?;
        native.raw_set(format!("wants_{}", level.name()), wanted(level)?)?;
    }
    lua.load(PRELUDE).set_name("=introd").call::<()>(native)
}

/// So many texts of a list in one line, with a blank between them.
fn line_of(texts: &Table, count: usize) -> Result<String> {
    let mut line = String::new();
    for index in 1..=count {
        line.push_str(if index > 1 { " " } else { "" });
        let text = texts.raw_get::<LuaString>(index)?;
        let bytes = text.as_bytes();
        line.push_str(&shown(&String::from_utf8_lossy(bytes.get(..MAX_LINE).unwrap_or(&bytes))));
        if line.len() > MAX_LINE {
            return Ok(line.chars().take(MAX_LINE).collect());
        }
    }
    Ok(line)
}
