//! `http`: requests to web services, from handlers that wait for the answer.

mod request;

use std::rc::Rc;

use mlua::{Lua, LuaString, Result, Table, Value};

use super::json;
use crate::api::state::ApiState;
use crate::engine::vm_context::VmContext;
use introd_policy::http::HttpResponse;

/// Makes the library.
pub(super) fn register(lua: &Lua, context: &Rc<VmContext>, state: &Rc<ApiState>, native: &Table) -> Result<()> {
    let (shared, budget) = (Rc::clone(state), Rc::clone(context));
    native.raw_set(
        "http_send",
        lua.create_function(move |lua, options: Value| {
            let request = request::read(lua, &budget, &options)?;
            shared.must_be_live()?;
            shared.instance.begin_http(request)
        })?,
    )?;
    let budget = Rc::clone(context);
    native.raw_set(
        "http_json",
        lua.create_function(move |lua, body: Value| {
            // A script may have put anything there.
            let Value::String(body) = body else { return problem(lua, "the body of the answer is no string any more") };
            match json::decode(lua, &budget, &body.as_bytes()) {
                Ok(value) => Ok((value, Value::Nil)),
                // That the script's time or memory is used up ends the handler.
                Err(error) if !matches!(error, mlua::Error::RuntimeError(_)) => Err(error),
                Err(error) => {
                    budget.on_time()?;
                    problem(lua, &format!("the body of the answer is no JSON: {}", super::message_of(&error)))
                }
            }
        })?,
    )?;
    lua.load(include_str!("http.lua")).set_name("=introd").call::<()>(native)
}

fn problem(lua: &Lua, why: &str) -> Result<(Value, Value)> {
    Ok((Value::Nil, Value::String(lua.create_string(why)?)))
}

/// An answer, of which the prelude makes the script's. Headers of one name become one, separated by commas, as the standard has it;
/// cookies, which contain commas, by line ends.
pub(crate) fn response(lua: &Lua, response: &HttpResponse) -> Result<Table> {
    let headers = lua.create_table_with_capacity(0, response.headers.len())?;
    for (name, value) in &response.headers {
        let value = match headers.raw_get::<Option<LuaString>>(name.as_str())? {
            Some(before) => {
                let separator: &[u8] = if name == "set-cookie" { b"\n" } else { b", " };
                lua.create_string([&*before.as_bytes(), separator, value].concat())?
            }
            None => lua.create_string(value)?,
        };
        headers.raw_set(name.as_str(), value)?;
    }
    let table = lua.create_table_with_capacity(0, 3)?;
    table.raw_set("status", response.status)?;
    table.raw_set("headers", headers)?;
    table.raw_set("body", lua.create_string(&response.body)?)?;
    Ok(table)
}
