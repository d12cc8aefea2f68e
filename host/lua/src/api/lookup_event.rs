//! The event of `application.onPeerLookup`. The prelude makes it, and calls the handler with it.

use std::io::Write as _;
use std::net::SocketAddr;
use std::rc::Rc;

use mlua::{Lua, Result, Table, Value};
use rtmfp::{PeerId, SessionId};
use smallvec::SmallVec;

use super::state::ApiState;
use introd_policy::message::{ClientId, PeerLookup};

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

/// The facts of a lookup of which the prelude makes an event.
pub(crate) struct LookupFacts {
    pub(crate) target: Option<PeerId>,
    initiator: SocketAddr,
    pub(crate) tag: SmallVec<[u8; 16]>,
    /// How many times the asker has asked, with this time.
    pub(crate) attempt: u32,
    pub(crate) interface: i64,
    pub(crate) asker: Option<i64>,
    /// The asker's application and instance, if it is a client of another one.
    pub(crate) application: Option<Box<str>>,
}

impl LookupFacts {
    pub(crate) fn of(lookup: &PeerLookup) -> Self {
        Self {
            target: lookup.target,
            initiator: lookup.initiator,
            tag: lookup.tag.clone(),
            attempt: lookup.attempt,
            interface: i64::from(lookup.interface.0),
            asker: lookup.asker.map(|asker| i64::from(asker.worker) << 32 | i64::from(asker.session.get())),
            application: lookup.proposal.as_ref().and_then(|proposal| proposal.initiator_application.clone()),
        }
    }

    /// The address of the asker, as text.
    pub(crate) fn with_initiator<T>(&self, use_it: impl FnOnce(&str) -> T) -> T {
        // The longest text is an IPv6 address of 39 characters with a scope, brackets and a port.
        let mut text = [0; 80];
        let address = SocketAddr::new(self.initiator.ip().to_canonical(), self.initiator.port());
        let mut rest = &mut text[..];
        // There is room for it.
        let _ = write!(rest, "{address}");
        let left = rest.len();
        let length = text.len() - left;
        use_it(text.get(..length).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default())
    }
}

/// The function behind `event.client`.
pub(crate) fn register(lua: &Lua, state: &Rc<ApiState>, native: &Table) -> Result<()> {
    let shared = Rc::clone(state);
    native.raw_set(
        "asker",
        lua.create_function(move |lua, asker: i64| {
            let (Ok(worker), session) = (u8::try_from(asker >> 32), SessionId::from_wire(asker as u32)) else {
                return Ok(Value::Nil);
            };
            let member = shared.instance.roster.borrow().get(ClientId { worker, session });
            member.map_or(Ok(Value::Nil), |member| Ok(Value::Table(shared.objects.of(lua, &member)?)))
        })?,
    )
}
