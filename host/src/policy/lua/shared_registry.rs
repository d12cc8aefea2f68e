//! `registry`: the shared peer registry.

use std::rc::Rc;

use mlua::{Lua, Result, Table, Value};

use super::address;
use super::state::State;

/// The functions. The prelude puts them into the table `registry`.
pub(super) fn register(lua: &Lua, state: &Rc<State>, native: &Table) -> Result<()> {
    let shared = Rc::clone(state);
    native.raw_set(
        "look_up",
        lua.create_function(move |_, peer: Value| {
            let peer = address::peer(&peer)?;
            shared.must_be_live()?;
            shared.world.begin_lookup(peer)
        })?,
    )?;

    let shared = Rc::clone(state);
    native.raw_set(
        "publish",
        lua.create_function(move |lua, (peer, addresses): (Value, Value)| {
            let peer = address::peer(&peer)?;
            let Value::Table(addresses) = addresses else {
                let kind = addresses.type_name();
                return Err(mlua::Error::runtime(format!("registry.publish takes a list of addresses, not a {kind}")));
            };
            let addresses = address::tagged(&shared, &addresses, Some(&peer))?;
            shared.must_be_live()?;
            match shared.world.registry.publish(peer, &addresses) {
                Ok(()) => Ok((true, Value::Nil)),
                Err(error) => Ok((false, Value::String(lua.create_string(error.to_string())?))),
            }
        })?,
    )?;

    let shared = Rc::clone(state);
    native.raw_set(
        "withdraw",
        lua.create_function(move |_, peer: Value| {
            shared.must_be_live()?;
            shared.world.registry.withdraw(&address::peer(&peer)?);
            Ok(())
        })?,
    )
}
