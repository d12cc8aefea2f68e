//! The threads of a host, and the watchdog that replaces one which stands still.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::busy_time::BusyTime;
use super::script_files::ScriptFiles;
use super::shared::{Opening, Queue, ScriptState, Shared, served_by};
use super::thread;
use super::watchdog::Watched;
use crate::disk::{DiskThread, Files};
use crate::engine::limits::STACK;
use crate::engine::memory::Used;
use crate::instance::surroundings::Surroundings;
use introd_liveness::{AtStandstill, Pace, Pulse};
use introd_policy::InstanceName;

/// How often the watchdog looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How many replaced threads may still hang, each with the scripts that it had. With one more the process ends.
const MAX_LEFT_BEHIND: usize = 8;

/// How many bytes VMs must have freed before they are given back to the system. That holds up the allocations of all threads for some
/// time, so that it is not done more often than this.
const MIN_TRIM: usize = 4 << 20;
const TRIM_EVERY: Duration = Duration::from_secs(2);

/// How scripts are run.
#[derive(Clone, Copy, Debug)]
pub struct HostSettings {
    /// How many threads they share.
    pub threads: usize,
    /// How long a handler may run beyond its time before its thread counts as stuck.
    pub stuck_after: Duration,
    /// How long a thread may be stuck before it is replaced.
    pub replace_after: Duration,
    /// Ends the process for this reason when too many threads hang. Without it the reason is only logged.
    pub fatal: Option<fn(&str)>,
    /// Gives memory that this process has freed back to the system; called when scripts have freed much.
    pub trim: Option<fn()>,
}

impl Default for HostSettings {
    fn default() -> Self {
        Self {
            threads: 2,
            stuck_after: Duration::from_secs(2),
            replace_after: Duration::from_secs(2),
            fatal: None,
            trim: None,
        }
    }
}

/// The threads that run scripts.
pub(super) struct Pool {
    state: Mutex<PoolState>,
    pub(super) settings: HostSettings,
    surroundings: Surroundings,
    files: Arc<dyn Files>,
    /// Bytes that scripts have freed since the last trim.
    freed: Arc<AtomicUsize>,
    /// How long scripts have kept their threads busy.
    pub(super) busy: Arc<BusyTime>,
    /// Bytes that scripts use.
    pub(super) used: Arc<Used>,
    is_over: AtomicBool,
    wake: Condvar,
}

#[derive(Default)]
pub(super) struct PoolState {
    pub(super) threads: Vec<Thread>,
    /// Replaced threads that have not ended.
    left: Vec<JoinHandle<()>>,
    started: usize,
    /// Applications whose scripts have hung, with the state of their files then.
    pub(super) closed: HashMap<String, ScriptFiles>,
    /// Which thread an application's instances share, by adaptor, virtual host and application.
    places: HashMap<(String, String, String), usize>,
}

pub(super) struct Thread {
    pub(super) queue: Arc<Queue>,
    pub(super) watched: Watched,
    pub(super) thread: JoinHandle<()>,
}

impl Pool {
    /// Starts the threads.
    pub(super) fn start(settings: HostSettings, surroundings: Surroundings) -> std::io::Result<Self> {
        let pool = Self {
            state: Mutex::default(),
            settings,
            surroundings,
            files: Arc::new(DiskThread::default()),
            freed: Arc::default(),
            busy: Arc::default(),
            used: Arc::default(),
            is_over: AtomicBool::new(false),
            wake: Condvar::new(),
        };
        for _ in 0..settings.threads.max(1) {
            let thread = pool.state().start()?;
            pool.state().threads.push(thread);
        }
        Ok(pool)
    }

