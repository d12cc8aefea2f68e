//! `registry`: the shared peer registry.

use std::rc::Rc;

use mlua::{Lua, Result, Table, Value};

use super::address;
use super::address_list;
use super::state::ApiState;
use introd_policy::registry::PeerSession;

/// The functions. The prelude puts them into the table `registry`.
pub(crate) fn register(lua: &Lua, state: &Rc<ApiState>, native: &Table) -> Result<()> {
    let shared = Rc::clone(state);
    native.raw_set(
        "look_up",
        lua.create_function(move |_, peer: Value| {
            let peer = address::peer(&peer)?;
            shared.must_be_live()?;
            shared.instance.begin_lookup(peer)
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
            let addresses = address_list::from_lua(&shared, &addresses, Some(&peer))?;
            shared.must_be_live()?;
            let registry = &shared.instance.registry;
            let client = shared.instance.roster.borrow().by_peer(&peer);
            // The registry is told what a client of this instance has proven, as when the server publishes the client. For any other peer
            // the script vouches.
            let published = match client {
                Some(client) if !addresses.is_empty() => {
                    let (session, is_proven) = (client.id.session, client.info.is_proven);
                    registry.publish_session(peer, &addresses, PeerSession { id: session, is_proven, is_silent: false })
                }
                _ => registry.publish(peer, &addresses),
            };
            match published {
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
            shared.instance.registry.withdraw(&address::peer(&peer)?);
            Ok(())
        })?,
    )
}
