//! What the functions of one machine share.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::time::{Duration, Instant};

use mlua::{AnyUserData, Function, Lua, LuaString, Result, Table, Value};
use rtmfp::PeerId;

use crate::api::client::Client;
use crate::api::group_control::GroupControl;
use crate::api::timers::Timers;
use crate::engine::failure::Failure;
use crate::engine::limits::Budget;
use crate::engine::loading::Sources;
use crate::engine::values::Marks;
use crate::instance::questions::REJECTED;
use crate::instance::roster::{Member, Phase};
use crate::instance::world::World;
use introd_flash::server::Rejection;
use introd_policy::message::{AppCommand, ClientId, PendingLookup};

/// The most calls of clients whose answers somebody waits for.
const MAX_CALLS: usize = 65_536;
/// How long a client has to answer a call. Its program answers at once; one that never does must not fill the tables.
const CALL_PATIENCE: Duration = Duration::from_secs(60);

/// A question to a client.
pub(crate) struct Asked {
    member: Rc<Member>,
    until: Instant,
    /// What gets the answer; nil when a handler waits for it.
    pub(crate) handler: Value,
}

/// What one machine has.
pub(crate) struct State {
    pub(crate) world: Rc<World>,
    pub(crate) budget: Rc<Budget>,
    pub(crate) sources: Sources,
    pub(crate) marks: Marks,
    /// The table `application`.
    pub(crate) application: Table,
    /// The table `Client`: the prototype of all clients.
    pub(crate) prototype: Table,
    /// The host's methods of clients.
    pub(crate) methods: Table,
    /// What the host has in a client's object stands under this key, which scripts do not have.
    pub(crate) key: Table,
    /// The same, for the number of a lookup in its event.
    pub(crate) event_key: Table,
    /// The name of the field of a list of addresses that says where they come from.
    pub(crate) origins: LuaString,
    /// The clients that the script has found by their peer ids, so that the prelude finds them by itself the next time.
    pub(crate) found: Table,
    /// The keys of that.
    found_ids: RefCell<HashMap<PeerId, LuaString>>,
    /// Makes a client's object. The prelude's.
    make_client: OnceCell<Function>,
    /// The clients that the script has met.
    objects: RefCell<HashMap<ClientId, Table>>,
    groups: RefCell<HashMap<(ClientId, u64), AnyUserData>>,
    /// Questions to clients, by token. All have the same patience, so that the first is due first.
    asked: RefCell<BTreeMap<u64, Asked>>,
    pub(crate) timers: RefCell<Timers>,
    /// The error that ended the last handler.
    pub(crate) failure: RefCell<Option<Failure>>,
    /// Clients that were let in while their `onConnect` still runs.
    pub(crate) released: RefCell<Vec<Rc<Member>>>,
    /// Whether as many handlers wait as may.
    pub(crate) is_crowded: Cell<bool>,
    /// Whether the script may act: not while it is only being loaded.
    pub(crate) is_live: Cell<bool>,
}

impl State {
    pub(crate) fn new(
        lua: &Lua,
        world: &Rc<World>,
        budget: Rc<Budget>,
        sources: Sources,
        marks: Marks,
    ) -> Result<Self> {
        Ok(Self {
            world: Rc::clone(world),
            budget,
            sources,
            marks,
            application: lua.create_table()?,
            prototype: lua.create_table()?,
            methods: lua.create_table()?,
            key: lua.create_table()?,
            event_key: lua.create_table()?,
            origins: lua.create_string("origins")?,
            found: lua.create_table()?,
            found_ids: RefCell::default(),
            make_client: OnceCell::new(),
            objects: RefCell::default(),
            groups: RefCell::default(),
            asked: RefCell::default(),
            timers: RefCell::default(),
            failure: RefCell::default(),
            released: RefCell::default(),
            is_crowded: Cell::new(false),
            is_live: Cell::new(false),
        })
    }

    /// Sends a command; false if it was lost.
    pub(crate) fn send(&self, command: AppCommand) -> Result<bool> {
        self.must_be_live()?;
        Ok(self.world.send(command))
    }

    /// # Errors
    /// If the script is only being loaded: it may yet be discarded.
    pub(crate) fn must_be_live(&self) -> Result<()> {
        if self.is_live.get() {
            return Ok(());
        }
        Err(mlua::Error::runtime("the application has not started: do this in application.onAppStart or later"))
    }

    /// Takes what the prelude has made.
    pub(crate) fn set_prelude(&self, make_client: Function) {
        // Once in each machine.
        let _ = self.make_client.set(make_client);
    }

    /// The object of a client; it is made when the script first meets the client.
    pub(crate) fn object(self: &Rc<Self>, lua: &Lua, member: &Rc<Member>) -> Result<Table> {
        if let Some(object) = self.objects.borrow().get(&member.id) {
            return Ok(object.clone());
        }
        let make = self.make_client.get().ok_or_else(|| mlua::Error::runtime("there are no clients yet"))?;
        let object: Table = make.call(lua.create_userdata(Client { member: Rc::clone(member) })?)?;
        if member.phase.get() != Phase::Gone {
            self.objects.borrow_mut().insert(member.id, object.clone());
        }
        Ok(object)
    }

    /// The object of a client, if the script has met it.
    pub(crate) fn known_object(&self, id: ClientId) -> Option<Table> {
        self.objects.borrow().get(&id).cloned()
    }

