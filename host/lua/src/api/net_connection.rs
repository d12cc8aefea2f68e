//! `NetConnection`: a connection of the script, to another server or without one.

use std::cell::RefCell;
use std::rc::Rc;

use mlua::{AnyUserData, Lua, MultiValue, Result, Table, UserData, UserDataMethods, Value};

use super::client::{arguments, method_name};
use super::connection_objects::{Connection, Phase};
use super::pending_calls::Callee;
use super::state::ApiState;
use crate::engine::expando::{self, Expando};
use crate::instance::connections::Connections;
use introd_policy::net_connection::{ConnectionCommand, ConnectionEvent, ConnectionOptions, OpenError};

/// What every connection has; none can be set.
pub(crate) const PROPERTIES: &[&str] = &[
    "isConnected",
    "uri",
    "nearID",
    "farID",
    "nearNonce",
    "farNonce",
    "boundAddresses",
    "connect",
    "call",
    "callAndWait",
    "close",
];

/// What a script may set before it connects.
pub(crate) const OPTIONS: &[&str] = &[BIND_ADDRESSES, ENDPOINT_NAME];
const BIND_ADDRESSES: &str = "rtmfpBindAddresses";
const ENDPOINT_NAME: &str = "rtmfpEndpointName";

/// The handlers that the host calls.
pub(crate) const HANDLERS: &[&str] = &["onStatus"];

/// The longest URI and the longest endpoint name, in bytes, and how many addresses may be bound.
const MAX_URI: usize = 4096;
pub(super) const MAX_NAME: usize = 255;
pub(super) const MAX_ADDRESSES: usize = 16;

/// Whether a server may not call that name, whatever the script has under it.
pub(crate) fn is_reserved(name: &str) -> bool {
    [PROPERTIES, OPTIONS, HANDLERS].iter().any(|names| names.contains(&name)) || name.starts_with("__")
}

/// A connection in a script. What the script sets before it connects stands in the object's user value.
pub(super) struct NetConnection {
    state: Rc<ApiState>,
    /// What its last `connect` has made.
    connection: RefCell<Option<Rc<Connection>>>,
}

impl NetConnection {
    fn connection(&self) -> Option<Rc<Connection>> {
        self.connection.borrow().clone()
    }

    /// Whether it is connected, or about to be.
    fn is_in_use(&self) -> bool {
        self.connection.borrow().as_ref().is_some_and(|connection| connection.phase.get() != Phase::Closed)
    }
}

impl UserData for NetConnection {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        expando::add_methods(methods);
    }
}

impl Expando for NetConnection {
    const KIND: &'static str = "NetConnection";
    const PROPERTIES: &'static [&'static str] = PROPERTIES;

    fn property(&self, lua: &Lua, name: &str) -> Result<Option<Value>> {
        let connection = self.connection.borrow();
        let ends = connection.as_ref().map(|connection| connection.ends.borrow());
        let ends = ends.as_ref().and_then(|ends| ends.as_ref());
        let text = match name {
            "isConnected" => {
                return Ok(Some(Value::Boolean(connection.as_ref().is_some_and(|connection| connection.is_open()))));
            }
            "uri" => connection.as_ref().map(|connection| connection.uri.clone()),
            "nearID" => ends.map(|ends| ends.near_id.to_string()),
            "farID" => ends.and_then(|ends| ends.far_id).map(|id| id.to_string()),
            "nearNonce" => ends.and_then(|ends| ends.nonces).map(|(near, _)| hex::encode(near)),
            "farNonce" => ends.and_then(|ends| ends.nonces).map(|(_, far)| hex::encode(far)),
            "boundAddresses" => {
                let list = ends.map(|ends| ends.bound.clone()).unwrap_or_default();
                return Ok(Some(Value::Table(lua.create_sequence_from(list)?)));
            }
            _ => return self.state.connections.connection_methods.raw_get(name).map(Some),
        };
        text.map(|text| lua.create_string(text).map(Value::String)).transpose()
    }

    fn check(&self, name: &str, value: &Value) -> Result<()> {
        if !OPTIONS.contains(&name) {
            return Ok(());
        }
        if self.is_in_use() {
            return wrong(format!("{name} of a NetConnection is set before it connects"));
        }
        // What is wrong is said where it is set.
        if name == BIND_ADDRESSES { bind_addresses(value).map(drop) } else { endpoint_name(value).map(drop) }
    }
}

