//! What the prelude makes `application.clients` of: the clients that are connected, by number from 1 and by peer id.

use std::rc::Rc;

use mlua::{Lua, Result, Table, Value};

use super::address;
use super::state::ApiState;

/// The functions.
pub(crate) fn register(lua: &Lua, state: &Rc<ApiState>, native: &Table) -> Result<()> {
    native.raw_set("found", &state.objects.found)?;
    native.raw_set("found_by_number", &state.objects.by_number)?;
    let shared = Rc::clone(state);
    native.raw_set(
        "client",
        lua.create_function(move |lua, key: Value| {
            let member = match &key {
                Value::Integer(number) => {
                    let place = usize::try_from(*number).ok().and_then(|number| number.checked_sub(1));
                    place.and_then(|place| shared.instance.roster.borrow().at(place))
                }
                Value::String(_) => {
                    return match address::peer(&key) {
                        Ok(peer) => {
                            let (member, is_disputed) = {
                                let roster = shared.instance.roster.borrow();
                                (roster.by_peer(&peer), roster.is_disputed(&peer))
                            };
                            // The prelude remembers no client whose peer ID another one may have the next time.
                            let find = |member| match is_disputed {
                                true => shared.objects.of(lua, &member),
                                false => shared.objects.find(lua, &member),
                            };
                            member.map(find).transpose()
                        }
                        Err(_) => Ok(None),
                    };
                }
                _ => None,
            };
            member.map(|member| shared.objects.of(lua, &member)).transpose()
        })?,
    )?;
    let shared = Rc::clone(state);
    native.raw_set("count_clients", lua.create_function(move |_, ()| Ok(shared.instance.roster.borrow().len()))?)?;
    let shared = Rc::clone(state);
    native.raw_set(
        "each_client",
        lua.create_function(move |lua, ()| {
            // Over the clients that are accepted now, whichever connect or leave meanwhile.
            let members = shared.instance.roster.borrow().accepted();
            let state = Rc::clone(&shared);
            lua.create_function(move |lua, (_, last): (Value, i64)| {
                let place = usize::try_from(last).ok().and_then(|last| members.get(last));
                match place {
                    Some(member) => Ok((Value::Integer(last + 1), Value::Table(state.objects.of(lua, member)?))),
                    None => Ok((Value::Nil, Value::Nil)),
                }
            })
        })?,
    )
}
