//! `application`: the application instance.

use std::rc::Rc;

use mlua::{Function, Lua, MultiValue, Result, Table, Value};

use super::address_list;
use super::client::{arguments, member, method_name};
use super::relay_terms;
use super::state::{ApiState, CONNECT_ACCEPT, CONNECT_REJECT, plain_rejection};
use crate::engine::values;
use crate::instance::roster::{Phase, RosterMember};
use introd_config::{DEFAULT_VHOST, XmlSettings};
use introd_flash::server::Rejection;
use introd_policy::message::ClientCommand;
use introd_policy::{RelayVerdict, Verdict};

/// The handlers that a script may define.
pub(crate) const HANDLERS: &[&str] = &[
    "onAppStart",
    "onAppStop",
    "onConnect",
    CONNECT_ACCEPT,
    CONNECT_REJECT,
    "onDisconnect",
    "onPeerLookup",
    "onPublish",
    "onUnpublish",
    "onStatus",
];

/// Fills in the properties.
pub(crate) fn describe(lua: &Lua, state: &Rc<ApiState>) -> Result<()> {
    let (application, instance) = (&state.application, &state.instance);
    application.raw_set("name", instance.name.to_string())?;
    application.raw_set("server", concat!("introd/", env!("CARGO_PKG_VERSION")))?;
    application.raw_set("hostname", hostname(&instance.name.vhost))?;
    let config = tree(lua, &instance.settings().script.config)?;
    application
        .raw_set("config", if matches!(config, Value::Table(_)) { config } else { Value::Table(lua.create_table()?) })
}

/// `application.hostname`: the computer's name for the default virtual host, else the virtual host's name, as in AMS.
fn hostname(vhost: &str) -> String {
    if vhost == DEFAULT_VHOST {
        rustix::system::uname().nodename().to_string_lossy().into_owned()
    } else {
        vhost.to_owned()
    }
}

/// The value of a configuration element for a script: a text, or a table of its children. Children with the same name become a list.
/// The parser bounds how deep elements are nested.
fn tree(lua: &Lua, settings: &XmlSettings) -> Result<Value> {
    if settings.children.is_empty() {
        return Ok(Value::String(lua.create_string(&settings.text)?));
    }
    let table = lua.create_table()?;
    let mut seen: Vec<&str> = Vec::new();
    for (name, _) in &settings.children {
        if seen.contains(&name.as_str()) {
            continue;
        }
        seen.push(name);
        let mut values = Vec::new();
        for (_, each) in settings.children.iter().filter(|(other, _)| other == name) {
            values.push(tree(lua, each)?);
        }
        let value = if values.len() > 1 {
            Value::Table(lua.create_sequence_from(values)?)
        } else {
            values.pop().unwrap_or_default()
        };
        table.raw_set(name.as_str(), value)?;
    }
    if !settings.text.is_empty() && !seen.contains(&"text") {
        table.raw_set("text", settings.text.as_str())?;
    }
    Ok(Value::Table(table))
}

fn a_client(state: &ApiState, value: Option<Value>, function: &str) -> Result<Rc<RosterMember>> {
    member(state, value.as_ref()).ok_or_else(|| {
        let kind = value.as_ref().map_or("nothing", Value::type_name);
        mlua::Error::runtime(format!("application.{function} takes a client, not {kind}"))
    })
}

/// Rejects a client that waits; one that is accepted already is disconnected.
fn reject(state: &ApiState, member: &Rc<RosterMember>, rejection: Rejection) -> Result<bool> {
    state.must_be_live()?;
    match member.phase.get() {
        Phase::Waiting => Ok(state.reject(member, rejection)),
        Phase::Accepted => {
            let reason = Some(rejection.description.into());
            state.send(ClientCommand::Disconnect { client: member.id, reason })
        }
        Phase::Refused | Phase::Gone => Ok(false),
    }
}

/// The longest reason for the log, in bytes; a longer one is cut off.
const MAX_REASON: usize = 256;

/// Reads the reason that a script gives for the log alone.
fn log_reason(value: Option<Value>) -> Result<Option<Box<str>>> {
    match value {
        None | Some(Value::Nil) => Ok(None),
        Some(Value::String(text)) => {
            let bytes = text.as_bytes();
            let mut text = String::from_utf8_lossy(bytes.get(..MAX_REASON).unwrap_or(&bytes)).into_owned();
            text.truncate(text.floor_char_boundary(MAX_REASON));
            Ok(Some(text.into()))
        }
        Some(other) => Err(mlua::Error::runtime(format!("the reason is a string, not a {}", other.type_name()))),
    }
}

