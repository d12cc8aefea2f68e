//! `NetGroup`: the script's membership in a group.

use std::net::SocketAddr;
use std::rc::Rc;

use mlua::{AnyUserData, Lua, Result, Table, UserData, UserDataMethods, Value};

use super::connection_objects::Group;
use super::net_connection::{name, open_connection, texts};
use super::state::ApiState;
use super::{address, group_specifier};
use crate::engine::expando::{self, Expando};
use crate::engine::values;
use introd_flash::amf::Encoder;
use introd_netgroup::GroupAddress;
use introd_netgroup::member::posting::PostingId;
use introd_policy::net_connection::{ConnectionCommand, Direction, GroupCommand, GroupFacts};

/// What every membership has; none can be set.
pub(crate) const PROPERTIES: &[&str] = &[
    "neighborCount",
    "estimatedMemberCount",
    "localCoverageFrom",
    "localCoverageTo",
    "post",
    "sendToNearest",
    "sendToNeighbor",
    "sendToAllNeighbors",
    "addNeighbor",
    "addMemberHint",
    "addPermanentNeighborByName",
    "removePermanentNeighborByName",
    "convertPeerIDToGroupAddress",
    "close",
];

/// The handlers that the host calls.
#[cfg(test)]
pub(crate) const HANDLERS: &[&str] = &["onStatus"];

/// The results of sending, as in ActionScript.
const SENT: &str = "sent";
const NO_ROUTE: &str = "no route";
const ERROR: &str = "error";
const NEXT_INCREASING: &str = "nextIncreasing";
const NEXT_DECREASING: &str = "nextDecreasing";

/// The longest posting or message, in bytes of AMF0.
pub(crate) const MAX_MESSAGE: usize = 64 * 1024;

/// A membership in a script.
struct NetGroup {
    state: Rc<ApiState>,
    group: Rc<Group>,
}

impl NetGroup {
    fn facts(&self) -> GroupFacts {
        let group = &self.group;
        let facts = self.state.instance.connections.group(group.connection.number, group.id);
        facts.filter(|_| !group.is_closed.get()).unwrap_or_default()
    }

    /// Gives the group a command. False if it has been left, or too many commands wait.
    fn send(&self, command: GroupCommand) -> Result<bool> {
        self.state.must_be_live()?;
        let group = &self.group;
        let command = ConnectionCommand::Group { group: group.id, command };
        Ok(!group.is_closed.get() && self.state.instance.connections.send(group.connection.number, command).is_ok())
    }

    /// The same for a message: its result is one of `NetGroupSendResult`.
    fn send_message(&self, command: GroupCommand) -> Result<&'static str> {
        Ok(if self.send(command)? { SENT } else { ERROR })
    }

    /// The bytes of a value that is to be sent.
    fn encoded(&self, value: &Value) -> Result<Vec<u8>> {
        let value = values::from_lua(&self.state.marks, value)?;
        let mut encoder = Encoder::new();
        encoder.amf0(&value).map_err(mlua::Error::external)?;
        let bytes = encoder.finish();
        if bytes.len() > MAX_MESSAGE {
            return wrong(format!("a message to a group has at most {MAX_MESSAGE} bytes, not {}", bytes.len()));
        }
        Ok(bytes)
    }
}

impl UserData for NetGroup {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        expando::add_methods(methods);
    }
}

impl Expando for NetGroup {
    const KIND: &'static str = "NetGroup";
    const PROPERTIES: &'static [&'static str] = PROPERTIES;

    fn property(&self, lua: &Lua, name: &str) -> Result<Option<Value>> {
        let address = |address: [u8; 32]| lua.create_string(hex::encode(address)).map(Value::String);
        Ok(Some(match name {
            "neighborCount" => Value::Integer(self.facts().neighbor_count as i64),
            "estimatedMemberCount" => Value::Number(self.facts().estimated_member_count),
            "localCoverageFrom" => address(self.facts().local_coverage.0)?,
            "localCoverageTo" => address(self.facts().local_coverage.1)?,
            _ => self.state.connections.group_methods.raw_get(name)?,
        }))
    }
}

fn wrong<T>(message: impl Into<String>) -> Result<T> {
    Err(mlua::Error::runtime(message.into()))
}

type Method = fn(&Lua, &NetGroup, &Value, &Value) -> Result<Value>;
const METHODS: &[(&str, Method)] = &[
    ("post", post),
    ("sendToNearest", |lua, this, message, to| {
        let (message, address) = (this.encoded(message)?, group_address(to)?);
        result(lua, this.send_message(GroupCommand::SendToNearest { message, address })?)
    }),
    ("sendToNeighbor", |lua, this, message, mode| {
        let (message, direction) = (this.encoded(message)?, direction(mode)?);
        let has_neighbors = this.facts().neighbor_count > 0;
        let send = || this.send_message(GroupCommand::SendToNeighbor { message, direction });
        result(lua, if has_neighbors { send()? } else { NO_ROUTE })
    }),
    ("sendToAllNeighbors", |lua, this, message, _| {
        let message = this.encoded(message)?;
        let has_neighbors = this.facts().neighbor_count > 0;
        let send = || this.send_message(GroupCommand::SendToAllNeighbors { message });
        result(lua, if has_neighbors { send()? } else { NO_ROUTE })
    }),
    ("addNeighbor", |_, this, peer, _| this.send(GroupCommand::AddNeighbor(address::peer(peer)?)).map(Value::Boolean)),
    ("addMemberHint", |_, this, peer, _| {
        this.send(GroupCommand::AddMemberHint(address::peer(peer)?)).map(Value::Boolean)
    }),
    ("addPermanentNeighborByName", |_, this, given, addresses| {
        let (name, addresses) = (name(given, "the name of a permanent neighbor")?, socket_addresses(addresses)?);
        this.send(GroupCommand::AddPermanentNeighbor { name, addresses }).map(Value::Boolean)
    }),
    ("removePermanentNeighborByName", |_, this, given, _| {
        let name = name(given, "the name of a permanent neighbor")?;
        this.send(GroupCommand::RemovePermanentNeighbor { name }).map(Value::Boolean)
    }),
    ("convertPeerIDToGroupAddress", |lua, _, peer, _| {
        lua.create_string(GroupAddress::of(&address::peer(peer)?).to_string()).map(Value::String)
    }),
    ("close", |_, this, _, _| {
        this.send(GroupCommand::Close)?;
        this.group.connection.forget_group(this.group.id);
        Ok(Value::Nil)
    }),
];

