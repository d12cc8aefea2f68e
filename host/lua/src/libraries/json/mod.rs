//! `json`: values as JSON text, and back.
//!
//! What is what follows the rules for values of ActionScript (`engine/values`): `null` stands for null, arrays have the metatable of
//! `Array{}` and are so told apart from objects when they are empty, and numbers are integers where that loses nothing.

mod decode;
mod encode;
mod path;

use std::rc::Rc;

use mlua::{Lua, LuaString, Result, Table, Value};

pub(crate) use decode::decode;
pub(crate) use encode::{Style, encode};

use crate::engine::vm_context::VmContext;

/// How deep arrays and objects may be nested. What is encoded can be decoded, so the bound is one for both.
const MAX_DEPTH: usize = 100;
/// After so many values the clock is checked.
const CHECK_EVERY: u32 = 256;

/// Makes the table `json`.
pub(super) fn register(lua: &Lua, context: &Rc<VmContext>) -> Result<()> {
    let json = lua.create_table()?;
    let shared = Rc::clone(context);
    json.raw_set("decode", lua.create_function(move |lua, text: LuaString| decode(lua, &shared, &text.as_bytes()))?)?;
    let shared = Rc::clone(context);
    json.raw_set(
        "encode",
        lua.create_function(move |lua, (value, options): (Value, Option<Table>)| {
            let style = options.as_ref().map_or(Ok(Style::Compact), style)?;
            let text = encode(lua, &shared, &value, style)?;
            lua.create_string(text.as_slice())
        })?,
    )?;
    lua.globals().raw_set("json", json)
}

/// Reads the options of `json.encode`.
fn style(options: &Table) -> Result<Style> {
    for pair in options.pairs::<Value, Value>() {
        match pair? {
            (Value::String(name), _) if name.as_bytes() == *b"pretty" => (),
            (Value::String(name), _) => {
                let name = name.to_string_lossy();
                return Err(mlua::Error::runtime(format!("json.encode has no option {name:?}: there is pretty")));
            }
            // It may be an object of the script's with a `__tostring`, which must not be called from here.
            (name, _) => {
                let kind = name.type_name();
                return Err(mlua::Error::runtime(format!("json.encode has options with names, not with a {kind}")));
            }
        }
    }
    Ok(if options.raw_get::<bool>("pretty")? { Style::Pretty } else { Style::Compact })
}

#[cfg(test)]
mod tests;