/// Warns of a decision about a client that has been accepted because `onConnect` returned nothing: the author may think that it waits.
fn note_late_decision(state: &ApiState, member: &RosterMember, function: &str) {
    let instance = &state.instance;
    let is_late = member.is_accepted() && member.is_accepted_by_default.get();
    if is_late && !instance.has_told_of_late_decision.replace(true) {
        // It is `onConnect` that has to change.
        let handler = state.application.raw_get::<Option<Function>>("onConnect").ok().flatten();
        let place = handler.map(|handler| handler.info());
        let source = place.as_ref().and_then(|place| place.source.as_deref()).unwrap_or_default();
        let (file, line) = (source.trim_start_matches('@'), place.as_ref().and_then(|place| place.line_defined));
        let text = format!(
            "application.{function} decides about a client that has been accepted already, because onConnect returned nothing: to decide later, onConnect must `return nil`, or set ScriptEngine/ConnectDefault in Application.xml to pending; to disconnect a client, call application.disconnect"
        );
        instance.journal.warning(&instance.name, file, line.unwrap_or_default(), text);
    }
}

/// The longest description of a rejection, in bytes; a longer one is cut off. Also the longest URL.
const MAX_DESCRIPTION: usize = 4096;

/// Reads the description and the object for the client's program.
fn reasons(state: &ApiState, values: &mut MultiValue, default: &str) -> Result<Rejection> {
    let description = match values.pop_front() {
        Some(Value::String(text)) => {
            let bytes = text.as_bytes();
            String::from_utf8_lossy(bytes.get(..MAX_DESCRIPTION).unwrap_or(&bytes)).into_owned()
        }
        None | Some(Value::Nil) => default.to_owned(),
        Some(other) => {
            return Err(mlua::Error::runtime(format!("the description is a string, not a {}", other.type_name())));
        }
    };
    let mut rejection = Rejection::new(Rejection::REJECTED, description);
    rejection.application = match values.pop_front() {
        None | Some(Value::Nil) => None,
        Some(value) => Some(values::from_lua(&state.marks, &value)?),
    };
    Ok(rejection)
}

/// The number of the lookup behind an event.
fn number_of(state: &ApiState, event: &Value, function: &str) -> Result<u64> {
    let number = match event {
        Value::Table(event) => event.raw_get::<Option<u64>>(&state.event_key).unwrap_or_default(),
        _ => None,
    };
    number.ok_or_else(|| {
        let kind = event.type_name();
        mlua::Error::runtime(format!("application.{function} takes the event of a lookup, not a {kind}"))
    })
}

/// Gives the verdict on the lookup of that number.
pub(super) fn decide(state: &ApiState, number: u64, verdict: Verdict) -> Result<bool> {
    state.must_be_live()?;
    if state.decide_lookup(number, verdict) {
        return Ok(true);
    }
    Err(mlua::Error::runtime("this lookup has been answered, by the script or by its deadline"))
}

/// The result of `application.getStats()`.
fn stats(lua: &Lua, state: &ApiState) -> Result<Table> {
    let totals = state.instance.totals();
    let (bw_in, bw_out) = state.rates.at(state.instance.now.get(), &totals);
    lua.create_table_from([
        ("bw_in", bw_in),
        ("bw_out", bw_out),
        ("bytes_in", totals.bytes_in),
        ("bytes_out", totals.bytes_out),
        ("msg_in", totals.messages_in),
        ("msg_out", totals.messages_out),
        ("msg_dropped", totals.messages_dropped),
        ("total_connects", totals.connects),
        ("total_disconnects", totals.disconnects),
    ])
}

