//! The lookup whose event the prelude has made last: what scripts do about it again and again needs no search, and its strings are not read.
//!
//! The prelude knows by the identity of the event, or of the strings, that the script speaks of this lookup.

use std::rc::Rc;

use mlua::{Lua, Result, Table};
use rtmfp::TaggedAddress;
use smallvec::SmallVec;

use super::address_list::{guess, known_client};
use super::application::decide;
use super::state::ApiState;
use introd_policy::message::ClientCommand;
use introd_policy::{Addresses, Verdict};

/// The functions. They do what `application.sendPeerRedirect` and `Client:introducePeer` do.
pub(super) fn register(lua: &Lua, state: &Rc<ApiState>, native: &Table) -> Result<()> {
    native.raw_set("address_numbers", &state.addresses.numbers)?;
    let shared = Rc::clone(state);
    // Takes the numbers of one to three addresses.
    native.raw_set(
        "redirect_latest",
        lua.create_function(move |_, numbers: (usize, Option<usize>, Option<usize>)| redirect(&shared, numbers))?,
    )?;
    let shared = Rc::clone(state);
    // The prelude calls it only if the target is a client that the script has found.
    native.raw_set("introduce_latest", lua.create_function(move |_, ()| introduce(&shared))?)
}

fn redirect(state: &ApiState, (first, second, third): (usize, Option<usize>, Option<usize>)) -> Result<bool> {
    let latest = state.latest.borrow();
    let other;
    let client = match &latest.client {
        Some(client) if client.is_accepted() => Some(client),
        _ => {
            other = known_client(state, latest.target.as_ref());
            other.as_ref()
        }
    };
    let mut addresses = Addresses::new();
    for number in [Some(first), second, third].into_iter().flatten() {
        let address = state.addresses.at(number).ok_or_else(|| mlua::Error::runtime("an address is unknown"))?;
        if addresses.iter().all(|other: &TaggedAddress| other.address != address) {
            let origin = guess(client.map(Rc::as_ref), address, latest.target.as_ref());
            addresses.push(TaggedAddress::new(address, origin));
        }
    }
    decide(state, latest.number, Verdict::Redirect(addresses))
}

fn introduce(state: &ApiState) -> Result<bool> {
    let latest = state.latest.borrow();
    let Some(target) = latest.found().filter(|target| target.is_accepted()) else { return Ok(false) };
    let tag = SmallVec::from_slice(&latest.tag);
    let command = ClientCommand::Introduce { client: target.id, initiator: latest.initiator, tag };
    state.send(command)
}
