//! What scripts have for computing, beside Lua's own libraries: each file or folder makes one global table.
//!
//! All of them are held to the limits of the script: they check the clock before and during work that may take long, and what they build
//! counts as the script's memory. What is wrong in the script's own code is an error. What is wrong in a text from outside gives nil and
//! the reason; only `json.decode` raises an error there, as `JSON.parse` of ActionScript does.

mod crypto;
mod dates;
pub(crate) mod json;
mod log;
mod outside;
mod url;

use std::rc::Rc;

use mlua::{Function, Lua, Result};

use crate::engine::vm_context::VmContext;
use crate::instance::Instance;

/// Makes the libraries of a VM.
pub(crate) fn install(lua: &Lua, context: &Rc<VmContext>, instance: &Rc<Instance>) -> Result<()> {
    json::register(lua, context)?;
    crypto::register(lua, context, instance)?;
    url::register(lua, context)?;
    log::register(lua, instance)?;
    dates::register(lua, context, instance)?;
    match instance.random.seed() {
        // In a test that gives a seed, Lua's own random numbers follow from it as well.
        Some(seed) => lua.globals().get::<mlua::Table>("math")?.get::<Function>("randomseed")?.call(seed as i64),
        None => Ok(()),
    }
}
