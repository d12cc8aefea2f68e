//! The functions of which the prelude makes the API.

use std::rc::Rc;

use mlua::{Lua, Result, Table};

use super::state::ApiState;
use super::{
    application, client, clients, group_specifier, latest_lookup, lookup_event, net_connection, net_group,
    shared_registry, timer_functions,
};
use crate::engine::values::Opaque;
use crate::engine::vm_context::VmContext;
use introd_flash::amf;

/// Adds the functions to the table of natives, and makes the globals that the prelude does not make.
pub(super) fn install(lua: &Lua, context: &VmContext, state: &Rc<ApiState>, native: &Table) -> Result<()> {
    application::describe(lua, state)?;
    application::register(lua, state, native)?;
    client::register(lua, state, native)?;
    clients::register(lua, state, native)?;
    lookup_event::register(lua, state, &context.budget, native)?;
    latest_lookup::register(lua, state, native)?;
    native.raw_set("key", &state.objects.key)?;
    native.raw_set("event_key", &state.event_key)?;
    timer_functions::register(lua, state, native)?;
    shared_registry::register(lua, state, native)?;
    group_specifier::register(lua)?;
    net_connection::register(lua, state, native)?;
    net_group::register(lua, state, native)?;
    times(lua, state, native)?;
    let globals = lua.globals();
    globals.raw_set("application", &state.application)?;
    globals.raw_set("Client", &state.prototype)
}

fn times(lua: &Lua, state: &Rc<ApiState>, native: &Table) -> Result<()> {
    let shared = Rc::clone(state);
    native.raw_set(
        "date",
        lua.create_function(move |lua, milliseconds: Option<f64>| {
            let milliseconds = milliseconds.unwrap_or_else(|| shared.instance.milliseconds());
            Opaque::new(lua, &shared.marks, amf::Value::Date { milliseconds, time_zone: 0 })
        })?,
    )?;
    let shared = Rc::clone(state);
    native.raw_set("now", lua.create_function(move |_, ()| Ok(shared.instance.milliseconds() as i64))?)
}
