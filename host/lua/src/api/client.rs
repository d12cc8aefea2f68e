//! `Client`: the server's side of a client's connection.

use std::rc::Rc;

use mlua::{AnyUserData, BorrowedStr, Lua, MultiValue, Result, Table, UserDataRef, Value};

use smallvec::SmallVec;

use super::client_objects::Client;
use super::pending_calls::Callee;
use super::state::ApiState;
use super::{address, group_control};
use crate::engine::values::{self, Opaque};
use crate::instance::roster::RosterMember;
use introd_policy::message::ClientCommand;

/// The properties of every client; none can be set.
pub(crate) const PROPERTIES: &[&str] = &[
    "farID",
    "farId",
    "nearID",
    "nearId",
    "farNonce",
    "nearNonce",
    "farAddress",
    "nearAddress",
    "potentialNearAddresses",
    "reportedAddresses",
    "protocol",
    "protocolVersion",
    "secure",
    "ip",
    "id",
    "uri",
    "agent",
    "referrer",
    "pageUrl",
    "groupControls",
];

/// The properties that a script may set, with their values until it does. Nothing here depends on them: they are about streams and shared
/// objects, which the server does not have.
pub(crate) const SETTABLE: &[(&str, &str)] = &[
    ("readAccess", "/"),
    ("writeAccess", "/"),
    ("audioSampleAccess", ""),
    ("videoSampleAccess", ""),
    ("virtualKey", ""),
];

/// The method of the server's that clients may call, as on AMS.
pub(crate) const CHECK_BANDWIDTH: &str = "checkBandwidth";

/// The handlers that a script may define for a client or for all clients.
pub(crate) const HANDLERS: &[&str] =
    &["onFarAddressChange", "onReportedAddressesChange", "onReportedAddressChange", "onGroupJoin", "onGroupLeave"];

/// Methods that a client cannot call, as in AMS: those of the connection itself and of the host.
const RESERVED: &[&str] = &[
    "closeStream",
    "connect",
    "createStream",
    "deleteStream",
    "onStatus",
    "pause",
    "play",
    "publish",
    "receiveAudio",
    "receiveVideo",
    "seek",
    "setPeerInfo",
    "getBandwidthLimit",
    "setBandwidthLimit",
    "getStats",
    "ping",
    "call",
    "callAndWait",
    "introducePeer",
];

/// Whether a client may not call that name, whatever the script has under it.
pub(crate) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name) || HANDLERS.contains(&name) || PROPERTIES.contains(&name) || name.starts_with("__")
}

/// The properties that a client's object keeps until the host says that they have changed.
const KEPT: &[&str] = &["farID", "farId", "farAddress", "reportedAddresses", "ip", "nearAddress", "protocol", "id"];

/// A property of a client.
fn property(lua: &Lua, state: &Rc<ApiState>, member: &Rc<RosterMember>, name: &str) -> Result<Value> {
    let info = &member.info;
    let text = match name {
        "farID" | "farId" => info.far_id.to_string(),
        "nearID" | "nearId" => info.near_id.to_string(),
        "farNonce" => hex::encode(info.far_nonce),
        "nearNonce" => hex::encode(info.near_nonce),
        "farAddress" => return Ok(Value::String(state.addresses.text(lua, member.far_address.get())?)),
        "nearAddress" => address::text(info.near_address),
        "protocol" => "rtmfp".to_owned(),
        // AMS means TLS by it, which RTMFP does without.
        "secure" => return Ok(Value::Boolean(false)),
        // The one version that there is (RFC 7016).
        "protocolVersion" => "1".to_owned(),
        "ip" => member.far_address.get().ip().to_canonical().to_string(),
        "id" => format!("{}:{}", member.id.worker, member.id.session),
        "uri" => info.request.tc_url.clone(),
        "agent" => info.request.agent.clone(),
        "referrer" => info.request.referrer.clone(),
        "pageUrl" => info.request.page_url.clone(),
        // The script gets a new list each time, as it may change the list.
        "potentialNearAddresses" => {
            let list = info.potential_near_addresses.iter().map(|each| address::text(*each));
            return Ok(Value::Table(lua.create_sequence_from(list)?));
        }
        "reportedAddresses" => {
            let reported = member.reported.borrow();
            let list: Result<Vec<_>> = reported.iter().map(|each| state.addresses.text(lua, *each)).collect();
            return Ok(Value::Table(lua.create_sequence_from(list?)?));
        }
        "groupControls" => {
            let list = lua.create_table()?;
            for group in member.groups.borrow().iter() {
                list.raw_push(group_control::object(state, lua, member, *group)?)?;
            }
            return Ok(Value::Table(list));
        }
        _ => return Ok(Value::Nil),
    };
    Ok(Value::String(lua.create_string(text)?))
}

/// The client that a method is called on.
pub(crate) fn this(state: &ApiState, value: Option<Value>, method: &str) -> Result<Rc<RosterMember>> {
    member(state, value.as_ref()).ok_or_else(|| {
        mlua::Error::runtime(format!("{method} is a method of a client, called with a colon: client:{method}(...)"))
    })
}

/// The client that a value is, if it is one.
pub(crate) fn member(state: &ApiState, value: Option<&Value>) -> Option<Rc<RosterMember>> {
    let Some(Value::Table(object)) = value else { return None };
    let record: Table = object.raw_get(&state.objects.record).ok()?;
    let handle: AnyUserData = record.raw_get(&state.objects.key).ok()?;
    handle.borrow::<Client>().ok().map(|client| Rc::clone(&client.member))
}

/// The longest name of a method, in bytes.
const MAX_NAME: usize = 1024;

