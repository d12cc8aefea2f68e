//! The host of all scripts of a server: a few threads, and a watchdog over them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::handle::{ScriptHandle, Shared};
use super::thread::{self, Opening};
use super::watchdog::Watched;
use crate::apps::message::{AppEvent, Commands};
use crate::apps::{Actor, Actors, InstanceName};
use crate::config::Application;
use crate::liveness::{self, AtStandstill, Pace, Pulse};
use crate::registry::Registry;

/// The file that makes a folder an application with a script; one that is called as the folder does as well.
const MAIN: &str = "main.lua";
/// Enough for the deepest recursion through the host that Lua allows, in any build.
pub(super) const STACK: usize = 16 << 20;
/// How often the watchdog looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// So many bytes of machines are worth giving back, with what the host had for them. To look for them takes all threads'
/// allocations some time, so that it is not done more often than this.
const WORTH_TRIMMING: usize = 4 << 20;
const TRIM_EVERY: Duration = Duration::from_secs(2);

/// How often a thread that is to end is looked at.
const STOP_POLL: Duration = Duration::from_millis(2);

/// Why an instance has no script.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// There is no script in the folder.
    #[error("there is no {MAIN} in {}", .0.display())]
    NoScript(PathBuf),
    /// The host has no thread left.
    #[error("the scripts' threads have ended")]
    Stopped,
}

/// How scripts are run.
#[derive(Clone, Copy, Debug)]
pub struct HostSettings {
    /// How many threads they share.
    pub threads: usize,
    /// How long a handler may go on after its time before its thread counts as stuck.
    pub patience: Duration,
    /// Gives memory that this process has freed back to the system; called when scripts have freed much.
    pub trim: Option<fn()>,
}

impl Default for HostSettings {
    fn default() -> Self {
        Self { threads: 2, patience: Duration::from_secs(2), trim: None }
    }
}