fn wrong<T>(message: impl Into<String>) -> Result<T> {
    Err(mlua::Error::runtime(message.into()))
}

fn bind_addresses(value: &Value) -> Result<Vec<String>> {
    match value {
        Value::Nil => Ok(Vec::new()),
        value => texts(value, BIND_ADDRESSES),
    }
}

/// A list of texts, or one text, that stand for addresses.
pub(super) fn texts(value: &Value, what: &str) -> Result<Vec<String>> {
    let text = |value: Value| match value {
        Value::String(text) if text.as_bytes().len() <= MAX_NAME => Ok(text.to_string_lossy()),
        Value::String(_) => wrong(format!("an address in {what} has at most {MAX_NAME} bytes")),
        other => wrong(format!("{what} is a list of strings, not of a {}", other.type_name())),
    };
    match value {
        Value::Table(list) => {
            let count = list.raw_len();
            if count > MAX_ADDRESSES {
                return wrong(format!("{what} has at most {MAX_ADDRESSES} addresses, not {count}"));
            }
            (1..=count).map(|index| text(list.raw_get(index)?)).collect()
        }
        Value::String(_) => Ok(vec![text(value.clone())?]),
        other => wrong(format!("{what} is a list of strings, not a {}", other.type_name())),
    }
}

fn endpoint_name(value: &Value) -> Result<Option<String>> {
    match value {
        Value::Nil => Ok(None),
        value => name(value, ENDPOINT_NAME).map(Some),
    }
}

/// The name of an endpoint.
pub(super) fn name(value: &Value, what: &str) -> Result<String> {
    let Value::String(text) = value else {
        return wrong(format!("{what} is a string, not a {}", value.type_name()));
    };
    let bytes = text.as_bytes();
    match std::str::from_utf8(&bytes) {
        Ok(text) if !text.is_empty() && text.len() <= MAX_NAME => Ok(text.to_owned()),
        _ => wrong(format!("{what} is a text of 1 to {MAX_NAME} bytes")),
    }
}

/// The connection of a NetConnection that is open.
pub(super) fn open_connection(value: &Value) -> Result<Rc<Connection>> {
    let Some(connection) = value.as_userdata().and_then(|object| object.borrow::<NetConnection>().ok()) else {
        return wrong(format!("a NetGroup is made of a NetConnection and a groupspec, not of a {}", value.type_name()));
    };
    connection.connection().filter(|connection| connection.is_open()).ok_or_else(|| {
        mlua::Error::runtime(
            "the NetConnection is not connected: make the NetGroup when onStatus has the code NetConnection.Connect.Success",
        )
    })
}

fn this(value: Option<Value>, method: &str) -> Result<AnyUserData> {
    match value {
        Some(Value::UserData(object)) if object.is::<NetConnection>() => Ok(object),
        _ => wrong(format!("{method} is a method of a NetConnection, called with a colon: nc:{method}(...)")),
    }
}

