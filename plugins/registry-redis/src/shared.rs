//! What the callers of the registry and its thread share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use introd_plugin::{Address, GroupMember, PeerId};
use tokio::sync::Notify;

use crate::answer::{Failure, PendingLookups};
use crate::cache::Cache;
use crate::connection::Connector;
use crate::echo::Echo;
use crate::entry::{Epoch, decode_addresses};
use crate::keys::{Key, Keys};
use crate::liveness::Servers;
use crate::memberships::Memberships;
use crate::neighbors::PendingQueries;
use crate::presence::Beginnings;
use crate::published::PublishedPeers;
use crate::remote::RemoteEntry;
use crate::roll::Listed;
use crate::settings::Settings;
use crate::stats::{Stats, count, set};
use crate::succession::{MAX_BEGINNINGS, ServerRun, Succession};

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
    /// Wakes the task of groups: there are memberships to write, or queries.
    pub(crate) groups: Notify,
    /// Redis has closed the connection.
    pub(crate) disconnected: Notify,
    /// Wakes the session: it is to replace the connection.
    pub(crate) replace: Notify,
    replacement: Mutex<Replacement>,
    state: Mutex<State>,
}

/// How the connection is to be replaced while it works.
#[derive(Default)]
struct Replacement {
    /// Where to connect to from now on, if that has changed.
    connector: Option<Connector>,
    /// Whether to look for a Redis that accepts writes.
    is_seeking_master: bool,
}

pub(crate) struct State {
    pub(crate) published: PublishedPeers,
    pub(crate) cache: Cache,
    pub(crate) servers: Servers,
    pub(crate) pending: PendingLookups,
    pub(crate) memberships: Memberships,
    pub(crate) queries: PendingQueries,
    pub(crate) echo: Echo,
    /// The servers that share the registry, in the order of their names; `None` if that is not known.
    pub(crate) servers_listed: Option<Vec<Listed>>,
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
            groups: Notify::new(),
            disconnected: Notify::new(),
            replace: Notify::new(),
            replacement: Mutex::default(),
            state: Mutex::new(State {
                published: PublishedPeers::default(),
                cache: Cache::default(),
                servers: Servers::default(),
                pending: PendingLookups::default(),
                memberships: Memberships::default(),
                queries: PendingQueries::default(),
                echo: Echo::default(),
                servers_listed: None,
                unreachable: Some("not connected yet".into()),
            }),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection is to be replaced by one that this connector opens. What is published and what is pending stays.
    pub(crate) fn replace_connection(&self, connector: Connector) {
        self.replacement.lock().unwrap_or_else(PoisonError::into_inner).connector = Some(connector);
        self.replace.notify_one();
    }

    /// The connection is to be replaced if another one accepts writes.
    pub(crate) fn seek_master(&self) {
        self.replacement.lock().unwrap_or_else(PoisonError::into_inner).is_seeking_master = true;
        self.replace.notify_one();
    }

    /// How to replace the connection: the connector, if there is another one, and whether the new connection must accept writes.
    pub(crate) fn take_replacement(&self) -> (Option<Connector>, bool) {
        let taken = std::mem::take(&mut *self.replacement.lock().unwrap_or_else(PoisonError::into_inner));
        (taken.connector, taken.is_seeking_master)
    }

    /// Another connection takes over: it asks what the earlier one has not answered. The caches are emptied, because Redis reports to the
    /// earlier one what changes.
    pub(crate) fn changed_connection(&self) {
        let mut state = self.state();
        state.cache = Cache::default();
        state.servers.forget_all();
        state.pending.ask_again();
        drop(state);
        self.lookups.notify_one();
    }

    /// Redis cannot be reached any more. All pending lookups fail, and the caches are emptied, because Redis reports no changes without
    /// a connection.
    pub(crate) fn lost_connection(&self, why: &Arc<str>) {
        let (replies, queries) = {
            let mut state = self.state();
            state.unreachable = Some(Arc::clone(why));
            state.cache = Cache::default();
            state.servers.forget_all();
            state.servers_listed = None;
            (state.pending.take_all(), state.queries.take_all())
        };
        set(&self.stats.connected, 0);
        for reply in replies {
            count(&self.stats.failed, 1);
            reply(Err(Failure::Unreachable(Arc::clone(why))));
        }
        for query in queries {
            count(&self.stats.failed, 1);
            (query.reply)(Err(Failure::Unreachable(Arc::clone(why))));
        }
    }

