//! All plugins of a server.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, OnceLock, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::host_state::{HostState, ServerAccess};
use super::instance::PluginInstance;
use super::library::Library;
use super::load_error::LoadError;
use super::metrics::PluginMetric;
use super::registry::{NativeRegistry, Reconfigured};
use introd_config::{Config, Kept, Otherwise, Plugin, XmlSettings};
use introd_liveness::AtStandstill;
use introd_policy::Replies;
use introd_policy::registry::RegistryState;
use parking_lot::{Mutex, MutexGuard};

/// How long the end of a server waits for threads that still use an instance.
const END_TIMEOUT: Duration = Duration::from_secs(2);
const END_POLL: Duration = Duration::from_millis(5);

/// The plugins of an application, in the order in which they are asked.
pub type Chain = Arc<Vec<Arc<PluginInstance>>>;

/// The chain of most applications.
static EMPTY: LazyLock<Chain> = LazyLock::new(Chain::default);

/// All plugins of a server. Dropping it ends them.
pub struct Plugins {
    state: Arc<HostState>,
    live: Mutex<Vec<Live>>,
    /// The instances that are a registry, for as long as it is in use.
    registries: Mutex<Vec<(PathBuf, Weak<PluginInstance>)>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// The metrics as they were when all instances ended.
    totals: OnceLock<Vec<PluginMetric>>,
}

/// An instance, and the file and configuration that it was made from.
#[derive(Clone)]
struct Live {
    path: PathBuf,
    config: XmlSettings,
    instance: Arc<PluginInstance>,
}

/// The instances for a configuration that is not in force yet.
#[derive(Default)]
pub struct Prepared(Vec<Live>);

impl Plugins {
    /// No plugins yet. Verdicts that come later are brought to the workers by `replies`.
    pub fn new(replies: Arc<Replies>) -> Self {
        Self {
            state: Arc::new(HostState::new(replies)),
            live: Mutex::default(),
            registries: Mutex::default(),
            thread: Mutex::default(),
            totals: OnceLock::new(),
        }
    }

