//! `registry`: the registry of peers and of members of groups that servers share.

use std::rc::Rc;

use mlua::{Lua, Result, Table, Value};

use super::address;
use super::address_list;
use super::state::ApiState;
use crate::instance::published_members;
use introd_policy::registry::{GroupMember, MAX_NEIGHBORS, NeighborQuery, PeerSession};

/// How many neighbours on each side, and how many other members, are asked for if the script does not say: as many as the server asks for.
const DEFAULT_NEIGHBORS: usize = 3;

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
            let peer = address::peer(&peer)?;
            shared.must_be_live()?;
            let (instance, registry) = (&shared.instance, &shared.instance.registry);
            // A client that is gone may have connected to another instance meanwhile, or before.
            match instance.roster.borrow().by_peer(&peer) {
                Some(_) => registry.withdraw(&peer),
                None => registry.withdraw_of_others(&peer),
            }
            Ok(())
        })?,
    )?;
    register_groups(lua, state, native)
}

/// The functions for the members of groups.
fn register_groups(lua: &Lua, state: &Rc<ApiState>, native: &Table) -> Result<()> {
    let shared = Rc::clone(state);
    native.raw_set(
        "join_group",
        lua.create_function(move |lua, (digest, peer): (Value, Value)| {
            let member = member(&shared, &digest, &peer)?;
            shared.must_be_live()?;
            // It ends with the membership of a client of this instance that is in the group.
            let (digest, client) =
                (address::groupspec_digest(&digest)?.0, shared.instance.roster.borrow().by_peer(&member.peer));
            let client = client.filter(|client| client.groups.borrow().iter().any(|(_, own)| *own == digest));
            let follows = client.map(|client| (client.id, digest));
            match shared.instance.published_members.join(member, follows) {
                Ok(()) => Ok((true, Value::Nil)),
                Err(error) => Ok((false, Value::String(lua.create_string(error.to_string())?))),
            }
        })?,
    )?;

    let shared = Rc::clone(state);
    native.raw_set(
        "leave_group",
        lua.create_function(move |_, (digest, peer): (Value, Value)| {
            let member = member(&shared, &digest, &peer)?;
            shared.must_be_live()?;
            shared.instance.published_members.leave(&member);
            Ok(())
        })?,
    )?;

    let shared = Rc::clone(state);
    native.raw_set(
        "group_neighbors",
        lua.create_function(move |_, (digest, peer, near, far): (Value, Value, Option<i64>, Option<i64>)| {
            let member = member(&shared, &digest, &peer)?;
            let (near, far) = (count(near, "near")?, count(far, "far")?);
            shared.must_be_live()?;
            shared.instance.begin_neighbors(&NeighborQuery { member, near, far })
        })?,
    )
}

fn member(state: &ApiState, digest: &Value, peer: &Value) -> Result<GroupMember> {
    let digest = address::groupspec_digest(digest)?;
    Ok(published_members::member(&state.instance.name, &digest, address::peer(peer)?))
}

/// Reads how many members are wanted.
fn count(value: Option<i64>, name: &str) -> Result<usize> {
    let Some(value) = value else { return Ok(DEFAULT_NEIGHBORS) };
    let count = usize::try_from(value).ok().filter(|count| *count <= MAX_NEIGHBORS);
    count.ok_or_else(|| mlua::Error::runtime(format!("{name} is a number from 0 to {MAX_NEIGHBORS}, not {value}")))
}
