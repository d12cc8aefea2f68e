//! The functions of a test that act on the stage.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use mlua::{Lua, MultiValue, Result, Table, Value};
use rtmfp::SessionId;

use super::options::{self, field};
use super::outside;
use super::server::Effect;
use super::settings;
use super::theatre::{Outside, Theatre, stage};
use crate::api::address;
use crate::api::address_list;
use crate::api::state::ApiState;
use crate::engine::values;
use crate::instance::journal::JournalEntry;
use crate::instance::open_requests::call_failed;
use crate::instance::random::Random;
use introd_flash::server::Publication;
use introd_policy::message::{AppEvent, ClientCommand, ClientId};

type Shared = Rc<RefCell<Theatre>>;

/// The test itself has the time of its servers.
fn follow(own: &ApiState, theatre: &Theatre) {
    let (clock, now) = theatre.time();
    own.instance.clock.replace(clock.clone());
    own.instance.now.set(now);
}

fn client(number: u32) -> ClientId {
    ClientId { worker: 0, session: SessionId::from_wire(number) }
}

/// The functions of which `testing.lua` makes the words of tests.
pub(super) fn natives(lua: &Lua, state: &Rc<ApiState>, shared: &Shared, folder: &Path) -> Result<Table> {
    let native = lua.create_table()?;
    let (stage_of, own, folder) = (Rc::clone(shared), Rc::clone(state), folder.to_owned());
    native.raw_set(
        "start",
        lua.create_function(move |_, (server, given): (Option<String>, Option<Table>)| {
            options::check("start", given.as_ref())?;
            let (web, files) = (outside::web(given.as_ref())?, outside::files(given.as_ref())?);
            let folder = match options::field::<String>(given.as_ref(), "folder")? {
                Some(other) => folder.join(other),
                None => folder.clone(),
            };
            let name = options::name(given.as_ref(), &folder)?;
            let (settings, _) = settings::of_folder(&folder).map_err(mlua::Error::runtime)?;
            let settings = options::application(given.as_ref(), settings)?;
            let mut theatre = stage_of.borrow_mut();
            // Without a name it is the only server.
            if server.is_none() {
                theatre.clear();
            }
            if let Some(milliseconds) = options::clock(given.as_ref())? {
                theatre.set_clock(milliseconds).map_err(mlua::Error::runtime)?;
            }
            follow(&own, &theatre);
            let random = options::field::<u64>(given.as_ref(), "seed")?.map_or_else(Random::default, Random::seeded);
            let outside = Outside { random, web, files };
            theatre.start(&server.unwrap_or_default(), &folder, name, settings, outside).map_err(mlua::Error::runtime)
        })?,
    )?;
    clients(lua, state, shared, &native)?;
    events(lua, state, shared, &native)?;
    outside::register(lua, shared, &native)?;
    publications(lua, shared, &native)?;
    native.raw_set(
        "check_options",
        lua.create_function(|_, (function, given): (String, Option<Table>)| options::check(&function, given.as_ref()))?,
    )?;

    let (stage_of, marks) = (Rc::clone(shared), Rc::clone(state));
    native.raw_set(
        "take",
        lua.create_function(move |lua, server: String| {
            let effects = stage(&stage_of, &server)?.take();
            let list = lua.create_table()?;
            for effect in effects {
                list.raw_push(describe(lua, &marks, effect)?)?;
            }
            Ok(list)
        })?,
    )?;
    let stage_of = Rc::clone(shared);
    native.raw_set(
        "journal",
        lua.create_function(move |lua, server: String| {
            let list = lua.create_table()?;
            for entry in stage(&stage_of, &server)?.runtime.instance.journal.take() {
                let entry = match entry {
                    JournalEntry::Trace(text) => lua.create_table_from([("trace", text)])?,
                    JournalEntry::Line(level, text) => {
                        lua.create_table_from([("text", text), ("level", level.name().to_owned())])?
                    }
                    JournalEntry::Warning(text) => lua.create_table_from([("warning", text)])?,
                    JournalEntry::Failure(handler, failure) => {
                        lua.create_table_from([("failure", failure.to_string()), ("handler", handler)])?
                    }
                };
                list.raw_push(entry)?;
            }
            Ok(list)
        })?,
    )?;
    Ok(native)
}

