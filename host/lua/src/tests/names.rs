//! The editors' file says what the host has, name by name.

use std::collections::BTreeSet;

use mlua::{Lua, Table, Value};

use super::*;
use crate::api::{application, client, group_control, group_specifier, lookup_event, net_connection, net_group};

type Names = BTreeSet<String>;

/// What the host registers: globals by their name, what is in them with a dot.
fn registered() -> Names {
    let scene = scene("");
    let script = &scene.stage.runtime.script;
    let mut names = Names::new();
    let keys = |table: &Table| -> Vec<String> { table.pairs::<String, Value>().map(|pair| pair.unwrap().0).collect() };
    let own = keys(&Lua::new().globals());
    // What Lua has under the same name, and the host has something else.
    let replaced = ["load", "os", "print", "require"];
    for name in keys(&script.lua().globals()) {
        if !own.contains(&name) || replaced.contains(&name.as_str()) {
            names.insert(name);
        }
    }
    names.extend(keys(&script.state.application).iter().map(|name| format!("application.{name}")));
    names.extend(application::HANDLERS.iter().map(|name| format!("application.{name}")));
    names.extend(keys(&script.state.methods).iter().map(|name| format!("Client.{name}")));
    names.extend(client::PROPERTIES.iter().chain(client::HANDLERS).map(|name| format!("Client.{name}")));
    names.extend(client::SETTABLE.iter().map(|(name, _)| format!("Client.{name}")));
    names.extend(group_control::PROPERTIES.iter().map(|name| format!("GroupControl.{name}")));
    names.extend(group_specifier::names().map(|name| format!("GroupSpecifier.{name}")));
    let specifier = keys(&script.lua().globals().get("GroupSpecifier").unwrap());
    names.extend(specifier.iter().map(|name| format!("GroupSpecifier.{name}")));
    for (class, lists) in [
        ("NetConnection", [net_connection::PROPERTIES, net_connection::OPTIONS, net_connection::HANDLERS]),
        ("NetGroup", [net_group::PROPERTIES, net_group::HANDLERS, &[]]),
        ("NetGroupSendMode", [&[][..]; 3]),
        ("NetGroupSendResult", [&[][..]; 3]),
    ] {
        let table = keys(&script.lua().globals().get(class).unwrap());
        let listed = lists.iter().flat_map(|list| list.iter().map(|name| (*name).to_owned()));
        names.extend(table.into_iter().chain(listed).map(|name| format!("{class}.{name}")));
    }
    names.extend(lookup_event::PROPERTIES.iter().map(|name| format!("PeerLookupEvent.{name}")));
    for library in ["registry", "json", "crypto", "url", "log", "os", "http", "file"] {
        let table = script.lua().globals().get(library).unwrap();
        names.extend(keys(&table).iter().map(|name| format!("{library}.{name}")));
    }
    names
}

/// What the editors' file says.
fn described() -> Names {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../lua/library/introd.d.lua");
    let mut names = Names::new();
    let mut class = String::new();
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let word = |text: &str| text.split([' ', '?', '(', ':', '=']).next().unwrap_or_default().to_owned();
        if let Some(name) = line.strip_prefix("---@class ") {
            class = word(name);
        } else if let Some(name) = line.strip_prefix("---@field ") {
            if !name.starts_with('[') {
                names.insert(format!("{class}.{}", word(name)));
            }
        } else if let Some(name) = line.strip_prefix("function ") {
            names.insert(name.split('(').next().unwrap().replace(':', "."));
        } else if let Some((name, "{}")) = line.split_once(" = ")
            && !name.starts_with("local ")
        {
            names.insert(name.to_owned());
        }
    }
    // These are not registered under a name but belong to values.
    names.retain(|name| {
        let of_values = [
            "Clients.",
            "PublishedStream.",
            "HTTPRequest.",
            "HTTPResponse.",
            "XMLElement.",
            "ScriptStatus.",
            "NetStatus.",
            "Addresses.",
            "ByteArray.",
            "Date.",
            "Url.",
            "JwtOptions.",
            "RelayLimits.",
        ];
        !of_values.iter().any(|class| name.starts_with(class))
    });
    names
}

#[test]
fn the_editors_file_names_what_there_is() {
    let (registered, described) = (registered(), described());
    let missing: Vec<_> = registered.difference(&described).collect();
    let invented: Vec<_> = described.difference(&registered).collect();
    assert!(missing.is_empty() && invented.is_empty(), "missing: {missing:?}\ninvented: {invented:?}");
    assert!(registered.len() > 60);
}

/// The lists that are held against the editors' file say what the objects have.
#[test]
fn every_property_is_there() {
    let list = |names: &[&str]| names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
    let mut scene = scene(&format!(
        "local function has(object, names)
            for _, name in ipairs(names) do assert(object[name] ~= nil, name) end
            assert(object.nothing == nil)
        end
        function application.onPeerLookup(event) has(event, {{ {} }}) trace('event') end
        function Client:onGroupJoin(control) has(control, {{ {} }}) has(self, {{ {} }}) trace('client') end",
        list(lookup_event::PROPERTIES),
        list(group_control::PROPERTIES),
        list(client::PROPERTIES),
    ));
    let client = scene.stage.connect(|_| ());
    scene.stage.join(client, [1; 32]);
    scene.stage.look_up(Some(rtmfp::PeerId([1; 32])), "192.0.2.1:1".parse().unwrap(), Some(client));
    assert_eq!(scene.traces(), ["client", "event"]);
}

#[test]
fn the_readme_names_every_handler() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../lua/README.md");
    let text = std::fs::read_to_string(path).unwrap();
    let of_groups = net_connection::HANDLERS.iter().chain(net_group::HANDLERS);
    for name in application::HANDLERS.iter().chain(client::HANDLERS).chain(of_groups) {
        assert!(text.contains(name), "{name}");
    }
}

/// The classes of which the guide for porting names all members.
const CLASSES: [&str; 8] = [
    "application",
    "Client",
    "PeerLookupEvent",
    "GroupControl",
    "GroupSpecifier",
    "NetConnection",
    "NetGroup",
    "registry",
];

/// The members of these classes that a text names in backticks: `Client:call`, `application.config`. In tables, the first column is about
/// other servers.
fn members_named(text: &str) -> Names {
    let mut names = Names::new();
    for line in text.lines() {
        let ours = match line.strip_prefix("| ") {
            Some(row) => row.split_once(" | ").map_or("", |(_, ours)| ours),
            None => line,
        };
        for code in ours.split('`').skip(1).step_by(2) {
            let word = code.split(['(', '[', ' ']).next().unwrap_or_default();
            let Some((class, member)) = word.split_once([':', '.']) else { continue };
            if CLASSES.contains(&class) && member.chars().all(|c| c.is_ascii_alphanumeric()) {
                names.insert(format!("{class}.{member}"));
            }
        }
    }
    names
}

#[test]
fn the_guide_for_porting_names_what_there_is() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../lua/PORTING.md");
    let named = members_named(&std::fs::read_to_string(path).unwrap());
    let is_of_class = |name: &&String| name.split_once('.').is_some_and(|(class, _)| CLASSES.contains(&class));
    let registered = registered();
    let registered: Names = registered.iter().filter(is_of_class).cloned().collect();
    let missing: Vec<_> = registered.difference(&named).collect();
    // A function in a table of the script's own is an example.
    let invented: Vec<_> = named.difference(&registered).filter(|name| *name != "Client.object.method").collect();
    assert!(missing.is_empty() && invented.is_empty(), "missing: {missing:?}\ninvented: {invented:?}");
    assert!(registered.len() > 90, "{}", registered.len());
}
