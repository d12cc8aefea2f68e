//! Connections that have served a request and wait for the next.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::connection::Connection;
use super::destination::{Destination, Host};

/// How long a connection waits for its next request. Many servers close one that has waited for a minute.
const MAX_IDLE_TIME: Duration = Duration::from_secs(30);
/// How many connections wait, for one host and in all.
const MAX_OF_HOST: usize = 8;
const MAX_OF_ALL: usize = 64;

/// What a connection must have in common with a request that it may serve.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct PoolKey {
    is_tls: bool,
    host: Host,
    port: u16,
    /// Whom it trusts besides those whom this machine trusts.
    ca_file: Option<PathBuf>,
    /// Its limit on the headers of answers.
    max_header_bytes: usize,
}

impl PoolKey {
    pub(super) fn new(to: &Destination, ca_file: Option<PathBuf>, max_header_bytes: usize) -> Self {
        let ca_file = ca_file.filter(|_| to.is_tls);
        Self { is_tls: to.is_tls, host: to.host.clone(), port: to.port, ca_file, max_header_bytes }
    }
}

/// The connections that wait, those that have waited longest first.
#[derive(Default)]
pub(super) struct Pool(Mutex<HashMap<PoolKey, Vec<(Instant, Connection)>>>);

impl Pool {
    /// Takes a connection out whose address `permits` agrees to: what one application may reach is not for each.
    pub(super) fn take(&self, key: &PoolKey, permits: impl Fn(&Connection) -> bool) -> Option<Connection> {
        let mut pool = self.0.lock();
        let own = pool.get_mut(key)?;
        own.retain(|(since, connection)| is_good(*since, connection));
        let place = own.iter().rposition(|(_, connection)| permits(connection))?;
        let (_, connection) = own.remove(place);
        if own.is_empty() {
            pool.remove(key);
        }
        Some(connection)
    }

    /// Keeps a connection for the next request, if there is room.
    pub(super) fn put(&self, key: PoolKey, connection: Connection) {
        let mut pool = self.0.lock();
        if pool.values().map(Vec::len).sum::<usize>() >= MAX_OF_ALL {
            return;
        }
        let own = pool.entry(key).or_default();
        if own.len() >= MAX_OF_HOST {
            own.remove(0);
        }
        own.push((Instant::now(), connection));
    }

    /// Closes those that have waited too long.
    pub(super) fn tidy(&self) {
        self.0.lock().retain(|_, own| {
            own.retain(|(since, connection)| is_good(*since, connection));
            !own.is_empty()
        });
    }

    /// Closes all.
    pub(super) fn clear(&self) {
        let all = std::mem::take(&mut *self.0.lock());
        drop(all);
    }

    /// How many wait.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.lock().values().map(Vec::len).sum()
    }
}

fn is_good(since: Instant, connection: &Connection) -> bool {
    since.elapsed() < MAX_IDLE_TIME && !connection.is_closed()
}
