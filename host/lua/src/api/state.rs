//! What the host's functions in one script's VM share.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use mlua::{Lua, LuaString, Result, Table, Value};

use super::address_texts::AddressTexts;
use super::client_objects::ClientObjects;
use super::connection_objects::ConnectionObjects;
use super::lookup_facts::{LatestLookup, LookupRun};
use super::pending_calls::{Callee, PendingCall, PendingCalls};
use super::traffic_rates::TrafficRates;
use super::watches::Watches;
use crate::engine::timers::Timers;
use crate::engine::values::Marks;
use crate::instance::Instance;
use crate::instance::item::InboxItem;
use crate::instance::roster::{Phase, RosterMember};
use introd_flash::server::Rejection;
use introd_policy::message::ClientCommand;
use introd_policy::{RequestId, Verdict};

/// The handlers that are told what has become of a connect.
pub(crate) const CONNECT_ACCEPT: &str = "onConnectAccept";
pub(crate) const CONNECT_REJECT: &str = "onConnectReject";

/// The state of the API in one VM.
pub(crate) struct ApiState {
    pub(crate) instance: Rc<Instance>,
    pub(crate) marks: Marks,
    /// The table `application`.
    pub(crate) application: Table,
    /// The table `Client`: the prototype of all clients.
    pub(crate) prototype: Table,
    /// The host's methods of clients.
    pub(crate) methods: Table,
    /// The number of a lookup stands in its event under this key, which scripts do not have.
    pub(crate) event_key: Table,
    /// The lookup whose event was made last.
    pub(crate) latest: RefCell<LatestLookup>,
    pub(crate) lookups: LookupRun,
    /// The interface that received the first lookup: events do not say that of it, only of others.
    usual_interface: OnceCell<i64>,
    pub(crate) addresses: AddressTexts,
    /// The name of the field of a list of addresses that says where they come from.
    pub(crate) origins: LuaString,
    pub(crate) objects: ClientObjects,
    pub(crate) connections: ConnectionObjects,
    calls: RefCell<PendingCalls>,
    pub(crate) timers: RefCell<Timers>,
    /// The files that the script watches.
    pub(crate) watches: RefCell<Watches>,
    /// Clients that were accepted while their `onConnect` still runs, and those of whose acceptance or rejection the script is to be told.
    pub(crate) released: RefCell<Vec<Rc<RosterMember>>>,
    /// The rates of the traffic that `application.getStats` tells.
    pub(crate) rates: TrafficRates,
    /// Whether the script may act: not while it is only being loaded.
    pub(crate) is_live: Cell<bool>,
}

impl ApiState {
    pub(crate) fn new(lua: &Lua, instance: &Rc<Instance>, marks: Marks) -> Result<Self> {
        Ok(Self {
            instance: Rc::clone(instance),
            marks,
            application: lua.create_table()?,
            prototype: lua.create_table()?,
            methods: lua.create_table()?,
            event_key: lua.create_table()?,
            latest: RefCell::default(),
            lookups: LookupRun::default(),
            usual_interface: OnceCell::new(),
            addresses: AddressTexts::new(lua)?,
            origins: lua.create_string("origins")?,
            objects: ClientObjects::new(lua)?,
            connections: ConnectionObjects::new(lua)?,
            calls: RefCell::default(),
            timers: RefCell::default(),
            watches: RefCell::default(),
            released: RefCell::default(),
            rates: TrafficRates::new(instance.now.get()),
            is_live: Cell::new(false),
        })
    }

    /// The interface that received the first lookup about which the script was asked; if it is asked for the first time, this one.
    pub(super) fn usual_interface(&self, this: i64) -> i64 {
        *self.usual_interface.get_or_init(|| this)
    }

    /// Sends a command. False if it is lost.
    pub(crate) fn send(&self, command: ClientCommand) -> Result<bool> {
        self.must_be_live()?;
        Ok(self.instance.send(command))
    }

    /// # Errors
    /// If the script is only being loaded: it may yet be discarded.
    pub(crate) fn must_be_live(&self) -> Result<()> {
        if self.is_live.get() {
            return Ok(());
        }
        Err(mlua::Error::runtime("the application has not started: do this in application.onAppStart or later"))
    }

    /// A client, or the server of a NetConnection, is called. `handler` gets the answer: nil if a handler waits for it. Gives back the
    /// token.
    pub(crate) fn ask(&self, callee: Callee, handler: Value) -> Result<u64> {
        let token = self.instance.token();
        self.calls.borrow_mut().add(token, callee, handler, self.instance.now.get())?;
        Ok(token)
    }

    /// Takes a call out. `None` if it has been answered, or was made by another VM.
    pub(crate) fn take_asked(&self, token: u64) -> Option<PendingCall> {
        self.calls.borrow_mut().take(token)
    }

    /// The call that is due next, and when.
    pub(crate) fn next_asked(&self) -> Option<(u64, Instant)> {
        self.calls.borrow().next()
    }

    /// Accepts a client that waits. False if none does.
    pub(crate) fn accept(&self, member: &Rc<RosterMember>) -> bool {
        if member.phase.get() != Phase::Waiting {
            return false;
        }
        if self.instance.requests.take(member.request.get()).is_none() {
            member.phase.set(Phase::Refused);
            return false;
        }
        self.let_in(member);
        self.instance.decide(RequestId::from_number(member.request.get()), Verdict::Continue);
        true
    }

    /// A client is accepted: the script finds it from now on.
    pub(crate) fn let_in(&self, member: &Rc<RosterMember>) {
        let before = self.instance.roster.borrow().by_peer(&member.info.far_id);
        if let Some(before) = before {
            self.objects.unfind(&before);
        }
        self.instance.roster.borrow_mut().accept(member);
        self.note_decision(member, CONNECT_ACCEPT);
        if member.is_connecting.get() {
            self.released.borrow_mut().push(Rc::clone(member));
        }
    }

    /// Has the script told of its decision about a client, if it has that handler, before anything else that happens to the client.
    fn note_decision(&self, member: &Rc<RosterMember>, handler: &str) {
        if matches!(self.application.raw_get::<Value>(handler), Ok(Value::Function(_))) {
            let is_accepted = handler == CONNECT_ACCEPT;
            member.deferred.borrow_mut().push_front(InboxItem::Decided { is_accepted });
            self.released.borrow_mut().push(Rc::clone(member));
        }
    }

    /// Rejects a client that waits. False if it does not.
    pub(crate) fn reject(&self, member: &Rc<RosterMember>, rejection: Rejection) -> bool {
        if member.phase.get() != Phase::Waiting {
            return false;
        }
        member.phase.set(Phase::Refused);
        if self.instance.requests.take(member.request.get()).is_none() {
            return false;
        }
        self.note_decision(member, CONNECT_REJECT);
        self.instance.decide(RequestId::from_number(member.request.get()), Verdict::Reject(Box::new(rejection)));
        true
    }

    /// Gives the verdict on a lookup; false if it does not wait any more.
    pub(crate) fn decide_lookup(&self, number: u64, verdict: Verdict) -> bool {
        let is_open = self.instance.requests.close(number);
        if is_open {
            self.instance.decide(RequestId::from_number(number), verdict);
        }
        is_open
    }
}

/// The status of a client that is rejected without a description.
pub(crate) fn plain_rejection() -> Rejection {
    Rejection::rejected("Connection rejected.")
}