fn result(lua: &Lua, result: &str) -> Result<Value> {
    lua.create_string(result).map(Value::String)
}

fn post(lua: &Lua, this: &NetGroup, value: &Value, _: &Value) -> Result<Value> {
    if value.is_nil() {
        return wrong("group:post takes a value to post");
    }
    let value = this.encoded(value)?;
    let id = PostingId::of(&value);
    let is_sent = this.send(GroupCommand::Post { value })?;
    Ok(if is_sent { Value::String(lua.create_string(hex::encode(id.0))?) } else { Value::Nil })
}

fn group_address(value: &Value) -> Result<[u8; 32]> {
    let mut address = [0; 32];
    let read = value.as_string().is_some_and(|text| hex::decode_to_slice(&*text.as_bytes(), &mut address).is_ok());
    if read { Ok(address) } else { wrong("a group address is a string of 64 hexadecimal digits") }
}

fn direction(value: &Value) -> Result<Direction> {
    match value.as_string().map(|text| text.to_string_lossy()).as_deref() {
        Some(NEXT_INCREASING) => Ok(Direction::Increasing),
        Some(NEXT_DECREASING) => Ok(Direction::Decreasing),
        _ => wrong(format!("the send mode is NetGroupSendMode: \"{NEXT_INCREASING}\" or \"{NEXT_DECREASING}\"")),
    }
}

/// Addresses of a permanent neighbor: none, one, or a list.
fn socket_addresses(value: &Value) -> Result<Vec<SocketAddr>> {
    if value.is_nil() {
        return Ok(Vec::new());
    }
    let read = |text: String| match text.parse::<SocketAddr>() {
        Ok(address) if address.port() != 0 => Ok(address),
        _ => {
            let shown: String = text.chars().take(64).collect();
            wrong(format!(
                "the address of a permanent neighbor is an IP address with a port, such as 192.0.2.1:1935, not {shown:?}; names of hosts are not looked up"
            ))
        }
    };
    texts(value, "the addresses of a permanent neighbor")?.into_iter().map(read).collect()
}

fn create(state: &Rc<ApiState>, lua: &Lua, connection: &Value, spec: &Value) -> Result<AnyUserData> {
    let connection = open_connection(connection)?;
    let groupspec = group_specifier::groupspec(spec)?.as_str().to_owned();
    state.must_be_live()?;
    let id = connection.next_group();
    let command = ConnectionCommand::Join { group: id, groupspec: groupspec.clone() };
    state
        .instance
        .connections
        .send(connection.number, command)
        .map_err(|refused| mlua::Error::runtime(format!("the group cannot be joined: {refused}")))?;
    let group = Rc::new(Group { connection: Rc::clone(&connection), id, groupspec, is_closed: false.into() });
    let object = lua.create_userdata(NetGroup { state: Rc::clone(state), group: Rc::clone(&group) })?;
    connection.groups.borrow_mut().insert(id, (group, object.clone()));
    Ok(object)
}

/// The methods, the constants, and the function of which the prelude makes the class.
pub(super) fn register(lua: &Lua, state: &Rc<ApiState>, native: &Table) -> Result<()> {
    let shared = Rc::clone(state);
    native.raw_set(
        "new_group",
        lua.create_function(move |lua, (connection, spec): (Value, Value)| create(&shared, lua, &connection, &spec))?,
    )?;
    for (method, work) in METHODS {
        let function = lua.create_function(move |lua, (this, first, second): (Value, Value, Value)| {
            let Some(this) = this.as_userdata().and_then(|object| object.borrow::<NetGroup>().ok()) else {
                return wrong(format!("{method} is a method of a NetGroup, called with a colon: group:{method}(...)"));
            };
            work(lua, &this, &first, &second)
        })?;
        state.connections.group_methods.raw_set(*method, function)?;
    }
    let to_address = lua
        .create_function(|lua, peer: Value| lua.create_string(GroupAddress::of(&address::peer(&peer)?).to_string()))?;
    native.raw_set("group_address", to_address)?;
    let globals = lua.globals();
    let modes = [("NEXT_INCREASING", NEXT_INCREASING), ("NEXT_DECREASING", NEXT_DECREASING)];
    globals.raw_set("NetGroupSendMode", lua.create_table_from(modes)?)?;
    let results = [("SENT", SENT), ("NO_ROUTE", NO_ROUTE), ("ERROR", ERROR)];
    globals.raw_set("NetGroupSendResult", lua.create_table_from(results)?)
}