/// The functions of which the prelude makes the class, and the methods.
pub(super) fn register(lua: &Lua, state: &Rc<ApiState>, native: &Table) -> Result<()> {
    let shared = Rc::clone(state);
    native.raw_set(
        "new_connection",
        lua.create_function(move |_, ()| {
            Ok(NetConnection { state: Rc::clone(&shared), connection: RefCell::default() })
        })?,
    )?;
    let methods = &state.connections.connection_methods;
    native.raw_set("connection_methods", methods)?;

    let shared = Rc::clone(state);
    methods.raw_set(
        "connect",
        lua.create_function(move |_, mut all: MultiValue| {
            let object = this(all.pop_front(), "connect")?;
            let uri = match all.pop_front() {
                Some(Value::String(uri)) if uri.as_bytes().len() <= MAX_URI => uri.to_string_lossy(),
                Some(Value::String(_)) => return wrong(format!("the URI has at most {MAX_URI} bytes")),
                other => {
                    let kind = other.as_ref().map_or("nothing", Value::type_name);
                    return wrong(format!(
                        "the URI is a string, \"rtmfp:\" or \"rtmfp://host/application\", not {kind}"
                    ));
                }
            };
            connect(&shared, &object, uri, arguments(&shared, all)?)
        })?,
    )?;

    let shared = Rc::clone(state);
    methods.raw_set(
        "close",
        lua.create_function(move |_, object: Value| {
            let object = this(Some(object), "close")?;
            close(&shared, &*object.borrow::<NetConnection>()?)
        })?,
    )?;

    let shared = Rc::clone(state);
    methods.raw_set(
        "call",
        lua.create_function(move |_, mut all: MultiValue| {
            let object = this(all.pop_front(), "call")?;
            let method = method_name(&mut all)?;
            let handler = all.pop_front().unwrap_or_default();
            if !matches!(handler, Value::Nil | Value::Function(_) | Value::Table(_) | Value::UserData(_)) {
                return wrong(format!("the result handler is a function or an object, not a {}", handler.type_name()));
            }
            let arguments = arguments(&shared, all)?;
            shared.must_be_live()?;
            let connection = object.borrow::<NetConnection>()?.connection();
            let Some(connection) = connection.filter(|connection| connection.is_open()) else { return Ok(false) };
            let wants_answer = handler != Value::Nil;
            let token =
                wants_answer.then(|| shared.ask(Callee::Connection(Rc::clone(&connection)), handler)).transpose()?;
            Ok(send_call(&shared, &connection, method, arguments, token))
        })?,
    )?;

    let shared = Rc::clone(state);
    native.raw_set(
        "connection_call_and_wait",
        lua.create_function(move |_, mut all: MultiValue| {
            let object = this(all.pop_front(), "callAndWait")?;
            let method = method_name(&mut all)?;
            let arguments = arguments(&shared, all)?;
            shared.must_be_live()?;
            let connection = object.borrow::<NetConnection>()?.connection();
            if let Some(connection) = connection.filter(|connection| connection.is_open()) {
                let token = shared.ask(Callee::Connection(Rc::clone(&connection)), Value::Nil)?;
                if send_call(&shared, &connection, method, arguments, Some(token)) {
                    return Ok(token);
                }
            }
            wrong("the server cannot be called: the NetConnection is not connected, or busy")
        })?,
    )
}

/// Sends a call. False if that is not possible; then nothing waits for its answer.
fn send_call(
    state: &ApiState,
    connection: &Connection,
    method: String,
    arguments: Vec<introd_flash::amf::Value>,
    token: Option<u64>,
) -> bool {
    let command = ConnectionCommand::Call { method, arguments, token };
    let is_sent = state.instance.connections.send(connection.number, command).is_ok();
    if let Some(token) = token.filter(|_| !is_sent) {
        state.take_asked(token);
    }
    is_sent
}

fn connect(
    state: &ApiState,
    object: &AnyUserData,
    uri: String,
    arguments: Vec<introd_flash::amf::Value>,
) -> Result<bool> {
    state.must_be_live()?;
    let this = object.borrow::<NetConnection>()?;
    if this.is_in_use() {
        return wrong("this NetConnection is connected, or about to be: close it before it connects again");
    }
    let option = |name: &str| expando::field_named(object, name);
    let options = ConnectionOptions {
        uri: uri.clone(),
        arguments,
        bind_addresses: bind_addresses(&option(BIND_ADDRESSES)?)?,
        endpoint_name: endpoint_name(&option(ENDPOINT_NAME)?)?,
    };
    let number = Connections::next_number();
    let connection = Rc::new(Connection::new(number, uri));
    state.connections.insert(&connection, object.clone())?;
    let instance = &state.instance;
    match instance.connections.open(number, &instance.name, &instance.settings(), options) {
        Ok(()) => {
            this.connection.replace(Some(connection));
            Ok(true)
        }
        Err(OpenError::Options(message)) => {
            state.connections.remove(number);
            wrong(message)
        }
        Err(OpenError::Limit(description) | OpenError::System(description)) => {
            this.connection.replace(Some(connection));
            let code = "NetConnection.Connect.Failed".to_owned();
            let info = introd_flash::amf::Value::Null;
            state.connections.tell_later(number, ConnectionEvent::Closed { code, description, info });
            Ok(false)
        }
    }
}

/// Closes a connection. The script is told of it in a later turn.
fn close(state: &ApiState, this: &NetConnection) -> Result<()> {
    state.must_be_live()?;
    let Some(connection) = this.connection() else { return Ok(()) };
    if matches!(connection.phase.get(), Phase::Opening | Phase::Open) {
        connection.phase.set(Phase::Closing);
        state.instance.connections.close(connection.number);
        let code = "NetConnection.Connect.Closed".to_owned();
        let (description, info) = ("the script has closed the connection".to_owned(), introd_flash::amf::Value::Null);
        state.connections.tell_later(connection.number, ConnectionEvent::Closed { code, description, info });
    }
    Ok(())
}