    /// Ends the watchdog.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Release);
        self.wake.notify_all();
    }

    pub(super) fn state(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn opening(&self, shared: &Arc<Shared>) -> Opening {
        Opening {
            shared: Arc::clone(shared),
            surroundings: self.surroundings.clone(),
            files: Arc::clone(&self.files),
            freed: Arc::clone(&self.freed),
            busy: Arc::clone(&self.busy),
        }
    }

    /// Gives up a thread that stands still. A new one gets its instances, which load their scripts anew and keep their clients;
    /// those of the application that hangs are closed until its files change.
    fn replace(&self, state: &mut PoolState, index: usize, culprit: &Shared) {
        state.left.retain(|thread| !thread.is_finished());
        if state.left.len() >= MAX_LEFT_BEHIND {
            let reason = "too many scripts hang where no limit stops them";
            tracing::error!(app = %culprit.name, "{reason}");
            if let Some(fatal) = self.settings.fatal {
                fatal(reason);
            }
            return;
        }
        let new = match state.start() {
            Ok(new) => new,
            Err(error) => {
                tracing::error!(%error, app = %culprit.name, "the thread of a script that hangs cannot be replaced");
                return;
            }
        };
        let Some(place) = state.threads.get_mut(index) else { return };
        let old = std::mem::replace(place, new);
        old.queue.give_up();
        let (hanging, files) = (culprit.application(), ScriptFiles::of(&culprit.folder));
        tracing::error!(app = %culprit.name, "the script hangs where no limit stops it: its application is closed until its files change; the other scripts of its thread are reloaded");
        old.watched.each(|shared| {
            if shared.application() == hanging {
                shared.close(files);
            } else if shared.state() != ScriptState::Failed && shared.state() != ScriptState::Stopped {
                shared.set_state(ScriptState::Starting);
            }
            shared.close_connections();
            shared.set_busy(None);
            shared.move_to(&place.queue);
            if shared.state() != ScriptState::Stopped {
                place.queue.open(self.opening(&shared));
                place.watched.add(&shared);
            }
        });
        if state.closed.len() >= MAX_PLACES {
            state.closed.clear();
        }
        state.closed.insert(hanging, files);
        state.left.push(old.thread);
    }
}

impl PoolState {
    /// Starts a thread that has no instances yet.
    fn start(&mut self) -> std::io::Result<Thread> {
        let (queue, index) = (Arc::<Queue>::default(), self.started);
        self.started += 1;
        let its_own = Arc::clone(&queue);
        // The runtime is made here, so that the server does not start if that fails.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let work = move |_: &Pulse| {
            thread::run(&runtime, its_own);
            Ok(())
        };
        // The watchdog looks after scripts that hang.
        let thread = introd_liveness::spawn_once(&format!("script-{index}"), Some(STACK), AtStandstill::Ignore, work)?;
        Ok(Thread { queue, watched: Watched::default(), thread })
    }

    /// The thread for an application: its own, unless that is stuck; else the one with the fewest instances.
    pub(super) fn place(&mut self, name: &InstanceName, folder: &Path) -> usize {
        let key = (name.adaptor.clone(), name.vhost.clone(), served_by(name, folder).to_owned());
        let is_well = |place: &usize| self.threads.get(*place).is_some_and(|thread| !thread.watched.is_stuck());
        if let Some(place) = self.places.get(&key).copied().filter(is_well) {
            return place;
        }
        let best =
            self.threads.iter().enumerate().min_by_key(|(_, thread)| (thread.watched.is_stuck(), thread.watched.len()));
        let place = best.map_or(0, |(place, _)| place);
        // Clients choose the names of applications; the table must not grow with them.
        if self.places.len() >= MAX_PLACES {
            self.places.clear();
        }
        self.places.insert(key, place);
        place
    }
}

/// For how many applications the thread is remembered.
const MAX_PLACES: usize = 65_536;

/// The watchdog: it runs until [`Pool::end`].
pub(super) fn watch(pool: &Pool, pulse: &Pulse) {
    let mut state = pool.state();
    let mut trimmed = None;
    let mut pace = Pace::new(Instant::now());
    // After a standstill of the whole process the scripts have their time once more: they did not run, either.
    let mut stood = Duration::ZERO;
    let mut forgotten_at = Instant::now();
    while !pool.is_over.load(Ordering::Acquire) {
        pulse.beat();
        let now = Instant::now();
        if let Some(pause) = pace.turn(now) {
            stood = pause;
            forgotten_at = now + pause + pool.settings.stuck_after;
        } else if now >= forgotten_at {
            stood = Duration::ZERO;
        }
        for index in 0..state.threads.len() {
            let limit = pool.settings.stuck_after + stood;
            let stuck = state.threads.get(index).and_then(|thread| thread.watched.look(now, limit));
            if let Some((culprit, overdue)) = stuck
                && overdue >= pool.settings.replace_after
            {
                pool.replace(&mut state, index, &culprit);
            }
        }
        if let Some(trim) = pool.settings.trim
            && pool.freed.load(Ordering::Relaxed) >= MIN_TRIM
            && trimmed.is_none_or(|trimmed| now.saturating_duration_since(trimmed) >= TRIM_EVERY)
        {
            trimmed = Some(now);
            pool.freed.store(0, Ordering::Relaxed);
            trim();
        }
        state = pool.wake.wait_timeout(state, LOOK_EVERY).unwrap_or_else(PoisonError::into_inner).0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_places_does_not_grow_with_the_names_that_clients_choose() {
        let mut state = PoolState::default();
        let mut name = crate::tests::instance_name("app");
        for number in 0..=MAX_PLACES {
            name.application = number.to_string();
            state.place(&name, Path::new("app"));
            assert!(state.places.len() <= MAX_PLACES);
        }
        assert_eq!(state.places.len(), 1);
    }
}
