//! What scripts have beside Lua's own libraries and the server's objects: each file or folder makes one global table. Handlers wait in functions
//! of `http` and `file`; the others compute.
//!
//! All of them are held to the limits of the script: they check the clock before and during work that may take long, and what they build
//! counts as the script's memory. What is wrong in the script's own code is an error. What is wrong in a text from outside gives nil and
//! the reason; only `json.decode` raises an error there, as `JSON.parse` of ActionScript does.

mod crypto;
mod dates;
mod file;
pub(crate) mod http;
pub(crate) mod json;
mod log;
mod outside;
mod url;

use std::rc::Rc;

use mlua::{Function, Lua, Result, Table};

use crate::api::state::ApiState;
use crate::engine::failure::Failure;
use crate::engine::vm_context::VmContext;

/// Makes the libraries of a VM.
pub(crate) fn install(lua: &Lua, context: &Rc<VmContext>, state: &Rc<ApiState>, native: &Table) -> Result<()> {
    let instance = &state.instance;
    json::register(lua, context)?;
    crypto::register(lua, context, instance)?;
    url::register(lua, context)?;
    log::register(lua, instance)?;
    dates::register(lua, context, instance)?;
    http::register(lua, context, state, native)?;
    file::register(lua, context, state, native)?;
    match instance.random.seed() {
        // In a test that gives a seed, Lua's own random numbers follow from it as well.
        Some(seed) => lua.globals().get::<Table>("math")?.get::<Function>("randomseed")?.call(seed as i64),
        None => Ok(()),
    }
}

/// The message of an error, without what Lua adds.
fn message_of(error: &mlua::Error) -> String {
    Failure::from(error).message
}