/// The functions. The prelude puts them into the table.
pub(crate) fn register(lua: &Lua, state: &Rc<ApiState>, native: &Table) -> Result<()> {
    let application = lua.create_table()?;

    let shared = Rc::clone(state);
    application.raw_set(
        "acceptConnection",
        lua.create_function(move |_, client: Value| {
            let member = a_client(&shared, Some(client), "acceptConnection")?;
            shared.must_be_live()?;
            note_late_decision(&shared, &member, "acceptConnection");
            Ok(shared.accept(&member))
        })?,
    )?;

    let shared = Rc::clone(state);
    application.raw_set(
        "rejectConnection",
        lua.create_function(move |_, mut values: MultiValue| {
            let member = a_client(&shared, values.pop_front(), "rejectConnection")?;
            note_late_decision(&shared, &member, "rejectConnection");
            let rejection = reasons(&shared, &mut values, &plain_rejection().description)?;
            reject(&shared, &member, rejection)
        })?,
    )?;

    let shared = Rc::clone(state);
    application.raw_set(
        "redirectConnection",
        lua.create_function(move |_, mut values: MultiValue| {
            let member = a_client(&shared, values.pop_front(), "redirectConnection")?;
            note_late_decision(&shared, &member, "redirectConnection");
            let url = match values.pop_front() {
                Some(Value::String(url)) if url.as_bytes().len() > MAX_DESCRIPTION => {
                    return Err(mlua::Error::runtime(format!("the URL has at most {MAX_DESCRIPTION} bytes")));
                }
                Some(Value::String(url)) => Some(url.to_string_lossy()),
                None | Some(Value::Nil) => None,
                Some(other) => {
                    return Err(mlua::Error::runtime(format!("the URL is a string, not a {}", other.type_name())));
                }
            };
            let mut rejection = reasons(&shared, &mut values, "Connection failed")?;
            rejection.redirect = url;
            reject(&shared, &member, rejection)
        })?,
    )?;

    let shared = Rc::clone(state);
    application.raw_set(
        "disconnect",
        lua.create_function(move |_, (client, reason): (Value, Option<Value>)| {
            let member = a_client(&shared, Some(client), "disconnect")?;
            let reason = log_reason(reason)?;
            match member.phase.get() {
                Phase::Waiting => {
                    let private_reason = reason.map(String::from);
                    reject(&shared, &member, Rejection { private_reason, ..plain_rejection() })
                }
                Phase::Accepted => shared.send(ClientCommand::Disconnect { client: member.id, reason }),
                Phase::Refused | Phase::Gone => Ok(false),
            }
        })?,
    )?;

    let shared = Rc::clone(state);
    application.raw_set(
        "sendPeerRedirect",
        lua.create_function(move |_, (addresses, event): (Value, Value)| {
            let Value::Table(addresses) = addresses else {
                let kind = addresses.type_name();
                return Err(mlua::Error::runtime(format!(
                    "application.sendPeerRedirect takes a list of addresses, not a {kind}"
                )));
            };
            let number = number_of(&shared, &event, "sendPeerRedirect")?;
            // A list that is wrong does not use up the event.
            let target = shared.instance.requests.target(number);
            let addresses = address_list::from_lua(&shared, &addresses, target.as_ref())?;
            if addresses.is_empty() {
                return Err(mlua::Error::runtime("application.sendPeerRedirect takes at least one address"));
            }
            decide(&shared, number, Verdict::Redirect(addresses))
        })?,
    )?;

    let shared = Rc::clone(state);
    application.raw_set(
        "relayPeer",
        lua.create_function(move |_, (event, limits): (Value, Option<Value>)| {
            let number = number_of(&shared, &event, "relayPeer")?;
            // Limits that are wrong do not use up the event.
            let terms = relay_terms::from_lua(limits)?;
            decide(&shared, number, Verdict::Relay(RelayVerdict { peer: None, terms }))
        })?,
    )?;

    let shared = Rc::clone(state);
    application.raw_set(
        "denyPeerLookup",
        lua.create_function(move |_, (event, reason): (Value, Option<Value>)| {
            let number = number_of(&shared, &event, "denyPeerLookup")?;
            decide(&shared, number, Verdict::Deny(log_reason(reason)?))
        })?,
    )?;

    let shared = Rc::clone(state);
    application.raw_set(
        "broadcastMsg",
        lua.create_function(move |_, mut values: MultiValue| {
            let method = method_name(&mut values)?;
            let arguments = arguments(&shared, values)?;
            for member in shared.instance.roster.borrow().accepted() {
                let (method, arguments) = (method.clone(), arguments.clone());
                shared.send(ClientCommand::Call { client: member.id, method, arguments, token: None })?;
            }
            Ok(())
        })?,
    )?;

    let shared = Rc::clone(state);
    application.raw_set("getStats", lua.create_function(move |lua, ()| stats(lua, &shared))?)?;

    let shared = Rc::clone(state);
    application.raw_set(
        "shutdown",
        lua.create_function(move |_, ()| {
            shared.must_be_live()?;
            shared.instance.is_ending.set(true);
            Ok(true)
        })?,
    )?;

    native.raw_set("application", application)
}
