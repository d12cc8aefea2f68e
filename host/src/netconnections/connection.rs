//! The script's end of a connection: commands go into a bounded queue, and what is known of groups is looked up.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use introd_policy::net_connection::{
    CommandRefused, ConnectionCommand, ConnectionEvent, ConnectionEvents, GroupCommand, GroupFacts, GroupId,
    NetConnection,
};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};

use super::counters::{Count, NetConnectionCounters};
use super::seats::Seat;

/// How many commands wait on one connection at most.
pub(super) const MAX_COMMANDS: usize = 1024;
/// What a command counts besides its contents, in bytes.
const COMMAND_BYTES: usize = 64;

/// What the two ends of a connection share.
pub(super) struct SharedState {
    /// `None`: the script has dropped the connection, and wants no more events.
    events: Mutex<Option<Arc<dyn ConnectionEvents>>>,
    pub(super) facts: Mutex<HashMap<GroupId, GroupFacts>>,
    /// How many groups were joined and not left, those that are still to be joined among them.
    pub(super) groups: AtomicUsize,
    /// How many bytes wait.
    queued: AtomicUsize,
    /// The connection is closed.
    pub(super) is_closed: AtomicBool,
    /// The script has dropped the connection.
    pub(super) dropped: Notify,
    pub(super) counters: Arc<NetConnectionCounters>,
}

impl SharedState {
    pub(super) fn new(events: Arc<dyn ConnectionEvents>, counters: Arc<NetConnectionCounters>) -> Self {
        Self {
            events: Mutex::new(Some(events)),
            facts: Mutex::default(),
            groups: AtomicUsize::new(0),
            queued: AtomicUsize::new(0),
            is_closed: AtomicBool::new(false),
            dropped: Notify::new(),
            counters,
        }
    }

    /// Tells the script. An event without room is counted and lost.
    pub(super) fn tell(&self, event: ConnectionEvent) {
        // The lock is held so that no event comes after the connection was dropped. The script's host does not wait.
        if let Some(events) = &*self.events.lock()
            && events.tell(event).is_err()
        {
            self.counters.add(Count::EventDropped);
        }
    }

    /// The connection is over: the last event.
    pub(super) fn close(&self, event: ConnectionEvent) {
        self.is_closed.store(true, Ordering::Relaxed);
        self.facts.lock().clear();
        self.tell(event);
        *self.events.lock() = None;
    }

    /// A command was taken out of the queue.
    pub(super) fn dequeued(&self, bytes: usize) {
        self.queued.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// A connection, as its script has it.
pub(super) struct Connection {
    pub(super) shared: Arc<SharedState>,
    pub(super) commands: mpsc::Sender<(ConnectionCommand, usize)>,
    pub(super) max_groups: usize,
    pub(super) max_queued_bytes: usize,
    /// The place among the connections of the instance.
    pub(super) _seat: Seat,
}

impl NetConnection for Connection {
    fn send(&self, command: ConnectionCommand) -> Result<(), CommandRefused> {
        if self.shared.is_closed.load(Ordering::Relaxed) {
            return Err(CommandRefused::Closed);
        }
        let full = || {
            self.shared.counters.add(Count::CommandRefused);
            CommandRefused::Full
        };
        let Ok(room) = self.commands.try_reserve() else {
            return Err(if self.commands.is_closed() { CommandRefused::Closed } else { full() });
        };
        let bytes = COMMAND_BYTES + bytes_of(&command);
        let queued = self.shared.queued.fetch_add(bytes, Ordering::Relaxed);
        // A command that is larger than all room is taken if nothing else waits.
        if queued > 0 && queued.saturating_add(bytes) > self.max_queued_bytes {
            self.shared.dequeued(bytes);
            return Err(full());
        }
        if matches!(command, ConnectionCommand::Join { .. })
            && self.shared.groups.fetch_add(1, Ordering::Relaxed) >= self.max_groups
        {
            self.shared.groups.fetch_sub(1, Ordering::Relaxed);
            self.shared.dequeued(bytes);
            return Err(CommandRefused::Groups);
        }
        room.send((command, bytes));
        Ok(())
    }

    fn group(&self, group: GroupId) -> Option<GroupFacts> {
        self.shared.facts.lock().get(&group).copied()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        *self.shared.events.lock() = None;
        self.shared.dropped.notify_one();
    }
}

/// About how many bytes a command takes on the heap.
fn bytes_of(command: &ConnectionCommand) -> usize {
    match command {
        ConnectionCommand::Call { method, arguments, .. } => {
            method.len() + arguments.iter().map(introd_flash::amf::Value::size).sum::<usize>()
        }
        ConnectionCommand::Join { groupspec, .. } => groupspec.len(),
        ConnectionCommand::Group { command, .. } => match command {
            GroupCommand::Post { value } => value.len(),
            GroupCommand::SendToNearest { message, .. }
            | GroupCommand::SendToNeighbor { message, .. }
            | GroupCommand::SendToAllNeighbors { message } => message.len(),
            GroupCommand::AddPermanentNeighbor { name, addresses } => name.len() + size_of_val(&**addresses),
            GroupCommand::RemovePermanentNeighbor { name } => name.len(),
            GroupCommand::AddNeighbor(_) | GroupCommand::AddMemberHint(_) | GroupCommand::Close => 0,
        },
    }
}
