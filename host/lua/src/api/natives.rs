//! What the host gives the prelude.

use std::rc::Rc;

use mlua::{Lua, Result, Table, Value, Variadic};

use super::{application, client, clients, group_specifier, lookup_event, shared_registry, timers};
use crate::api::state::State;
use crate::engine::failure::{self, Failure};
use crate::engine::opaque::Opaque;
use crate::engine::pattern;
use introd_flash::amf;
use introd_log::text::shown;

/// Makes the table of natives, and the globals that are no functions of the prelude's.
pub(crate) fn install(lua: &Lua, state: &Rc<State>) -> Result<Table> {
    let native = lua.create_table()?;
    application::describe(lua, state)?;
    application::register(lua, state, &native)?;
    client::register(lua, state, &native)?;
    clients::register(lua, state, &native)?;
    lookup_event::register(lua, state, &native)?;
    native.raw_set("key", &state.key)?;
    native.raw_set("event_key", &state.event_key)?;
    timers::register(lua, state, &native)?;
    shared_registry::register(lua, state, &native)?;
    group_specifier::register(lua)?;
    errors(lua, state, &native)?;
    values(lua, state, &native)?;
    files(lua, state, &native)?;
    output(lua, state, &native)?;

    let globals = lua.globals();
    let bounds = pattern::Bounds { budget: Rc::clone(&state.budget), held: Rc::clone(&state.marks.held) };
    pattern::register(lua, &globals.get("string")?, &bounds)?;
    globals.raw_set("application", &state.application)?;
    globals.raw_set("Client", &state.prototype)?;
    Ok(native)
}

fn errors(lua: &Lua, state: &Rc<State>, native: &Table) -> Result<()> {
    let shared = Rc::clone(state);
    native.raw_set(
        "describe",
        lua.create_function(move |lua, value: Value| {
            let failure = Failure::here(lua, &value);
            // The first error is the cause; others may follow from it while the handler is unwound.
            shared.failure.borrow_mut().get_or_insert(failure);
            Ok(())
        })?,
    )?;
    native.raw_set("placed", lua.create_function(|lua, value: Value| failure::placed(lua, value))?)?;
    native.raw_set(
        "plain_error",
        lua.create_function(|lua, value: Value| match &value {
            Value::Error(error) => Ok(Value::String(lua.create_string(Failure::from(&**error).to_string())?)),
            // An object of the script's own stays what it is.
            _ => Ok(value),
        })?,
    )?;
    let shared = Rc::clone(state);
    native.raw_set("is_crowded", lua.create_function(move |_, ()| Ok(shared.is_crowded.get()))?)?;
    let budget = Rc::clone(&state.budget);
    native.raw_set("is_over", lua.create_function(move |_, ()| Ok(budget.is_over()))?)?;
    let budget = Rc::clone(&state.budget);
    native.raw_set("note_growth", lua.create_function(move |lua, ()| budget.adapt(lua))?)?;
    let budget = Rc::clone(&state.budget);
    native.raw_set("raise_over", lua.create_function(move |lua, ()| budget.raise(lua))?)?;
    native.raw_set(
        "metafield",
        lua.create_function(|_, (table, name): (Table, mlua::LuaString)| {
            table.metatable().map_or(Ok(Value::Nil), |meta| meta.raw_get::<Value>(name))
        })?,
    )?;
    native.raw_set(
        "has_no_access_methods",
        lua.create_function(|_, table: Table| {
            let Some(meta) = table.metatable() else { return Ok(true) };
            ["__index", "__newindex", "__len", "__eq"]
                .into_iter()
                .try_fold(true, |is_plain, name| Ok(is_plain && meta.raw_get::<Value>(name)?.is_nil()))
        })?,
    )
}

fn values(lua: &Lua, state: &Rc<State>, native: &Table) -> Result<()> {
    native.raw_set("null", &state.marks.null)?;
    native.raw_set("undefined", &state.marks.undefined)?;
    let array = state.marks.array.clone();
    native.raw_set(
        "array",
        lua.create_function(move |lua, table: Option<Table>| {
            let table = table.map_or_else(|| lua.create_table(), Ok)?;
            if let Some(own) = table.metatable()
                && own != array
                && own.raw_get::<Value>("__metatable")? != Value::Nil
            {
                return Err(mlua::Error::runtime("this table has a metatable of its own, and cannot be an array"));
            }
            table.set_metatable(Some(array.clone()))?;
            Ok(table)
        })?,
    )?;
    let marks = state.marks.clone();
    native.raw_set(
        "byte_array",
        lua.create_function(move |lua, bytes: mlua::LuaString| {
            Opaque::new(lua, &marks, amf::Value::ByteArray(bytes.as_bytes().to_vec()))
        })?,
    )?;
    let shared = Rc::clone(state);
    native.raw_set(
        "date",
        lua.create_function(move |lua, milliseconds: Option<f64>| {
            let milliseconds = milliseconds.unwrap_or_else(|| shared.world.milliseconds());
            Opaque::new(lua, &shared.marks, amf::Value::Date { milliseconds, time_zone: 0 })
        })?,
    )
}

fn files(lua: &Lua, state: &Rc<State>, native: &Table) -> Result<()> {
    let shared = Rc::clone(state);
    native.raw_set(
        "load",
        lua.create_function(move |lua, name: mlua::LuaString| shared.sources.load(lua, &name.to_string_lossy()))?,
    )?;
    let shared = Rc::clone(state);
    native.raw_set(
        "find",
        lua.create_function(move |lua, name: mlua::LuaString| shared.sources.find(lua, &name.to_string_lossy()))?,
    )
}

/// The longest line that is written; the script chooses it.
const LONGEST_LINE: usize = 4096;

fn output(lua: &Lua, state: &Rc<State>, native: &Table) -> Result<()> {
    native.raw_set("longest_line", LONGEST_LINE)?;
    let shared = Rc::clone(state);
    native.raw_set(
        "trace",
        lua.create_function(move |lua, texts: Variadic<mlua::LuaString>| {
            let mut line = String::new();
            for (index, text) in texts.iter().enumerate() {
                line.push_str(if index > 0 { " " } else { "" });
                let bytes = text.as_bytes();
                line.push_str(&shown(&String::from_utf8_lossy(bytes.get(..LONGEST_LINE).unwrap_or(&bytes))));
                if line.len() > LONGEST_LINE {
                    line = line.chars().take(LONGEST_LINE).collect();
                    break;
                }
            }
            let (file, place) = failure::caller(lua).unwrap_or_default();
            shared.world.journal.trace(&shared.world.name, &file, place, line);
            Ok(())
        })?,
    )?;
    let shared = Rc::clone(state);
    native.raw_set("now", lua.create_function(move |_, ()| Ok(shared.world.milliseconds() as i64))?)
}
