//! The event of `application.onPeerLookup`. The prelude makes it, and calls the handler with it.

use std::rc::Rc;

use mlua::{Lua, LuaString, Result, Table, Value, Variadic};

use super::client_objects::{Target, client_of};
use super::lookup_facts::{LatestLookup, LookupFacts};
use super::state::ApiState;
use crate::engine::limits::{self, Budget};

/// The properties of every event. A script can keep an event and answer it later: the table of open requests knows by its number whether
/// the lookup still waits.
#[cfg(test)]
pub(crate) const PROPERTIES: &[&str] = &[
    "targetPeerID",
    "targetPeerId",
    "initiatorAddress",
    "initiatorApplication",
    "tag",
    "attempt",
    "interfaceID",
    "interfaceId",
    "client",
];

/// What the prelude makes an event of: the lookup's number, its target's peer id, the asker's address, and the tag; if the script has found the
/// target before, that client's number among those, whose object has the peer id, instead of that. The rest is there only if the event has not the
/// usual of all: the attempt, the interface, the asker and the asker's application.
type EventParts =
    (Option<u64>, Option<LuaString>, Option<LuaString>, Option<LuaString>, Option<usize>, Variadic<Value>);

/// Makes the parts of the event of the latest lookup.
fn parts(lua: &Lua, state: &ApiState, latest: &mut LatestLookup, facts: LookupFacts) -> Result<EventParts> {
    let target = latest.target.as_ref().map(|peer| state.objects.target(lua, &state.instance.roster.borrow(), peer));
    let (mut id, mut found) = (None, None);
    match target.transpose()? {
        Some(Target::Found(number, member)) => (found, latest.client) = (Some(number), Some(member)),
        Some(Target::Named(text, member)) => (id, latest.client) = (Some(text), member),
        None => (),
    }
    latest.is_found = found.is_some();
    let initiator = Some(state.addresses.text(lua, latest.initiator)?);
    let tag = Some(limits::text(lua, &latest.tag)?);
    let is_usual = facts.attempt == 1
        && facts.interface == state.usual_interface(facts.interface)
        && facts.asker.is_none()
        && facts.application.is_none();
    let mut unusual = Variadic::new();
    if !is_usual {
        let application = facts.application.as_deref().map(|name| lua.create_string(name)).transpose()?;
        unusual.extend([
            Value::Integer(facts.attempt.into()),
            Value::Integer(facts.interface),
            facts.asker.map_or(Value::Nil, Value::Integer),
            application.map_or(Value::Nil, Value::String),
        ]);
    }
    Ok((Some(latest.number), id, initiator, tag, found, unusual))
}

/// The next lookup for the coroutine that runs, whose handler for the one before has just ended: from now on it is the latest. `None` if there
/// is none, if that handler has taken too long, or if the host has something else to do first.
fn next(state: &ApiState, budget: &Budget, latest: &mut LatestLookup) -> Option<LookupFacts> {
    let instance = &state.instance;
    let running = state.lookups.running.borrow();
    let about = running.as_ref()?;
    if state.lookups.is_first.take()
        && let Some(facts) = latest.begin(&instance.requests, about.get())
    {
        return Some(facts);
    }
    let is_settled = state.released.borrow().is_empty() && !instance.is_ending.get() && instance.outbox.is_empty();
    if !budget.has_ended_in_time() || !is_settled {
        return None;
    }
    let mut was_long = budget.start_next();
    loop {
        let number = instance.next_lookup(was_long)?;
        was_long = false;
        if let Some(facts) = latest.begin(&instance.requests, number) {
            about.set(number);
            return Some(facts);
        }
    }
}

/// The function behind `event.client`, and the one that gives the prelude the next lookup.
pub(crate) fn register(lua: &Lua, state: &Rc<ApiState>, budget: &Rc<Budget>, native: &Table) -> Result<()> {
    let shared = Rc::clone(state);
    native.raw_set(
        "asker",
        lua.create_function(move |lua, asker: i64| {
            let Some(id) = client_of(asker) else { return Ok(Value::Nil) };
            let member = shared.instance.roster.borrow().get(id);
            member.map_or(Ok(Value::Nil), |member| Ok(Value::Table(shared.objects.of(lua, &member)?)))
        })?,
    )?;
    let shared = Rc::clone(state);
    // What an event has that does not say otherwise.
    native.raw_set("usual_interface", lua.create_function(move |_, ()| Ok(shared.usual_interface(0)))?)?;
    let (shared, budget) = (Rc::clone(state), Rc::clone(budget));
    native.raw_set(
        "next_lookup",
        lua.create_function(move |lua, ()| {
            let mut latest = shared.latest.borrow_mut();
            match next(&shared, &budget, &mut latest) {
                // The prelude gets no event of it then, and means another by the latest.
                Some(facts) => {
                    parts(lua, &shared, &mut latest, facts).inspect_err(|_| *latest = LatestLookup::default())
                }
                None => Ok(EventParts::default()),
            }
        })?,
    )
}