    /// What another process goes on with.
    pub(crate) fn succession(&self) -> Succession {
        let state = self.state();
        Succession {
            run: ServerRun { name: self.server.clone(), epoch: self.epoch },
            gone: state.published.withdrawals(),
            beginnings: state.published.beginnings(MAX_BEGINNINGS),
            left: state.memberships.withdrawals(),
        }
    }

    /// Another process serves as this server, whose place this one is to take, and has published these peers so far.
    pub(crate) fn begin_as_heir(&self, beginnings: Vec<(PeerId, Beginnings)>) {
        let mut state = self.state();
        state.published.begin_as_heir(beginnings);
        state.memberships.begin_as_heir();
    }

    /// This process goes on with what another one has handed over when it stood still. If that was another run, its entries are invalid by
    /// now.
    pub(crate) fn succeed(&self, succession: Succession) {
        let Succession { run, gone, beginnings, left } = succession;
        if (&run.name, run.epoch) != (&self.server, self.epoch) {
            return;
        }
        {
            let mut state = self.state();
            state.published.inherit(beginnings);
            state.memberships.inherit();
            state.echo.begin();
            gone.iter().for_each(|peer| state.echo.add_peer(*peer));
            left.iter().for_each(|member| state.echo.add_member(*member));
        }
        self.withdraw_inherited(&gone, &left);
    }

    /// Has entries deleted that another process has written as this server, unless they are this one's own as well.
    fn withdraw_inherited(&self, peers: &[PeerId], members: &[GroupMember]) {
        {
            let mut state = self.state();
            peers.iter().for_each(|peer| state.published.withdraw_inherited(*peer));
            members.iter().for_each(|member| state.memberships.withdraw_inherited(*member));
        }
        self.writes.notify_one();
        self.groups.notify_one();
    }

    /// Redis has accepted a heartbeat.
    pub(crate) fn heartbeat_accepted(&self) {
        let (peers, members) = self.state().echo.heartbeat();
        if !peers.is_empty() || !members.is_empty() {
            self.withdraw_inherited(&peers, &members);
        }
    }

