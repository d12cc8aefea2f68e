//! The NetConnections and NetGroups of one VM: what the host knows of them, and the objects that stand for them in the script.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;

use mlua::{AnyUserData, Lua, Result, Table};
use rtmfp::PeerId;

use introd_policy::net_connection::{ConnectionEvent, GroupId};

/// How many NetConnections of one VM may be open, or be about to open or to close. The settings of the application allow fewer.
const MAX_CONNECTIONS: usize = 1024;

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It is being opened.
    Opening,
    Open,
    /// The script has closed it, and is yet to be told so.
    Closing,
    Closed,
}

/// What is known of a connection that is open.
pub(crate) struct Ends {
    pub(crate) near_id: PeerId,
    pub(crate) far_id: Option<PeerId>,
    pub(crate) nonces: Option<([u8; 32], [u8; 32])>,
    /// The addresses that its sockets are bound to, as texts.
    pub(crate) bound: Vec<String>,
}

/// A connection from one `connect` to its end.
pub(crate) struct Connection {
    pub(crate) number: u64,
    pub(crate) uri: String,
    pub(crate) phase: Cell<Phase>,
    pub(crate) ends: RefCell<Option<Ends>>,
    /// The groups that it has joined, or joins, with their objects.
    pub(crate) groups: RefCell<BTreeMap<GroupId, (Rc<Group>, AnyUserData)>>,
    last_group: Cell<u64>,
    /// The tokens of the calls that the server has not answered.
    pub(crate) asked: RefCell<Vec<u64>>,
}

/// A group that a connection has joined.
pub(crate) struct Group {
    pub(crate) connection: Rc<Connection>,
    pub(crate) id: GroupId,
    /// The groupspec, as `info.group` of its status has it.
    pub(crate) groupspec: String,
    /// Whether the group has been left.
    pub(crate) is_closed: Cell<bool>,
}

impl Connection {
    pub(crate) fn new(number: u64, uri: String) -> Self {
        Self {
            number,
            uri,
            phase: Cell::new(Phase::Opening),
            ends: RefCell::default(),
            groups: RefCell::default(),
            last_group: Cell::new(0),
            asked: RefCell::default(),
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.phase.get() == Phase::Open
    }

    /// A number for a group that is about to be joined.
    pub(crate) fn next_group(&self) -> GroupId {
        self.last_group.set(self.last_group.get() + 1);
        GroupId(self.last_group.get())
    }

    /// A group is left: the host keeps its object no longer.
    pub(crate) fn forget_group(&self, id: GroupId) {
        let forgotten = self.groups.borrow_mut().remove(&id);
        if let Some((group, _)) = forgotten {
            group.is_closed.set(true);
        }
    }
}

/// The NetConnections of one VM.
pub(crate) struct ConnectionObjects {
    /// The host's methods of NetConnections, and of NetGroups.
    pub(crate) connection_methods: Table,
    pub(crate) group_methods: Table,
    /// Those that are not closed, with their objects: an object stays until its connection is closed, also if the script has forgotten it.
    live: RefCell<HashMap<u64, (Rc<Connection>, AnyUserData)>>,
    /// What the script is yet to be told although no endpoint says it.
    local: RefCell<VecDeque<(u64, ConnectionEvent)>>,
}

impl ConnectionObjects {
    pub(super) fn new(lua: &Lua) -> Result<Self> {
        Ok(Self {
            connection_methods: lua.create_table()?,
            group_methods: lua.create_table()?,
            live: RefCell::default(),
            local: RefCell::default(),
        })
    }

    /// A connection is about to be opened.
    ///
    /// # Errors
    /// If there are too many.
    pub(super) fn insert(&self, connection: &Rc<Connection>, object: AnyUserData) -> Result<()> {
        let mut live = self.live.borrow_mut();
        if live.len() >= MAX_CONNECTIONS {
            return Err(mlua::Error::runtime(format!("too many NetConnections: there may be {MAX_CONNECTIONS}")));
        }
        live.insert(connection.number, (Rc::clone(connection), object));
        Ok(())
    }

    pub(crate) fn get(&self, number: u64) -> Option<(Rc<Connection>, AnyUserData)> {
        self.live.borrow().get(&number).cloned()
    }

    /// A connection is closed. Gives back the calls that wait for answers.
    pub(crate) fn remove(&self, number: u64) -> Vec<u64> {
        let removed = self.live.borrow_mut().remove(&number);
        let Some((connection, _)) = removed else { return Vec::new() };
        connection.phase.set(Phase::Closed);
        for (group, _) in connection.groups.take().into_values() {
            group.is_closed.set(true);
        }
        connection.asked.take()
    }

    /// The script is told of this in a later turn.
    pub(super) fn tell_later(&self, number: u64, event: ConnectionEvent) {
        self.local.borrow_mut().push_back((number, event));
    }

    /// The next event that no endpoint says.
    pub(crate) fn take_local(&self) -> Option<(u64, ConnectionEvent)> {
        self.local.borrow_mut().pop_front()
    }

    pub(crate) fn has_local(&self) -> bool {
        !self.local.borrow().is_empty()
    }

    /// One of the connections.
    #[cfg(test)]
    pub(crate) fn get_any(&self) -> Option<(Rc<Connection>, AnyUserData)> {
        self.live.borrow().values().next().cloned()
    }

    /// How many connections there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.live.borrow().len()
    }
}