fn clients(lua: &Lua, state: &Rc<ApiState>, shared: &Shared, native: &Table) -> Result<()> {
    let (stage_of, marks) = (Rc::clone(shared), Rc::clone(state));
    native.raw_set(
        "connect",
        lua.create_function(move |lua, (server, given): (String, Option<Table>)| {
            options::check("connect", given.as_ref())?;
            let mut stage = stage(&stage_of, &server)?;
            let (id, mut info) = stage.next_client();
            options::client(&marks, given.as_ref(), &mut info)?;
            let described = lua.create_table()?;
            described.raw_set("number", id.session.get())?;
            described.raw_set("farID", info.far_id.to_string())?;
            described.raw_set("farAddress", address::text(info.far_address))?;
            stage.ask_to_connect(id, info);
            Ok(described)
        })?,
    )?;
    let stage_of = Rc::clone(shared);
    native.raw_set(
        "disconnect",
        lua.create_function(move |_, (server, number): (String, u32)| {
            stage(&stage_of, &server)?.disconnect(client(number));
            Ok(())
        })?,
    )?;
    let (stage_of, marks) = (Rc::clone(shared), Rc::clone(state));
    native.raw_set(
        "call",
        lua.create_function(
            move |_, (server, number, name, transaction, given): (String, u32, String, f64, MultiValue)| {
                let arguments: Result<Vec<_>> =
                    given.iter().map(|value| values::from_lua(&marks.marks, value)).collect();
                stage(&stage_of, &server)?.call(client(number), &name, transaction, arguments?);
                Ok(())
            },
        )?,
    )?;
    let (stage_of, marks) = (Rc::clone(shared), Rc::clone(state));
    native.raw_set(
        "answer",
        lua.create_function(move |_, (server, number, token, is_ok, given): (String, u32, u64, bool, MultiValue)| {
            let arguments: Result<Vec<_>> = given.iter().map(|value| values::from_lua(&marks.marks, value)).collect();
            let outcome = if is_ok { Ok(arguments?) } else { Err(arguments?) };
            stage(&stage_of, &server)?.tell(AppEvent::Answer { client: client(number), token, outcome });
            Ok(())
        })?,
    )?;
    let stage_of = Rc::clone(shared);
    native.raw_set(
        "report",
        lua.create_function(move |_, (server, number, list): (String, u32, Vec<Value>)| {
            let addresses: Result<Vec<_>> = list.iter().map(address::parse).collect();
            stage(&stage_of, &server)?
                .tell(AppEvent::ReportedAddressesChange { client: client(number), addresses: addresses? });
            Ok(())
        })?,
    )?;
    let stage_of = Rc::clone(shared);
    native.raw_set(
        "move",
        lua.create_function(move |_, (server, number, to): (String, u32, Value)| {
            let address = address::parse(&to)?;
            stage(&stage_of, &server)?.tell(AppEvent::FarAddressChange { client: client(number), address });
            Ok(())
        })?,
    )
}

fn publications(lua: &Lua, shared: &Shared, native: &Table) -> Result<()> {
    let stage_of = Rc::clone(shared);
    native.raw_set(
        "publish",
        lua.create_function(move |_, (server, number, name, kind): (String, u32, String, String)| {
            Ok(stage(&stage_of, &server)?.publish(client(number), &name, &kind))
        })?,
    )?;
    let stage_of = Rc::clone(shared);
    native.raw_set(
        "unpublish",
        lua.create_function(
            move |_, (server, client_number, number, name, kind): (String, u32, u64, String, String)| {
                let (client, publication) = (client(client_number), Publication { number, name, kind });
                stage(&stage_of, &server)?.tell(AppEvent::Unpublish { client, publication });
                Ok(())
            },
        )?,
    )
}

