//! Addresses as scripts write them: `host:port`, numbers only.

use std::net::SocketAddr;

use mlua::{Lua, Result, Table, Value};
use rtmfp::{Origin, PeerId, TaggedAddress};
use smallvec::SmallVec;

use crate::api::state::State;
use crate::instance::roster::Member;
use introd_policy::MAX_ADDRESSES;

/// An address as a script sees it.
pub(crate) fn text(address: SocketAddr) -> String {
    SocketAddr::new(address.ip().to_canonical(), address.port()).to_string()
}

/// Reads an address.
pub(crate) fn parse(value: &Value) -> Result<SocketAddr> {
    let text = match value {
        Value::String(text) => text,
        other => return Err(mlua::Error::runtime(format!("an address is a string, not a {}", other.type_name()))),
    };
    let parsed = std::str::from_utf8(&text.as_bytes()).ok().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| {
        let shown: String = text.to_string_lossy().chars().take(64).collect();
        mlua::Error::runtime(format!("not an address with a port: {shown:?}"))
    })
}

/// Reads a peer id.
pub(crate) fn peer(value: &Value) -> Result<PeerId> {
    let text = match value {
        Value::String(text) => text.as_bytes(),
        other => return Err(mlua::Error::runtime(format!("a peer ID is a string, not a {}", other.type_name()))),
    };
    let parsed = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| mlua::Error::runtime("a peer ID is a string of 64 hexadecimal digits"))
}

/// A list of addresses for a script. Where they come from stands in its field `origins`, by address.
pub(crate) fn list(lua: &Lua, addresses: &[TaggedAddress]) -> Result<Table> {
    let list = lua.create_table_with_capacity(addresses.len(), 1)?;
    let origins = lua.create_table_with_capacity(0, addresses.len())?;
    for address in addresses {
        let text = text(address.address);
        origins.raw_set(text.as_str(), origin_name(address.origin))?;
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

/// Reads a list of addresses of a peer: each once, at most [`MAX_ADDRESSES`], the rest left out. Where an address comes from
/// (RFC 7016 §2.1.5) the list's `origins` says, or what is known of the peer; an address that nobody knows counts as reported.
pub(crate) fn tagged(state: &State, list: &Table, target: Option<&PeerId>) -> Result<SmallVec<[TaggedAddress; 2]>> {
    let origins: Option<Table> = match list.raw_get(&state.origins)? {
        Value::Table(table) => Some(table),
        _ => None,
    };
    let known = {
        let roster = state.world.roster.borrow();
        target.and_then(|target| roster.by_peer(target)).or_else(|| roster.at(0))
    };
    let mut addresses: SmallVec<[TaggedAddress; 2]> = SmallVec::new();
    for index in 1..=list.raw_len().min(4 * MAX_ADDRESSES) {
        let item: Value = list.raw_get(index)?;
        let address = parse(&item)?;
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

fn guess(member: Option<&Member>, address: SocketAddr, target: Option<&PeerId>) -> Origin {
    let Some(member) = member else { return Origin::Reported };
    if member.info.potential_near_addresses.contains(&address) || member.info.near_address == address {
        Origin::Relay
    } else if target == Some(&member.info.far_id) && member.far_address.get() == address {
        Origin::Observed
    } else {
        Origin::Reported
    }
}
