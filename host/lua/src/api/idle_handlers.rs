//! Handlers that nothing ever calls: as a rule their names are misspelt, or a setting keeps their events away. And handlers that are missing
//! where a setting leaves decisions to them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use introd_config::{Application, JoinLeaveMode, LookupMode, nearest};
use introd_policy::InstanceName;
use mlua::{Function, LuaString, Table, Value};

use super::application::HANDLERS;
use super::client::HANDLERS as CLIENT_HANDLERS;
use super::script::Script;
use crate::engine::loading::Sources;

/// The most notes about one script: it may define any number of functions.
const MAX_NOTES: usize = 100;

/// The notes that were told last of each application, by the names of its adaptor, its virtual host and itself.
static TOLD: Mutex<BTreeMap<[String; 3], Vec<String>>> = Mutex::new(BTreeMap::new());

/// Of the notes about the script of an instance, those that have not been told while they stayed true: the check before a start and each
/// instance of an application find the same.
pub(crate) fn news(name: &InstanceName, notes: Vec<String>) -> Vec<String> {
    let application = [&name.adaptor, &name.vhost, &name.application].map(String::clone);
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    let before = told.insert(application, notes.clone()).unwrap_or_default();
    notes.into_iter().filter(|note| !before.contains(note)).collect()
}

/// What an author should know of the handlers that a script has defined and of those that it lacks, in words.
pub(crate) fn notes(script: &Script, settings: &Application) -> Vec<String> {
    let mut notes = of_defined(script, settings);
    notes.extend(missing_notes(script, settings));
    notes
}

/// What an author should know of the handlers that a script has defined, in words, sorted.
pub(crate) fn of_defined(script: &Script, settings: &Application) -> Vec<String> {
    let sources = &script.vm.context.sources;
    let mut notes = Vec::new();
    for (name, value) in named(&script.state.application) {
        notes.extend(application_note(&name, &value, settings));
        if HANDLERS.contains(&name.as_str()) {
            notes.extend(colon_note(sources, &name, &value));
        }
    }
    for (name, value) in named(&script.state.prototype) {
        notes.extend(client_note(&name, &value, settings));
    }
    for (name, value) in named(&script.lua().globals()) {
        notes.extend(global_note(&name, &value));
    }
    notes.sort();
    notes.truncate(MAX_NOTES);
    notes
}

/// `function onConnect(client)` without `application.` is a global function like any other.
fn global_note(name: &str, value: &Value) -> Option<String> {
    let Value::Function(_) = value else { return None };
    let meant = match name {
        _ if HANDLERS.contains(&name) => format!("application.{name}"),
        _ if CLIENT_HANDLERS.contains(&name) => format!("Client:{name}"),
        _ => return None,
    };
    Some(format!("{name} is a global function, which no event calls: write {meant}"))
}

/// Decisions that a setting leaves to a handler which there is not.
fn missing_notes(script: &Script, settings: &Application) -> Vec<String> {
    let lacks = |table: &Table, name: &str| !matches!(table.raw_get(name), Ok(Value::Function(_)));
    let mut notes = Vec::new();
    if lacks(&script.state.application, "onPeerLookup") {
        notes.extend(match settings.peer_lookup_events {
            LookupMode::All => Some(
                "the script defines no application.onPeerLookup, and PeerLookupEvents in Application.xml has the mode All: all lookups \
                 fail. Define it, or set the mode None, by which the server answers"
                    .to_owned(),
            ),
            LookupMode::Partial => Some(
                "the script defines no application.onPeerLookup, and PeerLookupEvents in Application.xml has the mode Partial: lookups of \
                 peers that are not connected here fail, and those from outside the instance"
                    .to_owned(),
            ),
            _ => None,
        });
    }
    if settings.join_leave_events == JoinLeaveMode::All && lacks(&script.state.prototype, "onGroupJoin") {
        notes.push(
            "the script defines no Client:onGroupJoin, and JoinLeaveEvents in Application.xml has the mode All: members of groups are not \
             named to each other. Define it, or set the mode None, by which the server names them"
                .to_owned(),
        );
    }
    notes
}

/// The fields whose names begin as those of handlers do.
fn named(table: &Table) -> Vec<(String, Value)> {
    let fields = table.pairs::<Value, Value>().flatten().filter_map(|(key, value)| {
        let Value::String(name) = key else { return None };
        Some((LuaString::to_string_lossy(&name), value))
    });
    fields.filter(|(name, _)| name.starts_with("on")).collect()
}

fn application_note(name: &str, value: &Value, settings: &Application) -> Option<String> {
    let Value::Function(_) = value else {
        let is_handler = HANDLERS.contains(&name);
        return is_handler
            .then(|| format!("application.{name} is a {}, and no function: it is never called", value.type_name()));
    };
    match name {
        "onPeerLookup" if settings.peer_lookup_events == LookupMode::None => Some(
            "application.onPeerLookup is never called: PeerLookupEvents in Application.xml has the mode None, by which the server answers"
                .to_owned(),
        ),
        _ if HANDLERS.contains(&name) => None,
        _ if CLIENT_HANDLERS.contains(&name) => {
            Some(format!("application.{name} is never called: it is an event of clients, so write Client:{name}"))
        }
        _ => {
            let hint = nearest(name, HANDLERS.iter().copied()).map(|known| format!("; did you mean {known}?"));
            Some(format!("application.{name} is never called: there is no such event{}", hint.unwrap_or_default()))
        }
    }
}

/// Any method of `Client` may be one that clients call: only names that are close to those of events are told.
fn client_note(name: &str, value: &Value, settings: &Application) -> Option<String> {
    let Value::Function(_) = value else {
        let is_handler = CLIENT_HANDLERS.contains(&name);
        return is_handler
            .then(|| format!("Client.{name} is a {}, and no function: it is never called", value.type_name()));
    };
    match name {
        "onGroupJoin" | "onGroupLeave" if settings.join_leave_events == JoinLeaveMode::None => Some(format!(
            "Client:{name} is never called: JoinLeaveEvents in Application.xml has the mode None, by which the server handles groups"
        )),
        _ if CLIENT_HANDLERS.contains(&name) => None,
        _ if HANDLERS.contains(&name) => {
            Some(format!("Client:{name} is called by clients alone: the event is application.{name}"))
        }
        _ => {
            let known = nearest(name, CLIENT_HANDLERS.iter().copied())?;
            Some(format!("Client:{name} is called by clients alone: there is no such event; did you mean {known}?"))
        }
    }
}

/// `function application:onConnect(client)` would get the client as `self`.
fn colon_note(sources: &Sources, name: &str, value: &Value) -> Option<String> {
    let Value::Function(function) = value else { return None };
    let (file, number, line) = definition(sources, function)?;
    let (before, _) = line.split_once(name)?;
    let is_colon = before.trim_end().strip_suffix(':').is_some_and(|before| before.trim_end().ends_with("application"));
    is_colon.then(|| {
        format!("{file}:{number}: application:{name} has a colon, so that its first argument is called self; write application.{name}")
    })
}

/// The file, the number and the text of the line in which a function begins.
fn definition(sources: &Sources, function: &Function) -> Option<(String, usize, String)> {
    let info = function.info();
    let file = info.source?.strip_prefix('@')?.to_owned();
    let number = info.line_defined?;
    let line = sources.line(&file, number)?;
    Some((file, number, line))
}
