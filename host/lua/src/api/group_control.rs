//! `GroupControl`: a client's membership in a group.

use std::rc::Rc;

use mlua::{Lua, Result, UserData, UserDataMethods, Value};

use crate::api::address;
use crate::api::state::State;
use crate::engine::expando::{self, Expando};
use crate::instance::roster::Member;
use introd_policy::message::AppCommand;

/// A membership as a script has it.
pub(crate) struct GroupControl {
    pub(crate) member: Rc<Member>,
    pub(crate) membership: u64,
    pub(crate) digest: String,
    pub(crate) state: Rc<State>,
}

/// What every membership has; none can be set.
pub(crate) const PROPERTIES: &[&str] = &["groupspecDigest", "addNeighbor", "addMemberHint"];

impl UserData for GroupControl {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        expando::add_methods(methods);
    }
}

impl Expando for GroupControl {
    const KIND: &'static str = "GroupControl";
    const PROPERTIES: &'static [&'static str] = PROPERTIES;

    fn property(&self, lua: &Lua, name: &str) -> Result<Option<Value>> {
        match name {
            "groupspecDigest" => Ok(Some(Value::String(lua.create_string(&self.digest)?))),
            // One message serves both on the wire: the member decides what it makes of the hint.
            "addNeighbor" | "addMemberHint" => {
                let name = name.to_owned();
                let method = lua.create_function(move |_, (this, peer): (Value, Value)| hint(&name, &this, &peer))?;
                Ok(Some(Value::Function(method)))
            }
            _ => Ok(None),
        }
    }
}

fn hint(name: &str, this: &Value, peer: &Value) -> Result<bool> {
    let control = match this {
        Value::UserData(object) => object.borrow::<GroupControl>().ok(),
        _ => None,
    };
    let control = control.ok_or_else(|| {
        mlua::Error::runtime(format!(
            "{name} is a method of a group control, called with a colon: groupControl:{name}(peerID)"
        ))
    })?;
    let peer = address::peer(peer)?;
    let is_member = control.member.groups.borrow().iter().any(|(membership, _)| *membership == control.membership);
    // Nobody is a neighbour of its own.
    if !control.member.is_accepted() || !is_member || peer == control.member.info.far_id {
        return Ok(false);
    }
    control.state.send(AppCommand::Hint { client: control.member.id, membership: control.membership, peer })
}
