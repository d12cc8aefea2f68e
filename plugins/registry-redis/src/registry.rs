//! The registry: what its callers see. Nothing here waits for Redis.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use introd_plugin::{Address, PeerId, PeerSession};
use tokio::sync::{Notify, oneshot};

use crate::cache::{Cache, Known, Servers};
use crate::entry::{Epoch, decode_addresses, encode_addresses};
use crate::keys::{Key, Keys};
use crate::link::Maker;
use crate::own::Table;
use crate::session;
use crate::settings::{Mode, Settings, SettingsError};
use crate::stats::{Stats, count, set};

/// What a lookup comes to: the addresses, or that nobody has published the peer.
pub type Answer = Result<Option<Vec<Address>>, Failure>;

/// Takes an answer, on the registry's thread: it must not wait.
pub type Reply = Box<dyn FnOnce(Answer) + Send>;

/// Writes a line into a log.
pub type Log = Box<dyn Fn(Severity, &str) + Send + Sync>;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Somebody has to do something.
    Error,
    /// Something does not work.
    Warning,
    /// Something works again.
    Info,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Redis cannot be reached.
    #[error("Redis cannot be reached: {0}")]
    Unreachable(Arc<str>),
    /// Redis refused.
    #[error("Redis refused: {0}")]
    Refused(Arc<str>),
    /// Too many lookups wait.
    #[error("too many lookups wait for Redis")]
    Busy,
    /// There are as many entries as there may be.
    #[error("this server has published as many peers as it may")]
    Full,
}

/// A registry in Redis. Dropping it says that this server is gone.
pub struct Registry {
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What the callers and the thread share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) keys: Keys,
    pub(crate) server: String,
    pub(crate) epoch: Epoch,
    pub(crate) stats: Stats,
    pub(crate) log: Log,
    /// There is something to write.
    pub(crate) writes: Notify,
    /// There is somebody to look up.
    pub(crate) lookups: Notify,
    /// The connection has ended.
    pub(crate) ended: Notify,
    state: Mutex<State>,
}

pub(crate) struct State {
    pub(crate) own: Table,
    pub(crate) cache: Cache,
    pub(crate) servers: Servers,
    /// Who waits for the answer about each peer.
    pub(crate) waiting: HashMap<PeerId, Vec<Reply>>,
    /// Peers that Redis has not been asked for yet.
    pub(crate) queue: VecDeque<PeerId>,
    /// All that wait.
    pub(crate) pending: usize,
    /// Why Redis cannot be reached, while it cannot.
    pub(crate) down: Option<Arc<str>>,
}

impl Shared {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Redis cannot be reached, or not any more. Whoever waits is told so, and nothing that is remembered counts: nobody would
    /// say that it has changed.
    pub(crate) fn is_down(&self, why: &Arc<str>) {
        let waiting = {
            let mut state = self.state();
            state.down = Some(Arc::clone(why));
            state.cache = Cache::default();
            state.servers.forget_all();
            state.queue.clear();
            state.pending = 0;
            std::mem::take(&mut state.waiting)
        };
        set(&self.stats.connected, 0);
        for reply in waiting.into_values().flatten() {
            count(&self.stats.failed, 1);
            reply(Err(Failure::Unreachable(Arc::clone(why))));
        }
    }

    /// A key has changed; `None`: all of them may have.
    pub(crate) fn has_changed(&self, key: Option<&[u8]>) {
        let mut state = self.state();
        match key.map(|key| self.keys.read(key)) {
            None => {
                state.cache.forget_all();
                state.servers.forget_all();
            }
            Some(Some(Key::Peer(peer))) => state.cache.forget(&peer),
            Some(Some(Key::Server(server))) => state.servers.forget(&server),
            Some(None) => (),
        }
    }

    /// Brings the gauges up to date.
    pub(crate) fn measure(&self) {
        let state = self.state();
        set(&self.stats.entries, state.own.len());
        set(&self.stats.unwritten, state.own.unwritten());
        set(&self.stats.pending, state.pending);
        set(&self.stats.remembered, state.cache.len());
    }
}

