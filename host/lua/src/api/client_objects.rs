//! The objects that stand for clients and their memberships in a script.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use foldhash::fast::RandomState;
use mlua::{AnyUserData, Function, Lua, LuaString, Result, Table, UserData, Value};
use rtmfp::{PeerId, SessionId};
use slab::Slab;

use crate::instance::roster::{Phase, Roster, RosterMember};
use introd_policy::message::ClientId;

/// What leads from a client's object to the client. The object itself is the prelude's: a table with the script's own fields.
pub(crate) struct Client {
    pub(crate) member: Rc<RosterMember>,
}

impl UserData for Client {}

/// A client's id as a number for the prelude.
pub(super) fn number_of(client: ClientId) -> i64 {
    i64::from(client.worker) << 32 | i64::from(client.session.get())
}

/// The id of a client from its number.
pub(super) fn client_of(number: i64) -> Option<ClientId> {
    let worker = u8::try_from(number >> 32).ok()?;
    Some(ClientId { worker, session: SessionId::from_wire(number as u32) })
}

/// The objects of one VM.
pub(crate) struct ClientObjects {
    /// The name of the field of a client's object that has the client's record.
    pub(super) record: LuaString,
    /// What leads to the client stands in the record under this key, which scripts do not have.
    pub(crate) key: Table,
    /// Clients by peer id, for the prelude: those that the script has looked for once.
    pub(crate) found: Table,
    /// The same for the host.
    found_ids: RefCell<HashMap<PeerId, Found, RandomState>>,
    /// The objects of the same clients by number, counted from 1, for the prelude; and which numbers are taken, counted from 0.
    pub(super) by_number: Table,
    numbers: RefCell<Slab<()>>,
    /// The prelude's function that makes a client's object.
    make_client: OnceCell<Function>,
    /// The clients that the script has met.
    clients: RefCell<HashMap<ClientId, Table>>,
    memberships: RefCell<HashMap<(ClientId, u64), AnyUserData>>,
}

/// A client that the script has looked for, its number among those, and its peer id as the script writes it.
struct Found {
    id: LuaString,
    number: usize,
    member: Rc<RosterMember>,
}

/// The target of a lookup, as the prelude is told of it.
pub(super) enum Target {
    /// The script has looked for it before: its number in [`ClientObjects::by_number`].
    Found(usize, Rc<RosterMember>),
    /// The peer id, and the client, if it is connected.
    Named(LuaString, Option<Rc<RosterMember>>),
}

impl ClientObjects {
    pub(super) fn new(lua: &Lua) -> Result<Self> {
        Ok(Self {
            record: lua.create_string("__record")?,
            key: lua.create_table()?,
            found: lua.create_table()?,
            found_ids: RefCell::default(),
            by_number: lua.create_table()?,
            numbers: RefCell::default(),
            make_client: OnceCell::new(),
            clients: RefCell::default(),
            memberships: RefCell::default(),
        })
    }

    /// Takes the prelude's function that makes a client's object.
    pub(super) fn set_prelude(&self, make_client: Function) {
        // Once in each VM.
        let _ = self.make_client.set(make_client);
    }

    /// The object of a client; it is made when the script first meets the client.
    pub(crate) fn of(&self, lua: &Lua, member: &Rc<RosterMember>) -> Result<Table> {
        if let Some(object) = self.clients.borrow().get(&member.id) {
            return Ok(object.clone());
        }
        let make = self
            .make_client
            .get()
            .ok_or_else(|| mlua::Error::runtime("clients are not available while the script is being loaded"))?;
        let object: Table = make.call(lua.create_userdata(Client { member: Rc::clone(member) })?)?;
        if member.phase.get() != Phase::Gone {
            self.clients.borrow_mut().insert(member.id, object.clone());
        }
        Ok(object)
    }

    /// The object of a client, if the script has met it.
    pub(crate) fn known(&self, id: ClientId) -> Option<Table> {
        self.clients.borrow().get(&id).cloned()
    }

    /// The object of a client, for the prelude to remember under its peer id.
    pub(super) fn find(&self, lua: &Lua, member: &Rc<RosterMember>) -> Result<Table> {
        let peer = member.info.far_id;
        let object = self.of(lua, member)?;
        let id = lua.create_string(peer.to_string())?;
        self.found.raw_set(&id, &object)?;
        object.raw_get::<Table>(&self.record)?.raw_set("farID", &id)?;
        let mut found = self.found_ids.borrow_mut();
        let mut numbers = self.numbers.borrow_mut();
        let before = found.get(&peer).map(|before| before.number);
        let number = before.unwrap_or(numbers.vacant_key() + 1);
        self.by_number.raw_set(number, &object)?;
        if before.is_none() {
            numbers.insert(());
        }
        found.insert(peer, Found { id, number, member: Rc::clone(member) });
        member.is_found.set(true);
        Ok(object)
    }

    /// The target of a lookup.
    pub(super) fn target(&self, lua: &Lua, roster: &Roster, peer: &PeerId) -> Result<Target> {
        if let Some(Found { number, member, .. }) = self.found_ids.borrow().get(peer) {
            return Ok(Target::Found(*number, Rc::clone(member)));
        }
        let mut text = [0; 64];
        // It has room for all digits.
        let _ = hex::encode_to_slice(peer.0, &mut text);
        Ok(Target::Named(lua.create_string(text)?, roster.by_peer(peer)))
    }

    /// Makes the prelude forget a client: it has left, or another client has its peer id.
    pub(crate) fn unfind(&self, member: &RosterMember) {
        if member.is_found.replace(false)
            && let Some(Found { id, number, .. }) = self.found_ids.borrow_mut().remove(&member.info.far_id)
        {
            self.numbers.borrow_mut().try_remove(number - 1);
            let forgotten =
                self.found.raw_set(id, Value::Nil).and_then(|()| self.by_number.raw_set(number, Value::Nil));
            if let Err(error) = forgotten {
                tracing::error!(peer = %member.info.far_id, %error, "a script still finds a client that is gone");
            }
        }
    }

    /// Something about a client has changed: its object forgets what it has kept of that.
    pub(crate) fn client_changed(&self, member: &RosterMember, properties: &[&str]) {
        let record = self.known(member.id).and_then(|object| object.raw_get::<Table>(&self.record).ok());
        for name in properties {
            // It fails for want of memory only, and the script is told of that at every turn.
            let _ = record.as_ref().map(|record| record.raw_set(*name, Value::Nil));
        }
    }

    /// The object of a client's membership in a group, if the script has met it.
    pub(super) fn membership(&self, id: ClientId, membership: u64) -> Option<AnyUserData> {
        self.memberships.borrow().get(&(id, membership)).cloned()
    }

    pub(super) fn keep_membership(&self, id: ClientId, membership: u64, object: AnyUserData) {
        self.memberships.borrow_mut().insert((id, membership), object);
    }

    /// A membership has ended. The script may keep its object, the host does not.
    pub(crate) fn forget_membership(&self, id: ClientId, membership: u64) {
        self.memberships.borrow_mut().remove(&(id, membership));
    }

    /// For how many clients there are objects, for how many memberships, and how many clients are found by their peer ids.
    #[cfg(test)]
    pub(crate) fn kept(&self) -> (usize, usize, usize) {
        (self.clients.borrow().len(), self.memberships.borrow().len(), self.found_ids.borrow().len())
    }

    /// A client is gone. The script may keep its object, the host does not.
    pub(crate) fn forget(&self, member: &RosterMember) {
        self.clients.borrow_mut().remove(&member.id);
        for (membership, _) in member.groups.borrow().iter() {
            self.forget_membership(member.id, *membership);
        }
    }
}
