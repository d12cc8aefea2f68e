//! What the host gives the engine's preludes: functions for errors, values and files.

use std::rc::Rc;

use mlua::{Lua, Result, Table, Value};

use super::failure::{self, Failure};
use super::pattern;
use super::values::Opaque;
use super::vm_context::VmContext;
use introd_flash::amf;

/// Makes the table of natives, and puts the pattern functions into `string`.
pub(super) fn install(lua: &Lua, context: &Rc<VmContext>) -> Result<Table> {
    let native = lua.create_table()?;
    errors(lua, context, &native)?;
    values(lua, context, &native)?;
    files(lua, context, &native)?;
    let bounds =
        pattern::Bounds { budget: Rc::clone(&context.budget), host_memory: Rc::clone(&context.marks.host_memory) };
    pattern::register(lua, &lua.globals().get("string")?, &bounds)?;
    Ok(native)
}

fn errors(lua: &Lua, context: &Rc<VmContext>, native: &Table) -> Result<()> {
    let shared = Rc::clone(context);
    native.raw_set(
        "describe",
        lua.create_function(move |lua, value: Value| {
            let failure = Failure::here(lua, &value);
            // The first error counts: others may follow from it while the handler is unwound.
            shared.failure.borrow_mut().get_or_insert(failure);
            Ok(())
        })?,
    )?;
    native.raw_set("placed", lua.create_function(|lua, value: Value| failure::placed(lua, value))?)?;
    native.raw_set(
        "plain_error",
        lua.create_function(|lua, value: Value| match &value {
            Value::Error(error) => Ok(Value::String(lua.create_string(Failure::from(&**error).to_string())?)),
            // An error object of the script's own stays as it is.
            _ => Ok(value),
        })?,
    )?;
    let shared = Rc::clone(context);
    native.raw_set("is_crowded", lua.create_function(move |_, ()| Ok(shared.is_crowded.get()))?)?;
    let budget = Rc::clone(&context.budget);
    native.raw_set("is_over", lua.create_function(move |_, ()| Ok(budget.is_over()))?)?;
    native.raw_set("resume", introd_interrupt::resume_function(lua)?)?;
    let budget = Rc::clone(&context.budget);
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

fn values(lua: &Lua, context: &Rc<VmContext>, native: &Table) -> Result<()> {
    native.raw_set("null", &context.marks.null)?;
    native.raw_set("undefined", &context.marks.undefined)?;
    let array = context.marks.array.clone();
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
    let marks = context.marks.clone();
    native.raw_set(
        "byte_array",
        lua.create_function(move |lua, bytes: mlua::LuaString| {
            Opaque::new(lua, &marks, amf::Value::ByteArray(bytes.as_bytes().to_vec()))
        })?,
    )
}

/// A disk may be slow, and no tick comes while the script waits for it: these look at the clock.
fn files(lua: &Lua, context: &Rc<VmContext>, native: &Table) -> Result<()> {
    let shared = Rc::clone(context);
    native.raw_set(
        "load",
        lua.create_function(move |lua, name: mlua::LuaString| {
            shared.on_time()?;
            shared.sources.load(lua, &name.to_string_lossy())
        })?,
    )?;
    let shared = Rc::clone(context);
    native.raw_set(
        "find",
        lua.create_function(move |lua, name: mlua::LuaString| {
            shared.on_time()?;
            shared.sources.find(lua, &name.to_string_lossy())
        })?,
    )
}
