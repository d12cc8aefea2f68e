//! The event of `application.onPeerLookup`.

use std::rc::Rc;

use mlua::{Lua, Result, UserData, UserDataMethods, Value};

use super::address;
use super::expando::{self, Expando};
use super::state::State;
use crate::apps::message::PendingLookup;

/// A lookup as a script has it. It can be kept and answered later.
pub(super) struct LookupEvent {
    /// The number of the question: whether it still waits, the table of questions knows.
    pub(super) number: u64,
    pub(super) lookup: PendingLookup,
    pub(super) state: Rc<State>,
}

/// What every lookup has; none can be set.
pub(super) const PROPERTIES: &[&str] =
    &["targetPeerID", "targetPeerId", "initiatorAddress", "tag", "interfaceID", "interfaceId", "client"];

impl UserData for LookupEvent {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        expando::add_methods(methods);
    }
}

impl Expando for LookupEvent {
    const KIND: &'static str = "PeerLookupEvent";
    const PROPERTIES: &'static [&'static str] = PROPERTIES;

    fn property(&self, lua: &Lua, name: &str) -> Result<Option<Value>> {
        let lookup = &self.lookup.lookup;
        let text = match name {
            "targetPeerID" | "targetPeerId" => match lookup.target {
                Some(target) => target.to_string(),
                None => return Ok(None),
            },
            "initiatorAddress" => address::text(lookup.initiator),
            "tag" => return Ok(Some(Value::String(lua.create_string(&lookup.tag[..])?))),
            "interfaceID" | "interfaceId" => return Ok(Some(Value::Integer(i64::from(lookup.interface.0)))),
            "client" => {
                let asker = self.lookup.asker.and_then(|asker| self.state.world.roster.borrow().get(asker));
                return asker.map(|asker| Ok(Value::UserData(self.state.object(lua, &asker)?))).transpose();
            }
            _ => return Ok(None),
        };
        Ok(Some(Value::String(lua.create_string(text)?)))
    }
}
