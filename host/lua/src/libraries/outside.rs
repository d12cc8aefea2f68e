//! What comes from outside, as from a client, and may be anything: what is wrong with it gives nil and the reason, not an error. A handler
//! that failed by it might be taken for one that agrees (`OnFailure`).

use mlua::{IntoLuaMulti as _, Lua, LuaString, MultiValue, Nil, Result, Value};

/// The text that a value from outside is.
///
/// # Errors
/// Why it is none.
pub(super) fn text(value: Value) -> std::result::Result<LuaString, String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Integer(_) => Err("this is a number, not a string".to_owned()),
        other => Err(format!("this is a {}, not a string", other.type_name())),
    }
}

/// Nil and the reason.
///
/// # Errors
/// If the script has no memory left.
pub(super) fn refused(lua: &Lua, reason: &str) -> Result<MultiValue> {
    (Nil, reason).into_lua_multi(lua)
}
