//! Reads the options of a test for an application or a client.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use mlua::{Result, Table, Value};

use super::settings;
use crate::api::address;
use crate::api::state::ApiState;
use crate::engine::values;
use introd_config::{Application, ConnectDefault, Fallback, JoinLeaveMode, LookupMode, XmlSettings};
use introd_policy::InstanceName;
use introd_policy::message::ClientInfo;

fn choice<T: Copy>(options: Option<&Table>, name: &str, choices: &[(&str, T)]) -> Result<Option<T>> {
    let Some(word) = field::<String>(options, name)? else { return Ok(None) };
    let found = choices.iter().find(|(known, _)| known.eq_ignore_ascii_case(&word));
    let known: Vec<&str> = choices.iter().map(|(known, _)| *known).collect();
    let unknown = || mlua::Error::runtime(format!("{name} is {}, not {word}", known.join(" or ")));
    Ok(Some(found.ok_or_else(unknown)?.1))
}

/// The names of the options of each function that takes a table of them.
const OPTIONS: &[(&str, &[&str])] = &[
    (
        "start",
        &[
            "server",
            "folder",
            "application",
            "config",
            "connectDefault",
            "clock",
            "seed",
            "lookups",
            "groups",
            "deadline",
            "onDeadline",
            "onFailure",
            "time",
            "memory",
            "library",
            "http",
            "files",
        ],
    ),
    (
        "connect",
        &[
            "farID",
            "farAddress",
            "nearAddress",
            "potentialNearAddresses",
            "uri",
            "agent",
            "referrer",
            "pageUrl",
            "arguments",
        ],
    ),
    ("lookup", &["target", "from", "address", "application", "attempt"]),
];

/// Checks that a function knows all options that it is given.
pub(super) fn check(function: &str, given: Option<&Table>) -> Result<()> {
    let known = OPTIONS.iter().find(|(name, _)| *name == function).map_or(&[][..], |(_, known)| known);
    for pair in given.map(|given| given.pairs::<Value, Value>()).into_iter().flatten() {
        let (name, _) = pair?;
        let Value::String(text) = &name else {
            let kind = name.type_name();
            return Err(mlua::Error::runtime(format!(
                "{function} takes options with names, and got one with a {kind}"
            )));
        };
        let text = text.to_string_lossy();
        if !known.contains(&text.as_str()) {
            let hint = match introd_config::nearest(&text, known.iter().copied()) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("it has {}", known.join(", ")),
            };
            return Err(mlua::Error::runtime(format!("{function} has no option {text}; {hint}")));
        }
    }
    Ok(())
}

/// The settings of the application under test: those of its folder, changed by the options.
pub(super) fn application(options: Option<&Table>, mut settings: Application) -> Result<Application> {
    let modes = [("None", LookupMode::None), ("Partial", LookupMode::Partial), ("All", LookupMode::All)];
    let fallbacks = [("deny", Fallback::Deny), ("ignore", Fallback::Ignore), ("continue", Fallback::Continue)];
    if let Some(mode) = choice(options, "lookups", &modes)? {
        settings.peer_lookup_events = mode;
    }
    let groups = [("None", JoinLeaveMode::None), ("All", JoinLeaveMode::All)];
    if let Some(mode) = choice(options, "groups", &groups)? {
        settings.join_leave_events = mode;
    }
    let defaults = [("accept", ConnectDefault::Accept), ("pending", ConnectDefault::Pending)];
    if let Some(default) = choice(options, "connectDefault", &defaults)? {
        settings.script.connect_default = default;
    }
    if let Some(fallback) = choice(options, "onDeadline", &fallbacks)? {
        settings.policy.on_deadline = fallback;
    }
    if let Some(fallback) = choice(options, "onFailure", &fallbacks)? {
        settings.policy.on_failure = fallback;
    }
    if let Some(milliseconds) = field::<u64>(options, "deadline")? {
        settings.policy.deadline = Duration::from_millis(milliseconds);
    }
    if let Some(milliseconds) = field::<u64>(options, "time")? {
        settings.script.time = Some(Duration::from_millis(milliseconds));
    }
    if let Some(bytes) = field::<usize>(options, "memory")? {
        settings.script.memory = bytes;
    }
    if let Some(config) = field::<Table>(options, "config")? {
        settings.script.config = tree(&Value::Table(config), 0)?;
    }
    if let Some(library) = field::<Vec<String>>(options, "library")? {
        settings.script.library = library.into_iter().map(Into::into).collect();
    }
    Ok(settings)
}

