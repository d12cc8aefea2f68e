//! `GroupControl`: a client's membership in a group.

use std::rc::Rc;

use mlua::{AnyUserData, Lua, Result, UserData, UserDataMethods, Value};

use super::address;
use super::state::ApiState;
use crate::engine::expando::{self, Expando};
use crate::instance::roster::RosterMember;
use introd_policy::message::ClientCommand;

/// A membership as a script has it.
struct GroupControl {
    member: Rc<RosterMember>,
    membership: u64,
    digest: String,
    state: Rc<ApiState>,
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

/// The object of a client's membership in a group.
pub(crate) fn object(
    state: &Rc<ApiState>,
    lua: &Lua,
    member: &Rc<RosterMember>,
    group: (u64, [u8; 32]),
) -> Result<AnyUserData> {
    let (membership, digest) = group;
    if let Some(object) = state.objects.membership(member.id, membership) {
        return Ok(object);
    }
    let control =
        GroupControl { member: Rc::clone(member), membership, digest: hex::encode(digest), state: Rc::clone(state) };
    let object = lua.create_userdata(control)?;
    state.objects.keep_membership(member.id, membership, object.clone());
    Ok(object)
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
    // No peer is a neighbour of itself.
    if !control.member.is_accepted() || !is_member || peer == control.member.info.far_id {
        return Ok(false);
    }
    control.state.send(ClientCommand::Hint { client: control.member.id, membership: control.membership, peer })
}