    /// Has all that this server publishes written again.
    pub(crate) fn renew_all(&self) {
        let mut state = self.state();
        state.published.renew_all();
        state.memberships.renew_all();
        drop(state);
        self.writes.notify_one();
        self.groups.notify_one();
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
        set(&self.stats.pending, state.pending.len() + state.queries.len());
        set(&self.stats.memberships, state.memberships.len());
        set(&self.stats.memberships_unwritten, state.memberships.unwritten());
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

#[cfg(test)]
mod tests {
    use introd_plugin::{Origin, PeerSession};

    use super::*;
    use crate::claim::Claim;
    use crate::entry::encode_addresses;

    const TIME: Duration = Duration::from_secs(10);
    const PEER: PeerId = PeerId([1; 32]);

    fn shared() -> Shared {
        let keys = Keys::new("n", false);
        Shared::new(Settings::default(), keys, "own".to_owned(), Epoch([9; 8]), Box::new(|_, _| ()))
    }

    fn at(host: u8) -> Vec<Address> {
        vec![Address::new(([192, 0, 2, host], 1).into(), Origin::Observed)]
    }

    fn remote(epoch: u8, is_silent: bool) -> RemoteEntry {
        let claim = Claim { is_proven: false, is_silent, since: 1 };
        RemoteEntry { server: b"other".as_slice().into(), epoch: Epoch([epoch; 8]), claim, addresses: at(epoch).into() }
    }

    fn publishes(state: &mut State, is_silent: bool) {
        let session = PeerSession { id: 7, is_proven: false, is_silent };
        assert!(state.published.publish(PEER, 1, Some(session), Some(encode_addresses(&at(9))), 10));
    }

    fn caches(state: &mut State, now: Instant, entries: Vec<RemoteEntry>) {
        state.cache.begin(PEER);
        state.cache.end(now, PEER, entries.into(), TIME, 10);
    }

    #[test]
    fn an_own_client_counts_first_unless_it_is_silent_and_another_servers_is_not() {
        let shared = shared();
        let mut state = shared.state();
        let (well, silent) = (remote(2, false), remote(3, true));
        assert_eq!((state.answer(&PEER, None), state.answer(&PEER, Some(&well))), (None, Some(at(2))));
        publishes(&mut state, false);
        assert_eq!((state.answer(&PEER, None), state.answer(&PEER, Some(&well))), (Some(at(9)), Some(at(9))));
        publishes(&mut state, true);
        assert_eq!(state.answer(&PEER, None), Some(at(9)));
        assert_eq!(state.answer(&PEER, Some(&well)), Some(at(2)));
        assert_eq!(state.answer(&PEER, Some(&silent)), Some(at(9)));
    }

    #[test]
    fn what_is_known_is_answered_without_redis_and_nothing_else() {
        let (shared, now) = (shared(), Instant::now());
        let mut state = shared.state();
        let known = |state: &State| state.known_answer(now, &PEER, TIME);
        assert_eq!(known(&state), None);
        caches(&mut state, now, vec![]);
        assert_eq!(known(&state), Some(None), "it was looked for, and is nowhere");
        caches(&mut state, now, vec![remote(2, false)]);
        assert_eq!(known(&state), None, "nothing is known of that server");
        state.servers.insert(now, b"other".as_slice().into(), None, TIME);
        assert_eq!(known(&state), None, "it is dead: another may have the peer by now");
        state.servers.insert(now, b"other".as_slice().into(), Some(Epoch([2; 8])), TIME);
        assert_eq!(known(&state), Some(Some(at(2))));
        publishes(&mut state, true);
        assert_eq!(known(&state), Some(Some(at(2))));
        publishes(&mut state, false);
        assert_eq!(known(&state), Some(Some(at(9))));
    }

    #[test]
    fn what_redis_reports_as_changed_is_forgotten() {
        let (shared, now) = (shared(), Instant::now());
        let fill = || {
            let mut state = shared.state();
            caches(&mut state, now, vec![remote(2, false)]);
            state.servers.insert(now, b"other".as_slice().into(), Some(Epoch([2; 8])), TIME);
            assert!(state.known_answer(now, &PEER, TIME).is_some());
        };
        let is_known = || shared.state().known_answer(now, &PEER, TIME).is_some();
        fill();
        shared.key_changed(b"m:peer:x");
        shared.key_changed(&shared.keys.peer(&PeerId([2; 32])));
        shared.key_changed(&shared.keys.server(b"third"));
        assert!(is_known());
        shared.key_changed(&shared.keys.peer(&PEER));
        assert!(!is_known());
        fill();
        shared.key_changed(&shared.keys.server(b"other"));
        assert!(!is_known());
        fill();
        shared.all_keys_changed();
        assert!(!is_known() && shared.state().cache.len() == 0);
    }

    #[test]
    fn with_the_connection_all_that_waits_and_all_that_was_cached_is_gone() {
        let (shared, now) = (shared(), Instant::now());
        let failed = Arc::new(Mutex::new(Vec::new()));
        {
            let mut state = shared.state();
            state.unreachable = None;
            caches(&mut state, now, vec![]);
            state.servers.insert(now, b"other".as_slice().into(), None, TIME);
            publishes(&mut state, false);
            let failed = Arc::clone(&failed);
            state.pending.add(PEER, Box::new(move |answer| failed.lock().unwrap().push(answer)));
        }
        shared.lost_connection(&"gone".into());
        assert_eq!(*failed.lock().unwrap(), [Err(Failure::Unreachable("gone".into()))]);
        let state = shared.state();
        assert!(state.unreachable.is_some() && state.pending.len() == 0 && state.cache.len() == 0);
        assert_eq!(state.servers.is_valid(now, &remote(2, false), TIME), None);
        assert_eq!(state.published.len(), 1, "what this server has it still has");
    }
}