    fn live(&self) -> MutexGuard<'_, Vec<Live>> {
        self.live.lock()
    }

    /// Sets what the plugins can reach. Without it, they find no peers.
    pub fn set_server_access(&self, server_access: Weak<dyn ServerAccess>) {
        self.state.set_server_access(server_access);
    }

    /// Makes the instances that a configuration names and that do not exist: those whose configuration and library have not
    /// changed stay. Nothing else changes before [`Self::add`].
    ///
    /// # Errors
    /// That of the first plugin that cannot be loaded.
    pub fn prepare(&self, config: &Config) -> Result<Prepared, LoadError> {
        let (prepared, failed) = self.prepare_each(config, Prepared::default());
        failed.into_iter().next().map_or(Ok(prepared), |(_, error)| Err(error))
    }

    /// As [`Self::prepare`], but an application with a plugin that cannot be loaded stays as it is in `old`, with the plugins that it
    /// has there, or rejects its clients. Gives back what has become of these applications.
    ///
    /// # Errors
    /// That of the first plugin that cannot be loaded and that a virtual host gives to all its applications.
    pub fn prepare_or_close(
        &self,
        config: &mut Config,
        old: Option<&Config>,
    ) -> Result<(Prepared, Vec<Kept>), LoadError> {
        let (prepared, failed) = self.prepare_each(config, Prepared::default());
        if failed.is_empty() {
            return Ok((prepared, Vec::new()));
        }
        let kept = config.keep_broken(old, Otherwise::Close, |_, _, _, registered| {
            let (_, error) = failed.iter().find(|(plugin, _)| registered.settings.plugins.contains(plugin))?;
            Some(format!("{}: {error}", registered.folder.display()))
        });
        let (prepared, failed) = self.prepare_each(config, prepared);
        failed.into_iter().next().map_or(Ok((prepared, kept)), |(_, error)| Err(error))
    }

    /// Makes the instances that do not exist and were not made `before`. Gives the plugins that cannot be loaded with the reasons.
    fn prepare_each(&self, config: &Config, before: Prepared) -> (Prepared, Vec<(Plugin, LoadError)>) {
        let (mut live, mut failed) = (Vec::new(), Vec::new());
        for (plugin, is_kept) in config.plugins() {
            // An application that stays as it was keeps its plugins too, whatever has become of their files.
            let same = |known: &&Live| {
                is_kept && known.path == plugin.path && known.config == plugin.config && !known.instance.is_disabled()
            };
            let kept = self.live().iter().find(same).cloned();
            if let Some(kept) = kept {
                live.push(kept);
                continue;
            }
            let made = Library::load(&plugin.path).and_then(|library| {
                let known = self.live().iter().chain(&before.0).find(|known| known.is(plugin, library)).cloned();
                known.map_or_else(|| self.make(library, &plugin.path, &plugin.config, &config.root, &[]), Ok)
            });
            match made {
                Ok(made) => live.push(made),
                Err(error) => failed.push((plugin.clone(), error)),
            }
        }
        (Prepared(live), failed)
    }

    fn make(
        &self,
        library: &'static Library,
        path: &Path,
        config: &XmlSettings,
        root: &Path,
        handed_over: &[u8],
    ) -> Result<Live, LoadError> {
        self.start_thread();
        let instance = PluginInstance::create(library, &self.state, config, root, handed_over)?;
        let (major, minor) = library.abi();
        tracing::info!(
            plugin = library.name(),
            version = library.version(),
            abi = %format_args!("{major}.{minor}"),
            path = %library.path().display(),
            "plugin loaded"
        );
        Ok(Live { path: path.to_owned(), config: config.clone(), instance })
    }

    /// Lets applications find these instances from now on, and until [`Self::keep`] the earlier ones as well.
    pub fn add(&self, prepared: &Prepared) {
        let mut live = self.live();
        for new in &prepared.0 {
            if !live.iter().any(|known| Arc::ptr_eq(&known.instance, &new.instance)) {
                // It is found before an older one of the same configuration.
                live.insert(0, new.clone());
            }
        }
    }

    /// Ends all other instances, each when it is in use no more.
    pub fn keep(&self, prepared: Prepared) {
        let mut live = self.live();
        for Live { instance, .. } in std::mem::take(&mut *live) {
            if !prepared.0.iter().any(|known| Arc::ptr_eq(&known.instance, &instance)) {
                self.state.timers.retire(instance);
            }
        }
        *live = prepared.0;
    }

    /// The instances for these plugins. Those that have not been prepared are left out.
    pub fn chain(&self, plugins: &[Plugin]) -> Chain {
        if plugins.is_empty() {
            return Arc::clone(&EMPTY);
        }
        let live = self.live();
        let find =
            |plugin: &Plugin| live.iter().find(|known| known.path == plugin.path && known.config == plugin.config);
        Arc::new(plugins.iter().filter_map(find).map(|known| Arc::clone(&known.instance)).collect())
    }

    /// The registry that a plugin is. It goes on with what a registry of another process has handed over, if that is a plugin of the same
    /// name.
    ///
    /// # Errors
    /// If the plugin cannot be loaded, or is no registry.
    pub fn registry(
        &self,
        path: &Path,
        config: &XmlSettings,
        root: &Path,
        handed_over: Option<&RegistryState>,
    ) -> Result<NativeRegistry, LoadError> {
        let library = Library::load_registry(path)?;
        let of_same = handed_over.filter(|handed_over| handed_over.by == library.name());
        let live = self.make(library, path, config, root, of_same.map_or(&[], |handed_over| &handed_over.state))?;
        self.registries.lock().push((path.to_owned(), Arc::downgrade(&live.instance)));
        NativeRegistry::of(live.instance)
            .ok_or_else(|| LoadError::NoRegistry { name: library.name().to_owned(), path: library.path().to_owned() })
    }

    /// Gives the registry that was made from this library the settings that the configuration has now. `None` if there is no such
    /// registry, or it takes no settings while it runs.
    pub fn reconfigure_registry(&self, path: &Path, config: &XmlSettings, root: &Path) -> Option<Reconfigured> {
        let registry = {
            let registries = self.registries.lock();
            registries.iter().rev().filter(|(known, _)| known == path).find_map(|(_, registry)| registry.upgrade())
        };
        registry?.reconfigure(config, root)
    }

    /// The instances that are in force.
    pub fn instances(&self) -> Vec<Arc<PluginInstance>> {
        self.live().iter().map(|live| Arc::clone(&live.instance)).collect()
    }

    /// The instances that are a registry, for as long as it is in use.
    pub fn registries(&self) -> Vec<Arc<PluginInstance>> {
        self.registries.lock().iter().filter_map(|(_, registry)| registry.upgrade()).collect()
    }

    /// The metrics of the plugins, and those that the server keeps of each plugin.
    pub fn metrics(&self) -> Vec<PluginMetric> {
        if let Some(totals) = self.totals.get() {
            return totals.clone();
        }
        let mut metrics = self.state.metrics.snapshot();
        let mut instances = self.instances();
        instances.extend(self.registries());
        let names: BTreeSet<&str> = instances.iter().map(|instance| instance.library().name()).collect();
        for name in names {
            let of_name = || instances.iter().filter(|instance| instance.library().name() == name);
            let sum = |value: fn(&PluginInstance) -> u64| {
                of_name().map(|instance| value(instance)).fold(0, u64::saturating_add)
            };
            let prefix = format!("plugin_{}", name.replace('-', "_").to_ascii_lowercase());
            let mut add = |what: &str, help: &str, value: u64| {
                let value = i64::try_from(value).unwrap_or(i64::MAX);
                let (name, help) = (format!("{prefix}_{what}"), help.to_owned());
                metrics.push(PluginMetric { name, help, is_gauge: false, value });
            };
            add("calls", "Callbacks of the plugin", sum(|instance| instance.account().calls()));
            let micros =
                |instance: &PluginInstance| u64::try_from(instance.account().time().as_micros()).unwrap_or(u64::MAX);
            add("call_microseconds", "The time that its callbacks took", sum(micros));
            add("call_failures", "Callbacks that failed", sum(|instance| instance.account().failures()));
            add("slow_calls", "Callbacks that held up the network", sum(|instance| instance.account().slow()));
        }
        metrics
    }

    fn start_thread(&self) {
        let mut thread = self.thread.lock();
        if thread.is_some() {
            return;
        }
        let state = Arc::clone(&self.state);
        // It runs the plugins' own code, which may stand still.
        let started = introd_liveness::spawn("plugins", AtStandstill::Say, move |pulse| {
            state.timers.run(pulse);
            Ok(())
        });
        match started {
            Ok(started) => *thread = Some(started),
            Err(error) => tracing::error!(%error, "the thread for plugins' timers cannot be started: they have none"),
        }
    }

    /// Ends all instances, because the server stops.
    pub fn stop(&self) {
        self.stop_within(END_TIMEOUT);
    }

    /// Waits so long for the users of the instances, and then so long for the instances to end.
    fn stop_within(&self, timeout: Duration) {
        let _ = self.totals.set(self.metrics());
        let live = std::mem::take(&mut *self.live());
        let deadline = Instant::now() + timeout;
        for Live { instance, .. } in live {
            wait_until(deadline, || Arc::strong_count(&instance) == 1);
            self.state.timers.retire(instance);
        }
        self.state.timers.finish();
        let Some(thread) = self.thread.lock().take() else { return };
        if wait_until(Instant::now() + timeout, || thread.is_finished()) {
            let _ = thread.join();
        } else {
            tracing::error!("a plugin's timer or end does not return; its thread is left behind");
        }
    }
}

#[cfg(feature = "testing")]
impl Plugins {
    pub(super) fn state(&self) -> &Arc<HostState> {
        &self.state
    }

    pub(super) fn put(&self, path: &Path, instance: Arc<PluginInstance>) {
        self.live().push(Live { path: path.to_owned(), config: XmlSettings::default(), instance });
    }
}

impl Live {
    fn is(&self, plugin: &Plugin, library: &'static Library) -> bool {
        self.path == plugin.path
            && self.config == plugin.config
            && std::ptr::eq(self.instance.library(), library)
            // An instance that has panicked is replaced at a reload.
            && !self.instance.is_disabled()
    }
}

impl Drop for Plugins {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Waits until something is done; false if that is not so at the deadline.
fn wait_until(deadline: Instant, is_done: impl Fn() -> bool) -> bool {
    while !is_done() {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(END_POLL);
    }
    true
}

#[cfg(test)]
mod tests;
