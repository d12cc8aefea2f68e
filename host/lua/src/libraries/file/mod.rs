//! `file`: reads the files of the application's folder, from handlers that wait for the disk.

mod lines;
mod unreadable;
mod xml;

use std::rc::Rc;

use mlua::{Function, Lua, LuaString, Result, Table, Value};

use self::unreadable::{OnTime, Unreadable};
use super::json;
use crate::api::state::ApiState;
use crate::disk::{is_below, leads_out};
use crate::engine::vm_context::VmContext;

/// Makes the library.
pub(super) fn register(lua: &Lua, context: &Rc<VmContext>, state: &Rc<ApiState>, native: &Table) -> Result<()> {
    let shared = Rc::clone(state);
    native.raw_set(
        "file_read",
        lua.create_function(move |_, name: Value| {
            let name = file_name(&name)?;
            shared.must_be_live()?;
            shared.instance.begin_read(name)
        })?,
    )?;
    native.raw_set("file_lines", made(lua, context, lines::lines)?)?;
    native.raw_set("file_xml", made(lua, context, xml::decode)?)?;
    let budget = Rc::clone(context);
    let decode = move |lua: &Lua, text: &[u8], on_time: OnTime<'_>| {
        json::decode(lua, &budget, text).map_err(|error| match on_time() {
            Ok(()) if matches!(error, mlua::Error::RuntimeError(_)) => Unreadable::Text(super::message_of(&error)),
            _ => Unreadable::Limit(error),
        })
    };
    native.raw_set("file_json", made(lua, context, decode)?)?;
    watching(lua, state, native)?;
    lua.load(include_str!("file.lua")).set_name("=introd").call::<()>(native)
}

fn watching(lua: &Lua, state: &Rc<ApiState>, native: &Table) -> Result<()> {
    let shared = Rc::clone(state);
    native.raw_set(
        "file_watch",
        lua.create_function(move |_, (name, handler): (Value, Value)| {
            let name = file_name(&name)?;
            let Value::Function(handler) = handler else {
                return wrong(format!("file.watch calls a function, not a {}", handler.type_name()));
            };
            shared.must_be_live()?;
            let (instance, max) = (&shared.instance, shared.instance.settings().script.files.max_watches);
            if shared.watches.borrow().len() >= max {
                return wrong(format!(
                    "the script watches {max} files: ScriptEngine/File/MaxWatches in Application.xml allows no more"
                ));
            }
            instance.queries.must_have_room()?;
            let token = instance.token();
            instance.queries.begin_of_script(token, instance.files.watch(&name, None));
            shared.watches.borrow_mut().add(token, name, handler);
            Ok(token)
        })?,
    )?;
    let shared = Rc::clone(state);
    native.raw_set(
        "file_unwatch",
        lua.create_function(move |_, token: Value| {
            // As with timers, a value that is no watch is no error.
            if let Value::Integer(token) = token
                && shared.watches.borrow_mut().remove(token.unsigned_abs())
            {
                shared.instance.queries.cancel(token.unsigned_abs());
            }
            Ok(())
        })?,
    )
}

fn wrong<T>(message: String) -> Result<T> {
    Err(mlua::Error::runtime(message))
}

/// The name of a file. One that leads out of the folder is the script's mistake, and an error at its line.
fn file_name(value: &Value) -> Result<String> {
    let Value::String(name) = value else {
        return wrong(format!("the name of a file is a string, not a {}", value.type_name()));
    };
    let name = name.to_string_lossy();
    if is_below(&name) { Ok(name) } else { wrong(leads_out(&name)) }
}

/// A function of the text and the name of a file, which gives nil and the reason if it can make nothing of the text.
fn made(
    lua: &Lua,
    context: &Rc<VmContext>,
    make: impl Fn(&Lua, &[u8], OnTime<'_>) -> std::result::Result<Value, Unreadable> + 'static,
) -> Result<Function> {
    let context = Rc::clone(context);
    lua.create_function(move |lua, (text, name): (LuaString, LuaString)| {
        let text = text.as_bytes();
        context.begin(text.len())?;
        match make(lua, &text, &|| context.on_time()) {
            Ok(value) => Ok((value, Value::Nil)),
            Err(Unreadable::Text(why)) => {
                let problem = lua.create_string(format!("{}: {why}", name.to_string_lossy()))?;
                Ok((Value::Nil, Value::String(problem)))
            }
            Err(Unreadable::Limit(error)) => Err(error),
        }
    })
}