/// Takes the name of a method from the front of the arguments.
pub(crate) fn method_name(arguments: &mut MultiValue) -> Result<String> {
    match arguments.pop_front() {
        Some(Value::String(name)) if name.as_bytes().len() > MAX_NAME => {
            Err(mlua::Error::runtime(format!("the name of a method has at most {MAX_NAME} bytes")))
        }
        Some(Value::String(name)) => Ok(name.to_string_lossy()),
        _ => Err(mlua::Error::runtime("the name of the method to call must be a string")),
    }
}

/// Converts the rest of the arguments for ActionScript.
pub(crate) fn arguments(state: &ApiState, values: MultiValue) -> Result<Vec<introd_flash::amf::Value>> {
    values::all_from_lua(&state.marks, &values)
}

/// The host's methods, and the functions of which the prelude makes methods.
pub(crate) fn register(lua: &Lua, state: &Rc<ApiState>, native: &Table) -> Result<()> {
    let methods = lua.create_table()?;
    let properties = lua.create_table()?;
    for name in PROPERTIES {
        let kind = match *name {
            name if KEPT.contains(&name) => "kept",
            _ => "made",
        };
        properties.raw_set(*name, kind)?;
    }
    native.raw_set("properties", properties)?;
    native.raw_set("settable", lua.create_table_from(SETTABLE.iter().copied())?)?;
    let shared = Rc::clone(state);
    native.raw_set(
        "property",
        lua.create_function(move |lua, (handle, name): (UserDataRef<Client>, BorrowedStr)| {
            property(lua, &shared, &handle.member, &name)
        })?,
    )?;

    let shared = Rc::clone(state);
    methods.raw_set(
        "introducePeer",
        lua.create_function(move |_, (object, initiator, tag): (Value, Value, Value)| {
            let member = match &object {
                // The prelude passes the handle instead of the object.
                Value::UserData(handle) => Rc::clone(&handle.borrow::<Client>()?.member),
                _ => this(&shared, None, "introducePeer")?,
            };
            let initiator = address::parse(&initiator)?;
            let tag = tag_bytes(&tag)?;
            if !member.is_accepted() {
                return Ok(false);
            }
            shared.send(ClientCommand::Introduce { client: member.id, initiator, tag })
        })?,
    )?;

    let shared = Rc::clone(state);
    methods.raw_set(
        "call",
        lua.create_function(move |_, mut all: MultiValue| {
            let member = this(&shared, all.pop_front(), "call")?;
            let method = method_name(&mut all)?;
            let handler = all.pop_front().unwrap_or_default();
            if !matches!(handler, Value::Nil | Value::Function(_) | Value::Table(_) | Value::UserData(_)) {
                let kind = handler.type_name();
                return Err(mlua::Error::runtime(format!(
                    "the result handler is a function or an object, not a {kind}"
                )));
            }
            let arguments = arguments(&shared, all)?;
            shared.must_be_live()?;
            if !member.is_accepted() {
                return Ok(false);
            }
            let token = if handler == Value::Nil {
                None
            } else {
                Some(shared.ask(Callee::Client(Rc::clone(&member)), handler)?)
            };
            let is_sent = shared.send(ClientCommand::Call { client: member.id, method, arguments, token })?;
            if let Some(token) = token.filter(|_| !is_sent) {
                shared.take_asked(token);
            }
            Ok(is_sent)
        })?,
    )?;

    let shared = Rc::clone(state);
    methods.raw_set(
        "ping",
        lua.create_function(move |_, object: Value| {
            let member = this(&shared, Some(object), "ping")?;
            Ok(member.is_accepted() && shared.send(ClientCommand::Ping { client: member.id })?)
        })?,
    )?;
    native.raw_set("methods", methods)?;

    let shared = Rc::clone(state);
    native.raw_set(
        "call_and_wait",
        lua.create_function(move |_, mut all: MultiValue| {
            let member = this(&shared, all.pop_front(), "callAndWait")?;
            let method = method_name(&mut all)?;
            let arguments = arguments(&shared, all)?;
            shared.must_be_live()?;
            if member.is_accepted() {
                let token = shared.ask(Callee::Client(Rc::clone(&member)), Value::Nil)?;
                let command = ClientCommand::Call { client: member.id, method, arguments, token: Some(token) };
                if shared.send(command)? {
                    return Ok(token);
                }
                shared.take_asked(token);
            }
            Err(mlua::Error::runtime("the client cannot be called: it is not connected, or busy"))
        })?,
    )?;

    let shared = Rc::clone(state);
    native.raw_set(
        "stats",
        lua.create_function(move |_, object: Value| {
            let member = this(&shared, Some(object), "getStats")?;
            shared.must_be_live()?;
            if member.is_accepted() {
                let token = shared.ask(Callee::Client(Rc::clone(&member)), Value::Nil)?;
                if shared.send(ClientCommand::GetStats { client: member.id, token })? {
                    return Ok(token);
                }
                shared.take_asked(token);
            }
            Err(mlua::Error::runtime("the client has no statistics: it is not connected, or busy"))
        })?,
    )
}

/// The tag of a lookup: a string, or the byte array that it is in ActionScript.
fn tag_bytes(value: &Value) -> Result<SmallVec<[u8; 16]>> {
    match value {
        Value::String(tag) => Ok(SmallVec::from_slice(&tag.as_bytes())),
        Value::UserData(object) => bytes_of(object),
        other => {
            Err(mlua::Error::runtime(format!("the tag must be event.tag of the lookup, not a {}", other.type_name())))
        }
    }
}

fn bytes_of(object: &AnyUserData) -> Result<SmallVec<[u8; 16]>> {
    match &object.borrow::<Opaque>()?.value {
        introd_flash::amf::Value::ByteArray(bytes) => Ok(SmallVec::from_slice(bytes)),
        _ => Err(mlua::Error::runtime("the tag must be event.tag of the lookup")),
    }
}
