//! The event of `application.onPeerLookup`. The prelude makes it, and calls the handler with it.

use std::rc::Rc;

use mlua::{Lua, Result, Table, Value};
use rtmfp::SessionId;

use super::address;
use super::state::State;
use crate::apps::message::{ClientId, PendingLookup};

/// What every lookup has. An event can be kept, and answered later: by its number, the table of questions knows whether it
/// still waits.
#[cfg(test)]
pub(super) const PROPERTIES: &[&str] =
    &["targetPeerID", "targetPeerId", "initiatorAddress", "tag", "interfaceID", "interfaceId", "client"];

/// What the prelude makes an event of.
pub(super) struct Facts {
    target: Option<[u8; 64]>,
    pub(super) initiator: String,
    pub(super) tag: Vec<u8>,
    pub(super) interface: i64,
    pub(super) asker: Option<i64>,
}

impl Facts {
    pub(super) fn of(pending: &PendingLookup) -> Self {
        let lookup = &pending.lookup;
        let target = lookup.target.map(|target| {
            let mut text = [0; 64];
            // It has room for all digits.
            let _ = hex::encode_to_slice(target.0, &mut text);
            text
        });
        Self {
            target,
            initiator: address::text(lookup.initiator),
            tag: lookup.tag.to_vec(),
            interface: i64::from(lookup.interface.0),
            asker: pending.asker.map(|asker| i64::from(asker.worker) << 32 | i64::from(asker.session.get())),
        }
    }

    pub(super) fn target(&self) -> Option<&str> {
        std::str::from_utf8(self.target.as_ref()?).ok()
    }
}

/// The function behind `event.client`.
pub(super) fn register(lua: &Lua, state: &Rc<State>, native: &Table) -> Result<()> {
    let shared = Rc::clone(state);
    native.raw_set(
        "asker",
        lua.create_function(move |lua, asker: i64| {
            let (Ok(worker), session) = (u8::try_from(asker >> 32), SessionId::from_wire(asker as u32)) else {
                return Ok(Value::Nil);
            };
            let member = shared.world.roster.borrow().get(ClientId { worker, session });
            member.map_or(Ok(Value::Nil), |member| Ok(Value::Table(shared.object(lua, &member)?)))
        })?,
    )
}