fn digest(text: &str) -> Result<[u8; 32]> {
    let mut digest = [0; 32];
    hex::decode_to_slice(text, &mut digest)
        .map_err(|_| mlua::Error::runtime("a groupspec digest is a string of 64 hexadecimal digits"))?;
    Ok(digest)
}

fn events(lua: &Lua, state: &Rc<ApiState>, shared: &Shared, native: &Table) -> Result<()> {
    let stage_of = Rc::clone(shared);
    native.raw_set(
        "join",
        lua.create_function(move |_, (server, number, group): (String, u32, String)| {
            Ok(stage(&stage_of, &server)?.join(client(number), digest(&group)?))
        })?,
    )?;
    let stage_of = Rc::clone(shared);
    native.raw_set(
        "leave",
        lua.create_function(move |_, (server, number, membership, group): (String, u32, u64, String)| {
            stage(&stage_of, &server)?.leave(client(number), membership, digest(&group)?);
            Ok(())
        })?,
    )?;
    let stage_of = Rc::clone(shared);
    native.raw_set(
        "look_up",
        lua.create_function(move |_, (server, given): (String, Table)| {
            let target = field::<Value>(Some(&given), "target")?.map(|target| address::peer(&target)).transpose()?;
            let from = address::parse(&given.get::<Value>("address")?)?;
            let asker = field::<u32>(Some(&given), "asker")?.map(client);
            let application = field::<String>(Some(&given), "application")?;
            let attempt = field::<u32>(Some(&given), "attempt")?.unwrap_or(1);
            if attempt == 0 {
                return Err(mlua::Error::runtime("attempt is the number of times that the asker has asked: 1 or more"));
            }
            Ok(stage(&stage_of, &server)?.look_up_from(target, from, asker, application.as_deref(), attempt))
        })?,
    )?;
    let (stage_of, own) = (Rc::clone(shared), Rc::clone(state));
    native.raw_set(
        "advance",
        lua.create_function(move |_, milliseconds: u64| {
            let mut theatre = stage_of.borrow_mut();
            let left = theatre.advance(Duration::from_millis(milliseconds));
            follow(&own, &theatre);
            Ok(u64::try_from(left.as_millis()).unwrap_or_default())
        })?,
    )?;
    let stage_of = Rc::clone(shared);
    native.raw_set(
        "crash",
        lua.create_function(move |_, server: String| {
            stage_of.borrow_mut().crash(&server);
            Ok(())
        })?,
    )?;
    let stage_of = Rc::clone(shared);
    native.raw_set(
        "partition",
        lua.create_function(move |_, servers: Vec<String>| {
            stage_of.borrow().network().cut(servers);
            Ok(())
        })?,
    )?;
    let stage_of = Rc::clone(shared);
    native.raw_set(
        "heal",
        lua.create_function(move |_, ()| {
            stage_of.borrow().network().heal();
            Ok(())
        })?,
    )?;
    let stage_of = Rc::clone(shared);
    native.raw_set(
        "reload",
        lua.create_function(move |_, server: String| {
            stage(&stage_of, &server)?.tell(AppEvent::Reload);
            Ok(())
        })?,
    )?;
    let stage_of = Rc::clone(shared);
    native.raw_set(
        "stop",
        lua.create_function(move |_, server: String| {
            stage(&stage_of, &server)?.tell(AppEvent::Stop);
            Ok(())
        })?,
    )
}

