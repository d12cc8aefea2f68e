//! The NetConnections that are open for an instance's script.
//!
//! The table of them is shared with the host's watchdog: when a thread hangs and is replaced, the connections of its scripts are closed
//! from outside. Their numbers are never used again, so that a late event reaches no other connection.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use introd_config::Application;
use introd_policy::InstanceName;
use introd_policy::net_connection::{
    CommandRefused, ConnectionCommand, ConnectionEvent, ConnectionEvents, ConnectionOptions, GroupFacts, GroupId,
    NetConnection, NetConnections, NoNetConnections, OpenError,
};

/// Takes the events of an instance's connections, on any thread.
pub(crate) trait ConnectionPort: Send + Sync {
    /// Passes an event on without waiting. As [`ConnectionEvents::tell`], for the connection of that number.
    fn tell(&self, connection: u64, event: ConnectionEvent) -> Result<(), Box<ConnectionEvent>>;
}

/// A port that takes nothing: for instances whose scripts open no connections.
pub(crate) struct NoPort;

impl ConnectionPort for NoPort {
    fn tell(&self, _: u64, event: ConnectionEvent) -> Result<(), Box<ConnectionEvent>> {
        Err(Box::new(event))
    }
}

/// Receives the events of one connection.
struct Numbered {
    number: u64,
    port: Arc<dyn ConnectionPort>,
}

impl ConnectionEvents for Numbered {
    fn tell(&self, event: ConnectionEvent) -> Result<(), Box<ConnectionEvent>> {
        self.port.tell(self.number, event)
    }
}

/// The number of the last connection of any instance.
static LAST: AtomicU64 = AtomicU64::new(0);

/// The open connections of an instance, by number.
#[derive(Default)]
pub(crate) struct OpenConnections {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    open: HashMap<u64, Arc<dyn NetConnection>>,
    /// Whether no connection may be opened any more.
    is_over: bool,
}

impl OpenConnections {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a connection in. One that comes too late is closed.
    fn insert(&self, number: u64, connection: Arc<dyn NetConnection>) -> Result<(), OpenError> {
        let mut table = self.table();
        if table.is_over {
            drop(table);
            return Err(OpenError::System("the script's thread has been given up".to_owned()));
        }
        table.open.insert(number, connection);
        Ok(())
    }

    fn get(&self, number: u64) -> Option<Arc<dyn NetConnection>> {
        self.table().open.get(&number).cloned()
    }

    fn close(&self, number: u64) {
        // Not in one expression: what closing does must not happen under the lock.
        let closed = self.table().open.remove(&number);
        drop(closed);
    }

    fn close_all(&self) {
        let closed = std::mem::take(&mut self.table().open);
        drop(closed);
    }

    /// Closes all connections; no further one can be opened.
    pub(crate) fn end(&self) {
        self.table().is_over = true;
        self.close_all();
    }

    /// How many are open.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.table().open.len()
    }
}

/// Opens connections for the script of an instance. Dropping it closes them.
pub(crate) struct Connections {
    opener: Arc<dyn NetConnections>,
    port: Arc<dyn ConnectionPort>,
    pub(crate) open: Arc<OpenConnections>,
    /// How many values of other members were dropped because they were malformed.
    pub(crate) malformed: Cell<u64>,
}

impl Default for Connections {
    fn default() -> Self {
        Self::new(Arc::new(NoNetConnections), Arc::new(NoPort), Arc::default())
    }
}

impl Connections {
    pub(crate) fn new(
        opener: Arc<dyn NetConnections>,
        port: Arc<dyn ConnectionPort>,
        open: Arc<OpenConnections>,
    ) -> Self {
        Self { opener, port, open, malformed: Cell::new(0) }
    }

    /// A number for a connection that is about to be opened.
    pub(crate) fn next_number() -> u64 {
        LAST.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Opens a connection with that number.
    ///
    /// # Errors
    /// As [`NetConnections::open`].
    pub(crate) fn open(
        &self,
        number: u64,
        owner: &InstanceName,
        settings: &Arc<Application>,
        options: ConnectionOptions,
    ) -> Result<(), OpenError> {
        let events = Arc::new(Numbered { number, port: Arc::clone(&self.port) });
        let connection = self.opener.open(owner, settings, options, events)?;
        self.open.insert(number, Arc::from(connection))
    }

    /// Gives a connection a command.
    ///
    /// # Errors
    /// If it is closed, or takes no more.
    pub(crate) fn send(&self, number: u64, command: ConnectionCommand) -> Result<(), CommandRefused> {
        self.open.get(number).ok_or(CommandRefused::Closed)?.send(command)
    }

    /// What a connection knows of a group.
    pub(crate) fn group(&self, number: u64, group: GroupId) -> Option<GroupFacts> {
        self.open.get(number)?.group(group)
    }

    /// Closes a connection; it leaves its groups.
    pub(crate) fn close(&self, number: u64) {
        self.open.close(number);
    }

    /// Closes all connections, as when a script is reloaded.
    pub(crate) fn close_all(&self) {
        self.open.close_all();
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        self.open.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_opener_there_are_no_connections_and_nobody_to_tell() {
        let connections = Connections::default();
        let (name, settings) = (crate::tests::instance_name("app"), Arc::new(crate::testing::settings()));
        let number = Connections::next_number();
        assert!(Connections::next_number() > number, "no number is used again");
        let refused = connections.open(number, &name, &settings, ConnectionOptions::default());
        assert!(matches!(refused, Err(OpenError::System(_))));
        let command = ConnectionCommand::Join { group: GroupId(1), groupspec: String::new() };
        assert_eq!(connections.send(number, command), Err(CommandRefused::Closed));
        assert_eq!((connections.group(number, GroupId(1)), connections.open.len()), (None, 0));
        let event = ConnectionEvent::Call { method: String::new(), arguments: Vec::new() };
        assert!(connections.port.tell(number, event).is_err());
    }
}