    /// A client, by its peer id as a script writes it, for the prelude to remember.
    pub(crate) fn find(self: &Rc<Self>, lua: &Lua, peer: &PeerId) -> Result<Option<Table>> {
        let member = self.world.roster.borrow().by_peer(peer);
        let Some(member) = member else { return Ok(None) };
        let object = self.object(lua, &member)?;
        let id = lua.create_string(peer.to_string())?;
        self.found.raw_set(&id, &object)?;
        self.found_ids.borrow_mut().insert(*peer, id);
        member.is_found.set(true);
        Ok(Some(object))
    }

    /// A peer id as text: the one that the prelude knows a client by, if it does.
    pub(crate) fn peer_id(&self, lua: &Lua, peer: &PeerId) -> Result<LuaString> {
        if let Some(id) = self.found_ids.borrow().get(peer) {
            return Ok(id.clone());
        }
        let mut text = [0; 64];
        // It has room for all digits.
        let _ = hex::encode_to_slice(peer.0, &mut text);
        lua.create_string(text)
    }

    /// Has the prelude ask for a client the next time: it is gone, or another has its peer id.
    pub(crate) fn unfind(&self, member: &Member) {
        if member.is_found.replace(false)
            && let Some(id) = self.found_ids.borrow_mut().remove(&member.info.far_id)
            && let Err(error) = self.found.raw_set(id, Value::Nil)
        {
            tracing::error!(app = %self.world.name, %error, "a client that is gone is still found");
        }
    }

    /// Something about a client has changed: what its object has kept of that is no longer so.
    pub(crate) fn client_changed(&self, member: &Member, properties: &[&str]) {
        let record = self.known_object(member.id).and_then(|object| object.raw_get::<Table>(&self.key).ok());
        for name in properties {
            // It fails for want of memory only, and the script is told of that at every turn.
            let _ = record.as_ref().map(|record| record.raw_set(*name, Value::Nil));
        }
    }

    /// The object of a client's membership in a group.
    pub(crate) fn group(
        self: &Rc<Self>,
        lua: &Lua,
        member: &Rc<Member>,
        group: (u64, [u8; 32]),
    ) -> Result<AnyUserData> {
        let key = (member.id, group.0);
        if let Some(object) = self.groups.borrow().get(&key) {
            return Ok(object.clone());
        }
        let control = GroupControl {
            member: Rc::clone(member),
            membership: group.0,
            digest: hex::encode(group.1),
            state: Rc::clone(self),
        };
        let object = lua.create_userdata(control)?;
        self.groups.borrow_mut().insert(key, object.clone());
        Ok(object)
    }

    /// A membership has ended. The script may keep its object, the host does not.
    pub(crate) fn forget_group(&self, id: ClientId, membership: u64) {
        self.groups.borrow_mut().remove(&(id, membership));
    }

    /// A client is gone. The script may keep its object, the host does not.
    pub(crate) fn forget(&self, member: &Member) {
        self.objects.borrow_mut().remove(&member.id);
        for (membership, _) in member.groups.borrow().iter() {
            self.forget_group(member.id, *membership);
        }
    }

    /// Notes that a client is asked something, and what gets the answer: nil when a handler waits. Gives back the token.
    pub(crate) fn ask(&self, member: &Rc<Member>, handler: Value) -> Result<u64> {
        let mut asked = self.asked.borrow_mut();
        if asked.len() >= MAX_CALLS {
            return Err(mlua::Error::runtime("too many calls wait for their results"));
        }
        let token = self.world.token();
        let until = self.world.now.get() + CALL_PATIENCE;
        asked.insert(token, Asked { member: Rc::clone(member), until, handler });
        member.asked.borrow_mut().push(token);
        Ok(token)
    }

    /// Takes out a question to a client. `None` if it has been answered, or was another machine's.
    pub(crate) fn take_asked(&self, token: u64) -> Option<Asked> {
        let asked = self.asked.borrow_mut().remove(&token)?;
        asked.member.asked.borrow_mut().retain(|other| *other != token);
        Some(asked)
    }

    /// The question to a client that is due next, and when.
    pub(crate) fn next_asked(&self) -> Option<(u64, Instant)> {
        self.asked.borrow().first_key_value().map(|(token, asked)| (*token, asked.until))
    }

    /// Lets a client in, if it waits.
    pub(crate) fn accept(&self, member: &Rc<Member>) -> bool {
        if member.phase.get() != Phase::Waiting {
            return false;
        }
        if self.world.questions.take(member.question.get()).is_none() {
            member.phase.set(Phase::Refused);
            return false;
        }
        let before = self.world.roster.borrow().by_peer(&member.info.far_id);
        if let Some(before) = before {
            self.unfind(&before);
        }
        self.world.roster.borrow_mut().accept(member);
        if member.is_connecting.get() {
            self.released.borrow_mut().push(Rc::clone(member));
        }
        self.world.send(AppCommand::Accept { client: member.id })
    }

    /// Turns a client away, if it waits.
    pub(crate) fn reject(&self, member: &Member, rejection: Rejection) -> bool {
        if member.phase.get() != Phase::Waiting {
            return false;
        }
        member.phase.set(Phase::Refused);
        if self.world.questions.take(member.question.get()).is_none() {
            return false;
        }
        self.world.send(AppCommand::Reject { client: member.id, rejection })
    }

    /// Takes out a lookup that waits for an answer.
    pub(crate) fn take_lookup(&self, number: u64) -> Option<PendingLookup> {
        self.world.questions.take_lookup(number)
    }
}

/// What a client is told that is turned away without a word.
pub(crate) fn plain_rejection() -> Rejection {
    Rejection::new(REJECTED, "[ Server.Reject ] : Connection rejected.")
}