impl Registry {
    /// Starts it. Redis need not be there yet.
    ///
    /// # Errors
    /// If the settings make no sense, or this machine has no thread or no randomness to give.
    pub fn start(settings: Settings, log: Log) -> Result<Self, SettingsError> {
        settings.check()?;
        let maker = Maker::new(&settings)?;
        let machine = |error: &dyn std::fmt::Display| SettingsError::Machine(error.to_string());
        let (mut epoch, mut name) = ([0; 8], [0; 8]);
        getrandom::fill(&mut epoch).map_err(|error| machine(&error))?;
        getrandom::fill(&mut name).map_err(|error| machine(&error))?;
        let server = if settings.server.is_empty() { Epoch(name).hex() } else { settings.server.clone() };
        let shared = Arc::new(Shared {
            keys: Keys::new(&settings.namespace, settings.mode == Mode::Cluster),
            settings,
            server,
            epoch: Epoch(epoch),
            stats: Stats::default(),
            log,
            writes: Notify::new(),
            lookups: Notify::new(),
            ended: Notify::new(),
            state: Mutex::new(State {
                own: Table::default(),
                cache: Cache::default(),
                servers: Servers::default(),
                waiting: HashMap::new(),
                queue: VecDeque::new(),
                pending: 0,
                down: Some("not connected yet".into()),
            }),
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| machine(&error))?;
        let (stop, stopped) = oneshot::channel();
        let thread = {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name("registry-redis".into())
                .spawn(move || runtime.block_on(session::run(&shared, maker, stopped)))
        };
        Ok(Self { shared, stop: Some(stop), thread: Some(thread.map_err(|error| machine(&error))?) })
    }

    /// What this server is called.
    pub fn server(&self) -> &str {
        &self.shared.server
    }

    /// What has been counted.
    pub fn stats(&self) -> &Stats {
        self.shared.measure();
        &self.shared.stats
    }

    /// Says where a peer can be reached, instead of what was said before. It is written as soon as may be: when Redis is back,
    /// if it is away. Of servers that say so of the same peer, the last one counts.
    ///
    /// # Errors
    /// [`Failure::Full`]
    pub fn publish(&self, peer: PeerId, addresses: &[Address]) -> Result<(), Failure> {
        self.say(peer, Some(addresses), None)
    }

    /// As [`Self::publish`], with a word on the peer's session. Of servers that say so of the same peer, those count whose session is not
    /// silent, of these those whose session has proven the peer's id, of these the last one, and where none is proven the first
    /// one. The others' word stands beside it, and counts when that one's is taken back or its server dies.
    ///
    /// Without addresses, only how the session stands is changed, of a peer that this server publishes.
    ///
    /// # Errors
    /// [`Failure::Full`]
    pub fn publish_session(&self, peer: PeerId, addresses: &[Address], standing: PeerSession) -> Result<(), Failure> {
        self.say(peer, Some(addresses).filter(|addresses| !addresses.is_empty()), Some(standing))
    }

    fn say(&self, peer: PeerId, addresses: Option<&[Address]>, standing: Option<PeerSession>) -> Result<(), Failure> {
        let addresses = addresses.map(encode_addresses);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        {
            let mut state = self.shared.state();
            if !state.own.publish(peer, now, standing, addresses, self.shared.settings.max_entries) {
                return Err(Failure::Full);
            }
            state.cache.forget(&peer);
        }
        self.shared.writes.notify_one();
        Ok(())
    }

    /// Takes back what this server has published of a peer.
    pub fn withdraw(&self, peer: PeerId) {
        self.shared.state().own.withdraw(peer);
        self.shared.writes.notify_one();
    }

    /// Where a peer can be reached: as this server has published it, unless its session here is silent and another server has one that is
    /// not; else as the others have. Gives back the answer, or `None` if it goes to the reply that `defer` makes. Without a reply the
    /// registry is too busy.
    pub fn find(&self, peer: PeerId, defer: impl FnOnce() -> Option<Reply>) -> Option<Answer> {
        let shared = &self.shared;
        count(&shared.stats.lookups, 1);
        let failed = |failure| {
            count(&shared.stats.failed, 1);
            Some(Err(failure))
        };
        {
            let state = shared.state();
            if let Some(answer) = state.remembered(Instant::now(), &peer, shared.settings.trust()) {
                count(&shared.stats.cached, 1);
                count(&shared.stats.found, usize::from(answer.is_some()));
                return Some(Ok(answer));
            }
            if let Some(why) = &state.down {
                return match state.answer(&peer, None) {
                    Some(addresses) => Some(Ok(Some(addresses))),
                    None => failed(Failure::Unreachable(Arc::clone(why))),
                };
            }
            if state.pending >= shared.settings.max_pending {
                return failed(Failure::Busy);
            }
        }
        let Some(reply) = defer() else { return failed(Failure::Busy) };
        let refused = {
            let mut state = shared.state();
            match &state.down {
                Some(why) => Some((reply, Arc::clone(why))),
                None => {
                    state.pending += 1;
                    let waiting = state.waiting.entry(peer).or_default();
                    waiting.push(reply);
                    if waiting.len() == 1 {
                        state.queue.push_back(peer);
                    }
                    None
                }
            }
        };
        match refused {
            Some((reply, why)) => {
                count(&shared.stats.failed, 1);
                reply(Err(Failure::Unreachable(why)));
            }
            None => shared.lookups.notify_one(),
        }
        None
    }
}

impl State {
    /// What is known of a peer without asking.
    fn remembered(&self, now: Instant, peer: &PeerId, trust: Duration) -> Option<Option<Vec<Address>>> {
        if self.own.get(peer).is_some_and(|(_, claim)| !claim.is_silent) {
            return Some(self.answer(peer, None));
        }
        match self.cache.get(now, peer)? {
            [] => Some(self.answer(peer, None)),
            // That the servers it was at are dead need not mean that it is nowhere.
            known => self.servers.first(now, known, trust).flatten().map(|known| self.answer(peer, Some(known))),
        }
    }

    /// Where a peer is, given what counts of other servers.
    pub(crate) fn answer(&self, peer: &PeerId, elsewhere: Option<&Known>) -> Option<Vec<Address>> {
        match (self.own.get(peer), elsewhere) {
            // Two servers that both hear nothing of it are not to send an asker back and forth.
            (Some((_, own)), Some(known)) if own.is_silent && !known.claim.is_silent => Some(known.addresses.to_vec()),
            (Some((addresses, _)), _) => Some(decode_addresses(addresses)),
            (None, known) => known.map(|known| known.addresses.to_vec()),
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