/// Runs scripts. Dropping it stops them.
pub struct Host {
    commands: Arc<dyn Commands>,
    registry: Arc<dyn Registry>,
    pool: Arc<Pool>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Pool {
    state: Mutex<PoolState>,
    patience: Duration,
    trim: Option<fn()>,
    /// Bytes that scripts have freed since the last trim.
    freed: Arc<AtomicUsize>,
    is_over: AtomicBool,
    wake: Condvar,
}

struct PoolState {
    threads: Vec<Thread>,
    /// Which thread an application's instances share, by adaptor, virtual host and application.
    places: HashMap<(String, String, String), usize>,
}

struct Thread {
    openings: mpsc::UnboundedSender<Opening>,
    watched: Watched,
}

impl Pool {
    fn state(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PoolState {
    /// The thread for an application: its own, unless that is stuck; else the one with the fewest instances.
    fn place(&mut self, name: &InstanceName) -> usize {
        let key = (name.adaptor.clone(), name.vhost.clone(), name.application.clone());
        let is_well = |place: &usize| self.threads.get(*place).is_some_and(|thread| !thread.watched.is_stuck());
        if let Some(place) = self.places.get(&key).copied().filter(is_well) {
            return place;
        }
        let best =
            self.threads.iter().enumerate().min_by_key(|(_, thread)| (thread.watched.is_stuck(), thread.watched.len()));
        let place = best.map_or(0, |(place, _)| place);
        // Applications come under any name that clients ask for; the table must not grow with them.
        if self.places.len() >= MAX_PLACES {
            self.places.clear();
        }
        self.places.insert(key, place);
        place
    }
}

/// Applications whose thread is remembered.
const MAX_PLACES: usize = 65_536;

impl Host {
    /// Starts the threads. What scripts want done goes to `commands`; `registry` is the one that they share.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub fn start(
        settings: HostSettings,
        commands: Arc<dyn Commands>,
        registry: Arc<dyn Registry>,
    ) -> std::io::Result<Self> {
        let state = PoolState { threads: Vec::new(), places: HashMap::new() };
        let pool = Arc::new(Pool {
            state: Mutex::new(state),
            patience: settings.patience,
            trim: settings.trim,
            freed: Arc::default(),
            is_over: AtomicBool::new(false),
            wake: Condvar::new(),
        });
        let host = Self { commands, registry, pool, threads: Mutex::default() };
        for index in 0..settings.threads.max(1) {
            let (openings, receiver) = mpsc::unbounded_channel();
            // Without a runtime there is no thread, and the server does not start.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            // Scripts that hang are the watchdog's.
            let name = format!("script-{index}");
            let work = move |_: &liveness::Pulse| {
                thread::run(&runtime, receiver);
                Ok(())
            };
            host.threads().push(liveness::spawn_once(&name, Some(STACK), AtStandstill::Ignore, work)?);
            host.pool.state().threads.push(Thread { openings, watched: Watched::default() });
        }
        let pool = Arc::clone(&host.pool);
        let watchdog = liveness::spawn("script-watchdog", AtStandstill::EndProcess, move |pulse| {
            watch(&pool, pulse);
            Ok(())
        });
        host.threads().push(watchdog?);
        Ok(host)
    }

    /// Runs the script in a folder for an instance. It is loaded on its thread: until then the instance is
    /// [`ScriptState::Starting`](super::ScriptState::Starting) and events wait.
    ///
    /// # Errors
    /// If there is no script, or the host has stopped.
    pub fn open(
        &self,
        name: InstanceName,
        folder: &Path,
        settings: Arc<Application>,
    ) -> Result<ScriptHandle, ScriptError> {
        if main_file(folder).is_none() {
            return Err(ScriptError::NoScript(folder.to_owned()));
        }
        let shared = Arc::new(Shared::new(name, folder.to_owned(), settings, Arc::clone(&self.commands)));
        let (registry, freed) = (Arc::clone(&self.registry), Arc::clone(&self.pool.freed));
        let opening = Opening { shared: Arc::clone(&shared), registry, freed };
        let mut pool = self.pool.state();
        let place = pool.place(&shared.name);
        let thread = pool.threads.get_mut(place).ok_or(ScriptError::Stopped)?;
        thread.openings.send(opening).map_err(|_| ScriptError::Stopped)?;
        thread.watched.add(&shared);
        Ok(ScriptHandle(shared))
    }

    fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops all scripts, after `onAppStop`, and waits for them as long as a handler may run; not for those that hang.
    pub fn stop(&self) {
        let mut patience = self.pool.patience;
        for thread in self.pool.state().threads.drain(..) {
            thread.watched.each(|shared| {
                patience = patience.max(self.pool.patience + shared.settings.load().script.time.unwrap_or_default());
                let _ = ScriptHandle(shared).try_send(AppEvent::Stop);
            });
        }
        self.pool.is_over.store(true, Ordering::Release);
        self.pool.wake.notify_all();
        let deadline = Instant::now() + patience;
        for thread in self.threads().drain(..) {
            while !thread.is_finished() && Instant::now() < deadline {
                std::thread::sleep(STOP_POLL);
            }
            if !thread.is_finished() {
                tracing::error!("a script still hangs; its thread is left behind");
            } else if thread.join().is_err() {
                tracing::error!("a thread of scripts panicked");
            }
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Actors for Host {
    fn open(&self, name: &InstanceName, folder: &Path, settings: &Arc<Application>) -> Option<Arc<dyn Actor>> {
        match self.open(name.clone(), folder, Arc::clone(settings)) {
            Ok(handle) => Some(Arc::new(handle)),
            Err(ScriptError::NoScript(_)) => None,
            Err(error) => {
                tracing::error!(app = %name, %error, "no script");
                None
            }
        }
    }
}

/// The name of the script in an application's folder.
pub(super) fn main_file(folder: &Path) -> Option<String> {
    let named = folder.file_name().map(|name| format!("{}.lua", name.to_string_lossy()));
    [Some(MAIN.to_owned()), named].into_iter().flatten().find(|name| is_there(&folder.join(name)))
}

/// Is anything there, or is that not to be known? What cannot be read does not load, and is not as good as none.
fn is_there(path: &Path) -> bool {
    !matches!(std::fs::symlink_metadata(path), Err(error) if error.kind() == std::io::ErrorKind::NotFound)
}

/// The watchdog.
fn watch(pool: &Pool, pulse: &Pulse) {
    let mut state = pool.state();
    let mut trimmed = None;
    let mut pace = Pace::new(Instant::now());
    // After a standstill of the process, the scripts have their time once more: they did not run either.
    let mut stood = Duration::ZERO;
    let mut forgotten_at = Instant::now();
    while !pool.is_over.load(Ordering::Acquire) {
        pulse.beat();
        let now = Instant::now();
        if let Some(pause) = pace.turn(now) {
            stood = pause;
            forgotten_at = now + pause + pool.patience;
        } else if now >= forgotten_at {
            stood = Duration::ZERO;
        }
        state.threads.iter().for_each(|thread| thread.watched.look(now, pool.patience + stood));
        if let Some(trim) = pool.trim
            && pool.freed.load(Ordering::Relaxed) >= WORTH_TRIMMING
            && trimmed.is_none_or(|trimmed| now.saturating_duration_since(trimmed) >= TRIM_EVERY)
        {
            trimmed = Some(now);
            pool.freed.store(0, Ordering::Relaxed);
            trim();
        }
        state = pool.wake.wait_timeout(state, LOOK_EVERY).unwrap_or_else(PoisonError::into_inner).0;
    }
}