/// The effect of a verdict or a command, as a table for the test.
fn describe(lua: &Lua, state: &ApiState, effect: Effect) -> Result<Table> {
    let table = lua.create_table()?;
    let kind = match effect {
        Effect::Command(command) => describe_command(lua, state, &table, command)?,
        Effect::Accept { client } => {
            table.raw_set("client", client.session.get())?;
            "accept"
        }
        Effect::Reject { client, rejection } => {
            table.raw_set("client", client.session.get())?;
            table.raw_set("code", rejection.code)?;
            table.raw_set("description", rejection.description)?;
            table.raw_set("redirect", rejection.redirect)?;
            if let Some(application) = rejection.application {
                table.raw_set("application", values::to_lua(lua, &state.marks, application)?)?;
            }
            "reject"
        }
        Effect::Redirect { lookup, addresses } => {
            table.raw_set("lookup", number_of(&lookup.tag))?;
            table.raw_set("addresses", address_list::to_lua(lua, &addresses)?)?;
            "redirect"
        }
        Effect::Deny { lookup, reason } => {
            table.raw_set("reason", &*reason)?;
            table.raw_set("lookup", number_of(&lookup.tag))?;
            "deny"
        }
        Effect::BuiltIn { lookup } => {
            table.raw_set("lookup", number_of(&lookup.tag))?;
            "builtin"
        }
        Effect::Relay { lookup, terms } => {
            table.raw_set("lookup", number_of(&lookup.tag))?;
            let limits = lua.create_table()?;
            limits.raw_set("bytesPerSecond", terms.bytes_per_second)?;
            limits.raw_set("lifetime", terms.lifetime.map(|lifetime| lifetime.as_millis() as u64))?;
            table.raw_set("limits", limits)?;
            "relay"
        }
    };
    table.raw_set("kind", kind)?;
    Ok(table)
}

fn describe_command(lua: &Lua, state: &ApiState, table: &Table, command: ClientCommand) -> Result<&'static str> {
    table.raw_set("client", command.client().session.get())?;
    Ok(match command {
        ClientCommand::Disconnect { reason, .. } => {
            table.raw_set("reason", reason.as_deref())?;
            "disconnect"
        }
        ClientCommand::Call { method, arguments, token, .. } => {
            table.raw_set("method", method)?;
            table.raw_set("token", token)?;
            let list = lua.create_table()?;
            for (index, argument) in arguments.into_iter().enumerate() {
                list.raw_set(index + 1, values::to_lua(lua, &state.marks, argument)?)?;
            }
            table.raw_set("arguments", list)?;
            "call"
        }
        ClientCommand::AnswerByServer { transaction, method, .. } => {
            // A test has no network that could be told of.
            table.raw_set("transaction", transaction)?;
            table.raw_set("ok", false)?;
            let why = call_failed(&format!("The server answers this call ({method:?}), and a test has none."));
            table.raw_set("value", values::to_lua(lua, &state.marks, why)?)?;
            "answer"
        }
        ClientCommand::Answer { transaction, outcome, .. } => {
            table.raw_set("transaction", transaction as i64)?;
            table.raw_set("ok", outcome.is_ok())?;
            let (Ok(value) | Err(value)) = outcome;
            table.raw_set("value", values::to_lua(lua, &state.marks, value)?)?;
            "answer"
        }
        ClientCommand::Publish { publication, is_allowed, .. } => {
            table.raw_set("publication", publication)?;
            table.raw_set("allowed", is_allowed)?;
            "publish"
        }
        ClientCommand::Ping { .. } => "ping",
        ClientCommand::GetStats { token, .. } => {
            table.raw_set("token", token)?;
            "stats"
        }
        ClientCommand::Introduce { initiator, tag, .. } => {
            table.raw_set("initiator", address::text(initiator))?;
            table.raw_set("lookup", number_of(&tag))?;
            "introduce"
        }
        ClientCommand::Hint { peer, membership, .. } => {
            table.raw_set("peer", peer.to_string())?;
            table.raw_set("membership", membership)?;
            "hint"
        }
    })
}

/// The number of a lookup is its tag.
fn number_of(tag: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(tag.try_into().ok()?))
}
