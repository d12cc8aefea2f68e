//! The event of `application.onPeerLookup`. The prelude makes it, and calls the handler with it.

use std::rc::Rc;

use mlua::{Lua, LuaString, Result, Table, Value};

use super::client_objects::client_of;
use super::lookup_facts::{LatestLookup, LookupFacts};
use super::state::ApiState;
use crate::engine::limits::Budget;

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

/// What the prelude makes an event of, in the order of its parameters.
type EventParts =
    (Option<u64>, Option<LuaString>, Option<LuaString>, Option<LuaString>, i64, Option<i64>, Option<LuaString>, u32);

/// Makes the parts of an event. From now on the lookup is the latest.
fn parts(lua: &Lua, state: &ApiState, number: u64, facts: LookupFacts) -> Result<EventParts> {
    let (target, client) = match &facts.target {
        Some(target) => state.objects.peer_id(lua, &state.instance.roster.borrow(), target)?,
        None => (None, None),
    };
    let initiator = state.addresses.text(lua, facts.initiator)?;
    let tag = lua.create_string(&facts.tag)?;
    let application = facts.application.as_deref().map(|name| lua.create_string(name)).transpose()?;
    let parts =
        (Some(number), target, Some(initiator), Some(tag), facts.interface, facts.asker, application, facts.attempt);
    *state.latest.borrow_mut() = Some(LatestLookup::new(number, facts, client));
    Ok(parts)
}

/// The next lookup for the coroutine that runs, whose handler for the one before has just ended. `None` if there is none, if that handler
/// has taken too long, or if the host has something else to do first.
fn next(state: &ApiState, budget: &Budget) -> Option<(u64, LookupFacts)> {
    let instance = &state.instance;
    let running = state.lookups.running.borrow();
    let about = running.as_ref()?;
    if let Some(facts) = state.lookups.first.take() {
        return Some((about.get(), facts));
    }
    let is_settled = state.released.borrow().is_empty() && !instance.is_ending.get() && instance.outbox.is_empty();
    if !budget.has_ended_in_time() || !is_settled {
        return None;
    }
    let mut was_long = budget.start_next();
    loop {
        let number = instance.next_lookup(was_long)?;
        was_long = false;
        if let Some(facts) = LookupFacts::begin(&instance.requests, number) {
            about.set(number);
            return Some((number, facts));
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
    let (shared, budget) = (Rc::clone(state), Rc::clone(budget));
    native.raw_set(
        "next_lookup",
        lua.create_function(move |lua, ()| match next(&shared, &budget) {
            Some((number, facts)) => parts(lua, &shared, number, facts),
            None => Ok((None, None, None, None, 0, None, None, 0)),
        })?,
    )
}
