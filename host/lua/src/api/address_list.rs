//! Lists of addresses, each with where it comes from (RFC 7016 §2.1.5).

use std::net::SocketAddr;
use std::rc::Rc;

use mlua::{Lua, Result, Table, Value};
use rtmfp::{Origin, PeerId, TaggedAddress};
use smallvec::SmallVec;

use super::address;
use super::state::ApiState;
use crate::instance::roster::RosterMember;
use introd_policy::MAX_ADDRESSES;

/// A list of addresses for a script. Its field `origins` says where each comes from.
pub(crate) fn to_lua(lua: &Lua, addresses: &[TaggedAddress]) -> Result<Table> {
    let list = lua.create_table_with_capacity(addresses.len(), 1)?;
    let origins = lua.create_table_with_capacity(0, addresses.len())?;
    for each in addresses {
        let text = address::text(each.address);
        origins.raw_set(text.as_str(), origin_name(each.origin))?;
        list.raw_push(text)?;
    }
    list.raw_set("origins", origins)?;
    Ok(list)
}

fn origin_name(origin: Origin) -> &'static str {
    match origin {
        Origin::Unspecified => "unspecified",
        Origin::Reported => "reported",
        Origin::Observed => "observed",
        Origin::Relay => "relay",
    }
}

/// Reads a list of addresses of a peer: each once, at most [`MAX_ADDRESSES`], the rest left out. The list's `origins` says where an
/// address comes from (RFC 7016 §2.1.5), or what the server knows of the peer; an unknown address counts as reported.
pub(crate) fn from_lua(
    state: &ApiState,
    list: &Table,
    target: Option<&PeerId>,
) -> Result<SmallVec<[TaggedAddress; 2]>> {
    let origins: Option<Table> = match list.raw_get(&state.origins)? {
        Value::Table(table) => Some(table),
        _ => None,
    };
    let known = known_client(state, target);
    let mut addresses: SmallVec<[TaggedAddress; 2]> = SmallVec::new();
    for index in 1..=list.raw_len().min(4 * MAX_ADDRESSES) {
        let item: Value = list.raw_get(index)?;
        let address = address::parse(&item)?;
        if let Value::String(text) = &item {
            state.addresses.learn(text, address)?;
        }
        if addresses.len() == MAX_ADDRESSES || addresses.iter().any(|known| known.address == address) {
            continue;
        }
        let said = match &origins {
            Some(origins) => origin_of(&origins.raw_get::<Value>(item)?),
            None => None,
        };
        addresses.push(TaggedAddress::new(address, said.unwrap_or_else(|| guess(known.as_deref(), address, target))));
    }
    if addresses.is_empty() {
        return Err(mlua::Error::runtime("there is no address in the list"));
    }
    Ok(addresses)
}

fn origin_of(value: &Value) -> Option<Origin> {
    let Value::String(text) = value else { return None };
    match &*text.as_bytes() {
        b"reported" => Some(Origin::Reported),
        b"observed" => Some(Origin::Observed),
        b"relay" => Some(Origin::Relay),
        b"unspecified" => Some(Origin::Unspecified),
        _ => None,
    }
}

/// The client by which [`guess`] goes: the target, else any that knows the server's addresses.
pub(super) fn known_client(state: &ApiState, target: Option<&PeerId>) -> Option<Rc<RosterMember>> {
    let roster = state.instance.roster.borrow();
    target.and_then(|target| roster.by_peer(target)).or_else(|| roster.at(0))
}

/// Where an address of a peer comes from, by what the server knows of that client.
pub(super) fn guess(member: Option<&RosterMember>, address: SocketAddr, target: Option<&PeerId>) -> Origin {
    let Some(member) = member else { return Origin::Reported };
    if member.info.potential_near_addresses.contains(&address) || member.info.near_address == address {
        Origin::Relay
    } else if target == Some(&member.info.far_id) && member.far_address.get() == address {
        Origin::Observed
    } else {
        Origin::Reported
    }
}
