//! The host of all scripts of a server.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::handle::ScriptHandle;
use super::pool::{HostSettings, Pool, Thread, watch};
use super::script_files::ScriptFiles;
use super::shared::Shared;
use crate::engine::loading::{MAIN, main_file};
use crate::engine::memory::Memory;
use crate::instance::surroundings::Surroundings;
use introd_config::Application;
use introd_liveness::AtStandstill;
use introd_policy::message::{AppEvent, Commands};
use introd_policy::{AppActor, AppActors, FormerInstance, InstanceName, Opening, Totals};

/// How often it is checked whether a thread that is to end has ended.
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

/// Runs scripts. Dropping it stops them.
pub struct Host {
    commands: Arc<dyn Commands>,
    pool: Arc<Pool>,
    watchdog: Mutex<Option<JoinHandle<()>>>,
}

impl Host {
    /// Starts the threads. Scripts send their verdicts and commands to `commands`; `surroundings` are what else they reach.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub fn start(
        settings: HostSettings,
        commands: Arc<dyn Commands>,
        surroundings: Surroundings,
    ) -> std::io::Result<Self> {
        let pool = Arc::new(Pool::start(settings, surroundings)?);
        let watched = Arc::clone(&pool);
        let watchdog = introd_liveness::spawn("script-watchdog", AtStandstill::EndProcess, move |pulse| {
            watch(&watched, pulse);
            Ok(())
        })?;
        Ok(Self { commands, pool, watchdog: Mutex::new(Some(watchdog)) })
    }

    /// Runs the script in a folder for an instance. It is loaded on its thread: until then the instance is
    /// [`ScriptState::Starting`](crate::ScriptState::Starting) and events wait.
    ///
    /// # Errors
    /// If there is no script, or the host has stopped.
    pub fn open(
        &self,
        name: InstanceName,
        folder: &Path,
        settings: Arc<Application>,
    ) -> Result<ScriptHandle, ScriptError> {
        self.open_counted(name, folder, settings, None, None)
    }

    /// The same, whose script reads there what its clients did. `former`: what it had in another process.
    fn open_counted(
        &self,
        name: InstanceName,
        folder: &Path,
        settings: Arc<Application>,
        totals: Option<Arc<dyn Totals>>,
        former: Option<FormerInstance>,
    ) -> Result<ScriptHandle, ScriptError> {
        let main = main_file(folder).ok_or_else(|| ScriptError::NoScript(folder.to_owned()))?;
        let mut pool = self.pool.state();
        let place = pool.place(&name, folder);
        let queue = pool.threads.get(place).map(|thread| Arc::clone(&thread.queue)).ok_or(ScriptError::Stopped)?;
        let (commands, memory) = (Arc::clone(&self.commands), Memory::among(&self.pool.used));
        let shared = Arc::new(Shared::new(name, folder.to_owned(), settings, commands, Arc::clone(&queue), memory));
        let _ = shared.main.set(main);
        // Nobody else has set it.
        totals.map(|totals| shared.totals.set(totals).ok());
        if let Some(former) = former {
            shared.is_taken_over.store(true, Ordering::Release);
            shared.ledger.take_over(former);
        }
        if let Some(files) = pool.closed.get(&shared.application()).copied() {
            if files == ScriptFiles::of(folder) {
                shared.close(files);
            } else {
                pool.closed.remove(&shared.application());
            }
        }
        if !queue.open(self.pool.opening(&shared)) {
            return Err(ScriptError::Stopped);
        }
        if let Some(thread) = pool.threads.get_mut(place) {
            thread.watched.add(&shared);
        }
        Ok(ScriptHandle(shared))
    }

    /// Stops all scripts, because another process has taken over their clients: `onAppStop` is told so.
    pub fn stop_after_takeover(&self) {
        for thread in &self.pool.state().threads {
            thread.watched.each(|shared| shared.is_replaced.store(true, Ordering::Release));
        }
        self.stop();
    }

    /// Stops all scripts, after `onAppStop`, and waits for each as long as a handler may run. A script that hangs is left behind.
    pub fn stop(&self) {
        let base = self.pool.settings.stuck_after;
        let mut longest = base;
        let threads: Vec<Thread> = self.pool.state().threads.drain(..).collect();
        for thread in &threads {
            thread.watched.each(|shared| {
                longest = longest.max(base + shared.settings.load().script.time.unwrap_or_default());
                let _ = ScriptHandle(shared).try_send(AppEvent::Stop);
            });
            thread.queue.close();
        }
        self.pool.end();
        let deadline = Instant::now() + longest;
        let watchdog = self.watchdog.lock().unwrap_or_else(PoisonError::into_inner).take();
        for thread in threads.into_iter().map(|thread| thread.thread).chain(watchdog) {
            while !thread.is_finished() && Instant::now() < deadline {
                std::thread::sleep(STOP_POLL);
            }
            if !thread.is_finished() {
                tracing::error!("a script still hangs: its thread is left behind");
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

fn opened(name: &InstanceName, result: Result<ScriptHandle, ScriptError>) -> Option<Arc<dyn AppActor>> {
    match result {
        Ok(handle) => Some(Arc::new(handle)),
        Err(ScriptError::NoScript(_)) => None,
        Err(error) => {
            tracing::error!(app = %name, %error, "the application's script cannot be started");
            None
        }
    }
}

impl AppActors for Host {
    fn open(&self, opening: Opening<'_>) -> Option<Arc<dyn AppActor>> {
        let Opening { name, folder, settings, totals, taken_over } = opening;
        let totals = Some(Arc::clone(totals));
        opened(name, self.open_counted(name.clone(), folder, Arc::clone(settings), totals, taken_over))
    }

    fn memory(&self) -> usize {
        self.pool.used.get()
    }

    fn time(&self) -> Duration {
        self.pool.busy.get()
    }
}
