//! The upkeep of applications: a thread ends instances that have been idle for too long, and reloads scripts that have changed.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use introd_lua::ScriptFiles;
use introd_policy::message::AppEvent;

use super::applications::Applications;
use super::instance::AppInstance;
use super::wanted::{VhostLimits, Wanted};
use introd_liveness::AtStandstill;
use introd_policy::InstanceName;

/// How often the caretaker checks the applications.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long a server that stops waits for the caretaker, which may hang on a disk.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);
const STOP_POLL: Duration = Duration::from_millis(2);

/// Looks after the applications of a server until it is dropped.
pub struct Caretaker {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    stop_timeout: Duration,
}

impl Caretaker {
    /// Starts the caretaker of these applications. Each second it calls `each_second`, too, with the time.
    ///
    /// # Errors
    /// If its thread cannot be started.
    pub fn start(
        applications: &Arc<Applications>,
        each_second: impl FnMut(Instant) + Send + 'static,
    ) -> std::io::Result<Self> {
        Self::start_with(applications, INTERVAL, STOP_TIMEOUT, each_second)
    }

    fn start_with(
        applications: &Arc<Applications>,
        interval: Duration,
        stop_timeout: Duration,
        each_second: impl FnMut(Instant) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (stop, stopped) = mpsc::channel::<()>();
        // The folders are read before any script is loaded, so that every later change is noticed.
        let mut watch = Watch::default();
        watch.look(applications);
        let applications = Arc::downgrade(applications);
        // A panic of the thread starts it again.
        let each_second = Mutex::new(each_second);
        // The thread reads disks, which may hang.
        let thread = introd_liveness::spawn("caretaker", AtStandstill::Say, move |pulse| {
            while matches!(stopped.recv_timeout(interval), Err(RecvTimeoutError::Timeout)) {
                pulse.beat();
                (each_second.lock())(Instant::now());
                if !look_after(&applications, &mut watch) {
                    break;
                }
            }
            Ok(())
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread), stop_timeout })
    }
}

impl Drop for Caretaker {
    fn drop(&mut self) {
        drop(self.stop.take());
        let deadline = Instant::now() + self.stop_timeout;
        let Some(thread) = self.thread.take() else { return };
        while !thread.is_finished() {
            if Instant::now() >= deadline {
                tracing::error!("the caretaker waits for a disk; its thread is left behind");
                return;
            }
            std::thread::sleep(STOP_POLL);
        }
        let _ = thread.join();
    }
}

fn look_after(applications: &Weak<Applications>, watch: &mut Watch) -> bool {
    let Some(applications) = applications.upgrade() else { return false };
    applications.end_idle(Instant::now());
    applications.end_idle_early();
    watch.look(&applications);
    true
}

impl Applications {
    /// Creates the first instances of the applications that run from the start.
    pub fn open_at_start(&self) {
        let config = self.config();
        for adaptor in config.all_adaptors() {
            for vhost in adaptor.all_vhosts() {
                for (application, registered) in &vhost.applications {
                    if !registered.settings.load_on_startup || registered.closed.is_some() {
                        continue;
                    }
                    let name = InstanceName::first(&adaptor.name, &vhost.name, application);
                    let wanted = Wanted {
                        name,
                        settings: Arc::clone(&registered.settings),
                        registered: Some(registered),
                        limits: VhostLimits::of(vhost),
                        taken_over: None,
                        maker: None,
                    };
                    match self.open(&mut self.table(), wanted) {
                        Ok(instance) => tracing::info!(app = %instance.name(), "the instance was opened at the start"),
                        Err(refusal) => {
                            tracing::warn!(application, %refusal, "the instance was not opened at the start");
                        }
                    }
                }
            }
        }
    }

    /// Ends the instances whose policy has ended itself, and the instances that have had no clients for as long as their settings allow. An
    /// instance that runs from the start stays.
    pub fn end_idle(&self, now: Instant) {
        let mut table = self.table();
        let is_over = |instance: &&Arc<AppInstance>| {
            if instance.clients() != 0 {
                return false;
            }
            let longest = instance.settings().max_idle_time;
            let is_idle = || instance.idle_since().is_some_and(|since| now.saturating_duration_since(since) >= longest);
            instance.actor().is_some_and(|actor| actor.is_over()) || !instance.is_kept() && is_idle()
        };
        let over: Vec<Arc<AppInstance>> = table.all().filter(is_over).cloned().collect();
        for instance in over {
            tracing::info!(app = %instance.name(), "the instance ends: it has no clients");
            self.end(&mut table, &instance);
        }
    }

    /// The applications whose scripts are watched: for each, the folders to watch (its own and the library's), and its instances.
    fn watched(&self) -> Vec<(Vec<PathBuf>, Vec<Arc<AppInstance>>)> {
        let config = self.config();
        let mut watched = Vec::new();
        for adaptor in config.all_adaptors() {
            for vhost in adaptor.all_vhosts() {
                for (application, registered) in &vhost.applications {
                    let script = &registered.settings.script;
                    if !script.watch {
                        continue;
                    }
                    let folders = std::iter::once(&registered.folder).chain(&script.library).cloned().collect();
                    let is_of_application = |instance: &&Arc<AppInstance>| {
                        let name = instance.name();
                        (&name.adaptor, &name.vhost) == (&adaptor.name, &vhost.name)
                            && vhost.served_by(&name.application).is_some_and(|(served_by, _)| served_by == application)
                    };
                    watched.push((folders, self.table().all().filter(is_of_application).cloned().collect()));
                }
            }
        }
        watched
    }
}

/// The state of the scripts' folders when they were last read.
#[derive(Default)]
struct Watch {
    seen: HashMap<PathBuf, ScriptFiles>,
}

impl Watch {
    fn look(&mut self, applications: &Applications) {
        let mut looks: HashMap<PathBuf, ScriptFiles> = HashMap::new();
        for (folders, instances) in applications.watched() {
            let mut changed = None;
            for folder in folders {
                let look = *looks.entry(folder.clone()).or_insert_with(|| ScriptFiles::of(&folder));
                if self.seen.get(&folder).is_some_and(|seen| *seen != look) {
                    changed = Some(folder);
                }
            }
            let Some(folder) = changed else { continue };
            for instance in instances {
                if let Some(actor) = instance.actor() {
                    tracing::info!(app = %instance.name(), folder = %folder.display(), "the application's script has changed");
                    let _ = actor.tell(AppEvent::Reload);
                }
            }
        }
        self.seen = looks;
    }
}

#[cfg(test)]
mod tests;
