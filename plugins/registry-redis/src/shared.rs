//! What the callers of the registry and its thread share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use introd_plugin::{Address, PeerId};
use tokio::sync::Notify;

use crate::answer::{Failure, PendingLookups};
use crate::cache::Cache;
use crate::entry::{Epoch, decode_addresses};
use crate::keys::{Key, Keys};
use crate::liveness::Servers;
use crate::published::PublishedPeers;
use crate::remote::RemoteEntry;
use crate::settings::Settings;
use crate::stats::{Stats, count, set};

/// Writes one line to a log.
pub type Log = Box<dyn Fn(Severity, &str) + Send + Sync>;

/// How serious a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// An operator has to act.
    Error,
    /// Something does not work.
    Warning,
    /// Something works, or works again.
    Info,
}

pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) keys: Keys,
    /// The name of this server in the registry.
    pub(crate) server: String,
    pub(crate) epoch: Epoch,
    pub(crate) stats: Stats,
    pub(crate) log: Log,
    /// Wakes the writer: there are entries to write.
    pub(crate) writes: Notify,
    /// Wakes the task that looks peers up: there are pending lookups.
    pub(crate) lookups: Notify,
    /// Redis has closed the connection.
    pub(crate) disconnected: Notify,
    state: Mutex<State>,
}

pub(crate) struct State {
    pub(crate) published: PublishedPeers,
    pub(crate) cache: Cache,
    pub(crate) servers: Servers,
    pub(crate) pending: PendingLookups,
    /// Why Redis cannot be reached; `None` while it can.
    pub(crate) unreachable: Option<Arc<str>>,
}

impl Shared {
    pub(crate) fn new(settings: Settings, keys: Keys, server: String, epoch: Epoch, log: Log) -> Self {
        Self {
            settings,
            keys,
            server,
            epoch,
            stats: Stats::default(),
            log,
            writes: Notify::new(),
            lookups: Notify::new(),
            disconnected: Notify::new(),
            state: Mutex::new(State {
                published: PublishedPeers::default(),
                cache: Cache::default(),
                servers: Servers::default(),
                pending: PendingLookups::default(),
                unreachable: Some("not connected yet".into()),
            }),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Redis cannot be reached any more. All pending lookups fail, and the caches are emptied, because Redis reports no changes without
    /// a connection.
    pub(crate) fn lost_connection(&self, why: &Arc<str>) {
        let replies = {
            let mut state = self.state();
            state.unreachable = Some(Arc::clone(why));
            state.cache = Cache::default();
            state.servers.forget_all();
            state.pending.take_all()
        };
        set(&self.stats.connected, 0);
        for reply in replies {
            count(&self.stats.failed, 1);
            reply(Err(Failure::Unreachable(Arc::clone(why))));
        }
    }

    /// Redis reports that a key has changed.
    pub(crate) fn key_changed(&self, key: &[u8]) {
        let mut state = self.state();
        match self.keys.parse(key) {
            Some(Key::Peer(peer)) => state.cache.forget(&peer),
            Some(Key::Server(server)) => state.servers.forget(&server),
            None => (),
        }
    }

    /// Redis reports that any key may have changed.
    pub(crate) fn all_keys_changed(&self) {
        let mut state = self.state();
        state.cache.forget_all();
        state.servers.forget_all();
    }

    /// Brings the gauges up to date.
    pub(crate) fn update_gauges(&self) {
        let state = self.state();
        set(&self.stats.entries, state.published.len());
        set(&self.stats.unwritten, state.published.unwritten());
        set(&self.stats.pending, state.pending.len());
        set(&self.stats.remembered, state.cache.len());
    }
}

impl State {
    /// The answer to a lookup, if it is known without asking Redis. `liveness_cache` is the time for which the state of another server
    /// is cached.
    pub(crate) fn known_answer(
        &self,
        now: Instant,
        peer: &PeerId,
        liveness_cache: Duration,
    ) -> Option<Option<Vec<Address>>> {
        if self.published.get(peer).is_some_and(|(_, claim)| !claim.is_silent) {
            return Some(self.answer(peer, None));
        }
        match self.cache.get(now, peer)? {
            [] => Some(self.answer(peer, None)),
            // If all the servers that had the peer are dead, another server may have it by now: ask Redis.
            entries => self
                .servers
                .first_valid(now, entries, liveness_cache)
                .flatten()
                .map(|entry| self.answer(peer, Some(entry))),
        }
    }

    /// The answer to a lookup. `remote` is the entry of another server that takes precedence over those of all other servers.
    pub(crate) fn answer(&self, peer: &PeerId, remote: Option<&RemoteEntry>) -> Option<Vec<Address>> {
        match (self.published.get(peer), remote) {
            // If the client is silent at both servers, each answers with its own entry: else they would send an asker back and forth.
            (Some((_, own)), Some(remote)) if own.is_silent && !remote.claim.is_silent => {
                Some(remote.addresses.to_vec())
            }
            (Some((addresses, _)), _) => Some(decode_addresses(addresses)),
            (None, remote) => remote.map(|remote| remote.addresses.to_vec()),
        }
    }
}
