//! `application.clients`: the clients that are connected, by number from 1 and by peer id.

use std::rc::Rc;

use mlua::{Function, Lua, MetaMethod, MultiValue, Result, UserData, UserDataMethods, Value};

use super::address;
use super::state::State;

/// The list as a script has it. It takes no memory of the script's.
pub(super) struct Clients {
    pub(super) state: Rc<State>,
}

impl Clients {
    fn get(&self, lua: &Lua, key: &Value) -> Result<Value> {
        let roster = self.state.world.roster.borrow();
        let member = match key {
            Value::Integer(number) => usize::try_from(*number - 1).ok().and_then(|place| roster.at(place)),
            Value::String(_) => address::peer(key).ok().and_then(|peer| roster.by_peer(&peer)),
            _ => None,
        };
        drop(roster);
        member.map_or(Ok(Value::Nil), |member| Ok(Value::UserData(self.state.object(lua, &member)?)))
    }
}

impl UserData for Clients {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::Len, |_, this, ()| Ok(this.state.world.roster.borrow().len()));
        methods.add_meta_method(MetaMethod::Index, |lua, this, key: Value| match &key {
            Value::String(name) if *name.as_bytes() == *b"length" => {
                Ok(Value::Integer(this.state.world.roster.borrow().len() as i64))
            }
            key => this.get(lua, key),
        });
        methods.add_meta_method(MetaMethod::NewIndex, |_, _, _: MultiValue| -> Result<()> {
            Err(mlua::Error::runtime("application.clients cannot be changed"))
        });
        methods.add_meta_method(MetaMethod::Pairs, |lua, this, ()| {
            // Over those who are in now, whoever comes or goes meanwhile.
            let members = this.state.world.roster.borrow().accepted();
            let state = Rc::clone(&this.state);
            let next: Function = lua.create_function(move |lua, (_, last): (Value, i64)| {
                let place = usize::try_from(last).ok().and_then(|last| members.get(last));
                match place {
                    Some(member) => Ok((Value::Integer(last + 1), Value::UserData(state.object(lua, member)?))),
                    None => Ok((Value::Nil, Value::Nil)),
                }
            })?;
            Ok((next, Value::Nil, 0))
        });
        methods.add_meta_method(MetaMethod::ToString, |_, _, ()| Ok("application.clients"));
    }
}