/// The name of the application, and of its instance after a slash, under which a test starts the script of `folder`: one in `_default_` serves all
/// names that have no folder.
pub(super) fn name(options: Option<&Table>, folder: &Path) -> Result<InstanceName> {
    let by_folder = settings::instance_name(folder);
    let Some(given) = field::<String>(options, "application")? else { return Ok(by_folder) };
    let (application, instance) = given.split_once('/').unwrap_or((&given, &by_folder.instance));
    if application.is_empty() || instance.is_empty() {
        return Err(mlua::Error::runtime(format!(
            "application is the name of an application, or of one and its instance as in game/room: not {given:?}"
        )));
    }
    Ok(InstanceName { application: application.to_owned(), instance: instance.to_owned(), ..by_folder })
}

/// The time of day when a test begins, in milliseconds after 1970: a number of them, or a text such as `2026-01-01T00:00:00Z`.
pub(super) fn clock(options: Option<&Table>) -> Result<Option<f64>> {
    match field::<Value>(options, "clock")? {
        None => Ok(None),
        Some(Value::Integer(milliseconds)) => Ok(Some(milliseconds as f64)),
        Some(Value::Number(milliseconds)) if milliseconds.is_finite() => Ok(Some(milliseconds)),
        Some(other) => {
            let text = other.to_string()?;
            let time = text.parse::<Timestamp>().map_err(|error| {
                mlua::Error::runtime(format!(
                    "clock is a time as 2026-01-01T00:00:00Z or milliseconds since 1970: {error}"
                ))
            });
            Ok(Some(time?.as_millisecond() as f64))
        }
    }
}

/// Makes a configuration element of a table.
fn tree(value: &Value, depth: usize) -> Result<XmlSettings> {
    const MAX_DEPTH: usize = 32;
    if depth > MAX_DEPTH {
        return Err(mlua::Error::runtime("the config is nested too deeply"));
    }
    let Value::Table(table) = value else {
        return Ok(XmlSettings { text: value.to_string()?, children: Vec::new() });
    };
    let mut settings = XmlSettings::default();
    for pair in table.pairs::<String, Value>() {
        let (name, value) = pair?;
        match &value {
            // A list stands for several elements with the same name.
            Value::Table(list) if list.raw_len() > 0 => {
                for item in list.sequence_values::<Value>() {
                    settings.children.push((name.clone(), tree(&item?, depth + 1)?));
                }
            }
            value => settings.children.push((name, tree(value, depth + 1)?)),
        }
    }
    settings.children.sort_by(|(left, _), (right, _)| left.cmp(right));
    Ok(settings)
}

/// Changes the facts about a client to those that the test gives.
pub(super) fn client(state: &ApiState, options: Option<&Table>, info: &mut ClientInfo) -> Result<()> {
    if let Some(id) = field::<Value>(options, "farID")? {
        info.far_id = address::peer(&id)?;
    }
    if let Some(from) = field::<Value>(options, "farAddress")? {
        info.far_address = address::parse(&from)?;
    }
    if let Some(near) = field::<Value>(options, "nearAddress")? {
        info.near_address = address::parse(&near)?;
    }
    if let Some(near) = field::<Vec<Value>>(options, "potentialNearAddresses")? {
        let near: Result<Vec<_>> = near.iter().map(address::parse).collect();
        info.potential_near_addresses = near?.into();
    }
    for (name, place) in [
        ("uri", &mut info.request.tc_url),
        ("agent", &mut info.request.agent),
        ("referrer", &mut info.request.referrer),
        ("pageUrl", &mut info.request.page_url),
    ] {
        if let Some(text) = field::<String>(options, name)? {
            *place = text;
        }
    }
    if let Some(arguments) = field::<Vec<Value>>(options, "arguments")? {
        let arguments: Result<Vec<_>> = arguments.iter().map(|value| values::from_lua(&state.marks, value)).collect();
        info.request.arguments = arguments?;
    }
    Ok(())
}

/// A field of a table of options; nil is none.
pub(super) fn field<T: mlua::FromLua>(table: Option<&Table>, name: &str) -> Result<Option<T>> {
    match table.map(|table| table.get::<Value>(name)).transpose()? {
        None | Some(Value::Nil) => Ok(None),
        Some(_) => table.map(|table| table.get(name)).transpose(),
    }
}
